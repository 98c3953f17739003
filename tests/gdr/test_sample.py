from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from gdr.noise import query_noise
from gdr.sample import Step, ddim_step, sample, sample_ddim, sample_dpmpp_2m
from gdr.sampler_spec import parse_sampler
from gdr.schedule import NoiseSchedule

BETAS = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
SCHEDULE = NoiseSchedule()
SHAPE = (3, 8, 4)


def raw_output(t: int) -> torch.Tensor:
    """What a network might say at level t: random, the same for both sides."""
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(t), dtype=torch.float64)


def start() -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(12345), dtype=torch.float64)


def reference(scheduler, steps: int | None, timesteps: list[int] | None = None):
    """Latents before each step and at the end, as diffusers computes them."""
    if timesteps is None:
        scheduler.set_timesteps(steps)
    else:
        scheduler.set_timesteps(timesteps=timesteps)
    x, seen = start(), []
    for t in scheduler.timesteps:
        seen.append(x)
        step = scheduler.step(raw_output(int(t)), t, x)
        x = step.prev_sample.double()
    return seen, getattr(step, "pred_original_sample", x)


def ours(function, steps: int, prediction: str) -> tuple[list[Step], torch.Tensor]:
    def model(x: torch.Tensor, t: int) -> torch.Tensor:
        return raw_output(t) if prediction == "sample" else SCHEDULE.x0_from_epsilon(x, raw_output(t), t)

    seen: list[Step] = []
    return seen, function(model, start(), SCHEDULE, steps, callback=seen.append)


def assert_relatively_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    # x0 implied by random noise reaches 70 at the noisiest level: the tolerance is relative to the latents' size.
    assert (actual - expected.double()).abs().max() < 1e-4 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("prediction", ["sample", "epsilon"])
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 50])
def test_ddim_equals_diffusers(prediction, steps):
    scheduler = DDIMScheduler(
        **BETAS, steps_offset=1, set_alpha_to_one=False, clip_sample=False, prediction_type=prediction
    )
    expected, last = reference(scheduler, steps)
    seen, result = ours(sample_ddim, steps, prediction)
    assert [step.t for step in seen] == scheduler.timesteps.tolist()
    for step, latents in zip(seen, expected, strict=True):
        assert_relatively_close(step.x, latents)
    assert_relatively_close(result, last)


@pytest.mark.parametrize("prediction", ["sample", "epsilon"])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 14, 15, 20])
def test_dpmpp_equals_diffusers(prediction, steps):
    scheduler = DPMSolverMultistepScheduler(**BETAS, prediction_type=prediction)
    expected, last = reference(scheduler, steps)
    seen, result = ours(sample_dpmpp_2m, steps, prediction)
    assert [step.t for step in seen] == scheduler.timesteps.tolist()
    for step, latents in zip(seen, expected, strict=True):
        assert_relatively_close(step.x, latents)
    assert_relatively_close(result, last)


@pytest.mark.parametrize("prediction", ["sample", "epsilon"])
@pytest.mark.parametrize("steps", [2, 10, 20])
def test_dpmpp_with_even_log_snr_equals_diffusers(prediction, steps):
    scheduler = DPMSolverMultistepScheduler(**BETAS, prediction_type=prediction)
    expected, last = reference(scheduler, None, SCHEDULE.logsnr_timesteps(steps))
    seen, result = ours(functools.partial(sample_dpmpp_2m, spacing="logsnr"), steps, prediction)
    for step, latents in zip(seen, expected, strict=True):
        assert_relatively_close(step.x, latents)
    assert_relatively_close(result, last)


MEAN, DEVIATION = 0.7, 0.5


def gaussian(x: torch.Tensor, t: int) -> torch.Tensor:
    """The exact denoiser of N(MEAN, DEVIATION²)."""
    signal = math.sqrt(SCHEDULE.alpha_bar(t))
    variance = SCHEDULE.alpha_bar(t) * DEVIATION**2 + 1.0 - SCHEDULE.alpha_bar(t)
    return MEAN + signal * DEVIATION**2 / variance * (x - signal * MEAN)


def exact(x: torch.Tensor, t: int) -> torch.Tensor:
    """Where the probability flow takes x from level t: it keeps the number of standard deviations."""
    alpha_bar = SCHEDULE.alpha_bar(t)
    deviations = (x - math.sqrt(alpha_bar) * MEAN) / math.sqrt(alpha_bar * DEVIATION**2 + 1.0 - alpha_bar)
    return MEAN + DEVIATION * deviations


def error(name: str, first: int) -> float:
    result = sample(parse_sampler(name), gaussian, start(), SCHEDULE)
    return float((result - exact(start(), first)).abs().max())


