"""Networks of the MLP rivals: one hidden layer on pooled vectors, as a denoiser and as a regressor.

Both have the interfaces of `gdr.unet.GDRUNet`, for latents of one frame and texts of one token: the same training,
guidance and sampling serve them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UserError

__all__ = ["MLP_CONFIGS", "MLPConfig", "MLPDenoiser", "MLPRegressor", "VectorContext"]

_FOURIER = 256
_MAX_PERIOD = 10_000.0


@dataclass(frozen=True)
class MLPConfig:
    """Sizes of an MLP; the defaults are the paper's hidden layer of 4096 on 512-d CLAP vectors (section 4.2).

    Args:
        dim: dimensions of a latent.
        text_dim: dimensions of a text vector.
        hidden: width of the hidden layer.
        condition: width of the sum of time and text features (denoiser only).
        dropout: share of hidden units that training drops.

    Raises:
        UserError: a size below 1, or a dropout outside [0, 1).
    """

    dim: int = 512
    text_dim: int = 512
    hidden: int = 4096
    condition: int = 1024
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for key in ("dim", "text_dim", "hidden", "condition"):
            if not isinstance(getattr(self, key), int) or getattr(self, key) < 1:
                raise UserError(f"{key}: must be a whole number of at least 1, got {getattr(self, key)!r}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout: must be at least 0 and below 1, got {self.dropout!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MLPConfig:
        """The config of a mapping; keys left out take their defaults.

        Raises:
            UserError: for an unknown key.
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise UserError(f"{key}: unknown key; known: {', '.join(known)}")
        return cls(**values)


MLP_CONFIGS = {"mini": MLPConfig(dim=128, text_dim=128, hidden=1024, condition=128), "paper": MLPConfig()}
"""Configs by the name that a recipe uses; `mini` is for the embedded default's 128-d space."""


@dataclass(frozen=True)
class VectorContext:
    """Features of texts, one vector each, computed once per text and used at every step."""

    values: Tensor
    """(R, condition)."""
    repeats: int = 1
    """Consecutive items of a batch that each row serves."""

    @property
    def rows(self) -> int:
        """R, number of texts."""
        return self.values.shape[0]

    def expand(self, rows: int) -> VectorContext:
        """A single text, repeated."""
        return replace(self, values=self.values.expand(rows, -1))

    def join(self, *others: VectorContext) -> VectorContext:
        """The rows of all, in order."""
        return replace(self, values=torch.cat([self.values, *(other.values for other in others)]))

    def repeated(self, samples: int) -> VectorContext:
        """Each row serving `samples` consecutive items of a batch."""
        return replace(self, repeats=samples)


class MLPDenoiser(nn.Module):
    """Linear → AdaLN → GELU → dropout → linear → AdaLN; the condition is time features plus text features.

    It predicts the clean latent. The null text is a learned vector.
    """

    prediction = "x0"

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        self.config = config
        self.null_text = nn.Parameter(torch.randn(config.text_dim) * config.text_dim**-0.5)
        self.time = _two_layers(_FOURIER, config.condition)
        self.text = _two_layers(config.text_dim, config.condition)
        self.inner = nn.Linear(config.dim, config.hidden)
        self.inner_norm = _AdaLN(config.hidden, config.condition)
        self.dropout = nn.Dropout(config.dropout)
        self.outer = nn.Linear(config.hidden, config.dim)
        self.outer_norm = _AdaLN(config.dim, config.condition)

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Predict from scratch.

        Args:
            x: noisy latents (B, dim, 1).
            t: noise levels (B,).
            tokens: text vectors (B, 1, text_dim).
            mask: (B, 1), true throughout.

        Returns:
            The clean latents (B, dim, 1).
        """
        return self.predict(x, self.embed_time(t), self.encode_context(tokens, mask))

    def predict(self, x: Tensor, time: Tensor, context: VectorContext) -> Tensor:
        """Predict from prepared features.

        Args:
            x: noisy latents (B, dim, 1).
            time: features of B levels, or of one level for all.
            context: R texts, each for B / R consecutive items.

        Raises:
            ValueError: the texts do not match the batch, or a latent has more than one frame.
        """
        if context.rows * context.repeats != x.shape[0] or x.shape[-1] != 1:
            raise ValueError(
                f"{context.rows} texts for {context.repeats} latents of one frame each, but the batch is "
                f"{tuple(x.shape)}"
            )
        condition = F.silu(time + context.values.repeat_interleave(context.repeats, 0))
        hidden = F.gelu(self.inner_norm(self.inner(x.squeeze(-1)), condition))
        return self.outer_norm(self.outer(self.dropout(hidden)), condition)[..., None]

    def embed_time(self, t: Tensor) -> Tensor:
        """Features (B, condition) of noise levels (B,), of any numeric type."""
        half = _FOURIER // 2
        rates = torch.exp(torch.arange(half, device=t.device) * (-math.log(_MAX_PERIOD) / half))
        angles = t.float()[:, None] * rates
        return self.time(torch.cat([angles.cos(), angles.sin()], -1).to(self.null_text.dtype))

    def encode_context(self, tokens: Tensor, mask: Tensor) -> VectorContext:
        """Features of text vectors (R, 1, text_dim), unit norm; they are brought to unit power first."""
        return VectorContext(self.text(_single(tokens) * self.config.text_dim**0.5))

    def null_context(self, batch: int) -> tuple[Tensor, Tensor]:
        """The learned null text: (batch, 1, text_dim), and a mask that is true throughout."""
        tokens = self.null_text.expand(batch, 1, -1)
        return tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)

    def drop_text(self, tokens: Tensor, mask: Tensor, drop: Tensor) -> tuple[Tensor, Tensor]:
        """Replace the texts of some rows by the null text, for classifier-free guidance training.

        Args:
            tokens: (B, 1, text_dim).
            mask: (B, 1), returned as it is.
            drop: (B,) bool, true for a row that loses its text.
        """
        null, _ = self.null_context(tokens.shape[0])
        return torch.where(drop[:, None, None], null.to(tokens), tokens), mask


class MLPRegressor(nn.Module):
    """Linear → GELU → dropout → linear, from a text vector to a pooled latent."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        self.config = config
        self.inner = nn.Linear(config.text_dim, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.outer = nn.Linear(config.hidden, config.dim)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Latents (B, dim, 1) of text vectors (B, 1, text_dim), unit norm."""
        vectors = _single(tokens) * self.config.text_dim**0.5
        return self.outer(self.dropout(F.gelu(self.inner(vectors))))[..., None]


class _AdaLN(nn.Module):
    """Layer norm whose gain and shift come from the condition; starts as a plain layer norm."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.project = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, shift = self.project(condition).chunk(2, -1)
        return F.layer_norm(x, x.shape[-1:]) * (1.0 + gain) + shift


def _two_layers(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.SiLU(), nn.Linear(outputs, outputs))


def _single(tokens: Tensor) -> Tensor:
    if tokens.dim() != 3 or tokens.shape[1] != 1:
        raise ValueError(f"an MLP takes one vector a text, (R, 1, text_dim); got {tuple(tokens.shape)}")
    return tokens.squeeze(1)
