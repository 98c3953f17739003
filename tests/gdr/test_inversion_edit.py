from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gdr.inversion import denoise_from, edit, edit_depths, invert, sdedit
from gdr.sample import Denoiser, Step, sample_ddim
from gdr.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule()
CHANNELS, FRAMES = 32, 8


# The edit


SOURCE, TARGET = -1.0, 2.0


def assert_moves_to_the_target(means: list[float]) -> None:
    assert means[0] == pytest.approx(SOURCE, abs=0.1)
    assert all(earlier < later for earlier, later in itertools.pairwise(means))
    assert means[-1] > SOURCE + 0.9 * (TARGET - SOURCE)


@pytest.mark.parametrize("refine", [0, 3])
def test_an_edit_moves_from_source_to_target_with_depth(refine, normal, deviations, gaussian):
    z, source, target = SOURCE + deviations(1.0) * normal(23), gaussian(1.0, SOURCE), gaussian(1.0, TARGET)
    depths = range(0, 51, 5)
    assert_moves_to_the_target(
        [float(edit(source, target, z, SCHEDULE, steps=steps, of=50, refine=refine).mean()) for steps in depths]
    )


def test_sdedit_moves_from_source_to_target_with_depth(normal, deviations, gaussian):
    z, noise, target = SOURCE + deviations(1.0) * normal(23), normal(24), gaussian(1.0, TARGET)
    assert_moves_to_the_target(
        [float(sdedit(target, z, noise, SCHEDULE, steps=steps, of=50).mean()) for steps in range(0, 51, 5)]
    )


def test_the_exact_edit_of_a_gaussian(normal, deviations, gaussian):
    # Up the flow of one text and down that of another: the deviation from the mean stays, and the means' distance
    # shrinks by what the deeper level makes of it.
    scale, steps, of = deviations(1.0), 100, 250
    z = SOURCE + scale * normal(25)
    alpha_bar = SCHEDULE.alpha_bar(SCHEDULE.ddim_timesteps(of)[::-1][steps - 1])
    kept = scale * math.sqrt(alpha_bar) / (alpha_bar * scale**2 + 1.0 - alpha_bar).sqrt()
    exact = z + (TARGET - SOURCE) * (1.0 - kept)
    ours = edit(gaussian(1.0, SOURCE), gaussian(1.0, TARGET), z, SCHEDULE, steps=steps, of=of, refine=3)
    assert (ours - exact).norm() / (exact - z).norm() < 0.03


def test_an_edit_stays_closer_than_regeneration(normal, clusters):
    z = sample_ddim(clusters(slice(20)), normal(26), SCHEDULE, 50)
    kept = edit(clusters(slice(20)), clusters(slice(10, 30)), z, SCHEDULE, steps=20, of=50)
    again = sample_ddim(clusters(slice(10, 30)), normal(27), SCHEDULE, 50)
    assert (kept - z).norm() < 0.7 * (again - z).norm()


def test_an_edit_is_made_of_its_two_halves(normal, clusters):
    seen: list[Step] = []
    z, source, target = normal(28), clusters(slice(20)), clusters(slice(20, 40))
    for end in ("x0", "latents"):
        inverted = invert(source, z, SCHEDULE, steps=7, of=50, refine=2)
        expected = denoise_from(target, inverted.x, SCHEDULE, steps=7, of=50, end=end)
        ours = edit(source, target, z, SCHEDULE, steps=7, of=50, refine=2, end=end, callback=seen.append)
        assert torch.equal(ours, expected)
    assert [step.number for step in seen] == [*range(7), *range(7)]


# All depths at once


@pytest.mark.parametrize("end", ["x0", "latents"])
@pytest.mark.parametrize("at_once", [None, 1, 2, 100])
@pytest.mark.parametrize("depths", [[0], [20], [5, 0, 20, 20, 3, 1], [50, 49, 0], range(0, 11)])
def test_depths_equal_single_edits(depths, at_once, end, normal, clusters):
    z, source, target = normal(29), clusters(slice(20)), clusters(slice(20, 40))
    edits = edit_depths(source, lambda n: target, z, SCHEDULE, depths=depths, of=50, refine=1, end=end, at_once=at_once)
    assert edits.shape == (len(depths), *z.shape)
    for depth, ours in zip(depths, edits, strict=True):
        torch.testing.assert_close(ours, edit(source, target, z, SCHEDULE, steps=depth, of=50, refine=1, end=end))


