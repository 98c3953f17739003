"""Training of GDR (eq. 1): reconstruct audio frames from noise and text, with early stopping on the validation loss."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UserError
from gdr.fitting import Report, TrainConfig, fit
from gdr.latents import LatentScaler
from gdr.schedule import NoiseSchedule
from gdr.storage import load_model, save_model
from gdr.training_data import Batches, GDRData, encode_pairs, pooled_frames, read_pairs
from gdr.unet import GDRUNet
from gdr.unet_config import NAMED, UNetConfig

if TYPE_CHECKING:
    from bench.bundle.build import BuildContext

__all__ = [
    "TrainResult", "describe", "diffusion_loss", "fitting_config", "make_part", "named_config", "scaled_latents",
    "store_part", "train", "train_from_config", "validation_loss", "with_frames",
]  # fmt: skip

VALIDATION_BATCH = 256


class TrainResult(NamedTuple):
    """A trained network (on the CPU, in evaluation mode, with the best averaged weights) and how it came about."""

    model: Any
    scaler: LatentScaler
    history: list[tuple[int, float]]
    best_step: int
    judge: Callable[[], float]
    """The validation loss of the model as it stands."""


def diffusion_loss(
    model: Any, x0: Tensor, t: Tensor, noise: Tensor, tokens: Tensor, mask: Tensor, schedule: NoiseSchedule
) -> Tensor:
    """Eq. 1 for the x0 objective; the mean squared error of the noise for the ε objective.

    Args:
        model: called with (noised latents, levels, tokens, mask); its `prediction` says what it predicts.
        x0, noise: (B, C, T).
        t: levels (B,).
        tokens, mask: (B, L, width) and (B, L).
        schedule: noises the latents.
    """
    predicted = model(schedule.add_noise(x0, noise, t), t, tokens, mask)
    return F.mse_loss(predicted, x0 if model.prediction == "x0" else noise)


def scaled_latents(scaler: LatentScaler, frames: np.ndarray) -> Tensor:
    """Frames (N, T, d) as the network sees them: (N, d, T) float32."""
    return scaler.apply_to(torch.from_numpy(np.asarray(frames, dtype=np.float32))).transpose(1, 2).contiguous()


@torch.no_grad()
def validation_loss(model: Any, data: GDRData, x: Tensor, schedule: NoiseSchedule) -> float:
    """Loss at fixed noise and evenly spread levels, so that the values of different weights are comparable.

    Args:
        model: as it stands.
        data: the texts and their owners.
        x: the scaled latents (N, d, T) of the owners.
        schedule: the noise schedule.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    rows = np.arange(len(data.owner))
    levels = torch.linspace(0, schedule.levels - 1, len(rows)).long()
    t = levels[torch.randperm(len(rows), generator=generator)]
    total = 0.0
    for start in range(0, len(rows), VALIDATION_BATCH):
        part = rows[start : start + VALIDATION_BATCH]
        x0 = x[data.owner[part]]
        noise = torch.randn(x0.shape, generator=generator).to(device)
        tokens, mask = data.text.batch(part, device)
        loss = diffusion_loss(model, x0.to(device), t[part].to(device), noise, tokens, mask, schedule)
        total += float(loss) * len(part)
    return total / len(rows)


