"""Paired differences of two cells on the queries that both ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench import stats
from bench.comparison.cells import Pair, describe, table
from bench.comparison.values import LOG_RANK, Info, aggregate, column, info
from bench.errors import UserError
from bench.evaluate import clusters_of, oracle_normalised_mean
from bench.report._format import cell_label
from bench.report.load import Run, Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellComparison", "Change", "Counts", "Difference", "compare_cells", "paired_difference"]

_ORACLE = "oracleR@10"


class Counts(NamedTuple):
    """Queries on which b is better, equal and worse (for a metric without direction: higher, equal, lower)."""

    better: int
    equal: int
    worse: int


@dataclass(frozen=True)
class Difference:
    """One metric of two cells; numbers that cannot be had are None, and `why` says the reason."""

    metric: str
    info: Info
    a: Value
    b: Value
    difference: float | None = None
    """b minus a, in the metric's own unit."""
    lo: float | None = None
    hi: float | None = None
    p: float | None = None
    p_holm: float | None = None
    """After Holm's correction over all tests of the comparison."""
    test: str | None = None
    detectable: float | None = None
    """The effect that 80 % of such comparisons find."""
    counts: Counts | None = None
    """None for a metric of a set."""
    why: str | None = None

    @property
    def n(self) -> int:
        """Queries that were compared."""
        return (self.b.n or 0) if self.counts is None else sum(self.counts)


@dataclass(frozen=True)
class Change:
    """A query whose reciprocal rank differs between the two."""

    query_id: str
    track: str
    rank_a: float
    rank_b: float

    @property
    def moved(self) -> float:
        """Reciprocal rank of b minus that of a."""
        return 1.0 / self.rank_b - 1.0 / self.rank_a


@dataclass(frozen=True)
class CellComparison:
    """Two cells that measure the same: each metric's paired difference, and the queries that changed most."""

    pair: Pair
    label: str
    method: str
    n: int
    """Queries that both ask."""
    n_clusters: int
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]
    n_changed: int

    @property
    def identical(self) -> bool:
        """Whether no metric of any query differs."""
        return not self.n_changed and all(
            not d.difference and (d.counts is None or d.counts.better == d.counts.worse == 0) for d in self.differences
        )


def paired_difference(difference: np.ndarray, first: Any, second: Any = None) -> stats.Estimate:
    """Mean of differences (n,) with its clustered error; NaN rows do not count."""
    return stats.clustered_delta(lambda means: means[..., 0], difference[:, None], first, second)


def compare_cells(a: Run, b: Run, pair: Pair, metrics: Sequence[str] | None = None, top: int = 10) -> CellComparison:
    """Compare two cells on the queries that both ask.

    Args:
        a, b: runs of the two cells.
        pair: the cells.
        metrics: keys to compare; None takes all that both measure, and logRank.
        top: number of changed queries to tell.

    Raises:
        UserError: per-query files that cannot be read, or no query in common.
    """
    left, right = table(a, pair.a), table(b, pair.b)
    shared = left.index[left.index.isin(right.index)]
    if len(shared) == 0:
        raise UserError(
            f"{describe(a, pair.a)}: {a.folder} and {b.folder} share no query; compare runs with the same queries"
        )
    left, right = left.loc[shared], right.loc[shared]
    keys = _keys(a, b, pair) if metrics is None else metrics
    found = tuple(_difference(a, b, pair, left, right, key) for key in keys)
    changes = _changes(left, right)
    names = (pair.a["retriever"], pair.b["retriever"])
    method = cell_label(pair.a, a.guidance)
    who = names[0] if names[0] == names[1] else f"{names[0]} → {names[1]}"
    return CellComparison(
        pair, f"{pair.a['dataset']}, {who}, {method}, seed {pair.a['seed']}", method, len(shared),
        left["cluster_id"].nunique(), found, tuple(changes[:top]), len(changes),
    )  # fmt: skip


def _keys(a: Run, b: Run, pair: Pair) -> list[str]:
    shared = [key for key in a.metric_info if key in pair.a["metrics"] and key in pair.b["metrics"]]
    return [key for key in shared if b.metric_info.get(key)] + [LOG_RANK]


