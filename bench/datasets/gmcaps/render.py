"""Rendering: from notes to audio through a General MIDI soundfont, in the manner of one of the domains.

A rendering is one of the three dials of domain shift: which program plays an instrument, how loud the parts are,
how exactly they play, and the room, equaliser, saturation and noise behind them.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.datasets.gmcaps._effects import Effects, apply_effects
from bench.datasets.gmcaps.attributes import BASSES, INSTRUMENTS
from bench.datasets.gmcaps.compose import Part, Score
from bench.errors import UserError

__all__ = ["RENDERINGS", "Rendering", "render", "rendering_named"]

Range = tuple[float, float]

_SLOTS = ("lead", "accompaniment-0", "accompaniment-1", "accompaniment-2", "bass", "drums")
_CHANNELS = {slot: 9 if slot == "drums" else i for i, slot in enumerate(_SLOTS)}
_KITS: dict[str, tuple[int, ...]] = {
    "acoustic": (0, 8, 16, 32),
    "brushes": (40,),
    "electronic": (24, 25),
    "latin percussion": (0,),
}
#: Level in dB of one second of a note at velocity 0.8, averaged over the instrument's range: what a part's gain undoes.
_PROGRAM_LEVELS = {
    0: -31.5, 1: -31.8, 4: -23.9, 5: -26.2, 6: -30.4, 10: -25.1, 11: -18.0, 12: -27.4, 16: -21.3, 18: -22.7,
    19: -24.9, 21: -24.8, 22: -21.5, 24: -19.9, 25: -25.0, 26: -17.5, 27: -27.0, 29: -24.1, 30: -22.3, 32: -17.8,
    33: -15.3, 34: -19.7, 38: -16.7, 39: -13.8, 40: -16.6, 42: -16.7, 46: -13.5, 48: -23.3, 49: -23.8, 52: -17.8,
    53: -23.8, 56: -16.8, 57: -21.8, 61: -25.0, 64: -18.2, 66: -20.1, 71: -18.8, 73: -13.4, 75: -20.4, 80: -25.5,
    81: -23.5, 89: -16.6, 90: -22.8, 104: -27.3, 105: -20.7, 114: -23.9,
}  # fmt: skip
_PART_LEVEL = -22.0
_KIT_TRIMS = {0: 0.0, 8: -1.0, 16: -4.0, 24: -2.0, 25: -2.0, 32: 0.0, 40: -1.0}
#: Events fall on a grid of this many seconds: finer is not heard, and each event costs a call.
_GRID_SECONDS = 0.003


@dataclass(frozen=True)
class Rendering:
    """The dials of a rendering; each clip draws its own value from a range (low, high).

    Attributes:
        name: Name of the rendering.
        variety: Chance that an instrument is played by another program than its first.
        lead: Level of the lead in dB; likewise `accompaniment`, `bass` and `drums`.
        wet: Reverberation (linear), with `decay` in seconds.
        low_cut: High-pass corner in Hz; likewise `high_cut` for the low-pass.
        tilt: Spectral tilt in dB per octave.
        drive: Saturation.
        noise: Noise floor against the music in dB.
        timing: Spread of note starts in seconds.
        detune: Spread of a part's tuning in cents.
        dynamics: How much of a piece's own level survives mastering: 0 none, 1 all.
    """

    name: str
    variety: float
    lead: Range
    accompaniment: Range
    bass: Range
    drums: Range
    wet: Range
    decay: Range
    low_cut: Range
    high_cut: Range
    tilt: Range
    drive: Range
    noise: Range
    timing: float
    detune: float
    dynamics: float


RENDERINGS: dict[str, Rendering] = {
    r.name: r
    for r in (
        Rendering(
            "web", 0.6, lead=(-2, 4), accompaniment=(-10, -3), bass=(-5, 3), drums=(-8, 1), wet=(0.0, 0.7),
            decay=(0.3, 2.4), low_cut=(30, 120), high_cut=(4500, 7800), tilt=(-1.5, 1.5), drive=(0.0, 0.7),
            noise=(-60, -36), timing=0.010, detune=10.0, dynamics=0.25,
        ),
        Rendering(
            "pc", 0.4, lead=(0, 3), accompaniment=(-8, -5), bass=(-3, 0), drums=(-5, -2), wet=(0.05, 0.3),
            decay=(0.6, 1.2), low_cut=(30, 40), high_cut=(7400, 7900), tilt=(-0.3, 0.6), drive=(0.0, 0.2),
            noise=(-75, -65), timing=0.004, detune=3.0, dynamics=0.35,
        ),
        Rendering(
            "sd", 0.5, lead=(-1, 3), accompaniment=(-9, -3), bass=(-6, -1), drums=(-8, -2), wet=(0.35, 1.0),
            decay=(0.6, 2.0), low_cut=(50, 110), high_cut=(5500, 7500), tilt=(-1.2, 0.4), drive=(0.0, 0.5),
            noise=(-58, -44), timing=0.012, detune=9.0, dynamics=0.45,
        ),
        Rendering(
            "mc", 0.7, lead=(-3, 4), accompaniment=(-10, -2), bass=(-8, 0), drums=(-9, 0), wet=(0.1, 0.8),
            decay=(0.3, 1.6), low_cut=(120, 260), high_cut=(2800, 4600), tilt=(-0.5, 1.5), drive=(0.4, 1.3),
            noise=(-38, -24), timing=0.014, detune=14.0, dynamics=0.15,
        ),
    )
}  # fmt: skip


def rendering_named(name: str) -> Rendering:
    """The named rendering.

    Raises:
        UserError: no rendering has that name.
    """
    if name not in RENDERINGS:
        raise UserError(f"unknown rendering {name!r}; use one of {', '.join(RENDERINGS)}")
    return RENDERINGS[name]


class _Synth(NamedTuple):
    font: Any
    sample_rate: int


@lru_cache(maxsize=2)
def _synth(sample_rate: int) -> _Synth:
    """The process's synthesizer for one sample rate, its soundfont loaded once."""
    try:
        from tinysoundfont import _tinysoundfont
    except ImportError as error:
        raise UserError(
            "rendering needs the tinysoundfont package; run: pip install --no-deps tinysoundfont==0.3.7"
        ) from error
    package = importlib.util.find_spec("pretty_midi")
    if package is None or package.origin is None:
        raise UserError("rendering needs the soundfont that pretty_midi ships; run: pip install pretty_midi")
    path = Path(package.origin).parent / "TimGM6mb.sf2"
    if not path.is_file():
        raise UserError(f"{path}: the soundfont is missing; run: pip install --force-reinstall pretty_midi")
    font = _tinysoundfont.SoundFont(str(path))
    font.set_output(_tinysoundfont.OutputMode.Mono, sample_rate, 0.0)
    font.set_max_voices(160)
    return _Synth(font, sample_rate)


