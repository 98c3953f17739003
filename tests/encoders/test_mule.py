"""The audio-only encoder: its training, its contract, its space without texts, and its parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import registry
from bench.bundle.build import BuildContext, load_recipe
from bench.bundle.parts import load_built_encoder, make_audio_encoder, mel_file
from bench.encoders import mule_training
from bench.encoders.mini import MiniAudio, MiniEncoder
from bench.encoders.mule import MiniMule
from bench.encoders.mule_training import (
    AudioContrastiveConfig,
    augment_views,
    nt_xent,
    random_crops,
    train_audio_contrastive,
)  # fmt: skip
from bench.errors import UserError
from bench.space import BundledSpace, NoTextTower

RATE = 16000
SMALL = AudioContrastiveConfig(epochs=1, batch_size=8, crop_seconds=2, warmup=0.1)
PLAIN = AudioContrastiveConfig(gain=0, tilt=0, mix=0, shift=0)


def clips(count: int, frames: int = 160, seed: int = 0) -> np.ndarray:
    """Log-mels: each clip has a spectrum of its own, with noise."""
    rng = np.random.default_rng(seed)
    spectra = rng.normal(-2, 1, size=(count, 64, 1))
    return (spectra + rng.normal(0, 0.5, size=(count, 64, frames))).astype(np.float16)


def wave(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * rng.uniform(80, 2000) * t) + 0.02 * rng.normal(size=len(t))).astype(np.float32)


@pytest.fixture
def context(tmp_path):
    """A build in the test's folder."""
    return BuildContext("mini-mule", tmp_path, tmp_path, 1, "cpu", lambda at, total, text: None, {})


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a tower that was hardly trained."""
    from safetensors.torch import save_file

    file = tmp_path_factory.mktemp("mule") / "mini-mule.safetensors"
    save_file(train_audio_contrastive(clips(16), SMALL), file)
    return file


@pytest.fixture(scope="module")
def encoder(weights):
    return MiniMule(weights)


# --- the loss ---------------------------------------------------------------------------------------------------------


def slow_nt_xent(z: np.ndarray, temperature: float) -> float:
    """Eq. 1 of SimCLR term by term."""
    n = len(z)
    cosine = [[float(a @ b / math.sqrt(a @ a) / math.sqrt(b @ b)) / temperature for b in z] for a in z]
    total = 0.0
    for i in range(n):
        j = (i + n // 2) % n
        total -= cosine[i][j] - math.log(sum(math.exp(cosine[i][k]) for k in range(n) if k != i))
    return total / n


@settings(max_examples=30, deadline=None)
@given(half=st.integers(2, 6), dim=st.integers(1, 5), temperature=st.floats(0.1, 2), seed=st.integers(0, 2**16))
def test_the_loss_is_that_of_simclr(half, dim, temperature, seed):
    z = np.random.default_rng(seed).normal(size=(2 * half, dim))
    found = float(nt_xent(torch.from_numpy(z), temperature))
    assert found == pytest.approx(slow_nt_xent(z, temperature), rel=1e-9, abs=1e-9)


def test_views_that_all_look_alike_cost_the_logarithm_of_the_others():
    assert float(nt_xent(torch.ones(12, 3), 0.1)) == pytest.approx(math.log(11), rel=1e-5)


def test_the_loss_knows_no_length_and_no_order_of_clips_and_views():
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(10, 4)))
    expected = float(nt_xent(z, 0.2))
    order = torch.tensor([3, 1, 4, 0, 2])
    assert float(nt_xent(z * torch.arange(1, 11)[:, None], 0.2)) == pytest.approx(expected)
    assert float(nt_xent(z.roll(5, 0), 0.2)) == pytest.approx(expected)
    assert float(nt_xent(torch.cat([z[:5][order], z[5:][order]]), 0.2)) == pytest.approx(expected)
    assert float(nt_xent(z[torch.cat([order, 5 + torch.arange(5)])], 0.2)) != pytest.approx(expected)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7])
def test_too_few_or_odd_views_are_refused(rows):
    with pytest.raises(ValueError, match=f"two views of at least two clips are needed, got {rows} rows"):
        nt_xent(torch.ones(rows, 3), 0.1)


# --- crops and changes ------------------------------------------------------------------------------------------------


def test_crops_are_stretches_of_their_own_clip():
    mel = np.arange(5)[:, None, None] * 1000 + np.broadcast_to(np.arange(50), (5, 64, 50))
    views = random_crops(mel, 20, np.random.default_rng(0))
    assert views.shape == (10, 64, 20)
    assert views.dtype == np.float32
    np.testing.assert_array_equal(views[:, 0, 0] // 1000, [0, 1, 2, 3, 4] * 2)
    np.testing.assert_array_equal(np.diff(views, axis=2), 1)


def test_every_start_is_drawn():
    views = random_crops(np.broadcast_to(np.arange(7.0), (300, 1, 7)), 4, np.random.default_rng(0))
    starts, counts = np.unique(views[:, 0, 0], return_counts=True)
    assert starts.tolist() == [0, 1, 2, 3]
    assert counts.min() > 100  # 600 draws of four


def test_a_whole_clip_is_its_own_crop_and_a_longer_one_is_refused():
    mel = clips(2, 32)
    np.testing.assert_array_equal(random_crops(mel, 32, np.random.default_rng(0))[2:], mel.astype(np.float32))
    with pytest.raises(ValueError, match="a crop of 33 frames does not fit into clips of 32"):
        random_crops(mel, 33, np.random.default_rng(0))


def changed(mel: torch.Tensor, seed: int = 0, **strengths: float) -> torch.Tensor:
    from dataclasses import replace

    return augment_views(mel, replace(PLAIN, **strengths), torch.Generator().manual_seed(seed))


@pytest.fixture
def unmasked(monkeypatch):
    monkeypatch.setattr(mule_training, "WIDEST_BAND_MASK", 0)
    monkeypatch.setattr(mule_training, "WIDEST_TIME_MASK", 0)


@pytest.mark.usefixtures("unmasked")
def test_without_strength_nothing_changes():
    mel = torch.from_numpy(clips(6, 64).astype(np.float32))
    torch.testing.assert_close(changed(mel), mel, rtol=0, atol=0)


@pytest.mark.usefixtures("unmasked")
def test_gain_is_one_number_a_view_and_tilt_a_straight_line():
    mel = torch.from_numpy(clips(6, 64).astype(np.float32))
    gain = changed(mel, gain=0.5) - mel
    assert float(gain.std((1, 2)).max()) < 1e-5
    assert float(gain.mean((1, 2)).std()) > 0.1
    tilt = (changed(mel, tilt=0.5) - mel).mean(2)
    assert float(tilt.diff(n=2, dim=1).abs().max()) < 1e-5
    assert float(tilt.mean(1).abs().max()) < 1e-5
    assert float((tilt[:, -1] - tilt[:, 0]).std()) > 0.1


@pytest.mark.usefixtures("unmasked")
def test_mixing_adds_the_power_of_another_view():
    mel = torch.from_numpy(clips(40, 32).astype(np.float32))
    mixed = changed(mel, mix=1.0)
    added = 10 ** mixed.double() - 10 ** mel.double()
    own = [int(np.argmin([_scatter(a / 10 ** other.double()) for other in mel])) for a in added]
    levels = [float(torch.log10((added[i] / 10 ** mel[j].double()).median())) for i, j in enumerate(own)]
    low, high = mule_training.MIX_RANGE
    assert low - 0.05 <= min(levels) < max(levels) <= high + 0.05
    assert sorted(own) == list(range(40))
    share = (changed(mel, mix=0.5) - mel).abs().amax((1, 2)) > 0
    assert 8 < int(share.sum()) < 32


def _scatter(ratio: torch.Tensor) -> float:
    """How far a ratio is from one number everywhere, by its middle half."""
    ordered = torch.log10(ratio.clamp_min(1e-12)).flatten().sort().values
    return float(ordered[3 * len(ordered) // 4] - ordered[len(ordered) // 4])


@pytest.mark.usefixtures("unmasked")
def test_a_shift_moves_whole_bands_and_repeats_the_edge():
    mel = torch.arange(64.0)[None, :, None].expand(200, 64, 8)
    moved = changed(mel, shift=3)
    steps = (mel - moved)[:, 32, 0]
    assert sorted(set(steps.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
    expected = (mel - steps[:, None, None]).clamp(0, 63)
    torch.testing.assert_close(moved, expected, rtol=0, atol=0)


def test_masks_are_one_band_and_one_stretch_of_the_mean():
    mel = torch.from_numpy(clips(50, 128).astype(np.float32))
    filled = changed(mel) != mel
    assert 0.5 < float(filled.any(2).any(1).float().mean()) <= 1
    assert int(filled.all(2).sum(1).max()) <= mule_training.WIDEST_BAND_MASK
    assert int(filled.all(1).sum(1).max()) <= 128 // 4
    assert len(changed(mel)[filled].unique()) == 1


def test_changes_depend_on_the_generator_alone_and_leave_the_input():
    mel = torch.from_numpy(clips(6, 64).astype(np.float32))
    before = mel.clone()
    full = AudioContrastiveConfig()
    one, two, other = (augment_views(mel, full, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert not torch.equal(one, other)
    torch.testing.assert_close(mel, before, rtol=0, atol=0)
    assert bool(torch.isfinite(one).all())


# --- training ---------------------------------------------------------------------------------------------------------


def test_training_learns_to_tell_clips_apart(tmp_path):
    """New stretches of clips that were not trained on find each other."""
    from dataclasses import replace

    from safetensors.torch import save_file

    losses = []
    config = replace(SMALL, epochs=12, batch_size=16, gain=0.1, tilt=0.1, mix=0.2, shift=0)
    mel = clips(64)
    save_file(train_audio_contrastive(mel, config, lambda at, total, text: losses.append(text)), tmp_path / "w")
    assert len(losses) == 48
    assert float(losses[-1].split()[-1]) < 0.5 * float(losses[0].split()[-1])

    unseen = clips(20, seed=1)
    one, two = (MiniMule(tmp_path / "w").encode_mel(part).mean(1) for part in np.split(unseen[..., :128], 2, axis=2))
    cosine = (one / np.linalg.norm(one, axis=1)[:, None]) @ (two / np.linalg.norm(two, axis=1)[:, None]).T
    assert (cosine.argmax(1) == np.arange(20)).mean() >= 0.8


def test_training_repeats_by_seed():
    from dataclasses import replace

    one, two, other = (train_audio_contrastive(clips(16), replace(SMALL, seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_only_the_tower_is_kept():
    state = train_audio_contrastive(clips(16), SMALL)
    assert all(name.startswith("audio.") for name in state)
    assert {value.dtype for value in state.values()} == {torch.float16, torch.int64}  # counts of batch norm are int


def test_too_few_clips_are_refused():
    with pytest.raises(ValueError, match="7 clips, but a batch holds 8"):
        train_audio_contrastive(clips(7), SMALL)


# --- the encoder ------------------------------------------------------------------------------------------------------


def test_it_is_registered_and_reads_its_own_file_only():
    made = registry.encoders.get("mini-mule")()
    assert isinstance(made, MiniMule)
    assert made.bundle_files() == ("mini-mule.safetensors",)
    assert not hasattr(made, "encode_text")


def test_frames_are_one_a_second_and_of_unit_length(encoder):
    (frames,) = encoder.encode_audio([wave(5)])
    assert (frames.shape, frames.dtype) == ((5, encoder.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1, atol=1e-5)


def test_encoding_twice_gives_the_same(encoder):
    np.testing.assert_array_equal(encoder.encode_audio([wave(3)])[0], encoder.encode_audio([wave(3)])[0])


def test_a_batch_changes_nothing(encoder):
    waves = [wave(2 + i % 3, seed=i) for i in range(8)]
    for given_wave, frames in zip(waves, encoder.encode_audio(waves), strict=True):
        np.testing.assert_allclose(encoder.encode_audio([given_wave])[0], frames, atol=1e-5)
    mel = clips(8, 96)
    together = encoder.encode_mel(mel)
    for row in range(8):
        np.testing.assert_allclose(encoder.encode_mel(mel[row : row + 1])[0], together[row], atol=1e-5)


@pytest.mark.parametrize("samples", [RATE, RATE + 1, 2 * RATE - 1, 3 * RATE + 777])
def test_odd_lengths_are_cut_to_whole_seconds(encoder, samples):
    frames = encoder.encode_audio([wave(5)[:samples]])[0]
    np.testing.assert_array_equal(frames, encoder.encode_audio([wave(5)[: samples // RATE * RATE]])[0])
    assert len(frames) == samples // RATE


def test_less_than_a_second_is_refused(encoder):
    with pytest.raises(ValueError, match="shorter than one second"):
        encoder.encode_audio([wave(1)[: RATE - 1]])


# --- its space --------------------------------------------------------------------------------------------------------


def test_a_space_without_texts_says_so(encoder):
    space = BundledSpace(encoder)
    assert not space.has_text
    with pytest.raises(NoTextTower, match=r"^mini-mule has no text tower$"):
        space.text(["calm piano"])
    assert issubclass(NoTextTower, UserError)


def test_a_space_with_texts_says_so_without_loading():
    assert BundledSpace(registry.encoders.get("mini-clap")()).has_text


# --- its parts --------------------------------------------------------------------------------------------------------


def test_a_built_encoder_is_loaded_for_what_it_is(context):
    np.save(context.work_file(mel_file("web-train")), clips(16))
    config = {"epochs": 1, "batch_size": 8, "crop_seconds": 2}
    made = make_audio_encoder(context, train="web-train", config=config)
    assert made["files"] == ["mini-mule.safetensors"]
    assert "loss" in made["info"]["last"]
    loaded = load_built_encoder(context, "mini-mule")
    assert isinstance(loaded, MiniAudio)
    assert not isinstance(loaded, MiniEncoder)
    assert loaded.encode_mel(clips(2, 64)).shape == (2, 2, 128)


def test_a_built_encoder_with_texts_keeps_them(context):
    from safetensors.numpy import save_file

    save_file({"audio.x": np.zeros(1), "text.x": np.zeros(1)}, context.bundle_file("pair.safetensors"))
    assert isinstance(load_built_encoder(context, "pair"), MiniEncoder)


def test_the_recipe_trains_it_on_audio_alone():
    recipe = load_recipe()
    assert recipe["mini-mule"]["needs"] == ["mel-web-train"]
    AudioContrastiveConfig(**recipe["mini-mule"]["config"])
    like = {**recipe["latents-mini-clap"], "encoder": "mini-mule"}
    like["needs"] = ["mini-mule", *like["needs"][1:]]
    assert recipe["latents-mini-mule"] == like
