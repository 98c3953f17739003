from __future__ import annotations

import itertools
import math

import pytest
import torch
from diffusers import DDIMInverseScheduler

from gdr.guidance import Branch, GuidedDenoiser
from gdr.inversion import denoise_from, edit, invert, sdedit
from gdr.sample import Denoiser, Step, ddim_step, sample_ddim
from gdr.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule()
NOISE_FREE = NoiseSchedule(set_alpha_to_one=True)
ENDS = [(SCHEDULE, "x0"), (SCHEDULE, "latents"), (NOISE_FREE, "x0")]
"""All that clean latents can be; the last two come back unchanged if the inversion is exact."""
BETAS = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
CHANNELS, FRAMES = 32, 8


def error(
    denoise: Denoiser, z: torch.Tensor, steps: int, of: int, refine: int = 0, schedule=SCHEDULE, end: str = "latents"
) -> float:
    """Relative L2 distance between latents and what comes back of them."""
    back = edit(denoise, denoise, z, schedule, steps=steps, of=of, refine=refine, end=end)
    return float((back - z).norm() / z.norm())


# The round trip


@pytest.mark.parametrize(("schedule", "end"), ENDS)
@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_round_trip_at_unit_scale(schedule, end, mean, normal, deviations, gaussian):
    z = mean + deviations(1.0) * normal(0)
    coarse = error(gaussian(1.0, mean), z, 20, 50, 0, schedule, end)
    fine = error(gaussian(1.0, mean), z, 80, 200, 0, schedule, end)
    assert coarse < 0.15
    assert fine < coarse / 2


def test_round_trip_keeps_the_direction_of_each_item(normal, deviations, gaussian):
    z = deviations(1.0) * normal(1)
    back = edit(gaussian(1.0), gaussian(1.0), z, SCHEDULE, steps=20, of=50)
    assert torch.cosine_similarity(back.flatten(1), z.flatten(1)).min() > 0.98


