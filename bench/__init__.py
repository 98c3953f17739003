"""gdr-bench: compare ways of turning text into a query for music retrieval.

    import bench
    result = bench.run("negative-prompting", preset="quick")
    result.to_pandas()

Importing this package loads no heavy library; torch comes with the first query that must be generated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import RunResult, compare, load, run

__all__ = ["RunResult", "__version__", "compare", "load", "run"]

__version__ = "0.1.0"

_LAZY = ("RunResult", "compare", "load", "run")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
