"""Control by the truth: what is removed from the top of the list, what is kept, and the trade between them.

Everything is read from `top`, the (Q, k) gallery indices that a query retrieves, and from boolean arrays that say for
which gallery items a predicate over the truth holds (PROTOCOL.md 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.metrics.clap_score import clap_score

__all__ = [
    "at_removal", "frontier_area", "gained_at_k", "kept_at_k", "kept_relative_to_oracle", "oracle_kept_at_k",
    "oracle_top_k", "overlap_at_k", "removal_at_k", "share_at_k", "twin_wins",
]  # fmt: skip

#: For each query, one (N,) boolean array for every attribute that it states.
Stated = Sequence[Sequence[np.ndarray]]


def share_at_k(top: Any, holds: Any) -> np.ndarray:
    """Share of each query's top k for which a predicate holds (`negated_share@10`).

    Args:
        top: (Q, k) gallery indices.
        holds: (N,) booleans for all queries, or (Q, N) for each.

    Returns:
        (Q,) shares in [0, 1].

    Raises:
        ValueError: an index outside the gallery, or shapes that do not fit.

    Example:
        >>> share_at_k([[0, 1], [2, 1]], [True, True, False])
        array([1. , 0.5])
    """
    mask = np.asarray(holds, dtype=bool)
    indices = _top(top, mask.shape[-1])
    if mask.ndim == 1:
        return mask[indices].mean(axis=1)
    if mask.ndim != 2 or len(mask) != len(indices):
        raise ValueError(f"holds has shape {mask.shape}; it must be (N,) or ({len(indices)}, N)")
    return np.take_along_axis(mask, indices, axis=1).mean(axis=1)


def removal_at_k(before_top: Any, top: Any, holds: Any) -> np.ndarray:
    """Negated share that a control takes out of the list: the share before minus the share after (PROTOCOL.md 5).

    At most what was there before: divide by `share_at_k(before_top, holds)` for the removed fraction.

    Args:
        before_top: (Q, k) gallery indices of the unmodified queries.
        top: (Q, k) gallery indices of the same queries under the control.
        holds: (N,) or (Q, N) booleans: the item has the negated value.

    Returns:
        (Q,) differences in [-1, 1]; below 0 where the list has more of the value than before.

    Raises:
        ValueError: lists of different shapes, an index outside the gallery, or shapes that do not fit.

    Example:
        >>> removal_at_k([[0, 1], [0, 2]], [[2, 3], [0, 1]], [True, True, False, False])
        array([ 1. , -0.5])
    """
    _same_shape(before_top, top)
    return share_at_k(before_top, holds) - share_at_k(top, holds)


def gained_at_k(before_top: Any, top: Any, holds: Any) -> np.ndarray:
    """Wanted share that an edit brings into the list: the share after minus the share before (`gained@10`).

    The sign is that of `removal_at_k` turned round, since more of the value is better here, and so is the ceiling: an
    edit can gain what was not there yet, at most 1 − before, and no more than the gallery has of the value.

    Args:
        before_top: (Q, k) gallery indices of the original queries.
        top: (Q, k) gallery indices of the edited queries.
        holds: (N,) or (Q, N) booleans: the item has the wanted value.

    Returns:
        (Q,) differences in [-1, 1]; below 0 where the edit lost some of the value.

    Raises:
        ValueError: lists of different shapes, an index outside the gallery, or shapes that do not fit.

    Example:
        >>> gained_at_k([[0, 1], [0, 2]], [[2, 3], [0, 1]], [False, False, True, True])
        array([ 1. , -0.5])
    """
    _same_shape(before_top, top)
    return share_at_k(top, holds) - share_at_k(before_top, holds)


def twin_wins(queries: Any, with_value: Any, without: Any) -> np.ndarray:
    """Whether a query is nearer to the piece without a value than to its twin with it (PROTOCOL.md 5).

    The two differ in that value alone, so nothing else can decide. The mean over queries is the twin accuracy; 0.5 is
    what a query that does not care gets.

    Args:
        queries: (Q, d) query latents.
        with_value: (Q, d) latents of the pieces that have the value.
        without: (Q, d) latents of their twins; a row of NaN where there is no twin.

    Returns:
        (Q,) 1 for nearer (by cosine) to the twin without, 0 for the other, 0.5 for neither; NaN without a twin.

    Raises:
        ValueError: shapes that differ, vectors of zeros.

    Example:
        >>> twin_wins([[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]])
        array([1.])
    """
    twins = np.asarray(without, dtype=np.float64)
    known = ~np.isnan(twins).any(axis=1)
    q, a = np.asarray(queries, dtype=np.float64)[known], np.asarray(with_value, dtype=np.float64)[known]
    out = np.full(len(twins), np.nan)
    out[known] = 0.5 + 0.5 * np.sign(clap_score(q, twins[known]) - clap_score(q, a))
    return out


def kept_at_k(top: Any, stated: Stated) -> np.ndarray:
    """Share of the top k that has what the query states, averaged over the stated attributes.

    Args:
        top: (Q, k) gallery indices.
        stated: for each query a list of (N,) boolean arrays, one a stated attribute; arrays may be shared.

    Returns:
        (Q,) shares in [0, 1]; NaN for a query that states nothing.

    Raises:
        ValueError: another number of queries in `stated`, or an index outside the gallery.

    Example:
        >>> kept_at_k([[0, 1], [0, 2]], [[np.array([True, False, True]), np.array([True, True, False])], []])
        array([0.75,  nan])
    """
    indices = _top(top)
    _same_queries(len(indices), stated)
    out = np.full(len(indices), np.nan)
    for row, masks in enumerate(stated):
        if len(masks):
            _top(indices[row : row + 1], min(len(mask) for mask in masks))
            out[row] = np.mean([mask[indices[row]].mean() for mask in masks])
    return out


def oracle_top_k(stated: Sequence[np.ndarray], negated: Any, k: int) -> np.ndarray:
    """Which items an oracle returns for one query: those without the negated value that satisfy most stated attributes.

    The oracle orders items by (lacks the negated value, number of stated attributes satisfied). Items that tie at the
    k-th place share the places left, as the expectation over a random order among them.

    Args:
        stated: (N,) boolean arrays, one a stated attribute; may be empty.
        negated: (N,) booleans: the item has the negated value.
        k: length of the list, at most N.

    Returns:
        (N,) probability that an item is in the top k; they add up to k.

    Raises:
        ValueError: k out of range, or arrays of different lengths.

    Example:
        >>> oracle_top_k([np.array([True, True, True, False])], [True, False, False, False], 3)
        array([0., 1., 1., 1.])
        >>> oracle_top_k([np.array([True, True, True, False])], [True, False, False, False], 1)
        array([0. , 0.5, 0.5, 0. ])
    """
    has = np.asarray(negated, dtype=bool)
    if not 1 <= k <= len(has):
        raise ValueError(f"k = {k}; the gallery has {len(has)} items, so k must lie in 1..{len(has)}")
    order = np.where(has, 0, len(stated) + 1)
    for mask in stated:
        if len(mask) != len(has):
            raise ValueError(f"a stated attribute covers {len(mask)} items, the negated one {len(has)}")
        order = order + mask
    last = np.partition(order, len(has) - k)[len(has) - k]
    above, level = order > last, order == last
    return above + level * ((k - np.count_nonzero(above)) / np.count_nonzero(level))


def oracle_kept_at_k(stated: Stated, negated: Any, k: int = 10) -> np.ndarray:
    """Expected `kept_at_k` of the oracle's list: the most that obeying the negative leaves.

    Args:
        stated: as for `kept_at_k`.
        negated: (Q, N) booleans, or (N,) for all queries.
        k: length of the list.

    Returns:
        (Q,) shares in [0, 1]; NaN for a query that states nothing.

    Example:
        >>> oracle_kept_at_k([[np.array([True, True, False])]], [[True, False, False]], 2)
        array([0.5])
    """
    has = np.asarray(negated, dtype=bool)
    if has.ndim == 2:
        _same_queries(len(has), stated)
    out = np.full(len(stated), np.nan)
    for row, masks in enumerate(stated):
        if len(masks):
            weights = oracle_top_k(masks, has[row] if has.ndim == 2 else has, k)
            out[row] = np.mean([weights[mask].sum() for mask in masks]) / k
    return out


def kept_relative_to_oracle(top: Any, stated: Stated, negated: Any) -> np.ndarray:
    """`kept@10`: what the list keeps of the stated attributes, divided by what the oracle's keeps.

    Above 1 only where the list keeps more by not obeying the negative.

    Returns:
        (Q,) ratios, 0 or more; NaN where the query states nothing or the oracle itself can keep nothing.

    Example:
        >>> kept_relative_to_oracle([[1, 2]], [[np.array([True, True, False])]], [[True, False, False]])
        array([1.])
    """
    best = oracle_kept_at_k(stated, negated, _top(top).shape[1])
    return kept_at_k(top, stated) / np.where(best > 0, best, np.nan)


def overlap_at_k(top_a: Any, top_b: Any) -> np.ndarray:
    """Share of the items that two lists of the same query have in common, whatever their order.

    Args:
        top_a: (Q, k) gallery indices, no repeats within a row.
        top_b: (Q, k) gallery indices.

    Returns:
        (Q,) shares in [0, 1].

    Example:
        >>> overlap_at_k([[0, 1], [2, 3]], [[1, 0], [3, 4]])
        array([1. , 0.5])
    """
    a, b = _same_shape(top_a, top_b)
    return (a[:, :, None] == b[:, None, :]).any(axis=2).mean(axis=1)


def frontier_area(removal: Any, kept: Any) -> np.ndarray:
    """Area under the removal–kept frontier of a sweep of strengths.

    The frontier at x is the best `kept` of any point that removes x or more, joined by straight lines, and 0 beyond the
    largest removal reached. An ideal control (removes all, keeps all) has area 1.

    Args:
        removal: (..., S) removed fraction of what was there, one entry a point of the sweep; the unmodified point, 0,
            is one of them. Values outside [0, 1] count as 0 and 1.
        kept: (..., S) kept share at the same points.

    Returns:
        (...) areas; NaN where a point is NaN.

    Example:
        >>> float(frontier_area([0.0, 0.5, 1.0], [1.0, 0.8, 0.0]))
        0.65
    """
    x, y = _sweep(removal, kept)
    x = np.clip(x, 0.0, 1.0)
    # Equal removals by kept, best last: the line onwards starts at the best of them.
    order = np.lexsort((y, x), axis=-1)
    x, y = np.take_along_axis(x, order, -1), np.take_along_axis(y, order, -1)
    best = np.flip(np.maximum.accumulate(np.flip(y, -1), axis=-1), -1)
    strips = np.diff(x, axis=-1) * (best[..., 1:] + best[..., :-1]) / 2
    return x[..., 0] * best[..., 0] + strips.sum(axis=-1)


def at_removal(removal: Any, values: Any, target: Any) -> np.ndarray:
    """A measure at a given removal, by straight lines between neighbouring points of a sweep.

    Where several stretches of the sweep pass the target, the first counts: the weakest strength that gets there.

    Args:
        removal: (..., S) removed fraction at each point, in the order of strength; the unmodified point first.
        values: (..., S) the measure at the same points.
        target: (...) or one number: the removal asked for.

    Returns:
        (...) interpolated values; NaN where the sweep does not pass the target.

    Example:
        >>> at_removal([0.0, 0.4, 0.8], [1.0, 0.9, 0.5], [0.2, 0.6, 0.9])
        array([0.95, 0.7 ,  nan])
    """
    x, y = _sweep(removal, values)
    t = np.asarray(target, dtype=np.float64)[..., None]
    if x.shape[-1] == 1:
        x, y = np.repeat(x, 2, axis=-1), np.repeat(y, 2, axis=-1)
    x, y, t = np.broadcast_arrays(x, y, t)
    low, high = np.minimum(x[..., :-1], x[..., 1:]), np.maximum(x[..., :-1], x[..., 1:])
    inside = (low <= t[..., 1:]) & (t[..., 1:] <= high)
    t = t[..., 0]
    first = inside.argmax(axis=-1)[..., None]
    x0, x1 = (np.take_along_axis(x, first + i, -1)[..., 0] for i in (0, 1))
    y0, y1 = (np.take_along_axis(y, first + i, -1)[..., 0] for i in (0, 1))
    width = np.where(x1 != x0, x1 - x0, 1.0)
    return np.where(inside.any(axis=-1), y0 + (t - x0) / width * (y1 - y0), np.nan)


def _sweep(removal: Any, values: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(removal, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-1] or x.shape[-1] == 0:
        raise ValueError(f"a sweep needs as many removals as values, one or more; got shapes {x.shape} and {y.shape}")
    x, y = np.broadcast_arrays(x, y)
    missing = np.isnan(x) | np.isnan(y)
    return np.where(missing, np.nan, x), np.where(missing, np.nan, y)


def _top(top: Any, n_gallery: int | None = None) -> np.ndarray:
    indices = np.asarray(top)
    if indices.ndim != 2 or indices.shape[1] == 0 or indices.dtype.kind not in "iu":
        raise ValueError(f"top has shape {indices.shape} and type {indices.dtype}; (Q, k) gallery indices are needed")
    if indices.size and (indices.min() < 0 or (n_gallery is not None and indices.max() >= n_gallery)):
        bound = "" if n_gallery is None else f" of {n_gallery} items"
        raise ValueError(f"top names items {indices.min()}..{indices.max()}, outside the gallery{bound}")
    return indices


def _same_shape(top_a: Any, top_b: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = _top(top_a), _top(top_b)
    if a.shape != b.shape:
        raise ValueError(f"lists of shape {a.shape} and {b.shape} cannot be compared")
    return a, b


def _same_queries(n_queries: int, stated: Stated) -> None:
    if len(stated) != n_queries:
        raise ValueError(f"{n_queries} queries, but stated has {len(stated)} entries")
