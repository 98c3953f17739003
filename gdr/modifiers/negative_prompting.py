"""Negative prompting (eq. 2), and its placebo with an unrelated negative."""

from __future__ import annotations

import numpy as np

from bench.protocols import ModifierContext

__all__ = ["IrrelevantNegative", "NegativePrompting"]


class NegativePrompting:
    """Negative prompting: (1+w)·G(z⁺) − w·G(z⁻) at every denoising step (eq. 2); w is the guidance scale minus 1."""

    version = 1

    def __init__(self) -> None:
        self.options: dict[str, str] = {}

    def guidance_before(self, strength: float | None, default: float) -> float:
        """At w = 0 eq. 2 is guidance 1, so NP(w) is measured against plain guidance 1 + w (PROTOCOL.md 5)."""
        return 1.0 + float(strength or 0.0)

    def evaluations(self, strength: float | None, steps: int) -> int:
        return (2 if strength else 1) * steps

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        return context.query_negative(context.prompts, self._negatives(context), float(strength or 0.0))

    def _negatives(self, context: ModifierContext) -> list[str]:
        return [edit.text for edit in context.edits]


class IrrelevantNegative(NegativePrompting):
    """Placebo: negative prompting with a negative that has nothing to do with the value to be removed."""

    def _negatives(self, context: ModifierContext) -> list[str]:
        return [edit.irrelevant for edit in context.edits]
