"""`bench data`: render, describe, verify."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from bench.cli import main


def test_render_writes_audio_and_a_manifest_with_the_truth(tmp_path, capsys):
    assert main(["data", "render", "gmcaps/mc", "--out", str(tmp_path), "--limit", "2"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    for row in rows:
        wave, rate = soundfile.read(tmp_path / row["audio"])
        assert rate == 16000
        assert len(wave) == 10 * rate
        assert np.abs(wave).max() > 0.01
        assert row["captions"]
        assert row["truth"]["genre"]
    assert len(list(tmp_path.glob("**/*.wav"))) == 2


def test_render_in_another_rate(tmp_path):
    arguments = ["data", "render", "gmcaps/mc", "--out", str(tmp_path), "--limit", "1", "--sample-rate", "22050"]
    assert main(arguments) == 0
    (file,) = tmp_path.glob("**/*.wav")
    assert soundfile.info(file).samplerate == 22050


@pytest.mark.slow
def test_describe_puts_the_real_figures_beside_ours(capsys):
    assert main(["data", "describe", "gmcaps/sd"]) == 0
    out = capsys.readouterr().out
    assert "1106" in out
    assert "2667" in out


def test_an_unknown_dataset_names_the_nearest(capsys):
    assert main(["data", "render", "gmcaps/ds", "--out", "x"]) == 2
    assert "gmcaps/sd" in capsys.readouterr().err
