"""Estimates with cluster-robust standard errors (public names are in bench.stats)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

__all__ = [
    "Estimate", "Interval", "cluster_codes", "clustered_delta", "interval", "p_value", "t_interval",
    "two_way_clustered",
]  # fmt: skip


class Interval(NamedTuple):
    """Ends of a confidence interval; arrays where several columns were estimated at once."""

    lo: float | np.ndarray
    hi: float | np.ndarray


class Estimate(NamedTuple):
    """A value, its standard error and the degrees of freedom of its t distribution."""

    value: float
    se: float
    df: float


def two_way_clustered(values: Any, first: Any, second: Any = None) -> Estimate:
    """Mean of values whose rows are dependent within two crossed groupings, such as negatives and tracks.

    The variance is that of Cameron, Gelbach and Miller (2011): V₁ + V₂ − V₁₂, but no less than the larger of V₁ and V₂,
    because the difference can come out too small or negative. Each V is the jackknife's, which leaves out a cluster in
    turn (CR3 of Bell and McCaffrey 2002): G/(G − 1) Σ s² for clusters of equal size with sums s, more for unequal ones,
    of which the plain factor makes too little when they are few.

    Args:
        values: (n,) values; NaN rows do not count, and an infinite one makes the error NaN.
        first: (n,) labels of the first grouping.
        second: (n,) labels of the second grouping; None clusters one way only.

    Returns:
        Mean, standard error and min(G₁, G₂) − 1 degrees of freedom; the error is NaN for fewer than two clusters.

    Raises:
        ValueError: values that are not (n,), labels of another length or missing.

    Example:
        >>> two_way_clustered([1.0, 2.0, 3.0, 6.0], [0, 0, 1, 1], ["a", "b", "a", "b"]).value
        3.0
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"values have shape {array.shape}; one value a row is needed")
    present = ~np.isnan(array)
    groupings = [cluster_codes(given, len(array), present) for given in (first, second) if given is not None]
    kept = array[present]
    if len(kept) == 0:
        return Estimate(np.nan, np.nan, 0)
    with np.errstate(invalid="ignore"):
        mean = kept.mean()
        return _estimate(float(mean), (kept - mean) / len(kept), groupings)


def clustered_delta(
    statistic: Callable[[np.ndarray], np.ndarray], columns: Any, first: Any, second: Any = None
) -> Estimate:
    """A smooth function of column means, with clustered errors: ratios, areas, differences of differences.

    Each row's influence is what the statistic loses when the row's deviation is taken out of every column mean; the
    clustered variance is taken over the influences. For a linear statistic that is `two_way_clustered` exactly.

    Args:
        statistic: maps means (..., c) to values (...); called twice, once with all (n, c) perturbed means.
        columns: (n, c) values; NaN entries do not count in their column, and an infinite one makes the error NaN.
        first: (n,) labels of the first grouping.
        second: (n,) labels of the second grouping, or None.

    Returns:
        The statistic of the means, its standard error, and min(G₁, G₂) − 1 degrees of freedom.

    Raises:
        ValueError: columns that are not (n, c), labels of another length or missing.

    Example:
        >>> clustered_delta(lambda m: m[..., 0] / m[..., 1], [[1.0, 2.0], [3.0, 6.0]], [0, 1])
        Estimate(value=0.5, se=0.0, df=1)
    """
    array = np.asarray(columns, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"columns have shape {array.shape}; (rows, columns) are needed")
    rows = ~np.isnan(array).all(axis=1)
    groupings = [cluster_codes(given, len(array), rows) for given in (first, second) if given is not None]
    array = array[rows]
    present = ~np.isnan(array)
    counts = present.sum(axis=0)
    if len(array) == 0 or (counts == 0).any():
        return Estimate(np.nan, np.nan, 0)
    with np.errstate(invalid="ignore"):
        means = np.where(present, array, 0.0).sum(axis=0) / counts
    value = float(statistic(means))
    if not np.isfinite(means).all():
        return Estimate(value, np.nan, min(count for _, count in groupings) - 1)
    steps = np.where(present, array - means, 0.0) / counts
    influence = value - np.asarray(statistic(means - steps), dtype=np.float64)
    return _estimate(value, influence - influence.mean(), groupings)


