"""What is read from ranks: recall, median rank, reciprocal rank, average precision, discounted gain, tie rate.

A rank of +inf is a query (or a relevant item) that was not found and cannot be: it counts, as a miss. What is read is
the mean or median over all queries given, so a query never vanishes from a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "mean_average_precision_at_k", "mean_reciprocal_rank", "median_rank", "ndcg_at_k", "normalized_median_rank",
    "oracle_normalised", "recall_at_k", "tie_rate",
]  # fmt: skip


def recall_at_k(ranks: Any, k: int) -> float:
    """R@k: share of queries whose relevant item ranks k-th or better, in percent (the music papers' recall).

    Args:
        ranks: (Q,) ranks from 1; a fractional one is that of a tie, +inf a miss.
        k: cut, 1 or more.

    Returns:
        Percent of the queries.

    Raises:
        ValueError: no ranks, ranks that are NaN or below 1, k below 1.

    Example:
        >>> recall_at_k([1, 3, 12, 2], 3)
        75.0
    """
    _check_k(k)
    return float(100.0 * np.mean(_ranks(ranks) <= k))


def median_rank(ranks: Any) -> float:
    """MedR: median rank, in ranks; +inf where half of the queries or more are misses.

    Example:
        >>> median_rank([1, 3, 12, 2])
        2.5
    """
    return float(np.median(_ranks(ranks)))


def normalized_median_rank(ranks: Any, n_gallery: int) -> float:
    """NMedR: 100 · MedR / N, in percent of the gallery (the paper's "MedR (%)"); +inf where MedR is.

    Example:
        >>> normalized_median_rank([1, 3, 12, 2], 50)
        5.0
    """
    checked = _ranks(ranks)
    largest = checked[np.isfinite(checked)].max(initial=1.0)
    if n_gallery < largest:
        raise ValueError(f"a rank of {largest:g} cannot come from a gallery of {n_gallery}")
    return 100.0 * median_rank(checked) / n_gallery


def mean_reciprocal_rank(ranks: Any) -> float:
    """MRR: mean of 1 / rank, in percent; 0 for a miss.

    Example:
        >>> mean_reciprocal_rank([1, 2, 4, 4])
        50.0
    """
    return float(100.0 * np.mean(1.0 / _ranks(ranks)))


def mean_average_precision_at_k(ranks: Any, k: int, n_relevant: Any = None) -> float:
    """mAP@k: mean over queries of the sum of precisions at the relevant items of rank ≤ k, over R, in percent.

    R is the number of all relevant items of the query, as in trec_eval's `map_cut_k`; torchmetrics and many
    recommender papers divide by min(R, k), or by the number found, and report higher scores where R > k. With one
    relevant item a query this is MRR with ranks beyond k as misses.

    The precision at an item is the number of relevant items up to it over its rank. Tied relevant items share the mean
    of their places among the relevant ones, as mid-ranks share places in the gallery; no precision exceeds 1.

    Args:
        ranks: (Q,) ranks of the one relevant item of each query, or Q arrays of the ranks of all relevant items of a
            query (`relevant_ranks_all`). An empty array is a query without a relevant item: it counts, with 0.
        k: cut, 1 or more.
        n_relevant: (Q,) R of each query, where `ranks` leaves out relevant items that were not found; None: as many
            as there are ranks.

    Returns:
        Percent.

    Raises:
        ValueError: as for `recall_at_k`, or fewer relevant items than ranks.

    Example:
        >>> mean_average_precision_at_k([[1, 4], [2]], 10)
        62.5
    """
    _check_k(k)
    rows, flat, sizes = _ragged(ranks)
    total = sizes if n_relevant is None else _numbers(n_relevant, "n_relevant", len(sizes))
    if (total < sizes).any():
        at = int(np.argmax(total < sizes))
        raise ValueError(f"n_relevant[{at}] = {total[at]:g}, but query {at} has {sizes[at]} ranks of relevant items")
    precision = np.minimum(1.0, _place_within_query(rows, flat) / flat)
    precision[flat > k] = 0.0
    summed = np.bincount(rows, precision, minlength=len(sizes))
    return float(100.0 * np.mean(summed / np.maximum(total, 1.0)))


def ndcg_at_k(ranks: Any, k: int, gains: Any = None) -> float:
    """nDCG@k: mean over queries of DCG@k over the DCG@k of the best order, in percent.

    DCG@k = Σ gain / log₂(1 + rank) over the relevant items of rank ≤ k (Järvelin & Kekäläinen 2002 with trec_eval's
    `ndcg_cut` discount and its linear gain). Burges et al. 2005 and scikit-learn's users often take 2^gain − 1 instead,
    which favours the highest grades: pass those as gains. The best order has all relevant items of the query first, by
    gain, the ones that were not found too. A tied item is discounted at its (fractional) mid-rank; where a tie that
    straddles k would carry the sum beyond the best order's, the query has 100 %.

    Args:
        ranks: as for `mean_average_precision_at_k`.
        k: cut, 1 or more.
        gains: gain of each relevant item, 0 or more, in the shape of `ranks`; None: 1 each.

    Returns:
        Percent. A query without a relevant item, or with gains of 0 alone, counts with 0.

    Raises:
        ValueError: as for `recall_at_k`, or gains of another shape, negative or not finite.

    Example:
        >>> round(ndcg_at_k([[2, 3]], 10), 2)
        69.34
        >>> round(ndcg_at_k([[1, 2]], 10, gains=[[1, 3]]), 2)
        79.67
    """
    _check_k(k)
    rows, flat, sizes = _ragged(ranks)
    gain = np.ones(len(flat)) if gains is None else _gains(gains, sizes)
    best_first = np.lexsort((-gain, rows))
    place = 1.0 + np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = np.bincount(rows, np.where(flat <= k, gain / np.log2(1.0 + flat), 0.0), minlength=len(sizes))
    ideal_gain = np.where(place <= k, gain[best_first] / np.log2(1.0 + place), 0.0)
    ideal = np.bincount(rows, ideal_gain, minlength=len(sizes))
    return float(100.0 * np.mean(np.minimum(1.0, found / np.where(ideal > 0, ideal, np.inf))))


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


def _check_k(k: int) -> None:
    if not k >= 1:
        raise ValueError(f"k = {k}; it must be 1 or more")


def _ranks(ranks: Any) -> np.ndarray:
    checked = np.asarray(ranks, dtype=np.float64)
    if checked.ndim != 1:
        raise ValueError(f"ranks has shape {checked.shape}; one rank a query is needed")
    if checked.size == 0:
        raise ValueError("no ranks: a set of queries without members has no score")
    return _from_one(checked)


def _from_one(ranks: np.ndarray) -> np.ndarray:
    bad = ~(ranks >= 1)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"ranks start at 1; {int(bad.sum())} of {ranks.size} entries are NaN or below, the first is entry {at}: "
            f"{ranks[at]:g}"
        )
    return ranks


def _ragged(ranks: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Query and rank of every relevant item, and how many each query has."""
    flat, sizes = _flatten(ranks, "ranks")
    if len(sizes) == 0:
        raise ValueError("no ranks: a set of queries without members has no score")
    return np.repeat(np.arange(len(sizes)), sizes), _from_one(flat), sizes


def _flatten(values: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, or arrays of numbers, a query -> all of them in a row, and how many each query has."""
    if isinstance(values, Sequence) and any(np.ndim(entry) for entry in values):
        deep = [i for i, entry in enumerate(values) if np.ndim(entry) != 1]
        if deep:
            raise ValueError(f"{name}[{deep[0]}] must be a list of numbers, as those of other queries are")
        groups = [np.asarray(entry, dtype=np.float64) for entry in values]
        return np.concatenate(groups), np.array([len(group) for group in groups], dtype=np.int64)
    array = np.asarray(values)
    if array.dtype == object:
        return _flatten(list(array), name)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {array.shape}; a number, or a list of numbers, a query is needed")
    width = 1 if array.ndim == 1 else array.shape[1]
    return array.astype(np.float64).ravel(), np.full(len(array), width, dtype=np.int64)


def _gains(gains: Any, sizes: np.ndarray) -> np.ndarray:
    flat, shape = _flatten(gains, "gains")
    if not np.array_equal(shape, sizes):
        raise ValueError("gains must have one entry for each rank, query by query")
    bad = ~((flat >= 0) & np.isfinite(flat))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"gains must be finite and 0 or more; {int(bad.sum())} of {flat.size} are not, the first is of query "
            f"{int(np.searchsorted(np.cumsum(sizes), at, side='right'))}: {flat[at]:g}"
        )
    return flat


def _numbers(values: Any, name: str, n: int) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,) or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"{name} must hold {n} numbers of 0 or more, one a query")
    return array


def _place_within_query(rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Place of each relevant item among those of its query, 1 first; equal ranks share the mean of their places."""
    if len(rows) == 0:
        return np.empty(0)
    order = np.lexsort((ranks, rows))
    row, rank = rows[order], ranks[order]
    new = np.concatenate([[True], (row[1:] != row[:-1]) | (rank[1:] != rank[:-1])])
    first, group = np.flatnonzero(new), np.cumsum(new) - 1
    size = np.diff(np.append(first, len(row)))
    places = np.empty(len(row))
    places[order] = (first + (size + 1) / 2)[group] - np.searchsorted(row, row)
    return places
