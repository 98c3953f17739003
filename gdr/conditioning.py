"""The texts that condition a retriever: states of the space's own text tower, or of any registered text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import registry
from bench.errors import UserError
from bench.protocols import Space, TextLatents

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Conditioner"]


class Conditioner:
    """Prompts -> the states that a network attends to.

    Args:
        space: its text tower is used where `text` is None.
        text: name of a registered text encoder.
    """

    def __init__(self, space: Space, text: str | None = None) -> None:
        self.space = space
        self.text = text
        self._encoded: dict[tuple[str, ...], TextLatents] = {}

    @cached_property
    def _encoder(self) -> Any:
        return registry.encoders.get(self.text)() if self.text is not None else None

    def digest(self) -> str:
        """Digest of the text encoder; empty for the space's own, which the space's digest covers."""
        return "" if self._encoder is None else f"+{self.text}:{self._encoder.digest()}"

    def bundle_files(self) -> tuple[str, ...]:
        """Bundle files of the text encoder, where it has any."""
        return tuple(getattr(self._encoder, "bundle_files", tuple)())

    def check(self, trained_with: str | None, weights: str) -> None:
        """Refuse weights that were trained with another text encoder.

        Args:
            trained_with: name in the file of weights; None where an older file does not say.
            weights: what to call the file.

        Raises:
            UserError: the names differ.
        """
        if trained_with is None:
            return
        if trained_with != (self.text or self.space.name):
            here = f"text: {self.text}" if self.text else f"the text tower of {self.space.name}"
            raise UserError(f"{weights} was trained with text encoder {trained_with!r}, not with {here}")

    def latents(self, texts: Sequence[str]) -> TextLatents:
        """States and vectors of texts; the same list gives the same bits, as `BundledSpace.text` does."""
        if self._encoder is None:
            return self.space.text(texts)
        key = tuple(texts)
        if key not in self._encoded:
            self._encoded[key] = self._encoder.encode_text(list(texts))
        return self._encoded[key]

    def states(self, texts: Sequence[str], condition: str, device: str = "cpu") -> tuple[Tensor, Tensor]:
        """What the network attends to.

        Args:
            texts: P texts.
            condition: `tokens`, or `pooled` for the pooled vector as the only token.
            device: torch device.

        Returns:
            States (P, L, width) float32 and mask (P, L) bool, true for a token.
        """
        import torch

        latents = self.latents(texts)
        tokens, mask = latents.tokens, latents.mask
        if condition == "pooled":
            tokens, mask = latents.pooled[:, None], np.ones((len(texts), 1), dtype=bool)
        return torch.from_numpy(tokens).to(device), torch.from_numpy(mask).to(device)
