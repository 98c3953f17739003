"""Contrastive teacher: the text tower's own vector is the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.protocols import Sampling, Space

__all__ = ["Contrastive"]


class Contrastive:
    """Contrastive teacher: queries with the space's own text vector Z_T, or a tower of yours; deterministic.

    Args:
        space: the latent space that is searched, and whose text tower is asked.
        weights: folder with weights of another text tower for this space (docs/gate.md), which is asked instead; the
            gallery stays as it is.
    """

    name = "contrastive"
    version = 1
    deterministic = True

    def __init__(self, space: Space, weights: str | None = None) -> None:
        self.space = space
        self._own: Any = None if weights is None else _own_text(space, weights)

    def bundle_files(self) -> tuple[str, ...]:
        return () if self._own is None else self._own.bundle_files()

    def digest(self) -> str:
        return self.space.encoder_digest() if self._own is None else self._own.digest()

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Text vectors: (P, 1, d) float32, unit norm."""
        encoded = self.space.text(prompts) if self._own is None else self._own.encode_text(prompts)
        return encoded.pooled[:, None, :]


def _own_text(space: Space, weights: str) -> Any:
    make = getattr(getattr(space, "encoder", None), "with_text_of", None)
    if make is None:
        raise UserError(
            f"contrastive: the space of {space.name} takes no text tower from a folder (weights: {weights}); remove "
            "`weights`, or name a space of mini-clap or mini-muscall"
        )
    return make(weights)
