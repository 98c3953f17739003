"""Generated queries moved to another prompt: DDIM inversion, SDEdit, and regeneration from the same noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from bench.protocols import Editing, Sampling
from gdr.inversion import edit, sdedit
from gdr.noise import query_noise
from gdr.sample import sample
from gdr.sampler_spec import parse_sampler

if TYPE_CHECKING:
    from gdr.guidance import GuidedDenoiser
    from gdr.schedule import NoiseSchedule

__all__ = ["edit_latents"]

#: (texts, guidance, samples) -> denoiser of that many samples of each text.
DenoiserOf = Callable[[Sequence[str], float, int], "GuidedDenoiser"]


def edit_latents(
    denoiser_of: DenoiserOf,
    prompts: Sequence[str],
    edited: Sequence[str],
    editing: Editing,
    sampling: Sampling,
    schedule: NoiseSchedule,
    shape: tuple[int, int],
    start: torch.Tensor | None = None,
    device: str = "cpu",
) -> torch.Tensor:
    """Latents of prompts, moved to what the edited prompts say.

    Args:
        denoiser_of: makes the guided denoiser of some texts.
        prompts: P source texts; what starts the edit is generated under them, as `sampling` says.
        edited: P texts to move to, under the editing's guidance, or where it has none the sampling's.
        editing: method, depth, and guidance on the way there and back.
        shape: (C, T) of a latent.
        start: (P, C, T) scaled latents to start from instead of generated ones.

    Returns:
        (P·K, C, T) scaled latents; samples of a prompt stand together.

    Raises:
        ValueError: a depth outside 0..1.
    """
    if not 0 <= editing.depth <= 1:
        raise ValueError(f"depth = {editing.depth}; it is the share of the steps that are gone back, 0 to 1")
    k = sampling.samples
    sampler = parse_sampler(sampling.sampler)
    noise = query_noise(prompts, k, shape, sampling.seed).flatten(0, 1).to(device)
    towards = denoiser_of(edited, sampling.guidance if editing.guidance is None else editing.guidance, k)
    if editing.method == "regeneration":
        return sample(sampler, towards, noise, schedule)
    if start is None:
        source = sample(sampler, denoiser_of(prompts, sampling.guidance, k), noise, schedule)
    else:
        source = start.repeat_interleave(k, dim=0).to(device)
    steps = round(editing.depth * editing.steps)
    if editing.method == "sdedit":
        # Fresh noise: with the noise that made the query, forward noising would undo the generation by chance.
        fresh = query_noise(edited, k, shape, sampling.seed + 1).flatten(0, 1).to(device)
        return sdedit(towards, source, fresh, schedule, steps=steps, of=editing.steps)
    from_source = denoiser_of(prompts, editing.guidance_inversion, k)
    return edit(from_source, towards, source, schedule, steps=steps, of=editing.steps, refine=editing.refine)
