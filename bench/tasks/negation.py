"""Negation: pairs of a caption and a negative; a modifier takes the negated value out of the results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets.gmcaps.twins import where_key
from bench.gallery import Gallery, query_vectors
from bench.metrics.control import oracle_kept_at_k
from bench.metrics.measured import Lazy, Measured, Spread
from bench.pairs import FAMILY, Negative, PairSet, choose_pairs, negated_mask
from bench.protocols import Dataset, Edit, Sampling
from bench.queries import QueryContext, QuerySource
from bench.tasks._truth import TruthMasks
from bench.tasks.common import TOP, SpreadSettings, Twins, floors, relative_kept, with_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NegationTask"]


class NegationTask:
    """Pairs of a caption and a negative; every modifier is asked to take the negated value out of the results."""

    def __init__(
        self,
        dataset: Dataset,
        gallery: Gallery,
        source: QuerySource,
        negatives: Sequence[Negative],
        pairs: PairSet,
        sampling: Sampling,
        spread: SpreadSettings,
        references: Lazy,
        modifiers: Any,
        twins: Twins | None = None,
    ) -> None:
        assert dataset.truth is not None
        self.dataset, self.gallery, self.negatives, self.pairs, self.spread = dataset, gallery, negatives, pairs, spread
        self.captions = dataset.captions.iloc[pairs.caption].reset_index(drop=True)
        edits = [Edit(negatives[i].text, negatives[i].irrelevant) for i in pairs.negative]
        self.context = QueryContext(source, list(self.captions["text"]), edits, sampling, modifiers)
        index = dataset.track_index()
        self.relevant = np.array([index[t] for t in self.captions["track_id"]])
        self.masks = TruthMasks(dataset.truth)
        self.references = references
        self._twins = twins

    @staticmethod
    def choose(
        dataset: Dataset,
        gallery: Gallery,
        source: QuerySource,
        negatives: Sequence[Negative],
        sampling: Sampling,
        *,
        candidates: int,
        per_negative: int,
    ) -> PairSet:
        """Choose the pairs from what the unmodified queries retrieve under `sampling` (its seed is the selection's)."""
        rows = np.arange(min(candidates, len(dataset.captions)))
        texts = [dataset.captions["text"].iloc[row] for row in rows]
        top = gallery.top(query_vectors(source.query(texts, sampling)), TOP)
        return choose_pairs(dataset, negatives, top, rows, per_negative)

    @cached_property
    def labels(self) -> pd.DataFrame:
        chosen = [self.negatives[i] for i in self.pairs.negative]
        frame = self.captions[["caption_id", "track_id"]].copy()
        frame["query_id"] = [f"{c}|{n.id}" for c, n in zip(frame.pop("caption_id"), chosen, strict=True)]
        frame = frame.assign(cluster_id=frame["track_id"]).rename(columns={"track_id": "relevant_id"})
        return frame.assign(
            negative_id=[n.id for n in chosen],
            category=[n.category for n in chosen],
            phrasing=[n.phrasing for n in chosen],
            target_set=np.where(self.pairs.has, "has", "lacks"),
        )

    @cached_property
    def negated(self) -> np.ndarray:
        """(n, N) bool: tracks with the value that the pair's negative forbids."""
        per_negative = np.stack([negated_mask(n, self.masks.truth) for n in self.negatives])
        return per_negative[self.pairs.negative]

    @cached_property
    def _stated(self) -> list[list[np.ndarray]]:
        """For each pair, the tracks that satisfy each further statement of the caption."""
        out = []
        for statements, number in zip(self.captions["stated"], self.pairs.negative, strict=True):
            families = {FAMILY[p.attribute] for p in self.negatives[number].where}
            # An instrument that the caption names is not entailed by the negated one: pairs leave those open.
            entailed = families - {"instrument"}
            out.append([self.masks(s) for s in statements if FAMILY[s["attribute"]] not in entailed])
        return out

    @cached_property
    def _oracle_kept(self) -> np.ndarray:
        return oracle_kept_at_k(self._stated, self.negated, TOP)

    @cached_property
    def targets(self) -> Lazy:
        """What CLAP scores compare with (Table 6's rows)."""
        negatives = [edit.text for edit in self.context.edits]
        makers = {
            "ZA+": lambda: self.gallery.raw[self.relevant],
            "gen+": lambda: self.context.query(self.context.prompts).mean(1),
            "ZT+": lambda: self.context.text(self.context.prompts),
            "gen-": lambda: self.context.query(negatives).mean(1),
            "ZT-": lambda: self.context.text(negatives),
            "ZA-": self._mean_negated,
        }
        return with_text(makers, self.context.source.space)

    def _mean_negated(self) -> np.ndarray:
        unit = self.gallery.unit.astype(np.float64)
        return np.stack([unit[mask].mean(0) for mask in self.negated])

    @cached_property
    def twins(self) -> np.ndarray | None:
        """(n, d) the twin of each target that has the negated value; NaN where the target lacks it or has no twin."""
        if self._twins is None:
            return None
        keys = [where_key(n.where) for n in self.negatives]
        out = np.full((len(self.relevant), self.gallery.raw.shape[1]), np.nan)
        for row, (track, number) in enumerate(zip(self.captions["track_id"], self.pairs.negative, strict=True)):
            if self.pairs.has[row]:
                out[row] = self._twins.find(track, keys[number])
        return out

    @cached_property
    def floors(self) -> dict[str, float]:
        """Fréchet distance of the pairs' own target tracks to each reference: what real music scores at this n."""
        return floors(self.gallery.raw[self.relevant], self.references)

    @cached_property
    def spread_rows(self) -> np.ndarray:
        """Pairs on which the spread of samples is measured: evenly over the negatives."""
        n = len(self.pairs.caption)
        return np.unique(np.linspace(0, n - 1, min(self.spread.queries, n)).round().astype(int))

    def measure(self, modifier: Any, strength: float | None, guidance: float | None, with_spread: bool) -> Measured:
        """Apply a modifier, or generate with plain guidance where `modifier` is None."""
        latents = self.context.under(modifier, strength, guidance)
        vectors = query_vectors(latents)
        default = self.context.sampling.guidance
        before = default if modifier is None else modifier.guidance_before(strength, default)
        top = self.gallery.top(vectors, TOP)
        spread = Spread(
            self.spread_rows,
            lambda: self.context.subset(self.spread_rows, self.spread.samples).under(modifier, strength, guidance),
        )
        return Measured(
            latents=latents,
            vectors=vectors,
            ranks=self.gallery.ranks(vectors, self.relevant),
            n_gallery=len(self.gallery.track_ids),
            top=top,
            lacks=~self.pairs.has,
            targets=self.targets,
            negated=self.negated,
            gallery=self.gallery.raw,
            deterministic=self.context.source.retriever.deterministic,
            twins=self.twins,
            before_top=self._top_at(before),
            kept=relative_kept(top, self._stated, self._oracle_kept),
            references=self.references,
            spread=spread if with_spread else None,
            why_no_spread="measured at the primary strength only",
        )

    def _top_at(self, guidance: float) -> np.ndarray:
        latents = self.context.query(self.context.prompts, guidance)
        return self.gallery.top(query_vectors(latents), TOP)
