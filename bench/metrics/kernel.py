"""Kernel distances between sets of vectors: KAD of two sets, and the conditional MMD of many small groups.

Both are the unbiased squared maximum mean discrepancy (Gretton et al. 2012, lemma 6) of the Gaussian kernel
k(a, b) = exp(−‖a − b‖² / 2s²):

    MMD² = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) − 2 mean_{ij} k(x_i, y_j)

Unbiased at any size, so no extrapolation is needed, and below 0 about half of the time where both sets have one
distribution. Vectors are used as given, never normalised; everything is float64. Two vectors closer than about 1e-8 of
their distance from the centre count as equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metrics._arrays import finite_array, same_width
from bench.metrics._distances import blocks, squared_distances, squared_lengths

__all__ = ["KAD_SCALE", "KernelReference", "kernel_audio_distance", "median_distance", "mmd2_by_group"]

#: The published KAD code reports 100 · MMD², so that readable digits come before the point's fourth place.
KAD_SCALE = 100.0
#: From this number of vectors on, the median distance is that of a random subset of so many.
_MEDIAN_ROWS = 5000
#: Blocks of kernels are no larger than this even where more memory is allowed, for the cache's sake.
_BLOCK_MB = 32.0


@dataclass(frozen=True, eq=False)
class KernelReference:
    """A reference set with its bandwidth and its own mean kernel, computed once for many distances.

    Example:
        >>> reference = KernelReference.fit([[0.0], [1.0], [2.0]])
        >>> reference.bandwidth
        1.0
        >>> round(reference.distance([[10.0], [11.0]], scale=1.0), 4)
        1.056
    """

    vectors: np.ndarray
    """(m, d) the reference set."""
    bandwidth: float
    """s of the kernel."""
    own: float
    """Mean kernel of two different vectors of the reference."""

    @classmethod
    def fit(cls, y: Any, bandwidth: float | None = None, memory_mb: float = 256) -> KernelReference:
        """A reference from its vectors (m, d), m ≥ 2.

        Args:
            y: the vectors.
            bandwidth: s of the kernel; None takes the median distance of two vectors of the set (`median_distance`).
            memory_mb: bound of the working memory in MiB, the vectors themselves and the median aside.

        Raises:
            ValueError: fewer than 2 vectors, entries that are not finite, a bandwidth that is not above 0.
        """
        rows = _vectors(y, "the reference")
        width = median_distance(rows) if bandwidth is None else float(bandwidth)
        if not 0 < width < np.inf:
            hint = (
                "more than half of the pairs are equal; pass a bandwidth" if bandwidth is None else "it is a distance"
            )
            raise ValueError(f"bandwidth = {width}; it must be above 0 and finite ({hint})")
        return cls(rows, width, _mean_within(rows, width, memory_mb))

    def distance(self, x: Any, scale: float = KAD_SCALE, memory_mb: float = 256) -> float:
        """`scale` · MMD² of a set (n, d), n ≥ 2, to this one; see `kernel_audio_distance`.

        Raises:
            ValueError: fewer than 2 vectors, another dimension, or entries that are not finite.
        """
        rows = _vectors(x, "x")
        same_width(self.vectors, rows, "the reference and x")
        cross = _mean_between(rows, self.vectors, self.bandwidth, memory_mb)
        return scale * (_mean_within(rows, self.bandwidth, memory_mb) + self.own - 2.0 * cross)


def kernel_audio_distance(
    x: Any, y: Any, *, bandwidth: float | None = None, memory_mb: float = 256, scale: float = KAD_SCALE
) -> float:
    """Kernel audio distance of x to a reference y (KAD, arXiv 2502.15602): `scale` · unbiased MMD².

    Not symmetric, since the bandwidth is the reference's median distance; symmetric with a bandwidth of one's own.

    Args:
        x: (n, d) vectors, n ≥ 2.
        y: (m, d) vectors of the reference, m ≥ 2.
        bandwidth: s of the kernel, in the unit of the vectors; None takes the reference's median distance.
        memory_mb: bound of the working memory in MiB: kernels are summed in blocks, never kept.
        scale: factor of the result; 100 as in the published code, 1 for MMD² itself.

    Returns:
        The distance; at most 2 · scale, and it may be below 0.

    Raises:
        ValueError: fewer than 2 vectors, dimensions that differ, entries that are not finite, a bandwidth or a memory
            that is not above 0, more than half of the reference's pairs equal and no bandwidth given.

    Example:
        >>> round(kernel_audio_distance([[0.0], [1.0]], [[0.0], [2.0]], bandwidth=1.0, scale=1.0), 4)
        -0.4323
    """
    return KernelReference.fit(y, bandwidth, memory_mb).distance(x, scale, memory_mb)


def median_distance(y: Any, seed: int = 0) -> float:
    """Median Euclidean distance of two different rows of a set.

    Over all pairs up to 5000 vectors; over the pairs of 5000 vectors drawn without replacement beyond. Takes 100 MB.

    Args:
        y: (m, d) vectors, m ≥ 2.
        seed: of the draw.

    Raises:
        ValueError: fewer than 2 vectors, or entries that are not finite.

    Example:
        >>> median_distance([[0.0], [1.0], [3.0]])
        2.0
    """
    rows = _vectors(y, "y")
    if len(rows) > _MEDIAN_ROWS:
        rows = rows[np.random.default_rng(seed).choice(len(rows), _MEDIAN_ROWS, replace=False)]
    # To entries of at most 2, so that no square overflows or vanishes.
    scale = float(np.abs(rows).max(initial=0.0)) or 1.0
    rows = rows / scale
    rows = rows - rows.mean(axis=0)
    lengths = squared_lengths(rows)
    m = len(rows)
    pairs = np.empty(m * (m - 1) // 2)
    filled = 0
    for part in blocks(m, 8 * m, 16):
        squared = squared_distances(rows[part], rows, lengths[part], lengths)
        for i, row in enumerate(squared, start=part.start):
            pairs[filled : filled + m - 1 - i] = row[i + 1 :]
            filled += m - 1 - i
    # The root of the middle is not the middle of the roots where two pairs share the middle.
    middle = (len(pairs) - 1) // 2, len(pairs) // 2
    pairs.partition(middle)
    found = pairs[list(middle)]
    # Equal vectors come out at rounding's distance; a bandwidth of that size would tell noise from noise.
    found[found <= 1e-15 * lengths.max() + 1e-28] = 0.0
    return scale * float(np.mean(np.sqrt(found)))


def mmd2_by_group(x: Any, y: Any, bandwidth: Any) -> np.ndarray:
    """Unbiased MMD² of many small pairs of sets, such as the samples of a caption and the tracks that satisfy it.

    Args:
        x: (P, K, d) vectors, K ≥ 2 samples of each of P groups.
        y: (P, M, d) vectors, M ≥ 2 of each of the same groups.
        bandwidth: s of the kernel: one number, or (P,) for each group.

    Returns:
        (P,) values, each at most 2 and unbiased, so that their mean may be taken; they may be below 0. No scale.

    Raises:
        ValueError: K or M below 2, groups or dimensions that differ, entries that are not finite, a bandwidth that is
            not above 0.

    Example:
        >>> mmd2_by_group([[[0.0], [0.0]], [[0.0], [1.0]]], [[[9.0], [9.0]], [[0.0], [2.0]]], 1.0).round(4)
        array([ 2.    , -0.4323])
    """
    a, b = finite_array(x, "x", 3), finite_array(y, "y", 3)
    same_width(a, b, "x and y")
    if len(a) != len(b):
        raise ValueError(f"x has {len(a)} groups and y {len(b)}; they are compared in pairs")
    for name, array in (("x", a), ("y", b)):
        if array.shape[1] < 2:
            raise ValueError(f"{name} has {array.shape[1]} vectors a group; the unbiased MMD needs 2 or more")
    width = np.asarray(bandwidth, dtype=np.float64)
    if width.shape not in ((), (len(a),)):
        raise ValueError(f"bandwidth has shape {width.shape}; one number or ({len(a)},) are needed")
    if not ((width > 0) & np.isfinite(width)).all():
        raise ValueError(f"{int((~(width > 0) | np.isinf(width)).sum())} bandwidths are not above 0 and finite")
    wide = np.broadcast_to(width, (len(a),))[:, None, None]
    k, m = a.shape[1], b.shape[1]
    step = max(1, (1 << 22) // (k + m) ** 2)
    parts = [slice(start, start + step) for start in range(0, len(a), step)]
    return np.concatenate([_mmd2(a[part] / wide[part], b[part] / wide[part]) for part in parts] or [np.empty(0)])


def _mmd2(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unbiased MMD² (P,) of groups (P, K, d) and (P, M, d) in units of the bandwidth, all kernels at once."""
    k, m = x.shape[1], y.shape[1]
    both = np.concatenate([x, y], axis=1)
    both = both - both.mean(axis=1, keepdims=True)
    lengths = _finite(np.einsum("pij,pij->pi", both, both))
    squared = lengths[:, :, None] + lengths[:, None, :] - 2.0 * (both @ np.swapaxes(both, 1, 2))
    # Exactly 0 on the diagonal, so that k and m below take away what was added.
    squared[:, np.arange(k + m), np.arange(k + m)] = 0.0
    kernel = np.exp(-0.5 * np.maximum(squared, 0.0))
    xx, yy, xy = kernel[:, :k, :k], kernel[:, k:, k:], kernel[:, :k, k:]
    own = (xx.sum(axis=(1, 2)) - k) / (k * (k - 1)) + (yy.sum(axis=(1, 2)) - m) / (m * (m - 1))
    return own - 2.0 * xy.mean(axis=(1, 2))


