"""The Fréchet distance that a set would have if it were endless: FAD∞, by extrapolation over its size.

E FD(n) = FD∞ + a/n + O(1/n²), a > 0 (Chong & Forsyth 2020, arXiv 1911.07023; for audio arXiv 2311.01616): a straight
line in 1/n through the distances of subsets meets 1/n = 0 at the distance without the bias of small sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from bench.metrics._arrays import finite_array, same_width
from bench.metrics.frechet import FrechetReference
from bench.stats import Interval, interval, jackknife_estimate

__all__ = ["FadInfinity", "fad_infinity"]

#: Subsets of a share a/b of the rows come as b windows that cover every row a times; b stays this small.
_DENOMINATOR = 6
#: The line is straight only well above n = d.
_STRAIGHT = 2.0
#: A smaller r² earns a warning.
_FIT = 0.9
_GROUPS = 20


@dataclass(frozen=True)
class FadInfinity:
    """An extrapolated distance, and what it was read from.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(400, 4))
        >>> found = fad_infinity(x[:200], FrechetReference.from_moments(np.zeros(4), np.eye(4)))
        >>> bool(found.ci.lo < 0.0 < found.ci.hi), bool(found.value < found.distances[-1]), found.warning
        (True, True, None)
    """

    value: float
    """The intercept; it has no bias to speak of, so near a true distance of 0 it can fall below 0."""
    ci: Interval
    """Interval of the value, over the rows of x; the reference is taken as it is. NaN where all are one cluster."""
    r2: float
    """Share of the variance of the distances that the line explains; 1 where they do not vary."""
    sizes: np.ndarray
    """(points,) mean sizes of the subsets, ascending; the last is n."""
    distances: np.ndarray
    """(points,) mean distances of the subsets of these sizes."""
    warning: str | None
    """Why the value should not be trusted, or None."""


def fad_infinity(
    x: Any,
    y: Any,
    seed: int = 0,
    *,
    points: int = 10,
    smallest: int | None = None,
    level: float | None = 0.95,
    clusters: Any = None,
) -> FadInfinity:
    """Fréchet distance of x to a reference, extrapolated to an endless x.

    Subsets are drawn without replacement (a bootstrap repeats rows, which adds its own bias in 1/n) and laid end to end
    round one random order of the rows, so that at every size each row is used equally often. The sampling error that
    all sizes share then drops out of the slope, and a few sizes, evenly spaced in 1/n, hold as much as many would.

    The points are dependent, so the residuals of the line say nothing of its error: the interval comes from a
    delete-a-group jackknife of the whole procedure (20 groups of rows, or of whole clusters). Near a true value of 0,
    where the distance is a quadratic form of the sampling error, the jackknife is too wide rather than too narrow.

    Args:
        x: (n, d) vectors, the set whose finite size is corrected for; n ≥ 8, well above 2 d.
        y: a fitted `FrechetReference`, or (m, d) vectors. The reference is never extrapolated: the value is the
            distance *to this reference*, whose own finite size stays in it.
        seed: of the order of the rows and of the jackknife's groups.
        points: most sizes to use, 3 or more.
        smallest: smallest size, 3..n/2; by default n/5, but 4 d if that is more, at most n/2.
        level: of the interval; None leaves it out (NaN ends), which takes a twentieth of the time.
        clusters: (n,) labels of rows that are not independent; None makes every row a cluster of its own.

    Returns:
        See `FadInfinity`. `warning` speaks up where the smallest size is below 2 d, and where the line fits badly.

    Raises:
        ValueError: fewer than 8 vectors, another dimension, sizes or points out of range, or entries that are not
            finite.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> reference = FrechetReference.from_moments(np.zeros(8), np.eye(8))
        >>> found = fad_infinity(rng.normal(size=(500, 8)) + 0.5, reference)  # the true distance is 8 · 0.5² = 2
        >>> bool(found.ci.lo < 2.0 < found.ci.hi)
        True
    """
    rows = finite_array(x, "x", 2)
    n, d = rows.shape
    if n < 8:
        raise ValueError(f"x has {n} vectors; an extrapolation over its size needs 8 or more")
    if points < 3:
        raise ValueError(f"points = {points}; a line needs 3 or more")
    reference = y if isinstance(y, FrechetReference) else FrechetReference.fit(y)
    same_width(reference.mean, rows, "the reference and x")
    least = min(max(n // 5, 4 * d), n // 2) if smallest is None else smallest
    if not 3 <= least <= n // 2:
        raise ValueError(f"smallest = {smallest}; with {n} vectors it must lie in 3..{n // 2}")
    labels = None if clusters is None else np.asarray(clusters)
    if labels is not None and labels.shape != (n,):
        raise ValueError(f"clusters has shape {labels.shape}; one label for each of {n} vectors is needed")
    shares = _shares(least / n, points)
    order = np.random.default_rng(seed).permutation(n)
    centre = rows.mean(axis=0)
    centred = rows[order] - centre
    # All subsets share the product with the factor; their traces and means need no more than the rows.
    tables = (centred, _narrow(centred @ reference.factor))
    shift, trace = centre - reference.mean, float(np.vdot(reference.factor, reference.factor))

    def intercept(own: np.ndarray, projected: np.ndarray) -> float:
        return _line(*_curve(own, projected, shift, trace, shares))[0]

    ci = Interval(np.nan, np.nan)
    if level is not None:
        labels = None if labels is None else labels[order]
        ci = interval(jackknife_estimate(intercept, tables, clusters=labels, groups=_GROUPS, seed=seed), level)
    sizes, distances = _curve(*tables, shift, trace, shares)
    value, _, r2 = _line(sizes, distances)
    return FadInfinity(value, ci, r2, sizes, distances, _doubt(float(sizes[0]), d, r2))


def _narrow(projected: np.ndarray) -> np.ndarray:
    """At most n columns in place of r, with the same inner products of rows."""
    n, r = projected.shape
    return projected if r <= n else np.asarray(np.linalg.qr(projected.T, mode="r")).T


def _shares(lowest: float, points: int) -> list[Fraction]:
    """Shares of the rows, ascending, at most `points` of them, as even in 1/share as small denominators allow."""
    unit = {Fraction(1, b) for b in range(1, int(1 / lowest + 1e-9) + 1)}
    simple = {Fraction(a, b) for b in range(1, _DENOMINATOR + 1) for a in range(1, b + 1)}
    candidates = sorted(share for share in unit | simple if share >= lowest - 1e-12)
    steps = np.array([float(1 / share) for share in candidates])
    grid = np.linspace(steps[-1], steps[0], points)
    nearest = np.abs(steps[:, None] - grid).argmin(axis=0)
    return candidates if len(candidates) <= points else [candidates[i] for i in np.unique(nearest)]


def _curve(
    own: np.ndarray, projected: np.ndarray, shift: np.ndarray, trace: float, shares: list[Fraction]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean sizes, and the mean distance of the subsets of each size, laid end to end round the rows."""
    n = len(own)
    shares = [share for share in shares if n * share.numerator // share.denominator >= 2]
    running: dict[int, _Sums] = {}
    sizes, means = [], []
    for share in shares:
        # b windows, each from one edge to the next, a times round.
        edges = [n * share.numerator * i // share.denominator for i in range(share.denominator + 1)]
        if not {edge % n for edge in edges} <= running.keys():
            # Shares of small denominators have their edges in common; others come one at a time, for memory's sake.
            common = [n * i // b for b in range(1, _DENOMINATOR + 1) for i in range(b)]
            running = _running(own, projected, common if share.denominator <= _DENOMINATOR else edges)
        windows = [_between(running, n, *pair) for pair in pairwise(edges)]
        means.append(np.mean([_distance(sums, shift, trace) for sums in windows]))
        sizes.append(n * share.numerator / share.denominator)
    return np.array(sizes), np.array(means)


class _Sums(NamedTuple):
    """Sums over some rows: what the distance of a subset takes, by differences of running sums."""

    rows: int
    own: np.ndarray
    squares: float
    projected: np.ndarray
    gram: np.ndarray

    def plus(self, other: _Sums, sign: int = 1) -> _Sums:
        return _Sums(
            self.rows + sign * other.rows,
            self.own + sign * other.own,
            self.squares + sign * other.squares,
            self.projected + sign * other.projected,
            self.gram + sign * other.gram,
        )


def _running(own: np.ndarray, projected: np.ndarray, edges: list[int]) -> dict[int, _Sums]:
    """Sums over the rows before each edge, and over all rows under their number."""
    n, r = projected.shape
    total = _Sums(0, np.zeros(own.shape[1]), 0.0, np.zeros(r), np.zeros((r, r)))
    table = {0: total}
    for start, stop in pairwise(sorted({0, n, *(edge % n for edge in edges)})):
        a, b = own[start:stop], projected[start:stop]
        total = total.plus(_Sums(len(a), a.sum(axis=0), float(np.vdot(a, a)), b.sum(axis=0), b.T @ b))
        table[stop] = total
    return table


def _between(running: dict[int, _Sums], n: int, start: int, stop: int) -> _Sums:
    """Sums over the rows from start to stop, counted on round the end; at most n of them."""
    if stop - start == n:
        return running[n]
    low, high = running[start % n], running[stop % n]
    inside = high.plus(low, -1)
    return inside if high.rows > low.rows else running[n].plus(inside)


def _distance(sums: _Sums, shift: np.ndarray, trace: float) -> float:
    """Distance of one subset; its rows lie about the centre of the whole set, so the differences lose nothing."""
    n = sums.rows
    spread = (sums.squares - float(sums.own @ sums.own) / n) / (n - 1)
    gram = (sums.gram - np.outer(sums.projected, sums.projected / n)) / (n - 1)
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)) if gram.size else np.zeros(0)
    off = sums.own / n + shift
    return float(off @ off) + trace + spread - 2.0 * float(roots.sum())


def _line(sizes: np.ndarray, distances: np.ndarray) -> tuple[float, float, float]:
    """Intercept, slope and r² of the least-squares line of the distances in 1/size; NaN of fewer than two sizes."""
    if len(sizes) < 2:
        return np.nan, np.nan, np.nan
    inverse = 1.0 / sizes
    x, y = inverse - inverse.mean(), distances - distances.mean()
    slope = float(x @ y / (x @ x))
    residual, total = float(np.sum((y - slope * x) ** 2)), float(y @ y)
    flat = total <= len(y) * (1e-12 * np.abs(distances).max()) ** 2
    return float(distances.mean() - slope * inverse.mean()), slope, 1.0 if flat else 1.0 - residual / total


def _doubt(smallest: float, d: int, r2: float) -> str | None:
    reasons = []
    if smallest < _STRAIGHT * d:
        reasons.append(
            f"the smallest subsets have {int(smallest)} vectors in {d} dimensions; below {_STRAIGHT:g} d the distance "
            "is no straight line in 1/n and the value is biased"
        )
    if r2 < _FIT:
        reasons.append(f"the line fits badly (r² = {r2:.2f})")
    return "; ".join(reasons) or None