def train(
    data: GDRData,
    validation: GDRData,
    build: Callable[[], Any],
    config: TrainConfig,
    report: Report | None = None,
    device: str = "cpu",
) -> TrainResult:
    """Train a denoising network on pairs of captions and latent frames.

    Args:
        data, validation: pairs; the validation loss of the averaged weights decides which step is kept, and training
            stops after `patience` evaluations without a better one.
        build: makes the network, called with torch's generator seeded. The network is what `gdr.unet.GDRUNet` is:
            `forward(x, t, tokens, mask)`, `drop_text` and `prediction`.
        config: hyper-parameters.
        report: called with (step, steps, message).
        device: torch device; the network comes back on the CPU.

    Returns:
        The network with the best averaged weights, its latent scaler, and the history of validation losses.
    """
    torch.manual_seed(config.seed)
    schedule = NoiseSchedule()
    scaler = LatentScaler.fit(torch.from_numpy(np.asarray(data.frames, dtype=np.float32)), config.latent_norm)
    x, x_val = (scaled_latents(scaler, each.frames).to(device) for each in (data, validation))
    model = build().to(device)

    batches = Batches(np.diff(data.text.offsets), config.batch_size)

    def batch_loss(rng: np.random.Generator) -> Tensor:
        rows = batches.draw(rng)
        x0 = x[data.owner[rows]]
        t = torch.from_numpy(rng.integers(schedule.levels, size=len(rows))).to(device)
        noise = torch.from_numpy(rng.standard_normal(x0.shape, dtype=np.float32)).to(device)
        dropped = torch.from_numpy(rng.random(len(rows)) < config.text_dropout).to(device)
        tokens, mask = model.drop_text(*data.text.batch(rows, device), dropped)
        return diffusion_loss(model, x0, t, noise, tokens, mask, schedule)

    def judge() -> float:
        return validation_loss(model, validation, x_val, schedule)

    fitted = fit(model, batch_loss, judge, config, report)
    return TrainResult(model.cpu(), scaler, fitted.history, fitted.best_step, judge)


# --- parts ------------------------------------------------------------------------------------------------------------


def with_frames(data: GDRData, frames: int | None) -> GDRData:
    """The pairs with latents of that many frames: all that there are, or 1, their time mean.

    Raises:
        UserError: another number of frames than the data has.
    """
    own = data.frames.shape[1]
    if frames is None or frames == own:
        return data
    if frames != 1:
        raise UserError(f"frames: the latents have {own}, so choose {own}, or 1 for their time mean; got {frames}")
    return data._replace(frames=pooled_frames(data.frames)[:, None])


def fitting_config(base: UNetConfig, data: GDRData, prediction: str, condition: str) -> UNetConfig:
    """A named config with the widths of the data; one frame cannot be shortened, one vector needs no longer null."""
    single = data.frames.shape[1] == 1
    return replace(
        base,
        in_channels=data.frames.shape[-1],
        context_dim=data.text.width,
        prediction=prediction,
        factors=(1,) * len(base.channels) if single else base.factors,
        null_length=1 if condition == "pooled" else base.null_length,
    )


def describe(config: Any, data: GDRData, condition: str, text: str, **more: Any) -> dict[str, str]:
    """What a retriever reads from a file of weights: sizes, frames, condition, and the text encoder's name."""
    described = {
        "config": json.dumps(config.to_dict()),
        "frames": str(data.frames.shape[1]),
        "condition": condition,
        "text": text,
    }
    return {**described, **{key: json.dumps(value) for key, value in more.items()}}


def store_part(
    context: BuildContext, result: TrainResult, metadata: dict[str, str], config: TrainConfig, seconds: float
) -> dict[str, Any]:
    """Save a trained network as the file of a part; judge what was stored beside what was trained.

    Returns:
        `files` and `info` of the part; `validation_loss_stored` is that of the weights read back.
    """
    file = f"{context.part}.safetensors"
    save_model(context.bundle_file(file), result.model, result.scaler, metadata)
    trained = result.judge()
    result.model.load_state_dict(load_model(context.bundle_file(file)).state)
    info = {
        "parameters": sum(p.numel() for p in result.model.parameters()),
        "best_step": result.best_step,
        "steps": result.history[-1][0],
        "validation_loss": round(trained, 5),
        "validation_loss_stored": round(result.judge(), 5),
        "seconds_training": round(seconds, 1),
        "config": asdict(config),
    }
    return {"files": [file], "info": info}


def make_part(
    context: BuildContext,
    *,
    encoder: str,
    train: str,
    validation: str,
    model: str,
    config: dict[str, Any],
    text: str | None = None,
    prediction: str = "x0",
    frames: int | None = None,
    condition: str = "tokens",
) -> dict[str, Any]:
    """Bundle part: a GDR on one encoder's latents.

    Args:
        context: the build.
        encoder: whose frames are learned.
        train, validation: splits.
        model: a named config, see `gdr.unet_config.NAMED`.
        config: keys of `TrainConfig`.
        text: text encoder whose states an earlier part wrote; None is the encoder's own tower.
        prediction: `x0` or `epsilon`.
        frames: 1 for time means, None for all frames.
        condition: `tokens` or `pooled`.
    """
    settings = TrainConfig(**config)
    data, held_out = (
        with_frames(read_pairs(context, encoder, split, text=text, condition=condition), frames)
        for split in (train, validation)
    )
    sizes = fitting_config(named_config(model), data, prediction, condition)
    start = time.monotonic()
    result = _train(data, held_out, partial(GDRUNet, sizes), settings, context.report, context.device)
    metadata = describe(sizes, data, condition, text or encoder)
    return store_part(context, result, metadata, settings, time.monotonic() - start)


