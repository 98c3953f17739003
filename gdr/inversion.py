"""DDIM inversion and SDEdit: take clean latents back to a noisier level, then denoise them under another text.

Both are pure functions of a denoiser, latents and a schedule. As in sampling, guidance is the denoiser's affair:
invert under the source text at scale 1, and spend guidance on the edit. Guidance while inverting is not undone by
the way back (Mokady et al., 2023); the paper's authors used scale 3 both ways, which is to pass such a denoiser.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch

from gdr.sample import Callback, Denoiser, Step, ddim_step
from gdr.schedule import NoiseSchedule

__all__ = ["End", "Inverted", "denoise_from", "edit", "edit_depths", "invert", "sdedit"]

End = Literal["x0", "latents"]
"""What comes out. ``x0``: the last clean prediction, as from `gdr.sample`. ``latents``: what the last DDIM step leaves,
at the level that `invert` takes clean latents to have, as from diffusers and the authors' code; only these come back
unchanged from a refined inversion. At unit scale they differ by little; raw unit-norm frames are as small as the noise.
"""

_SHRINK = 0.9
"""An update that leaves more of the residual may be chasing what the denoiser cannot reach, ever farther out."""

_CONVERGED = 32.0
"""Relative residual, in epsilons of the precision, that counts as rounding."""


class Inverted(NamedTuple):
    """Latents taken back to a noisier level, and how well the way back is known."""

    x: torch.Tensor
    """Latents (B, C, T) at the last of `levels`, if any."""
    levels: tuple[int, ...]
    """Levels reached, cleanest first: those that the sampler visits last, in reverse."""
    path: tuple[torch.Tensor, ...]
    """Clean latents, then the latents at each level; empty unless kept."""
    residuals: torch.Tensor
    """(steps, B) float64: by how much the sampler's step misses the latents it should return to, over their norm (or
    over 1, where that is 0). NaN without refinement, which is what measures it."""
    stalled: torch.Tensor
    """(steps, B) bool: whether refinement stopped because the residual no longer shrank."""

    @property
    def stalls(self) -> torch.Tensor:
        """Steps of each item that did not contract, (B,)."""
        return self.stalled.sum(0)


@torch.no_grad()
def invert(
    denoise: Denoiser,
    x0: torch.Tensor,
    schedule: NoiseSchedule,
    *,
    steps: int,
    of: int,
    refine: int = 0,
    keep: bool = False,
    callback: Callback | None = None,
) -> Inverted:
    """Re-noise clean latents with the inverse of deterministic DDIM (section 4.3.2; the paper: 20 of 50 steps).

    A step from level s up to level t should land on the x whose DDIM step down returns the latents at s, which takes
    the clean prediction at x, unknown as yet. Plain inversion (Song et al., 2021; Dhariwal and Nichol, 2021) uses
    that of the latents at s, given to the network as level t.

    Clean latents are taken to be at the level before the first, where the sampler's last step ends. If that has no
    noise (`set_alpha_to_one`), there is none to rescale and the formula divides by zero: the first step then uses the
    noise that the network predicts at level t, as for an ε-model. Refined, it looks for an x whose clean prediction
    is `x0`, which need not exist if `x0` was generated under other guidance.

    Refinement repeats the step with the prediction at the latest x, as AIDI (Pan et al., 2023) and ReNoise (Garibi et
    al., 2024) do. Their plain iteration diverges for latents of unit scale, so the gain of each update is the secant
    one of Barzilai and Borwein (1988), item by item, up to that of the plain step. An item stops at its best x once
    an update fails to reduce its residual by a tenth.

    Args:
        denoise: predicts x0 under the source text, whatever its network predicts; normally at guidance 1.
        x0: clean latents (B, C, T), in the scale of the denoiser.
        schedule: the noise schedule.
        steps: how many DDIM steps to go back, 0 to `of`; 0 is the identity.
        of: DDIM steps of the whole way, which set the levels.
        refine: updates per step; one step then takes up to 2 + `refine` network calls instead of 1.
        keep: whether to keep the latents of every level in `Inverted.path`.
        callback: called after each step with the latents reached and the first prediction on the way there.

    Raises:
        ValueError: for latents or predictions that are not finite floats with a batch axis, or numbers out of range.

    Example:
        >>> schedule, x0 = NoiseSchedule(), torch.randn(2, 8, 4)
        >>> def standard_normal(x, t):
        ...     return schedule.alpha_bar(t) ** 0.5 * x
        >>> inverted = invert(standard_normal, x0, schedule, steps=20, of=50, refine=2)
        >>> inverted.levels[0], inverted.levels[-1]
        (1, 381)
        >>> returned = denoise_from(standard_normal, inverted.x, schedule, steps=20, of=50, end="latents")
        >>> torch.allclose(returned, x0, atol=1e-4)
        True
    """
    _check_latents("x0", x0)
    if refine < 0:
        raise ValueError(f"refine must be 0 or more, got {refine}")
    levels, stride = _levels(schedule, steps, of), schedule.ddim_stride(of)
    x, path = x0, [x0]
    residuals = torch.full((steps, len(x0)), math.nan, dtype=torch.float64)
    stalled = torch.zeros((steps, len(x0)), dtype=torch.bool)
    for index, t in enumerate(levels):
        reached = _step_up(denoise, x, t, t - stride, schedule, refine)
        x, residuals[index], stalled[index] = reached.x, reached.residual, reached.stalled
        _check_latents(f"x at level {t}", x)
        if keep:
            path.append(x)
        if callback is not None:
            callback(Step(index, t, x, reached.first))
    return Inverted(x, tuple(levels), tuple(path) if keep else (), residuals, stalled)


@torch.no_grad()
def denoise_from(
    denoise: Denoiser,
    x: torch.Tensor,
    schedule: NoiseSchedule,
    *,
    steps: int,
    of: int,
    end: End = "x0",
    callback: Callback | None = None,
) -> torch.Tensor:
    """The last `steps` of `of` DDIM steps, from latents at the level where these begin, to clean latents (B, C, T).

    Args:
        denoise: predicts x0 under the text of the edit.
        x: latents (B, C, T), such as those of `invert` with the same `steps` and `of`.
        schedule, of: see `invert`.
        steps: steps left, 0 to `of`; 0 returns `x`.
        end: what to return.
        callback: called after each network call.

    Raises:
        ValueError: as for `invert`.

    Example:
        >>> x = torch.randn(2, 8, 4)
        >>> bool((denoise_from(lambda x, t: 0 * x + 1, x, NoiseSchedule(), steps=3, of=50) == 1).all())
        True
    """
    _check_latents("x", x)
    schedule = _ending(schedule, end)
    levels, stride = _levels(schedule, steps, of), schedule.ddim_stride(of)
    for index, t in enumerate(reversed(levels)):
        predicted = denoise(x, t)
        if callback is not None:
            callback(Step(index, t, x, predicted))
        x = ddim_step(x, predicted, t, t - stride, schedule)
    return x


def edit(
    denoise_source: Denoiser,
    denoise_edit: Denoiser,
    x0: torch.Tensor,
    schedule: NoiseSchedule,
    *,
    steps: int,
    of: int,
    refine: int = 0,
    end: End = "x0",
    callback: Callback | None = None,
) -> torch.Tensor:
    """Invert under the source text, then denoise under that of the edit (section 4.3.2).

    Args:
        denoise_source: predicts x0 under the text that describes `x0`; normally at guidance 1.
        denoise_edit: predicts x0 under the text to move to; its guidance sets the strength, as `steps` does.
        x0, schedule, steps, of, refine: see `invert`; 0 steps return `x0`.
        end: what to return.
        callback: called after each network call of the way forth.

    Returns:
        Edited clean latents (B, C, T).

    Raises:
        ValueError: as for `invert`.

    Example:
        >>> x0, ones = torch.randn(2, 8, 4), lambda x, t: 0 * x + 1
        >>> bool((edit(ones, ones, x0, NoiseSchedule(), steps=20, of=50) == 1).all())
        True
    """
    inverted = invert(denoise_source, x0, schedule, steps=steps, of=of, refine=refine)
    return denoise_from(denoise_edit, inverted.x, schedule, steps=steps, of=of, end=end, callback=callback)


@torch.no_grad()
def edit_depths(
    denoise_source: Denoiser,
    edit_for: Callable[[int], Denoiser],
    x0: torch.Tensor,
    schedule: NoiseSchedule,
    *,
    depths: Sequence[int],
    of: int,
    refine: int = 0,
    end: End = "x0",
    at_once: int | None = None,
) -> torch.Tensor:
    """The edits for many numbers of steps τ (Figure 4), from one inversion to the deepest of them.

    Shallower edits join the deeper ones at their level and share their network calls: all τ from 0 to 50 take 50 + 50
    calls, where `edit` for each takes 2550.

    Args:
        denoise_source: see `edit`.
        edit_for: the denoiser of the edit for a number n of copies of each item, the copies next to each other: a
            batch (B·n, C, T). With guidance: `lambda n: GuidedDenoiser.plain(..., samples=n * K)` for K samples
            per prompt in `x0`.
        x0, schedule, of, refine: see `invert`.
        depths: the τ, each 0 to `of`, in any order.
        end: what to return.
        at_once: copies in one network call at most; None is all.

    Returns:
        Edited latents (len(depths), B, C, T), each as `edit` with that many steps returns them.

    Raises:
        ValueError: as for `invert`; also for no depths, or fewer than one copy at once.

    Example:
        >>> x0, ones = torch.randn(2, 8, 4), lambda x, t: 0 * x + 1
        >>> edit_depths(ones, lambda n: ones, x0, NoiseSchedule(), depths=[0, 20, 50], of=50).shape
        torch.Size([3, 2, 8, 4])
    """
    if not depths:
        raise ValueError("give at least one depth, such as 20 of 50 steps")
    if at_once is not None and at_once < 1:
        raise ValueError(f"at_once must be 1 or more, got {at_once}")
    _levels(schedule, min(depths), of)
    ending = _ending(schedule, end)
    inverted = invert(denoise_source, x0, schedule, steps=max(depths), of=of, refine=refine, keep=True)
    distinct, edits = sorted(set(depths) - {0}, reverse=True), {0: x0}
    group = at_once or max(1, len(distinct))
    for start in range(0, len(distinct), group):
        edits |= _denoise_together(edit_for, inverted, distinct[start : start + group], ending, of)
    return torch.stack([edits[depth] for depth in depths])


def sdedit(
    denoise_edit: Denoiser,
    x0: torch.Tensor,
    noise: torch.Tensor,
    schedule: NoiseSchedule,
    *,
    steps: int,
    of: int,
    end: End = "x0",
    callback: Callback | None = None,
) -> torch.Tensor:
    """SDEdit (Meng et al., 2022): noise to the level that `invert` would reach, without a source text, then denoise.

    With all 50 of 50 steps, 1.4 % of the amplitude of `x0` is left: about what sampling from that noise gives.

    Args:
        denoise_edit: predicts x0 under the text to move to.
        x0, schedule, steps, of: see `invert`; 0 steps return `x0`.
        noise: standard normal, the shape of `x0`.
        end: what to return.
        callback: called after each network call.

    Raises:
        ValueError: as for `invert`; also for noise of another shape.

    Example:
        >>> x0, noise = torch.randn(2, 8, 4), torch.randn(2, 8, 4)
        >>> bool((sdedit(lambda x, t: 0 * x + 1, x0, noise, NoiseSchedule(), steps=20, of=50) == 1).all())
        True
    """
    _check_latents("x0", x0)
    _check_latents("noise", noise)
    if noise.shape != x0.shape:
        raise ValueError(f"noise must have the shape of x0, {tuple(x0.shape)}, got {tuple(noise.shape)}")
    levels = _levels(schedule, steps, of)
    x = schedule.add_noise(x0, noise, levels[-1]) if levels else x0
    return denoise_from(denoise_edit, x, schedule, steps=steps, of=of, end=end, callback=callback)


class _Reached(NamedTuple):
    x: torch.Tensor
    first: torch.Tensor  # the clean prediction that the plain step used
    residual: torch.Tensor | float
    stalled: torch.Tensor | bool


def _step_up(
    denoise: Denoiser, start: torch.Tensor, t: int, below: int, schedule: NoiseSchedule, refine: int
) -> _Reached:
    """The latents at level t whose DDIM step returns `start`, at the level below.

    All updates have the form x − gain · miss, where the miss is by how much the step down from x passes `start`.
    Plain inversion is one from `start` itself with the gain that is right where the prediction does not depend on x:
    the largest that can be. The least, √(ᾱ_t/ᾱ_below), is right where the prediction is x/√ᾱ_t, all of x being signal.
    """
    here, there = schedule.alpha_bar(below), schedule.alpha_bar(t)
    least = math.sqrt(there / here)
    plain = math.sqrt((1.0 - there) / (1.0 - here)) if here < 1.0 else least

    def miss_at(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        predicted = denoise(x, t)
        return ddim_step(x, predicted, t, below, schedule) - start, predicted

    miss, first = miss_at(start)
    x = start - plain * miss
    if not refine:
        return _Reached(x, first, math.nan, False)
    size, enough = _norms(start), _CONVERGED * torch.finfo(start.dtype).eps
    size[size == 0] = 1.0
    before, miss_before, (miss, _) = start, miss, miss_at(x)
    residual = _norms(miss) / size
    stalled = torch.zeros_like(residual, dtype=torch.bool)
    for _ in range(refine):
        active = ~stalled & (residual > enough)
        if not bool(active.any()):
            break
        tried = x - _secant_gain(x - before, miss - miss_before, least, plain) * miss
        tried_miss, _ = miss_at(tried)
        tried_residual = _norms(tried_miss) / size
        better = active & (tried_residual < _SHRINK * residual)
        stalled |= active & ~better
        residual = torch.where(better, tried_residual, residual)
        better = _as_rows(better, x)
        before, miss_before = torch.where(better, x, before), torch.where(better, miss, miss_before)
        x, miss = torch.where(better, tried, x), torch.where(better, tried_miss, miss)
    return _Reached(x, first, residual.cpu(), stalled.cpu())


def _secant_gain(moved: torch.Tensor, changed: torch.Tensor, fallback: float, most: float) -> torch.Tensor:
    """⟨Δx, Δmiss⟩ / ⟨Δmiss, Δmiss⟩ per item, if that is a number: the length that the last move suggests, up to `most`.

    It is negative where the prediction falls so fast as x rises that the step down does too.
    """
    along = torch.linalg.vecdot(moved.flatten(1).double(), changed.flatten(1).double())
    gain = along / _norms(changed).square()
    gain = torch.where(torch.isfinite(gain), gain, torch.full_like(gain, fallback))
    return _as_rows(gain.clamp(-most, most).to(moved.dtype), moved)


def _denoise_together(
    edit_for: Callable[[int], Denoiser], inverted: Inverted, depths: Sequence[int], schedule: NoiseSchedule, of: int
) -> dict[int, torch.Tensor]:
    """Edits from several depths, deepest first; each joins the batch at its level."""
    stride, items = schedule.ddim_stride(of), len(inverted.x)
    x, denoise = inverted.path[depths[0]][:, None], edit_for(1)
    for depth in range(depths[0], 0, -1):
        if depth in depths[1:]:
            x = torch.cat([x, inverted.path[depth][:, None]], dim=1)
            denoise = edit_for(x.shape[1])
        t, batch = inverted.levels[depth - 1], x.flatten(0, 1)
        x = ddim_step(batch, denoise(batch, t), t, t - stride, schedule).unflatten(0, (items, -1))
    return dict(zip(depths, x.unbind(1), strict=True))


def _ending(schedule: NoiseSchedule, end: End) -> NoiseSchedule:
    """The schedule whose last DDIM step leaves what was asked for: a step to ᾱ = 1 returns the clean prediction."""
    if end not in ("x0", "latents"):
        raise ValueError(f"end must be 'x0' or 'latents', got {end!r}")
    return schedule if end == "latents" else dataclasses.replace(schedule, set_alpha_to_one=True)


def _levels(schedule: NoiseSchedule, steps: int, of: int) -> list[int]:
    """Levels of the last `steps` of `of` DDIM steps, cleanest first."""
    levels = schedule.ddim_timesteps(of)[::-1]
    if not 0 <= steps <= of:
        raise ValueError(f"steps must be 0 to {of}, the number of DDIM steps, got {steps}")
    return levels[:steps]


def _check_latents(name: str, x: torch.Tensor) -> None:
    if not x.is_floating_point() or x.dim() < 2:
        raise ValueError(f"{name} must be floats (B, C, T), got {x.dtype} of shape {tuple(x.shape)}")
    bad = ~torch.isfinite(x)
    if bool(bad.any()):
        where = tuple(int(i) for i in bad.nonzero()[0])
        raise ValueError(f"{name} has {int(bad.sum())} entries that are not finite, the first at {where}")


def _norms(x: torch.Tensor) -> torch.Tensor:
    """Norm of each item, (B,) float64."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1, dtype=torch.float64)


def _as_rows(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
