"""Composition: every value plays, twins keep what they should, and the attributes are in the notes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.datasets.gmcaps._patterns import GENRE_STYLES, MOOD_STYLES, RANGES, ROLES
from bench.datasets.gmcaps.attributes import BASSES, DRUMS, GENRES, INSTRUMENTS, KEYS, MODES, MOODS, Attributes
from bench.datasets.gmcaps.compose import Note, Score, compose

BASE = Attributes(
    "pop", "happy", "piano", ("strings", "acoustic guitar"), "electric bass", "acoustic", "C", "major", 120
)


def _piece(seed: int = 7, sections: int = 1, **changes: object) -> Score:
    return compose(replace(BASE, **changes), seconds=16.0, seed=seed, sections=sections)  # type: ignore[arg-type]


def _notes(score: Score, slot: str) -> tuple[Note, ...]:
    return next((p.notes for p in score.parts if p.slot == slot), ())


def test_tables_cover_the_vocabulary() -> None:
    assert tuple(GENRE_STYLES) == GENRES
    assert tuple(MOOD_STYLES) == MOODS
    assert set(RANGES) == set(ROLES) == set(INSTRUMENTS)
    for name, style in GENRE_STYLES.items():
        for rhythm in (*style.drums.values(), style.bass, style.comp, style.melody):
            assert len(rhythm) == 16, name


VALUES = [
    *(("genre", g) for g in GENRES), *(("mood", m) for m in MOODS), *(("drums", d) for d in DRUMS),
    *(("key", k) for k in KEYS), *(("mode", m) for m in MODES), *(("bass", b) for b in (*BASSES, None)),
    *(("lead", i) for i in INSTRUMENTS if i not in BASE.accompaniment), *(("bpm", b) for b in (45, 84, 200)),
    *(("accompaniment", (i,)) for i in INSTRUMENTS if i != "piano"), ("accompaniment", ()),
]  # fmt: skip


@pytest.mark.parametrize(("attribute", "value"), VALUES)
def test_every_value_composes_within_bounds(attribute: str, value: object) -> None:
    score = _piece(**{attribute: value})
    changed = replace(BASE, **{attribute: value})
    slots = {p.slot: p.instrument for p in score.parts}
    assert slots["lead"] == changed.lead
    assert [slots[f"accompaniment-{i}"] for i in range(len(changed.accompaniment))] == list(changed.accompaniment)
    assert slots.get("bass") == changed.bass
    assert slots.get("drums", "none") == changed.drums
    for part in score.parts:
        assert part.notes, part
        assert list(part.notes) == sorted(part.notes)
        for note in part.notes:
            assert 0.0 <= note.start < note.end <= 16.0
            assert 1 <= note.velocity <= 127
            if part.instrument in RANGES:
                low, high = RANGES[part.instrument]
                assert low <= note.pitch <= high, part.instrument


def test_composition_is_a_function_of_its_arguments() -> None:
    assert _piece() == _piece()
    assert _piece(seed=8) != _piece()


@pytest.mark.parametrize(
    ("attribute", "value", "kept"),
    [
        ("lead", "violin", ("accompaniment-0", "accompaniment-1", "bass", "drums")),
        ("drums", "electronic", ("lead", "accompaniment-0", "accompaniment-1", "bass")),
        ("drums", "none", ("lead", "accompaniment-0", "accompaniment-1", "bass")),
        ("bass", None, ("lead", "accompaniment-0", "accompaniment-1", "drums")),
        ("bass", "synth bass", ("lead", "accompaniment-0", "accompaniment-1", "bass", "drums")),
        ("accompaniment", ("strings", "harp"), ("lead", "accompaniment-0", "bass", "drums")),
        ("key", "Eb", ("drums",)),
        ("mode", "minor", ("drums",)),
    ],
)
def test_a_twin_keeps_the_notes_of_other_parts(attribute: str, value: object, kept: tuple[str, ...]) -> None:
    original, changed = _piece(), _piece(**{attribute: value})
    for slot in kept:
        assert _notes(original, slot) == _notes(changed, slot)


def test_key_moves_pitches_and_nothing_else() -> None:
    original, moved = _piece(), _piece(key="D")
    for slot in ("lead", "bass"):
        a, b = _notes(original, slot), _notes(moved, slot)
        assert [(n.start, n.velocity) for n in a] == [(n.start, n.velocity) for n in b]
        assert {(y.pitch - x.pitch) % 12 for x, y in zip(a, b, strict=True)} == {2}


def test_mode_changes_thirds() -> None:
    major, minor = (
        {n.pitch % 12 for p in _piece(mode=m, mood="calm").parts if p.slot != "drums" for n in p.notes} for m in MODES
    )
    assert 4 in major
    assert 3 in minor


@pytest.mark.parametrize("mood", [m for m in MOODS if m != "dark"])
@pytest.mark.parametrize("mode", MODES)
def test_the_melody_keeps_to_the_scale_and_the_chords(mode: str, mood: str) -> None:
    scale = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 10}}[mode]
    notes = [
        n
        for s in range(6)
        for n in _notes(_piece(seed=s, mode=mode, mood=mood, genre="folk", lead="flute", key="Bb"), "lead")
    ]
    outside = [n for n in notes if (n.pitch - 10) % 12 not in scale]
    # the dominant's raised third and the moods' coloured chords may step outside
    assert len(outside) < (0.3 if mood == "tense" else 0.15) * len(notes)


@pytest.mark.parametrize("genre", GENRES)
def test_the_bass_and_the_chords_begin_on_chord_tones_of_the_key(genre: str) -> None:
    scale = {(KEYS.index("Eb") + s) % 12 for s in (0, 2, 4, 5, 7, 9, 10, 11)}  # with the flat seventh
    score = _piece(genre=genre, mood="romantic", key="Eb", drums="none")
    for slot, limit in (("bass", 0.3), ("accompaniment-0", 0.3), ("accompaniment-1", 0.3)):
        pitches = [n.pitch % 12 for n in _notes(score, slot)]
        # walking approaches, blue sevenths step outside
        assert sum(p not in scale for p in pitches) <= limit * len(pitches), slot


def test_tempo_scales_the_grid() -> None:
    slow, fast = _notes(_piece(bpm=60), "lead"), _notes(_piece(bpm=120), "lead")
    for a, b in zip(slow, fast, strict=False):
        assert a.start == pytest.approx(2 * b.start)
        assert a.pitch == b.pitch


def test_genres_play_different_grooves() -> None:
    grooves = {g: tuple((round(n.start, 3), n.pitch) for n in _notes(_piece(genre=g), "drums")) for g in GENRES}
    assert len(set(grooves.values())) == len(GENRES)


def test_moods_order_register_loudness_and_density() -> None:
    def mean(mood: str, what: str) -> float:
        notes = [n for seed in range(8) for n in _notes(_piece(seed=seed, mood=mood, lead="flute"), "lead")]
        return float(np.mean([getattr(n, what) for n in notes])) if what != "count" else float(len(notes))

    assert mean("calm", "velocity") < mean("happy", "velocity") < mean("energetic", "velocity")
    assert mean("calm", "count") < mean("happy", "count") < mean("energetic", "count")
    assert mean("dark", "pitch") < mean("happy", "pitch") < mean("dreamy", "pitch")


@pytest.mark.parametrize("genre", GENRES)
def test_a_second_section_changes_the_texture(genre: str) -> None:
    one, two = _piece(genre=genre), _piece(genre=genre, sections=2)

    def early(score: Score) -> list[Note]:
        return [n for n in _notes(score, "lead") if n.start < 7.0]

    assert early(one) == early(two)
    assert _notes(one, "lead") != _notes(two, "lead")
