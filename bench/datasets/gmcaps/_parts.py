"""Drums, bass and accompaniment: the parts under the melody."""

from __future__ import annotations

import numpy as np

from bench.datasets.gmcaps._notes import Note, fit, make_note, vary
from bench.datasets.gmcaps._patterns import RANGES, ROLES
from bench.datasets.gmcaps._plan import Plan, aspect_rng

__all__ = ["accompaniment_roles", "bass_notes", "chord_notes", "drum_notes", "line_notes", "part_notes"]

_VOICES = "ksptcor"
_KITS: dict[str, dict[str, int]] = {
    "acoustic": {"k": 36, "s": 38, "p": 37, "t": 45, "c": 42, "o": 46, "r": 51},
    "brushes": {"k": 36, "s": 39, "p": 37, "t": 45, "c": 44, "o": 40, "r": 51},
    "electronic": {"k": 36, "s": 40, "p": 39, "t": 47, "c": 42, "o": 46, "r": 44},
    "latin percussion": {"k": 64, "s": 63, "p": 75, "t": 66, "c": 70, "o": 69, "r": 56},
}


def drum_notes(plan: Plan, seed: int) -> list[Note]:
    """The drums: the genre's pattern on the sounds of the kit; the mood thins or fills it."""
    rng = aspect_rng(seed, "drums")
    own = rng.random((len(_VOICES), 16))
    kit = _KITS[plan.attributes.drums]
    lines = {v: vary(r, own[_VOICES.index(v)], 0.08) for v, r in plan.genre.drums.items()}
    notes: list[Note] = []
    for bar in range(plan.bars):
        u = rng.random((16, len(_VOICES), 2))
        kept = min(plan.mood.comp_density * plan.energy[bar] ** 0.5, 1.0)
        for voice, rhythm in lines.items():
            index = _VOICES.index(voice)
            for step, mark in enumerate(rhythm):
                if mark == "." or (mark == "x" and step and u[step, index, 0] > kept):
                    continue
                velocity = (104 if mark == "X" else 78) + plan.mood.velocity + 12 * (u[step, index, 1] - 0.5)
                notes.append(make_note(plan, bar, step, 1.5, kit[voice], velocity))
        if bar % 4 == 3 and plan.mood.comp_density > 0.6:
            notes += _fill(plan, bar, kit, u)
    return notes


def _fill(plan: Plan, bar: int, kit: dict[str, int], u: np.ndarray) -> list[Note]:
    first = 12 if u[0, 0, 1] < 0.5 else 8
    return [
        make_note(plan, bar, step, 1, kit["t" if step % 4 >= 2 else "s"], 84 + plan.mood.velocity + 2 * (step - 8))
        for step in range(first, 16)
        if u[step, 3, 0] < 0.75
    ]


def bass_notes(plan: Plan, seed: int) -> list[Note]:
    """The bass: the genre's rhythm and choice of chord tones."""
    rng = aspect_rng(seed, "bass")
    rhythm = vary(plan.genre.bass, rng.random(16), 0.06)
    notes: list[Note] = []
    played = 0
    for bar in range(plan.bars):
        u = rng.random((16, 2))
        kept = min(plan.mood.comp_density * plan.energy[bar] ** 0.5 + 0.15, 1.0)
        steps = [s for s, mark in enumerate(rhythm) if mark != "." and (s % 8 == 0 or u[s, 0] < kept)]
        for i, step in enumerate(steps):
            gap = (steps[i + 1] if i + 1 < len(steps) else 16) - step
            tone = plan.genre.bass_tones[played % len(plan.genre.bass_tones)]
            played += 1
            pitch = _bass_pitch(plan, bar, step, tone)
            length = gap * min(max(plan.mood.length, 0.45), 0.95)
            velocity = 92 + plan.mood.velocity + (8 if step % 8 == 0 else 0) + 8 * (u[step, 1] - 0.5)
            notes.append(make_note(plan, bar, step, length, pitch, velocity))
    return notes