def test_inversion_follows_the_probability_flow(normal, deviations, gaussian):
    # The flow of a Gaussian keeps the number of standard deviations of each entry.
    z, scale = normal(2), deviations(1.0)

    def at(t: int) -> torch.Tensor:
        return (SCHEDULE.alpha_bar(t) * scale**2 + 1.0 - SCHEDULE.alpha_bar(t)).sqrt() * z

    def miss(of: int) -> float:
        inverted = invert(gaussian(1.0), at(0), SCHEDULE, steps=2 * of // 5, of=of)
        flow = at(inverted.levels[-1])
        return float((inverted.x - flow).norm() / flow.norm())

    # First order: the error falls as the steps rise.
    misses = [miss(of) for of in (50, 100, 250, 500)]
    assert all(later < 0.6 * earlier for earlier, later in itertools.pairwise(misses))
    assert misses[-1] < 0.08


@pytest.mark.parametrize("end", ["x0", "latents"])
def test_no_steps_are_the_identity(end, normal, gaussian):
    z, other = normal(3), gaussian(1.0, mean=5.0)
    inverted = invert(gaussian(1.0), z, SCHEDULE, steps=0, of=50, refine=2, keep=True)
    assert torch.equal(inverted.x, z)
    assert inverted.levels == ()
    assert len(inverted.path) == 1
    assert inverted.residuals.shape == inverted.stalled.shape == (0, 6)
    assert inverted.stalls.tolist() == [0] * 6
    assert torch.equal(denoise_from(other, z, SCHEDULE, steps=0, of=50, end=end), z)
    assert torch.equal(edit(gaussian(1.0), other, z, SCHEDULE, steps=0, of=50, end=end), z)
    assert torch.equal(sdedit(other, z, normal(4), SCHEDULE, steps=0, of=50, end=end), z)


@pytest.mark.parametrize("of", [1, 2, 7, 50])
def test_all_steps_are_allowed(of, normal, gaussian):
    inverted = invert(gaussian(1.0), normal(5), SCHEDULE, steps=of, of=of)
    assert inverted.levels == tuple(SCHEDULE.ddim_timesteps(of)[::-1])


# Levels and agreement


@pytest.mark.parametrize("steps", [1, 20, 50])
def test_levels_meet_those_of_the_sampler(steps, normal, gaussian):
    up: list[Step] = []
    down: list[Step] = []
    inverted = invert(gaussian(1.0), normal(6), SCHEDULE, steps=steps, of=50, callback=up.append)
    denoise_from(gaussian(1.0), inverted.x, SCHEDULE, steps=steps, of=50, callback=down.append)
    assert [step.t for step in up] == list(inverted.levels) == [step.t for step in down][::-1]
    assert [step.number for step in up] == [step.number for step in down] == list(range(steps))
    assert list(inverted.levels) == SCHEDULE.ddim_timesteps(50)[::-1][:steps]
    assert torch.equal(up[-1].x, inverted.x)
    assert torch.equal(down[0].x, inverted.x)


def test_the_papers_depth(normal, gaussian):
    assert invert(gaussian(1.0), normal(6), SCHEDULE, steps=20, of=50).levels[-1] == 381
    assert SCHEDULE.alpha_bar(381) == pytest.approx(0.263, abs=5e-4)


@pytest.mark.parametrize("rms", [0.044, 1.0])
@pytest.mark.parametrize("of", [5, 20, 50])
def test_equals_diffusers_step_by_step(rms, of, normal, deviations, gaussian):
    scheduler = DDIMInverseScheduler(
        **BETAS, steps_offset=1, set_alpha_to_one=False, clip_sample=False, prediction_type="sample"
    )
    scheduler.set_timesteps(of)
    denoise, x = gaussian(rms), deviations(rms) * normal(7)
    inverted = invert(denoise, x, SCHEDULE, steps=of, of=of, keep=True)
    assert list(inverted.levels) == scheduler.timesteps.tolist()
    for t, ours in zip(scheduler.timesteps, inverted.path[1:], strict=True):
        # Their coefficients are float32.
        x = scheduler.step(denoise(x, int(t)), t, x).prev_sample.double()
        assert (ours - x).abs().max() < 1e-4 * max(1.0, float(x.abs().max()))


def test_the_first_step_from_noise_free_latents(normal, clusters):
    # They hold no noise to rescale: it is what the network, told that they are at level 1, takes for noise.
    z, denoise = normal(7), clusters(slice(None))
    first = invert(denoise, z, NOISE_FREE, steps=1, of=50).x
    expected = SCHEDULE.add_noise(z, SCHEDULE.epsilon_from_x0(z, denoise(z, 1), 1), 1)
    torch.testing.assert_close(first, expected)


def test_the_whole_way_forth_is_the_sampler(normal, clusters):
    noise = normal(8)
    whole = sample_ddim(clusters(slice(None)), noise, SCHEDULE, 50)
    assert torch.equal(denoise_from(clusters(slice(None)), noise, SCHEDULE, steps=50, of=50), whole)
    latents = denoise_from(clusters(slice(None)), noise, SCHEDULE, steps=50, of=50, end="latents")
    assert 0 < (latents - whole).norm() / whole.norm() < 0.1


def test_the_part_way_forth_is_the_end_of_the_sampler(normal, clusters):
    seen: list[Step] = []
    whole = sample_ddim(clusters(slice(None)), normal(9), SCHEDULE, 50, callback=seen.append)
    assert torch.equal(denoise_from(clusters(slice(None)), seen[30].x, SCHEDULE, steps=20, of=50), whole)


def test_a_schedule_that_ends_without_noise_leaves_nothing_to_choose(normal, gaussian):
    z = normal(10)
    x0, latents = (denoise_from(gaussian(1.0), z, NOISE_FREE, steps=20, of=50, end=end) for end in ("x0", "latents"))
    assert torch.equal(x0, latents)
    assert torch.equal(x0, denoise_from(gaussian(1.0), z, SCHEDULE, steps=20, of=50))


def test_a_first_level_that_is_the_end_costs_nothing(normal, gaussian):
    schedule = NoiseSchedule(steps_offset=0)
    inverted = invert(gaussian(1.0), normal(10), schedule, steps=1, of=50, refine=3)
    torch.testing.assert_close(inverted.x, normal(10))
    assert inverted.stalls.sum() == 0


@pytest.mark.parametrize("schedule", [SCHEDULE, NOISE_FREE])
@pytest.mark.parametrize("prediction", ["x0", "epsilon"])
def test_the_network_may_predict_either(prediction, schedule, normal, deviations, gaussian):
    class Network:
        def __init__(self) -> None:
            self.prediction = prediction

        def embed_time(self, t: torch.Tensor) -> int:
            return int(t)

        def predict(self, x: torch.Tensor, time: int, context: None) -> torch.Tensor:
            x0 = gaussian(1.0)(x, time)
            return x0 if prediction == "x0" else SCHEDULE.epsilon_from_x0(x, x0, time)

    denoise = GuidedDenoiser(Network(), SCHEDULE, [Branch(1.0, Texts(6))])
    z = deviations(1.0) * normal(11)
    inverted = invert(denoise, z, schedule, steps=20, of=50, refine=1)
    expected = invert(gaussian(1.0), z, schedule, steps=20, of=50, refine=1)
    torch.testing.assert_close(inverted.x, expected.x)


class Texts:
    """Rows without content."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def join(self, *others: Texts) -> Texts:
        return self

    def repeated(self, samples: int) -> Texts:
        return self


# Finite numbers


@pytest.mark.parametrize("schedule", [SCHEDULE, NOISE_FREE])
@pytest.mark.parametrize("rms", [0.001, 0.044, 1.0, 20.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("refine", [0, 3])
def test_finite_at_every_step(schedule, rms, dtype, refine, normal, deviations, gaussian):
    z = (deviations(rms) * normal(12)).to(dtype)
    inverted = invert(gaussian(rms), z, schedule, steps=50, of=50, refine=refine, keep=True)
    assert len(inverted.path) == 51
    assert all(bool(torch.isfinite(x).all()) and x.dtype == dtype for x in inverted.path)
    assert torch.equal(inverted.path[0], z)
    assert torch.equal(inverted.path[-1], inverted.x)


def test_latents_of_zeros_and_no_latents(gaussian):
    zeros = torch.zeros(2, CHANNELS, FRAMES, dtype=torch.float64)
    inverted = invert(gaussian(1.0, mean=0.5), zeros, SCHEDULE, steps=5, of=50, refine=3)
    assert bool(torch.isfinite(inverted.residuals).all())
    back = denoise_from(gaussian(1.0, mean=0.5), inverted.x, SCHEDULE, steps=5, of=50, end="latents")
    assert back.abs().max() < 0.01
    assert edit(gaussian(1.0), gaussian(1.0), zeros[:0], SCHEDULE, steps=5, of=50, refine=2).shape == zeros[:0].shape


# Refinement


# Channels of a tenth of that size are lost in the noise of the first level: what they were does not come out of x0.
@pytest.mark.parametrize(("schedule", "share"), [(NOISE_FREE, 0.7), (SCHEDULE, 0.01)])
def test_refinement_of_small_latents(schedule, share, normal, deviations, gaussian):
    z = deviations(0.044) * normal(13)
    plain, refined = (error(gaussian(0.044), z, 20, 50, refine, schedule) for refine in (0, 3))
    assert refined < share * plain


def test_refinement_of_equally_small_latents_reaches_rounding(normal):
    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        alpha_bar = SCHEDULE.alpha_bar(t)
        return math.sqrt(alpha_bar) / 512 / (alpha_bar / 512 + 1.0 - alpha_bar) * x

    z = 512**-0.5 * normal(13)
    assert error(denoise, z, 20, 50) > 1e-2
    assert error(denoise, z, 20, 50, refine=3) < 1e-4


@pytest.mark.parametrize(("schedule", "end"), ENDS)
@pytest.mark.parametrize(("of", "steps"), [(50, 20), (50, 50), (200, 80)])
@pytest.mark.parametrize("refine", [1, 3, 10])
def test_refinement_at_unit_scale(schedule, end, of, steps, refine, normal, deviations, gaussian):
    z = deviations(1.0) * normal(14)
    plain = error(gaussian(1.0), z, steps, of, 0, schedule, end)
    # The last clean prediction is without the noise of the first level, which is the rest of the error.
    floor = 0.01 if (schedule, end) == ENDS[0] else 0.0
    assert error(gaussian(1.0), z, steps, of, refine, schedule, end) < max(floor, 0.5 * plain)


def test_plain_iteration_does_diverge_at_unit_scale(normal, deviations, gaussian):
    # Why the gain of an update is not that of the step itself.
    denoise, z = gaussian(1.0), deviations(1.0) * normal(14)

    def iterated(times: int) -> float:
        x = z
        levels = SCHEDULE.ddim_timesteps(50)[::-1][:20]
        for t in levels:
            start, x0 = x, denoise(x, t)
            for _ in range(times + 1):
                x = ddim_step(start, x0, t - 20, t, SCHEDULE)
                x0 = denoise(x, t)
        back = denoise_from(denoise, x, SCHEDULE, steps=20, of=50, end="latents")
        return float((back - z).norm() / z.norm())

    assert iterated(0) == pytest.approx(error(denoise, z, 20, 50))
    assert iterated(10) > 1.5 * iterated(0)


@pytest.mark.parametrize(("schedule", "end"), ENDS)
@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("refine", [1, 3, 10])
def test_refinement_never_harms(guidance, refine, schedule, end, normal, clusters):
    source, null = clusters(slice(20)), clusters(slice(None))

    def guided(x: torch.Tensor, t: int) -> torch.Tensor:
        return null(x, t) + guidance * (source(x, t) - null(x, t))

    generated = sample_ddim(source, normal(15), SCHEDULE, 50)
    # The second never comes out of the denoiser, at whatever noise: no inversion can be right.
    for z, bound in ((generated, 0.5), (normal(16), 1.05)):
        plain = error(guided, z, 20, 50, 0, schedule, end)
        assert error(guided, z, 20, 50, refine, schedule, end) < bound * plain


def test_what_cannot_be_reached_stalls_and_does_not_run_away(normal):
    def constant(x: torch.Tensor, t: int) -> torch.Tensor:
        return torch.ones_like(x)

    z = normal(17)
    plain = invert(constant, z, NOISE_FREE, steps=1, of=50)
    refined = invert(constant, z, NOISE_FREE, steps=1, of=50, refine=10)
    assert refined.stalled.tolist() == [[True] * 6]
    assert refined.stalls.tolist() == [1] * 6
    assert torch.equal(refined.x, plain.x)
    torch.testing.assert_close(refined.residuals[0], ((1 - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)))


@pytest.mark.parametrize("refine", [1, 10])
def test_updates_are_never_longer_than_the_plain_step(refine, normal):
    # A prediction that barely moves with x asks for steps of twenty times the miss.
    z = normal(17)
    plain, refined = (invert(lambda x, t: 0.05 * x, z, NOISE_FREE, steps=1, of=50, refine=r) for r in (0, refine))
    assert (refined.x - plain.x).norm() <= refine * (0.05 * plain.x - z).norm()


@pytest.mark.parametrize(("slope", "steps"), [(0.0, 20), (-10.0, 2)])
def test_constant_and_falling_predictions(slope, steps, normal):
    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        return 1.0 + slope * x

    inverted = invert(denoise, normal(17), SCHEDULE, steps=steps, of=50, refine=10)
    assert inverted.stalls.sum() == 0 <= inverted.residuals.max() < 1e-13
    back = denoise_from(denoise, inverted.x, SCHEDULE, steps=steps, of=50, end="latents")
    torch.testing.assert_close(back, normal(17))


def test_residuals_are_what_the_sampler_misses(normal, deviations, clusters):
    denoise, z = clusters(slice(None)), deviations(1.0) * normal(18)
    inverted = invert(denoise, z, SCHEDULE, steps=6, of=50, refine=1, keep=True)
    for index, t in enumerate(inverted.levels):
        below, x = inverted.path[index], inverted.path[index + 1]
        missed = ddim_step(x, denoise(x, t), t, t - 20, SCHEDULE) - below
        expected = missed.flatten(1).norm(dim=1) / below.flatten(1).norm(dim=1)
        torch.testing.assert_close(inverted.residuals[index], expected, rtol=1e-6, atol=1e-14)


def test_residuals_fall_with_refinement_and_are_unknown_without(normal, deviations, gaussian):
    def residuals(refine: int) -> torch.Tensor:
        return invert(gaussian(1.0), deviations(1.0) * normal(19), SCHEDULE, steps=20, of=50, refine=refine).residuals

    assert bool(torch.isnan(residuals(0)).all())
    means = [float(residuals(refine).mean()) for refine in (1, 2, 4, 8)]
    assert all(later < 0.5 * earlier for earlier, later in itertools.pairwise(means))


@pytest.mark.parametrize(("refine", "most"), [(0, 20), (1, 60), (3, 100)])
def test_network_calls(refine, most, normal, deviations, gaussian):
    calls = []

    def counted(x: torch.Tensor, t: int) -> torch.Tensor:
        calls.append(t)
        return gaussian(1.0)(x, t)

    invert(counted, deviations(1.0) * normal(20), SCHEDULE, steps=20, of=50, refine=refine)
    assert 20 <= len(calls) <= most
    assert sorted(set(calls)) == SCHEDULE.ddim_timesteps(50)[::-1][:20]
    calls.clear()
    invert(counted, normal(20) * 0, SCHEDULE, steps=20, of=50, refine=10)
    assert len(calls) == 40, "zeros are their own inversion, which one more call is enough to see"


def test_no_gradient_and_the_input_is_left_alone(normal):
    weight = torch.ones((), requires_grad=True, dtype=torch.float64)
    z = normal(22).requires_grad_()
    before = z.detach().clone()
    inverted = invert(lambda x, t: weight * x, z, SCHEDULE, steps=3, of=50, refine=2)
    assert not inverted.x.requires_grad
    assert not denoise_from(lambda x, t: weight * x, z, SCHEDULE, steps=3, of=50).requires_grad
    assert torch.equal(z, before)
