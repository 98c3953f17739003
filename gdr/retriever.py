"""GDR as a retriever: prompts -> generated audio latents in the space of a frozen encoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench import bundle
from bench.protocols import Editing, Sampling, Space
from gdr.conditioning import Conditioner
from gdr.sampler_spec import parse_sampler

if TYPE_CHECKING:
    from gdr.guidance import Context, GuidedDenoiser, TimeTable
    from gdr.latents import LatentScaler
    from gdr.schedule import NoiseSchedule

__all__ = ["GDR", "DiffusionRetriever"]

FRAMES = "16"
"""Frames that older files of weights, which do not say, were trained on: one a second."""


class _Loaded(NamedTuple):
    model: Any
    scaler: LatentScaler
    schedule: NoiseSchedule
    times: TimeTable
    frames: int
    condition: str


class DiffusionRetriever:
    """A network that denoises query latents under a text: loading, guidance and sampling, whatever the network.

    Args:
        space: the latent space.
        weights: bundle part, such as `gdr-clap`.
        text: name of a registered text encoder; None is the space's own text tower.
        frames: T, generated frames; None is what the file of weights says.
        device: torch device; not part of a result's key.
    """

    name: str
    version = 1
    deterministic = False
    batch = 192
    """Latents in flight; a network batch holds this many a guidance branch."""

    def __init__(
        self, space: Space, weights: str, text: str | None = None, frames: int | None = None, device: str = "cpu"
    ) -> None:
        self.space = space
        self.weights = weights
        self.frames = frames
        self.device = device
        self._texts = Conditioner(space, text)

    def bundle_files(self) -> tuple[str, ...]:
        return (f"{self.weights}.safetensors", *self._texts.bundle_files())

    def digest(self) -> str:
        """Digest of the weights, the space and the text encoder; loads nothing."""
        own = bundle.combined_digest([f"{self.weights}.safetensors"])
        length = "" if self.frames is None else f"+T{self.frames}"
        return f"{own}+{self.space.encoder_digest()}{self._texts.digest()}{length}"

    def _build(self, config: dict[str, Any]) -> Any:
        """The network of a config."""
        raise NotImplementedError

    @cached_property
    def _model(self) -> _Loaded:
        from gdr.guidance import TimeTable
        from gdr.schedule import NoiseSchedule
        from gdr.storage import load_model

        state, scaler, metadata = load_model(bundle.path(f"{self.weights}.safetensors"))
        self._texts.check(metadata.get("text"), self.weights)
        model = self._build(json.loads(metadata["config"]))
        model.load_state_dict(state)
        model = model.eval().to(self.device)
        frames = self.frames or int(metadata.get("frames", FRAMES))
        condition = metadata.get("condition", "tokens")
        return _Loaded(model, scaler.to(self.device), NoiseSchedule(), TimeTable(model), frames, condition)

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Time means of generated frames under classifier-free guidance, raw: (P, K, d) float32.

        Args:
            prompts: P texts.
            sampling: sampler, guidance scale (1: no null branch), samples K and seed.
        """

        def denoiser(rows: slice, samples: int) -> GuidedDenoiser:
            return self._plain(prompts[rows], sampling.guidance, samples)

        return self._generate(prompts, sampling, denoiser)

    def _plain(self, texts: Sequence[str], guidance: float, samples: int) -> GuidedDenoiser:
        """The denoiser of some texts under classifier-free guidance."""
        from gdr.guidance import GuidedDenoiser

        model, _, schedule, times, _, _ = self._model
        null = self._null() if guidance != 1 else None
        return GuidedDenoiser.plain(
            model, schedule, self._encode(texts), null, scale=guidance, samples=samples, times=times
        )

    def query_edited(
        self,
        prompts: Sequence[str],
        edited: Sequence[str],
        editing: Editing,
        sampling: Sampling,
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        """Queries of prompts moved to other prompts (section 4.3.2): (P, K, d) float32, time means, raw.

        Args:
            prompts: P source texts.
            edited: P texts to move to.
            editing: DDIM inversion, SDEdit, or regeneration from the same noise; how deep.
            sampling: as for `query`, which generates what is edited; its guidance is that of the edit too.
            start: (P, T, d) raw latent frames to start from instead, such as a real track's.

        Raises:
            ValueError: numbers of prompts that differ, or a depth outside 0..1.
        """
        import torch

        from gdr.editing import edit_latents

        if len(prompts) != len(edited):
            raise ValueError(f"{len(prompts)} prompts, but {len(edited)} edited ones")
        _, scaler, schedule, _, frames, _ = self._model
        k = sampling.samples
        out = np.empty((len(prompts), k, self.space.dim), dtype=np.float32)
        step = max(1, self.batch // k)
        with torch.inference_mode():
            for at in range(0, len(prompts), step):
                rows = slice(at, at + step)
                given = None
                if start is not None:
                    own = torch.from_numpy(np.asarray(start[rows], dtype=np.float32)).to(self.device)
                    given = scaler.apply_to(own).transpose(1, 2)
                length = frames if given is None else given.shape[2]
                latents = edit_latents(
                    self._plain, prompts[rows], edited[rows], editing, sampling, schedule, (self.space.dim, length),
                    given, self.device,
                )  # fmt: skip
                means = scaler.invert(latents.transpose(1, 2)).mean(1)
                out[rows] = means.reshape(-1, k, self.space.dim).cpu().numpy()
        return out

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
        model, _, schedule, times, _, _ = self._model

        def denoiser(rows: slice, samples: int) -> GuidedDenoiser:
            positive, negative = self._encode(prompts[rows]), self._encode(negatives[rows])
            return GuidedDenoiser.negative(model, schedule, positive, negative, w=w, samples=samples, times=times)

        return self._generate(prompts, sampling, denoiser)

    def _null(self) -> Context:
        import torch

        model = self._model.model
        with torch.inference_mode():
            return model.encode_context(*model.null_context(1))

    def _encode(self, texts: Sequence[str]) -> Context:
        import torch

        model, condition = self._model.model, self._model.condition
        with torch.inference_mode():
            return model.encode_context(*self._texts.states(texts, condition, self.device))

    def _generate(
        self, prompts: Sequence[str], sampling: Sampling, denoiser: Callable[[slice, int], GuidedDenoiser]
    ) -> np.ndarray:
        import torch

        from gdr.noise import query_noise
        from gdr.sample import sample

        _, scaler, schedule, _, frames, _ = self._model
        sampler = parse_sampler(sampling.sampler)
        count, k = len(prompts), sampling.samples
        out = np.empty((count, k, self.space.dim), dtype=np.float32)
        step = max(1, self.batch // k)
        with torch.inference_mode():
            for start in range(0, count, step):
                rows = slice(start, min(start + step, count))
                noise = query_noise(prompts[rows], k, (self.space.dim, frames), sampling.seed)
                generated = sample(sampler, denoiser(rows, k), noise.flatten(0, 1).to(self.device), schedule)
                means = scaler.invert(generated.transpose(1, 2)).mean(1)
                out[rows] = means.reshape(-1, k, self.space.dim).cpu().numpy()
        return out


class GDR(DiffusionRetriever):
    """Generative Diffusion Retriever: a UNet denoises query latents under the tokens of the prompt (section 3).

    Args:
        space: the latent space.
        weights: bundle part, such as `gdr-clap`.
        frames: T, generated frames; None is what the file of weights says.
        text: name of a registered text encoder that the weights were trained with; None is the space's own text tower.
        device: torch device; not part of a result's key.
    """

    name = "gdr"

    def __init__(
        self, space: Space, weights: str, frames: int | None = None, text: str | None = None, device: str = "cpu"
    ) -> None:
        super().__init__(space, weights, text, frames, device)

    def _build(self, config: dict[str, Any]) -> Any:
        from gdr.unet import GDRUNet
        from gdr.unet_config import UNetConfig

        return GDRUNet(UNetConfig.from_dict(config))