def test_copies_of_an_item_are_neighbours_and_share_calls(normal, gaussian):
    means = torch.tensor([-1.0, 3.0], dtype=torch.float64)
    asked: list[int] = []
    sizes: list[int] = []

    def edit_for(copies: int) -> Denoiser:
        asked.append(copies)
        texts = means.repeat_interleave(copies)[:, None, None]

        def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
            sizes.append(len(x))
            return gaussian(1.0, texts)(x, t)

        return denoise

    z = normal(30, items=2)
    edits = edit_depths(gaussian(1.0), edit_for, z, SCHEDULE, depths=[2, 4, 1], of=50)
    for depth, ours in zip([2, 4, 1], edits, strict=True):
        for item, mean in enumerate(means):
            one = z[item : item + 1]
            alone = edit(gaussian(1.0), gaussian(1.0, float(mean)), one, SCHEDULE, steps=depth, of=50)
            torch.testing.assert_close(ours[item : item + 1], alone)
    assert asked == [1, 2, 3]
    assert sizes == [2, 2, 4, 6], "one call a level, for as many copies as have joined"
    sizes.clear()
    edit_depths(gaussian(1.0), edit_for, z, SCHEDULE, depths=[2, 4, 1], of=50, at_once=1)
    assert sizes == [2] * 7


# SDEdit


def test_sdedit_of_everything_is_regeneration(normal, gaussian, clusters):
    z, noise, target = normal(31), normal(32), clusters(slice(20))
    regenerated = sample_ddim(target, noise, SCHEDULE, 50)
    # Of clean latents of nothing, nothing is left; of others, √ᾱ at the noisiest level, 1.4 %.
    nothing = sdedit(target, 0 * z, noise * (1.0 - SCHEDULE.alpha_bar(981)) ** -0.5, SCHEDULE, steps=50, of=50)
    torch.testing.assert_close(nothing, regenerated)
    smooth = gaussian(1.0, TARGET)
    ours = sdedit(smooth, z, noise, SCHEDULE, steps=50, of=50)
    regenerated = sample_ddim(smooth, noise, SCHEDULE, 50)
    assert (ours - regenerated).norm() / regenerated.norm() < 0.02


def test_sdedit_starts_from_forward_noise(normal, clusters):
    seen: list[Step] = []
    z, noise = normal(33), normal(34)
    result = sdedit(clusters(slice(20)), z, noise, SCHEDULE, steps=20, of=50, callback=seen.append)
    alpha_bar = SCHEDULE.alpha_bar(381)
    assert [step.t for step in seen] == SCHEDULE.ddim_timesteps(50)[30:]
    torch.testing.assert_close(seen[0].x, math.sqrt(alpha_bar) * z + math.sqrt(1.0 - alpha_bar) * noise)
    assert torch.equal(result, denoise_from(clusters(slice(20)), seen[0].x, SCHEDULE, steps=20, of=50))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    of=st.integers(1, 60),
    share=st.floats(0.0, 1.0),
    refine=st.integers(0, 3),
    end=st.sampled_from(["x0", "latents"]),
    rms=st.floats(0.01, 5.0),
)
def test_any_numbers_come_back(seed, of, share, refine, end, rms, normal, deviations, gaussian):
    steps = round(share * of)
    z = deviations(rms) * normal(seed, items=2)
    inverted = invert(gaussian(rms), z, SCHEDULE, steps=steps, of=of, refine=refine)
    assert len(inverted.levels) == steps
    assert bool(torch.isfinite(inverted.x).all())
    assert bool((inverted.stalls <= steps).all())
    back = denoise_from(gaussian(rms), inverted.x, SCHEDULE, steps=steps, of=of, end=end)
    assert bool(torch.isfinite(back).all())
    if steps == 0:
        assert torch.equal(back, z)


# Items do not know each other


