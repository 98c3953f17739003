"""Training of GDR on data that is made here: the loss of eq. 1, the variants of the ablation, what is stored."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from bench.bundle.build import BuildContext
from bench.errors import UserError
from gdr import train as train_module
from gdr.fitting import TrainConfig
from gdr.schedule import NoiseSchedule
from gdr.storage import load_model, save_model
from gdr.train import (
    describe,
    diffusion_loss,
    fitting_config,
    make_part,
    scaled_latents,
    train,
    train_from_config,
    with_frames,
)  # fmt: skip
from gdr.training_data import GDRData, TextStates
from gdr.unet import GDRUNet
from gdr.unet_config import MINI, NAMED, SMALL, UNetConfig

DIM, T, WIDTH = 8, 8, 12
MODEL = UNetConfig(
    in_channels=DIM, channels=(16, 16), factors=(2, 2), items=(1, 1), attention=(1, 1), heads=2, head_dim=8,
    context_dim=WIDTH, modulation=16, groups=4, null_length=4,
)  # fmt: skip
BUILD = partial(GDRUNet, MODEL)
CONFIG = TrainConfig(
    steps=60, batch_size=16, learning_rate=3e-3, warmup=5, evaluate_every=10, patience=3, ema=0.9, seed=0
)  # fmt: skip


def data(tracks: int, seed: int) -> GDRData:
    """Four kinds of tracks; a text's tokens tell the kind, and so nearly the frames."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(99)
    frames_of, tokens_of = kinds.normal(size=(4, DIM)), kinds.normal(size=(4, WIDTH))
    kind = rng.integers(4, size=tracks)
    frames = frames_of[kind][:, None] + 0.1 * rng.normal(size=(tracks, T, DIM))
    frames /= np.linalg.norm(frames, axis=-1, keepdims=True)
    owner = np.repeat(np.arange(tracks), 2)
    lengths = rng.integers(2, 6, size=len(owner))
    tokens = np.repeat(tokens_of[kind[owner]], lengths, axis=0) + 0.1 * rng.normal(size=(lengths.sum(), WIDTH))
    text = TextStates(tokens.astype(np.float16), np.cumsum([0, *lengths]))
    return GDRData(frames.astype(np.float16), text, owner)


def pooled(pairs: GDRData) -> GDRData:
    """The first token of each text alone."""
    return pairs._replace(text=TextStates.of_vectors(pairs.text.flat[pairs.text.offsets[:-1]]))


@pytest.fixture(scope="module")
def sets():
    return data(40, 0), data(20, 1)


@pytest.fixture(scope="module")
def trained(sets):
    return train(*sets, BUILD, CONFIG)


# --- the loss ---------------------------------------------------------------------------------------------------------


class Constant(torch.nn.Module):
    """A model that predicts one value everywhere and remembers what it saw."""

    def __init__(self, value: float, prediction: str) -> None:
        super().__init__()
        self.value, self.prediction = value, prediction

    def forward(self, x, t, tokens, mask):
        self.seen = x
        return torch.full_like(x, self.value)


@pytest.mark.parametrize("prediction", ["x0", "epsilon"])
def test_the_loss_is_that_of_equation_1(prediction):
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(3, DIM, T, generator=generator) for _ in range(2))
    t, schedule = torch.tensor([0, 400, 999]), NoiseSchedule()
    model = Constant(0.25, prediction)
    loss = diffusion_loss(model, x0, t, noise, None, None, schedule)
    target = x0 if prediction == "x0" else noise
    assert float(loss) == pytest.approx(float(((0.25 - target) ** 2).mean()), rel=1e-6)
    for row, level in enumerate(t.tolist()):
        alpha = float(schedule.alphas_cumprod[level])
        expected = math.sqrt(alpha) * x0[row] + math.sqrt(1 - alpha) * noise[row]
        torch.testing.assert_close(model.seen[row], expected)


# --- training ---------------------------------------------------------------------------------------------------------


def test_training_lowers_the_validation_loss(trained):
    steps, losses = zip(*trained.history, strict=True)
    assert steps == (10, 20, 30, 40, 50, 60)
    assert min(losses) < 0.8 * losses[0]
    assert trained.best_step == steps[int(np.argmin(losses))]
    assert not trained.model.training
    assert trained.judge() == pytest.approx(min(losses), rel=1e-5)


def test_the_trained_model_follows_the_text(trained, sets):
    """Another text's tokens must fit the frames worse."""
    held_out = sets[1]
    rows = np.arange(len(held_out.owner))
    tokens, mask = held_out.text.batch(rows)
    noise = torch.randn(len(rows), DIM, T, generator=torch.Generator().manual_seed(0))
    x0, t = scaled_latents(trained.scaler, held_out.frames)[held_out.owner], torch.full((len(rows),), 900)
    other = torch.roll(torch.arange(len(rows)), 7)
    with torch.no_grad():
        own, swapped = (
            float(diffusion_loss(trained.model, x0, t, noise, tokens[i], mask[i], NoiseSchedule()))
            for i in (torch.arange(len(rows)), other)
        )
    assert own < swapped


