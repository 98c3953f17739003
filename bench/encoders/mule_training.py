"""Training of the audio-only mini encoder: two views of one clip find each other among all others, without any text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.encoders._mini_model import AudioTower
from bench.encoders.mini_training import _half, _warmup_cosine

__all__ = ["AudioContrastiveConfig", "augment_views", "nt_xent", "random_crops", "train_audio_contrastive"]

Report = Callable[[int, int, str], None]

FRAMES_PER_SECOND = 32
WIDEST_BAND_MASK = 12
"""Mel bands, of 64."""
WIDEST_TIME_MASK = 48
"""Mel frames: one and a half seconds."""
MIX_RANGE = (-2.5, -0.8)
"""log10 power of the clip that is mixed in, relative to its own level: -25 to -8 dB."""


@dataclass(frozen=True)
class AudioContrastiveConfig:
    """Hyper-parameters of `train_audio_contrastive`.

    `gain` and `tilt` are standard deviations in log10 power, of the level and of the slope from the lowest band to the
    highest; `mix` is the share of views that another clip is mixed into; `shift` is the widest transposition, in mel
    bands (one is about a semitone where melodies lie): without it the key is enough to tell clips apart, and the frames
    held less of genre, drums and tempo (probes after three epochs).
    """

    epochs: int = 26
    batch_size: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    temperature: float = 0.1
    crop_seconds: int = 4
    gain: float = 0.2
    tilt: float = 0.2
    mix: float = 0.3
    shift: int = 2
    projection: int = 64
    seed: int = 0
    precision: str = "bf16"  # of the tower's training; projection, loss, weights and inference are float32


def random_crops(mel: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Two random stretches of each clip; they may overlap.

    Args:
        mel: (B, bands, n) log-mels.
        frames: length of a stretch, at most n.
        rng: draws the starts.

    Returns:
        (2B, bands, frames) float32: first the one view of every clip, then the other.

    Raises:
        ValueError: the clips are shorter than a stretch.

    Example:
        >>> random_crops(np.zeros((3, 64, 512)), 256, np.random.default_rng(0)).shape
        (6, 64, 256)
    """
    if frames > mel.shape[-1]:
        raise ValueError(f"a crop of {frames} frames does not fit into clips of {mel.shape[-1]}")
    starts = rng.integers(mel.shape[-1] - frames + 1, size=(2, len(mel)))
    views = [mel[row, :, start : start + frames] for view in starts for row, start in enumerate(view)]
    return np.stack(views).astype(np.float32)


def augment_views(mel: Tensor, config: AudioContrastiveConfig, generator: torch.Generator) -> Tensor:
    """What may differ between two recordings of one piece: another faintly in the background, level, tilt, gaps.

    Args:
        mel: (B, 64, frames) log10 power; may not be changed.
        config: strengths.
        generator: of the CPU, draws everything.

    Returns:
        (B, 64, frames), each row changed on its own; the masks hold the batch's mean.
    """
    batch, bands, frames = mel.shape
    other = mel[torch.randperm(batch, generator=generator)]
    low, high = MIX_RANGE
    level = low + (high - low) * torch.rand(batch, 1, 1, generator=generator)
    mixed = torch.rand(batch, 1, 1, generator=generator) < config.mix
    level = torch.where(mixed, level, torch.full_like(level, -torch.inf))
    # Powers add: log10(10^a + 10^b) = max(a, b) + log10(1 + 10^-|a - b|), which is `a` where b is -inf.
    other = other + level
    mel = torch.maximum(mel, other) + torch.log10(1 + 10 ** -(mel - other).abs())
    mel = _shift_bands(mel, torch.randint(-config.shift, config.shift + 1, (batch,), generator=generator))
    slope = torch.linspace(-0.5, 0.5, bands)[None, :, None]
    mel = mel + config.gain * torch.randn(batch, 1, 1, generator=generator)
    mel = mel + config.tilt * torch.randn(batch, 1, 1, generator=generator) * slope
    filling = mel.mean()
    for axis, size, widest in ((1, bands, WIDEST_BAND_MASK), (2, frames, WIDEST_TIME_MASK)):
        width = torch.randint(0, min(widest, size // 4) + 1, (batch, 1), generator=generator)
        start = torch.randint(0, size, (batch, 1), generator=generator)
        index = torch.arange(size)[None]
        mel = torch.where(((index >= start) & (index < start + width)).unsqueeze(3 - axis), filling, mel)
    return mel


def _shift_bands(mel: Tensor, bands: Tensor) -> Tensor:
    """Each row moved up by its number of bands; the band at the edge is repeated."""
    index = (torch.arange(mel.shape[1])[None] - bands[:, None]).clamp(0, mel.shape[1] - 1)
    return mel.gather(1, index[:, :, None].expand_as(mel))


def nt_xent(z: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy (Chen et al., SimCLR, ICML 2020, eq. 1) of two views of B clips.

    Args:
        z: (2B, d), rows i and B + i are views of one clip; normalised here.
        temperature: divides the cosines.

    Raises:
        ValueError: the number of rows is odd, or there is only one clip, which has nothing to be told from.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(float(nt_xent(z, 0.1)), 6)  # log(1 + 2 exp(-10)) for every view
        9.1e-05
    """
    if len(z) % 2 or len(z) < 4:
        raise ValueError(f"two views of at least two clips are needed, got {len(z)} rows")
    half = len(z) // 2
    z = F.normalize(z, dim=-1)
    logits = (z @ z.T / temperature).masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z), device=z.device).roll(half))


def train_audio_contrastive(
    mel: np.ndarray, config: AudioContrastiveConfig, report: Report | None = None, device: str = "cpu"
) -> dict[str, Tensor]:
    """Train an audio tower to recognise a clip by any stretch of it, however it was altered.

    Args:
        mel: (N, 64, n) log-mels of the training clips (any float type, may be memory-mapped), n whole seconds.
        config: hyper-parameters.
        report: called with (step, steps, message).
        device: torch device.

    Returns:
        The tower's state, names prefixed `audio.`, as float16. The projection head that the loss looks at is left
        out: what it throws away (level, tilt) is still in the frames.

    Raises:
        ValueError: fewer clips than a batch holds, or clips shorter than a crop.
    """
    if len(mel) < config.batch_size:
        raise ValueError(f"{len(mel)} clips, but a batch holds {config.batch_size}")
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    tower = AudioTower().to(device, memory_format=torch.channels_last)
    dim = tower.head.out_features
    head = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, config.projection)).to(device)
    parameters = [*tower.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    per_epoch = len(mel) // config.batch_size
    steps = per_epoch * config.epochs
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _warmup_cosine(s, steps, config.warmup))
    for step in range(steps):
        if step % per_epoch == 0:
            order = rng.permutation(len(mel))
        at = step % per_epoch * config.batch_size
        rows = np.sort(order[at : at + config.batch_size])
        views = torch.from_numpy(random_crops(mel[rows], config.crop_seconds * FRAMES_PER_SECOND, rng))
        views = augment_views(views, config, generator).to(device)
        with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16"):
            frames = tower(views)
        loss = nt_xent(head(frames.float().mean(1)), config.temperature)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        scheduler.step()
        if report:
            report(step + 1, steps, f"epoch {step // per_epoch + 1}/{config.epochs}, loss {loss.item():.3f}")
    return {f"audio.{name}": value for name, value in _half(tower).items()}
