"""Squared Euclidean distances in blocks, for the metrics that compare every vector of a set with every other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["blocks", "squared_distances", "squared_lengths"]


def squared_lengths(rows: np.ndarray) -> np.ndarray:
    """(n,) squared lengths of rows (n, d)."""
    return np.einsum("ij,ij->i", rows, rows)


def squared_distances(a: np.ndarray, b: np.ndarray, a_lengths: np.ndarray, b_lengths: np.ndarray) -> np.ndarray:
    """(len(a), len(b)) squared distances, from rows and their squared lengths; one array, never below 0.

    By one matrix product, so that a distance below about 1e-8 of the lengths is lost to rounding: centre the rows.
    """
    squared = a @ b.T
    squared *= -2.0
    squared += a_lengths[:, None]
    squared += b_lengths
    return np.maximum(squared, 0.0, out=squared)


def blocks(n: int, bytes_a_row: int, memory_mb: float) -> Iterator[slice]:
    """Slices of n rows, as long as `memory_mb` MiB hold, but one row at least.

    Raises:
        ValueError: a memory that is not above 0.
    """
    if not memory_mb > 0:
        raise ValueError(f"memory_mb = {memory_mb}; it must be above 0")
    rows = max(1, int(min(memory_mb * 2**20 / bytes_a_row, n)))
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))
