"""Ranks of relevant items, and what is read from them: recall, median rank, reciprocal rank, precision, gain.

One rank routine serves every retrieval metric. A rank is counted, not sorted: 1 + the number of items that score
higher, plus what ties add (FACTS.md 3.1); the Q×N score matrix is never kept whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bench.metrics._arrays import finite_array
from bench.metrics._readouts import (
    mean_average_precision_at_k,
    mean_reciprocal_rank,
    median_rank,
    ndcg_at_k,
    normalized_median_rank,
    oracle_normalised,
    recall_at_k,
    tie_rate,
)
from bench.metrics._scores import checked_vectors, count_rivals, dot64, score_bound, score_chunks

__all__ = [
    "Ties", "mean_average_precision_at_k", "mean_reciprocal_rank", "median_rank", "ndcg_at_k", "normalized_median_rank",
    "oracle_normalised", "recall_at_k", "relevant_ranks", "relevant_ranks_all", "relevant_ranks_all_from_scores",
    "relevant_ranks_from_scores", "tie_rate", "top_k",
]  # fmt: skip

Ties = Literal["mid", "min", "max"]
Relevant = Sequence[Any] | np.ndarray

#: Bytes of the budget for each candidate that `top_k` sorts at a time, beside the scores.
BYTES_PER_CANDIDATE = 96


def relevant_ranks(
    queries: Any, gallery: Any, relevant: Relevant, *, ties: Ties = "mid", memory_mb: int = 256
) -> np.ndarray:
    """Rank of each query's relevant item in the gallery, by dot product of the rows as given.

    Scores come from float32 products in tiles. Items within 1e-5 of the relevant one's score (relative to the vectors'
    lengths; more where rows of over 150 entries need it) are compared again in float64, so that exact duplicates tie,
    and the ranks are those of the float64 scores whatever the memory.

    Args:
        queries: (Q, d) query vectors.
        gallery: (N, d) vectors of the items searched. Contiguous float arrays are not copied.
        relevant: (Q,) index of the relevant item, or Q arrays of indices: then the best of them counts, and the other
            relevant items are not rivals. A query with an empty array has no relevant item: it counts, as a miss.
        ties: "mid" is the rank expected when tied items are shuffled, "min" the best and "max" the worst case.
        memory_mb: budget for scores, in MiB.

    Returns:
        (Q,) float64 ranks; 1 is best, +inf a query without a relevant item.

    Raises:
        ValueError: shapes that do not fit, entries that are not finite, an empty gallery, an index out of range,
            products beyond float64.

    Warns:
        UserWarning: queries without a relevant item: how many, and the first.

    Example:
        >>> relevant_ranks([[1.0, 0.0]], [[0.0, 1.0], [0.5, 0.0], [1.0, 0.0]], [1])
        array([2.])
    """
    v = checked_vectors(queries, gallery)
    rows, cols, _ = _flat_relevant(relevant, len(v.q), len(v.g))
    _check_ties(ties)
    found, best, tied_relevant = _best_of(rows, dot64(v.q, v.g, rows, cols))
    greater, equal = count_rivals(v, found, best, memory_mb)
    return _first_rank(len(v.q), found, greater, equal - tied_relevant, tied_relevant, ties)


def relevant_ranks_from_scores(scores: Any, relevant: Relevant, *, ties: Ties = "mid") -> np.ndarray:
    """Rank of each query's relevant item, from a full matrix of scores; equal scores tie exactly.

    Args:
        scores: (Q, N) scores, higher is better.
        relevant: as for `relevant_ranks`.
        ties: as for `relevant_ranks`.

    Returns:
        (Q,) float64 ranks; 1 is best, +inf a query without a relevant item.

    Raises:
        ValueError: as for `relevant_ranks`.

    Warns:
        UserWarning: as `relevant_ranks`.

    Example:
        >>> relevant_ranks_from_scores([[-0.3, -0.1, -0.3]], [2])
        array([2.5])
    """
    s = _score_matrix(scores)
    rows, cols, _ = _flat_relevant(relevant, *s.shape)
    _check_ties(ties)
    found, best, tied_relevant = _best_of(rows, s[rows, cols])
    greater, equal = _count_in_scores(s, found, best)
    return _first_rank(len(s), found, greater, equal - tied_relevant, tied_relevant, ties)


def relevant_ranks_all(
    queries: Any, gallery: Any, relevant: Relevant, *, ties: Ties = "mid", memory_mb: int = 256
) -> list[np.ndarray]:
    """Rank of every relevant item of each query, among all items of the gallery, the other relevant ones included.

    Average precision and discounted gain are read from these. Scores are compared as in `relevant_ranks`.

    Args:
        queries: (Q, d) query vectors.
        gallery: (N, d) vectors of the items searched.
        relevant: Q arrays of indices, each without repeats, or (Q,) one index each.
        ties: "mid" gives tied items the mean of their places, "min" the first and "max" the last of them.
        memory_mb: budget for scores, in MiB.

    Returns:
        Q float64 arrays of ranks, in the order of `relevant`; empty for a query without a relevant item.

    Raises:
        ValueError: as for `relevant_ranks`, or an item named twice for one query.

    Warns:
        UserWarning: as `relevant_ranks`.

    Example:
        >>> relevant_ranks_all([[1.0, 0.0]], [[0.0, 1.0], [0.5, 0.0], [1.0, 0.0]], [[0, 1]])
        [array([3., 2.])]
    """
    v = checked_vectors(queries, gallery)
    rows, cols, sizes = _flat_relevant(relevant, len(v.q), len(v.g), repeats=False)
    _check_ties(ties)
    greater, equal = count_rivals(v, rows, dot64(v.q, v.g, rows, cols), memory_mb)
    return np.split(_rank(greater, equal - 1, 1, ties), np.cumsum(sizes)[:-1]) if len(sizes) else []


def relevant_ranks_all_from_scores(scores: Any, relevant: Relevant, *, ties: Ties = "mid") -> list[np.ndarray]:
    """Rank of every relevant item of each query, from a full matrix of scores; equal scores tie exactly.

    Args:
        scores: (Q, N) scores, higher is better.
        relevant: as for `relevant_ranks_all`.
        ties: as for `relevant_ranks_all`.

    Returns:
        As `relevant_ranks_all`.

    Raises:
        ValueError: as for `relevant_ranks_all`.

    Warns:
        UserWarning: as `relevant_ranks`.

    Example:
        >>> relevant_ranks_all_from_scores([[-0.3, -0.1, -0.3]], [[2, 1]])
        [array([2.5, 1. ])]
    """
    s = _score_matrix(scores)
    rows, cols, sizes = _flat_relevant(relevant, *s.shape, repeats=False)
    _check_ties(ties)
    greater, equal = _count_in_scores(s, rows, s[rows, cols])
    return np.split(_rank(greater, equal - 1, 1, ties), np.cumsum(sizes)[:-1]) if len(sizes) else []


def top_k(queries: Any, gallery: Any, k: int, *, memory_mb: int = 256) -> np.ndarray:
    """The k items that score highest for each query, by dot product of the rows as given.

    Items near the k-th score are compared again in float64, so the answer does not depend on the chunk size.

    Args:
        queries: (Q, d) query vectors.
        gallery: (N, d) vectors of the items searched.
        k: how many; at most N.
        memory_mb: budget for a chunk of scores, in MiB.

    Returns:
        (Q, k) int64 indices, highest score first, equal scores by index.

    Raises:
        ValueError: as for `relevant_ranks`, or k out of range.

    Example:
        >>> top_k([[1.0, 0.0]], [[0.5, 1.0], [2.0, 0.0], [0.5, 3.0]], 2)
        array([[1, 0]])
    """
    v = checked_vectors(queries, gallery)
    n = len(v.g)
    if not 1 <= k <= n:
        raise ValueError(f"k = {k}; the gallery has {n} items, so k must lie in 1..{n}")
    bound, most = score_bound(v), max(1, memory_mb * 2**20 // BYTES_PER_CANDIDATE)
    out = np.empty((len(v.q), k), dtype=np.int64)
    for start, scores in score_chunks(v, memory_mb):
        kth = np.partition(scores, n - k, axis=1)[:, n - k].astype(np.float64)
        low = np.nextafter((kth - 2 * bound[start : start + len(scores)]).astype(scores.dtype), -np.inf)
        candidate = scores >= low[:, None]
        # Where a collapsed encoder makes everything a candidate, few queries at a time.
        many = np.cumsum([np.count_nonzero(row) for row in candidate]) // most
        for part in np.split(np.arange(len(scores)), np.flatnonzero(np.diff(many)) + 1):
            row, col = np.nonzero(candidate[part])
            order = np.lexsort((col, -dot64(v.q, v.g, row + start + part[0], col), row))
            first = np.searchsorted(row, np.arange(len(part)))
            out[start + part] = col[order][first[:, None] + np.arange(k)]
    return out


def _check_ties(ties: str) -> None:
    if ties not in ("mid", "min", "max"):
        raise ValueError(f"ties = {ties!r}; it must be 'mid', 'min' or 'max'")


def _score_matrix(scores: Any) -> np.ndarray:
    s = finite_array(scores, "scores", 2, None)
    if s.shape[1] == 0:
        raise ValueError("the gallery is empty: scores have no columns")
    return s


def _flat_relevant(
    relevant: Relevant, n_queries: int, n_gallery: int, *, repeats: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Query and gallery index of every relevant pair, in order, and how many each query has; warns of queries without.

    An item named twice for a query counts once where `repeats` are allowed, and raises where they are not.
    """
    if len(relevant) != n_queries:
        raise ValueError(f"{n_queries} queries, but relevant has {len(relevant)} entries")
    cols, sizes = _listed(relevant)
    if cols.dtype.kind not in "iu":
        raise ValueError(f"relevant holds {cols.dtype} values; gallery indices (integers) are needed")
    rows = np.repeat(np.arange(n_queries), sizes)
    outside = (cols < 0) | (cols >= n_gallery)
    if outside.any():
        at = int(np.argmax(outside))
        raise ValueError(f"relevant[{rows[at]}] names item {cols[at]}; the gallery has items 0..{n_gallery - 1}")
    cols = cols.astype(np.int64)
    if (sizes > 1).any():
        order = np.lexsort((cols, rows))
        again = np.zeros(len(rows), dtype=bool)
        again[order[1:]] = (np.diff(rows[order]) == 0) & (np.diff(cols[order]) == 0)
        if again.any() and not repeats:
            at = int(np.argmax(again))
            raise ValueError(f"relevant[{rows[at]}] names item {cols[at]} twice")
        rows, cols = rows[~again], cols[~again]
    empty = sizes == 0
    if empty.any():
        warnings.warn(
            f"{int(empty.sum())} of {n_queries} queries have no relevant item, the first is query "
            f"{int(np.argmax(empty))}; they count as misses",
            stacklevel=3,
        )
    return rows, cols, sizes