@pytest.mark.parametrize("refine", [0, 4])
def test_the_batch_does_not_matter(refine, normal, clusters):
    denoise, other = clusters(slice(20)), clusters(slice(20, 40))
    # Items of very different size take different numbers of updates.
    z = normal(21) * torch.logspace(-2, 0.5, 6, dtype=torch.float64)[:, None, None]

    def run(batch: torch.Tensor) -> torch.Tensor:
        return edit(denoise, other, batch, SCHEDULE, steps=20, of=50, refine=refine)

    together = run(z)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(run(z[order]), together[order])
    torch.testing.assert_close(torch.cat([run(item[None]) for item in z]), together)
    twice = run(torch.cat([z, z]))
    torch.testing.assert_close(twice[:6], twice[6:])


# Bad input


def unfit(value: float) -> torch.Tensor:
    z = torch.zeros(6, CHANNELS, FRAMES, dtype=torch.float64)
    z[2, 3, 4] = z[4, 0, 0] = value
    return z


BAD = [
    ({"steps": -1}, "steps must be 0 to 50.*got -1"),
    ({"steps": 51}, "steps must be 0 to 50.*got 51"),
    ({"of": 0}, "DDIM takes 1 to 1000 steps"),
    ({"of": 1000}, "pass the last level"),
    ({"x": unfit(math.nan)}, r"2 entries that are not finite, the first at \(2, 3, 4\)"),
    ({"x": unfit(math.inf)}, "not finite"),
    ({"x": torch.ones(6, 8, 4, dtype=torch.int64)}, "must be floats"),
    ({"x": torch.ones(6)}, "must be floats"),
]


RUNS = {
    "invert": lambda model, x, **numbers: invert(model, x, SCHEDULE, **numbers),
    "denoise_from": lambda model, x, **numbers: denoise_from(model, x, SCHEDULE, **numbers),
    "edit": lambda model, x, **numbers: edit(model, model, x, SCHEDULE, **numbers),
    "edit_depths": lambda model, x, steps, **numbers: edit_depths(
        model, lambda n: model, x, SCHEDULE, depths=[0, steps], **numbers
    ),
    "sdedit": lambda model, x, **numbers: sdedit(model, x, x.clone(), SCHEDULE, **numbers),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_input(run, changes, message, normal, gaussian):
    with pytest.raises(ValueError, match=message):
        RUNS[run](gaussian(1.0), **({"x": normal(35), "steps": 3, "of": 50} | changes))


@pytest.mark.parametrize("run", sorted(RUNS.keys() - {"invert"}))
def test_bad_end(run, normal, gaussian):
    with pytest.raises(ValueError, match="end must be 'x0' or 'latents', got 'clean'"):
        RUNS[run](gaussian(1.0), x=normal(35), steps=3, of=50, end="clean")


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"depths": []}, "at least one depth"), ({"at_once": 0}, "at_once must be 1 or more, got 0")],
)
def test_bad_depths(changes, message, normal, gaussian):
    model = gaussian(1.0)
    with pytest.raises(ValueError, match=message):
        edit_depths(model, lambda n: model, normal(36), SCHEDULE, **({"depths": [1], "of": 50} | changes))


def test_bad_noise(normal, gaussian):
    model, z = gaussian(1.0), normal(35)
    with pytest.raises(ValueError, match=r"\(6, 32, 8\), got \(1, 32, 8\)"):
        sdedit(model, z, z[:1], SCHEDULE, steps=3, of=50)
    with pytest.raises(ValueError, match="noise has 2 entries that are not finite"):
        sdedit(model, z, unfit(math.nan), SCHEDULE, steps=3, of=50)


def test_refine_is_not_negative(normal, gaussian):
    with pytest.raises(ValueError, match="refine must be 0 or more, got -1"):
        invert(gaussian(1.0), normal(36), SCHEDULE, steps=3, of=50, refine=-1)


@pytest.mark.parametrize("refine", [0, 2])
def test_a_denoiser_that_breaks_is_named_by_its_level(refine, normal):
    def breaks(x: torch.Tensor, t: int) -> torch.Tensor:
        return torch.where(torch.tensor(t == 41), math.nan, x)

    with pytest.raises(ValueError, match="x at level 41 has 1536 entries that are not finite"):
        invert(breaks, normal(37), SCHEDULE, steps=5, of=50, refine=refine)
