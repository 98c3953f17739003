"""CLAP score: cosine between paired latents (FACTS.md 3.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics._arrays import finite_array, unit_rows

__all__ = ["clap_score"]


def clap_score(queries: Any, targets: Any) -> np.ndarray:
    """Cosine of each query with its own target. The vectors are normalised here.

    Args:
        queries: (Q, d) vectors, time means.
        targets: (Q, d) vectors; row i belongs to query i.

    Returns:
        (Q,) cosines in [-1, 1]; the metric is their mean.

    Raises:
        ValueError: shapes that differ, entries that are not finite, vectors of zeros.

    Example:
        >>> clap_score([[2.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [-3.0, 3.0]]).round(6)
        array([1., 0.])
    """
    q, t = finite_array(queries, "queries", 2), finite_array(targets, "targets", 2)
    if q.shape != t.shape:
        raise ValueError(f"queries have shape {q.shape} and targets {t.shape}; rows are compared in pairs")
    return np.clip(np.sum(unit_rows(q, "queries") * unit_rows(t, "targets"), axis=1), -1.0, 1.0)