def test_dpmpp_converges_to_the_probability_flow():
    errors = [error(f"dpm++2m-{steps}", 999) for steps in (10, 20, 40, 80)]
    assert all(later < 0.6 * earlier for earlier, later in itertools.pairwise(errors))


def test_ten_dpmpp_steps_even_in_log_snr_are_close():
    assert error("dpm++2m-logsnr-10", 999) < 0.1 * DEVIATION
    assert error("dpm++2m-logsnr-10", 999) < 0.5 * error("ddim-50", 981)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("dpm++2m-10", 0.70, 0.75), ("ddim-10", 0.72, 0.78), ("ddim-50", 0.92, 0.94), ("dpm++2m-logsnr-10", 0.98, 1.03)],
)
def test_share_of_the_spread_that_samplers_keep(name, low, high):
    noise = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kept = float(sample(parse_sampler(name), gaussian, noise, SCHEDULE).std() / (DEVIATION * noise.std()))
    assert low < kept < high


def test_ddim_converges_too():
    errors = [error(f"ddim-{steps}", SCHEDULE.ddim_timesteps(steps)[0]) for steps in (10, 50, 250)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("name", ["ddim-5", "dpm++2m-5", "dpm++2m-logsnr-5"])
def test_a_model_that_knows_the_answer_gives_it(name):
    answer = torch.randn(SHAPE)
    assert torch.equal(sample(parse_sampler(name), lambda x, t: answer, torch.randn(SHAPE), SCHEDULE), answer)


def test_a_ddim_step_up_and_down_is_the_identity():
    x, x0 = start(), raw_output(0)
    torch.testing.assert_close(ddim_step(ddim_step(x, x0, 101, 141, SCHEDULE), x0, 141, 101, SCHEDULE), x)
    torch.testing.assert_close(ddim_step(x, x0, 101, 101, SCHEDULE), x)


def test_ddim_may_start_in_the_middle():
    whole: list[Step] = []
    full = sample_ddim(gaussian, start(), SCHEDULE, 10, callback=whole.append)
    part = sample_ddim(gaussian, whole[6].x, SCHEDULE, 10, timesteps=SCHEDULE.ddim_timesteps(10)[6:])
    torch.testing.assert_close(part, full)
    assert torch.equal(sample_ddim(gaussian, start(), SCHEDULE, 10, timesteps=[]), start())


@pytest.mark.parametrize("name", ["ddim-4", "dpm++2m-4", "dpm++2m-logsnr-4"])
def test_one_model_call_a_step_and_no_gradient(name):
    calls = []
    weight = torch.ones((), requires_grad=True)

    def model(x: torch.Tensor, t: int) -> torch.Tensor:
        calls.append(t)
        return weight * x

    result = sample(parse_sampler(name), model, start(), SCHEDULE)
    assert len(calls) == 4
    assert not result.requires_grad


def test_noise_belongs_to_the_query():
    noise = query_noise(["a waltz", "slow blues", "a waltz"], 3, (8, 4), seed=7)
    assert noise.shape == (3, 3, 8, 4)
    assert noise.dtype == torch.float32
    assert torch.equal(noise[0], noise[2])
    assert torch.equal(query_noise(["slow blues"], 1, (8, 4), seed=7)[0, 0], noise[1, 0])
    assert torch.equal(query_noise(["slow blues", "a waltz"], 3, (8, 4), seed=7)[1], noise[0])
    distinct = torch.stack([*noise[0], *noise[1], *query_noise(["a waltz"], 3, (8, 4), seed=8)[0]]).flatten(1)
    assert len(torch.unique(distinct, dim=0)) == len(distinct)


def test_numbers_in_a_prompt_are_not_taken_for_seed_or_sample():
    # seed 1, sample 0 of "0:x" against seed 1, sample 0 of "x", and against seed 10.
    texts = [query_noise([text], 1, (4, 4), seed=seed) for text, seed in (("x", 1), ("0:x", 1), ("x", 10), (":x", 1))]
    assert all(not torch.equal(a, b) for i, a in enumerate(texts) for b in texts[:i])


def test_noise_is_standard_normal():
    noise = query_noise([f"prompt {i}" for i in range(50)], 4, (32, 16), seed=0).double()
    count = noise.numel()
    assert abs(float(noise.mean())) < 4 / math.sqrt(count)
    assert abs(float(noise.var()) - 1.0) < 4 * math.sqrt(2 / count)
    between = torch.corrcoef(noise.flatten(0, 1).flatten(1)) - torch.eye(200, dtype=torch.float64)
    assert float(between.abs().max()) < 6 / math.sqrt(512)


def test_no_noise_for_no_prompts():
    assert query_noise([], 2, (8, 4), seed=0).shape == (0, 2, 8, 4)
    with pytest.raises(ValueError, match="samples"):
        query_noise(["x"], -1, (8, 4), seed=0)