def _vectors(x: Any, name: str) -> np.ndarray:
    rows = finite_array(x, name, 2)
    if len(rows) < 2:
        raise ValueError(f"{name} has {len(rows)} vectors; 2 or more are needed")
    return rows


def _finite(lengths: np.ndarray) -> np.ndarray:
    if not np.isfinite(lengths).all():
        raise ValueError("vectors lie more than 1e150 bandwidths apart, which no float64 square holds")
    return lengths


def _scaled(x: np.ndarray, centre: np.ndarray, bandwidth: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows about a centre in units of the bandwidth, and their squared lengths."""
    with np.errstate(over="ignore"):
        rows = (x - centre) / bandwidth
        return rows, _finite(squared_lengths(rows))


def _kernel_sum(squared: np.ndarray) -> float:
    squared *= -0.5
    return float(np.exp(squared, out=squared).sum())


def _mean_between(x: np.ndarray, y: np.ndarray, bandwidth: float, memory_mb: float) -> float:
    """Mean kernel over all pairs of a row of x and one of y."""
    # About a common centre the squares are as small as they can be, and so is what their difference loses.
    centre = y.mean(axis=0)
    (x, x_lengths), (y, y_lengths) = _scaled(x, centre, bandwidth), _scaled(y, centre, bandwidth)
    total = 0.0
    for part in blocks(len(x), 8 * len(y), min(memory_mb, _BLOCK_MB)):
        total += _kernel_sum(squared_distances(x[part], y, x_lengths[part], y_lengths))
    return total / (len(x) * len(y))


def _mean_within(x: np.ndarray, bandwidth: float, memory_mb: float) -> float:
    """Mean kernel over all pairs of two different rows of x."""
    x, lengths = _scaled(x, x.mean(axis=0), bandwidth)
    total = 0.0
    for part in blocks(len(x), 8 * len(x), min(memory_mb, _BLOCK_MB)):
        # What lies left of the block's square was met, mirrored, by an earlier block.
        squared = squared_distances(x[part], x[part.start :], lengths[part], lengths[part.start :])
        size = len(squared)
        total += 2.0 * _kernel_sum(squared[:, size:])
        square = squared[:, :size]
        square[np.arange(size), np.arange(size)] = np.inf
        total += _kernel_sum(square)
    return total / (len(x) * (len(x) - 1))
