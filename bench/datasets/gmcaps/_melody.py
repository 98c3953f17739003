"""The melody: a motif's random numbers, bent by genre (rhythm) and mood (contour, register, figures)."""

from __future__ import annotations

import numpy as np

from bench.datasets.gmcaps._notes import Note, fit, make_note
from bench.datasets.gmcaps._patterns import RANGES
from bench.datasets.gmcaps._plan import Plan, aspect_rng

__all__ = ["melody_notes"]

_MOTIFS = 6
_PENTATONIC = {"major": (0, 1, 2, 4, 5), "minor": (0, 2, 3, 4, 6)}


def melody_notes(plan: Plan, seed: int) -> list[Note]:
    """The lead's melody, within the range of its instrument.

    Every motif takes the same count of random numbers whatever the attributes, so a twin keeps the tune.
    """
    draws = aspect_rng(seed, "melody").random((_MOTIFS, 16, 4))
    low, high = RANGES[plan.attributes.lead]
    base = 60 + plan.tonic
    # the register moves the degrees that the tune lingers on, never the key; so does the instrument's range
    middle = round((6 + plan.mood.register + plan.genre.melody_register) * 7 / 12)
    while base + plan.degree(middle) < low + 6:
        middle += 1
    while base + plan.degree(middle) > high - 6:
        middle -= 1
    notes: list[Note] = []
    for bar in range(plan.bars):
        notes += _bar(plan, bar, draws[plan.motifs[bar]], base, middle)
    return [note._replace(pitch=fit(note.pitch, low, high)) for note in notes]


def _bar(plan: Plan, bar: int, u: np.ndarray, base: int, middle: int) -> list[Note]:
    density = plan.mood.density * plan.energy[bar] ** 0.5
    weights = np.array([int(c) for c in plan.genre.melody]) / 10.0
    onsets = np.flatnonzero(u[:, 0] < np.minimum(weights * density, 0.97))
    if len(onsets) == 0:
        onsets = np.array([int(np.argmax(weights))])
    notes: list[Note] = []
    position = 4.0 * (u[0, 3] - 0.3) + (2.0 if plan.mood.slope < -2 else 0.0)
    for i, step in enumerate(onsets):
        following = onsets[i + 1] if i + 1 < len(onsets) else 16
        rise = u[step, 1] < 0.5 - 0.07 * (position - 1.5)
        size = plan.mood.leap * (0.4 + 1.2 * u[step, 2])
        position += size if rise else -size
        index = middle + round(position - 1.5 + plan.mood.slope * step / 16.0)
        semitones = _pitch(plan, bar, int(step), index)
        accent = 10 if step % 4 == 0 else 0
        velocity = 86 + plan.mood.velocity + accent + int(10 * u[step, 3]) - 5
        notes += _figure(plan, bar, (int(step), int(following)), base + semitones, velocity)
    return notes


def _pitch(plan: Plan, bar: int, step: int, index: int) -> int:
    """Semitones above the tonic: a chord tone on the beats, a scale tone elsewhere."""
    if plan.mood.figure == "pentatonic":
        kept = _PENTATONIC[plan.attributes.mode]
        octave, place = divmod(round(index * 5 / 7), 5)
        semitones = 12 * octave + plan.scale[kept[place]]
    else:
        semitones = plan.degree(index)
    if step % 8 == 0:
        chord = plan.chord(bar, step)
        tones = [(chord.root + t) % 12 for t in chord.tones[:3]]
        semitones = min((t + 12 * k for t in tones for k in (-2, -1, 0, 1, 2)), key=lambda p: abs(p - semitones))
    return semitones


def _figure(plan: Plan, bar: int, span: tuple[int, int], pitch: int, velocity: int) -> list[Note]:
    """One melody note as the mood plays it."""
    start, gap = span[0], min(span[1] - span[0], 12)
    length = gap * min(plan.mood.length, 1.0) + max(plan.mood.length - 1.0, 0.0) * 1.5
    figure = plan.mood.figure
    whole = make_note(plan, bar, start, length, pitch, velocity)
    if figure == "repeat" and gap >= 2:
        return [make_note(plan, bar, start + k, 0.6, pitch, velocity - 6 * (k % 2)) for k in range(gap)]
    if figure == "thirds":
        return [whole, make_note(plan, bar, start, length, _below(plan, pitch, 2), velocity - 12)]
    if figure == "octaves":
        return [whole, make_note(plan, bar, start, length, pitch - 12, velocity - 10)]
    if figure == "arpeggio" and gap >= 4:
        chord = plan.chord(bar, start)
        tones = {(plan.tonic + chord.root + tone) % 12 for tone in chord.tones}
        above = [p for p in range(pitch + 2, pitch + 25) if p % 12 in tones]
        rises = [make_note(plan, bar, start + 2 * k, 6, above[k - 1], velocity - 10)
                 for k in range(1, min(gap // 2, 4))]  # fmt: skip
        return [whole, *rises]
    if figure == "sigh" and gap >= 3:
        fall = make_note(plan, bar, start + 0.7 * gap, 0.5 * gap, _below(plan, pitch, 1), velocity - 12)
        return [make_note(plan, bar, start, 0.7 * gap, pitch, velocity), fall]
    if figure == "neighbour" and gap >= 3:
        turn = make_note(plan, bar, start + gap - 1, 0.9, pitch + 1, velocity - 8)
        return [make_note(plan, bar, start, gap - 1, pitch, velocity), turn]
    return [whole]


def _below(plan: Plan, pitch: int, steps: int) -> int:
    """The pitch some scale steps lower."""
    inside = {(plan.tonic + semitones) % 12 for semitones in plan.scale}
    return [p for p in range(pitch - 1, pitch - 12, -1) if p % 12 in inside][steps - 1]
