"""What a suite needs beside the core: a dataset on disk, an extra, a GPU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, requires

from bench.settings import Settings

__all__ = ["unmet"]


def unmet(needs: Sequence[str], settings: Settings, device: str) -> list[str]:
    """Those of `dataset:NAME`, `extra:NAME`, `gpu` that this machine does not have, each with the next step."""
    missing = []
    for need in needs:
        kind, _, name = need.partition(":")
        if kind == "gpu" and device == "cpu":
            missing.append("a GPU")
        elif kind == "extra" and not _extra_installed(name):
            missing.append(f"extra {name} (pip install 'gdr-bench[{name}]')")
        elif kind == "dataset" and (settings.data_dir is None or not (settings.data_dir / name).exists()):
            where = (
                f"{settings.data_dir}/{name}"
                if settings.data_dir
                else f"{name} in the folder that BENCH_DATA_DIR names"
            )
            missing.append(f"dataset {name} ({where})")
    return missing


def _extra_installed(extra: str) -> bool:
    try:
        lines = requires("gdr-bench") or []
    except PackageNotFoundError:
        return False
    wanted = [line for line in lines if re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", line)]
    return bool(wanted) and all(_installed(re.split(r"[\s\[<>=!~;(]", line, maxsplit=1)[0]) for line in wanted)


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
