"""Ranks of relevant items, and what is read from them: recall, median rank, reciprocal rank.

One rank routine serves every retrieval metric. A rank is counted, not sorted: 1 + the number of items that score
higher, plus what ties add (FACTS.md 3.1); the Q×N score matrix is never kept whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from bench.metrics._arrays import finite_array, same_width

__all__ = [
    "Ties", "mean_reciprocal_rank", "median_rank", "normalized_median_rank", "oracle_normalised", "recall_at_k",
    "relevant_ranks", "relevant_ranks_from_scores", "tie_rate", "top_k",
]  # fmt: skip

Ties = Literal["mid", "min", "max"]
Relevant = Sequence[Any] | np.ndarray

#: Scores closer than this (times the longest row's length) are compared again in float64.
NEAR = 1e-5
#: Bytes that one entry of a score chunk needs at its peak: the float32 score, a temporary of it, and masks.
BYTES_PER_SCORE = 12


def relevant_ranks(
    queries: Any, gallery: Any, relevant: Relevant, *, ties: Ties = "mid", memory_mb: int = 256
) -> np.ndarray:
    """Rank of each query's relevant item in the gallery, by dot product of the rows as given.

    Scores come from float32 products in chunks. Items within 1e-5 of the relevant one's score (relative to the vectors'
    lengths) are compared again in float64, so that exact duplicates tie and the chunk size changes nothing.

    Args:
        queries: (Q, d) query vectors.
        gallery: (N, d) vectors of the items searched.
        relevant: (Q,) index of the relevant item, or Q arrays of indices: then the best of them counts, and the other
            relevant items are not rivals.
        ties: "mid" is the rank expected when tied items are shuffled, "min" the best and "max" the worst case.
        memory_mb: budget for a chunk of scores, in MiB.

    Returns:
        (Q,) float64 ranks; 1 is best.

    Raises:
        ValueError: shapes that do not fit, entries that are not finite, an empty gallery, an index out of range.

    Example:
        >>> relevant_ranks([[1.0, 0.0]], [[0.0, 1.0], [0.5, 0.0], [1.0, 0.0]], [1])
        array([2.])
    """
    q, g = _pair(queries, gallery)
    rows, cols = _flat_relevant(relevant, len(q), len(g))
    _check_ties(ties)
    own64 = _dot64(q, g, rows, cols)
    best, tied_relevant = _best_of(rows, own64, len(q))
    tolerance = _tolerance(q, g)
    ranks = np.empty(len(q))
    for start, scores in _score_chunks(q, g, memory_mb):
        stop = start + len(scores)
        mine = slice(*np.searchsorted(rows, [start, stop]))
        at, to = rows[mine] - start, cols[mine]
        # Against the product's own entry: a score computed apart could differ in its last bits.
        first_best = np.full(len(scores), -1)
        is_best = own64[mine] == best[rows[mine]]
        first_best[at[is_best][::-1]] = to[is_best][::-1]
        scores -= scores[np.arange(len(scores)), first_best][:, None]
        scores[at, to] = -np.inf
        near_by = tolerance[start:stop, None]
        greater = np.count_nonzero(scores > near_by, axis=1).astype(np.float64)
        near_row, near_col = np.nonzero(np.abs(scores, out=scores) <= near_by)
        delta = _dot64(q, g, near_row + start, near_col) - best[near_row + start]
        greater += np.bincount(near_row[delta > 0], minlength=len(scores))
        equal = np.bincount(near_row[delta == 0], minlength=len(scores))
        ranks[start:stop] = _rank(greater, equal, tied_relevant[start:stop], ties)
    return ranks


def relevant_ranks_from_scores(scores: Any, relevant: Relevant, *, ties: Ties = "mid") -> np.ndarray:
    """Rank of each query's relevant item, from a full matrix of scores; equal scores tie exactly.

    Args:
        scores: (Q, N) scores, higher is better.
        relevant: as for `relevant_ranks`.
        ties: as for `relevant_ranks`.

    Returns:
        (Q,) float64 ranks; 1 is best.

    Raises:
        ValueError: as for `relevant_ranks`.

    Example:
        >>> relevant_ranks_from_scores([[-0.3, -0.1, -0.3]], [2])
        array([2.5])
    """
    s = finite_array(scores, "scores", 2, None)
    if s.shape[1] == 0:
        raise ValueError("the gallery is empty: scores have no columns")
    rows, cols = _flat_relevant(relevant, *s.shape)
    _check_ties(ties)
    best, tied_relevant = _best_of(rows, s[rows, cols], len(s))
    rival = np.ones(s.shape, dtype=bool)
    rival[rows, cols] = False
    greater = np.count_nonzero((s > best[:, None]) & rival, axis=1).astype(np.float64)
    equal = np.count_nonzero((s == best[:, None]) & rival, axis=1)
    return _rank(greater, equal, tied_relevant, ties)


def recall_at_k(ranks: Any, k: int) -> float:
    """R@k: share of queries whose relevant item ranks k-th or better, in percent (the music papers' recall).

    Example:
        >>> recall_at_k([1, 3, 12, 2], 3)
        75.0
    """
    if k < 1:
        raise ValueError(f"k = {k}; it must be 1 or more")
    return float(100.0 * np.mean(_ranks(ranks) <= k))


def median_rank(ranks: Any) -> float:
    """MedR: median rank, in ranks.

    Example:
        >>> median_rank([1, 3, 12, 2])
        2.5
    """
    return float(np.median(_ranks(ranks)))


def normalized_median_rank(ranks: Any, n_gallery: int) -> float:
    """NMedR: 100 · MedR / N, in percent of the gallery (the paper's "MedR (%)").

    Example:
        >>> normalized_median_rank([1, 3, 12, 2], 50)
        5.0
    """
    checked = _ranks(ranks)
    if n_gallery < checked.max():
        raise ValueError(f"a rank of {checked.max():g} cannot come from a gallery of {n_gallery}")
    return 100.0 * median_rank(checked) / n_gallery


def mean_reciprocal_rank(ranks: Any) -> float:
    """MRR: mean of 1 / rank, in percent.

    Example:
        >>> mean_reciprocal_rank([1, 2, 4, 4])
        50.0
    """
    return float(100.0 * np.mean(1.0 / _ranks(ranks)))


def tie_rate(lowest: Any, highest: Any) -> float:
    """Share of queries whose relevant item ties with a rival, in percent.

    Args:
        lowest: (Q,) ranks with ties="min".
        highest: (Q,) ranks of the same queries with ties="max".

    Example:
        >>> tie_rate([1, 2, 5, 1], [1, 4, 5, 1])
        25.0
    """
    low, high = _ranks(lowest), _ranks(highest)
    if low.shape != high.shape or (low > high).any():
        raise ValueError("lowest and highest must be ranks of the same queries, under ties='min' and ties='max'")
    return float(100.0 * np.mean(low != high))


def oracle_normalised(recall: Any, chance: Any, oracle: Any) -> Any:
    """Recall on the scale from chance (0) to an oracle that knows what the captions state (100), PROTOCOL.md 3.

    Args:
        recall: R@k in percent; numbers or arrays, which broadcast.
        chance: R@k of a random order, in percent.
        oracle: R@k of the oracle, in percent.

    Returns:
        100 · (recall − chance) / (oracle − chance); NaN where the oracle does not exceed chance.

    Example:
        >>> oracle_normalised(30.0, 10.0, 50.0)
        50.0
    """
    room = np.subtract(oracle, chance, dtype=np.float64)
    gain = np.subtract(recall, chance, dtype=np.float64)
    out = 100.0 * gain / np.where(room > 0, room, np.nan)
    return float(out) if np.ndim(out) == 0 else out


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
    q, g = _pair(queries, gallery)
    if not 1 <= k <= len(g):
        raise ValueError(f"k = {k}; the gallery has {len(g)} items, so k must lie in 1..{len(g)}")
    tolerance = _tolerance(q, g)
    out = np.empty((len(q), k), dtype=np.int64)
    for start, scores in _score_chunks(q, g, memory_mb):
        stop = start + len(scores)
        kth = np.partition(scores, len(g) - k, axis=1)[:, len(g) - k]
        row, col = np.nonzero(scores >= (kth - 2 * tolerance[start:stop])[:, None])
        order = np.lexsort((col, -_dot64(q, g, row + start, col), row))
        first = np.searchsorted(row, np.arange(len(scores)))
        out[start:stop] = col[order][first[:, None] + np.arange(k)]
    return out


def _pair(queries: Any, gallery: Any) -> tuple[np.ndarray, np.ndarray]:
    q, g = finite_array(queries, "queries", 2, None), finite_array(gallery, "gallery", 2, None)
    if len(g) == 0:
        raise ValueError("the gallery is empty")
    same_width(q, g, "queries and gallery")
    return q, g


def _check_ties(ties: str) -> None:
    if ties not in ("mid", "min", "max"):
        raise ValueError(f"ties = {ties!r}; it must be 'mid', 'min' or 'max'")


def _flat_relevant(relevant: Relevant, n_queries: int, n_gallery: int) -> tuple[np.ndarray, np.ndarray]:
    """Query and gallery index of every relevant pair, in the order of queries, without repeats."""
    if len(relevant) != n_queries:
        raise ValueError(f"{n_queries} queries, but relevant has {len(relevant)} entries")
    groups = [np.unique(np.asarray(group)) for group in relevant]
    sizes = np.array([len(group) for group in groups], dtype=np.int64)
    if (sizes == 0).any():
        raise ValueError(f"relevant[{int(np.argmin(sizes))}] is empty: every query needs a relevant item")
    cols = np.concatenate(groups) if groups else np.empty(0, dtype=np.int64)
    if cols.dtype.kind not in "iu":
        raise ValueError(f"relevant holds {cols.dtype} values; gallery indices (integers) are needed")
    rows = np.repeat(np.arange(n_queries), sizes)
    outside = (cols < 0) | (cols >= n_gallery)
    if outside.any():
        at = int(np.argmax(outside))
        raise ValueError(f"relevant[{rows[at]}] names item {cols[at]}; the gallery has items 0..{n_gallery - 1}")
    return rows, cols.astype(np.int64)


def _best_of(rows: np.ndarray, scores: np.ndarray, n_queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Best relevant score of each query, and how many relevant items reach it."""
    best = np.full(n_queries, -np.inf)
    np.maximum.at(best, rows, scores)
    return best, np.bincount(rows[scores == best[rows]], minlength=n_queries)


def _rank(greater: np.ndarray, equal: np.ndarray, tied_relevant: np.ndarray, ties: Ties) -> np.ndarray:
    """Rank of the first relevant item: `equal` rivals and `tied_relevant` relevant items share its score."""
    # In a random order of r relevant and t other items, t / (r + 1) others precede the first relevant: t / 2 for one.
    extra = {"mid": equal / (tied_relevant + 1.0), "min": 0.0 * equal, "max": 1.0 * equal}[ties]
    return 1.0 + greater + extra


def _tolerance(q: np.ndarray, g: np.ndarray) -> np.ndarray:
    """How near two scores of a query must be to be compared in float64; 1e-5 for unit vectors."""
    longest = np.linalg.norm(g.astype(np.float64), axis=1).max()
    return NEAR * longest * np.linalg.norm(q.astype(np.float64), axis=1)


def _score_chunks(q: np.ndarray, g: np.ndarray, memory_mb: int) -> Iterator[tuple[int, np.ndarray]]:
    """Float32 scores of consecutive queries: (first query, (rows, N) scores)."""
    step = max(1, int(memory_mb * 2**20 / (BYTES_PER_SCORE * len(g))))
    q32, g32 = q.astype(np.float32, copy=False), g.astype(np.float32, copy=False)
    for start in range(0, len(q), step):
        yield start, q32[start : start + step] @ g32.T


def _dot64(q: np.ndarray, g: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Float64 dot products of listed pairs; each depends on its two rows alone, not on its place in the list."""
    out = np.empty(len(rows))
    step = max(1, 2**20 // max(1, q.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        out[part] = np.multiply(q[rows[part]], g[cols[part]], dtype=np.float64).sum(axis=1)
    return out


def _ranks(ranks: Any) -> np.ndarray:
    checked = finite_array(ranks, "ranks", 1)
    if checked.size == 0:
        raise ValueError("no ranks: a set of queries without members has no score")
    if (checked < 1).any():
        raise ValueError(f"ranks start at 1; entry {int(np.argmax(checked < 1))} is {checked.min():g}")
    return checked
