"""Samplers as pure functions of a denoiser, noise and a schedule. Guidance is the denoiser's affair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch

from gdr.sampler_spec import Sampler
from gdr.schedule import NoiseSchedule

__all__ = ["Denoiser", "Step", "ddim_step", "sample", "sample_ddim", "sample_dpmpp_2m"]

Denoiser = Callable[[torch.Tensor, int], torch.Tensor]
"""Takes latents (B, C, T) at one level t and predicts the clean latents x0, of the same shape."""


class Step(NamedTuple):
    """What a callback is told after each network call."""

    number: int
    t: int
    x: torch.Tensor
    """The latents that went into the network, at level t."""
    x0: torch.Tensor
    """The clean latents it predicted."""


Callback = Callable[[Step], None]


def ddim_step(x: torch.Tensor, x0: torch.Tensor, t: int, to: int, schedule: NoiseSchedule) -> torch.Tensor:
    """Move latents from level t to another along the line through x and x0 (deterministic DDIM, η = 0).

    Args:
        x: latents at level t.
        x0: the clean prediction.
        t: level of x; negative means the level before the first.
        to: level of the result, lower (denoising) or higher (inversion).
        schedule: the noise schedule.
    """
    here, there = schedule.alpha_bar(t), schedule.alpha_bar(to)
    ratio = math.sqrt((1.0 - there) / (1.0 - here))
    return ratio * x + (math.sqrt(there) - ratio * math.sqrt(here)) * x0


@torch.no_grad()
def sample_ddim(
    model: Denoiser,
    noise: torch.Tensor,
    schedule: NoiseSchedule,
    steps: int,
    *,
    timesteps: Sequence[int] | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Deterministic DDIM (Song et al., 2021), without clipping.

    The result is the last clean prediction, not the last latents: with `set_alpha_to_one=False` the latents keep the
    noise of level 0, which for unit-norm frames is as large as the signal.

    Args:
        model: predicts x0.
        noise: start latents (B, C, T); the result's precision and device are theirs.
        schedule: the noise schedule.
        steps: sets the spacing of the levels.
        timesteps: levels to visit instead of all, noisiest first; `noise` is then taken to be at the first of them.
        callback: called after each network call.

    Returns:
        The last predicted x0, (B, C, T).
    """
    stride = schedule.ddim_stride(steps)
    visited = schedule.ddim_timesteps(steps) if timesteps is None else list(timesteps)
    x = x0 = noise
    for index, t in enumerate(visited):
        x0 = model(x, t)
        if callback is not None:
            callback(Step(index, t, x, x0))
        x = ddim_step(x, x0, t, t - stride, schedule)
    return x0


@torch.no_grad()
def sample_dpmpp_2m(
    model: Denoiser,
    noise: torch.Tensor,
    schedule: NoiseSchedule,
    steps: int,
    *,
    spacing: Literal["time", "logsnr"] = "time",
    callback: Callback | None = None,
) -> torch.Tensor:
    """DPM-Solver++ (2M, midpoint; Lu et al., 2022): second order from the second step, first order for the last.

    The last step goes to zero noise, where its result is the clean prediction itself.

    Args:
        model: predicts x0.
        noise: start latents (B, C, T).
        schedule: the noise schedule.
        steps: network calls.
        spacing: levels even in time (diffusers' default) or in log SNR (`NoiseSchedule.logsnr_timesteps`).
        callback: called after each network call.

    Returns:
        The last predicted x0, (B, C, T).
    """
    visited = schedule.logsnr_timesteps(steps) if spacing == "logsnr" else schedule.dpmpp_timesteps(steps)
    levels = [_level(schedule.alpha_bar(t)) for t in visited]
    x = x0 = before = noise
    for index, t in enumerate(visited):
        before, x0 = x0, model(x, t)
        if callback is not None:
            callback(Step(index, t, x, x0))
        if index + 1 == len(visited):
            break
        here, there = levels[index], levels[index + 1]
        step = there.log_snr - here.log_snr
        target = x0
        if index > 0:
            last_step = here.log_snr - levels[index - 1].log_snr
            target = x0 + (0.5 * step / last_step) * (x0 - before)
        x = (there.spread / here.spread) * x - (there.signal * math.expm1(-step)) * target
    return x0


def sample(
    sampler: Sampler,
    model: Denoiser,
    noise: torch.Tensor,
    schedule: NoiseSchedule,
    *,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Run the sampler that a name asks for; see `sample_ddim` and `sample_dpmpp_2m`."""
    if sampler.name == "ddim":
        return sample_ddim(model, noise, schedule, sampler.steps, callback=callback)
    spacing: Literal["time", "logsnr"] = "logsnr" if sampler.name == "dpm++2m-logsnr" else "time"
    return sample_dpmpp_2m(model, noise, schedule, sampler.steps, spacing=spacing, callback=callback)


class _Level(NamedTuple):
    signal: float
    spread: float
    log_snr: float
    """Half the log of the signal-to-noise ratio (λ in the paper)."""


def _level(alpha_bar: float) -> _Level:
    signal, spread = math.sqrt(alpha_bar), math.sqrt(1.0 - alpha_bar)
    return _Level(signal, spread, math.log(signal) - math.log(spread))
