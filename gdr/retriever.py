"""GDR as a retriever: prompts -> generated audio latents in the space of a frozen encoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench import bundle
from bench.protocols import Sampling, Space
from gdr.sampler_spec import parse_sampler

if TYPE_CHECKING:
    from gdr.guidance import GuidedDenoiser, TimeTable
    from gdr.latents import LatentScaler
    from gdr.schedule import NoiseSchedule
    from gdr.unet import ContextKV, GDRUNet

__all__ = ["GDR"]

FRAMES = 16  # generated, one a second: the length the bundled models were trained on
BATCH = 192  # latents in flight; a network batch holds this many a guidance branch


class GDR:
    """Generative Diffusion Retriever: a UNet denoises query latents under the tokens of the prompt (section 3).

    Args:
        space: the latent space; its text tower encodes the prompts.
        weights: bundle part, such as `gdr-clap`.
        frames: T, generated frames.
        device: torch device; not part of a result's key.
    """

    name = "gdr"
    version = 1
    deterministic = False

    def __init__(self, space: Space, weights: str, frames: int = FRAMES, device: str = "cpu") -> None:
        self.space = space
        self.weights = weights
        self.frames = frames
        self.device = device

    def bundle_files(self) -> tuple[str, ...]:
        return (f"{self.weights}.safetensors",)

    def digest(self) -> str:
        """Digest of the weights and of the space (whose text tower conditions the model); loads nothing."""
        return f"{bundle.combined_digest(self.bundle_files())}+{self.space.digest()}+T{self.frames}"

    @cached_property
    def _model(self) -> tuple[GDRUNet, LatentScaler, NoiseSchedule, TimeTable]:
        from safetensors import safe_open

        from gdr.guidance import TimeTable
        from gdr.latents import LatentScaler
        from gdr.schedule import NoiseSchedule
        from gdr.unet import GDRUNet, UNetConfig

        with safe_open(bundle.path(self.bundle_files()[0]), framework="pt") as stored:
            metadata = stored.metadata()
            state = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118 (not a mapping)
        model = GDRUNet(UNetConfig.from_dict(json.loads(metadata["config"])))
        model.load_state_dict({k.removeprefix("unet."): v for k, v in state.items() if k.startswith("unet.")})
        scaler = LatentScaler(self.space.dim, metadata["latent_norm"])
        scaler.load_state_dict({k.removeprefix("scaler."): v for k, v in state.items() if k.startswith("scaler.")})
        model = model.eval().to(self.device)
        return model, scaler.to(self.device), NoiseSchedule(), TimeTable(model)

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Time means of generated frames under classifier-free guidance, raw: (P, K, d) float32.

        Args:
            prompts: P texts.
            sampling: sampler, guidance scale (1: no null branch), samples K and seed.
        """
        from gdr.guidance import GuidedDenoiser

        model, _, schedule, times = self._model
        null = self._null() if sampling.guidance != 1 else None

        def denoiser(rows: slice, samples: int) -> GuidedDenoiser:
            positive = self._encode(prompts[rows])
            return GuidedDenoiser.plain(
                model, schedule, positive, null, scale=sampling.guidance, samples=samples, times=times
            )

        return self._generate(prompts, sampling, denoiser)

    def query_negative(
        self, prompts: Sequence[str], negatives: Sequence[str], w: float, sampling: Sampling
    ) -> np.ndarray:
        """Eq. 2 with strength w and the noise that `query` starts from: (P, K, d) float32.

        Raises:
            ValueError: prompts and negatives differ in number, or w is negative.
        """
        from gdr.guidance import GuidedDenoiser

        if len(prompts) != len(negatives):
            raise ValueError(f"{len(prompts)} prompts, but {len(negatives)} negatives")
        if w < 0:
            raise ValueError(f"negative prompting needs w >= 0, got {w}")
        model, _, schedule, times = self._model

        def denoiser(rows: slice, samples: int) -> GuidedDenoiser:
            positive, negative = self._encode(prompts[rows]), self._encode(negatives[rows])
            return GuidedDenoiser.negative(model, schedule, positive, negative, w=w, samples=samples, times=times)

        return self._generate(prompts, sampling, denoiser)

    def _null(self) -> ContextKV:
        import torch

        model = self._model[0]
        with torch.inference_mode():
            return model.encode_context(*model.null_context(1))

    def _encode(self, texts: Sequence[str]) -> ContextKV:
        import torch

        latents = self.space.text(texts)
        model = self._model[0]
        with torch.inference_mode():
            return model.encode_context(
                torch.from_numpy(latents.tokens).to(self.device), torch.from_numpy(latents.mask).to(self.device)
            )

    def _generate(
        self, prompts: Sequence[str], sampling: Sampling, denoiser: Callable[[slice, int], GuidedDenoiser]
    ) -> np.ndarray:
        import torch

        from gdr.noise import query_noise
        from gdr.sample import sample

        _, scaler, schedule, _ = self._model
        sampler = parse_sampler(sampling.sampler)
        count, k = len(prompts), sampling.samples
        out = np.empty((count, k, self.space.dim), dtype=np.float32)
        step = max(1, BATCH // k)
        with torch.inference_mode():
            for start in range(0, count, step):
                rows = slice(start, min(start + step, count))
                noise = query_noise(prompts[rows], k, (self.space.dim, self.frames), sampling.seed)
                generated = sample(sampler, denoiser(rows, k), noise.flatten(0, 1).to(self.device), schedule)
                means = scaler.invert(generated.transpose(1, 2)).mean(1)
                out[rows] = means.reshape(-1, k, self.space.dim).cpu().numpy()
        return out
