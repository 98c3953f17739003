"""What the harness asks of its parts: encoders, retrievers, modifiers, datasets; and what they exchange.

Everything here is NumPy; a part that needs torch imports it when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Ask", "AudioEncoder", "Dataset", "DatasetSource", "Edit", "Editing", "EditingRetriever", "GenerativeRetriever",
    "Modifier", "ModifierContext", "QuerySet", "Retriever", "Sampling", "SetRetriever", "Space", "TextEncoder",
    "TextLatents",
]  # fmt: skip


class TextLatents(NamedTuple):
    """What a text encoder gives for P texts."""

    tokens: np.ndarray
    """(P, L, width) float32 token states."""
    mask: np.ndarray
    """(P, L) bool, True where a token is real."""
    pooled: np.ndarray
    """(P, d) float32, unit norm."""


class AudioEncoder(Protocol):
    """Turns waves into latent frames at 1 Hz."""

    name: str
    version: int
    sample_rate: int
    dim: int

    def digest(self) -> str: ...
    def encode_audio(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]: ...


class TextEncoder(Protocol):
    """Turns texts into token states and pooled unit vectors."""

    name: str
    version: int
    token_dim: int

    def digest(self) -> str: ...
    def encode_text(self, texts: Sequence[str]) -> TextLatents: ...


@dataclass(frozen=True)
class Dataset:
    """Tracks, captions and truth of one evaluation set."""

    name: str
    track_ids: tuple[str, ...]
    captions: pd.DataFrame
    """Columns caption_id, track_id, text, stated (list of predicates, see bench.datasets.predicates)."""
    truth: pd.DataFrame | None
    """One row a track, in the order of `track_ids`; None where the truth is not known."""
    fingerprint: str
    """SHA-256 of the content."""
    seconds: float | None = None
    """Length of a track; None where the source does not say."""
    gallery: str | None = None
    """Name of the tracks' latents, as `Space.pooled` takes it, where it depends on options; None: the source's own."""

    def track_index(self) -> dict[str, int]:
        return {track: i for i, track in enumerate(self.track_ids)}


class DatasetSource(Protocol):
    """A registered dataset: names what it needs, and loads."""

    name: str
    version: int

    def files(self) -> tuple[str, ...]: ...
    def load(self, **options: Any) -> Dataset: ...


class Space(Protocol):
    """The latent space of one audio encoder, with its text tower where it has one."""

    name: str
    dim: int

    def digest(self) -> str: ...
    def encoder_digest(self) -> str: ...
    def pooled(self, dataset: str) -> np.ndarray: ...
    def has_extra(self, kind: str) -> bool: ...
    def extra(self, kind: str, name: str) -> np.ndarray: ...
    def text(self, texts: Sequence[str]) -> TextLatents: ...


@dataclass(frozen=True)
class Sampling:
    """How query latents are drawn. Deterministic retrievers ignore all of it."""

    sampler: str = "dpm++2m-10"
    guidance: float = 3.0
    samples: int = 3
    seed: int = 0


@runtime_checkable
class Retriever(Protocol):
    """Prompts -> query latents in one space."""

    name: str
    version: int
    deterministic: bool

    def digest(self) -> str: ...
    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Time means of the generated frames, raw (not renormalised): (P, K, d) float32."""
        ...


@dataclass(frozen=True)
class QuerySet:
    """All queries of one evaluation together, and what they are asked of."""

    prompts: Sequence[str]
    clusters: Sequence[str]
    """Track of each prompt: what is fitted for a prompt must not see another prompt of its track."""
    gallery: np.ndarray | None
    """(N, d) raw time means of the tracks that are searched, without any labels; None where there are none."""


Ask = Callable[[Sequence[str], Sampling], np.ndarray]
"""(prompts, sampling) -> (P, K, d) latents of another retriever."""


@runtime_checkable
class SetRetriever(Retriever, Protocol):
    """A retriever built on another one, whose query also depends on the other queries and on the gallery.

    It should tell the registry name of `base` as `base_name`, since a class's name may stand for several parts.
    """

    base: Retriever

    def query_set(self, asked: QuerySet, sampling: Sampling, ask: Ask) -> np.ndarray:
        """Queries of a whole evaluation, `ask` giving those of `base`, from the cache where they are: (P, K, d)."""
        ...


@runtime_checkable
class GenerativeRetriever(Retriever, Protocol):
    """A retriever whose generation can be steered by a negative prompt (eq. 2)."""

    def query_negative(
        self, prompts: Sequence[str], negatives: Sequence[str], w: float, sampling: Sampling
    ) -> np.ndarray:
        """Eq. 2 with strength w, the same noise as `query`: (P, K, d) float32."""
        ...


@dataclass(frozen=True)
class Editing:
    """How a query that was generated under one prompt is moved to another (section 4.3.2)."""

    method: Literal["inversion", "sdedit", "regeneration"]
    """Invert and denoise; add noise and denoise; or generate anew from the noise of the first prompt."""
    depth: float = 0.4
    """Share of the DDIM steps that are gone back and forth (the paper: 20 of 50)."""
    steps: int = 50
    """DDIM steps of the whole way."""
    guidance_inversion: float = 1.0
    """Guidance while inverting: 1 by default, 3 as the authors' code."""
    refine: int = 0
    """Fixed-point iterations a step of inversion."""
    guidance: float | None = None
    """Guidance of the denoising under the edit; None: that of the sampling."""


@runtime_checkable
class EditingRetriever(Retriever, Protocol):
    """A retriever whose generated queries can be edited."""

    def query_edited(
        self,
        prompts: Sequence[str],
        edited: Sequence[str],
        editing: Editing,
        sampling: Sampling,
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        """Queries of `prompts` (or latent frames `start` (P, T, d)), edited towards `edited`: (P, K, d) float32."""
        ...


@dataclass(frozen=True)
class Edit:
    """What to do to a prompt: take `text` out of it, or go over to `text`; `irrelevant` is a negative's placebo."""

    text: str
    irrelevant: str = ""


class ModifierContext(Protocol):
    """What a modifier may ask for; everything is computed once for all cells that share it."""

    prompts: Sequence[str]
    edits: Sequence[Edit]
    sampling: Sampling

    def query(self, prompts: Sequence[str], guidance: float | None = None) -> np.ndarray: ...
    def query_negative(self, prompts: Sequence[str], negatives: Sequence[str], w: float) -> np.ndarray: ...
    def query_edited(self, editing: Editing) -> np.ndarray: ...
    def text(self, texts: Sequence[str]) -> np.ndarray: ...
    def modified(self, modifier: str, strength: float) -> np.ndarray: ...


class Modifier(Protocol):
    """(retriever, prompts, edits, strength) -> query latents."""

    version: int
    options: dict[str, Any]
    """Every option with its resolved value; part of the cell's key."""

    def guidance_before(self, strength: float | None, default: float) -> float:
        """Guidance of the unmodified query that this modification is measured against."""
        ...

    def evaluations(self, strength: float | None, steps: int) -> int:
        """Network evaluations for one sample of one query (nfe)."""
        ...

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        """Modified query latents: (P, K, d)."""
        ...
