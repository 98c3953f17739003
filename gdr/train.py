"""Training of GDR (eq. 1): reconstruct audio frames from noise and text, with early stopping on the validation loss."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UserError
from gdr.latents import LatentScaler
from gdr.schedule import NoiseSchedule
from gdr.unet import GDRUNet
from gdr.unet_config import MINI, PAPER, UNetConfig

if TYPE_CHECKING:
    from bench.bundle.build import BuildContext

__all__ = ["GDRData", "TrainConfig", "TrainResult", "make_part", "save_model", "train", "train_from_config"]

MODELS = {"mini": MINI, "paper": PAPER}
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class TrainConfig:
    """Hyper-parameters; the paper's are 100k steps of 256, rate 1e-4, warm-up 5000 (section 3.3)."""

    steps: int = 4000
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    warmup: int = 200
    text_dropout: float = 0.1
    ema: float = 0.999
    latent_norm: str = "unit_rms"
    evaluate_every: int = 250
    patience: int = 6
    seed: int = 0


class GDRData(NamedTuple):
    """Pairs of one split: frames (N, T, d), and the token states of every caption with the track that owns it."""

    frames: np.ndarray
    tokens: np.ndarray
    mask: np.ndarray
    owner: np.ndarray


class TrainResult(NamedTuple):
    model: GDRUNet
    scaler: LatentScaler
    history: list[tuple[int, float]]
    best_step: int


class _Ema:
    """Exponential moving average of the weights, with the usual ramp so that early steps do not weigh on it."""

    def __init__(self, model: GDRUNet, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: GDRUNet, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)


def _rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then cosine to 0."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - config.warmup) / max(1, config.steps - config.warmup)))


def _noised(x0: Tensor, t: Tensor, noise: Tensor, schedule: NoiseSchedule) -> Tensor:
    alpha = torch.tensor(schedule.alphas_cumprod, dtype=x0.dtype, device=x0.device)[t][:, None, None]
    return alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise


def _loss(
    model: GDRUNet, x0: Tensor, t: Tensor, noise: Tensor, tokens: Tensor, mask: Tensor, s: NoiseSchedule
) -> Tensor:
    """Eq. 1 for the x0 objective; the mean squared error of the noise for the ε objective."""
    predicted = model(_noised(x0, t, noise, s), t, tokens, mask)
    return F.mse_loss(predicted, x0 if model.prediction == "x0" else noise)


@torch.no_grad()
def _validation_loss(model: GDRUNet, state: dict[str, Tensor], data: GDRData, x: Tensor, s: NoiseSchedule) -> float:
    """Loss of the averaged weights at fixed noise and evenly spread levels, so that values are comparable."""
    current = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    model.eval()
    generator = torch.Generator().manual_seed(0)
    rows = np.arange(len(data.owner))
    t = torch.linspace(0, s.levels - 1, len(rows)).long()[torch.randperm(len(rows), generator=generator)]
    total = 0.0
    for start in range(0, len(rows), 256):
        part = rows[start : start + 256]
        x0 = x[data.owner[part]]
        noise = torch.randn(x0.shape, generator=generator).to(x.device)
        tokens, mask = _text_batch(data, part, x.device)
        total += float(_loss(model, x0, t[part].to(x.device), noise, tokens, mask, s)) * len(part)
    model.load_state_dict(current)
    model.train()
    return total / len(rows)


def _text_batch(data: GDRData, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token states of some captions, cut to the longest of them."""
    mask = data.mask[rows]
    longest = int(mask.sum(1).max())
    tokens = torch.from_numpy(data.tokens[rows, :longest].astype(np.float32))
    return tokens.to(device), torch.from_numpy(mask[:, :longest]).to(device)


def train(
    data: GDRData,
    validation: GDRData,
    model_config: UNetConfig,
    config: TrainConfig,
    report: Report | None = None,
    device: str = "cpu",
) -> TrainResult:
    """Train a GDR UNet on pairs of captions and latent frames.

    Args:
        data, validation: pairs; the validation loss of the averaged weights decides which step is kept, and training
            stops after `patience` evaluations without a better one.
        report: called with (step, steps, message).

    Returns:
        The model with the best averaged weights, its latent scaler, and the history of validation losses.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    schedule = NoiseSchedule()
    scaler = LatentScaler.fit(torch.from_numpy(np.asarray(data.frames, dtype=np.float32)), config.latent_norm)
    target = torch.device(device)
    x, x_val = (
        scaler.apply_to(torch.from_numpy(np.asarray(d.frames, dtype=np.float32)))
        .transpose(1, 2)
        .contiguous()
        .to(target)
        for d in (data, validation)
    )
    model = GDRUNet(model_config).to(target).train()
    ema = _Ema(model, config.ema)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.999), weight_decay=config.weight_decay
    )
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _rate(s, config))
    best, best_step, best_state = math.inf, 0, ema.state
    history: list[tuple[int, float]] = []
    for step in range(1, config.steps + 1):
        rows = rng.integers(len(data.owner), size=config.batch_size)
        x0 = x[data.owner[rows]]
        t = torch.from_numpy(rng.integers(schedule.levels, size=len(rows))).to(target)
        noise = torch.from_numpy(rng.standard_normal(x0.shape, dtype=np.float32)).to(target)
        dropped = torch.from_numpy(rng.random(len(rows)) < config.text_dropout).to(target)
        tokens, mask = model.drop_text(*_text_batch(data, rows, target), dropped)
        loss = _loss(model, x0, t, noise, tokens, mask, schedule)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rates.step()
        ema.update(model, step)
        if step % config.evaluate_every == 0 or step == config.steps:
            value = _validation_loss(model, ema.state, validation, x_val, schedule)
            history.append((step, value))
            if value < best:
                best, best_step = value, step
                best_state = {name: v.clone() for name, v in ema.state.items()}
            elif step - best_step >= config.patience * config.evaluate_every:
                break
        if report:
            tail = f", validation {history[-1][1]:.4f}" if history else ""
            report(step, config.steps, f"loss {loss.item():.4f}{tail}")
    model.load_state_dict(best_state)
    return TrainResult(model.eval().cpu(), scaler, history, best_step)


