"""Rank intervals: which retrievers are significantly better than which, on the same queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench import stats
from bench.errors import UserError
from bench.leaderboard.rows import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ALPHA", "LABELS", "RANKED_BY", "Entry", "Pool", "RankInterval", "pools", "rank_intervals"]

#: Metrics whose mean over queries can be compared pair by pair; more is better in all. The first is the default.
RANKED_BY = ("R@10", "R@1", "R@5", "MRR")
#: Columns that name a query and what it is clustered by.
LABELS = ("query_id", "cluster_id")
ALPHA = 0.05


class RankInterval(NamedTuple):
    """The ranks that a retriever may have: from 1 + those significantly better to all less those worse."""

    low: int
    high: int

    @property
    def tied_with_best(self) -> bool:
        """Whether none is significantly better."""
        return self.low == 1


class Entry(NamedTuple):
    """A row and its rank among those with the same queries; None where it lacks the metric or has no rival."""

    row: Row
    rank: RankInterval | None


@dataclass(frozen=True)
class Pool:
    """Rows of one dataset that were asked the same queries of the same gallery: those that are compared."""

    dataset: str
    number: int
    """From 1, the largest set of queries first."""
    of: int
    """Sets of queries that the dataset's rows were measured on."""
    n_queries: int
    n_gallery: int
    protocol: str
    entries: tuple[Entry, ...]
    shared: tuple[tuple[int, int], ...]
    """Number of each other set of the dataset, and how many queries this one shares with it."""

    @property
    def name(self) -> str:
        return self.dataset if self.of == 1 else f"{self.dataset} ({self.number} of {self.of})"

    @property
    def ranked(self) -> int:
        """How many rows were compared."""
        return sum(entry.rank is not None for entry in self.entries)


