"""A latent space at work: one registered encoder, its gallery latents from the bundle, and its text tower, if any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench import bundle
from bench.errors import NotApplicable
from bench.latent_storage import unpack_rows
from bench.protocols import TextLatents

__all__ = ["BundledSpace", "NoTextTower"]


#: Arrays that a space may have beside its gallery: bundle files `KIND-ENCODER.safetensors`.
EXTRAS = ("edits", "given", "mixes", "moments", "twins")


class NoTextTower(NotApplicable):
    """A text was asked for in a space of audio alone; what needs one is n/a there, for this reason."""


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
        self._extras: dict[str, dict[str, np.ndarray]] = {}

    def bundle_files(self) -> tuple[str, ...]:
        further = tuple(f for f in (f"{kind}-{self.name}.safetensors" for kind in EXTRAS) if bundle.has(f))
        own = (f"latents-{self.name}.safetensors", f"space-{self.name}.json")
        return (*self.encoder.bundle_files(), *own, *further)

    def digest(self) -> str:
        """Digest of the encoder and of the gallery latents, without loading either."""
        files, own = bundle.combined_digest(self.bundle_files()), self.encoder_digest()
        # An encoder that is nothing but its bundle files is in their digest already.
        return files if own == bundle.combined_digest(self.encoder.bundle_files()) else _hash(files, own)

    def encoder_digest(self) -> str:
        """Digest of the encoder alone: all that a query depends on, whatever gallery it is asked of.

        What the encoder says of itself, and its version from the second on.
        """
        own, version = self.encoder.digest(), self.encoder.version
        return own if version == 1 else _hash(own, f"version={version}")

    @cached_property
    def _latents(self) -> dict[str, np.ndarray]:
        from safetensors.numpy import load_file

        return unpack_rows(load_file(bundle.path(f"latents-{self.name}.safetensors")))

    def pooled(self, split: str) -> np.ndarray:
        """Time means of a split's frames, raw (norm at most 1): (N, d) float32. Splits: pc-test, sd-test, …

        A mixture of the dials is `mixes/LAW-RENDERING`.
        """
        kind, _, name = split.rpartition("/")
        return (self.extra(kind, name) if kind else self._latents[split]).astype(np.float32)

    def has_extra(self, kind: str) -> bool:
        """Whether the bundle has further arrays of a kind (see `EXTRAS`) in this space."""
        return bundle.has(f"{kind}-{self.name}.safetensors")

    def extra(self, kind: str, name: str) -> np.ndarray:
        """A further array of this space: of twins, of edits, of the true distribution of captions, moments."""
        if kind not in self._extras:
            from safetensors.numpy import load_file

            self._extras[kind] = unpack_rows(load_file(bundle.path(f"{kind}-{self.name}.safetensors")))
        return self._extras[kind][name]

    def probes(self) -> dict[str, dict[str, dict[str, float]]]:
        """Balanced accuracy and chance of a logistic probe, by domain and attribute (PROTOCOL.md 2)."""
        return json.loads(bundle.path(f"space-{self.name}.json").read_text())["probes"]

    @property
    def has_text(self) -> bool:
        """Whether the encoder has a text tower; loads nothing."""
        return hasattr(self.encoder, "encode_text")

    def text(self, texts: Sequence[str]) -> TextLatents:
        """Token states and unit vectors of texts in this space; a list that was asked before is not encoded again.

        A text's last digits depend on the batch that it is encoded in. The batch is always the list that was asked for,
        never what happens to be missing from memory: a resumed run has then the same bits as one in one piece.

        Raises:
            NoTextTower: the encoder hears audio alone (see `has_text`).
        """
        if not self.has_text:
            raise NoTextTower(f"{self.name} has no text tower")
        key = tuple(texts)
        if key not in self._encoded:
            self._encoded[key] = self.encoder.encode_text(list(texts))
        return self._encoded[key]


def _hash(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