_train = train  # `make_part` has a recipe key of the same name


def named_config(name: str) -> UNetConfig:
    """The UNet config of that name.

    Raises:
        UserError: no config has it.
    """
    if name not in NAMED:
        raise UserError(f"model: no config {name!r} (known: {', '.join(NAMED)})")
    return NAMED[name]


def _pairs_of(file: Path, spec: dict[str, Any], split: str) -> tuple[list[list[str]], np.ndarray]:
    """The captions and frames that a training file names, checked."""
    from bench._json import read_json
    from bench._npy import load_array

    entry = spec.get(split)
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("frames", "captions")):
        raise UserError(f"{file}: {split}: must name two files: {{frames: FILE.npy, captions: FILE.json}}")
    frames, captions = (file.parent / entry[key] for key in ("frames", "captions"))
    for path in (frames, captions):
        if not path.is_file():
            raise UserError(f"{file}: {split}: no such file {path}")
    array = load_array(frames)
    if array.ndim != 3 or array.dtype.kind != "f" or array.size == 0:
        raise UserError(f"{frames}: holds {array.dtype} of shape {array.shape}; floats (tracks, frames, d) are needed")
    if not np.isfinite(array).all():
        raise UserError(f"{frames}: holds NaN or infinite entries; encode those tracks again or leave them out")
    groups = read_json(captions, "write a JSON list of lists of texts, one list a track")
    if not isinstance(groups, list) or not all(
        isinstance(group, list) and group and all(isinstance(text, str) for text in group) for group in groups
    ):
        raise UserError(f"{captions}: must be a JSON list of lists of texts, one list a track, none of them empty")
    if len(groups) != len(array):
        raise UserError(f"{captions}: captions of {len(groups)} tracks, but {frames} holds {len(array)}")
    return groups, np.asarray(array)


def train_from_config(file: Path, out: Path, device: str = "cpu", report: Report | None = None) -> TrainResult:
    """`gdr train CONFIG`: train from a YAML file and save the model.

    The file names `encoder` (registry name), `train` and `validation` (each {frames: .npy of (N, T, d), captions: JSON
    list of lists}), `model` (`mini`, `small`, `paper`, or a mapping of UNetConfig), and `config` (TrainConfig).

    Raises:
        UserError: a key is unknown or a file is missing.
    """
    from bench._suite_yaml import read_yaml
    from bench.registry import encoders

    spec = read_yaml(file).data
    unknown = set(spec) - {"encoder", "train", "validation", "model", "config"}
    if unknown:
        raise UserError(
            f"{file}: unknown key {sorted(unknown)[0]!r} (known: encoder, train, validation, model, config)"
        )
    if not isinstance(spec.get("encoder"), str):
        raise UserError(f"{file}: encoder: must be the name of an encoder (`bench ls encoders`)")
    chosen, knobs = spec.get("model", "mini"), spec.get("config", {})
    if not isinstance(chosen, (str, dict)) or not isinstance(knobs, dict):
        raise UserError(f"{file}: model: must be a name or a mapping; config: a mapping")
    try:
        sizes = named_config(chosen) if isinstance(chosen, str) else UNetConfig.from_dict(chosen)
        settings = TrainConfig(**knobs)
    except TypeError as error:
        raise UserError(f"{file}: model or config: {error}") from None
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    pairs = [_pairs_of(file, spec, split) for split in ("train", "validation")]
    tower = encoders.get(spec["encoder"])()
    sets = [encode_pairs(tower, captions, frames) for captions, frames in pairs]
    result = train(sets[0], sets[1], partial(GDRUNet, sizes), settings, report, device)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_model(out, result.model, result.scaler, describe(sizes, sets[0], "tokens", spec["encoder"]))
    return result