def interval(estimate: Estimate, level: float = 0.95) -> Interval:
    """Symmetric t interval of an estimate; NaN ends where its error is not known.

    Example:
        >>> [round(end, 2) for end in interval(Estimate(1.0, 0.5, 9))]
        [-0.13, 2.13]
    """
    return t_interval(estimate.value, estimate.se, estimate.df, level)


def t_interval(value: Any, se: Any, df: Any, level: float) -> Interval:
    """t intervals of numbers or arrays; NaN where df < 1."""
    if not 0 < level < 1:
        raise ValueError(f"level = {level}; it must lie between 0 and 1")
    known = np.asarray(df) >= 1
    half = np.where(known, stdtrit(np.where(known, df, 1.0), 0.5 + level / 2), np.nan) * se
    lo, hi = value - half, value + half
    return Interval(float(lo), float(hi)) if np.ndim(lo) == 0 else Interval(lo, hi)


def p_value(estimate: Estimate, margin: float = 0.0) -> float:
    """Two-sided p of a t test of "the effect equals the margin"; NaN where the error is not known.

    With an error of exactly 0 (every row says the same) p is 1 if the effect equals the margin, else 0.

    Example:
        >>> round(p_value(Estimate(1.0, 0.5, 9), margin=0.0), 3)
        0.077
    """
    distance = abs(estimate.value - margin)
    if not (np.isfinite(distance) and np.isfinite(estimate.se)) or estimate.df < 1:
        return float("nan")
    if estimate.se == 0:
        return 1.0 if distance == 0 else 0.0
    return float(2.0 * stdtr(estimate.df, -distance / estimate.se))


def cluster_codes(clusters: Any, n: int, rows: Any = None) -> tuple[np.ndarray, int]:
    """Cluster labels as 0..G-1 in the labels' order, and G; every row its own cluster where clusters is None.

    Args:
        clusters: (n,) labels of one type, or None.
        n: number of rows.
        rows: (n,) mask of the rows that count, whose codes are returned; None for all.

    Raises:
        ValueError: labels of another length, or missing ones (None, NaN) in rows that count.
    """
    kept = np.ones(n, dtype=bool) if rows is None else np.asarray(rows)
    if clusters is None:
        number = int(kept.sum())
        return np.arange(number), number
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"{n} rows, but cluster labels of shape {labels.shape}")
    if labels.dtype == object:
        missing = kept & np.array([label is None or label != label for label in labels.tolist()], dtype=bool)
    else:
        missing = kept & np.asarray(labels != labels)
    if missing.any():
        raise ValueError(f"{int(missing.sum())} cluster labels are missing, the first in row {int(missing.argmax())}")
    if labels.dtype == object:
        return _object_codes(labels[kept])
    names, codes = np.unique(labels[kept], return_inverse=True)
    return codes.reshape(-1), len(names)


def _object_codes(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """What np.unique says of Python objects, which it sorts one and all; here only the distinct ones are."""
    at = {name: place for place, name in enumerate(sorted(set(labels.tolist())))}
    return np.fromiter(map(at.__getitem__, labels.tolist()), dtype=np.int64, count=len(labels)), len(at)


def _estimate(value: float, contributions: np.ndarray, coded: list[tuple[np.ndarray, int]]) -> Estimate:
    """Clustered standard error of a sum of contributions (n,), which add up to 0."""
    fewest = min(count for _, count in coded)
    if fewest < 2 or not np.isfinite(value):
        return Estimate(value, np.nan, max(fewest - 1, 0))
    variances = [_variance(contributions, *pair) for pair in coded]
    if len(coded) == 2:
        (one, _), (two, width) = coded
        both = _variance(contributions, *cluster_codes(one * width + two, len(contributions)))
        variances.append(variances[0] + variances[1] - both)
    return Estimate(value, float(np.sqrt(max(variances))), fewest - 1)


def _variance(contributions: np.ndarray, codes: np.ndarray, count: int) -> float:
    """Variance of a sum of contributions (n,): the squared shifts of a mean that leaves out one cluster in turn."""
    n = len(contributions)
    sizes = np.bincount(codes, minlength=count)
    shifts = np.bincount(codes, weights=contributions, minlength=count) * (n / (n - sizes))
    return float((count - 1) / count * (shifts @ shifts))
