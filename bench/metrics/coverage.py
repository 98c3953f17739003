"""How much of each other two sets cover: precision, recall, density, coverage, by balls round nearest neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bench.metrics._arrays import finite_array, same_width
from bench.metrics._distances import blocks, squared_distances, squared_lengths

__all__ = ["PRDC", "precision_recall_density_coverage"]

#: Squared distances closer than this, relative to the largest squared length, are one distance.
_TIE = 1e-12


class PRDC(NamedTuple):
    """The four shares of `precision_recall_density_coverage`."""

    precision: float
    """Share of the generated vectors that lie in a reference vector's ball, in [0, 1]."""
    recall: float
    """Share of the reference vectors that lie in a generated vector's ball, in [0, 1]."""
    density: float
    """Mean number of reference balls round a generated vector, divided by k; may exceed 1."""
    coverage: float
    """Share of the reference balls that hold a generated vector, in [0, 1]."""


def precision_recall_density_coverage(reference: Any, generated: Any, k: int = 5, memory_mb: float = 64) -> PRDC:
    """Precision and recall (arXiv 1904.06991), density and coverage (arXiv 2002.09797) of a generated set.

    The ball of a vector reaches to its k-th nearest other vector of the same set. It is open, as in the code of
    2002.09797: what lies exactly on it (to rounding) is outside, and the ball of a vector with k duplicates holds
    nothing. All four depend on the sizes: compare at equal numbers of reference and generated vectors.

    Args:
        reference: (n, d) vectors, n > k. Distances are Euclidean; vectors are used as given, never normalised.
        generated: (m, d) vectors, m > k.
        k: neighbour that sets the radius, 1 or more.
        memory_mb: bound of the working memory in MiB; no n × m array is kept.

    Returns:
        Precision, recall, density, coverage.

    Raises:
        ValueError: k out of range for one of the sets, dimensions that differ, or entries that are not finite.

    Example:
        >>> found = precision_recall_density_coverage([[0.0], [1.0], [5.0]], [[0.5], [0.6], [20.0]], k=1)
        >>> [round(share, 3) for share in found]
        [0.667, 0.667, 1.333, 0.667]
    """
    x, y = finite_array(reference, "reference", 2), finite_array(generated, "generated", 2)
    same_width(x, y, "reference and generated")
    for name, rows in (("reference", x), ("generated", y)):
        if not 1 <= k < len(rows):
            raise ValueError(f"k = {k}; {name} has {len(rows)} vectors, so k must lie in 1..{len(rows) - 1}")
    # To entries of at most 2, so that no square overflows or vanishes.
    scale = float(max(np.abs(x).max(initial=0.0), np.abs(y).max(initial=0.0))) or 1.0
    x, y = x / scale, y / scale
    centre = x.mean(axis=0)
    x, y = x - centre, y - centre
    x_lengths, y_lengths = squared_lengths(x), squared_lengths(y)
    tie = _TIE * max(x_lengths.max(), y_lengths.max())
    x_radii = _squared_radii(x, x_lengths, k, memory_mb) - tie
    y_radii = _squared_radii(y, y_lengths, k, memory_mb) - tie
    balls_around = np.zeros(len(y), dtype=np.int64)
    recalled = covered = 0
    for part in blocks(len(x), 24 * len(y), memory_mb):
        squared = squared_distances(x[part], y, x_lengths[part], y_lengths)
        within = squared < x_radii[part, None]
        balls_around += within.sum(axis=0)
        covered += int(within.any(axis=1).sum())
        recalled += int((squared < y_radii).any(axis=1).sum())
    precision, density = float(np.mean(balls_around > 0)), float(balls_around.mean() / k)
    return PRDC(precision, recalled / len(x), density, covered / len(x))


def _squared_radii(x: np.ndarray, lengths: np.ndarray, k: int, memory_mb: float) -> np.ndarray:
    """(n,) squared distance of each row to its k-th nearest other row."""
    radii = np.empty(len(x))
    for part in blocks(len(x), 24 * len(x), memory_mb):
        squared = squared_distances(x[part], x, lengths[part], lengths)
        squared[np.arange(len(squared)), np.arange(part.start, part.stop)] = np.inf
        squared.partition(k - 1, axis=1)
        radii[part] = squared[:, k - 1]
    return radii
