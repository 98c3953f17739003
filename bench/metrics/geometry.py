"""The shape of a joint space: how far apart its two modalities lie, and whether a few items crowd every list."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bench.metrics._arrays import finite_array, same_width, unit_rows

__all__ = ["Hubness", "hubness", "modality_gap"]


class Hubness(NamedTuple):
    """What `hubness` finds in a set of retrieved lists."""

    skewness: float
    """Third standardised moment of the k-occurrences; 0 where all are equal."""
    never_retrieved: float
    """Percentage of the gallery that no list holds, in [0, 100)."""
    max_occurrence: int
    """Number of lists that hold the most frequent item."""


def modality_gap(text: Any, audio: Any) -> float:
    """Distance between the centroids of two modalities on the unit sphere (arXiv 2203.02053).

    Args:
        text: (n, d) vectors; they are normalised here.
        audio: (m, d) vectors of the same space; they need not be paired.

    Returns:
        The gap, in [0, 2].

    Raises:
        ValueError: an empty set, dimensions that differ, entries that are not finite, vectors of zeros.

    Example:
        >>> round(modality_gap([[2.0, 0.0]], [[0.0, 1.0], [0.0, 5.0]]), 4)
        1.4142
    """
    t, a = finite_array(text, "text", 2), finite_array(audio, "audio", 2)
    same_width(t, a, "text and audio")
    for name, rows in (("text", t), ("audio", a)):
        if len(rows) == 0:
            raise ValueError(f"{name} is empty: a centroid needs at least one vector")
    return float(np.linalg.norm(unit_rows(t, "text").mean(axis=0) - unit_rows(a, "audio").mean(axis=0)))


def hubness(top: Any, n_gallery: int) -> Hubness:
    """How unevenly retrieved lists draw on the gallery (Radovanović et al. 2010, JMLR 11).

    The k-occurrence N_k of an item is the number of lists that hold it; its mean is Q·k/N whatever the retriever, and
    its skewness is E(N_k − μ)³ / σ³ over the gallery. Lists drawn at random have a small positive skewness.

    Args:
        top: (Q, k) gallery indices, no repeats within a row.
        n_gallery: number N of items in the gallery.

    Returns:
        Skewness, percentage never retrieved, largest k-occurrence. Items that all occur equally often have skewness 0.

    Raises:
        ValueError: no lists, an index outside the gallery, an item twice in one list.

    Example:
        >>> found = hubness([[0, 1], [0, 2], [0, 3]], 5)
        >>> round(found.skewness, 4), found.never_retrieved, found.max_occurrence
        (0.8675, 20.0, 3)
    """
    indices = np.asarray(top)
    if indices.ndim != 2 or indices.size == 0 or indices.dtype.kind not in "iu":
        raise ValueError(f"top has shape {indices.shape} and type {indices.dtype}; (Q, k) gallery indices are needed")
    if indices.min() < 0 or indices.max() >= n_gallery:
        raise ValueError(f"top names items {indices.min()}..{indices.max()}, outside the gallery of {n_gallery} items")
    ordered = np.sort(indices, axis=1)
    repeats = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if repeats.any():
        raise ValueError(f"{int(repeats.sum())} lists hold an item twice, the first in row {int(repeats.argmax())}")
    counts = np.bincount(indices.ravel(), minlength=n_gallery)
    # In whole numbers, so that equal counts have a spread of exactly 0.
    off = counts * n_gallery - indices.size
    off = off / max(np.abs(off).max(), 1)
    variance = float(np.mean(off**2))
    skewness = float(np.mean(off**3)) / variance**1.5 if variance > 0 else 0.0
    return Hubness(skewness, 100.0 * float(np.mean(counts == 0)), int(counts.max()))
