"""Tests of paired systems, and the effect a test can find (public names are in bench.stats)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr, gammaincinv, ndtr, stdtrit

from bench._stats_clustered import cluster_codes

__all__ = ["McNemar", "mcnemar", "minimum_detectable_effect", "paired_permutation"]

#: Random swaps held at a time: 2 MiB as float64.
ENTRIES = 2**18


class McNemar(NamedTuple):
    """Queries that only the second, only the first system hits, and the two-sided p of McNemar's test."""

    b_only: int
    a_only: int
    p: float


def paired_permutation(a: Any, b: Any, clusters: Any = None, n: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of "a and b have the same mean", by swapping the two systems within whole clusters.

    All 2^G swaps are tried where they are no more than n, else n random ones; then p counts the observed one too, so
    that it is never 0 (Phipson and Smyth 2010). Where swaps tie, as for rare hits, p is too large, never too small.

    Args:
        a: (n,) values of one system.
        b: (n,) values of the other on the same queries; pairs with a NaN do not count.
        clusters: (n,) labels; None makes every row a cluster.
        n: number of random swaps.
        seed: of the swaps.

    Raises:
        ValueError: shapes that differ, no complete pair, infinite values, labels of another length or missing, n < 1.

    Example:
        >>> paired_permutation([1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 0.0, 0.0, 0.0, 0.0])
        0.0625
    """
    if n < 1:
        raise ValueError(f"n = {n}; one or more swaps are needed")
    first, second = _pairs(a, b)
    for name, side in (("a", first), ("b", second)):
        _refuse(np.isinf(side), f"infinite values in {name}")
    difference = first - second
    present = ~np.isnan(difference)
    if not present.any():
        raise ValueError("a and b have no complete pair")
    codes, count = cluster_codes(clusters, len(difference), present)
    sums = np.bincount(codes, weights=difference[present], minlength=count)
    # Swaps that only reorder the same sum may differ in the last bits.
    reached = abs(sums.sum()) * (1 - 1e-12) - 1e-12 * np.abs(sums).sum()
    if 2**count <= n:
        signs = 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        return float(np.mean(np.abs(signs @ sums) >= reached))
    rng = np.random.default_rng(seed)
    words, step = -(-count // 64), max(1, ENTRIES // count)
    hits = 0
    for start in range(0, n, step):
        bits = rng.integers(0, 2**64, (min(step, n - start), words), dtype=np.uint64).view(np.uint8)
        swapped = np.unpackbits(bits, axis=1, count=count).astype(np.float64)
        hits += int(np.count_nonzero(np.abs(sums.sum() - 2.0 * (swapped @ sums)) >= reached))
    return (1 + hits) / (1 + n)


def mcnemar(a: Any, b: Any, *, mid_p: bool = False) -> McNemar:
    """McNemar's test of two systems' hits on the same queries: the exact binomial test on those where they differ.

    It takes queries as independent. For clustered queries (captions of one track) use `paired_permutation` on the hits
    with `clusters`; without clusters that is this test, by random swaps.

    Args:
        a: (n,) hits of one system, booleans or 0 and 1.
        b: (n,) hits of the other on the same queries; pairs with a NaN do not count.
        mid_p: count half of the observed outcome's probability (Lancaster 1961): less conservative, and not exact.

    Returns:
        The numbers of queries that only b and only a hits, and p; 1 where they never differ.

    Raises:
        ValueError: shapes that differ, or values other than 0, 1 and NaN.

    Example:
        >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
        McNemar(b_only=0, a_only=5, p=0.0625)
    """
    first, second = _pairs(a, b)
    for name, side in (("a", first), ("b", second)):
        _refuse(~(np.isnan(side) | (side == 0) | (side == 1)), f"values in {name} other than 0 and 1")
    a_only = int(np.count_nonzero((first == 1) & (second == 0)))
    b_only = int(np.count_nonzero((first == 0) & (second == 1)))
    fewer, differ = min(a_only, b_only), a_only + b_only
    tail = float(bdtr(fewer, differ, 0.5))
    if not mid_p:
        return McNemar(b_only, a_only, min(1.0, 2.0 * tail))
    below = float(bdtr(fewer - 1, differ, 0.5)) if fewer else 0.0
    return McNemar(b_only, a_only, min(1.0, tail + below))


def minimum_detectable_effect(se: float, df: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest distance from the margin that a two-sided t test at alpha finds with the given power.

    It solves P(|T| > t) = power for the non-centrality of Student's T (Cohen 1988, chapter 2), and multiplies by the
    standard error, which is taken as the true one. With m claims under `holm`, alpha / m is on the safe side.

    Args:
        se: standard error of an `Estimate`; NaN gives NaN.
        df: its degrees of freedom, or inf for a normal test; below 1 gives NaN.
        power: chance to find the effect, above alpha and below 1.
        alpha: level of the test.

    Returns:
        The effect, in the units of se.

    Raises:
        ValueError: a negative se, an alpha or a power out of range.

    Example:
        >>> round(minimum_detectable_effect(se=0.01, df=29), 4)
        0.029
    """
    if not 0 < alpha < power < 1:
        raise ValueError(f"alpha = {alpha}, power = {power}; 0 < alpha < power < 1 is needed")
    if se < 0:
        raise ValueError(f"se = {se}; a standard error is 0 or more")
    if np.isnan(se) or not df >= 1:
        return float("nan")
    critical = float(-stdtrit(min(df, 1e15), alpha / 2))
    # The estimated error over the true one, at the nodes of a quadrature over its distribution; scipy's non-central t
    # is NaN in far tails.
    nodes, weights = np.polynomial.legendre.leggauss(200)
    scale = np.ones(1) if df > 1e12 else np.sqrt(2 / df * gammaincinv(df / 2, (nodes + 1) / 2))
    share = np.ones(1) if df > 1e12 else weights / 2

    def excess(shift: float) -> float:
        return float(share @ (ndtr(shift - critical * scale) + ndtr(-shift - critical * scale))) - power

    high = 2 * critical
    while excess(high) < 0:
        high *= 2
    return float(se * brentq(excess, 0.0, high, xtol=1e-10))


def _pairs(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"a has shape {first.shape} and b {second.shape}; rows are compared in pairs")
    return first, second


def _refuse(bad: np.ndarray, what: str) -> None:
    if bad.any():
        raise ValueError(f"{int(bad.sum())} {what}, the first in row {int(bad.argmax())}")
