"""Text interpolation Δ_T: move the generated query along text vectors (section 4.3.1 and PROTOCOL.md 5)."""

from __future__ import annotations

import numpy as np

from baselines.modifiers._vectors import VECTORS, prepare, restore
from bench.errors import UserError
from bench.modifiers import OnPlainQueries
from bench.protocols import ModifierContext

__all__ = ["TextInterpolation"]

VARIANTS = ("difference", "subtract", "away", "add")


class TextInterpolation(OnPlainQueries):
    """Δ_T: the query moved by text vectors, Z̃ + w(Z_T⁺ − Z_T⁻), or its variants.

    Args:
        variant: `difference` Z̃ + w(Z_T⁺ − Z_T⁻), the text's formula; `subtract` Z̃ − w Z_T⁻;
            `away` Z̃ + w(Z̃ − Z_T⁻). Table 6's column cannot come from the first (FACTS.md 8.4). `add` Z̃ + w Z_T of the
            edit, for an edit that says what is wanted: query arithmetic in a joint space.
        vectors: `unit`, the samples are scaled to unit norm first; `raw`, as the paper writes it; `renormalised`,
            as `unit`, and the result has the length of the sample it started from.
    """

    version = 1

    def __init__(self, variant: str = "difference", vectors: str = "unit") -> None:
        if variant not in VARIANTS:
            raise UserError(f"text-interpolation: variant {variant!r} is none of {', '.join(VARIANTS)}")
        if vectors not in VECTORS:
            raise UserError(f"text-interpolation: vectors {vectors!r} is none of {', '.join(VECTORS)}")
        self.variant, self.vectors = variant, vectors
        self.options = {"variant": variant, "vectors": vectors}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        w = float(strength or 0.0)
        samples = context.query(context.prompts)
        base = prepare(samples, self.vectors)
        positive = context.text(context.prompts)[:, None, :]
        negative = context.text([edit.text for edit in context.edits])[:, None, :]
        if self.variant == "difference":
            moved = base + w * (positive - negative)
        elif self.variant == "subtract":
            moved = base - w * negative
        elif self.variant == "add":
            moved = base + w * negative  # the edit's text is what is wanted here
        else:
            moved = base + w * (base - negative)
        return restore(moved, samples, self.vectors)
