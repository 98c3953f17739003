"""Composition: from the truth of a track to notes.

Genre decides the groove (drums, bass, comping, swing, harmony), mood the delivery (register, dynamics,
articulation, density, contour, colour), the lead plays the melody, the accompaniment shares chords, pads and
counter-lines; key, mode and bpm mean what they say. Each aspect has its own stream of random numbers, so a twin
with one attribute changed is the same piece otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.datasets.gmcaps._melody import melody_notes
from bench.datasets.gmcaps._notes import Note
from bench.datasets.gmcaps._parts import accompaniment_roles, bass_notes, chord_notes, drum_notes, part_notes
from bench.datasets.gmcaps._patterns import ROLES
from bench.datasets.gmcaps._plan import aspect_rng, make_plan
from bench.datasets.gmcaps.attributes import Attributes

__all__ = ["Note", "Part", "Score", "compose"]


@dataclass(frozen=True)
class Part:
    """One voice of a score.

    Attributes:
        slot: `lead`, `accompaniment-0` to `accompaniment-2`, `bass` or `drums`.
        instrument: A key of `INSTRUMENTS` or `BASSES`, or one of `DRUMS`; which program plays it is a matter of
            rendering.
        notes: In order of start.
    """

    slot: str
    instrument: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Score:
    """The notes of a piece; all times lie within `seconds`."""

    seconds: float
    parts: tuple[Part, ...]


def compose(attributes: Attributes, *, seconds: float, seed: int, sections: int = 1) -> Score:
    """Write the piece that has the given attributes.

    Args:
        attributes: The truth.
        seconds: Length of the piece.
        seed: Non-negative; pieces with the same seed share every random choice that their attributes leave open.
        sections: 2 changes texture and density half-way.
    """
    plan = make_plan(attributes, seconds=seconds, seed=seed, sections=sections)
    lead = melody_notes(plan, seed)
    if not attributes.accompaniment and ROLES[attributes.lead] != "line":
        # a chord instrument on its own plays its chords too, or the harmony would go unheard
        lead += chord_notes(plan, aspect_rng(seed, "accompaniment-0"), attributes.lead, "comp", quieter=14)
    parts = [_part("lead", attributes.lead, lead, seconds)]
    roles = accompaniment_roles(attributes.accompaniment)
    for slot, (instrument, role) in enumerate(zip(attributes.accompaniment, roles, strict=True)):
        notes = part_notes(plan, seed, slot, instrument, role)
        parts.append(_part(f"accompaniment-{slot}", instrument, notes, seconds))
    if attributes.bass is not None:
        parts.append(_part("bass", attributes.bass, bass_notes(plan, seed), seconds))
    if attributes.drums != "none":
        parts.append(_part("drums", attributes.drums, drum_notes(plan, seed), seconds))
    return Score(seconds, tuple(parts))


def _part(slot: str, instrument: str, notes: list[Note], seconds: float) -> Part:
    inside = [n._replace(end=min(n.end, seconds)) for n in notes if n.start < seconds - 0.02]
    return Part(slot, instrument, tuple(sorted(inside)))
