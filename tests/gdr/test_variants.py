"""GDR from files of weights that say how they were made: frames, prediction, condition, and the text encoder."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch

from bench import bundle, registry
from bench.errors import UserError
from bench.protocols import Sampling, TextLatents
from gdr.guidance import GuidedDenoiser
from gdr.latents import LatentScaler
from gdr.retriever import GDR
from gdr.sample import sample
from gdr.sampler_spec import parse_sampler
from gdr.schedule import NoiseSchedule
from gdr.storage import save_model
from gdr.unet import GDRUNet
from gdr.unet_config import UNetConfig

DIM, WIDTH = 8, 12
PROMPTS = ["a calm piano piece", "fast metal", "slow blues with a long guitar solo"]
SAMPLING = Sampling("ddim-3", 3.0, 2, 0)


class Words:
    """A text encoder: a state a word, made from the word's letters."""

    name = "words"

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift
        self.calls = []

    def digest(self) -> str:
        return f"words{self.shift}"

    def encode_text(self, texts) -> TextLatents:
        self.calls.append(list(texts))
        words = [text.split() for text in texts]
        mask = np.array([[i < len(w) for i in range(max(map(len, words)))] for w in words])
        tokens = np.zeros((*mask.shape, WIDTH), np.float32)
        for row, of_text in enumerate(words):
            for at, word in enumerate(of_text):
                tokens[row, at] = np.sin(np.arange(1, WIDTH + 1) * (sum(map(ord, word)) + self.shift))
        pooled = tokens.sum(1)[:, :DIM]
        return TextLatents(tokens, mask, pooled / np.linalg.norm(pooled, axis=1, keepdims=True))