def state(result):
    return result.model.state_dict()


def test_the_same_seed_gives_the_same_weights(sets):
    short = replace(CONFIG, steps=6, evaluate_every=3)
    one, two, other = (train(*sets, BUILD, c) for c in (short, short, replace(short, seed=1)))
    assert all(torch.equal(value, state(two)[name]) for name, value in state(one).items())
    assert one.history == two.history
    assert any(not torch.equal(value, state(other)[name]) for name, value in state(one).items())


@pytest.mark.parametrize(("dropout", "moved"), [(0.0, False), (0.5, True)])
def test_text_dropout_trains_the_null_text(sets, dropout, moved):
    torch.manual_seed(0)
    start = GDRUNet(MODEL).null_context(1)[0].detach()
    config = replace(CONFIG, steps=5, evaluate_every=5, text_dropout=dropout, weight_decay=0.0)
    null = train(*sets, BUILD, config).model.null_context(1)[0].detach()
    assert torch.equal(null, start) is not moved


def test_progress_is_told(sets):
    told = []
    train(*sets, BUILD, replace(CONFIG, steps=4, evaluate_every=2), lambda *what: told.append(what))
    assert [at for at, _, _ in told] == [1, 2, 3, 4]


# --- the ablation -----------------------------------------------------------------------------------------------------


def test_the_time_mean_is_one_frame(sets):
    one = with_frames(sets[0], 1)
    assert one.frames.shape == (40, 1, DIM)
    np.testing.assert_allclose(one.frames[:, 0], sets[0].frames.astype(np.float64).mean(1), atol=1e-6)
    assert with_frames(sets[0], None) is with_frames(sets[0], T) is sets[0]
    with pytest.raises(UserError, match="frames: the latents have 8, so choose 8, or 1"):
        with_frames(sets[0], 4)


def test_sizes_follow_the_data(sets):
    config = fitting_config(SMALL, with_frames(pooled(sets[0]), 1), "epsilon", "pooled")
    assert (config.in_channels, config.context_dim, config.factors) == (DIM, WIDTH, (1, 1, 1))
    assert (config.prediction, config.null_length) == ("epsilon", 1)
    assert (
        replace(config, in_channels=128, context_dim=256, factors=(2, 2, 2), prediction="x0", null_length=16) == SMALL
    )
    assert fitting_config(MINI, sets[0], "x0", "tokens").factors == MINI.factors


def test_the_small_config_is_less_than_half_of_mini():
    small, mini = (sum(p.numel() for p in GDRUNet(NAMED[name]).parameters()) for name in ("small", "mini"))
    assert 6e5 < small < 8e5
    assert small < 0.5 * mini


