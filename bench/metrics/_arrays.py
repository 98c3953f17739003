"""Checks that every metric makes of its input; they say which array, how many entries, and where the first one is."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["finite_array", "same_width", "unit_rows"]


def finite_array(values: Any, name: str, ndim: int, dtype: type | None = np.float64) -> np.ndarray:
    """An array (or CPU tensor) as a C-contiguous float array of `ndim` axes without NaN or infinity.

    Args:
        values: anything that `np.asarray` takes.
        name: how the message calls it.
        ndim: number of axes it must have.
        dtype: type of the result; None keeps a floating type and makes anything else float64.

    Raises:
        ValueError: wrong number of axes, or entries that are not finite.
    """
    array = np.asarray(values)
    if dtype is None:
        dtype = array.dtype.type if array.dtype in (np.float32, np.float64) else np.float64
    array = np.ascontiguousarray(array, dtype=dtype)
    if array.ndim != ndim:
        raise ValueError(f"{name} has shape {array.shape}; {ndim} axes are needed")
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name}: {int(bad.sum())} of {array.size} entries are NaN or infinite, the first at {first}")
    return array


def same_width(a: np.ndarray, b: np.ndarray, names: str) -> None:
    """Raise ValueError unless two arrays of rows have rows of the same length."""
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"{names} have rows of {a.shape[-1]} and {b.shape[-1]} entries; they must be of one space")


def unit_rows(array: np.ndarray, name: str) -> np.ndarray:
    """Rows (last axis) scaled to unit length; a row of zeros has no direction and raises ValueError."""
    # Scaling by the largest entry first keeps the squares of tiny or huge rows representable.
    largest = np.abs(array).max(axis=-1, keepdims=True)
    zero = largest[..., 0] == 0
    if zero.any():
        first = tuple(int(i) for i in np.argwhere(zero)[0])
        raise ValueError(f"{name}: {int(zero.sum())} vectors are zero and have no direction, the first at row {first}")
    scaled = array / largest
    return scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)
