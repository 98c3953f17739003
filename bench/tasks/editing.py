"""Editing: a query that a user is partly satisfied with is moved towards a refined prompt (PROTOCOL.md 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.gallery import Gallery, query_vectors
from bench.metrics.control import oracle_kept_at_k
from bench.metrics.measured import Lazy, Measured, Spread
from bench.pairs import FAMILY
from bench.prompts import Refinement
from bench.protocols import Dataset, Edit, Sampling
from bench.queries import QueryContext, QuerySource
from bench.tasks._truth import TruthMasks
from bench.tasks.common import TOP, SpreadSettings, floors, relative_kept, with_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EditTask", "edit_targets"]

#: Added to the sampling's seed for the latent that the refined prompt generates by itself: a modifier that generates
#: from that prompt with the suite's own seed would otherwise be compared with itself.
OTHER_SEED = 7001


def edit_targets(context: QueryContext) -> dict[str, Callable[[], np.ndarray]]:
    """What any edit is compared with: the first query and its text, and what the edited text says and generates."""
    edited = [edit.text for edit in context.edits]
    other = replace(context.sampling, seed=context.sampling.seed + OTHER_SEED)
    return {
        "gen+": lambda: context.query(context.prompts).mean(1),
        "gen:new": lambda: context.source.query(edited, other).mean(1),
        "ZT+": lambda: context.text(context.prompts),
        "ZT:new": lambda: context.text(edited),
    }


class EditTask:
    """Refinements of captions; every modifier is asked to move the query, and to keep what was not to change."""

    def __init__(
        self,
        dataset: Dataset,
        gallery: Gallery,
        source: QuerySource,
        refinements: Sequence[Refinement],
        sampling: Sampling,
        spread: SpreadSettings,
        references: Lazy,
        modifiers: Any,
    ) -> None:
        assert dataset.truth is not None
        self.dataset, self.gallery, self.spread, self.references = dataset, gallery, spread, references
        self.refinements = tuple(refinements)
        place = {caption: row for row, caption in enumerate(dataset.captions["caption_id"])}
        rows = [place[refinement.caption] for refinement in self.refinements]
        self.captions = dataset.captions.iloc[rows].reset_index(drop=True)
        edits = [Edit(refinement.edit) for refinement in self.refinements]
        prompts = [refinement.prompt for refinement in self.refinements]
        self.context = QueryContext(source, prompts, edits, sampling, modifiers)
        index = dataset.track_index()
        self.relevant = np.array([index[track] for track in self.captions["track_id"]])
        self.masks = TruthMasks(dataset.truth)

    @cached_property
    def labels(self) -> pd.DataFrame:
        frame = self.captions[["track_id"]].rename(columns={"track_id": "relevant_id"})
        return frame.assign(
            query_id=[r.id for r in self.refinements],
            # Every refinement is written by hand about a track of its own: the refinement is the cluster.
            cluster_id=[r.id for r in self.refinements],
            kind=[r.kind for r in self.refinements],
        )

    def _holds(self, statements: Sequence[dict[str, Any]]) -> np.ndarray:
        return np.logical_and.reduce([self.masks(dict(s)) for s in statements])

    @cached_property
    def wanted(self) -> np.ndarray:
        """(n, N) bool: tracks with all that the refinement asks for."""
        return np.stack([self._holds(r.gained) for r in self.refinements])

    @cached_property
    def _stated(self) -> list[list[np.ndarray]]:
        """What each caption states besides what the refinement changes."""
        out = []
        for stated, refinement in zip(self.captions["stated"], self.refinements, strict=True):
            lost = {FAMILY[s["attribute"]] for s in refinement.lost}
            out.append([self.masks(s) for s in stated if FAMILY[s["attribute"]] not in lost])
        return out

    @cached_property
    def _oracle_kept(self) -> np.ndarray:
        return oracle_kept_at_k(self._stated, ~self.wanted, TOP)

    @cached_property
    def targets(self) -> Lazy:
        """What CLAP scores compare with: the five of Figure 5, and the added and removed words of Figure 4."""
        context = self.context
        makers = {
            "ZA+": lambda: self.gallery.raw[self.relevant],
            **edit_targets(context),
            "ZT:added": lambda: context.text([r.added for r in self.refinements]),
            "ZT:removed": self._removed_words,
        }
        return with_text(makers, context.source.space)

    def _removed_words(self) -> np.ndarray:
        vectors = self.context.text([r.removed or r.prompt for r in self.refinements]).astype(np.float64)
        vectors[[not r.removed for r in self.refinements]] = np.nan
        return vectors

    @cached_property
    def floors(self) -> dict[str, float]:
        """Fréchet distance of the captions' own tracks to each reference: what real music scores at this n."""
        return floors(self.gallery.raw[self.relevant], self.references)

    def measure(self, modifier: Any, strength: float | None, guidance: float | None, with_spread: bool) -> Measured:
        """Apply a modifier, or generate under the first prompt where `modifier` is None."""
        latents = self.context.under(modifier, strength, guidance)
        vectors = query_vectors(latents)
        top = self.gallery.top(vectors, TOP)
        rows = np.arange(len(self.refinements))
        spread = Spread(
            rows, lambda: self.context.subset(rows, self.spread.samples).under(modifier, strength, guidance)
        )
        return Measured(
            latents=latents,
            vectors=vectors,
            ranks=self.gallery.ranks(vectors, self.relevant),
            n_gallery=len(self.gallery.track_ids),
            top=top,
            deterministic=self.context.source.retriever.deterministic,
            gallery=self.gallery.raw,
            targets=self.targets,
            wanted=self.wanted,
            before_top=self._before_top,
            kept=relative_kept(top, self._stated, self._oracle_kept),
            references=self.references,
            spread=spread if with_spread else None,
            why_no_spread="measured at the primary strength only",
        )

    @cached_property
    def _before_top(self) -> np.ndarray:
        return self.gallery.top(query_vectors(self.context.query(self.context.prompts)), TOP)
