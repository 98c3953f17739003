"""The loop that every bundled model is trained with: averaged weights, judged now and then, the best kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Ema", "Fitted", "Report", "TrainConfig", "fit", "rate"]

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class TrainConfig:
    """Hyper-parameters; the paper's are 100k steps of 256, rate 1e-4, warm-up 5000 (section 3.3)."""

    steps: int = 4000
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    warmup: int = 200
    text_dropout: float = 0.1
    ema: float = 0.999
    latent_norm: str = "unit_rms"
    evaluate_every: int = 250
    patience: int = 6
    seed: int = 0


class Fitted(NamedTuple):
    """How a training went; the model itself holds the best averaged weights."""

    history: list[tuple[int, float]]
    """(step, validation figure), lower is better."""
    best_step: int


class Ema:
    """Exponential moving average of the weights, with the usual ramp so that early steps do not weigh on it."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)


def rate(step: int, config: TrainConfig) -> float:
    """Share of the learning rate at a step: linear warm-up, then cosine to 0."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - config.warmup) / max(1, config.steps - config.warmup)))


@torch.no_grad()
def _judged(model: nn.Module, state: dict[str, Tensor], judge: Callable[[], float]) -> float:
    """The validation figure of some weights; the model's own are back afterwards."""
    current = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    model.eval()
    value = judge()
    model.load_state_dict(current)
    model.train()
    return value


def fit(
    model: nn.Module,
    batch_loss: Callable[[np.random.Generator], Tensor],
    judge: Callable[[], float],
    config: TrainConfig,
    report: Report | None = None,
) -> Fitted:
    """Train a model with AdamW.

    Args:
        model: trained in place; it ends in evaluation mode with the best averaged weights.
        batch_loss: loss of a batch that it draws with the generator it is given.
        judge: validation figure of the model as it stands, lower is better. It decides which step is kept; training
            stops after `patience` evaluations without a better one.
        config: steps, rates and so on.
        report: called with (step, steps, message).

    Returns:
        The history of validation figures and the step that was kept.

    Raises:
        ValueError: the validation figure was never finite.
    """
    rng = np.random.default_rng(config.seed)
    model.train()
    ema = Ema(model, config.ema)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.999), weight_decay=config.weight_decay
    )
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, config))
    best, best_step, best_state = math.inf, 0, ema.state
    history: list[tuple[int, float]] = []
    for step in range(1, config.steps + 1):
        loss = batch_loss(rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rates.step()
        ema.update(model, step)
        if step % config.evaluate_every == 0 or step == config.steps:
            value = _judged(model, ema.state, judge)
            history.append((step, value))
            if value < best:
                best, best_step = value, step
                best_state = {name: kept.clone() for name, kept in ema.state.items()}
            elif step - best_step >= config.patience * config.evaluate_every:
                break
        if report:
            tail = f", validation {history[-1][1]:.4f}" if history else ""
            report(step, config.steps, f"loss {loss.item():.4f}{tail}")
    if best_step == 0:
        raise ValueError(f"training diverged: none of {len(history)} validation figures is finite")
    model.load_state_dict(best_state)
    model.eval()
    return Fitted(history, best_step)
