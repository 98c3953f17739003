"""The paper's one-dimensional UNet with cross-attention on text tokens, in plain torch.

Latents are (B, C, T) outside and (B, T, C) inside, where convolutions see them as channels-last images of height one:
on a CPU that is two to three times as fast as either conv1d or unfolding, and attention needs no transposes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from gdr.unet_config import MINI, PAPER, UNetConfig

__all__ = ["MINI", "PAPER", "ContextKV", "GDRUNet", "TimeFeatures", "UNetConfig"]

_FOURIER = 256
_MAX_PERIOD = 10_000.0
_SKIP_SCALE = 2**-0.5

_TensorMap = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class TimeFeatures:
    """What every modulation multiplies and adds at a noise level, computed once per level.

    A batch of one row serves any number of items.
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    """Per modulation: gain and shift, (B, C) each."""


@dataclass(frozen=True)
class ContextKV:
    """Keys and values of texts for every cross-attention, computed once per text and used at every step."""

    keys: tuple[torch.Tensor, ...]
    """Per layer, (R, heads, L, head_dim)."""
    values: tuple[torch.Tensor, ...]
    """Per layer, (R, heads, L, head_dim)."""
    bias: torch.Tensor
    """(R, 1, 1, L): 0 for a token, −∞ for padding."""
    repeats: int = 1
    """Consecutive items of a batch that each row serves."""

    @property
    def rows(self) -> int:
        """R, number of texts."""
        return self.bias.shape[0]

    def index_select(self, index: torch.Tensor) -> ContextKV:
        """The rows of an index (int64), in its order and as often as it names them."""
        return self._map(lambda tensor: tensor.index_select(0, index))

    def expand(self, rows: int) -> ContextKV:
        """A single text, repeated, without copying it."""
        return self._map(lambda tensor: tensor.expand(rows, -1, -1, -1))

    def repeated(self, samples: int) -> ContextKV:
        """Each row serving `samples` consecutive items of a batch; keys and values are not copied."""
        return replace(self, repeats=samples)

    def join(self, *others: ContextKV) -> ContextKV:
        """The rows of all, in order; shorter texts are padded."""
        if not others:
            return self
        parts = (self, *others)
        length = max(part.bias.shape[-1] for part in parts)
        padded = [part._pad(length - part.bias.shape[-1]) for part in parts]
        layers = range(len(self.keys))
        return ContextKV(
            tuple(torch.cat([part.keys[i] for part in padded]) for i in layers),
            tuple(torch.cat([part.values[i] for part in padded]) for i in layers),
            torch.cat([part.bias for part in padded]),
            self.repeats,
        )

    def _pad(self, extra: int) -> ContextKV:
        if extra == 0:
            return self
        grown = self._map(lambda tensor: F.pad(tensor, (0, 0, 0, extra)) if tensor is not self.bias else tensor)
        return replace(grown, bias=F.pad(self.bias, (0, extra), value=-math.inf))

    def _map(self, function: _TensorMap) -> ContextKV:
        return replace(
            self,
            keys=tuple(function(key) for key in self.keys),
            values=tuple(function(value) for value in self.values),
            bias=function(self.bias),
        )


