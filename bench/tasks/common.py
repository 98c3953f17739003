"""What all experiments share: the gallery of a dataset, the length of a list, where spread is measured."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench import bundle
from bench.gallery import Gallery
from bench.metrics.control import kept_at_k
from bench.metrics.frechet import FrechetReference, SmallSampleWarning
from bench.metrics.kernel import KernelReference
from bench.metrics.measured import Lazy
from bench.protocols import Dataset, Space

__all__ = [
    "TOP", "Reference", "SpreadSettings", "TrueTracks", "Twins", "floors", "gallery_of", "given_captions",
    "references_of", "relative_kept", "true_tracks", "twins_of", "with_text",
]  # fmt: skip

#: Length of the lists that control metrics read.
TOP = 10


class Reference:
    """A reference set of real latents, and what set metrics fit on it, each once for all cells.

    Args:
        load: () -> (m, d) raw vectors.
        moments: where the vectors themselves are not kept: name (`audio`, `text`) -> (mean, covariance).
    """

    def __init__(
        self,
        load: Callable[[], np.ndarray] | None = None,
        moments: Callable[[str], tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        self._load, self._moments = load, moments

    @cached_property
    def raw(self) -> np.ndarray:
        if self._load is None:
            raise ValueError("of this reference only the moments are kept")
        return np.asarray(self._load(), dtype=np.float64)

    @cached_property
    def unit(self) -> np.ndarray:
        return self.raw / np.linalg.norm(self.raw, axis=1, keepdims=True)

    @cached_property
    def frechet(self) -> FrechetReference:
        if self._moments is not None:
            return FrechetReference.from_moments(*self._moments("audio"))
        return FrechetReference.fit(self.raw)

    @cached_property
    def frechet_text(self) -> FrechetReference:
        assert self._moments is not None
        return FrechetReference.from_moments(*self._moments("text"))

    @cached_property
    def frechet_unit(self) -> FrechetReference:
        return FrechetReference.fit(self.unit)

    @cached_property
    def kernel(self) -> KernelReference:
        return KernelReference.fit(self.raw)


@dataclass(frozen=True)
class TrueTracks:
    """The true distribution of some captions: latents of further tracks that satisfy each."""

    caption_ids: tuple[str, ...]
    tracks: np.ndarray
    """(p, M, d) raw latents."""


@dataclass(frozen=True)
class Twins:
    """Latents of twins: the piece without what a negative forbids, by track and by what is forbidden."""

    rows: Mapping[tuple[str, str], int]
    latents: np.ndarray
    """(m, d) raw."""

    def find(self, track_id: str, where: str) -> np.ndarray:
        """(d,) latent of a track's twin; NaN where there is none."""
        row = self.rows.get((track_id, where))
        return np.full(self.latents.shape[1], np.nan) if row is None else self.latents[row]


@dataclass(frozen=True)
class SpreadSettings:
    """Where the spread of samples (MICS, MINVS) is measured: how many queries, with how many samples."""

    samples: int = 10
    queries: int = 40


def gallery_of(dataset: Dataset, source: Any, space: Space) -> Gallery:
    """The gallery of a dataset in a space; tracks and latents must agree in number."""
    raw = space.pooled(dataset.gallery or source.gallery)[: len(dataset.track_ids)]
    if len(raw) != len(dataset.track_ids):
        raise ValueError(f"{len(dataset.track_ids)} tracks in {dataset.name}, but {len(raw)} latents in {space.name}")
    return Gallery(dataset.track_ids, raw)


def with_text(makers: Mapping[str, Callable[[], np.ndarray]], space: Space) -> Lazy:
    """Targets of CLAP scores; those made of text vectors (ZT…) are missing where the space has no text tower."""
    if getattr(space, "has_text", True):
        return Lazy(makers)
    why = f"{space.name} has no text tower"
    return Lazy(
        {name: make for name, make in makers.items() if not name.startswith("ZT")},
        {name: why for name in makers if name.startswith("ZT")},
    )


def relative_kept(top: np.ndarray, stated: Sequence[Sequence[np.ndarray]], oracle_kept: np.ndarray) -> np.ndarray:
    """kept@10 as a share of the oracle's: (n,), NaN where the oracle itself can keep nothing.

    Args:
        top: (n, 10) gallery indices.
        stated: for each query, the tracks that satisfy each statement, (N,) bool.
        oracle_kept: (n,) what an oracle keeps.
    """
    return kept_at_k(top, stated) / np.where(oracle_kept > 0, oracle_kept, np.nan)


def floors(real: np.ndarray, references: Lazy) -> dict[str, float]:
    """Fréchet distance of real tracks to each reference, raw and on unit vectors: what real music scores at this n."""
    raw = np.asarray(real, dtype=np.float64)
    if len(raw) < 2:
        return {}  # one track has no covariance
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    found = {}
    for name in (n for n in references if n != "train"):
        reference: Reference = references[name]
        with warnings.catch_warnings():  # the report prints n beside the floor
            warnings.simplefilter("ignore", SmallSampleWarning)
            found[f"FAD({name})"] = float(reference.frechet.distance(raw))
            found[f"FADunit({name})"] = float(reference.frechet_unit.distance(unit))
    return found


def references_of(space: Space, gallery: Gallery) -> Lazy:
    """Reference sets that set metrics may name: `jam`, the gallery itself (`eval`), and `train`, the space's own."""
    sets = {"jam": lambda: Reference(lambda: space.pooled("jam-train")), "eval": lambda: Reference(lambda: gallery.raw)}
    if not space.has_extra("moments"):
        return Lazy(sets, {"train": f"the bundle keeps no moments of {space.name}'s training set"})

    def moments(kind: str) -> tuple[np.ndarray, np.ndarray]:
        return space.extra("moments", f"{kind}-mean"), space.extra("moments", f"{kind}-cov")

    return Lazy({**sets, "train": lambda: Reference(moments=moments)})


def given_captions(source: Any) -> tuple[str, ...]:
    """Captions of a dataset whose true distribution the bundle has, in whichever space."""
    import pandas as pd

    table = f"given-{source.gallery}.parquet"
    if not bundle.has(table):
        return ()
    return tuple(pd.read_parquet(bundle.path(table), columns=["caption_id"])["caption_id"])


def true_tracks(captions: tuple[str, ...], space: Space) -> TrueTracks | None:
    """The true distribution of `given_captions`, where the bundle has it in this space."""
    if not (captions and space.has_extra("given")):
        return None
    return TrueTracks(captions, space.extra("given", "rows").astype(np.float64))


def twins_of(source: Any, space: Space) -> Twins | None:
    """The twins of a dataset's tracks, where the bundle has them in this space."""
    import pandas as pd

    table = f"twins-{source.gallery}.parquet"
    if not (bundle.has(table) and space.has_extra("twins")):
        return None
    frame = pd.read_parquet(bundle.path(table))
    rows = {
        (track, where): row for track, where, row in zip(frame["track_id"], frame["where"], frame["row"], strict=True)
    }
    return Twins(rows, space.extra("twins", "rows").astype(np.float64))
