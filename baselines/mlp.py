"""The paper's MLP rivals (section 4.2): one hidden layer from pooled text to pooled audio, with and without noise."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from baselines.regression import RegressionRetriever, train_regression
from bench.errors import UserError
from bench.protocols import Space
from gdr.retriever import DiffusionRetriever

if TYPE_CHECKING:
    from baselines._mlp_model import MLPConfig
    from bench.bundle.build import BuildContext
    from gdr.fitting import TrainConfig
    from gdr.training_data import GDRData

__all__ = ["MLPDiffusion", "MLPRegression", "make_diffusion_part", "make_regression_part", "training_config"]


class MLPRegression(RegressionRetriever):
    """MLP regression: one hidden layer predicts the pooled audio latent from the pooled text vector; deterministic.

    Args:
        space: the latent space; its text tower encodes the prompts.
        weights: bundle part, such as `mlp-regression-clap`.
        device: torch device; not part of a result's key.
    """

    name = "mlp-regression"

    def __init__(self, space: Space, weights: str, device: str = "cpu") -> None:
        super().__init__(space, weights, device)

    def _build(self, config: dict[str, Any], frames: int) -> Any:
        from baselines._mlp_model import MLPConfig, MLPRegressor

        return MLPRegressor(MLPConfig.from_dict(config))


class MLPDiffusion(DiffusionRetriever):
    """MLP diffusion: one hidden layer denoises the pooled audio latent under the pooled text vector.

    Weights that were trained with the authors' dropout (`paper_bug`, see `training_config`) are sampled as all others.
    The authors also guide the latents after each scheduler step instead of the predictions before it. That changes
    nothing: a step adds multiples of its latents and of the clean prediction, and the weights of guidance sum to one,
    so guiding before and after it give the same latents.

    Args:
        space: the latent space; its text tower encodes the prompts.
        weights: bundle part, such as `mlp-diffusion-clap`.
        device: torch device; not part of a result's key.
    """

    name = "mlp-diffusion"
    batch = 2048

    def __init__(self, space: Space, weights: str, device: str = "cpu") -> None:
        super().__init__(space, weights, device=device)

    def _build(self, config: dict[str, Any]) -> Any:
        from baselines._mlp_model import MLPConfig, MLPDenoiser

        return MLPDenoiser(MLPConfig.from_dict(config))


def training_config(config: TrainConfig, paper_bug: bool) -> TrainConfig:
    """The config to train with.

    Args:
        config: `text_dropout` is the share of texts to drop.
        paper_bug: as the authors' code does it, where the mask has the wrong sign: that share of texts is kept, and
            all others are dropped.

    Example:
        >>> from gdr.fitting import TrainConfig
        >>> training_config(TrainConfig(text_dropout=0.1), paper_bug=True).text_dropout
        0.9
    """
    return replace(config, text_dropout=1.0 - config.text_dropout) if paper_bug else config


def make_diffusion_part(
    context: BuildContext,
    *,
    encoder: str,
    train: str,
    validation: str,
    model: str,
    config: dict[str, Any],
    paper_bug: bool = False,
) -> dict[str, Any]:
    """Bundle part: an MLP that denoises pooled latents.

    Args:
        context: the build.
        encoder: whose latents and text vectors.
        train, validation: splits.
        model: a name in `MLP_CONFIGS`.
        config: keys of `TrainConfig`.
        paper_bug: train with the authors' text dropout, see `training_config`.
    """
    from baselines._mlp_model import MLPDenoiser
    from gdr.fitting import TrainConfig
    from gdr.train import describe, store_part
    from gdr.train import train as train_diffusion

    data, held_out = (_pooled_pairs(context, encoder, split) for split in (train, validation))
    sizes = _sizes(model, data)
    settings = training_config(TrainConfig(**config), paper_bug)
    start = time.monotonic()
    result = train_diffusion(data, held_out, partial(MLPDenoiser, sizes), settings, context.report, context.device)
    metadata = describe(sizes, data, "pooled", encoder, paper_bug=paper_bug)
    return store_part(context, result, metadata, settings, time.monotonic() - start)


def make_regression_part(
    context: BuildContext, *, encoder: str, train: str, validation: str, model: str, config: dict[str, Any]
) -> dict[str, Any]:
    """Bundle part: an MLP that predicts pooled latents; its keys are those of `make_diffusion_part`."""
    from baselines._mlp_model import MLPRegressor
    from gdr.fitting import TrainConfig
    from gdr.train import describe, store_part

    data, held_out = (_pooled_pairs(context, encoder, split) for split in (train, validation))
    sizes, settings = _sizes(model, data), TrainConfig(**config)
    start = time.monotonic()
    result = train_regression(data, held_out, partial(MLPRegressor, sizes), settings, context.report, context.device)
    return store_part(context, result, describe(sizes, data, "pooled", encoder), settings, time.monotonic() - start)


def _pooled_pairs(context: BuildContext, encoder: str, split: str) -> GDRData:
    from gdr.train import with_frames
    from gdr.training_data import read_pairs

    return with_frames(read_pairs(context, encoder, split, condition="pooled"), 1)


def _sizes(name: str, data: GDRData) -> MLPConfig:
    """The config of that name, with the widths of the data."""
    from baselines._mlp_model import MLP_CONFIGS

    if name not in MLP_CONFIGS:
        raise UserError(f"model: no config {name!r} (known: {', '.join(MLP_CONFIGS)})")
    return replace(MLP_CONFIGS[name], dim=data.frames.shape[-1], text_dim=data.text.width)
