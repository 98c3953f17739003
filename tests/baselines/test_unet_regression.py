"""The regression UNet: one learned vector in, frames out, nothing random."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines._unet_regressor import UNetRegressor
from baselines.unet_regression import UNetRegression, make_part
from bench.protocols import GenerativeRetriever, Retriever, Sampling
from gdr.storage import load_model
from gdr.unet_config import NAMED, UNetConfig

CONFIG = UNetConfig(8, (16, 16), (2, 2), (1, 1), (1, 1), 2, 8, 12, 16, 4, 1)
SPLITS = {"encoder": "toy", "train": "pc-train", "validation": "pc-validation", "model": "toy"}
PROMPTS = ["calm piano", "fast metal guitar", "calm piano", "slow sad blues with words 1"]


def scrambled(frames=4):
    torch.manual_seed(0)
    network = UNetRegressor(CONFIG, frames).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network


def test_it_is_the_network_of_gdr_at_level_zero_on_the_mask_embedding():
    network = scrambled()
    tokens, mask = torch.randn(3, 5, 12), torch.arange(5)[None] < torch.tensor([5, 2, 3])[:, None]
    tiled = network.mask_embedding.repeat(3, 4, 1).transpose(1, 2)
    expected = network.network(tiled, torch.zeros(3), tokens, mask)
    torch.testing.assert_close(network(tokens, mask), expected, atol=1e-5, rtol=1e-5)
    assert expected.shape == (3, 8, 4)


def test_padding_and_the_other_texts_do_not_matter():
    network = scrambled()
    tokens, mask = torch.randn(3, 5, 12), torch.arange(5)[None] < torch.tensor([5, 2, 3])[:, None]
    changed = torch.where(mask[..., None], tokens, 7.0)
    torch.testing.assert_close(network(changed, mask), network(tokens, mask))
    torch.testing.assert_close(
        network(tokens[1:2, :2], mask[1:2, :2]), network(tokens, mask)[1:2], atol=1e-5, rtol=1e-5
    )


@pytest.fixture
def make(toy_build, toy_config, install, monkeypatch):
    """Train and install the part: (steps) -> its info."""
    monkeypatch.setitem(NAMED, "toy", CONFIG)

    def run(steps, **keys):
        info = make_part(toy_build, **SPLITS, config=toy_config(steps=steps, patience=20, **keys))["info"]
        install()
        return info

    return run


@pytest.fixture
def brief(make):
    return make(40)


def test_training_learns_and_storing_costs_little(make):
    start, made = make(1), make(100)
    assert made["validation_loss"] < 0.8 * start["validation_loss"]
    assert made["validation_loss_stored"] == pytest.approx(made["validation_loss"], rel=0.02)
    assert made["parameters"] == sum(p.numel() for p in UNetRegressor(CONFIG, 4).parameters())


def test_the_mask_embedding_is_learned_and_stored(brief, toy_build):
    stored = load_model(toy_build.bundle_file("part.safetensors"))
    torch.manual_seed(0)
    start = UNetRegressor(CONFIG, 4).mask_embedding.detach()
    assert float((stored.state["mask_embedding"] - start).abs().max()) > 1e-3
    assert stored.metadata["frames"] == "4"


def test_it_answers_once_and_always_the_same(brief, toy_space):
    retriever = UNetRegression(toy_space, "part")
    assert isinstance(retriever, Retriever)
    assert not isinstance(retriever, GenerativeRetriever)
    assert retriever.deterministic
    one, two = (retriever.query(PROMPTS, Sampling(seed=seed, samples=5)) for seed in (0, 1))
    assert one.shape == (4, 1, 8)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one[0], one[2], atol=1e-6)
    assert np.abs(one[0] - one[1]).max() > 1e-4
    np.testing.assert_allclose(retriever.query(PROMPTS[3:], Sampling())[0], one[3], atol=1e-5)


def test_it_finds_the_kind_that_the_text_names(make, toy_space, toy_build, toy_captions):
    make(150, learning_rate=1e-2, batch_size=32)
    frames = np.load(toy_build.work_file("frames-toy-pc-validation.npy")).astype(np.float64).mean(1)
    texts = [group[1] for group in toy_captions["pc-validation"]]
    names = [group[0] for group in toy_captions["pc-validation"]]
    queries = UNetRegression(toy_space, "part").query(texts, Sampling())[:, 0]
    best = (queries @ (frames / np.linalg.norm(frames, axis=1, keepdims=True)).T).argmax(1)
    assert np.mean([names[at] == name for at, name in zip(best, names, strict=True)]) > 0.55  # chance is 0.25
