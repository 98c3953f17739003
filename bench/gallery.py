"""The gallery: unit-norm pooled latents of the tracks searched, by cosine (rank counting is metrics/retrieval.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.retrieval import relevant_ranks, top_k

__all__ = ["Gallery", "query_vectors"]


def query_vectors(latents: np.ndarray) -> np.ndarray:
    """Query latents (P, K, d) -> query vectors (P, d): the mean over samples, then unit norm, float32."""
    mean = latents.astype(np.float64).mean(1)
    return (mean / np.linalg.norm(mean, axis=-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Gallery:
    """Tracks to search."""

    track_ids: tuple[str, ...]
    raw: np.ndarray
    """(N, d) time means, as the encoder gives them."""

    @property
    def unit(self) -> np.ndarray:
        """(N, d) float32, unit norm."""
        raw = self.raw.astype(np.float64)
        return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)

    def ranks(self, queries: np.ndarray, relevant: Sequence[int] | np.ndarray) -> np.ndarray:
        """Mid-rank of each query's relevant track: (P,) float64, 1 is best."""
        return relevant_ranks(queries, self.unit, np.asarray(relevant))

    def top(self, queries: np.ndarray, k: int = 10) -> np.ndarray:
        """Indices of the k nearest tracks: (P, k)."""
        return top_k(queries, self.unit, k)
