"""Contrastive teacher: the text tower's own vector is the query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.protocols import Sampling, Space

__all__ = ["Contrastive"]


class Contrastive:
    """Contrastive teacher: queries with the space's own text vector Z_T; deterministic."""

    name = "contrastive"
    version = 1
    deterministic = True

    def __init__(self, space: Space, weights: str | None = None) -> None:
        self.space = space

    def bundle_files(self) -> tuple[str, ...]:
        return ()

    def digest(self) -> str:
        return self.space.encoder_digest()

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Text vectors: (P, 1, d) float32, unit norm."""
        return self.space.text(prompts).pooled[:, None, :]
