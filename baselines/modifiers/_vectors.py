"""The three ways in which a vector modifier treats length; cosine search sees only the direction, FAD both."""

from __future__ import annotations

import numpy as np

VECTORS = ("unit", "raw", "renormalised")


def unit(x: np.ndarray) -> np.ndarray:
    """Rows (last axis) scaled to norm 1."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def prepare(samples: np.ndarray, vectors: str) -> np.ndarray:
    """Samples as the modifier sees them: raw, or scaled to unit norm."""
    return samples if vectors == "raw" else unit(samples)


def restore(moved: np.ndarray, samples: np.ndarray, vectors: str) -> np.ndarray:
    """The result as it is reported: with the samples' own lengths where `renormalised`."""
    if vectors == "renormalised":
        moved = unit(moved) * np.linalg.norm(samples, axis=-1, keepdims=True)
    return moved.astype(np.float32)
