"""Training of GDR on data that is made here: the loss of eq. 1, what is kept, what is stored."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from bench.errors import UserError
from gdr import train as train_module
from gdr.schedule import NoiseSchedule
from gdr.train import GDRData, TrainConfig, save_model, train, train_from_config
from gdr.unet import GDRUNet
from gdr.unet_config import UNetConfig

DIM, T, WIDTH = 8, 8, 12
MODEL = UNetConfig(
    in_channels=DIM, channels=(16, 16), factors=(2, 2), items=(1, 1), attention=(1, 1), heads=2, head_dim=8,
    context_dim=WIDTH, modulation=16, groups=4, null_length=4,
)  # fmt: skip
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
    tokens = np.repeat(tokens_of[kind[owner]][:, None], 5, axis=1) + 0.1 * rng.normal(size=(len(owner), 5, WIDTH))
    mask = np.arange(5)[None] < rng.integers(2, 6, size=len(owner))[:, None]
    return GDRData(frames.astype(np.float16), tokens.astype(np.float16), mask, owner)


@pytest.fixture(scope="module")
def sets():
    return data(40, 0), data(20, 1)


@pytest.fixture(scope="module")
def trained(sets):
    return train(*sets, MODEL, CONFIG)


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
    loss = train_module._loss(model, x0, t, noise, None, None, schedule)
    target = x0 if prediction == "x0" else noise
    assert float(loss) == pytest.approx(float(((0.25 - target) ** 2).mean()), rel=1e-6)
    for row, level in enumerate(t.tolist()):
        alpha = float(schedule.alphas_cumprod[level])
        expected = math.sqrt(alpha) * x0[row] + math.sqrt(1 - alpha) * noise[row]
        torch.testing.assert_close(model.seen[row], expected)


def test_the_rate_warms_up_and_falls_to_zero():
    config = replace(CONFIG, steps=100, warmup=10)
    rates = [train_module._rate(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert rates[10:] == sorted(rates[10:], reverse=True)


# --- training ---------------------------------------------------------------------------------------------------------


def test_training_lowers_the_validation_loss(trained):
    steps, losses = zip(*trained.history, strict=True)
    assert steps == (10, 20, 30, 40, 50, 60)
    assert min(losses) < 0.8 * losses[0]
    assert trained.best_step == steps[int(np.argmin(losses))]
    assert not trained.model.training


def test_the_trained_model_follows_the_text(trained, sets):
    """Another text's tokens must fit the frames worse."""
    held_out = sets[1]
    x = trained.scaler.apply_to(torch.from_numpy(held_out.frames.astype(np.float32))).transpose(1, 2)
    rows = np.arange(len(held_out.owner))
    tokens, mask = train_module._text_batch(held_out, rows, torch.device("cpu"))
    noise = torch.randn(len(rows), DIM, T, generator=torch.Generator().manual_seed(0))
    x0, t = x[held_out.owner], torch.full((len(rows),), 900)
    other = torch.roll(torch.arange(len(rows)), 7)
    with torch.no_grad():
        own, swapped = (
            float(train_module._loss(trained.model, x0, t, noise, tokens[i], mask[i], NoiseSchedule()))
            for i in (torch.arange(len(rows)), other)
        )
    assert own < swapped


def state(result):
    return result.model.state_dict()


def test_the_same_seed_gives_the_same_weights(sets):
    short = replace(CONFIG, steps=6, evaluate_every=3)
    one, two, other = (train(*sets, MODEL, c) for c in (short, short, replace(short, seed=1)))
    assert all(torch.equal(value, state(two)[name]) for name, value in state(one).items())
    assert one.history == two.history
    assert any(not torch.equal(value, state(other)[name]) for name, value in state(one).items())


@pytest.fixture
def scripted(monkeypatch):
    """Validation losses by script; the weights that were judged, in order."""
    judged = []

    def script(*losses):
        left = iter(losses)

        def judge(model, state, *rest):
            judged.append({name: value.clone() for name, value in state.items()})
            return next(left)

        monkeypatch.setattr(train_module, "_validation_loss", judge)
        return judged

    return script


