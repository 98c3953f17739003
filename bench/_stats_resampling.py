"""Bootstrap intervals from resampled clusters (public names are in bench.stats)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri, pdtr, stdtrit

from bench._stats_clustered import Interval, cluster_codes, t_interval

__all__ = ["bootstrap_ci", "median_rank_ci", "resampled_counts"]

#: With fewer clusters the percentile bootstrap is too narrow, and a t interval takes its place (PROTOCOL.md 8).
FEW_CLUSTERS = 30
#: Counts held at a time: 1 MiB as float64, which stays in a core's cache.
ENTRIES = 2**17
#: Multiplications in one matrix product: OpenBLAS keeps one so small in its thread, and on a busy machine the others
#: would be waited for.
PRODUCT = 2**18
#: Standard deviations of a resample's total that are left out of the first pass of `resampled_counts`.
SPARE = 2.5
#: Standard errors around the median in which the medians of resamples are looked for first.
WINDOW = 6.0


def bootstrap_ci(
    values: Any,
    clusters: Any = None,
    n_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    *,
    method: Literal["percentile", "bca"] = "percentile",
) -> Interval:
    """Bootstrap interval of means, resampling whole clusters; columns share the same resamples.

    The mean of a resample is its sum over its number of values. The tails are those of Hesterberg's (2015) expanded
    interval, Φ(√(G/(G − 1)) t) with t of G − 1 degrees of freedom: without that it is too narrow by 4 % at 30 clusters
    and by 0.3 % at 700. A column with values in fewer than 30 clusters gets a t interval with G − 1 degrees of freedom
    and a cluster-robust error instead, whatever the method.

    "bca" is the bias-corrected and accelerated interval of Efron (1987, section 3), with the acceleration of a
    leave-one-cluster-out jackknife: better for skewed values. Where all resamples lie on one side of the estimate, or
    the correction has a pole between the ends, the column gets the percentile interval; without any spread among the
    clusters both ends are the mean.

    Means only. For two crossed groupings, such as negatives and tracks, use `two_way_clustered` and `interval`: no
    resampling of both groupings has the right variance (Owen 2007 is conservative). For a statistic of a set (FAD,
    KAD, Vendi) use `jackknife_ci`.

    Args:
        values: (n,) values or (n, c) columns, such as several systems on the same queries; NaN entries do not count.
        clusters: (n,) labels; None makes every row a cluster.
        n_resamples: number of resamples.
        seed: of the resamples; equal seeds and clusters resample alike, so differences of columns are paired.
        level: confidence level.
        method: "percentile" or "bca".

    Returns:
        Ends as floats for (n,) values, as (c,) arrays for columns; NaN for fewer than two clusters.

    Raises:
        TypeError: a function in place of values.
        ValueError: labels of another length or missing, values without rows, infinite values, n_resamples < 1, a level
            outside (0, 1), another method.

    Example:
        >>> ci = bootstrap_ci([0.0, 1.0] * 50, n_resamples=1000)
        >>> bool(0.35 < ci.lo < 0.5 < ci.hi < 0.65)
        True
    """
    if callable(values):
        raise TypeError(
            "bootstrap_ci takes values, not a statistic: metrics of a set (FAD, KAD, Vendi) take jackknife_ci, because "
            "a resample repeats items, which changes the metric, so that a percentile interval can exclude its own "
            "estimate"
        )
    if method not in ("percentile", "bca"):
        raise ValueError(f"method = {method!r}; it must be 'percentile' or 'bca'")
    _check(n_resamples, level)
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"values have shape {array.shape}; (n,) or (n, columns) with rows are needed")
    sums, sizes = _sums_and_sizes(array if array.ndim == 2 else array[:, None], clusters)
    result = _clustered_t(sums, sizes, level)
    many = (sizes > 0).sum(axis=0) >= FEW_CLUSTERS
    if many.any():
        ends = _bootstrap(sums[:, many], sizes[:, many], n_resamples, seed, level, method)
        np.asarray(result.lo)[many], np.asarray(result.hi)[many] = ends
    return result if array.ndim == 2 else Interval(*(float(np.asarray(end)[0]) for end in result))


def median_rank_ci(
    ranks: Any, clusters: Any = None, n_resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of the median rank, from the cumulative rank histogram of each resample.

    The tails are expanded for the number of clusters, as those of `bootstrap_ci`, which suffices from about ten
    clusters on; with fewer the interval is too narrow. Ties make it wider.
    A rank of +inf says that nothing relevant was found; where so many resamples have such a median, an end is inf.

    Args:
        ranks: (n,) ranks, 0 or more, +inf for a miss; NaN entries do not count.
        clusters: (n,) labels, resampled whole; None makes every row a cluster.
        n_resamples: number of resamples.
        seed: of the resamples.
        level: confidence level.

    Returns:
        Ends in ranks (scale by 100/N for NMedR); NaN for fewer than two clusters.

    Raises:
        ValueError: no ranks, a negative one, labels of another length or missing, n_resamples < 1, a level outside
            (0, 1).

    Example:
        >>> ci = median_rank_ci(np.arange(1, 100))
        >>> bool(35 < ci.lo < 50 < ci.hi < 65)
        True
        >>> median_rank_ci([1, 2, 3] + [np.inf] * 40)
        Interval(lo=inf, hi=inf)
    """
    _check(n_resamples, level)
    array = np.asarray(ranks, dtype=np.float64)
    present = ~np.isnan(array)
    if array.ndim != 1 or not present.any():
        raise ValueError(f"ranks have shape {array.shape} and {int(present.sum())} values; one or more are needed")
    _refuse(array < 0, "negative ranks")
    codes, count = cluster_codes(clusters, len(array), present)
    order = np.argsort(array[present], kind="stable")
    medians = _medians(array[present][order], codes[order], count, n_resamples, seed)
    if count < 2:
        return Interval(np.nan, np.nan)
    lo, hi = _quantiles(np.sort(medians)[:, None], _tails(level, np.array([count])))
    return Interval(float(lo[0]), float(hi[0]))