def _listed(relevant: Relevant) -> tuple[np.ndarray, np.ndarray]:
    """All indices in a row, and how many each query has."""
    if hasattr(relevant, "__array__") or all(isinstance(group, int | np.integer) for group in relevant):
        array = np.asarray(relevant, dtype=None if len(relevant) else np.int64)
        if array.ndim == 1 and array.dtype != object:
            # An empty array is of no type that matters.
            return array if array.size else array.astype(np.int64), np.ones(len(array), dtype=np.int64)
    groups = [np.asarray(group).ravel() for group in relevant]
    sizes = np.array([len(group) for group in groups], dtype=np.int64)
    filled = [group for group in groups if len(group)]
    return np.concatenate(filled) if filled else np.empty(0, dtype=np.int64), sizes


def _best_of(rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The queries that have relevant items, the best score of these, and how many of them reach it."""
    if len(rows) == 0:
        return rows, scores, np.empty(0, dtype=np.int64)
    found, first, group = np.unique(rows, return_index=True, return_inverse=True)
    best = np.maximum.reduceat(scores, first)
    return found, best, np.bincount(group[scores == best[group]], minlength=len(found))


def _count_in_scores(s: np.ndarray, rows: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many scores of their row are above, and how many at, each threshold."""
    greater, equal = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
    step = max(1, 2**22 // s.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        block = s[rows[part]]
        greater[part] = np.count_nonzero(block > own[part, None], axis=1)
        equal[part] = np.count_nonzero(block == own[part, None], axis=1)
    return greater, equal


def _first_rank(
    n_queries: int, found: np.ndarray, greater: np.ndarray, equal: np.ndarray, tied_relevant: np.ndarray, ties: Ties
) -> np.ndarray:
    ranks = np.full(n_queries, np.inf)
    ranks[found] = _rank(greater, equal, tied_relevant, ties)
    return ranks


def _rank(greater: np.ndarray, equal: np.ndarray, tied_relevant: Any, ties: Ties) -> np.ndarray:
    """Rank of the first relevant item: `equal` rivals and `tied_relevant` relevant items share its score."""
    # In a random order of r relevant and t other items, t / (r + 1) others precede the first relevant: t / 2 for one.
    extra = {"mid": equal / (tied_relevant + 1.0), "min": 0.0 * equal, "max": 1.0 * equal}[ties]
    return 1.0 + greater + extra