def _bass_pitch(plan: Plan, bar: int, step: int, tone: str) -> int:
    chord = plan.chord(bar, step)
    tones = sorted({t % 12 for t in chord.tones})
    root = fit(plan.tonic + chord.root, plan.genre.bass_low, plan.genre.bass_low + 11)
    if tone == "w":
        ahead = plan.chord(bar + (step + 4) // 16, (step + 4) % 16)
        target = fit(plan.tonic + ahead.root, plan.genre.bass_low, plan.genre.bass_low + 11)
        return target - 1 if target >= root else target + 1
    third = next((t for t in tones if t in (3, 4)), 7)
    fifth = next((t for t in tones if t in (6, 7)), 7)
    return root + {"r": 0, "5": fifth, "8": 12, "3": third, "7": 10}[tone]


def accompaniment_roles(instruments: tuple[str, ...]) -> tuple[str, ...]:
    """What each accompanying instrument plays: `comp`, `arpeggio`, `pad` or `line`.

    The first that can play chords takes the genre's comping rhythm; without one, the first pad does.
    """
    kinds = [ROLES[name] for name in instruments]
    comping = next((i for kind in ("chords", "pad") for i, k in enumerate(kinds) if k == kind), None)
    names = {"chords": "arpeggio", "pad": "pad", "line": "line"}
    return tuple("comp" if i == comping else names[kind] for i, kind in enumerate(kinds))


def part_notes(plan: Plan, seed: int, slot: int, instrument: str, role: str) -> list[Note]:
    """The notes of one accompanying instrument."""
    rng = aspect_rng(seed, f"accompaniment-{slot}")
    if role == "line":
        return line_notes(plan, rng, instrument)
    return chord_notes(plan, rng, instrument, role)


def _voicing(plan: Plan, bar: int, step: float, instrument: str, shift: int) -> list[int]:
    """The chord's pitches, each moved to the octave nearest to the register, lowest first."""
    low, high = RANGES[instrument]
    chord = plan.chord(bar, step)
    if plan.genre.comp_kind == "power":
        root = fit(
            plan.tonic + chord.root,
            max(low, plan.genre.comp_register - 12),
            max(low, plan.genre.comp_register - 12) + 11,
        )
        return sorted({fit(root + t, low, high) for t in chord.tones})
    middle = plan.genre.comp_register + plan.mood.register // 2 + shift
    middle = min(max(middle, low + 7), high - 7)
    pitches = {fit(plan.tonic + chord.root + t, middle - 6, middle + 5) for t in chord.tones}
    return sorted(fit(p, low, high) for p in pitches)


def chord_notes(plan: Plan, rng: np.random.Generator, instrument: str, role: str, quieter: int = 0) -> list[Note]:
    """Chords, in the genre's comping rhythm (`comp`), broken in eighths (`arpeggio`) or held (`pad`)."""
    own = rng.random(16)
    rhythm = vary(plan.genre.comp, own, 0.07)
    kind = plan.genre.comp_kind
    if role == "arpeggio":
        rhythm, kind = ("x.x.x.x.x.x.x.x." if own[0] < 0.6 else "x..x..x.x..x..x."), "arpeggio"
    elif role == "pad" or kind == "pad":
        rhythm, kind = ("x.x.x.x.x.x.x.x." if plan.mood.figure == "repeat" else "X.......X......."), "pad"
        if ROLES[instrument] == "chords":
            rhythm, kind = "X.x.x.x.X.x.x.x.", "arpeggio"
    shift = 10 if role == "arpeggio" else 0
    level = {"comp": 74, "arpeggio": 72, "pad": 70}[role] + plan.mood.velocity - quieter
    notes: list[Note] = []
    for bar in range(plan.bars):
        u = rng.random((16, 2))
        kept = min(plan.mood.comp_density * plan.energy[bar] ** 0.5, 1.0)
        steps = [s for s, m in enumerate(rhythm) if m == "X" or (m == "x" and (s == 0 or u[s, 0] < kept))]
        for i, step in enumerate(steps):
            gap = (steps[i + 1] if i + 1 < len(steps) else 16) - step
            pitches = _voicing(plan, bar, step, instrument, shift)
            velocity = level + (10 if rhythm[step] == "X" else 0) + 8 * (u[step, 1] - 0.5)
            notes += _stroke(plan, (bar, step, gap), kind, pitches, velocity)
    return notes


def _stroke(plan: Plan, place: tuple[int, int, int], kind: str, pitches: list[int], velocity: float) -> list[Note]:
    """One stroke of a chord in the manner of the genre."""
    bar, step, gap = place
    length = min(plan.genre.comp_length * min(max(plan.mood.length, 0.6), 1.5), max(gap, 1) * 0.98)
    if kind == "pad":
        repeated = plan.mood.figure == "repeat"
        return [make_note(plan, bar, step, gap * (0.5 if repeated else 1.0), p, velocity) for p in pitches]
    if kind in ("alberti", "arpeggio"):
        order = (0, 2, 1, 2) if kind == "alberti" else (0, 1, 2, 3, 2, 1)
        index = order[(step // 2) % len(order)]
        pitch = pitches[index % len(pitches)] + 12 * (index // len(pitches))
        return [make_note(plan, bar, step, gap * min(max(plan.mood.length, 0.5), 1.6), pitch, velocity + 6)]
    if kind == "boom" and step % 8 == 0:
        return [make_note(plan, bar, step, length, pitches[0] - 12 if pitches[0] >= 52 else pitches[0], velocity + 8)]
    if kind == "montuno":
        if step % 4 == 0:
            return [make_note(plan, bar, step, length, p, velocity) for p in (pitches[0], pitches[0] + 12)]
        return [make_note(plan, bar, step, length, p, velocity) for p in pitches[1:3]]
    if kind == "strum":
        down = step % 4 == 0
        ordered = pitches if down else pitches[::-1]
        return [make_note(plan, bar, step + 0.14 * k, length, p, velocity - 2 * k) for k, p in enumerate(ordered)]
    spread = plan.mood.spread if kind == "block" else 0.0
    return [make_note(plan, bar, step + spread * k, length, p, velocity) for k, p in enumerate(pitches)]


def line_notes(plan: Plan, rng: np.random.Generator, instrument: str) -> list[Note]:
    """A counter-line: long chord tones, off the melody's downbeats, that move by the smallest step."""
    low, high = RANGES[instrument]
    middle = min(max(64 + plan.mood.register // 2, low + 7), high - 7)
    notes: list[Note] = []
    last = middle
    start = 2 if rng.random() < 0.5 else 0
    for bar in range(plan.bars):
        u = rng.random((4, 3))
        kept = min(0.35 + 0.5 * plan.mood.density * plan.energy[bar] ** 0.5, 1.0)
        steps = [4 * k + start for k in range(4) if k % 2 == 0 or u[k, 0] < kept - 0.4]
        for i, step in enumerate(steps):
            gap = (steps[i + 1] if i + 1 < len(steps) else 16 + start) - step
            chord = plan.chord(bar, step)
            choices = [fit(plan.tonic + chord.root + t, middle - 8, middle + 7) for t in chord.tones[:4]]
            choices.sort(key=lambda p: abs(p - last))
            pitch = choices[1 if u[step // 4, 1] < 0.5 and len(choices) > 1 else 0]
            last = pitch
            velocity = 78 + plan.mood.velocity + 8 * (u[step // 4, 2] - 0.5)
            notes.append(make_note(plan, bar, step, gap * min(plan.mood.length + 0.2, 1.0), pitch, velocity))
    return notes