def _difference(a: Run, b: Run, pair: Pair, left: pd.DataFrame, right: pd.DataFrame, key: str) -> Difference:
    known = info(a, key) or info(b, key)
    if known is None:
        raise UserError(f"{a.folder}: measures no {key!r}; it has {', '.join(a.metric_info)} and {LOG_RANK}")
    if known.level == "set":
        return _of_sets(key, known, a.value(pair.a, key), b.value(pair.b, key))
    one, two = column(left, key, pair.a["n_gallery"]), column(right, key, pair.b["n_gallery"])
    if one is None or two is None:
        return Difference(key, known, Value(None), Value(None), why="not measured in both")
    complete = ~np.isnan(one) & ~np.isnan(two)
    if not complete.any():
        why = a.value(pair.a, key).why or b.value(pair.b, key).why or "no query to which it applies"
        return Difference(key, known, Value(None), Value(None), why=why)
    gains = (two - one)[complete] * (-1 if known.higher_is_better is False else 1)
    counts = Counts(int((gains > 0).sum()), int((gains == 0).sum()), int((gains < 0).sum()))
    kind = aggregate(key)
    if kind == "median":
        values = [float(np.median(v[complete])) for v in (one, two)]
        return Difference(
            key, known, Value(values[0]), Value(values[1]), values[1] - values[0], counts=counts,
            why="medians have no paired test: see logRank, R@k or MRR",
        )  # fmt: skip
    if kind == "oracle-normalised":
        return _normalised(key, known, left[complete], right[complete], pair, counts)
    return _of_means(key, known, one[complete], two[complete], left[complete], counts)


def _of_sets(key: str, known: Info, one: Value, two: Value) -> Difference:
    why = one.why or two.why or "n/a: a metric of a set has no values per query to pair; its intervals are stored ones"
    if one.value is None or two.value is None:
        return Difference(key, known, one, two, why=why)
    if one.n != two.n:
        why = f"n/a: a metric of a set depends on its size, which is {one.n} and {two.n}"
        return Difference(key, known, one, two, why=why)
    return Difference(key, known, one, two, two.value - one.value, why=why)


def _of_means(
    key: str, known: Info, one: np.ndarray, two: np.ndarray, frame: pd.DataFrame, counts: Counts
) -> Difference:
    first, second = clusters_of(frame)
    estimate = paired_difference(two - one, first, second)
    sides = (Value(float(one.mean())), Value(float(two.mean())))
    if second is None:
        p, test = stats.paired_permutation(two, one, first), "permutation"
    else:
        # Queries crossed with negatives hang together all in all: there are no whole clusters to swap.
        p, test = stats.p_value(estimate), "t, two-way clusters"
    return _tested(key, known, sides, estimate, p, test, counts)


def _normalised(
    key: str, known: Info, left: pd.DataFrame, right: pd.DataFrame, pair: Pair, counts: Counts
) -> Difference:
    """R@10(norm): a function of two means on each side."""
    if _ORACLE not in left or _ORACLE not in right:
        return Difference(key, known, Value(None), Value(None), why="its oracle is not stored; run the suite again")
    n_gallery = pair.a["n_gallery"]
    values = np.column_stack([frame[name].to_numpy(float) for frame in (left, right) for name in (key, _ORACLE)])

    def statistic(means: np.ndarray) -> np.ndarray:
        return oracle_normalised_mean(means[..., 2:], n_gallery) - oracle_normalised_mean(means[..., :2], n_gallery)

    first, second = clusters_of(left)
    estimate = stats.clustered_delta(statistic, values, first, second)
    ends = [float(oracle_normalised_mean(values.mean(0)[part], n_gallery)) for part in (slice(0, 2), slice(2, 4))]
    sides = (Value(ends[0]), Value(ends[1]))
    return _tested(key, known, sides, estimate, stats.p_value(estimate), "t", counts)


def _tested(
    key: str, known: Info, sides: tuple[Value, Value], estimate: stats.Estimate, p: float, test: str,
    counts: Counts,
) -> Difference:  # fmt: skip
    if not np.isfinite(estimate.se):
        why = "one cluster of queries: its error is not known"
        return Difference(key, known, *sides, estimate.value, counts=counts, why=why)
    ends = stats.interval(estimate)
    return Difference(
        key, known, *sides, estimate.value, float(ends.lo), float(ends.hi), None if np.isnan(p) else p, None, test,
        stats.minimum_detectable_effect(estimate.se, estimate.df), counts,
    )  # fmt: skip


def _changes(left: pd.DataFrame, right: pd.DataFrame) -> list[Change]:
    """Queries whose rank changed, those first whose reciprocal rank did most."""
    if "rank" not in left or "rank" not in right:
        return []
    tracks = left["relevant_id"] if "relevant_id" in left else left["cluster_id"]
    rows = zip(left.index, tracks, left["rank"].astype(float), right["rank"].astype(float), strict=True)
    changed = [Change(str(query), str(track), a, b) for query, track, a, b in rows if a != b and a == a and b == b]
    return sorted(changed, key=lambda change: (-abs(change.moved), change.query_id))
