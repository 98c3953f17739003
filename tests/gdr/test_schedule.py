from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from gdr.sampler_spec import Sampler, parse_sampler
from gdr.schedule import NoiseSchedule

BETAS = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def test_alphas_equal_diffusers():
    expected = DDIMScheduler(**BETAS).alphas_cumprod.numpy()
    np.testing.assert_allclose(NoiseSchedule().alphas_cumprod, expected, rtol=1e-4)


def test_known_levels():
    schedule = NoiseSchedule()
    for t, expected in {0: 0.9985, 1: 0.9970, 21: 0.966, 181: 0.655, 381: 0.263, 581: 0.057}.items():
        assert schedule.alpha_bar(t) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 20, 50, 200, 999])
def test_ddim_timesteps_equal_diffusers(steps):
    scheduler = DDIMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=False, clip_sample=False)
    scheduler.set_timesteps(steps)
    assert NoiseSchedule().ddim_timesteps(steps) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 20, 50, 200, 999])
def test_dpmpp_timesteps_equal_diffusers(steps):
    scheduler = DPMSolverMultistepScheduler(**BETAS)
    scheduler.set_timesteps(steps)
    assert NoiseSchedule().dpmpp_timesteps(steps) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("steps", [2, 5, 10, 20])
def test_logsnr_timesteps_equal_diffusers(steps):
    scheduler = DPMSolverMultistepScheduler(**BETAS, use_lu_lambdas=True)
    scheduler.set_timesteps(steps)
    assert np.abs(np.subtract(NoiseSchedule().logsnr_timesteps(steps), scheduler.timesteps.tolist())).max() <= 1


@pytest.mark.parametrize("steps", [1, 2, 50, 100, 500, 998, 999])
def test_logsnr_timesteps_are_distinct_and_span_the_schedule(steps):
    levels = NoiseSchedule().logsnr_timesteps(steps)
    assert len(levels) == steps
    assert (np.diff(levels) < 0).all()
    assert levels[0] == 999
    assert levels[-1] == 0 or steps == 1


@pytest.mark.parametrize("steps", [0, -1, 1000, 2000])
def test_too_many_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps"):
        NoiseSchedule().ddim_timesteps(steps)
    with pytest.raises(ValueError, match="steps"):
        NoiseSchedule().dpmpp_timesteps(steps)
    with pytest.raises(ValueError, match="steps"):
        NoiseSchedule().logsnr_timesteps(steps)


@pytest.mark.parametrize("wrong", [{"levels": 1}, {"beta_start": 0.0}, {"beta_start": 0.5}, {"beta_end": 1.0}])
def test_a_wrong_schedule_is_refused(wrong):
    with pytest.raises(ValueError, match="beta_start"):
        NoiseSchedule(**wrong)


def test_level_before_the_first():
    assert NoiseSchedule().alpha_bar(-19) == NoiseSchedule().alpha_bar(0)
    assert NoiseSchedule(set_alpha_to_one=True).alpha_bar(-19) == 1.0


def test_noising_and_conversions_round_trip():
    schedule = NoiseSchedule()
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 3, 5, 4, generator=generator, dtype=torch.float64)
    t = torch.tensor([0, 400, 999])
    x = schedule.add_noise(x0, noise, t)
    torch.testing.assert_close(schedule.epsilon_from_x0(x, x0, t), noise)
    torch.testing.assert_close(schedule.x0_from_epsilon(x, noise, t), x0)
    torch.testing.assert_close(schedule.add_noise(x0[1:2], noise[1:2], 400), x[1:2])
    assert schedule.add_noise(x0.float(), noise.float(), t).dtype == torch.float32


def test_sampler_names():
    assert parse_sampler("ddim-50") == Sampler("ddim", 50)
    assert parse_sampler(" DPM++2M-10 ") == Sampler("dpm++2m", 10)
    assert parse_sampler("dpm++2m-logsnr-8") == Sampler("dpm++2m-logsnr", 8)
    for name in ("ddim-50", "dpm++2m-10", "dpm++2m-logsnr-8"):
        assert str(parse_sampler(name)) == name


@pytest.mark.parametrize(
    "text", ["", "ddim", "ddim-", "ddim-0", "ddim-1000", "ddim-5.5", "ddim--5", "ddpm-50", "dpm++2m-x", "-50"]
)
def test_unknown_samplers_name_the_valid_forms(text):
    with pytest.raises(ValueError, match=r"ddim-STEPS or dpm\+\+2m-STEPS"):
        parse_sampler(text)


def test_sampler_names_need_no_torch():
    code = "import sys, gdr.sampler_spec, gdr.unet_config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
