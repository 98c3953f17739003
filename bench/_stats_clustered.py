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

    The variance is that of Cameron, Gelbach and Miller (2011): V₁ + V₂ − V₁₂, each with its factor G/(G − 1), but no
    less than the larger of V₁ and V₂, because the difference can come out too small or negative.

    Args:
        values: (n,) values; NaN rows do not count.
        first: (n,) labels of the first grouping.
        second: (n,) labels of the second grouping; None clusters one way only.

    Returns:
        Mean, standard error and min(G₁, G₂) − 1 degrees of freedom; the error is NaN for fewer than two clusters.

    Raises:
        ValueError: labels of another length.

    Example:
        >>> two_way_clustered([1.0, 2.0, 3.0, 6.0], [0, 0, 1, 1], ["a", "b", "a", "b"]).value
        3.0
    """
    array = _as_column(values)
    present = ~np.isnan(array)
    labels = [_labels(given, len(array))[present] for given in (first, second) if given is not None]
    kept = array[present]
    if len(kept) == 0:
        return Estimate(np.nan, np.nan, 0)
    mean = kept.mean()
    return _estimate(float(mean), (kept - mean) / len(kept), labels)


def clustered_delta(
    statistic: Callable[[np.ndarray], np.ndarray], columns: Any, first: Any, second: Any = None
) -> Estimate:
    """A smooth function of column means, with clustered errors: ratios, areas, differences of differences.

    Each row's influence is what the statistic loses when the row's deviation is taken out of every column mean; the
    clustered variance is taken over the influences. For a linear statistic that is `two_way_clustered` exactly.

    Args:
        statistic: maps means (..., c) to values (...); called twice, once with all (n, c) perturbed means.
        columns: (n, c) values; NaN entries do not count in their column.
        first: (n,) labels of the first grouping.
        second: (n,) labels of the second grouping, or None.

    Returns:
        The statistic of the means, its standard error, and min(G₁, G₂) − 1 degrees of freedom.

    Raises:
        ValueError: columns that are not (n, c), labels of another length.

    Example:
        >>> clustered_delta(lambda m: m[..., 0] / m[..., 1], [[1.0, 2.0], [3.0, 6.0]], [0, 1])
        Estimate(value=0.5, se=0.0, df=1)
    """
    array = np.asarray(columns, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"columns have shape {array.shape}; (rows, columns) are needed")
    rows = ~np.isnan(array).all(axis=1)
    labels = [_labels(given, len(array))[rows] for given in (first, second) if given is not None]
    array = array[rows]
    present = ~np.isnan(array)
    counts = present.sum(axis=0)
    if len(array) == 0 or (counts == 0).any():
        return Estimate(np.nan, np.nan, 0)
    means = np.where(present, array, 0.0).sum(axis=0) / counts
    steps = np.where(present, array - means, 0.0) / counts
    value = float(statistic(means))
    influence = value - np.asarray(statistic(means - steps), dtype=np.float64)
    return _estimate(value, influence - influence.mean(), labels)


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


def cluster_codes(clusters: Any, n: int) -> tuple[np.ndarray, int]:
    """Cluster labels as 0..G-1, and G; every row its own cluster where clusters is None."""
    if clusters is None:
        return np.arange(n), n
    names, codes = np.unique(_labels(clusters, n), return_inverse=True)
    return codes.reshape(-1), len(names)


def _labels(labels: Any, n: int) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"{n} rows, but cluster labels of shape {array.shape}")
    return array


def _as_column(values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"values have shape {array.shape}; one value a row is needed")
    return array


def _estimate(value: float, contributions: np.ndarray, labels: list[np.ndarray]) -> Estimate:
    """Clustered standard error of a sum of contributions (n,), which add up to 0."""
    coded = [cluster_codes(label, len(contributions)) for label in labels]
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
    sums = np.bincount(codes, weights=contributions, minlength=count)
    return float(count / (count - 1) * (sums @ sums))