class Space:
    """A space whose text tower is `Words`."""

    name, dim = "toy", DIM

    def __init__(self) -> None:
        self.words = Words()

    def digest(self) -> str:
        return "toy"

    def encoder_digest(self) -> str:
        return "toy"

    def text(self, texts) -> TextLatents:
        return self.words.encode_text(texts)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Write weights into a bundle of their own: (name, frames, prediction, condition, text, seed) -> None."""
    files = {}
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(tmp_path))

    def write(name="gdr-toy", frames=4, prediction="x0", condition="tokens", text="toy", seed=0):
        pooled = condition == "pooled"
        config = UNetConfig(
            DIM, (16, 16), (2, 2) if frames > 1 else (1, 1), (1, 1), (1, 1), 2, 8, DIM if pooled else WIDTH, 16, 4,
            1 if pooled else 3, prediction,
        )  # fmt: skip
        torch.manual_seed(seed)
        model = GDRUNet(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        metadata = {
            "config": json.dumps(config.to_dict()), "frames": str(frames), "condition": condition, "text": text,
        }  # fmt: skip
        file = tmp_path / f"{name}.safetensors"
        save_model(file, model, LatentScaler.fit(torch.randn(50, DIM)), metadata)
        files[file.name] = {"sha256": bundle.sha256_file(file)}
        (tmp_path / bundle.MANIFEST).write_text(json.dumps({"files": files, "parts": {}}))
        bundle._read_manifest.cache_clear()

    yield write
    bundle._read_manifest.cache_clear()


@pytest.mark.parametrize("prediction", ["x0", "epsilon"])
@pytest.mark.parametrize("frames", [4, 1])
@pytest.mark.parametrize("condition", ["tokens", "pooled"])
def test_every_cell_of_the_ablation_generates(store, prediction, frames, condition):
    store(prediction=prediction, frames=frames, condition=condition)
    gdr = GDR(Space(), "gdr-toy")
    for sampler in ("ddim-3", "dpm++2m-4"):
        latents = gdr.query(PROMPTS, Sampling(sampler, 3.0, 2, 0))
        assert latents.shape == (3, 2, DIM)
        assert np.isfinite(latents).all()
        assert np.abs(latents[:, 0] - latents[:, 1]).max() > 1e-4
    model = gdr._model
    assert model.frames == frames
    assert model.model.prediction == prediction
    assert gdr.query_negative(PROMPTS, PROMPTS[::-1], 2.0, SAMPLING).shape == (3, 2, DIM)


def test_with_the_pooled_condition_only_the_pooled_vector_counts(store, monkeypatch):
    store(condition="pooled")
    gdr = GDR(Space(), "gdr-toy")
    before = gdr.query(PROMPTS, SAMPLING)
    encode = Words.encode_text

    def other_tokens(self, texts):
        latents = encode(self, texts)
        return latents._replace(tokens=latents.tokens[:, ::-1] + 1.0)

    monkeypatch.setattr(Words, "encode_text", other_tokens)
    np.testing.assert_array_equal(gdr.query(PROMPTS, SAMPLING), before)
    store("by-token")
    assert np.abs(GDR(Space(), "by-token").query(PROMPTS, SAMPLING) - before).max() > 1e-3


def test_frames_are_what_the_file_says_unless_asked(store):
    store()
    own, asked, longer = (GDR(Space(), "gdr-toy", frames) for frames in (None, 4, 8))
    np.testing.assert_array_equal(own.query(PROMPTS, SAMPLING), asked.query(PROMPTS, SAMPLING))
    assert np.abs(own.query(PROMPTS, SAMPLING) - longer.query(PROMPTS, SAMPLING)).max() > 1e-3
    assert len({each.digest() for each in (own, asked, longer)}) == 3


# --- another text encoder ---------------------------------------------------------------------------------------------


@pytest.fixture
def others(store):
    """Two registered text encoders, and weights trained with each."""
    made = []

    def encoder(shift):
        def make():
            made.append(Words(shift))
            return made[-1]

        return make

    store(text="other")
    store("gdr-far", text="far")
    with registry.encoders.temporary("other", encoder(1.5)), registry.encoders.temporary("far", encoder(3.0)):
        yield made


class NoText(Space):
    """A space of audio alone."""

    def text(self, texts):
        raise UserError("toy has no text tower")


def test_a_space_without_a_text_tower_works_with_another(others):
    latents = GDR(NoText(), "gdr-toy", text="other").query(PROMPTS, SAMPLING)
    assert np.isfinite(latents).all()
    np.testing.assert_array_equal(GDR(Space(), "gdr-toy", text="other").query(PROMPTS, SAMPLING), latents)


def test_texts_are_encoded_by_the_encoder_that_is_named(others):
    gdr = GDR(NoText(), "gdr-toy", text="other")
    gdr.query(PROMPTS, SAMPLING)
    assert [encoder.shift for encoder in others] == [1.5]
    assert others[0].calls == [PROMPTS]


def test_the_same_list_is_encoded_once(others):
    gdr = GDR(NoText(), "gdr-toy", text="other")
    gdr.query(PROMPTS, SAMPLING)
    gdr.query(PROMPTS, Sampling("ddim-2", 1.0, 2, 5))
    gdr.query(PROMPTS[:2], SAMPLING)
    assert others[0].calls == [PROMPTS, PROMPTS[:2]]


def test_the_text_encoder_is_part_of_the_digest(others):
    digests = {GDR(Space(), "gdr-toy", text=text).digest() for text in (None, "other", "far")}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("weights", "text", "here"),
    [("gdr-toy", None, "the text tower of toy"), ("gdr-toy", "far", "text: far"), ("gdr-far", "other", "text: other")],
)
def test_weights_of_another_text_encoder_are_refused(others, weights, text, here):
    with pytest.raises(UserError, match=rf"{weights} was trained with text encoder '\w+', not with {here}"):
        GDR(Space(), weights, text=text).query(PROMPTS, SAMPLING)


def test_without_a_text_tower_and_without_another_encoder_the_reason_is_plain(store):
    store()
    with pytest.raises(UserError, match="toy has no text tower"):
        GDR(NoText(), "gdr-toy").query(PROMPTS, SAMPLING)


def test_an_unknown_text_encoder_is_refused_before_anything_is_computed(store):
    store()
    with pytest.raises(UserError, match="unknown encoder 'minillm'"):
        GDR(Space(), "gdr-toy", text="minillm").digest()


# --- both predictions on a model that is known exactly ----------------------------------------------------------------


class Number:
    """Texts that are the mean of what they describe."""

    def __init__(self, means, samples=1):
        self.means, self.samples = means, samples
        self.rows = len(means)

    def expand(self, rows):
        return Number(self.means.expand(rows), self.samples)

    def join(self, *others):
        return Number(torch.cat([self.means, *(other.means for other in others)]), self.samples)

    def repeated(self, samples):
        return Number(self.means, samples)


class Gaussian:
    """The exact denoiser of N(text, 0.5²), told as the clean latents or as the noise."""

    schedule = NoiseSchedule()

    def __init__(self, prediction):
        self.prediction = prediction

    def embed_time(self, t):
        return int(t)

    def predict(self, x, time, context):
        mean = context.means.repeat_interleave(context.samples)[:, None, None]
        alpha = self.schedule.alpha_bar(time)
        signal, variance = math.sqrt(alpha), alpha * 0.25 + 1.0 - alpha
        clean = mean + signal * 0.25 / variance * (x - signal * mean)
        return clean if self.prediction == "x0" else self.schedule.epsilon_from_x0(x, clean, time)


@pytest.mark.parametrize("sampler", ["ddim-10", "dpm++2m-10", "dpm++2m-logsnr-10"])
@pytest.mark.parametrize("kind", ["plain", "guided", "negative"])
def test_noise_prediction_samples_the_same_as_clean_prediction(sampler, kind):
    positive, other = (Number(torch.tensor(means, dtype=torch.float64)) for means in ([0.7, -1.0], [0.2, 0.4]))
    noise = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    results = []
    for prediction in ("x0", "epsilon"):
        network = Gaussian(prediction)
        denoiser = {
            "plain": lambda n=network: GuidedDenoiser.plain(n, n.schedule, positive, samples=3),
            "guided": lambda n=network: GuidedDenoiser.plain(n, n.schedule, positive, other, scale=3.0, samples=3),
            "negative": lambda n=network: GuidedDenoiser.negative(n, n.schedule, positive, other, w=2.0, samples=3),
        }[kind]()
        results.append(sample(parse_sampler(sampler), denoiser, noise, network.schedule))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-9)
    first, second = results[0][:3].mean(), results[0][3:].mean()
    assert first > second + 1.0  # the texts say where to


def test_the_loss_of_either_prediction_is_least_at_the_exact_model():
    """Scaling the exact prediction up or down must raise the loss, for both targets."""
    from gdr.train import diffusion_loss

    generator = torch.Generator().manual_seed(0)
    n = 20_000
    means = torch.full((n,), 0.7, dtype=torch.float64)
    x0 = 0.7 + 0.5 * torch.randn(n, 1, 1, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, 1, 1, generator=generator, dtype=torch.float64)
    for prediction, level in itertools.product(("x0", "epsilon"), (100, 500, 900)):
        network = Gaussian(prediction)

        class Scaled:
            def __init__(self, factor, network=network):
                self.factor, self.network, self.prediction = factor, network, network.prediction

            def __call__(self, x, t, tokens, mask):
                return self.factor * self.network.predict(x, int(t[0]), Number(means))

        losses = [
            float(diffusion_loss(Scaled(f), x0, torch.full((n,), level), noise, None, None, network.schedule))
            for f in (0.9, 1.0, 1.1)
        ]
        assert losses[1] < min(losses[0], losses[2]), (prediction, level, losses)
