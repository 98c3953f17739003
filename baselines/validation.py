"""How well queries find their tracks among the validation tracks; decides between settings of a baseline."""

from __future__ import annotations

import numpy as np

from bench.metrics.retrieval import relevant_ranks

__all__ = ["validation_mrr"]


def validation_mrr(queries: np.ndarray, tracks: np.ndarray, owner: np.ndarray) -> float:
    """Mean reciprocal rank by cosine.

    Args:
        queries: (P, d) query latents.
        tracks: (N, d) latents, one row a track; a track with several captions is there once.
        owner: (P,) the track of each query.

    Example:
        >>> validation_mrr(np.eye(2), np.eye(2)[::-1], np.array([1, 1]))
        0.75
    """
    unit = tracks / np.linalg.norm(tracks, axis=1, keepdims=True)
    ranks = relevant_ranks(np.asarray(queries, np.float32), np.asarray(unit, np.float32), np.asarray(owner))
    return float((1 / ranks).mean())