def test_early_stopping_keeps_the_best_step(sets, scripted):
    judged = scripted(3.0, 1.0, 2.0, 2.0, 2.0, 0.5)
    result = train(*sets, MODEL, replace(CONFIG, steps=12, evaluate_every=2, patience=3))
    assert result.best_step == 4
    assert [step for step, _ in result.history] == [2, 4, 6, 8, 10]  # three without a better one, and no sixth
    assert all(torch.equal(value, judged[1][name]) for name, value in state(result).items())
    assert any(not torch.equal(value, judged[-1][name]) for name, value in state(result).items())


def test_the_last_step_is_judged_too(sets, scripted):
    scripted(3.0, 1.0)
    result = train(*sets, MODEL, replace(CONFIG, steps=3, evaluate_every=2))
    assert [step for step, _ in result.history] == [2, 3]
    assert result.best_step == 3


def test_what_is_judged_are_averaged_weights():
    model = GDRUNet(MODEL)
    ema = train_module._Ema(model, decay=0.5)
    name = next(n for n, v in model.state_dict().items() if v.is_floating_point())
    start = model.state_dict()[name].clone()
    with torch.no_grad():
        model.state_dict()[name].add_(1.0)
    ema.update(model, step=0)  # the ramp: (1 + 0) / (10 + 0)
    torch.testing.assert_close(ema.state[name], start + 0.9)
    ema.update(model, step=1000)  # the decay asked for
    torch.testing.assert_close(ema.state[name], start + 0.95)


def test_judging_leaves_the_weights_as_they_were(sets):
    model = GDRUNet(MODEL).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    averaged = {name: value + 0.1 for name, value in before.items()}
    frames = torch.from_numpy(sets[1].frames.astype(np.float32)).transpose(1, 2)
    losses = [train_module._validation_loss(model, averaged, sets[1], frames, NoiseSchedule()) for _ in range(2)]
    assert losses[0] == losses[1]
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("dropout", "moved"), [(0.0, False), (0.5, True)])
def test_text_dropout_trains_the_null_text(sets, dropout, moved):
    torch.manual_seed(0)
    start = GDRUNet(MODEL).null_context(1)[0].detach()
    config = replace(CONFIG, steps=5, evaluate_every=5, text_dropout=dropout, weight_decay=0.0)
    null = train(*sets, MODEL, config).model.null_context(1)[0].detach()
    assert torch.equal(null, start) is not moved


def test_progress_is_told(sets):
    told = []
    train(*sets, MODEL, replace(CONFIG, steps=4, evaluate_every=2), lambda *what: told.append(what))
    assert [at for at, _, _ in told] == [1, 2, 3, 4]
    assert "validation" in told[-1][2]


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_a_saved_model_comes_back(trained, tmp_path):
    from gdr.latents import LatentScaler

    save_model(trained, tmp_path / "model.safetensors", dtype=torch.float32)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as stored:
        config = UNetConfig.from_dict(json.loads(stored.metadata()["config"]))
        assert config == MODEL
        names = set(stored.keys())
        weights = {n.removeprefix("unet."): stored.get_tensor(n) for n in names if n.startswith("unet.")}
        scale = {n.removeprefix("scaler."): stored.get_tensor(n) for n in names if n.startswith("scaler.")}
        scaler = LatentScaler(DIM, stored.metadata()["latent_norm"])
    assert names == {f"unet.{n}" for n in weights} | {f"scaler.{n}" for n in scale}
    scaler.load_state_dict(scale)
    assert torch.equal(scaler.gain, trained.scaler.gain)
    model = GDRUNet(config)
    model.load_state_dict(weights)
    model.eval()
    x, t = torch.randn(2, DIM, T), torch.tensor([10, 900])
    tokens, mask = torch.randn(2, 3, WIDTH), torch.ones(2, 3, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(model(x, t, tokens, mask), trained.model(x, t, tokens, mask))


def test_half_precision_is_close(trained, tmp_path):
    save_model(trained, tmp_path / "half.safetensors")
    with safe_open(tmp_path / "half.safetensors", framework="pt") as stored:
        for name, value in trained.model.state_dict().items():
            kept = stored.get_tensor(f"unet.{name}").float()
            assert F.cosine_similarity(kept.flatten(), value.float().flatten(), dim=0) > 0.999 or not value.any()
        assert stored.get_tensor("scaler.gain").dtype == torch.float32


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
