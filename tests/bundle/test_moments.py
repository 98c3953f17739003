"""Moments of training sets, and the captions that no model was fitted on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from bench.bundle import parts
from bench.bundle.build import BuildContext, load_recipe, maker_of
from bench.bundle.moments import captions_file, make_captions, make_moments, mean_and_covariance, moments_file
from bench.gallery import Gallery
from bench.metrics.frechet import FrechetReference, frechet_distance
from bench.protocols import TextLatents
from bench.tasks import references_of

CLIPS, SECONDS, DIM = 300, 4, 5


class Tower:
    """An encoder whose frames are what the mel says, and whose texts are as long as they are."""

    dim = DIM

    def encode_mel(self, mel):
        return mel.transpose(0, 2, 1)[:, ::32].astype(np.float32)


class Pair(Tower):
    """The same with a text tower."""

    def encode_text(self, texts):
        pooled = np.array([[len(text), text.count("a"), 1, 0, 0] for text in texts], dtype=np.float32)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return TextLatents(pooled[:, None], np.ones((len(texts), 1), dtype=bool), pooled)


@pytest.fixture
def context(tmp_path):
    """A build in the test's folder, with a training set of log-mels and two captions a track."""
    rng = np.random.default_rng(0)
    mel = rng.normal(size=(CLIPS, DIM, 32 * SECONDS)).astype(np.float16)
    np.save(tmp_path / "mel-web-train.npy", mel)
    captions = [["a" * (1 + n % 7) + "b" * (n % 3), f"bb{n}"] for n in range(CLIPS)]
    (tmp_path / "captions-web-train.json").write_text(json.dumps(captions))
    return BuildContext("moments-toy", tmp_path, tmp_path, 1, "cpu", lambda *said: None, {})


def test_moments_are_those_of_all_time_means_and_all_captions(context, monkeypatch):
    monkeypatch.setattr(parts, "load_built_encoder", lambda context, name: Pair())
    made = make_moments(context, encoder="toy", train="web-train")
    assert made["files"] == [moments_file("toy")]
    assert made["info"] == {"train": "web-train", "audio": CLIPS, "text": 2 * CLIPS}
    stored = load_file(context.bundle_file(moments_file("toy")))
    means = Tower().encode_mel(np.load(context.work_file("mel-web-train.npy"))).mean(1)
    np.testing.assert_allclose(stored["audio-mean"], means.mean(0), atol=1e-6)
    np.testing.assert_allclose(stored["audio-cov"], np.cov(means.T), atol=1e-6)
    texts = [one for group in parts.training_captions(context, "web-train") for one in group]
    vectors = Pair().encode_text(texts).pooled.astype(np.float64)
    np.testing.assert_allclose(stored["text-mean"], vectors.mean(0), atol=1e-6)
    np.testing.assert_allclose(stored["text-cov"], np.cov(vectors.T), atol=1e-6)
    assert (stored["audio-count"].tolist(), stored["text-count"].tolist()) == ([CLIPS], [2 * CLIPS])
    assert {stored[name].dtype for name in ("audio-cov", "text-cov", "audio-mean")} == {np.dtype(np.float32)}


def test_an_encoder_of_audio_alone_has_no_moments_of_texts(context, monkeypatch):
    monkeypatch.setattr(parts, "load_built_encoder", lambda context, name: Tower())
    context.work_file("captions-web-train.json").unlink()
    made = make_moments(context, encoder="toy", train="web-train")
    assert made["info"] == {"train": "web-train", "audio": CLIPS}
    assert {name.split("-")[0] for name in load_file(context.bundle_file(moments_file("toy")))} == {"audio"}


def test_stored_moments_give_the_distance_of_the_vectors_themselves(context, monkeypatch):
    monkeypatch.setattr(parts, "load_built_encoder", lambda context, name: Tower())
    make_moments(context, encoder="toy", train="web-train")
    stored = load_file(context.bundle_file(moments_file("toy")))
    means = Tower().encode_mel(np.load(context.work_file("mel-web-train.npy"))).mean(1)
    other = np.random.default_rng(1).normal(size=(200, DIM)) + 1
    reference = FrechetReference.from_moments(stored["audio-mean"], stored["audio-cov"])
    assert reference.distance(other) == pytest.approx(frechet_distance(means, other), rel=1e-5)


def test_queries_have_a_distance_to_the_training_set(context, monkeypatch):
    """FAD(train) is the distance to the stored moments; of unit vectors no moments are kept, and it says so."""
    from bench import registry
    from bench.metrics.measured import Lazy, Measured
    from bench.tasks import Reference

    monkeypatch.setattr(parts, "load_built_encoder", lambda context, name: Tower())
    make_moments(context, encoder="toy", train="web-train")
    stored = load_file(context.bundle_file(moments_file("toy")))
    train = Reference(moments=lambda kind: (stored[f"{kind}-mean"], stored[f"{kind}-cov"]))
    latents = np.random.default_rng(2).normal(size=(40, 1, DIM))
    references = Lazy({"train": lambda: train})
    measured = Measured(latents, latents[:, 0], np.ones(40), 9, np.zeros((40, 9)), references=references)
    metric = registry.metrics.get("FAD(reference)")
    key = metric.match("FAD(train)")
    assert metric.why_null(measured, key) is None
    means = Tower().encode_mel(np.load(context.work_file("mel-web-train.npy"))).mean(1)
    found = metric.statistic(measured, key, np.arange(40))
    assert found == pytest.approx(frechet_distance(means, latents[:, 0]), rel=1e-5)
    assert "moments of raw vectors" in metric.why_null(measured, metric.match("FADunit(train)"))


def test_mean_and_covariance_are_numpys():
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    mean, cov = mean_and_covariance(rows)
    np.testing.assert_allclose(mean, rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(cov, np.cov(rows.T.astype(np.float64)), atol=1e-12)
    assert cov.dtype == np.float64


def test_the_first_caption_of_every_track_is_kept(context):
    made = make_captions(context, split="web-train")
    assert made["files"] == ["captions-web-train.parquet"]
    frame = pd.read_parquet(context.bundle_file(captions_file("web-train")))
    assert frame["track"].tolist() == list(range(CLIPS))
    assert frame["text"].tolist() == [group[0] for group in parts.training_captions(context, "web-train")]


def test_the_recipe_names_each_encoders_own_training_set():
    """Web for mini-clap and mini-mule, PC for mini-muscall: the split that the encoder's own part trains on."""
    recipe = load_recipe()
    for encoder in ("mini-clap", "mini-muscall", "mini-mule"):
        part = recipe[f"moments-{encoder}"]
        assert maker_of(part) is make_moments
        assert part["train"] == recipe[encoder]["train"]
        assert {encoder, f"mel-{part['train']}"} <= set(part["needs"])


@pytest.mark.parametrize("encoder", ["mini-clap", "mini-muscall", "mini-mule"])
def test_the_bundles_moments_make_a_reference(bundle_ready, encoder):
    from bench import bundle, registry
    from bench.space import BundledSpace

    if not bundle.has(moments_file(encoder)):
        pytest.skip(f"this bundle has no {moments_file(encoder)}")
    space = BundledSpace(registry.encoders.get(encoder)())
    train = references_of(space, Gallery(("t",), np.zeros((1, space.dim))))["train"]
    near = train.frechet.distance(space.pooled("pc-test")[:1000])
    assert 0 < near < 4  # vectors of at most unit norm are never farther apart
    if hasattr(space.encoder, "encode_text"):
        assert train.frechet_text.mean.shape == (space.dim,)
