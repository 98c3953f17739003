"""Retrieval: every caption asks for its own track."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.gallery import Gallery, query_vectors
from bench.metrics.measured import Lazy, Measured, Spread
from bench.metrics.pairing import pair_captions
from bench.protocols import Dataset, Sampling
from bench.queries import QuerySource
from bench.tasks._truth import TruthMasks, oracle_mid_ranks
from bench.tasks.common import TOP, SpreadSettings, TrueTracks, floors, with_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RetrievalTask"]


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
    ) -> None:
        self.dataset, self.gallery, self.source, self.sampling = dataset, gallery, source, sampling
        self.spread, self.references, self.truth = spread or SpreadSettings(), references or Lazy(), truth
        total = len(dataset.captions)
        # A fixed choice, the same for every retriever and seed; paired across datasets with the same tracks. Captions
        # whose true distribution is known come first (they are a random draw themselves).
        order = np.random.default_rng(0).permutation(total)
        if truth is not None:
            known = dataset.captions["caption_id"].isin(truth.caption_ids).to_numpy()[order]
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

    def measure(self, modifier: Any, strength: float | None, guidance: float | None) -> Measured:
        """Query with the captions as they are."""
        sampling = self.sampling if guidance is None else replace(self.sampling, guidance=guidance)
        latents = self.source.query(list(self.captions["text"]), sampling)
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
            spread=self._spread(sampling),
            true_samples=self._true_samples(sampling),
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
        if truth is None:
            return Lazy(missing={"tracks": "no caption of this dataset has a known true distribution in this space"})
        place = {caption: row for row, caption in enumerate(self.captions["caption_id"])}
        asked = [i for i, caption in enumerate(truth.caption_ids) if caption in place]
        rows = np.array([place[truth.caption_ids[i]] for i in asked])
        return Lazy(
            {
                "rows": lambda: rows,
                "queries": lambda: self._samples(rows, sampling),
                "tracks": lambda: truth.tracks[asked],
                "bandwidth": lambda: self.references["jam"].kernel.bandwidth,
            }
        )
