"""The contract of an encoder (bench.protocols), held by the mini encoders of the bundle."""

from __future__ import annotations

import numpy as np
import pytest

from bench import bundle, registry
from bench.space import BundledSpace

RATE = 16000
UNRELATED = [
    "a fast metal track with distorted guitar", "calm piano music", "hip hop with heavy drums", "a sad violin melody",
    "happy reggae with organ", "dark ambient pads", "a slow blues with saxophone", "energetic techno at 140 bpm",
]  # fmt: skip


@pytest.fixture(scope="module", params=["mini-clap", "mini-muscall"])
def encoder(request):
    made = registry.encoders.get(request.param)()
    missing = set(made.bundle_files()) - set(bundle.manifest()["files"])
    if missing:
        pytest.skip(f"the bundle in {bundle.directory()} lacks {', '.join(sorted(missing))}; run `make bundle`")
    return made


def wave(seconds: float, seed: int = 0) -> np.ndarray:
    """Tones and noise, different for every seed."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * rng.uniform(80, 2000) * t + rng.uniform(0, 6)) for _ in range(4))
    return (0.1 * tones + 0.02 * rng.normal(size=len(t))).astype(np.float32)


def test_frames_are_one_a_second_and_of_unit_length(encoder):
    (frames,) = encoder.encode_audio([wave(5)])
    assert frames.shape == (5, encoder.dim)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1, atol=1e-5)


def test_encoding_twice_gives_the_same(encoder):
    one, two = (encoder.encode_audio([wave(3)])[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    one, two = (encoder.encode_text(UNRELATED).pooled for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_batch_changes_nothing(encoder):
    waves = [wave(2 + i % 3, seed=i) for i in range(8)]
    together = encoder.encode_audio(waves)
    for alone, frames in zip((encoder.encode_audio([w])[0] for w in waves), together, strict=True):
        np.testing.assert_allclose(alone, frames, atol=1e-5)
    together = encoder.encode_text(UNRELATED)
    for row, text in enumerate(UNRELATED):
        alone = encoder.encode_text([text])
        length = int(alone.mask.sum())
        np.testing.assert_allclose(alone.pooled[0], together.pooled[row], atol=1e-5)
        np.testing.assert_allclose(alone.tokens[0, :length], together.tokens[row, :length], atol=1e-4)
    np.testing.assert_allclose(encoder.encode_text(UNRELATED, batch_size=3).pooled, together.pooled, atol=1e-5)


def test_mels_of_a_batch_are_those_of_each(encoder):
    mel = np.random.default_rng(0).normal(-2, 1, size=(8, 64, 96)).astype(np.float16)
    together = encoder.encode_mel(mel)
    assert together.shape == (8, 3, encoder.dim)
    for row in range(8):
        np.testing.assert_allclose(encoder.encode_mel(mel[row : row + 1])[0], together[row], atol=1e-5)


@pytest.mark.parametrize("samples", [RATE, RATE + 1, 2 * RATE - 1, 3 * RATE + 777])
def test_odd_lengths_are_cut_to_whole_seconds(encoder, samples):
    given = wave(5)[:samples]
    frames = encoder.encode_audio([given])[0]
    assert frames.shape == (samples // RATE, encoder.dim)
    np.testing.assert_array_equal(frames, encoder.encode_audio([given[: samples // RATE * RATE]])[0])


@pytest.mark.parametrize("samples", [0, 1, RATE - 1])
def test_less_than_a_second_is_refused(encoder, samples):
    with pytest.raises(ValueError, match="shorter than one second"):
        encoder.encode_audio([wave(2), wave(1)[:samples]])


def test_silence_has_finite_frames(encoder):
    assert np.isfinite(encoder.encode_audio([np.zeros(2 * RATE, dtype=np.float32)])[0]).all()


def test_texts_have_token_states_a_mask_and_unit_vectors(encoder):
    latents = encoder.encode_text(UNRELATED)
    assert latents.tokens.shape == (*latents.mask.shape, encoder.token_dim)
    assert latents.mask.dtype == bool
    assert latents.mask.any(1).all()
    assert (np.diff(latents.mask.astype(int), axis=1) <= 0).all()  # real tokens first, then padding
    np.testing.assert_allclose(np.linalg.norm(latents.pooled, axis=1), 1, atol=1e-5)


def test_padding_changes_nothing(encoder):
    short = encoder.encode_text(["calm piano"])
    padded = encoder.encode_text(["calm piano", " ".join(UNRELATED)])
    length = short.mask.sum()
    assert padded.mask[0].sum() == length < padded.mask.shape[1]
    np.testing.assert_allclose(padded.pooled[0], short.pooled[0], atol=1e-5)
    np.testing.assert_allclose(padded.tokens[0, :length], short.tokens[0, :length], atol=1e-4)


def test_a_long_text_is_cut(encoder):
    long = "calm piano " * 500
    latents = encoder.encode_text([long, long + "and a loud trumpet"])
    assert latents.mask.shape[1] <= 96
    np.testing.assert_array_equal(latents.pooled[0], latents.pooled[1])


def test_case_does_not_matter(encoder):
    latents = encoder.encode_text(["Calm Piano", "calm piano"])
    np.testing.assert_array_equal(latents.pooled[0], latents.pooled[1])


def test_texts_differ(encoder):
    pooled = encoder.encode_text(UNRELATED).pooled
    cosine = pooled @ pooled.T
    assert cosine[~np.eye(len(pooled), dtype=bool)].max() < 1 - 1e-6


def test_distinct_texts_stay_apart(encoder):
    """A collapsed text tower answers everything with one vector (mteb#5069); needs trained weights."""
    recipe = bundle.manifest()["parts"][encoder.name]["recipe"]
    if recipe["config"]["epochs"] < 3:
        pytest.skip("this bundle's encoders are hardly trained")
    pooled = encoder.encode_text(UNRELATED).pooled
    assert (pooled @ pooled.T)[~np.eye(len(pooled), dtype=bool)].mean() < 0.95


def test_no_texts_give_no_rows(encoder):
    latents = encoder.encode_text([])
    assert latents.pooled.shape == (0, encoder.dim)
    assert len(latents.tokens) == 0


def test_the_digest_depends_on_the_weights(encoder):
    other = registry.encoders.get("mini-clap" if encoder.name == "mini-muscall" else "mini-muscall")()
    if set(other.bundle_files()) <= set(bundle.manifest()["files"]):
        assert encoder.digest() != other.digest()
    assert encoder.digest() == type(encoder)().digest()


def test_a_space_gives_the_same_bits_whatever_it_was_asked_before(encoder):
    """What a resumed run asks is a part of what a whole run asks."""
    whole, resumed = BundledSpace(encoder), BundledSpace(type(encoder)())
    whole.text([*UNRELATED, "a much longer text than all of the others, with many words, so that it needs padding"])
    for texts in (UNRELATED[:3], UNRELATED[2:6], UNRELATED[:1]):
        for one, two in zip(whole.text(texts), resumed.text(texts), strict=True):
            np.testing.assert_array_equal(one, two)