@pytest.mark.parametrize("prediction", ["x0", "epsilon"])
@pytest.mark.parametrize("frames", [T, 1])
@pytest.mark.parametrize("condition", ["tokens", "pooled"])
def test_every_cell_of_the_ablation_learns(sets, prediction, frames, condition):
    pairs = [with_frames(each if condition == "tokens" else pooled(each), frames) for each in sets]
    config = fitting_config(MODEL, pairs[0], prediction, condition)
    result = train(*pairs, partial(GDRUNet, config), replace(CONFIG, steps=40))
    losses = [loss for _, loss in result.history]
    # Without any knowledge the loss is 1 for either target: noise and latents have unit power.
    assert min(losses) < 0.95
    assert min(losses) < 0.95 * losses[0]
    assert result.model.prediction == prediction


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_a_saved_model_comes_back(trained, sets, tmp_path):
    file = tmp_path / "model.safetensors"
    save_model(file, trained.model, trained.scaler, describe(MODEL, sets[0], "tokens", "toy"), precision="float32")
    back = load_model(file)
    config = UNetConfig.from_dict(json.loads(back.metadata["config"]))
    assert config == MODEL
    assert {key: back.metadata[key] for key in ("frames", "condition", "text")} == {
        "frames": "8", "condition": "tokens", "text": "toy",
    }  # fmt: skip
    assert torch.equal(back.scaler.gain, trained.scaler.gain)
    model = GDRUNet(config)
    model.load_state_dict(back.state)
    model.eval()
    x, t = torch.randn(2, DIM, T), torch.tensor([10, 900])
    tokens, mask = torch.randn(2, 3, WIDTH), torch.ones(2, 3, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(model(x, t, tokens, mask), trained.model(x, t, tokens, mask))


@pytest.fixture
def build(tmp_path, sets, monkeypatch):
    """A build whose pairs are those made here."""

    def read(context, encoder, split, *, text=None, condition="tokens"):
        pairs = sets[0] if split == "pc-train" else sets[1]
        return pairs if condition == "tokens" else pooled(pairs)

    monkeypatch.setattr(train_module, "read_pairs", read)
    monkeypatch.setitem(NAMED, "toy", MODEL)
    return BuildContext("gdr-toy", tmp_path, tmp_path, 1, "cpu", lambda *what: None)


def part(build, **options):
    keys = {"steps": 20, "batch_size": 16, "learning_rate": 3e-3, "warmup": 5, "evaluate_every": 10, "ema": 0.9}
    return make_part(
        build, encoder="mini-toy", train="pc-train", validation="pc-validation", model="toy", config=keys, **options
    )


@pytest.mark.parametrize("options", [{}, {"prediction": "epsilon", "frames": 1, "condition": "pooled"}])
def test_a_part_says_what_it_is_and_what_storing_costs(build, options):
    made = part(build, **options)
    assert made["files"] == ["gdr-toy.safetensors"]
    info = made["info"]
    assert info["validation_loss_stored"] == pytest.approx(info["validation_loss"], rel=0.02)
    assert info["best_step"] in (10, 20)
    assert info["seconds_training"] >= 0
    metadata = load_model(build.bundle_file("gdr-toy.safetensors")).metadata
    config = json.loads(metadata["config"])
    assert info["parameters"] == sum(p.numel() for p in GDRUNet(UNetConfig.from_dict(config)).parameters())
    assert metadata["frames"] == str(options.get("frames", T))
    assert metadata["condition"] == options.get("condition", "tokens")
    assert metadata["text"] == "mini-toy"
    assert config["prediction"] == options.get("prediction", "x0")


def test_what_is_judged_as_stored_is_what_was_stored(build, monkeypatch):
    """With weights that come back damaged, the second figure must show it."""
    whole = train_module.load_model

    def damaged(file):
        stored = whole(file)
        return stored._replace(state={name: value * 0.5 for name, value in stored.state.items()})

    monkeypatch.setattr(train_module, "load_model", damaged)
    info = part(build)["info"]
    assert abs(info["validation_loss_stored"] - info["validation_loss"]) > 0.05 * info["validation_loss"]


def test_another_text_encoder_is_named_in_the_file(build):
    part(build, text="minilm")
    assert load_model(build.bundle_file("gdr-toy.safetensors")).metadata["text"] == "minilm"


def test_a_config_that_does_not_exist_is_named(build):
    with pytest.raises(UserError, match="model: no config 'huge'"):
        make_part(build, encoder="e", train="pc-train", validation="pc-validation", model="huge", config={})


# --- gdr train CONFIG -------------------------------------------------------------------------------------------------


@pytest.fixture
def config_file(tmp_path, sets, monkeypatch):
    from bench import registry
    from bench.protocols import TextLatents

    class Tower:
        """A text tower for these tests."""

        def encode_text(self, texts):
            rng = np.random.default_rng([len(text) for text in texts])
            tokens = rng.normal(size=(len(texts), 3, WIDTH)).astype(np.float32)
            return TextLatents(tokens, np.ones((len(texts), 3), dtype=bool), tokens.mean(1))

    for split, given in zip(("train", "validation"), sets, strict=True):
        np.save(tmp_path / f"{split}.npy", given.frames)
        (tmp_path / f"{split}.json").write_text(json.dumps([[f"{split} {i}"] for i in range(len(given.frames))]))
    sides = "\n".join(f"{s}: {{frames: {s}.npy, captions: {s}.json}}" for s in ("train", "validation"))
    file = tmp_path / "config.yaml"
    file.write_text(
        f"encoder: toy-tower\n{sides}\nmodel: {json.dumps(MODEL.to_dict())}\n"
        "config: {steps: 2, batch_size: 4, warmup: 1, evaluate_every: 1}\n"
    )
    with registry.encoders.temporary("toy-tower", Tower):
        yield file


def test_training_from_a_file(config_file, tmp_path):
    result = train_from_config(config_file, tmp_path / "new" / "model.safetensors")
    assert [step for step, _ in result.history] == [1, 2]
    assert (tmp_path / "new" / "model.safetensors").is_file()


def test_a_file_that_is_missing_is_named(config_file, tmp_path):
    (tmp_path / "validation.npy").unlink()
    with pytest.raises(UserError, match=r"validation: no such file .*validation\.npy"):
        train_from_config(config_file, tmp_path / "model.safetensors")


def test_an_unknown_key_is_named(config_file, tmp_path):
    config_file.write_text(config_file.read_text() + "steps: 3\n")
    with pytest.raises(UserError, match="unknown key 'steps'"):
        train_from_config(config_file, tmp_path / "model.safetensors")
