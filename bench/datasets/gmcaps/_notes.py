"""Notes, and how a part places them on the grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.datasets.gmcaps._plan import Plan

__all__ = ["Note", "fit", "make_note", "vary"]


class Note(NamedTuple):
    """Start and end in seconds, MIDI pitch, velocity 1 to 127."""

    start: float
    end: float
    pitch: int
    velocity: int


def fit(pitch: int, low: int, high: int) -> int:
    """The pitch moved by octaves into a range of at least an octave."""
    if pitch < low:
        pitch += 12 * -(-(low - pitch) // 12)
    if pitch > high:
        pitch -= 12 * -(-(pitch - high) // 12)
    return pitch


def make_note(plan: Plan, bar: int, step: float, length: float, pitch: int, velocity: float) -> Note:
    """A note at a step of a bar, `length` steps long."""
    start = plan.time(bar, step)
    end = start + max(length * plan.step, 0.03)
    return Note(start, end, int(pitch), int(min(max(velocity, 20), 127)))


def vary(rhythm: str, u: np.ndarray, rate: float) -> str:
    """A track's own version of a rhythm: weak steps come and go, the downbeat and the accents stay.

    Args:
        rhythm: Sixteen steps.
        u: (16,) uniforms.
        rate: Share of the weak steps that flip.
    """
    flipped = [
        step if step == "X" or i == 0 or (step == "." and i % 2) or u[i] >= rate else ("." if step == "x" else "x")
        for i, step in enumerate(rhythm)
    ]
    return "".join(flipped)
