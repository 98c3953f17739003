from __future__ import annotations

import math

import pytest
import torch

from bench.errors import UserError
from gdr.latents import LATENT_NORMS, LatentScaler


def frames(seed: int = 0, d: int = 32) -> torch.Tensor:
    """Unit-norm frames (40, 6, d) with a common direction and uneven dimensions."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(0.2, 2.0, d)
    raw = torch.randn(40, 6, d, generator=generator) * spread + 0.5
    return torch.nn.functional.normalize(raw, dim=-1)


@pytest.mark.parametrize("norm", LATENT_NORMS)
def test_round_trip(norm):
    scaler = LatentScaler.fit(frames(), norm)
    other = frames(seed=1)[:3]
    torch.testing.assert_close(scaler.invert(scaler.apply_to(other)), other)


def test_none_is_the_identity():
    assert torch.equal(LatentScaler.fit(frames(), "none").apply_to(frames()), frames())


def test_unit_rms_of_unit_norm_frames_is_the_root_of_d():
    scaler = LatentScaler.fit(frames(), "unit_rms")
    scaled = scaler.apply_to(frames())
    torch.testing.assert_close(scaler.gain, torch.full((32,), math.sqrt(32)))
    assert float(scaled.square().mean()) == pytest.approx(1.0, abs=1e-5)
    cosines = torch.nn.functional.cosine_similarity(scaled, frames(), dim=-1)
    torch.testing.assert_close(cosines, torch.ones_like(cosines))


def test_per_dim_standardises_each_dimension():
    scaled = LatentScaler.fit(frames(), "per_dim").apply_to(frames()).reshape(-1, 32)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(32), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.var(0, unbiased=False), torch.ones(32), atol=1e-4, rtol=0)


def test_statistics_do_not_depend_on_how_frames_are_stacked():
    # More rows than one chunk, and a common offset that float32 sums would lose.
    generator = torch.Generator().manual_seed(0)
    many = torch.randn(3000, 4, 3, generator=generator) + 100.0
    scaler = LatentScaler.fit(many, "per_dim")
    flat = LatentScaler.fit(many.reshape(-1, 3).flip(0), "per_dim")
    torch.testing.assert_close(scaler.gain, flat.gain)
    expected = many.double().reshape(-1, 3).std(0, unbiased=False).reciprocal().float()
    torch.testing.assert_close(scaler.gain, expected, rtol=1e-5, atol=0)


def test_a_dimension_that_never_moves_stays_finite():
    still = frames().clone()
    still[..., 3] = 0.25
    scaler = LatentScaler.fit(still, "per_dim")
    scaled = scaler.apply_to(still)
    assert torch.isfinite(scaled).all()
    assert float(scaled[..., 3].abs().max()) < 1e-2
    torch.testing.assert_close(scaler.invert(scaled), still)


@pytest.mark.parametrize("norm", LATENT_NORMS)
def test_stored_in_a_state_dict_and_in_a_dict(norm):
    scaler = LatentScaler.fit(frames(), norm)
    holder = torch.nn.ModuleDict({"scaler": scaler})
    assert {"scaler.mean", "scaler.gain"} <= set(holder.state_dict())
    loaded = LatentScaler(32, norm)
    loaded.load_state_dict(scaler.state_dict())
    for other in (loaded, LatentScaler.from_dict(scaler.to_dict())):
        assert other.latent_norm == norm
        torch.testing.assert_close(other.apply_to(frames()), scaler.apply_to(frames()))


@pytest.mark.parametrize("wrong", [torch.zeros(0, 4), torch.zeros(3, 4), torch.full((3, 4), math.nan)])
def test_frames_without_a_scale_are_refused(wrong):
    with pytest.raises(ValueError, match="cannot fit"):
        LatentScaler.fit(wrong)


def test_an_unknown_norm_names_the_known():
    with pytest.raises(UserError, match="unit_rms"):
        LatentScaler(4, "unit")
