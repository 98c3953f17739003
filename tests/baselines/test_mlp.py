"""The MLP rivals: the two networks, their training, the authors' dropout, and what the retrievers answer."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch

from baselines import mlp, regression
from baselines._mlp_model import MLP_CONFIGS, MLPConfig, MLPDenoiser, MLPRegressor
from baselines.mlp import MLPDiffusion, MLPRegression, make_diffusion_part, make_regression_part, training_config
from bench.errors import UserError
from bench.protocols import GenerativeRetriever, Retriever, Sampling
from gdr.fitting import TrainConfig
from gdr.guidance import GuidedDenoiser
from gdr.sample import sample_ddim
from gdr.schedule import NoiseSchedule
from gdr.storage import load_model
from gdr.train import train

CONFIG = MLPConfig(dim=8, text_dim=6, hidden=32, condition=10)
SPLITS = {"encoder": "toy", "train": "pc-train", "validation": "pc-validation", "model": "mini"}
PROMPTS = ["calm piano", "fast metal guitar", "slow sad blues", "calm piano with words 3"]
SAMPLING = Sampling("ddim-4", 3.0, 3, 0)
SCHEDULE = NoiseSchedule()


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    network = MLPDenoiser(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return network


def texts(count):
    vectors = torch.randn(count, 1, 6, generator=torch.Generator().manual_seed(count))
    return vectors / vectors.norm(dim=-1, keepdim=True), torch.ones(count, 1, dtype=torch.bool)


# --- networks ---------------------------------------------------------------------------------------------------------


def test_the_denoiser_by_hand(denoiser):
    """Linear → AdaLN → GELU → linear → AdaLN under SiLU(time + text), from its own weights."""
    x, (tokens, mask), t = torch.randn(3, 8, 1), texts(3), torch.tensor([1, 400, 999])
    angles = t[:, None] * torch.exp(-np.log(10_000) * torch.arange(128) / 128)
    time = denoiser.time(torch.cat([angles.cos(), angles.sin()], 1))
    condition = time + denoiser.text(tokens[:, 0] * 6**0.5)
    condition = condition * torch.sigmoid(condition)

    def adaptive(h, layer):
        gain, shift = layer.project(condition).chunk(2, 1)
        normed = (h - h.mean(1, keepdim=True)) / (h.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return normed * (1 + gain) + shift

    h = torch.nn.functional.gelu(adaptive(denoiser.inner(x[..., 0]), denoiser.inner_norm))
    expected = adaptive(denoiser.outer(h), denoiser.outer_norm)
    torch.testing.assert_close(denoiser(x, t, tokens, mask)[..., 0], expected, atol=1e-4, rtol=1e-4)


def test_one_pass_over_branches_equals_one_pass_each(denoiser):
    (tokens, mask), (other, _), x = texts(2), texts(3), torch.randn(6, 8, 1)
    t = torch.full((6,), 300)
    positive, negative = denoiser.encode_context(tokens, mask), denoiser.encode_context(other[:2], mask)
    null = denoiser.encode_context(*denoiser.null_context(1))
    each = [denoiser(x, t, which.repeat_interleave(3, 0), torch.ones(6, 1, dtype=torch.bool))
            for which in (tokens, other[:2], denoiser.null_context(2)[0])]  # fmt: skip
    plain = GuidedDenoiser.plain(denoiser, SCHEDULE, positive, null, scale=3.0, samples=3)
    eq2 = GuidedDenoiser.negative(denoiser, SCHEDULE, positive, negative, w=2.0, samples=3)
    torch.testing.assert_close(plain(x, 300), each[2] + 3 * (each[0] - each[2]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(eq2(x, 300), 3 * each[0] - 2 * each[1], atol=1e-4, rtol=1e-4)


def test_guiding_the_stepped_latents_is_guiding_the_predictions(denoiser):
    """The authors guide after the scheduler's step. A step is affine and the weights sum to one: it is the same."""
    denoiser = denoiser.double()
    tokens, mask = (each.double() if each.is_floating_point() else each for each in texts(2))
    null = denoiser.null_context(2)[0]
    noise = torch.randn(2, 8, 1, dtype=torch.float64)
    positive, empty = denoiser.encode_context(tokens, mask), denoiser.encode_context(null[:1], mask[:1])
    guided = GuidedDenoiser.plain(denoiser, SCHEDULE, positive, empty, scale=3.0)
    latents = []
    sample_ddim(guided, noise, SCHEDULE, 10, callback=lambda step: latents.append(step.x))
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(
        1000, 0.0015, 0.0195, "scaled_linear", steps_offset=1, set_alpha_to_one=False, clip_sample=False,
        prediction_type="sample",
    )  # fmt: skip
    scheduler.set_timesteps(10)
    x = noise
    for t, ours in zip(scheduler.timesteps, latents, strict=True):
        torch.testing.assert_close(ours, x, atol=1e-5, rtol=1e-5)  # the peer's coefficients are float32
        level = t.repeat(2)
        stepped = [scheduler.step(denoiser(x, level, text, mask), t, x).prev_sample for text in (tokens, null)]
        x = stepped[1] + 3.0 * (stepped[0] - stepped[1])