def save_model(result: TrainResult, file: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Weights as safetensors; configuration and latent scale travel in the file."""
    from safetensors.torch import save_file

    state = {f"unet.{name}": value.to(dtype).contiguous() for name, value in result.model.state_dict().items()}
    state.update({f"scaler.{name}": value for name, value in result.scaler.state_dict().items()})
    metadata = {"config": json.dumps(result.model.config.to_dict()), "latent_norm": result.scaler.latent_norm}
    save_file(state, file, metadata=metadata)


def encode_pairs(tower: Any, captions: Sequence[Sequence[str]], frames: np.ndarray) -> GDRData:
    """Token states (float16) of every caption of every track, with the frames they belong to."""
    owner = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
    latents = tower.encode_text([text for group in captions for text in group])
    return GDRData(frames, latents.tokens.astype(np.float16), latents.mask, owner)


def make_part(
    context: BuildContext,
    *,
    encoder: str,
    train: str,
    validation: str,
    model: str,
    config: dict[str, Any],
) -> dict[str, Any]:
    """Bundle part: a GDR on one encoder's latents and text tower."""
    from bench.bundle.parts import load_built_encoder, training_captions, training_frames

    tower = load_built_encoder(context, encoder)
    data, held_out = (
        encode_pairs(tower, training_captions(context, split), training_frames(context, encoder, split))
        for split in (train, validation)
    )
    start = time.monotonic()
    result = _train(data, held_out, MODELS[model], TrainConfig(**config), context.report, context.device)
    file = f"{context.part}.safetensors"
    save_model(result, context.bundle_file(file))
    parameters = sum(p.numel() for p in result.model.parameters())
    info = {
        "parameters": parameters,
        "best_step": result.best_step,
        "steps": result.history[-1][0],
        "validation_loss": round(min(v for _, v in result.history), 5),
        "seconds_training": round(time.monotonic() - start, 1),
        "config": asdict(TrainConfig(**config)),
    }
    return {"files": [file], "info": info}


_train = train  # `make_part` has a recipe key of the same name


def train_from_config(file: Path, out: Path, device: str = "cpu", report: Report | None = None) -> TrainResult:
    """`gdr train CONFIG`: train from a YAML file and save the model.

    The file names `encoder` (registry name), `train` and `validation` (each {frames: .npy of (N, T, d), captions: JSON
    list of lists}), `model` (`mini`, `paper`, or a mapping of UNetConfig), and `config` (TrainConfig).

    Raises:
        UserError: a key is unknown or a file is missing.
    """
    from ruamel.yaml import YAML

    from bench.registry import encoders

    spec = dict(YAML(typ="safe", pure=True).load(file))
    unknown = set(spec) - {"encoder", "train", "validation", "model", "config"}
    if unknown:
        raise UserError(
            f"{file}: unknown key {sorted(unknown)[0]!r} (known: encoder, train, validation, model, config)"
        )
    tower = encoders.get(spec["encoder"])()
    sets = []
    for split in ("train", "validation"):
        frames, captions = (file.parent / spec[split][key] for key in ("frames", "captions"))
        for path in (frames, captions):
            if not path.exists():
                raise UserError(f"{file}: {split}: no such file {path}")
        sets.append(encode_pairs(tower, json.loads(captions.read_text()), np.load(frames)))
    chosen = spec.get("model", "mini")
    model = MODELS[chosen] if isinstance(chosen, str) else UNetConfig.from_dict(chosen)
    result = train(sets[0], sets[1], model, TrainConfig(**spec.get("config", {})), report, device)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(result, out)
    return result