def _silence(font: Any) -> None:
    """Stop every voice: what the last piece left would sound in the next one."""
    font.reset()
    tail = np.empty(1024, dtype=np.float32)
    for _ in range(200):
        font.render(tail.view(np.uint8))
        if not tail.any():
            return
    raise RuntimeError("the synthesizer does not fall silent")


class _Event(NamedTuple):
    """Ordered by place, and at one place note-offs come first, so that a repeated note is struck again."""

    place: int
    on: int
    channel: int
    pitch: int
    velocity: int


def _events(score: Score, rendering: Rendering, seed: int, sample_rate: int) -> list[_Event]:
    grid = max(round(_GRID_SECONDS * sample_rate), 1)
    total = round(score.seconds * sample_rate)
    events: list[_Event] = []
    for part in score.parts:
        slot = _SLOTS.index(part.slot)
        jitter = np.random.default_rng([seed, 1, slot]).standard_normal(len(part.notes)) * rendering.timing
        for note, late in zip(part.notes, np.clip(jitter, -0.03, 0.03), strict=True):
            start = max(round((note.start + late) * sample_rate / grid), 0) * grid
            end = max(round((note.end + late) * sample_rate / grid) * grid, start + grid)
            channel = _CHANNELS[part.slot]
            if start < total:
                events.append(_Event(start, 1, channel, note.pitch, note.velocity))
                events.append(_Event(min(end, total), 0, channel, note.pitch, 0))
    return sorted(events)


