"""Latents in eight bits: rows as int8 with a scale each, for sets of tracks that would not fit the bundle otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["SCALE", "pack_rows", "unpack_rows"]

#: What the name of a set's scales ends in.
SCALE = ".scale"
_LEVELS = 127


def pack_rows(sets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Round every row to 255 levels, symmetric about zero.

    Args:
        sets: name -> (n, d) finite latents; taken at float16, the precision of the bundle's other latents, so that a
            set that was stored so gives the same bytes.

    Returns:
        Name -> (n, d) int8, and name with `.scale` -> (n,) float32. No entry is off by more than half its row's scale.

    Raises:
        ValueError: a set that is not a matrix, or holds an entry that is not finite.

    Example:
        >>> packed = pack_rows({"a": np.array([[0.5, -1.0], [0.0, 0.0]])})
        >>> packed["a"].tolist(), packed["a.scale"].shape
        ([[64, -127], [0, 0]], (2,))
    """
    packed: dict[str, np.ndarray] = {}
    for name, given in sets.items():
        with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite, and is refused
            rows = np.asarray(given).astype(np.float16).astype(np.float64)
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise ValueError(f"{name}: only a matrix of finite numbers can be packed, got shape {rows.shape}")
        scale = (np.abs(rows).max(axis=1, initial=0.0) / _LEVELS).astype(np.float32)
        steps = rows / np.where(scale > 0, scale, 1.0)[:, None]
        packed[name] = np.clip(np.rint(steps), -_LEVELS, _LEVELS).astype(np.int8)
        packed[name + SCALE] = scale
    return packed


def unpack_rows(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Undo `pack_rows`; arrays without a scale are passed on as they are.

    Returns:
        Name -> (n, d) float32 of what was packed.
    """
    return {
        name: array.astype(np.float32) * stored[name + SCALE][:, None] if name + SCALE in stored else array
        for name, array in stored.items()
        if not name.endswith(SCALE)
    }
