"""Retrieval: every caption asks for its own track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.gallery import Gallery, query_vectors
from bench.metrics.measured import Lazy, Measured, Spread
from bench.metrics.pairing import pair_captions
from bench.protocols import Dataset, QuerySet, Sampling
from bench.queries import QuerySource
from bench.tasks._facts import facts_of
from bench.tasks._truth import TruthMasks, oracle_mid_ranks
from bench.tasks.common import TOP, SpreadSettings, TrueTracks, floors, with_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RetrievalTask"]

#: Why there are no further samples of some of the queries.
OF_SETS = "this retriever is fitted on all queries of the evaluation together, not on samples of some"


class RetrievalTask:
    """Every caption (or the first `queries` of a fixed order) asks for its own track."""

    def __init__(
        self,
        dataset: Dataset,
        gallery: Gallery,
        source: QuerySource,
        sampling: Sampling,
        queries: int,
        spread: SpreadSettings | None = None,
        references: Lazy | None = None,
        truth: TrueTracks | None = None,
        first: Sequence[str] = (),
    ) -> None:
        self.dataset, self.gallery, self.source, self.sampling = dataset, gallery, source, sampling
        self.spread, self.references, self.truth = spread or SpreadSettings(), references or Lazy(), truth
        total = len(dataset.captions)
        # A fixed choice, the same for every retriever, space and seed; paired across datasets with the same tracks. The
        # captions of `first` (whose true distribution is known: a random draw themselves) are always among them.
        order = np.random.default_rng(0).permutation(total)
        known = dataset.captions["caption_id"].isin(first).to_numpy()[order]
        order = np.concatenate([order[known], order[~known]])
        self.captions = dataset.captions.iloc[np.sort(order[:queries])].reset_index(drop=True)
        pairing = pair_captions(list(self.captions["track_id"]), dataset.track_ids)
        self.relevant = np.concatenate(pairing.relevant)  # under the protocol `track` each caption has one

    @cached_property
    def labels(self) -> pd.DataFrame:
        frame = self.captions[["caption_id", "track_id"]].rename(columns={"caption_id": "query_id"})
        return frame.assign(cluster_id=frame["track_id"]).rename(columns={"track_id": "relevant_id"})

    @cached_property
    def oracle_ranks(self) -> np.ndarray | None:
        if self.dataset.truth is None:
            return None
        return oracle_mid_ranks(list(self.captions["stated"]), self.relevant, TruthMasks(self.dataset.truth))

    def measure(
        self, modifier: Any, strength: float | None, guidance: float | None, with_spread: bool = True
    ) -> Measured:
        """Query with the captions as they are."""
        sampling = self.sampling if guidance is None else replace(self.sampling, guidance=guidance)
        asked = QuerySet(list(self.captions["text"]), list(self.captions["track_id"]), self.gallery.raw)
        latents = self.source.query_set(asked, sampling)
        vectors = query_vectors(latents)
        return Measured(
            latents=latents,
            vectors=vectors,
            ranks=self.gallery.ranks(vectors, self.relevant),
            n_gallery=len(self.gallery.track_ids),
            top=self.gallery.top(vectors, min(TOP, len(self.gallery.track_ids))),
            deterministic=self.source.retriever.deterministic,
            gallery=self.gallery.raw,
            oracle_ranks=self.oracle_ranks,
            targets=self.targets,
            references=self.references,
            spread=None if self.source.of_sets else self._spread(sampling),
            why_no_spread=OF_SETS,
            true_samples=self._true_samples(sampling),
            facts=self.facts,
        )

    @cached_property
    def targets(self) -> Lazy:
        """What CLAP scores compare with: the target track and the caption's own text vector."""
        makers = {
            "ZA+": lambda: self.gallery.raw[self.relevant],
            "ZT+": lambda: self.source.text(list(self.captions["text"])),
        }
        return with_text(makers, self.source.space)

    @cached_property
    def facts(self) -> Lazy:
        """Facts of the dataset: all of it, not the captions asked."""
        return facts_of(self.dataset)

    @cached_property
    def floors(self) -> dict[str, float]:
        """Fréchet distance of the queries' own target tracks to each reference: what real music scores at this n."""
        return floors(self.gallery.raw[self.relevant], self.references)

    def _samples(self, rows: np.ndarray, sampling: Sampling) -> np.ndarray:
        """K samples of some of the queries, K that of diversity metrics: (m, K, d)."""
        texts = [self.captions["text"].iloc[row] for row in rows]
        return self.source.query(texts, replace(sampling, samples=self.spread.samples))

    def _spread(self, sampling: Sampling) -> Spread:
        n = len(self.captions)
        rows = np.unique(np.linspace(0, n - 1, min(self.spread.queries, n)).round().astype(int))
        return Spread(rows, lambda: self._samples(rows, sampling))

    def _true_samples(self, sampling: Sampling) -> Lazy:
        truth = self.truth
        if self.source.of_sets:
            return Lazy(missing={"tracks": OF_SETS})
        if truth is None:
            return Lazy(missing={"tracks": "no caption of this dataset has a known true distribution in this space"})
        place = {caption: row for row, caption in enumerate(self.captions["caption_id"])}
        asked = [i for i, caption in enumerate(truth.caption_ids) if caption in place]
        if not asked:
            return Lazy(missing={"tracks": "no caption asked here has a known true distribution"})
        rows = np.array([place[truth.caption_ids[i]] for i in asked])
        return Lazy(
            {
                "rows": lambda: rows,
                "queries": lambda: self._samples(rows, sampling),
                "tracks": lambda: truth.tracks[asked],
                "bandwidth": lambda: self.references["jam"].kernel.bandwidth,
            }
        )
