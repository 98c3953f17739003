"""Intervals and tests by resampling whole clusters (public names are in bench.stats)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench._stats_clustered import Estimate, Interval, cluster_codes, interval, t_interval

__all__ = ["bootstrap_ci", "jackknife_ci", "jackknife_estimate", "median_rank_ci", "paired_permutation"]

#: With fewer clusters the percentile bootstrap is too narrow, and a t interval takes its place (PROTOCOL.md 8).
FEW_CLUSTERS = 30
#: Entries of a chunk of resampling weights (32 MiB as float64).
CHUNK = 2**22


def bootstrap_ci(
    values: Any, clusters: Any = None, n_resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of means, resampling whole clusters; columns share the same resamples.

    With fewer than 30 clusters it is a t interval with G − 1 degrees of freedom and a cluster-robust error.

    Args:
        values: (n,) values or (n, c) columns, such as several systems on the same queries; NaN entries do not count.
        clusters: (n,) labels; None makes every row a cluster.
        n_resamples: number of resamples.
        seed: of the resamples; equal seeds and clusters resample alike, so differences of columns are paired.
        level: confidence level.

    Returns:
        Ends as floats for (n,) values, as (c,) arrays for columns; NaN for fewer than two clusters.

    Raises:
        ValueError: labels of another length, values without rows.

    Example:
        >>> ci = bootstrap_ci([0.0, 1.0] * 50, n_resamples=1000)
        >>> bool(0.35 < ci.lo < 0.5 < ci.hi < 0.65)
        True
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or len(array) == 0:
        raise ValueError(f"values have shape {array.shape}; (n,) or (n, columns) with rows are needed")
    table = array if array.ndim == 2 else array[:, None]
    present = ~np.isnan(table)
    rows: np.ndarray = np.any(present, axis=1)
    codes, count = cluster_codes(None if clusters is None else _subset(clusters, rows, len(table)), int(rows.sum()))
    table, present = table[rows], present[rows]
    sums = _by_cluster(np.where(present, table, 0.0), codes, count)
    sizes = _by_cluster(present.astype(np.float64), codes, count)
    if count < FEW_CLUSTERS:
        result = _clustered_t(sums, sizes, level)
    else:
        means = np.concatenate([_ratio(w @ sums, w @ sizes) for w in _weights(count, n_resamples, seed)])
        lo, hi = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
        result = Interval(lo, hi)
    return result if array.ndim == 2 else Interval(*(float(np.asarray(end)[0]) for end in result))


def median_rank_ci(
    ranks: Any, clusters: Any = None, n_resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of the median rank, from the cumulative rank histogram of each resample.

    Args:
        ranks: (n,) ranks; NaN entries do not count.
        clusters: (n,) labels, resampled whole; None makes every row a cluster.
        n_resamples: number of resamples.
        seed: of the resamples.
        level: confidence level.

    Returns:
        Ends in ranks (scale by 100/N for NMedR).

    Raises:
        ValueError: no ranks, or labels of another length.

    Example:
        >>> ci = median_rank_ci(np.arange(1, 100))
        >>> bool(35 < ci.lo < 50 < ci.hi < 65)
        True
    """
    array = np.asarray(ranks, dtype=np.float64)
    present = ~np.isnan(array)
    if array.ndim != 1 or not present.any():
        raise ValueError(f"ranks have shape {array.shape} and {int(present.sum())} values; one or more are needed")
    codes, count = cluster_codes(None if clusters is None else _subset(clusters, present, len(array)), present.sum())
    order = np.argsort(array[present], kind="stable")
    values, owner = array[present][order], codes[order]
    medians = []
    for weights in _weights(count, n_resamples, seed, width=len(values)):
        cumulative = np.cumsum(weights.astype(np.int32)[:, owner], axis=1, dtype=np.int32)
        # The two middle members of the resample: the first to reach half, and the first to exceed it.
        double, total = 2 * cumulative, cumulative[:, -1:]
        medians.append((values[(double >= total).argmax(axis=1)] + values[(double > total).argmax(axis=1)]) / 2)
    lo, hi = np.quantile(np.concatenate(medians), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(lo), float(hi))