def rank_intervals(values: Any, clusters: Any = None, alpha: float = ALPHA) -> list[RankInterval]:
    """Rank intervals of systems from their values on the same queries.

    Every pair is compared by the mean of its differences with an error clustered by track, and the p values of all
    pairs are adjusted together (Holm): the chance that any of the intervals misses because of a difference that is not
    there is at most alpha.

    Args:
        values: (queries, systems), more is better; pairs with a NaN do not count.
        clusters: (queries,) labels of queries that belong together; None makes each its own.
        alpha: level of the comparisons, taken together.

    Raises:
        ValueError: values that are not (queries, systems), or labels of another length.

    Example:
        >>> better = np.array([[1.0, 0.0, 0.1], [0.9, 0.1, 0.0], [1.0, 0.2, 0.1], [0.8, 0.0, 0.1], [1.0, 0.1, 0.2]])
        >>> [tuple(rank) for rank in rank_intervals(better)]
        [(1, 1), (2, 3), (2, 3)]
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"values have shape {array.shape}; (queries, systems) are needed")
    labels = np.arange(len(array)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    count = array.shape[1]
    pairs = list(combinations(range(count), 2))
    estimates = [stats.two_way_clustered(array[:, a] - array[:, b], labels) for a, b in pairs]
    adjusted = stats.holm([stats.p_value(estimate) for estimate in estimates])
    better, worse = Counter[int](), Counter[int]()
    for (a, b), estimate, p in zip(pairs, estimates, adjusted, strict=True):
        if p < alpha:
            first, second = (a, b) if estimate.value > 0 else (b, a)
            better[second] += 1
            worse[first] += 1
    return [RankInterval(1 + better[i], count - worse[i]) for i in range(count)]


def pools(rows: Sequence[Row], by: str = RANKED_BY[0]) -> tuple[Pool, ...]:
    """Rows in groups that were asked the same queries, each with its rank interval, the best first.

    Datasets with the most rows come first.

    Args:
        rows: of any datasets.
        by: metric of the comparison, one of `RANKED_BY`.

    Raises:
        UserError: another metric, or a run's file per query is missing, damaged, names a query twice, or lacks the
            metric that its summary has.
    """
    if by not in RANKED_BY:
        raise UserError(f"--by {by}: rows are ranked by a mean over queries, one of {', '.join(RANKED_BY)}")
    grouped: dict[tuple[Any, ...], list[_Asked]] = {}
    for row in rows:
        asked = _asked(row, by)
        key = (row.dataset, row.n_gallery, row.protocol, frozenset(asked.frame.index))
        grouped.setdefault(key, []).append(asked)
    held = Counter(row.dataset for row in rows)
    # Sets of equal size need an order that does not change from one process to the next.
    ordered = sorted(
        grouped, key=lambda key: (-held[key[0]], key[0], -len(key[3]), -key[1], key[2], sorted(key[3]))
    )  # fmt: skip
    sets: dict[str, list[tuple[Any, ...]]] = {}
    for key in ordered:
        sets.setdefault(key[0], []).append(key)
    return tuple(
        _pool(grouped[key], by, number, siblings)
        for siblings in sets.values()
        for number, key in enumerate(siblings, start=1)
    )


class _Asked(NamedTuple):
    """A row and its values by query."""

    row: Row
    frame: pd.DataFrame


def _asked(row: Row, by: str) -> _Asked:
    where = row.run.folder / "per_query" / f"{row.key}.parquet"
    if not where.is_file():
        raise UserError(
            f"{where}: is missing; run the suite again, or, of runs that were kept with published pages, name the "
            "whole folder that they were kept in (of each row the values per query are kept once)"
        )
    frame = row.run.per_query(row.key, (*LABELS, by))
    missing = [name for name in LABELS if name not in frame]
    if by not in frame and row_value(row, by) is not None:
        raise UserError(
            f"{where}: has no values of {by} per query, so that --by {by} cannot rank it; run the suite again, or "
            f"rank by what it has: {', '.join(name for name in RANKED_BY if name in _known(row)) or 'nothing'}"
        )
    if missing:
        raise UserError(f"{where}: has no {' and no '.join(missing)}; run the suite again")
    if frame["query_id"].duplicated().any():
        raise UserError(f"{where}: names a query twice, so that rows cannot be paired; run the suite again")
    return _Asked(row, frame.set_index("query_id"))


def _pool(members: Sequence[_Asked], by: str, number: int, siblings: Sequence[tuple[Any, ...]]) -> Pool:
    row, queries = members[0].row, siblings[number - 1][3]
    compared = [m for m in members if by in m.frame and row_value(m.row, by) is not None]
    ranks: dict[int, RankInterval] = {}
    if len(compared) > 1:
        order = sorted(queries)
        values = np.column_stack([m.frame[by].loc[order].to_numpy(float) for m in compared])
        clusters = compared[0].frame["cluster_id"].loc[order].to_numpy()
        intervals = rank_intervals(values, clusters)
        ranks = {id(m): rank for m, rank in zip(compared, intervals, strict=True)}
    entries = sorted((Entry(m.row, ranks.get(id(m))) for m in members), key=lambda entry: _place(entry, by))
    shared = [(other, len(queries & key[3])) for other, key in enumerate(siblings, start=1) if other != number]
    return Pool(
        row.dataset, number, len(siblings), len(queries), row.n_gallery, row.protocol, tuple(entries), tuple(shared)
    )


def _known(row: Row) -> set[str]:
    return set(row.run.per_query(row.key, RANKED_BY).columns)


def row_value(row: Row, metric: str) -> float | None:
    """A row's number, or None."""
    return row.values[metric].value


def _place(entry: Entry, by: str) -> tuple[Any, ...]:
    """Best first: by the interval, then by the number; without a rank last."""
    rank, value = entry.rank, row_value(entry.row, by)
    known = (rank.low, rank.high) if rank else (0, 0)
    number = 0.0 if value is None else -value
    return (rank is None, known, value is None, number, entry.row.retriever, entry.row.space, entry.row.settings)