def test_the_null_text_replaces_the_rows_that_are_dropped(denoiser):
    tokens, mask = texts(4)
    dropped, kept_mask = denoiser.drop_text(tokens, mask, torch.tensor([True, False, True, False]))
    assert torch.equal(dropped[[1, 3]], tokens[[1, 3]])
    assert torch.equal(dropped[0, 0], denoiser.null_text)
    assert torch.equal(dropped[0], dropped[2])
    assert torch.equal(kept_mask, mask)


def test_what_the_networks_refuse(denoiser):
    tokens, mask = texts(2)
    with pytest.raises(ValueError, match="latents of one frame"):
        denoiser(torch.randn(2, 8, 4), torch.tensor([1, 2]), tokens, mask)
    with pytest.raises(ValueError, match="one vector a text"):
        MLPRegressor(CONFIG)(torch.randn(2, 3, 6), mask)
    with pytest.raises(UserError, match="hidden: must be a whole number"):
        MLPConfig(hidden=0)
    with pytest.raises(UserError, match="dropout: must be at least 0"):
        MLPConfig(dropout=1.0)
    with pytest.raises(UserError, match="hiden: unknown key"):
        MLPConfig.from_dict({"hiden": 4})


def test_configs():
    assert MLP_CONFIGS["paper"].hidden == 4096
    assert MLP_CONFIGS["mini"].hidden == 1024
    assert MLPConfig.from_dict(CONFIG.to_dict()) == CONFIG
    assert sum(p.numel() for p in MLPRegressor(MLP_CONFIGS["mini"]).parameters()) == 129 * 1024 + 1025 * 128


# --- the authors' dropout ---------------------------------------------------------------------------------------------


class Counting(MLPDenoiser):
    """Counts the texts that training drops."""

    def __init__(self, counted):
        super().__init__(MLPConfig(dim=8, text_dim=8, hidden=4, condition=4))
        self.counted = counted

    def drop_text(self, tokens, mask, drop):
        self.counted.extend(drop.tolist())
        return super().drop_text(tokens, mask, drop)


@pytest.mark.parametrize(("paper_bug", "expected"), [(False, 0.1), (True, 0.9)])
def test_the_share_of_texts_that_training_drops(toy_build, paper_bug, expected):
    pairs = [mlp._pooled_pairs(toy_build, "toy", split) for split in ("pc-train", "pc-validation")]
    config = training_config(TrainConfig(steps=100, batch_size=64, evaluate_every=100, seed=3), paper_bug)
    counted: list[bool] = []
    train(*pairs, partial(Counting, counted), config)
    assert len(counted) == 6400
    assert abs(np.mean(counted) - expected) < 4 * (0.09 / 6400) ** 0.5


def test_the_dropout_of_the_part_follows_the_option(toy_build, toy_config):
    for paper_bug, dropout in ((False, 0.1), (True, 0.9)):
        made = make_diffusion_part(toy_build, **SPLITS, config=toy_config(steps=2), paper_bug=paper_bug)
        assert made["info"]["config"]["text_dropout"] == pytest.approx(dropout)
        metadata = load_model(toy_build.bundle_file("part.safetensors")).metadata
        assert metadata["paper_bug"] == str(paper_bug).lower()


# --- training and retrieval -------------------------------------------------------------------------------------------


@pytest.fixture
def diffusion(toy_build, toy_space, toy_config, install):
    made = make_diffusion_part(toy_build, **SPLITS, config=toy_config(steps=250, patience=25))
    install()
    return MLPDiffusion(toy_space, "part"), made["info"]


@pytest.fixture
def regressor(toy_build, toy_space, toy_config, install):
    made = make_regression_part(toy_build, **SPLITS, config=toy_config())
    install()
    return MLPRegression(toy_space, "part"), made["info"]


@pytest.mark.parametrize("make", [make_diffusion_part, make_regression_part])
def test_training_learns_and_storing_costs_little(toy_build, toy_config, make):
    short, long = (make(toy_build, **SPLITS, config=toy_config(steps=n))["info"] for n in (2, 60))
    assert long["validation_loss"] < 0.7 * short["validation_loss"]
    assert long["validation_loss_stored"] == pytest.approx(long["validation_loss"], rel=0.02)
    sizes = MLPConfig.from_dict(json.loads(load_model(toy_build.bundle_file("part.safetensors")).metadata["config"]))
    network = MLPDenoiser(sizes) if make is make_diffusion_part else MLPRegressor(sizes)
    assert (sizes.dim, sizes.text_dim, sizes.hidden) == (8, 8, 1024)
    assert long["parameters"] == sum(p.numel() for p in network.parameters())
    assert long["best_step"] % 10 == 0
    assert long["seconds_training"] >= 0  # to a tenth of a second


