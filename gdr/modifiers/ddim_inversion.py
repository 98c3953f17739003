"""DDIM inversion (section 4.3.2), and its rivals by denoising: SDEdit, and regeneration."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.errors import UserError
from bench.modifiers import OnPlainQueries
from bench.protocols import Editing, ModifierContext

__all__ = ["DDIMInversion", "Regeneration", "SDEdit"]


class DDIMInversion(OnPlainQueries):
    """DDIM inversion: go back some of the denoising steps under the prompt, and forth again under the edited one.

    Strength is the share of the steps that are gone back (the paper: 20 of 50, 0.4).

    Args:
        steps: DDIM steps of the whole way.
        guidance_inversion: guidance while inverting; 1 by default, 3 as the authors' code.
        refine: fixed-point iterations a step.
    """

    version = 1

    def __init__(self, steps: int = 50, guidance_inversion: float = 1.0, refine: int = 0) -> None:
        self.options: dict[str, Any] = {"steps": steps, "guidance_inversion": guidance_inversion, "refine": refine}

    def evaluations(self, strength: float | None, steps: int) -> int:
        """Generation, inversion (one pass a step at guidance 1) and the way back."""
        moved = round(float(strength or 0.0) * self.options["steps"])
        passes = (1 if self.options["guidance_inversion"] == 1 else 2) * (1 + self.options["refine"])
        return 2 * steps + moved * (passes + 2)

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        return context.query_edited(Editing("inversion", float(strength or 0.0), **self.options))


class SDEdit(OnPlainQueries):
    """SDEdit: add noise up to some denoising step, and denoise under the edited prompt; no inversion.

    Strength is the share of the steps, as for DDIM inversion.
    """

    version = 1

    def __init__(self, steps: int = 50) -> None:
        self.options: dict[str, Any] = {"steps": steps}

    def evaluations(self, strength: float | None, steps: int) -> int:
        return 2 * steps + 2 * round(float(strength or 0.0) * self.options["steps"])

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        return context.query_edited(Editing("sdedit", float(strength or 0.0), **self.options))


class Regeneration(OnPlainQueries):
    """Regeneration: generate from the edited prompt alone, with new noise or with the noise of the first prompt.

    Args:
        noise: `new` (the paper's baseline) or `same`.
    """

    version = 1

    def __init__(self, noise: str = "new") -> None:
        if noise not in ("new", "same"):
            raise UserError(f"regeneration: noise must be 'new' or 'same', not {noise!r}")
        self.options: dict[str, Any] = {"noise": noise}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        if self.options["noise"] == "new":
            return context.query([edit.text for edit in context.edits])
        return context.query_edited(Editing("regeneration", depth=1.0))
