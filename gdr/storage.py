"""Weights in a file: matrices as int8 with a scale a row, the rest as float16, so that a bundle of them stays small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.errors import UserError
from gdr.latents import LatentScaler

__all__ = [
    "FORMAT", "PRECISIONS", "StoredModel", "dequantise", "load_model", "load_weights", "quantise", "save_model",
    "save_weights",
]  # fmt: skip

FORMAT = "rows-int8-1"
"""Metadata `format` of a file that holds rows; a file without the key holds plain tensors."""
PRECISIONS = ("int8", "float16", "float32")
_SCALE = ".row_scale"
_LEVELS = 127
_HALF_MAX = 65504.0
_PREFIXES = ("model.", "unet.")
"""Of the network's weights in a file; the second is what files before rows have."""


class StoredModel(NamedTuple):
    """A network's weights, the scale of its latents, and what describes both."""

    state: dict[str, Tensor]
    scaler: LatentScaler
    metadata: dict[str, str]


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row (axis 0) to 255 levels, symmetric about zero.

    Args:
        weight: floating point, two axes or more; axis 0 is the output of a layer, whose weights are of one size.

    Returns:
        (int8 of the same shape, float32 scale a row); the largest error of a row is half its scale.

    Raises:
        ValueError: fewer than two axes, or an entry that is not finite.

    Example:
        >>> import torch
        >>> levels, scale = quantise(torch.tensor([[1.27, -0.5], [0.0, 0.0]]))
        >>> levels.tolist()
        [[127, -50], [0, 0]]
        >>> dequantise(levels, scale)
        tensor([[ 1.2700, -0.5000],
                [ 0.0000,  0.0000]])
    """
    if weight.dim() < 2:
        raise ValueError(f"rows need a tensor of two axes or more, got shape {tuple(weight.shape)}")
    rows = weight.detach().float().flatten(1)
    bad = ~torch.isfinite(rows)
    if bool(bad.any()):
        raise ValueError(f"{int(bad.sum())} weights are not finite, the first in row {int(bad.any(1).nonzero()[0])}")
    # A row of zeros has no scale; any will do.
    largest = rows.abs().amax(1) if rows.shape[1] else torch.zeros(len(rows))
    scale = torch.where(largest > 0, largest / _LEVELS, 1.0)
    levels = (rows / scale[:, None]).round().clamp(-_LEVELS, _LEVELS).to(torch.int8)
    return levels.reshape(weight.shape), scale


def dequantise(levels: Tensor, scale: Tensor) -> Tensor:
    """The float32 weights that `quantise` stored: levels times the scale of their row."""
    return levels.float() * scale.reshape(-1, *[1] * (levels.dim() - 1))


def save_weights(
    file: Path,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    exact: Mapping[str, Tensor] | None = None,
    precision: str = "int8",
) -> None:
    """Write weights and what describes them as one safetensors file.

    Args:
        file: where to.
        weights: by name. With `int8`, those of two axes or more become rows (`quantise`) and the rest float16.
        metadata: text by key.
        exact: tensors that keep their own precision, such as statistics.
        precision: one of `PRECISIONS`; the other two store every weight so, for tests and for other programs.

    Raises:
        ValueError: an unknown precision, a weight that is not finite or that float16 cannot hold, or a name twice.
    """
    from safetensors.torch import save_file

    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    twice = sorted(set(weights) & set(exact or {}))
    if twice:
        raise ValueError(f"{len(twice)} names are given twice, the first is {twice[0]!r}")
    stored: dict[str, Tensor] = {name: tensor.detach().cpu().contiguous() for name, tensor in (exact or {}).items()}
    for name, tensor in weights.items():
        value = tensor.detach().cpu()
        if not value.is_floating_point():
            stored[name] = value.contiguous()
        elif precision == "int8" and value.dim() >= 2:
            levels, scale = quantise(value)
            stored[name], stored[name + _SCALE] = levels.contiguous(), scale
        else:
            stored[name] = _plain(name, value, torch.float32 if precision == "float32" else torch.float16)
    described = {**metadata, "format": FORMAT} if precision == "int8" else dict(metadata)
    save_file(stored, file, metadata=described)


def load_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `save_weights` wrote, or a file of plain tensors (the format before rows).

    Returns:
        (tensors by name, floating ones in float32; the metadata).

    Raises:
        UserError: the file is damaged, or of a format that this version does not know.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stored:
            metadata = dict(stored.metadata() or {})
            found = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file}: not a safetensors file ({error}); write or copy it again") from None
    kind = metadata.get("format")
    # "pt" is what other programs write into files of plain tensors.
    if kind not in (None, "pt", FORMAT):
        raise UserError(f"{file}: weights of format {kind!r} (known: {FORMAT}); they need a newer version of gdr-bench")
    if kind == FORMAT:
        for name in [name for name in found if name.endswith(_SCALE)]:
            own = name.removesuffix(_SCALE)
            if own not in found or found[name].shape != found[own].shape[:1]:
                raise UserError(f"{file}: {name} is not the scale of the rows of {own}; write or copy the file again")
            found[own] = dequantise(found[own], found.pop(name))
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}, metadata


def save_model(
    file: Path, model: nn.Module, scaler: LatentScaler, metadata: Mapping[str, str], *, precision: str = "int8"
) -> None:
    """Write a network with its latent scale; see `save_weights`.

    Args:
        file: where to.
        model: its state dict is stored.
        scaler: stored as it is.
        metadata: what a reader needs to build the network, text by key; `latent_norm` is added.
        precision: one of `PRECISIONS`.
    """
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    exact = {f"scaler.{name}": value for name, value in scaler.state_dict().items()}
    described = {**metadata, "latent_norm": scaler.latent_norm}
    save_weights(file, weights, described, exact=exact, precision=precision)


def load_model(file: Path) -> StoredModel:
    """Read what `save_model` wrote, or a GDR of the format before it.

    Raises:
        UserError: the file holds no network with a latent scale, or is of an unknown format.
    """
    found, metadata = load_weights(file)
    prefix = next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in found)), None)
    if prefix is None or not {"scaler.mean", "scaler.gain"} <= set(found) or "latent_norm" not in metadata:
        raise UserError(f"{file}: holds no network with a latent scale; is it a retriever's weights?")
    scaler = LatentScaler.from_dict(
        {"latent_norm": metadata["latent_norm"], "mean": found["scaler.mean"], "gain": found["scaler.gain"]}
    )
    state = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    return StoredModel(state, scaler, metadata)


def _plain(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    limit = _HALF_MAX if dtype == torch.float16 else torch.finfo(dtype).max
    outside = ~(value.abs() <= limit)
    if bool(outside.any()):
        raise ValueError(f"{name}: {int(outside.sum())} weights are not finite or beyond {limit:g}")
    return value.to(dtype).contiguous()
