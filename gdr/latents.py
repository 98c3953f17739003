"""The scale in which the diffusion model sees latents, stored with its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from bench.errors import UserError

__all__ = ["LATENT_NORMS", "LatentScaler"]

LATENT_NORMS = ("none", "unit_rms", "per_dim")
_CHUNK = 4096
_FLOOR = 1e-6


class LatentScaler(nn.Module):
    """Takes frames to the model's scale and back: scaled = (frame − mean) · gain.

    Frames of unit norm have a power of 1/d per dimension, so without scaling the schedule's signal-to-noise ratio is
    d times too low.

    - ``none``: the frames as they are, as the authors feed them.
    - ``unit_rms``: times 1/rms, which is √d for unit-norm frames; directions are kept.
    - ``per_dim``: each dimension to mean 0 and variance 1.

    The two vectors are buffers, so a module that holds a scaler stores them in its state dict.

    Args:
        dim: d, dimensions of a frame.
        latent_norm: one of `LATENT_NORMS`.

    Raises:
        UserError: for another `latent_norm`.
    """

    mean: torch.Tensor
    gain: torch.Tensor

    def __init__(self, dim: int, latent_norm: str = "unit_rms") -> None:
        super().__init__()
        if latent_norm not in LATENT_NORMS:
            raise UserError(f"latent_norm: unknown value {latent_norm!r}; choose one of {', '.join(LATENT_NORMS)}")
        self.latent_norm = latent_norm
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("gain", torch.ones(dim))

    @property
    def dim(self) -> int:
        """Dimensions of a frame."""
        return self.mean.numel()

    @classmethod
    def fit(cls, frames: torch.Tensor, latent_norm: str = "unit_rms") -> LatentScaler:
        """Measure the scale of training frames.

        Args:
            frames: (N, T, d), or any shape that ends in d.
            latent_norm: one of `LATENT_NORMS`.

        Returns:
            The scaler, on the CPU in float32; its statistics are summed in float64.

        Raises:
            ValueError: for no frames, frames that are not finite, or frames that are all zero.
        """
        scaler = cls(frames.shape[-1], latent_norm)
        rows = frames.detach().reshape(-1, frames.shape[-1])
        if rows.shape[0] == 0:
            raise ValueError("cannot fit a latent scale to no frames")
        mean = sum(chunk.sum(0) for chunk in _chunks(rows)) / rows.shape[0]
        assert isinstance(mean, torch.Tensor)
        if latent_norm != "per_dim":
            mean = torch.zeros_like(mean)
        power = sum((chunk - mean).square().sum(0) for chunk in _chunks(rows)) / rows.shape[0]
        assert isinstance(power, torch.Tensor)
        overall = float(power.mean().sqrt())
        if not 0.0 < overall < float("inf"):
            raise ValueError(f"cannot fit a latent scale: the frames' rms is {overall}")
        if latent_norm == "unit_rms":
            scaler.gain.fill_(1.0 / overall)
        elif latent_norm == "per_dim":
            # A dimension that never moves would be blown up to noise: it is divided by a share of the overall rms.
            scaler.mean.copy_(mean)
            scaler.gain.copy_(power.sqrt().clamp(min=_FLOOR * overall).reciprocal())
        return scaler

    def apply_to(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (…, d) in the model's scale."""
        return (frames - self.mean) * self.gain

    def invert(self, scaled: torch.Tensor) -> torch.Tensor:
        """Frames (…, d) back in the encoder's scale."""
        return scaled / self.gain + self.mean

    def to_dict(self) -> dict[str, Any]:
        """The norm's name and its two vectors, as tensors."""
        return {"latent_norm": self.latent_norm, "mean": self.mean.clone(), "gain": self.gain.clone()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LatentScaler:
        """The scaler that `to_dict` described."""
        scaler = cls(len(stored["mean"]), stored["latent_norm"])
        scaler.mean.copy_(torch.as_tensor(stored["mean"]))
        scaler.gain.copy_(torch.as_tensor(stored["gain"]))
        return scaler


def _chunks(rows: torch.Tensor) -> Iterator[torch.Tensor]:
    """Rows in float64, a few thousand at a time: a whole corpus is never held twice."""
    for chunk in rows.split(_CHUNK):
        yield chunk.double().cpu()
