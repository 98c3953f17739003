"""Values per query of a metric: the column that a run stores, or what follows from the ranks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.load import Run

__all__ = [
    "LOG_RANK", "Info", "aggregate", "column", "counted", "from_ranks", "info", "is_of_ranks",
    "is_share_of_hits",
]  # fmt: skip

#: Mean of log₂ rank: uses the whole rank, and a rank that doubles counts the same wherever it stands.
LOG_RANK = "logRank"
_RECALL = re.compile(r"R@([1-9]\d*)")


class Info(NamedTuple):
    """What is known of a metric: its direction (None where neither end is better), unit, and whose it is."""

    higher_is_better: bool | None
    unit: str
    level: str


def is_of_ranks(key: str) -> bool:
    """Whether a metric follows from the ranks alone: `R@k`, `MRR` or `logRank`.

    >>> is_of_ranks("R@10"), is_of_ranks("logRank"), is_of_ranks("R@10(norm)")
    (True, True, False)
    """
    return key in ("MRR", LOG_RANK) or _RECALL.fullmatch(key) is not None


def is_share_of_hits(key: str) -> bool:
    """Whether a query has 0 or 100 in a metric: `R@k`.

    >>> is_share_of_hits("R@10"), is_share_of_hits("MRR")
    (True, False)
    """
    return _RECALL.fullmatch(key) is not None


def info(run: Run, key: str) -> Info | None:
    """What a run says of a metric, or what is known of one that follows from ranks; None for an unknown one."""
    known = run.metric_info.get(key)
    if known is not None:
        return Info(known.get("higher_is_better"), str(known.get("unit", "")), str(known.get("level", "query")))
    if not is_of_ranks(key):
        return None
    return Info(False, "log2 rank", "query") if key == LOG_RANK else Info(True, "%", "query")


def from_ranks(key: str, ranks: np.ndarray, n_gallery: int, counts: np.ndarray | None = None) -> np.ndarray:
    """Values per query of a metric that follows from the ranks.

    Args:
        key: `R@k` or `MRR`, in percent, or `logRank`, log₂ of the rank.
        ranks: (n,) ranks, 1 is best; +inf for a query without a relevant item, NaN for none at all.
        n_gallery: number of items searched, which log₂ takes for an infinite rank.
        counts: (n,) which queries count; None: all.

    Returns:
        (n,) values, NaN where a query does not count.

    Raises:
        ValueError: the metric does not follow from ranks.

    Example:
        >>> from_ranks("MRR", np.array([1.0, 4.0]), 10).tolist()
        [100.0, 25.0]
        >>> from_ranks("logRank", np.array([1.0, 4.0]), 10).tolist()
        [0.0, 2.0]
    """
    match = _RECALL.fullmatch(key)
    if match:
        values = 100.0 * (ranks <= int(match[1]))
    elif key == "MRR":
        values = 100.0 / ranks
    elif key == LOG_RANK:
        values = np.log2(np.where(np.isinf(ranks), n_gallery, ranks))
    else:
        raise ValueError(f"{key} does not follow from the ranks; R@k, MRR and {LOG_RANK} do")
    known = ~np.isnan(ranks) if counts is None else ~np.isnan(ranks) & counts
    return np.where(known, values, np.nan)


def counted(frame: pd.DataFrame) -> np.ndarray | None:
    """(n,) queries whose target should be found: all (None), or those that lack what is negated."""
    return (frame["target_set"] == "lacks").to_numpy() if "target_set" in frame else None


def column(frame: pd.DataFrame, key: str, n_gallery: int) -> np.ndarray | None:
    """Values (n,) of a metric from a per-query table: stored, or from its ranks; None where there are neither."""
    if key in frame:
        return frame[key].to_numpy(dtype=np.float64)
    if is_of_ranks(key) and "rank" in frame:
        return from_ranks(key, frame["rank"].to_numpy(dtype=np.float64), n_gallery, counted(frame))
    return None


@lru_cache(maxsize=1)
def _families() -> tuple[Any, ...]:
    from bench import registry

    return tuple(registry.metrics.get(name) for name in registry.metrics.names())


@lru_cache
def aggregate(key: str) -> str:
    """How values per query make the metric: `mean`, `median` or `oracle-normalised`; a mean for an unknown one."""
    if is_of_ranks(key):
        return "mean"
    return next((str(family.aggregate) for family in _families() if family.match(key)), "mean")
