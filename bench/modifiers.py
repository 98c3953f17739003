"""The modifier that modifies nothing, and what all modifiers of plain queries share."""

from __future__ import annotations

import numpy as np

from bench.protocols import ModifierContext

__all__ = ["OnPlainQueries", "Unmodified"]


class OnPlainQueries:
    """Base of modifiers that start from the unmodified query at the suite's guidance."""

    version = 1
    passes = 2
    """Network evaluations of one sample at one denoising step."""
    from_query = True
    """Whether it starts from the unmodified query, which is generated for it unless it is given."""

    def guidance_before(self, strength: float | None, default: float) -> float:
        """The suite's guidance."""
        return default

    def evaluations(self, strength: float | None, steps: int) -> int:
        """Network evaluations of one sample."""
        return self.passes * steps


class Unmodified(OnPlainQueries):
    """No modification: the retriever's own query latents."""

    def __init__(self) -> None:
        self.options: dict[str, str] = {}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        return context.query(context.prompts)