class GDRUNet(nn.Module):
    """Predicts clean latents (or the noise) from noisy ones, a noise level and a token sequence.

    `forward` does everything. A sampler calls `encode_context` once per text and `embed_time` once per level, and then
    `predict` at each step.

    Args:
        config: sizes.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.null_text = nn.Parameter(torch.randn(config.null_length, config.context_dim) * 0.02)
        self.time_mlp = nn.Sequential(
            nn.Linear(_FOURIER, config.modulation),
            nn.GELU(),
            nn.Linear(config.modulation, config.modulation),
            nn.GELU(),
        )
        self.unet = _Level(config, 0)
        # Not registered again: these lists only give each layer its place in TimeFeatures and ContextKV.
        modulations = [module for module in self.modules() if isinstance(module, _Modulation)]
        crosses = [module for module in self.modules() if isinstance(module, _CrossAttention)]
        for place, modulation in enumerate(modulations):
            modulation.place = place
        for place, cross in enumerate(crosses):
            cross.place = place
        object.__setattr__(self, "_modulations", modulations)
        object.__setattr__(self, "_crosses", crosses)
        self._stride = math.prod(config.factors)

    @property
    def prediction(self) -> str:
        """``x0`` or ``epsilon``."""
        return self.config.prediction

    def forward(self, x: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Predict from scratch.

        Args:
            x: noisy latents (B, C, T).
            t: noise levels (B,).
            tokens: text features (B, L, context_dim).
            mask: (B, L) bool, true for a token, false for padding.

        Returns:
            The prediction (B, C, T).
        """
        return self.predict(x, self.embed_time(t), self.encode_context(tokens, mask))

    def predict(self, x: torch.Tensor, time: TimeFeatures, context: ContextKV) -> torch.Tensor:
        """Predict from prepared features.

        Args:
            x: noisy latents (B, C, T).
            time: features of B levels, or of one level for all.
            context: R texts, each for B / R consecutive items.

        Returns:
            The prediction (B, C, T).

        Raises:
            ValueError: if the texts do not match the batch.
        """
        if context.rows * context.repeats != x.shape[0]:
            raise ValueError(f"{context.rows} texts for {context.repeats} items each, but the batch has {x.shape[0]}")
        frames = x.shape[-1]
        # A length that the strides do not divide is filled with zeros and cut again.
        padded = F.pad(x, (0, -frames % self._stride)).transpose(1, 2).contiguous()
        predicted = self.unet(padded, time, context)[:, :frames].transpose(1, 2)
        # At high noise the input is the noise but for 2e-4 of its power, and a clean latent that is read from the
        # predicted noise magnifies its error 70 times: the network learns the difference.
        return predicted + x if self.prediction == "epsilon" else predicted

    def embed_time(self, t: torch.Tensor) -> TimeFeatures:
        """Features of noise levels (B,), of any numeric type."""
        half = _FOURIER // 2
        rates = torch.exp(torch.arange(half, device=t.device) * (-math.log(_MAX_PERIOD) / half))
        angles = t.float()[:, None] * rates
        features = self.time_mlp(torch.cat([angles.cos(), angles.sin()], -1).to(self.null_text.dtype))
        return TimeFeatures(tuple(layer.features(features) for layer in self._modulations))

    def encode_context(self, tokens: torch.Tensor, mask: torch.Tensor) -> ContextKV:
        """Keys and values of texts. Columns that are padding in every row are left out.

        Args:
            tokens: (R, L, context_dim).
            mask: (R, L) bool, true for a token.

        Raises:
            ValueError: if a text has no token at all: attention over nothing is not a number.
        """
        if tokens.shape[:2] != mask.shape or not bool(mask.any(1).all()):
            raise ValueError(
                f"each text needs a token: tokens {tuple(tokens.shape)}, mask {tuple(mask.shape)}; give (R, L, context)"
                " and (R, L) with at least one true value a row"
            )
        length = int(mask.any(0).nonzero().max()) + 1
        tokens, mask = tokens[:, :length], mask[:, :length]
        pairs = [layer.project(tokens) for layer in self._crosses]
        bias = torch.zeros(mask.shape, dtype=tokens.dtype, device=tokens.device).masked_fill(~mask, -math.inf)
        return ContextKV(tuple(key for key, _ in pairs), tuple(value for _, value in pairs), bias[:, None, None, :])

    def null_context(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The learned null text: tokens (batch, null_length, context_dim) and a mask that is true throughout."""
        tokens = self.null_text.expand(batch, -1, -1)
        return tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)

    def drop_text(
        self, tokens: torch.Tensor, mask: torch.Tensor, drop: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Replace the texts of some rows by the null text, for classifier-free guidance training.

        Args:
            tokens: (B, L, context_dim).
            mask: (B, L) bool.
            drop: (B,) bool, true for a row that loses its text.

        Returns:
            Tokens and mask of max(L, null_length) columns.
        """
        null, null_mask = self.null_context(tokens.shape[0])
        length = max(tokens.shape[1], null.shape[1])
        tokens, null = (F.pad(each, (0, 0, 0, length - each.shape[1])) for each in (tokens, null))
        mask, null_mask = (F.pad(each, (0, length - each.shape[1])) for each in (mask, null_mask))
        return torch.where(drop[:, None, None], null.to(tokens), tokens), torch.where(drop[:, None], null_mask, mask)


class _Level(nn.Module):
    """One resolution: downsample, items, the level below, items, upsample, and the skip around all of it."""

    def __init__(self, config: UNetConfig, depth: int) -> None:
        super().__init__()
        outer = config.in_channels if depth == 0 else config.channels[depth - 1]
        inner, self.factor = config.channels[depth], config.factors[depth]
        self.down = _Conv(outer, inner, self.factor, stride=self.factor)
        self.items_down = nn.ModuleList(_Item(config, depth) for _ in range(config.items[depth]))
        self.below = _Level(config, depth + 1) if depth + 1 < len(config.channels) else None
        self.items_up = nn.ModuleList(_Item(config, depth) for _ in range(config.items[depth]))
        self.up = _Conv(inner, outer, 3)
        self.merge = _Conv(2 * outer, outer, 1)
        if depth == 0:
            nn.init.zeros_(self.merge.weight)

    def forward(self, x: torch.Tensor, time: TimeFeatures, context: ContextKV) -> torch.Tensor:
        h = self.down(x)
        for item in self.items_down:
            h = item(h, time, context)
        if self.below is not None:
            h = self.below(h, time, context)
        for item in self.items_up:
            h = item(h, time, context)
        h = self.up(h.repeat_interleave(self.factor, 1) if self.factor > 1 else h)
        return self.merge(torch.cat([h, x * _SKIP_SCALE], -1))


class _Item(nn.Module):
    """Resnet, modulation and, where the level has it, self- and cross-attention."""

    def __init__(self, config: UNetConfig, depth: int) -> None:
        super().__init__()
        channels = config.channels[depth]
        self.resnet = _Resnet(channels, config.groups)
        self.modulation = _Modulation(channels, config.modulation)
        attends = config.attention[depth]
        self.attend = _SelfAttention(channels, config) if attends else None
        self.cross = _CrossAttention(channels, config) if attends else None

    def forward(self, x: torch.Tensor, time: TimeFeatures, context: ContextKV) -> torch.Tensor:
        x = self.modulation(self.resnet(x), time)
        if self.attend is not None and self.cross is not None:
            x = self.cross(self.attend(x), context)
        return x


class _Conv(nn.Conv2d):
    """A convolution over time on (B, T, C); odd kernels keep the length."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, bias: bool = True) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, (1, kernel), (1, stride), (0, padding), bias=bias)
        self.to(memory_format=torch.channels_last)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        # Both transposes are views; contiguous() copies only if a backend answers in another layout.
        return super().forward(input.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2).contiguous()


class _GroupNorm(nn.GroupNorm):
    """Group normalisation of (B, T, C), in float32 whatever the dtype."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        image = input.float().transpose(1, 2).unsqueeze(2)
        normed = F.group_norm(image, self.num_groups, self.weight.float(), self.bias.float(), self.eps)
        return normed.squeeze(2).transpose(1, 2).to(input.dtype)


class _Resnet(nn.Module):
    """Twice (group norm, SiLU, convolution of 3), added to the input; starts as the identity."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_GroupNorm(groups, channels) for _ in range(2))
        self.convs = nn.ModuleList(_Conv(channels, channels, 3) for _ in range(2))
        nn.init.zeros_(self.convs[1].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(F.silu(norm(h)))
        return x + h


class _Modulation(nn.Module):
    """Layer norm whose gain and shift come from the noise level; starts as a plain layer norm."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.place = 0
        self.channels = channels
        self.project = nn.Linear(features, 2 * channels)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def features(self, time: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gain, shift = self.project(F.silu(time)).chunk(2, -1)
        return 1.0 + gain, shift

    def forward(self, x: torch.Tensor, time: TimeFeatures) -> torch.Tensor:
        gain, shift = time.layers[self.place]
        if gain.shape[0] == 1:
            return F.layer_norm(x, (self.channels,), gain[0], shift[0])
        return F.layer_norm(x, (self.channels,)) * gain[:, None] + shift[:, None]


class _SelfAttention(nn.Module):
    """Attention among the frames, added to the input; starts as the identity."""

    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.heads, width = config.heads, config.heads * config.head_dim
        self.norm = nn.LayerNorm(channels)
        self.query = _Conv(channels, width, 1, bias=False)
        self.key = _Conv(channels, width, 1, bias=False)
        self.value = _Conv(channels, width, 1, bias=False)
        self.out = _Conv(width, channels, 1, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm(x)
        # Three projections, not one that is cut in three: putting the gradients together again takes longer.
        q, k, v = (_split(part(normed), self.heads) for part in (self.query, self.key, self.value))
        return x + self.out(_attention(q, k, v, None).reshape(*x.shape[:2], -1))


class _CrossAttention(nn.Module):
    """Attention of the frames on text tokens, added to the input; padding is never attended."""

    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.place = 0
        self.heads, width = config.heads, config.heads * config.head_dim
        self.norm = nn.LayerNorm(channels)
        self.norm_context = nn.LayerNorm(config.context_dim)
        self.query = _Conv(channels, width, 1, bias=False)
        self.key = _Conv(config.context_dim, width, 1, bias=False)
        self.value = _Conv(config.context_dim, width, 1, bias=False)
        self.out = _Conv(width, channels, 1, bias=False)
        nn.init.zeros_(self.out.weight)

    def project(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (R, heads, L, head_dim) of tokens (R, L, context_dim)."""
        normed = self.norm_context(tokens)
        return _split(self.key(normed), self.heads).contiguous(), _split(self.value(normed), self.heads).contiguous()

    def forward(self, x: torch.Tensor, context: ContextKV) -> torch.Tensor:
        query = self.query(self.norm(x))
        # The samples of a prompt become more queries on one text, so its keys are read once for all of them.
        query = _split(query.reshape(context.rows, -1, query.shape[-1]), self.heads)
        attended = _attention(query, context.keys[self.place], context.values[self.place], context.bias)
        return x + self.out(attended.reshape(*x.shape[:2], -1))


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(R, N, heads · D) to (R, heads, N, D), as a view."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Scaled dot-product attention of (R, heads, N, D); the result is (R, N, heads, D)."""
    if q.is_cuda:
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    else:
        # With so few frames the fused CPU kernel is two to five times slower than the three operations it fuses.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        attended = torch.softmax(scores if bias is None else scores + bias, -1) @ v
    return attended.transpose(1, 2)
