"""Training of the mini encoders: InfoNCE between audio and captions of one domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.encoders._mini_model import AudioTower, TextTower, TextTowerConfig
from bench.encoders.mini import load_tokenizer

__all__ = ["CaptionIds", "ContrastiveConfig", "info_nce", "train_contrastive", "train_tokenizer"]

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ContrastiveConfig:
    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    temperature: float = 0.07
    seed: int = 0
    precision: str = "bf16"  # of the audio tower's training; weights, loss and inference are float32


def train_tokenizer(texts: Sequence[str], path: Path, vocabulary: int = 4096) -> None:
    """Train one byte-level BPE on training captions and save it as JSON."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer(lowercase=True)
    tokenizer.train_from_iterator(texts, vocab_size=vocabulary, min_frequency=2, show_progress=False)
    tokenizer.save(str(path))


class CaptionIds:
    """Captions of each training clip as token ids; one caption a clip is drawn each epoch.

    Args:
        captions: one or more of each clip.
        tokenizer_path: the BPE file.
        max_length: tokens that are kept of a caption.
    """

    def __init__(self, captions: Sequence[Sequence[str]], tokenizer_path: Path, max_length: int) -> None:
        tokenizer = load_tokenizer(tokenizer_path, max_length)
        self.ids = [[torch.tensor(e.ids) for e in tokenizer.encode_batch(list(group))] for group in captions]

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A caption of each clip, padded to the longest: ids (B, L) int64 and mask (B, L) bool."""
        drawn = [self.ids[row][rng.integers(len(self.ids[row]))] for row in rows]
        ids = nn.utils.rnn.pad_sequence(drawn, batch_first=True)
        lengths = torch.tensor([len(d) for d in drawn])
        return ids, torch.arange(ids.shape[1])[None] < lengths[:, None]


def _augment(mel: Tensor, generator: torch.Generator) -> Tensor:
    """Random gain and one random band and time mask a clip: (B, 64, frames) log10 power."""
    batch, bands, frames = mel.shape
    mel = mel + 0.3 * torch.randn(batch, 1, 1, generator=generator)
    for axis, size, widest in ((1, bands, 8), (2, frames, 48)):
        start = torch.randint(0, size, (batch, 1), generator=generator)
        width = torch.randint(0, widest + 1, (batch, 1), generator=generator)
        index = torch.arange(size)[None]
        masked = (index >= start) & (index < start + width)
        mel = mel.masked_fill(masked.unsqueeze(3 - axis), float(mel.mean()))
    return mel


def train_contrastive(
    mel: np.ndarray,
    captions: Sequence[Sequence[str]],
    tokenizer_path: Path,
    config: ContrastiveConfig,
    report: Report | None = None,
    device: str = "cpu",
) -> dict[str, Tensor]:
    """Train both towers with symmetric InfoNCE.

    Args:
        mel: (N, 64, frames) log-mels of the training clips (any float type, may be memory-mapped).
        captions: for each clip, one or more captions.
        tokenizer_path: the BPE file.
        report: called with (step, steps, message).

    Returns:
        The state of both towers, names prefixed `audio.` and `text.`, as float16.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    audio, text = AudioTower().to(device, memory_format=torch.channels_last), TextTower(TextTowerConfig()).to(device)
    log_scale = nn.Parameter(torch.tensor(math.log(1 / config.temperature), device=device))
    parameters: list[Any] = [*audio.parameters(), *text.parameters(), log_scale]
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    per_epoch = len(mel) // config.batch_size
    steps = per_epoch * config.epochs
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _warmup_cosine(s, steps, config.warmup))
    pairs = CaptionIds(captions, tokenizer_path, text.config.max_length)
    step = 0
    for epoch in range(config.epochs):
        order = rng.permutation(len(mel))
        for start in range(0, per_epoch * config.batch_size, config.batch_size):
            rows = np.sort(order[start : start + config.batch_size])
            ids, mask = pairs.batch(rows, rng)
            x = _augment(torch.from_numpy(np.asarray(mel[rows], dtype=np.float32)), generator).to(device)
            with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16"):
                frames = audio(x)
            z_audio = F.normalize(frames.float().mean(1), dim=-1)
            z_text = text(ids.to(device), mask.to(device))[1]
            loss = info_nce(z_audio, z_text, log_scale.clamp(max=math.log(100.0)).exp())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            scheduler.step()
            step += 1
            if report:
                report(step, steps, f"epoch {epoch + 1}/{config.epochs}, loss {loss.item():.3f}")
    return {
        **{f"audio.{k}": v for k, v in _half(audio).items()},
        **{f"text.{k}": v for k, v in _half(text).items()},
    }


def info_nce(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of unit vectors (B, d), whose rows pair up; `scale` is the inverse temperature."""
    logits = scale * a @ b.T
    target = torch.arange(len(a), device=a.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def _warmup_cosine(step: int, steps: int, warmup: float) -> float:
    ramp = max(1, int(steps * warmup))
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))


def _half(module: nn.Module) -> dict[str, Tensor]:
    return {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in module.state_dict().items()
    }
