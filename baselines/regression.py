"""What the regression rivals share: training by mean squared error, and a retriever that answers without noise."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import bundle
from bench.protocols import Sampling, Space
from gdr.conditioning import Conditioner

if TYPE_CHECKING:
    import torch

    from gdr.fitting import Report, TrainConfig
    from gdr.latents import LatentScaler
    from gdr.train import TrainResult
    from gdr.training_data import GDRData

__all__ = ["RegressionRetriever", "train_regression"]

BATCH = 256


def train_regression(
    data: GDRData,
    validation: GDRData,
    build: Callable[[], Any],
    config: TrainConfig,
    report: Report | None = None,
    device: str = "cpu",
) -> TrainResult:
    """Train a network to predict latents from texts, by the mean squared error over all frames.

    Args:
        data, validation: pairs; the validation error decides which step is kept and when to stop.
        build: makes the network, called with torch's generator seeded; `forward(tokens, mask)` gives (B, d, T).
        config: hyper-parameters; `text_dropout` has no use here.
        report: called with (step, steps, message).
        device: torch device; the network comes back on the CPU.
    """
    import torch
    import torch.nn.functional as F

    from gdr.fitting import fit
    from gdr.latents import LatentScaler
    from gdr.train import TrainResult, scaled_latents
    from gdr.training_data import Batches

    torch.manual_seed(config.seed)
    scaler = LatentScaler.fit(torch.from_numpy(np.asarray(data.frames, dtype=np.float32)), config.latent_norm)
    x, x_val = (scaled_latents(scaler, each.frames).to(device) for each in (data, validation))
    model = build().to(device)
    batches = Batches(np.diff(data.text.offsets), config.batch_size)

    def batch_loss(rng: np.random.Generator) -> torch.Tensor:
        rows = batches.draw(rng)
        return F.mse_loss(model(*data.text.batch(rows, device)), x[data.owner[rows]])

    @torch.no_grad()
    def judge() -> float:
        place = next(model.parameters()).device
        total = 0.0
        for start in range(0, len(validation.owner), BATCH):
            rows = np.arange(start, min(start + BATCH, len(validation.owner)))
            predicted = model(*validation.text.batch(rows, place))
            total += float(F.mse_loss(predicted, x_val[validation.owner[rows]].to(place))) * len(rows)
        return total / len(validation.owner)

    fitted = fit(model, batch_loss, judge, config, report)
    return TrainResult(model.cpu(), scaler, fitted.history, fitted.best_step, judge)


class RegressionRetriever:
    """A network that predicts query latents from a text, one a prompt.

    Args:
        space: the latent space; its text tower encodes the prompts.
        weights: bundle part.
        device: torch device; not part of a result's key.
    """

    name: str
    version = 1
    deterministic = True

    def __init__(self, space: Space, weights: str, device: str = "cpu") -> None:
        self.space = space
        self.weights = weights
        self.device = device
        self._texts = Conditioner(space)

    def bundle_files(self) -> tuple[str, ...]:
        return (f"{self.weights}.safetensors",)

    def digest(self) -> str:
        """Digest of the weights and of the space, whose text tower conditions the model; loads nothing."""
        return f"{bundle.combined_digest(self.bundle_files())}+{self.space.encoder_digest()}"

    def _build(self, config: dict[str, Any], frames: int) -> Any:
        """The network of a config and a number of frames."""
        raise NotImplementedError

    @cached_property
    def _model(self) -> tuple[Any, LatentScaler, str]:
        from gdr.storage import load_model

        state, scaler, metadata = load_model(bundle.path(self.bundle_files()[0]))
        self._texts.check(metadata.get("text"), self.weights)
        model = self._build(json.loads(metadata["config"]), int(metadata["frames"]))
        model.load_state_dict(state)
        return model.eval().to(self.device), scaler.to(self.device), metadata["condition"]

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Time means of the predicted frames, raw: (P, 1, d) float32. `sampling` plays no part."""
        import torch

        model, scaler, condition = self._model
        out = np.empty((len(prompts), 1, self.space.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(prompts), BATCH):
                texts = prompts[start : start + BATCH]
                predicted = model(*self._texts.states(texts, condition, self.device))
                out[start : start + len(texts), 0] = scaler.invert(predicted.transpose(1, 2)).mean(1).cpu().numpy()
        return out
