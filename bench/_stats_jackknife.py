"""Errors of statistics of a set, which no resample may repeat items of (public names are in bench.stats)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench._stats_clustered import Estimate, Interval, cluster_codes, interval

__all__ = ["jackknife_ci", "jackknife_difference", "jackknife_estimate"]


def jackknife_estimate(
    statistic: Callable[..., Any], x: Any, clusters: Any = None, groups: int = 20, seed: int = 0
) -> Estimate:
    """A statistic of a set (FAD, KAD, Vendi) with its delete-a-group jackknife error.

    Whole clusters are dealt to the groups at random; each group in turn is left out. Equal clusters and seed give equal
    groups, so that differences of systems are paired. Groups of unequal size are weighted as in Busing et al. (1999).
    The error is that of the statistic around its mean at this n: a bias that depends on n, such as FAD's, is not in it.
    Where a statistic is near its extreme (Vendi of a flat spectrum, FAD of equal sets) the error is on the large side.

    Args:
        statistic: called with a subset of the rows of x; with one subset an array if x is a tuple.
        x: (n, ...) array, or a tuple of arrays with equal first axis.
        clusters: (n,) labels; None makes every row a cluster.
        groups: number of groups, or of clusters if that is smaller.
        seed: of the deal.

    Returns:
        The statistic of all rows, its standard error, groups − 1 degrees of freedom. The error is NaN for fewer than
        two clusters, and where the statistic is not finite on all rows or without one of the groups.

    Raises:
        ValueError: arrays of different length, no rows, groups < 2, labels of another length or missing.

    Example:
        >>> estimate = jackknife_estimate(np.mean, np.arange(40.0), groups=20)
        >>> (estimate.value, estimate.df)
        (19.5, 19)
    """
    parts = tuple(np.asarray(part) for part in (x if isinstance(x, tuple) else (x,)))
    lengths = [len(part) if part.ndim else 0 for part in parts]
    n = lengths[0] if lengths else 0
    if n == 0 or any(length != n for length in lengths):
        raise ValueError(f"arrays of {lengths} rows; equal numbers, one or more, are needed")
    if groups < 2:
        raise ValueError(f"groups = {groups}; a jackknife needs 2 or more")
    codes, count = cluster_codes(clusters, n)
    value = float(statistic(*parts))
    groups = min(groups, count)
    if groups < 2:
        return Estimate(value, np.nan, 0)
    group = (np.random.default_rng(seed).permutation(count) % groups)[codes]
    without = np.array([float(statistic(*(part[group != g] for part in parts))) for g in range(groups)])
    if not (np.isfinite(value) and np.isfinite(without).all()):
        return Estimate(value, np.nan, groups - 1)
    share = n / np.bincount(group, minlength=groups)
    pseudo = share * value - (share - 1) * without
    centre = groups * value - np.sum((1 - 1 / share) * without)
    variance = np.mean((pseudo - centre) ** 2 / (share - 1))
    return Estimate(value, float(np.sqrt(variance)), groups - 1)


def jackknife_ci(
    statistic: Callable[..., Any], x: Any, clusters: Any = None, groups: int = 20, level: float = 0.95, seed: int = 0
) -> Interval:
    """t interval of a statistic of a set, from `jackknife_estimate`, whose arguments and errors it shares.

    Example:
        >>> ci = jackknife_ci(np.std, np.random.default_rng(0).normal(size=400))
        >>> bool(ci.lo < 1 < ci.hi)
        True
    """
    return interval(jackknife_estimate(statistic, x, clusters, groups, seed), level)


def jackknife_difference(
    statistic: Callable[..., Any],
    x: Any,
    y: Any,
    clusters: Any = None,
    groups: int = 20,
    seed: int = 0,
    *,
    log_ratio: bool = False,
) -> Estimate:
    """A statistic of one set less that of another, row by row on the same queries: both lose the same groups.

    What moves both sets alike cancels, so the error is smaller than that of two separate jackknives. `interval` and
    `p_value` take the result. Sets that share no rows need two `jackknife_estimate`, whose variances add.

    Args:
        statistic: called with a subset of the rows of x, then of y; with one subset an array if they are tuples.
        x: (n, ...) array, or a tuple of arrays with equal first axis.
        y: the same for the other system, row i from the same query as row i of x.
        clusters: (n,) labels; None makes every row a cluster.
        groups: number of groups, or of clusters if that is smaller.
        seed: of the deal.
        log_ratio: log(statistic(x) / statistic(y)) instead of the difference, for two distances such as FAD.

    Returns:
        As `jackknife_estimate`.

    Raises:
        ValueError: x and y of different length, a value that is not above 0 where the log ratio is asked for, and what
            `jackknife_estimate` refuses.

    Example:
        >>> x, y = np.arange(40.0), np.arange(40.0) - 3.0
        >>> tuple(round(float(part), 6) for part in jackknife_difference(np.mean, x, y))
        (3.0, 0.0, 19.0)
    """
    one, two = (side if isinstance(side, tuple) else (side,) for side in (x, y))

    def difference(*parts: np.ndarray) -> float:
        a, b = float(statistic(*parts[: len(one)])), float(statistic(*parts[len(one) :]))
        if not log_ratio:
            return a - b
        if a <= 0 or b <= 0:
            raise ValueError(f"a log ratio needs values above 0; the statistic is {a:g} and {b:g}")
        return float(np.log(a / b))

    return jackknife_estimate(difference, (*one, *two), clusters, groups, seed)
