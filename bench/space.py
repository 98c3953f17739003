"""A latent space at work: one registered encoder, its gallery latents from the bundle, and its text tower."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench import bundle
from bench.protocols import TextLatents

__all__ = ["BundledSpace"]


class BundledSpace:
    """The space of an encoder whose gallery latents are part of the bundle.

    Args:
        encoder: an object of the `bench.encoders` registry.
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.name: str = encoder.name
        self.dim: int = encoder.dim
        self._encoded: dict[tuple[str, ...], TextLatents] = {}

    def bundle_files(self) -> tuple[str, ...]:
        return (*self.encoder.bundle_files(), f"latents-{self.name}.safetensors", f"space-{self.name}.json")

    def digest(self) -> str:
        """Digest of the encoder and of the gallery latents, without loading either."""
        return bundle.combined_digest(self.bundle_files())

    @cached_property
    def _latents(self) -> dict[str, np.ndarray]:
        from safetensors.numpy import load_file

        return load_file(bundle.path(f"latents-{self.name}.safetensors"))

    def pooled(self, split: str) -> np.ndarray:
        """Time means of a split's frames, raw (norm at most 1): (N, d) float32. Splits: pc-test, sd-test, …"""
        return self._latents[split].astype(np.float32)

    def probes(self) -> dict[str, dict[str, dict[str, float]]]:
        """Balanced accuracy and chance of a logistic probe, by domain and attribute (PROTOCOL.md 2)."""
        return json.loads(bundle.path(f"space-{self.name}.json").read_text())["probes"]

    def text(self, texts: Sequence[str]) -> TextLatents:
        """Token states and unit vectors of texts in this space; a list that was asked before is not encoded again.

        A text's last digits depend on the batch that it is encoded in. The batch is always the list that was asked for,
        never what happens to be missing from memory: a resumed run has then the same bits as one in one piece.
        """
        key = tuple(texts)
        if key not in self._encoded:
            self._encoded[key] = self.encoder.encode_text(list(texts))
        return self._encoded[key]
