"""Guidance: a weighted sum of clean predictions under several texts, from one batched forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import torch

from gdr.schedule import NoiseSchedule

__all__ = ["Branch", "Context", "GuidedDenoiser", "Network", "TimeTable"]


class Context(Protocol):
    """Encoded texts, one row each (`gdr.unet.ContextKV` is one)."""

    @property
    def rows(self) -> int:
        """Number of texts."""
        ...

    def expand(self, rows: int) -> Self:
        """A single text, repeated."""
        ...

    def join(self, *others: Self) -> Self:
        """The rows of all, in order."""
        ...

    def repeated(self, samples: int) -> Self:
        """Each row serving that many consecutive items of a batch."""
        ...


class Network(Protocol):
    """What guidance needs of a model (`gdr.unet.GDRUNet` is one)."""

    @property
    def prediction(self) -> str:
        """``x0`` or ``epsilon``."""
        ...

    def embed_time(self, t: torch.Tensor) -> Any:
        """Features of noise levels (1,)."""
        ...

    def predict(self, x: torch.Tensor, time: Any, context: Any) -> torch.Tensor:
        """The prediction for latents (B, C, T)."""
        ...


class Branch(NamedTuple):
    """One text per prompt and the weight of the prediction under it."""

    weight: float
    context: Context


class TimeTable:
    """The features of noise levels, each computed once for as long as the network's weights stay the same."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._known: dict[tuple[int, torch.device], Any] = {}

    def __call__(self, t: int, device: torch.device) -> Any:
        """Features of level t, of one row that serves a whole batch."""
        key = (t, device)
        if key not in self._known:
            self._known[key] = self._network.embed_time(torch.tensor([t], device=device))
        return self._known[key]


class GuidedDenoiser:
    """A denoiser (x, t) → x0 whose prediction is Σ weight · G(x, t, text) over branches.

    A branch of weight 0 is not evaluated; the others share one forward pass. Predictions are combined as x0: those of
    an ε-model are converted first.

    Args:
        network: the model.
        schedule: the noise schedule it was trained with.
        branches: texts of P rows each, or of one row that serves every prompt.
        samples: K; the batch then holds P·K items, the samples of a prompt next to each other.
        times: a table to share between denoisers of the same network.

    Raises:
        ValueError: if no branch has a weight, or the branches disagree on the number of prompts.
    """

    def __init__(
        self,
        network: Network,
        schedule: NoiseSchedule,
        branches: Sequence[Branch],
        *,
        samples: int = 1,
        times: TimeTable | None = None,
    ) -> None:
        active = [branch for branch in branches if branch.weight != 0.0]
        if not active:
            raise ValueError("guidance needs at least one branch with a weight other than 0")
        rows = max(branch.context.rows for branch in branches)
        contexts = [_to_rows(branch.context, rows) for branch in active]
        self.network = network
        self.schedule = schedule
        self.weights = tuple(branch.weight for branch in active)
        self.items = rows * samples
        self._context = contexts[0].join(*contexts[1:]).repeated(samples)
        self._times = TimeTable(network) if times is None else times

    def __call__(self, x: torch.Tensor, t: int) -> torch.Tensor:
        """Predict the clean latents of x (P·K, C, T) at level t."""
        if x.shape[0] != self.items:
            raise ValueError(f"this denoiser holds the texts of {self.items} items, got a batch of {x.shape[0]}")
        count = len(self.weights)
        stacked = x if count == 1 else x.repeat(count, *[1] * (x.dim() - 1))
        predicted = self.network.predict(stacked, self._times(t, x.device), self._context)
        if self.network.prediction == "epsilon":
            predicted = self.schedule.x0_from_epsilon(stacked, predicted, t)
        if self.weights == (1.0,):
            return predicted
        first, *rest = predicted.unflatten(0, (count, -1)).unbind(0)
        total = first * self.weights[0]
        for part, weight in zip(rest, self.weights[1:], strict=True):
            total = total + weight * part
        return total

    @classmethod
    def plain(
        cls,
        network: Network,
        schedule: NoiseSchedule,
        positive: Context,
        null: Context | None = None,
        *,
        scale: float = 1.0,
        samples: int = 1,
        times: TimeTable | None = None,
    ) -> Self:
        """Classifier-free guidance: null + scale · (positive − null).

        Raises:
            ValueError: if the scale is not 1 and there is no null text.
        """
        if null is None and scale != 1.0:
            raise ValueError(f"guidance scale {scale} needs the null text; only scale 1 does without")
        branches = [Branch(scale, positive)] + ([] if null is None else [Branch(1.0 - scale, null)])
        return cls(network, schedule, branches, samples=samples, times=times)

    @classmethod
    def negative(
        cls,
        network: Network,
        schedule: NoiseSchedule,
        positive: Context,
        negative: Context,
        *,
        w: float,
        samples: int = 1,
        times: TimeTable | None = None,
    ) -> Self:
        """The paper's eq. 2: (1 + w) · positive − w · negative. The authors' code calls s = w + 1 the scale."""
        branches = [Branch(1.0 + w, positive), Branch(-w, negative)]
        return cls(network, schedule, branches, samples=samples, times=times)

    @classmethod
    def three_branch(
        cls,
        network: Network,
        schedule: NoiseSchedule,
        positive: Context,
        negative: Context,
        null: Context,
        *,
        toward: float,
        away: float,
        samples: int = 1,
        times: TimeTable | None = None,
    ) -> Self:
        """Our extension: null + toward · (positive − null) − away · (negative − null)."""
        branches = [Branch(1.0 - toward + away, null), Branch(toward, positive), Branch(-away, negative)]
        return cls(network, schedule, branches, samples=samples, times=times)


def _to_rows(context: Context, rows: int) -> Context:
    if context.rows == rows:
        return context
    if context.rows != 1:
        raise ValueError(f"branches hold {context.rows} and {rows} texts; give one per prompt, or one for all")
    return context.expand(rows)