def resampled_counts(count: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each cluster is drawn in each resample: multinomial counts, exactly, in chunks.

    Independent Poisson counts are multinomial once their total is known. So each row gets Poisson counts of a rate
    just below 1, cheap to draw for all clusters at once, and then the few draws that its total falls short of `count`;
    a row whose total goes beyond is drawn anew, one cluster at a time. The chunks' size does not change the counts.

    Args:
        count: number of clusters, and of draws in a resample.
        n_resamples: number of resamples.
        seed: of the draws.

    Yields:
        (rows, count) float64 whole numbers whose rows add up to `count`.

    Example:
        >>> [chunk.sum(axis=1).tolist() for chunk in resampled_counts(5, 3, seed=0)]
        [[5.0, 5.0, 5.0]]
    """
    bounds, rare = _poisson_cells(max(1.0 - SPARE / np.sqrt(count), 0.1))
    # A stream a purpose: how many draws one purpose takes does not move those of another.
    uniform, seldom, singly = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    words = -(-count // 4)
    rows = max(1, ENTRIES // count)
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        cells = uniform.integers(0, 2**64, (size, words), dtype=np.uint64).view(np.uint16)
        drawn = np.zeros(cells.shape, dtype=np.uint8)
        beyond = np.empty(cells.shape, dtype=bool)
        for bound in bounds:
            np.greater_equal(cells, bound, out=beyond)
            drawn += beyond.view(np.uint8)
        (left,) = np.nonzero(beyond.reshape(-1))
        drawn.reshape(-1)[left] = seldom.choice(len(rare), len(left), p=rare)
        missing = count - drawn[:, :count].sum(axis=1, dtype=np.uint32).astype(np.int64)
        drawn[missing < 0] = 0
        missing[missing < 0] = count
        counts = drawn[:, :count].astype(np.float64)
        places = np.repeat(np.arange(size) * count, missing)
        places += singly.integers(0, count, len(places))
        np.add.at(counts.reshape(-1), places, 1.0)
        yield counts


def _poisson_cells(rate: float) -> tuple[np.ndarray, np.ndarray]:
    """A Poisson distribution of rate below 1 as cells of 16-bit numbers, and the distribution in the cells left over.

    A number at or beyond k of the bounds is a count of k; those at or beyond all of them (some 30 in 65 536) take a
    count from the second distribution: of rare counts, and of the parts of the others that do not fill a cell.
    """
    probabilities = np.diff(pdtr(np.arange(60), rate), prepend=0.0) * 2**16
    whole = np.where(probabilities < 32, 0.0, np.floor(probabilities))
    bounds = np.cumsum(whole[whole > 0]).astype(np.uint16)
    rare = probabilities - whole
    return bounds, rare / rare.sum()


def _bootstrap(
    sums: np.ndarray, sizes: np.ndarray, n_resamples: int, seed: int, level: float, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Ends (c,) of the interval of the ratios of sums (G, c) over sizes (G, c)."""
    means = sums.sum(axis=0) / sizes.sum(axis=0)
    off = sums - means * sizes
    # Columns without gaps share one column of sizes.
    shared = bool((sizes == sizes[:, :1]).all())
    table = np.concatenate([off, sizes[:, :1] if shared else sizes], axis=1)
    width = sums.shape[1]
    totals = np.empty((n_resamples, table.shape[1]))
    step, at = max(8, PRODUCT // table.size), 0
    for counts in resampled_counts(len(sums), n_resamples, seed):
        for start in range(0, len(counts), step):
            np.matmul(counts[start : start + step], table, out=totals[at + start : at + min(start + step, len(counts))])
        at += len(counts)
    # With 30 clusters or more that have values, no resample is without any.
    shifts = totals[:, :width] / totals[:, width:]
    shifts.sort(axis=0)
    tails = _tails(level, (sizes > 0).sum(axis=0))
    if method == "bca":
        left_out = -off / (sizes.sum(axis=0) - sizes)
        tails = _bca_tails(shifts, left_out, tails)
    lo, hi = means + _quantiles(shifts, tails)
    return lo, hi


def _bca_tails(shifts: np.ndarray, left_out: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Efron's (1987) corrected tails (2, c) for shifts (B, c) from the estimate and a jackknife's shifts (G, c)."""
    # Means that differ in rounding only are ties, and count half on either side.
    tie = 1e-12 * np.abs(shifts).max(axis=0)
    share = ((shifts < -tie).sum(axis=0) + (shifts <= tie).sum(axis=0)) / (2 * len(shifts))
    away = left_out.mean(axis=0) - left_out
    spread = np.sum(away**2, axis=0)
    acceleration = np.sum(away**3, axis=0) / (6 * np.where(spread > 0, spread, np.inf) ** 1.5)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = ndtri(share)
        moved = bias + ndtri(tails)
        scale = 1 - acceleration * moved
        corrected = ndtr(bias + moved / scale)
    usable = np.isfinite(bias) & (scale > 0).all(axis=0) & (spread > 0)
    return np.where(usable, corrected, tails)


def _quantiles(ordered: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Quantiles (t, c) at tails (t, c) of sorted columns (B, c), which may hold inf.

    Between two members it is linear, as NumPy's; but between two equal ones, infinite too, lies the same number.
    """
    place = tails * (len(ordered) - 1)
    below = np.floor(place).astype(np.int64)
    columns = np.arange(ordered.shape[1])
    lower, upper = ordered[below, columns], ordered[np.minimum(below + 1, len(ordered) - 1), columns]
    part = place - below
    with np.errstate(invalid="ignore"):
        between = lower + part * (upper - lower)
    return np.where((lower == upper) | (part == 0), lower, between)


def _medians(values: np.ndarray, owner: np.ndarray, count: int, n_resamples: int, seed: int) -> np.ndarray:
    """Medians (n_resamples,) of sorted values (n,) when the clusters (n,) that own them are resampled."""
    sizes = np.bincount(owner, minlength=count).astype(np.float64)
    middle = len(values) // 2
    lower_half = np.bincount(owner[:middle], minlength=count)
    # The resampled number of values in the lower half, less half of all, has this standard error.
    reach = int(np.ceil(WINDOW * np.sqrt(np.sum((lower_half - sizes / 2) ** 2)))) + 1
    first, last = max(0, middle - reach), min(len(values), middle + reach)
    ends = np.column_stack([np.bincount(owner[:first], minlength=count), sizes])
    medians = np.empty(n_resamples)
    at = 0
    for chunk in resampled_counts(count, n_resamples, seed):
        for counts in np.array_split(chunk, 1 + len(chunk) * (last - first) // (8 * ENTRIES)):
            here = slice(at, at := at + len(counts))
            medians[here], inside = _middles(counts, values[first:last], owner[first:last], counts @ ends)
            for row in np.flatnonzero(~inside):
                alone = counts[row : row + 1]
                totals = np.column_stack([np.zeros(1), alone @ sizes])
                medians[here.start + row] = _middles(alone, values, owner, totals)[0][0]
    return medians


def _middles(
    counts: np.ndarray, values: np.ndarray, owner: np.ndarray, before_and_all: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Medians of resamples and whether they lie among the given sorted values.

    Args:
        counts: (rows, G) draws of each cluster.
        values: (w,) sorted values.
        owner: (w,) their clusters.
        before_and_all: (rows, 2) numbers of resampled values before these, and of all.
    """
    before, total = before_and_all.T
    reached = np.cumsum(counts.astype(np.int32)[:, owner], axis=1, dtype=np.int32)
    # The two middle members: the first at which half of all is reached, and the first at which it is exceeded.
    half = (total - 2 * before)[:, None]
    inside = (half[:, 0] > 0) & (2 * reached[:, -1] > half[:, 0])
    doubled = 2 * reached
    medians = (values[(doubled >= half).argmax(axis=1)] + values[(doubled > half).argmax(axis=1)]) / 2
    return medians, inside


def _clustered_t(sums: np.ndarray, sizes: np.ndarray, level: float) -> Interval:
    """t intervals of the column means, from sums and sizes by cluster (G, c), with the error of `two_way_clustered`."""
    total = sizes.sum(axis=0)
    count = (sizes > 0).sum(axis=0)
    means = _ratio(sums.sum(axis=0), total)
    shifts = _ratio(sums - means * sizes, total - sizes)
    se = np.sqrt((count - 1) / np.maximum(count, 1) * np.sum(shifts**2, axis=0))
    return t_interval(means, se, count - 1, level)


def _sums_and_sizes(table: np.ndarray, clusters: Any) -> tuple[np.ndarray, np.ndarray]:
    """Sums and numbers of values (G, c) by cluster of a table (n, c)."""
    _refuse(np.isinf(table), "infinite values")
    present = ~np.isnan(table)
    rows = present.any(axis=1)
    codes, count = cluster_codes(clusters, len(table), rows)
    sums, sizes = np.zeros((2, count, table.shape[1]))
    np.add.at(sums, codes, np.where(present, table, 0.0)[rows])
    np.add.at(sizes, codes, present[rows].astype(np.float64))
    return sums, sizes


def _ratio(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return sums / np.where(sizes > 0, sizes, np.nan)


def _tails(level: float, count: np.ndarray) -> np.ndarray:
    """Hesterberg's (2015) expanded tails (2, c) for columns of (c,) clusters, two or more.

    Resamples of G clusters vary too little by √((G − 1)/G), and a percentile forgets that the spread is estimated.
    """
    lower = ndtr(np.sqrt(count / (count - 1)) * stdtrit(count - 1, (1 - level) / 2))
    return np.stack([lower, 1 - lower])


def _refuse(bad: np.ndarray, what: str) -> None:
    if bad.any():
        row = int(np.argwhere(bad)[0, 0])
        raise ValueError(f"{int(bad.sum())} {what}, the first in row {row}; drop them or make them NaN (not counted)")


def _check(n_resamples: int, level: float) -> None:
    if n_resamples < 1:
        raise ValueError(f"n_resamples = {n_resamples}; one or more are needed")
    if not 0 < level < 1:
        raise ValueError(f"level = {level}; it must lie between 0 and 1")
