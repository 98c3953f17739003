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
        self._encoded: dict[str, tuple[np.ndarray, np.ndarray]] = {}

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
        """Token states and unit vectors of texts in this space; each distinct text is encoded once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._encoded]
        if new:
            latents = self.encoder.encode_text(new)
            lengths = latents.mask.sum(1)
            for row, text in enumerate(new):
                self._encoded[text] = latents.tokens[row, : lengths[row]], latents.pooled[row]
        rows = [self._encoded[text] for text in texts]
        longest = max((len(states) for states, _ in rows), default=1)
        tokens = np.zeros((len(rows), longest, self.encoder.token_dim), dtype=np.float32)
        mask = np.zeros((len(rows), longest), dtype=bool)
        for row, (states, _) in enumerate(rows):
            tokens[row, : len(states)], mask[row, : len(states)] = states, True
        pooled = np.array([vector for _, vector in rows], dtype=np.float32).reshape(len(rows), self.dim)
        return TextLatents(tokens, mask, pooled)
