"""Placebo: a push in a random direction, as far (in cosine) as another modifier moves each query."""

from __future__ import annotations

import hashlib

import numpy as np

from baselines.modifiers._vectors import unit
from bench.modifiers import OnPlainQueries
from bench.protocols import ModifierContext

__all__ = ["RandomDirection"]


class RandomDirection(OnPlainQueries):
    """Placebo: each query moved in a random direction to the cosine at which another modifier leaves it.

    Args:
        like: registry name of the modifier whose cosine is matched, at the same strength.
    """

    version = 1

    def __init__(self, like: str = "negative-prompting") -> None:
        self.like = like
        self.options = {"like": like}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        samples = context.query(context.prompts)
        moved = context.modified(self.like, float(strength or 0.0))
        start, end = unit(samples.mean(1)), unit(moved.mean(1))
        cosine = np.clip((start * end).sum(-1), -1.0, 1.0)[:, None]
        noise = np.stack([self._direction(context, row, start.shape[1]) for row in range(len(start))])
        across = unit(noise - (noise * start).sum(-1, keepdims=True) * start)
        shift = cosine * start + np.sqrt(1 - cosine**2) * across - start
        # The same shift for every sample of a query, in units of its length: the spread of the samples stays.
        return (samples + shift[:, None, :] * np.linalg.norm(samples.mean(1), axis=-1)[:, None, None]).astype(
            np.float32
        )

    def _direction(self, context: ModifierContext, row: int, dim: int) -> np.ndarray:
        text = f"{context.sampling.seed}|{context.prompts[row]}|{context.edits[row].text}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).standard_normal(dim)
