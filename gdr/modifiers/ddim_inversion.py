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
        guidance_inversion: guidance while inverting; 1 by default, 3 as the authors' code; 0 inverts without a text,
            under the network's null condition, for a track of which nothing is said.
        refine: fixed-point iterations a step.
        guidance_edit: guidance while denoising under the edited prompt; None is the suite's.
    """

    version = 1

    def __init__(
        self, steps: int = 50, guidance_inversion: float = 1.0, refine: int = 0, guidance_edit: float | None = None
    ) -> None:
        self.options: dict[str, Any] = {"steps": steps, "guidance_inversion": guidance_inversion, "refine": refine}
        self._guidance = guidance_edit
        if guidance_edit is not None:
            self.options["guidance_edit"] = guidance_edit

    def evaluations(self, strength: float | None, steps: int) -> int:
        """Generation, inversion (one pass a step at guidance 1) and the way back."""
        moved = round(float(strength or 0.0) * self.options["steps"])
        passes = _passes(self.options["guidance_inversion"]) * (1 + self.options["refine"])
        return 2 * steps + moved * (passes + _passes(self._guidance))

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        names = ("steps", "guidance_inversion", "refine")
        options = {name: self.options[name] for name in names}
        return context.query_edited(Editing("inversion", float(strength or 0.0), guidance=self._guidance, **options))


def _passes(guidance: float | None) -> int:
    """Network passes a step: guidance 0 and 1 need one text only; None is the suite's, which is neither."""
    return 1 if guidance in (0, 1) else 2


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
    from_query = False

    def __init__(self, noise: str = "new") -> None:
        if noise not in ("new", "same"):
            raise UserError(f"regeneration: noise must be 'new' or 'same', not {noise!r}")
        self.options: dict[str, Any] = {"noise": noise}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        if self.options["noise"] == "new":
            return context.query([edit.text for edit in context.edits])
        return context.query_edited(Editing("regeneration", depth=1.0))
