"""The paper's regression UNet (section 4.2): the network of GDR, predicting frames from a learned mask embedding."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from baselines.regression import RegressionRetriever, train_regression
from bench.protocols import Space

if TYPE_CHECKING:
    from bench.bundle.build import BuildContext

__all__ = ["UNetRegression", "make_part"]


class UNetRegression(RegressionRetriever):
    """UNet regression: the network of GDR predicts the frames at once, from a learned mask embedding; deterministic.

    Args:
        space: the latent space; its text tower encodes the prompts.
        weights: bundle part, such as `unet-regression-clap`.
        device: torch device; not part of a result's key.
    """

    name = "unet-regression"

    def __init__(self, space: Space, weights: str, device: str = "cpu") -> None:
        super().__init__(space, weights, device)

    def _build(self, config: dict[str, Any], frames: int) -> Any:
        from baselines._unet_regressor import UNetRegressor
        from gdr.unet_config import UNetConfig

        return UNetRegressor(UNetConfig.from_dict(config), frames)


def make_part(
    context: BuildContext, *, encoder: str, train: str, validation: str, model: str, config: dict[str, Any]
) -> dict[str, Any]:
    """Bundle part: a UNet that predicts the frames of one encoder from the token states of its text tower.

    Args:
        context: the build.
        encoder: whose frames and token states.
        train, validation: splits.
        model: a named config, see `gdr.unet_config.NAMED`.
        config: keys of `TrainConfig`.
    """
    from baselines._unet_regressor import UNetRegressor
    from gdr.fitting import TrainConfig
    from gdr.train import describe, fitting_config, named_config, store_part
    from gdr.training_data import read_pairs

    data, held_out = (read_pairs(context, encoder, split) for split in (train, validation))
    # The null text belongs to guidance, which there is none of.
    sizes = replace(fitting_config(named_config(model), data, "x0", "tokens"), null_length=1)
    settings = TrainConfig(**config)
    build = partial(UNetRegressor, sizes, data.frames.shape[1])
    start = time.monotonic()
    result = train_regression(data, held_out, build, settings, context.report, context.device)
    return store_part(context, result, describe(sizes, data, "tokens", encoder), settings, time.monotonic() - start)
