"""The modifier that modifies nothing."""

from __future__ import annotations

import numpy as np

from bench.protocols import ModifierContext

__all__ = ["Unmodified"]


class Unmodified:
    """No modification: the retriever's own query latents."""

    version = 1

    def __init__(self) -> None:
        self.options: dict[str, str] = {}

    def guidance_before(self, strength: float | None, default: float) -> float:
        return default

    def evaluations(self, strength: float | None, steps: int) -> int:
        return 2 * steps

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        return context.query(context.prompts)
