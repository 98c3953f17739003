"""Z^align: the queries of another retriever, moved onto the gallery's distribution (section 4.1.1, PROTOCOL.md 7)."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from baselines.alignment import METHODS, Moments, fit_map, moments_of
from bench import bundle, registry
from bench.errors import NotApplicable, UserError
from bench.protocols import Ask, QuerySet, Retriever, Sampling, Space

__all__ = ["HELD_OUT", "SOURCES", "TARGETS", "Aligned", "folds_of"]

SOURCES = ("cross-fitted", "held-out")
"""Where the queries' moments come from: queries of other tracks in the same run, or other prompts altogether."""
TARGETS = ("eval", "train")
"""Whose audio the queries are moved onto: the gallery that is searched, or the encoder's training set."""
HELD_OUT = "pc-validation"
"""Split whose captions are the held-out prompts."""
ROTATION_SEED = 0
"""Of the placebo's rotation, whatever the seed of the run: a deterministic base stays deterministic."""


def folds_of(clusters: Sequence[str], folds: int) -> np.ndarray:
    """Fold of each query, whole clusters at a time: (n,) ints. The deal is fixed by the set of clusters.

    Example:
        >>> dealt = folds_of(["a", "b", "a", "c"], 2)
        >>> bool(dealt[0] == dealt[2]), sorted({int(fold) for fold in dealt})
        (True, [0, 1])
    """
    names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    return (np.random.default_rng(0).permutation(len(names)) % folds)[codes]