def _setup(font: Any, part: Part, rendering: Rendering, u: np.ndarray) -> None:
    """Choose the program, level and tuning of a part from its four uniforms."""
    channel = _CHANNELS[part.slot]
    drums = part.slot == "drums"
    programs = _KITS[part.instrument] if drums else (INSTRUMENTS | BASSES)[part.instrument]
    others = programs[1:]
    program = others[int(u[1] * len(others))] if others and u[0] < rendering.variety else programs[0]
    family = part.slot.split("-")[0]
    low, high = getattr(rendering, family)
    level = low + (high - low) * u[2]
    level += _KIT_TRIMS[program] if drums else _PART_LEVEL - _PROGRAM_LEVELS[program]
    font.channel_set_bank(channel, 128 if drums else 0)
    font.channel_set_preset_number(channel, program, drums)
    font.channel_set_volume(channel, 10.0 ** (level / 20.0))
    if not drums:
        font.channel_set_tuning(channel, rendering.detune * 2.0 * (u[3] - 0.5) / 100.0)


def _play(score: Score, rendering: Rendering, seed: int, sample_rate: int) -> np.ndarray:
    """(n,) float32: the dry sound of a score."""
    font = _synth(sample_rate).font
    _silence(font)
    dials = np.random.default_rng([seed, 0]).random((len(_SLOTS), 4))
    for part in score.parts:
        _setup(font, part, rendering, dials[_SLOTS.index(part.slot)])
    sound = np.zeros(round(score.seconds * sample_rate), dtype=np.float32)
    raw = sound.view(np.uint8)
    place = 0
    for event in _events(score, rendering, seed, sample_rate):
        if event.place > place:
            font.render(raw[place * 4 : event.place * 4])
            place = event.place
        if event.on:
            font.channel_note_on(event.channel, event.pitch, event.velocity / 127.0)
        else:
            font.channel_note_off(event.channel, event.pitch)
    if place < len(sound):
        font.render(raw[place * 4 :])
    return sound


def render(score: Score, *, rendering: str, seed: int, sample_rate: int = 16000) -> np.ndarray:
    """Render a score.

    The result depends on the arguments alone: not on what was rendered before, nor on the process.

    Args:
        score: The notes.
        rendering: Name of a rendering.
        seed: Non-negative; draws the clip's programs, levels, timing and effects.
        sample_rate: In Hz, 8000 to 48000.

    Returns:
        (round(seconds * sample_rate),) float32, within ±0.98.

    Raises:
        UserError: unknown rendering, a sample rate out of range, or the synthesizer is not installed.
    """
    dials = rendering_named(rendering)
    if not 8000 <= sample_rate <= 48000:
        raise UserError(f"sample rate {sample_rate} is out of range; give one from 8000 to 48000")
    dry = _play(score, dials, seed, sample_rate)
    rng = np.random.default_rng([seed, 2])
    u = iter(rng.random(8))

    def draw(bounds: Range) -> float:
        return float(bounds[0] + (bounds[1] - bounds[0]) * next(u))

    own_level = 10.0 * np.log10(max(float(np.mean(dry**2, dtype=np.float64)), 1e-9))
    effects = Effects(
        wet=draw(dials.wet),
        decay=draw(dials.decay),
        low_cut=draw(dials.low_cut),
        high_cut=draw(dials.high_cut),
        tilt=draw(dials.tilt),
        drive=draw(dials.drive),
        noise=draw(dials.noise),
        level=-20.0 + dials.dynamics * (own_level + 20.0),
    )
    return apply_effects(dry, effects, rng, sample_rate)
