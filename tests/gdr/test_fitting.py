"""The training loop, on models of one or two numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gdr.fitting import Ema, TrainConfig, fit, rate

CONFIG = TrainConfig(steps=12, learning_rate=0.1, warmup=2, evaluate_every=2, patience=3, ema=0.9, weight_decay=0.0)


class Number(nn.Module):
    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start))


def pull(model, target=1.0):
    """The loss that draws the number to a target, and the judge of the same."""
    return (lambda rng: (model.value - target) ** 2), (lambda: float((model.value - target) ** 2))


def test_the_rate_warms_up_and_falls_to_zero():
    config = replace(CONFIG, steps=100, warmup=10)
    rates = [rate(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_it_goes_where_the_loss_is_low():
    model = Number()
    fitted = fit(model, *pull(model), replace(CONFIG, steps=100))
    assert float(model.value.detach()) == pytest.approx(1.0, abs=0.05)
    assert not model.training
    assert [step for step, _ in fitted.history][:3] == [2, 4, 6]
    assert fitted.best_step == min(fitted.history, key=lambda entry: entry[1])[0]


@pytest.fixture
def scripted():
    """A model, and a judge that gives scripted figures and notes the weights it saw."""
    model, seen = Number(), []

    def script(*figures):
        left = iter(figures)

        def judge():
            assert not model.training
            assert not torch.is_grad_enabled()
            seen.append(float(model.value))
            return next(left)

        return judge

    return model, seen, script


def test_early_stopping_keeps_the_best_step(scripted):
    model, seen, script = scripted
    fitted = fit(model, pull(model)[0], script(3.0, 1.0, 2.0, 2.0, 2.0, 0.5), CONFIG)
    assert fitted.best_step == 4
    assert [step for step, _ in fitted.history] == [2, 4, 6, 8, 10]  # three without a better one, and no sixth
    assert float(model.value.detach()) == seen[1]
    assert seen[1] != seen[-1]


def test_the_last_step_is_judged_too(scripted):
    model, _, script = scripted
    fitted = fit(model, pull(model)[0], script(3.0, 1.0), replace(CONFIG, steps=3))
    assert fitted.history == [(2, 3.0), (3, 1.0)]
    assert fitted.best_step == 3


def test_a_figure_that_is_never_finite_is_an_error(scripted):
    model, _, script = scripted
    with pytest.raises(ValueError, match="none of 3 validation figures"):
        fit(model, pull(model)[0], script(math.nan, math.nan, math.inf), replace(CONFIG, steps=6))


def test_what_is_judged_are_averaged_weights():
    model = Number()
    ema = Ema(model, decay=0.5)
    with torch.no_grad():
        model.value.add_(1.0)
    ema.update(model, step=0)  # the ramp: (1 + 0) / (10 + 0)
    torch.testing.assert_close(ema.state["value"], torch.tensor(0.9))
    ema.update(model, step=1000)  # the decay asked for
    torch.testing.assert_close(ema.state["value"], torch.tensor(0.95))


def test_judging_leaves_the_path_of_the_weights_as_it_was():
    paths = []
    for every in (2, 12):
        model, path = Number(), []
        loss = pull(model)[0]

        def noted(rng, model=model, path=path, loss=loss):
            path.append(float(model.value.detach()))
            assert model.training
            return loss(rng)

        fit(model, noted, pull(model)[1], replace(CONFIG, evaluate_every=every))
        paths.append(path)
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == len(paths[0]) == 12


def test_batches_are_drawn_from_the_seed():
    drawn = []
    for seed in (0, 0, 1):
        model, seen = Number(), []
        loss, judge = pull(model)
        fit(model, lambda rng, s=seen, loss=loss: s.append(rng.integers(1000)) or loss(rng), judge,
            replace(CONFIG, seed=seed))  # fmt: skip
        drawn.append(seen)
    assert drawn[0] == drawn[1] != drawn[2]
    np.testing.assert_array_equal(drawn[0], np.random.default_rng(0).integers(1000, size=12))


def test_progress_is_told():
    told, model = [], Number()
    fit(model, *pull(model), replace(CONFIG, steps=4), lambda *what: told.append(what))
    assert [at for at, _, _ in told] == [1, 2, 3, 4]
    assert "validation" in told[-1][2]
    assert "validation" not in told[0][2]