class Aligned:
    """Another retriever's queries with the mean and covariance of real audio (Z^align).

    The moments are those of query vectors as they are searched, so of means over samples; the map is applied to every
    sample, which comes to the same after the mean. No label is used, but the map is fitted on sets:

    - source `cross-fitted`: a query's map is fitted on queries of other tracks of the same evaluation (folds by
      track); `held-out`: on captions of PC's validation split, asked of the same retriever.
    - target `eval`: the audio of the gallery that is searched, which makes the retriever transductive; `train`: the
      audio that the encoder was trained on.

    Args:
        space: the latent space.
        weights: what the base retriever loads; None for one that has none.
        base: registry name of the retriever whose queries are moved.
        method: `mean`, `coral`, `ot` or `placebo` (see `baselines.alignment`).
        source, target: see above.
        epsilon: regularisation of covariances, as a share of their mean eigenvalue.
        folds: for `cross-fitted`.
        text: the base's text encoder, where it takes one.
        device: the base's torch device; not part of a result's key.

    Raises:
        UserError: a value that an option cannot have, naming those that it can.
    """

    name = "aligned"
    version = 1

    def __init__(
        self,
        space: Space,
        weights: str | None = None,
        base: str = "gdr",
        method: str = "ot",
        source: str = "cross-fitted",
        target: str = "eval",
        epsilon: float = 1e-3,
        folds: int = 5,
        text: str | None = None,
        device: str = "cpu",
    ) -> None:
        options = {"method": (method, METHODS), "source": (source, SOURCES), "target": (target, TARGETS)}
        for option, (value, known) in options.items():
            if value not in known:
                raise UserError(f"aligned: {option} {value!r} is unknown; choose {' or '.join(known)}")
        if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
            raise UserError(f"aligned: folds must be a whole number of 2 or more, got {folds!r}")
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon < np.inf:
            raise UserError(f"aligned: epsilon must be a number of 0 or more, got {epsilon!r}")
        self.space = space
        self.method, self.source, self.target = method, source, target
        self.epsilon, self.folds = float(epsilon), folds
        self.base_name = base
        self.base: Retriever = _base(space, base, weights, text, device)

    @property
    def deterministic(self) -> bool:
        """As the base is."""
        return self.base.deterministic

    def bundle_files(self) -> tuple[str, ...]:
        """The base's files, the held-out prompts and the training moments, where they are used."""
        base: Any = self.base
        files = [*base.bundle_files()]
        if self.source == "held-out":
            files.append(f"captions-{HELD_OUT}.parquet")
        if self.target == "train":
            files.append(f"moments-{self.space.name}.safetensors")
        return tuple(files)

    def digest(self) -> str:
        """The base's digest and version, every option, and what is read besides; loads nothing."""
        own = [f for f in self.bundle_files() if f.startswith(("captions-", "moments-"))]
        read = f"+{bundle.combined_digest(own)}" if own else ""
        folds = f",{self.folds}" if self.source == "cross-fitted" else ""
        options = f"{self.method},{self.source}{folds},{self.target},{self.epsilon!r}"
        return f"{self.base.digest()}+{self.base_name}{self.base.version}+aligned({options}){read}"

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Aligned latents of prompts that are each a cluster of their own: (P, K, d) float32.

        Raises:
            NotApplicable: the target is a gallery, and here is none; or too few prompts for cross-fitting.
        """
        asked = QuerySet(list(prompts), [str(row) for row in range(len(prompts))], None)
        return self.query_set(asked, sampling, self.base.query)

    def query_set(self, asked: QuerySet, sampling: Sampling, ask: Ask) -> np.ndarray:
        """Aligned latents of all queries of an evaluation: (P, K, d) float32.

        Args:
            asked: prompts, their tracks, and the gallery.
            sampling: of the base.
            ask: the base's queries of any prompts, (P, K, d); a run keeps them in its cache.

        Raises:
            NotApplicable: too few vectors for a covariance, or no gallery where one is the target.
        """
        latents = ask(asked.prompts, sampling)
        target = self._target(asked.gallery)
        out = np.empty(latents.shape, dtype=np.float32)
        for rows, source in self._sources(latents, asked, sampling, ask):
            moved = fit_map(self.method, source, target, self.epsilon, ROTATION_SEED)
            out[rows] = moved(latents[rows])
        return out

    def _sources(
        self, latents: np.ndarray, asked: QuerySet, sampling: Sampling, ask: Ask
    ) -> Iterator[tuple[np.ndarray, Moments]]:
        """Rows of queries, and the moments that their map starts from."""
        if self.source == "held-out":
            held_out = ask(self._held_out, sampling)
            yield np.arange(len(latents)), self._moments(held_out.mean(1, dtype=np.float64), "held-out prompts")
            return
        means = latents.mean(1, dtype=np.float64)
        fold = folds_of(asked.clusters, self.folds)
        for number in range(self.folds):
            rows = np.flatnonzero(fold == number)
            if len(rows):
                yield rows, self._moments(means[fold != number], "queries of other tracks")

    def _target(self, gallery: np.ndarray | None) -> Moments:
        if self.target == "train":
            mean, cov = (self.space.extra("moments", name) for name in ("audio-mean", "audio-cov"))
            return Moments(mean.astype(np.float64), cov.astype(np.float64))
        if gallery is None:
            raise NotApplicable("its queries are moved onto the gallery that is searched: it needs a retrieval suite")
        return self._moments(gallery, "tracks")

    def _moments(self, rows: np.ndarray, what: str) -> Moments:
        """Moments of rows, of which there must be more than dimensions where a covariance is wanted."""
        least = 2 if self.method == "mean" else self.space.dim + 1
        if len(rows) < least:
            raise NotApplicable(
                f"alignment by {self.method!r} in {self.space.dim} dimensions is fitted on {least} {what} or more, "
                f"here are {len(rows)}; ask for more queries"
            )
        return moments_of(rows)

    @cached_property
    def _held_out(self) -> list[str]:
        import pandas as pd

        return list(pd.read_parquet(bundle.path(f"captions-{HELD_OUT}.parquet"), columns=["text"])["text"])


def _base(space: Space, name: str, weights: str | None, text: str | None, device: str) -> Retriever:
    """The retriever whose queries are moved."""
    kind = registry.retrievers.get(name)
    if hasattr(kind, "query_set"):
        raise UserError(f"aligned: base {name!r} is itself fitted on a set of queries; name a plain retriever")
    taken = inspect.signature(kind).parameters
    given: dict[str, Any] = {}
    for option, value in (("weights", weights), ("text", text)):
        if value is None:
            continue
        if option not in taken:
            raise UserError(f"aligned: its base {name!r} takes no option {option!r}; remove it")
        given[option] = value
    if "device" in taken:
        given["device"] = device
    if weights is None and "weights" in taken and taken["weights"].default is inspect.Parameter.empty:
        raise UserError(f"aligned: its base {name!r} needs `weights`; name them beside it")
    made: Retriever = kind(space, **given)
    return made
