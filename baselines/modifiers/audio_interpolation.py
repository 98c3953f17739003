"""Audio interpolation Δ_A: move the query away from what the negative prompt generates (section 4.3.1)."""

from __future__ import annotations

import numpy as np

from baselines.modifiers._vectors import VECTORS, prepare, restore
from bench.errors import UserError
from bench.modifiers import OnPlainQueries
from bench.protocols import ModifierContext

__all__ = ["AudioInterpolation"]


class AudioInterpolation(OnPlainQueries):
    """Δ_A: Z̃⁺ + w(Z̃⁺ − Z̃⁻), away from the audio latent that the negative prompt alone generates.

    Args:
        vectors: `unit`, `raw` or `renormalised`, as for text interpolation.
    """

    version = 1
    passes = 4

    def __init__(self, vectors: str = "unit") -> None:
        if vectors not in VECTORS:
            raise UserError(f"audio-interpolation: vectors {vectors!r} is none of {', '.join(VECTORS)}")
        self.vectors = vectors
        self.options = {"vectors": vectors}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        samples = context.query(context.prompts)
        positive = prepare(samples, self.vectors)
        negative = prepare(context.query([edit.text for edit in context.edits]), self.vectors)
        return restore(positive + float(strength or 0.0) * (positive - negative), samples, self.vectors)
