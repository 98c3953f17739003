"""Rendering: exact, repeatable, without memory, and different between the domains."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from bench.datasets.gmcaps import render as module
from bench.datasets.gmcaps._patterns import RANGES
from bench.datasets.gmcaps.attributes import BASSES, DRUMS, INSTRUMENTS, Attributes
from bench.datasets.gmcaps.compose import Note, Part, Score, compose
from bench.datasets.gmcaps.render import RENDERINGS, render
from bench.errors import UserError

pytest.importorskip("tinysoundfont")

BASE = Attributes("rock", "tense", "organ", ("strings", "choir"), "electric bass", "acoustic", "E", "minor", 133)
OTHER = Attributes("ambient", "dreamy", "synth pad", ("harp",), None, "none", "Ab", "major", 61)


def _score(attributes: Attributes = BASE, seconds: float = 4.0, seed: int = 3) -> Score:
    return compose(attributes, seconds=seconds, seed=seed)


@pytest.mark.parametrize("rendering", RENDERINGS)
@pytest.mark.parametrize("seconds", [1.0, 3.99991])
def test_shape_type_and_level(rendering: str, seconds: float) -> None:
    sound = render(_score(seconds=seconds), rendering=rendering, seed=1)
    assert sound.shape == (round(seconds * 16000),)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 0.98 + 1e-6
    assert -30 < 20 * np.log10(sound.std()) < -8


def test_nothing_of_another_clip_remains() -> None:
    alone = render(_score(), rendering="sd", seed=1)
    for attributes in (OTHER, replace(BASE, lead="distorted guitar", accompaniment=("harpsichord",))):
        render(_score(attributes, seconds=2.0), rendering="web", seed=9)
        np.testing.assert_array_equal(render(_score(), rendering="sd", seed=1), alone)
    module._synth.cache_clear()
    np.testing.assert_array_equal(render(_score(), rendering="sd", seed=1), alone)


@pytest.mark.slow
def test_another_process_renders_the_same_bits() -> None:
    code = (
        "import hashlib\n"
        "from bench.datasets.gmcaps.corpus import compose_and_render, track\n"
        "print(hashlib.sha256(compose_and_render(track('mc', 'test', 5)).tobytes()).hexdigest())"
    )
    found = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
             for _ in range(2)}  # fmt: skip
    from bench.datasets.gmcaps.corpus import compose_and_render, track

    assert found == {hashlib.sha256(compose_and_render(track("mc", "test", 5)).tobytes()).hexdigest()}


@pytest.mark.parametrize("name", [*INSTRUMENTS, *BASSES, *DRUMS[1:]])
def test_every_program_sounds_and_is_stable(name: str) -> None:
    if name in DRUMS:
        part = Part("drums", name, tuple(Note(0.2 * i, 0.2 * i + 0.1, p, 100) for i, p in enumerate((36, 38, 42, 64))))
    else:
        pitch = 40 if name in BASSES else sum(RANGES[name]) // 2
        part = Part("bass" if name in BASSES else "lead", name, (Note(0.0, 0.9, pitch, 100),))
    for seed in range(3):
        dry = module._play(Score(1.0, (part,)), RENDERINGS["web"], seed, 16000)
        assert 0.003 < np.abs(dry).max() < 3.0, seed


def test_programs_have_levels_and_share_one_gain_after_it() -> None:
    programs = {p for table in (INSTRUMENTS, BASSES) for group in table.values() for p in group}
    assert programs == set(module._PROGRAM_LEVELS)


def test_renderings_differ_as_their_names_say() -> None:
    def top(rendering: str) -> float:
        """Share of the energy above 5 kHz."""
        spectrum = sum(np.abs(np.fft.rfft(render(_score(), rendering=rendering, seed=s))) ** 2 for s in range(4))
        return float(spectrum[int(5000 * 4.0) :].sum() / spectrum.sum())

    assert top("mc") < top("web")
    assert top("mc") < top("pc")
    sounds = [render(_score(), rendering=r, seed=1) for r in RENDERINGS]
    for i, a in enumerate(sounds):
        for b in sounds[:i]:
            assert abs(float(np.corrcoef(a, b)[0, 1])) < 0.97


def test_a_changed_drum_kit_leaves_the_sound_of_other_parts() -> None:
    quiet = replace(BASE, drums="none")
    parts = {p.slot: p for p in _score().parts}
    without = Score(4.0, tuple(p for slot, p in parts.items() if slot != "drums"))
    np.testing.assert_array_equal(
        module._play(without, RENDERINGS["web"], 5, 16000), module._play(_score(quiet), RENDERINGS["web"], 5, 16000)
    )


def test_other_sample_rates() -> None:
    assert render(_score(), rendering="pc", seed=0, sample_rate=22050).shape == (88200,)
    with pytest.raises(UserError, match="8000 to 48000"):
        render(_score(), rendering="pc", seed=0, sample_rate=96000)


def test_unknown_rendering_and_missing_synthesizer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="web, pc, sd, mc"):
        render(_score(), rendering="studio", seed=0)
    module._synth.cache_clear()
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(UserError, match=r"pip install --no-deps tinysoundfont==0\.3\.7"):
        render(_score(), rendering="pc", seed=0)
