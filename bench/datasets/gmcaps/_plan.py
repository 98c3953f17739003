"""The frame of a piece: tempo grid, harmony and form, from which every part is written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.datasets.gmcaps._patterns import GENRE_STYLES, MOOD_STYLES, GenreStyle, MoodStyle
from bench.datasets.gmcaps.attributes import KEYS, Attributes

__all__ = ["Chord", "Plan", "aspect_rng", "make_plan"]

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_FORMS = ("AABA", "ABAB", "AABB", "ABAC", "ABCB", "ABBA")
#: Order is part of the format: a stream's number is its place here.
_ASPECTS = (
    "harmony", "form", "melody", "drums", "bass", "accompaniment-0", "accompaniment-1", "accompaniment-2",
)  # fmt: skip


def aspect_rng(seed: int, aspect: str) -> np.random.Generator:
    """The stream of one aspect, so that changing one attribute leaves the choices of the others alone."""
    return np.random.default_rng([seed, _ASPECTS.index(aspect)])


class Chord(NamedTuple):
    """A chord, in semitones above the tonic: its root within the octave, and its tones above the root's octave."""

    root: int
    tones: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What all parts of a piece share. A step is a sixteenth; a bar has 16."""

    attributes: Attributes
    genre: GenreStyle
    mood: MoodStyle
    seconds: float
    bars: int
    tonic: int
    scale: tuple[int, ...]
    chords: tuple[Chord, ...]
    motifs: tuple[int, ...]
    energy: tuple[float, ...]

    @property
    def step(self) -> float:
        """Length of a sixteenth in seconds."""
        return 15.0 / self.attributes.bpm

    def time(self, bar: int, step: float) -> float:
        """Seconds at a (swung) position in a bar."""
        unit = self.genre.swing_unit
        whole, rest = divmod(step, unit)
        half, late = unit / 2, unit * self.genre.swing
        warped = rest / half * late if rest < half else late + (rest - half) / half * (unit - late)
        return (bar * 16 + whole * unit + warped) * self.step

    def chord(self, bar: int, step: float) -> Chord:
        """The chord that sounds at a position."""
        return self.chords[min(bar * 2 + int(step >= 8), len(self.chords) - 1)]

    def degree(self, index: int) -> int:
        """Semitones above the tonic of a scale degree (0 is the tonic; any integer)."""
        octave, place = divmod(index, len(self.scale))
        return 12 * octave + self.scale[place]


def _chord(degree: int, mode: str, style: GenreStyle, mood: MoodStyle) -> Chord:
    scale = _SCALES[mode]
    if degree == 6 and mode == "major":
        root, third, fifth, seventh = 10, 4, 7, 10  # the flat seventh's major chord: the diminished one is hardly used
    else:
        at = [scale[(degree + k) % 7] + 12 * ((degree + k) // 7) for k in (0, 2, 4, 6)]
        root, third, fifth, seventh = at[0], at[1] - at[0], at[2] - at[0], at[3] - at[0]
    if mode == "minor" and degree == 4 and style.chord not in ("power", "tenth", "open"):
        third = 4  # harmonic minor
    if style.chord == "dominant" and (mode == "major" or degree == 4):
        third, seventh = 4, 10
    if mood.colour == "diminished":
        fifth, seventh = 6, 9
    tones = {
        "triad": (0, third, fifth),
        "seventh": (0, third, fifth, seventh),
        "dominant": (0, third, fifth, seventh),
        "power": (0, fifth, 12),
        "tenth": (0, fifth, 12, third + 12),
        "open": (0, fifth, 14, third + 12),
    }[style.chord]
    colour = {"sixth": (9,), "ninth": (14,), "minor2": (13,), "octave": (12,)}.get(mood.colour, ())
    return Chord(root % 12, tuple(sorted({*tones, *colour})))


def make_plan(attributes: Attributes, *, seconds: float, seed: int, sections: int) -> Plan:
    """Lay out bars, chords and form of a piece."""
    genre, mood = GENRE_STYLES[attributes.genre], MOOD_STYLES[attributes.mood]
    bars = math.ceil(seconds * attributes.bpm / 240.0)
    harmony, form = aspect_rng(seed, "harmony").random(2), aspect_rng(seed, "form").random(3)
    progression = genre.progressions[int(harmony[0] * len(genre.progressions))]
    half_bars = int(genre.bars_per_chord * 2)
    if mood.comp_density < 0.5 and half_bars < 2:
        half_bars = 2
    degrees = [int(progression[(i // half_bars) % len(progression)]) - 1 for i in range(2 * bars)]
    letters = _FORMS[int(form[0] * len(_FORMS))]
    section = [min(sections * bar // bars, sections - 1) for bar in range(bars)]
    contrast = 0.5 if form[1] < 0.5 else 1.6
    key = KEYS.index(attributes.key)
    return Plan(
        attributes=attributes,
        genre=genre,
        mood=mood,
        seconds=seconds,
        bars=bars,
        tonic=key if key <= 6 else key - 12,
        scale=_SCALES[attributes.mode],
        chords=tuple(_chord(degree, attributes.mode, genre, mood) for degree in degrees),
        motifs=tuple("ABC".index(letters[bar % 4]) + 3 * section[bar] for bar in range(bars)),
        energy=tuple(contrast if s % 2 else 1.0 for s in section),
    )