def jackknife_estimate(
    statistic: Callable[..., Any], x: Any, clusters: Any = None, groups: int = 20, seed: int = 0
) -> Estimate:
    """A statistic of a set (FAD, KAD, Vendi) with its delete-a-group jackknife error.

    Whole clusters are dealt to the groups at random; each group in turn is left out. Equal clusters and seed give equal
    groups, so that differences of systems are paired. Groups of unequal size are weighted as in Busing et al. (1999).

    Args:
        statistic: called with a subset of the rows of x; with one subset an array if x is a tuple.
        x: (n, ...) array, or a tuple of arrays with equal first axis.
        clusters: (n,) labels; None makes every row a cluster.
        groups: number of groups, or of clusters if that is smaller.
        seed: of the deal.

    Returns:
        The statistic of all rows, its standard error (NaN for fewer than 2 clusters), groups − 1 degrees of freedom.

    Raises:
        ValueError: arrays of different length, no rows, groups < 2.

    Example:
        >>> estimate = jackknife_estimate(np.mean, np.arange(40.0), groups=20)
        >>> (estimate.value, estimate.df)
        (19.5, 19)
    """
    parts = tuple(np.asarray(part) for part in (x if isinstance(x, tuple) else (x,)))
    n = len(parts[0])
    if n == 0 or any(len(part) != n for part in parts):
        raise ValueError(f"arrays of {[len(part) for part in parts]} rows; equal numbers, one or more, are needed")
    if groups < 2:
        raise ValueError(f"groups = {groups}; a jackknife needs 2 or more")
    value = float(statistic(*parts))
    codes, count = cluster_codes(clusters, n)
    groups = min(groups, count)
    if groups < 2:
        return Estimate(value, np.nan, 0)
    group = (np.random.default_rng(seed).permutation(count) % groups)[codes]
    without = np.array([float(statistic(*(part[group != g] for part in parts))) for g in range(groups)])
    share = n / np.bincount(group, minlength=groups)
    pseudo = share * value - (share - 1) * without
    centre = groups * value - np.sum((1 - 1 / share) * without)
    variance = np.mean((pseudo - centre) ** 2 / (share - 1))
    return Estimate(value, float(np.sqrt(variance)), groups - 1)


def jackknife_ci(
    statistic: Callable[..., Any], x: Any, clusters: Any = None, groups: int = 20, level: float = 0.95, seed: int = 0
) -> Interval:
    """t interval of a statistic of a set, from `jackknife_estimate`.

    Example:
        >>> ci = jackknife_ci(np.std, np.random.default_rng(0).normal(size=400))
        >>> bool(ci.lo < 1 < ci.hi)
        True
    """
    return interval(jackknife_estimate(statistic, x, clusters, groups, seed), level)


def paired_permutation(a: Any, b: Any, clusters: Any = None, n: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of "a and b have the same mean", by swapping the two systems within whole clusters.

    All 2^G swaps are tried where they are no more than n, else n random ones; then p counts the observed one too, so
    that it is never 0.

    Args:
        a: (n,) values of one system.
        b: (n,) values of the other on the same queries; pairs with a NaN do not count.
        clusters: (n,) labels; None makes every row a cluster.
        n: number of random swaps.
        seed: of the swaps.

    Raises:
        ValueError: shapes that differ, no complete pair, labels of another length.

    Example:
        >>> paired_permutation([1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 0.0, 0.0, 0.0, 0.0])
        0.0625
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"a has shape {first.shape} and b {second.shape}; rows are compared in pairs")
    difference = first - second
    present = ~np.isnan(difference)
    if not present.any():
        raise ValueError("a and b have no complete pair")
    kept = None if clusters is None else _subset(clusters, present, len(difference))
    codes, count = cluster_codes(kept, int(present.sum()))
    sums = np.bincount(codes, weights=difference[present], minlength=count)
    # Swaps that only reorder the same sum may differ in the last bits.
    reached = abs(sums.sum()) * (1 - 1e-12) - 1e-12 * np.abs(sums).sum()
    if 2**count <= n:
        signs = 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float(np.mean(np.abs(signs @ sums) >= reached))
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // count)
    hits = 0
    for start in range(0, n, step):
        signs = 2.0 * rng.integers(0, 2, (min(step, n - start), count), dtype=np.int8) - 1.0
        hits += int(np.count_nonzero(np.abs(signs @ sums) >= reached))
    return (1 + hits) / (1 + n)


def _weights(count: int, n_resamples: int, seed: int, width: int = 0) -> Iterator[np.ndarray]:
    """How often each cluster is drawn: chunks (rows, count) of an (n_resamples, count) matrix of multinomial counts."""
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // max(count, width))
    for start in range(0, n_resamples, step):
        rows = min(step, n_resamples - start)
        drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def _clustered_t(sums: np.ndarray, sizes: np.ndarray, level: float) -> Interval:
    """t intervals of the column means, from sums and sizes by cluster (G, c)."""
    total = sizes.sum(axis=0)
    count = (sizes > 0).sum(axis=0)
    means = _ratio(sums.sum(axis=0), total)
    deviations = sums - means * sizes
    factor = np.where(count > 1, count / np.maximum(count - 1, 1), np.nan)
    se = np.sqrt(factor * np.sum(deviations**2, axis=0)) / np.where(total > 0, total, np.nan)
    return t_interval(means, se, count - 1, level)


def _by_cluster(table: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    out = np.zeros((count, table.shape[1]))
    np.add.at(out, codes, table)
    return out


def _ratio(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return sums / np.where(sizes > 0, sizes, np.nan)


def _subset(clusters: Any, rows: np.ndarray, n: int) -> np.ndarray:
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"{n} rows, but cluster labels of shape {labels.shape}")
    return labels[rows]