def nearest(latents, toy_build):
    """The kind of track whose mean latent is nearest, for each prompt."""
    frames = np.load(toy_build.work_file("frames-toy-pc-train.npy")).astype(np.float64).mean(1)
    names = [group[0] for group in json.loads(toy_build.work_file("captions-pc-train.json").read_text())]
    kinds = sorted(set(names))
    means = np.stack([frames[[n == kind for n in names]].mean(0) for kind in kinds])
    query = latents.mean(1)
    cosine = query @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    return [kinds[at] for at in cosine.argmax(1)]


def test_diffusion_answers_with_samples(diffusion, toy_build):
    retriever, _ = diffusion
    assert isinstance(retriever, GenerativeRetriever)
    assert not retriever.deterministic
    latents = retriever.query(PROMPTS, SAMPLING)
    assert latents.shape == (4, 3, 8)
    assert latents.dtype == np.float32
    assert np.abs(latents[:, 0] - latents[:, 1]).max() > 1e-3
    np.testing.assert_array_equal(retriever.query(PROMPTS, SAMPLING), latents)
    assert np.abs(retriever.query(PROMPTS, Sampling("ddim-4", 3.0, 3, 1)) - latents).max() > 1e-3
    assert nearest(latents, toy_build)[:3] == PROMPTS[:3]


def test_a_query_does_not_depend_on_the_others(diffusion, monkeypatch):
    retriever, _ = diffusion
    latents = retriever.query(PROMPTS, SAMPLING)
    for row, prompt in enumerate(PROMPTS):
        np.testing.assert_allclose(retriever.query([prompt], SAMPLING)[0], latents[row], atol=1e-5)
    monkeypatch.setattr(MLPDiffusion, "batch", 3)
    np.testing.assert_allclose(retriever.query(PROMPTS, SAMPLING), latents, atol=1e-5)
    more = retriever.query(PROMPTS, Sampling("ddim-4", 3.0, 5, 0))
    np.testing.assert_allclose(more[:, :3], latents, atol=1e-5)


def test_a_negative_prompt_takes_the_query_away_from_it(diffusion):
    retriever, _ = diffusion
    negatives = [PROMPTS[1]] * 4
    plain = retriever.query(PROMPTS, Sampling("ddim-4", 1.0, 3, 0))
    np.testing.assert_allclose(retriever.query_negative(PROMPTS, negatives, 0.0, SAMPLING), plain, atol=1e-5)
    far = retriever.query(negatives, Sampling("ddim-4", 1.0, 3, 0)).mean(1)

    def closeness(latents):
        query = latents.mean(1)
        return (query * far).sum(1) / np.linalg.norm(query, axis=1) / np.linalg.norm(far, axis=1)

    away = retriever.query_negative(PROMPTS, negatives, 2.0, SAMPLING)
    assert (closeness(away) < closeness(plain))[[0, 2, 3]].all()
    with pytest.raises(ValueError, match="4 prompts, but 1 negatives"):
        retriever.query_negative(PROMPTS, ["x"], 2.0, SAMPLING)


def test_regression_answers_once(regressor, toy_build, monkeypatch):
    retriever, _ = regressor
    assert isinstance(retriever, Retriever)
    assert not isinstance(retriever, GenerativeRetriever)
    assert retriever.deterministic
    one, two = (retriever.query(PROMPTS, Sampling(seed=seed, samples=5)) for seed in (0, 1))
    assert one.shape == (4, 1, 8)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    assert nearest(one, toy_build)[:3] == PROMPTS[:3]
    monkeypatch.setattr(regression, "BATCH", 2)
    np.testing.assert_allclose(retriever.query(PROMPTS, Sampling()), one, atol=1e-5)
    assert retriever.query([], Sampling()).shape == (0, 1, 8)


def test_regression_predicts_the_mean_in_the_latents_own_scale(regressor, toy_build):
    """Not in the scale that the network was trained in."""
    retriever, _ = regressor
    frames = np.load(toy_build.work_file("frames-toy-pc-train.npy")).astype(np.float64).mean(1)
    norms = np.linalg.norm(retriever.query(PROMPTS, Sampling())[:, 0], axis=1)
    assert np.all(np.abs(norms / np.linalg.norm(frames, axis=1).mean() - 1) < 0.35)


@pytest.mark.parametrize("kind", ["diffusion", "regressor"])
def test_weights_of_another_space_are_refused(kind, request):
    retriever, _ = request.getfixturevalue(kind)

    class Elsewhere(type(retriever.space)):
        name = "elsewhere"

    with pytest.raises(UserError, match="trained with text encoder 'toy', not with the text tower of elsewhere"):
        type(retriever)(Elsewhere(), "part").query(PROMPTS, SAMPLING)


def test_digests_and_files(diffusion):
    retriever, _ = diffusion
    assert retriever.bundle_files() == ("part.safetensors",)
    assert retriever.digest() == MLPDiffusion(retriever.space, "part", device="other").digest()
    with pytest.raises(UserError, match="no config 'huge'"):
        mlp._sizes("huge", None)
