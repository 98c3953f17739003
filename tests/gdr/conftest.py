"""Latents and denoisers with known answers, for the tests of sampling and inversion."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from gdr.sample import Denoiser
from gdr.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule()
CHANNELS, FRAMES = 32, 8


def _normal(seed: int, items: int = 6, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((items, CHANNELS, FRAMES), generator=generator, dtype=dtype)


def _deviations(rms: float) -> torch.Tensor:
    """A deviation per channel, over a factor of 30, as latents have it: one gain does not suit all."""
    spread = torch.logspace(-1.0, 0.5, CHANNELS, dtype=torch.float64)[:, None]
    return rms * spread / spread.square().mean().sqrt()


def _gaussian(rms: float, mean: float | torch.Tensor = 0.0) -> Denoiser:
    """The exact denoiser of independent N(mean, deviations²)."""

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        alpha_bar = SCHEDULE.alpha_bar(t)
        variance = alpha_bar * (_deviations(rms) ** 2) + 1.0 - alpha_bar
        shrink = math.sqrt(alpha_bar) * _deviations(rms) ** 2 / variance
        return (mean + shrink * (x - math.sqrt(alpha_bar) * mean)).to(x.dtype)

    return denoise


def _clusters(chosen: slice, spread: float = 0.3) -> Denoiser:
    """The exact denoiser of frames that come from some of 40 Gaussian clusters: far from linear."""
    means = torch.randn((40, CHANNELS), generator=torch.Generator().manual_seed(77), dtype=torch.float64)[chosen]

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        alpha_bar = SCHEDULE.alpha_bar(t)
        variance = alpha_bar * spread**2 + 1.0 - alpha_bar
        off = x.transpose(1, 2)[:, :, None].double() - math.sqrt(alpha_bar) * means
        share = torch.softmax(-off.square().sum(-1) / (2 * variance), dim=-1)
        each = means + math.sqrt(alpha_bar) * spread**2 / variance * off
        return (share[..., None] * each).sum(2).transpose(1, 2).to(x.dtype)

    return denoise


@pytest.fixture(scope="session")
def normal() -> Callable[..., torch.Tensor]:
    """(seed, items, dtype) -> standard normal latents."""
    return _normal


@pytest.fixture(scope="session")
def deviations() -> Callable[[float], torch.Tensor]:
    """(rms) -> a deviation per channel."""
    return _deviations


@pytest.fixture(scope="session")
def gaussian() -> Callable[..., Denoiser]:
    """(rms, mean) -> the exact denoiser of a Gaussian."""
    return _gaussian


@pytest.fixture(scope="session")
def clusters() -> Callable[..., Denoiser]:
    """(chosen, spread) -> the exact denoiser of a mixture."""
    return _clusters
