"""Spherical interpolation: turn the query away from a negative's generated latent, or toward a refinement's."""

from __future__ import annotations

import numpy as np

from baselines.modifiers._vectors import unit
from bench.errors import UserError
from bench.modifiers import OnPlainQueries
from bench.protocols import ModifierContext

__all__ = ["Slerp", "slerp"]


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Point at fraction t of the great circle from a to b (unit vectors on the last axis).

    Antipodal pairs have no unique circle; they stay at `a`.

    >>> np.round(slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5), 3)
    array([0.707, 0.707])
    """
    cosine = np.clip((a * b).sum(-1, keepdims=True), -1.0, 1.0)
    angle = np.arccos(cosine)
    sine = np.sin(angle)
    safe = np.where(sine < 1e-6, 1.0, sine)
    turned = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / safe
    return np.where(sine < 1e-6, a, turned)


class Slerp(OnPlainQueries):
    """Slerp: the query turned away from the negative's generated latent; strength is the share of the angle.

    Args:
        toward: `antipode` turns to the opposite of what the negative prompt generates; `edit` to what the refined
            prompt generates.
    """

    version = 1
    passes = 4

    def __init__(self, toward: str = "antipode") -> None:
        if toward not in ("antipode", "edit"):
            raise UserError(f"slerp: toward must be 'antipode' or 'edit', not {toward!r}")
        self.options: dict[str, str] = {"toward": toward}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        samples = context.query(context.prompts)
        other = unit(context.query([edit.text for edit in context.edits]))
        end = other if self.options["toward"] == "edit" else -other
        turned = slerp(unit(samples), end, float(strength or 0.0))
        return (turned * np.linalg.norm(samples, axis=-1, keepdims=True)).astype(np.float32)
