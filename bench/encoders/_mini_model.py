"""Networks of the mini encoders: a log-mel front end, a convolutional audio tower and a text transformer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["AudioTower", "LogMel", "MelConfig", "TextTower", "TextTowerConfig", "mel_filterbank"]


@dataclass(frozen=True)
class MelConfig:
    """Log-mel front end: 32 mel frames a second (`sample_rate / hop`), so that 2 octaves of stride leave 8 Hz."""

    sample_rate: int = 16000
    n_fft: int = 1024
    hop: int = 500
    n_mels: int = 64
    f_min: float = 40.0
    f_max: float = 8000.0

    @property
    def frames_per_second(self) -> int:
        return self.sample_rate // self.hop


def mel_filterbank(config: MelConfig) -> np.ndarray:
    """Triangular filters, equally spaced on the HTK mel scale, unit peak: (n_fft // 2 + 1, n_mels) float32."""

    def to_mel(hz: np.ndarray | float) -> np.ndarray:
        return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)

    edges_mel = np.linspace(to_mel(config.f_min), to_mel(config.f_max), config.n_mels + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


class LogMel(nn.Module):
    """Waves (B, n) -> log-mel (B, n_mels, frames), with exactly 32 frames for each second of sound."""

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("filters", torch.from_numpy(mel_filterbank(config)), persistent=False)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        c = self.config
        frames = waves.shape[-1] // c.hop
        spectrum = torch.stft(
            waves, c.n_fft, c.hop, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.abs().square()[..., :frames]
        return torch.log10(torch.einsum("bft,fm->bmt", power, self.filters).clamp_min(1e-6))


class _ConvBlock(nn.Module):
    """3x3 convolution (strided), batch norm, GELU, and a cheap residual 3x3 at the new resolution."""

    def __init__(self, c_in: int, c_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.down = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.norm(self.down(x)))


class _TimeBlock(nn.Module):
    """Residual temporal convolution at 8 Hz: carries context from neighbouring seconds into a frame."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.gelu(self.norm(self.conv(x)))


class AudioTower(nn.Module):
    """Log-mel (B, 64, 32·T) -> unit-norm latent frames at 1 Hz (B, T, d)."""

    def __init__(self, dim: int = 128, width: int = 192) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm1d(64)
        self.blocks = nn.Sequential(
            _ConvBlock(1, 16, (2, 2)),
            _ConvBlock(16, 48, (2, 1)),
            _ConvBlock(48, 64, (2, 2)),
            _ConvBlock(64, 96, (2, 1)),
        )
        self.project = nn.Sequential(nn.Conv1d(96 * 4, width, 1, bias=False), nn.BatchNorm1d(width), nn.GELU())
        self.time = nn.Sequential(_TimeBlock(width, 5, 1), _TimeBlock(width, 5, 2))
        self.head = nn.Linear(2 * width, dim)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.input_norm(mel)[:, None].contiguous(memory_format=torch.channels_last)
        x = self.blocks(x)
        x = x.permute(0, 3, 1, 2).flatten(2).transpose(1, 2)  # (B, C·F, 8·T)
        x = self.time(self.project(x))
        seconds = x.shape[-1] // 8
        x = x[..., : seconds * 8].unflatten(-1, (seconds, 8))
        x = torch.cat([x.mean(-1), x.amax(-1)], dim=1).transpose(1, 2)  # (B, T, 2·width)
        return F.normalize(self.head(x), dim=-1)


@dataclass(frozen=True)
class TextTowerConfig:
    vocabulary: int = 4096
    max_length: int = 96
    width: int = 128
    layers: int = 4
    heads: int = 4
    dim: int = 128

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class _TextBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        b, length, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(b, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        x = x + self.out(attended.transpose(1, 2).reshape(b, length, width))
        return x + self.mlp(self.norm_mlp(x))


class TextTower(nn.Module):
    """Token ids (B, L) and mask (B, L) -> token states (B, L, width) and a unit-norm pooled vector (B, d)."""

    def __init__(self, config: TextTowerConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Parameter(torch.randn(config.max_length, config.width) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_TextBlock(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.dim)
        nn.init.normal_(self.token.weight, std=0.02)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = self.dropout(self.token(ids) + self.position[: ids.shape[1]])
        for block in self.blocks:
            x = block(x, mask)
        states = self.norm(x)
        weight = mask[..., None].to(states.dtype)
        pooled = (states * weight).sum(1) / weight.sum(1)
        return states, F.normalize(self.head(pooled), dim=-1)
