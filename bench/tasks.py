"""The two kinds of experiment: retrieval (every caption asks for its track) and negation (a caption and a negative)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets.predicates import Predicate
from bench.gallery import Gallery, query_vectors
from bench.metrics.control import kept_at_k, oracle_kept_at_k
from bench.metrics.frechet import FrechetReference
from bench.metrics.measured import Measured
from bench.pairs import FAMILY, Negative, PairSet, choose_pairs, negated_mask
from bench.protocols import Dataset, Edit, Sampling, Space
from bench.queries import QueryContext, QuerySource

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NegationTask", "RetrievalTask", "Spread", "TruthMasks", "oracle_mid_ranks"]

TOP = 10


@dataclass(frozen=True)
class Spread:
    """Where the spread of samples (MICS, MINVS) is measured: how many queries, with how many samples."""

    samples: int = 10
    queries: int = 40


class TruthMasks:
    """Which tracks satisfy a statement: each distinct predicate is evaluated once."""

    def __init__(self, truth: pd.DataFrame) -> None:
        self.truth = truth
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, statement: dict[str, Any]) -> np.ndarray:
        key = json.dumps(statement, sort_keys=True)
        if key not in self._known:
            self._known[key] = Predicate.parse(statement).holds(self.truth)
        return self._known[key]


def oracle_mid_ranks(stated: Sequence[Sequence[dict[str, Any]]], relevant: np.ndarray, masks: TruthMasks) -> np.ndarray:
    """Rank that an oracle gives each target: by the number of stated attributes a track satisfies, ties mid-rank."""
    ranks = np.empty(len(stated))
    for row, statements in enumerate(stated):
        score = np.sum([masks(s) for s in statements], axis=0) if statements else np.zeros(len(masks.truth))
        own = score[relevant[row]]
        ranks[row] = 1 + (score > own).sum() + 0.5 * ((score == own).sum() - 1)
    return ranks


class RetrievalTask:
    """Every caption (or the first `queries` of a fixed order) asks for its own track."""

    def __init__(
        self, dataset: Dataset, gallery: Gallery, source: QuerySource, sampling: Sampling, queries: int
    ) -> None:
        self.dataset, self.gallery, self.source, self.sampling = dataset, gallery, source, sampling
        total = len(dataset.captions)
        # A fixed choice, the same for every retriever and seed; paired across datasets with the same tracks.
        rows = np.sort(np.random.default_rng(0).permutation(total)[:queries]) if queries < total else np.arange(total)
        self.captions = dataset.captions.iloc[rows].reset_index(drop=True)
        index = dataset.track_index()
        self.relevant = np.array([index[t] for t in self.captions["track_id"]])

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
            top=self.gallery.top(vectors, TOP),
            oracle_ranks=self.oracle_ranks,
        )


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
        spread: Spread,
        jam: np.ndarray,
        modifiers: Any,
    ) -> None:
        assert dataset.truth is not None
        self.dataset, self.gallery, self.negatives, self.pairs, self.spread = dataset, gallery, negatives, pairs, spread
        self.captions = dataset.captions.iloc[pairs.caption].reset_index(drop=True)
        edits = [Edit(negatives[i].text, negatives[i].irrelevant) for i in pairs.negative]
        self.context = QueryContext(source, list(self.captions["text"]), edits, sampling, modifiers)
        index = dataset.track_index()
        self.relevant = np.array([index[t] for t in self.captions["track_id"]])
        self.masks = TruthMasks(dataset.truth)
        self._jam = jam

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
    def targets(self) -> dict[str, np.ndarray]:
        """What CLAP scores compare with (Table 6's rows)."""
        negatives = [edit.text for edit in self.context.edits]
        unit = self.gallery.unit.astype(np.float64)
        return {
            "ZA+": self.gallery.raw[self.relevant],
            "gen+": self.context.query(self.context.prompts).mean(1),
            "ZT+": self.context.text(self.context.prompts),
            "gen-": self.context.query(negatives).mean(1),
            "ZT-": self.context.text(negatives),
            "ZA-": np.stack([unit[mask].mean(0) for mask in self.negated]),
        }

    @cached_property
    def references(self) -> dict[str, FrechetReference]:
        unit = self._jam / np.linalg.norm(self._jam, axis=1, keepdims=True)
        return {"jam": FrechetReference.fit(self._jam), "jam:unit": FrechetReference.fit(unit)}

    @cached_property
    def floors(self) -> dict[str, float]:
        """Fréchet distance of the pairs' real target tracks to JAM, at the same n: what real music scores."""
        raw = self.gallery.raw[self.relevant].astype(np.float64)
        unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        return {
            "FAD(jam)": float(self.references["jam"].distance(raw)),
            "FADunit(jam)": float(self.references["jam:unit"].distance(unit)),
        }

    @cached_property
    def spread_rows(self) -> np.ndarray:
        """Pairs on which the spread of samples is measured: evenly over the negatives."""
        n = len(self.pairs.caption)
        return np.unique(np.linspace(0, n - 1, min(self.spread.queries, n)).round().astype(int))

    def measure(self, modifier: Any, strength: float | None, guidance: float | None, with_spread: bool) -> Measured:
        """Apply a modifier, or generate with plain guidance where `modifier` is None."""

        def latents_of(context: QueryContext) -> np.ndarray:
            if modifier is None:
                return context.query(context.prompts, guidance)
            return modifier.apply(context, strength)

        latents = latents_of(self.context)
        vectors = query_vectors(latents)
        default = self.context.sampling.guidance
        before = default if modifier is None else modifier.guidance_before(strength, default)
        top = self.gallery.top(vectors, TOP)
        spread = latents_of(self.context.subset(self.spread_rows, self.spread.samples)) if with_spread else None
        return Measured(
            latents=latents,
            vectors=vectors,
            ranks=self.gallery.ranks(vectors, self.relevant),
            n_gallery=len(self.gallery.track_ids),
            top=top,
            lacks=~self.pairs.has,
            targets=self.targets,
            negated=self.negated,
            before_top=self._top_at(before),
            kept=self._kept(top),
            references=self.references,
            diversity_rows=self.spread_rows if with_spread else None,
            diversity=spread,
            why_no_diversity="measured at the primary strength only",
        )

    def _kept(self, top: np.ndarray) -> np.ndarray:
        """kept@10 as a share of the oracle's; NaN where the oracle itself can keep nothing."""
        possible = np.where(self._oracle_kept > 0, self._oracle_kept, np.nan)
        return kept_at_k(top, self._stated) / possible

    def _top_at(self, guidance: float) -> np.ndarray:
        latents = self.context.query(self.context.prompts, guidance)
        return self.gallery.top(query_vectors(latents), TOP)


def gallery_of(dataset: Dataset, source: Any, space: Space) -> Gallery:
    """The gallery of a dataset in a space; tracks and latents must agree in number."""
    raw = space.pooled(source.gallery)[: len(dataset.track_ids)]
    if len(raw) != len(dataset.track_ids):
        raise ValueError(f"{len(dataset.track_ids)} tracks in {dataset.name}, but {len(raw)} latents in {space.name}")
    return Gallery(dataset.track_ids, raw)
