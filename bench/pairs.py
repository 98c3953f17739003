"""Which queries a negative is tried on (PROTOCOL.md 5).

A (query, negative) pair is worth asking only if the query leaves the negated attribute open and its results hold the
negated value. Pairs are chosen with one noise seed and measured with another, so that chance in the choice does not
look like removal. Half of a negative's targets lack the negated value (set `lacks`: the target must stay), half have it
(set `has`: it must leave).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets.predicates import Predicate

if TYPE_CHECKING:
    import pandas as pd

    from bench.protocols import Dataset

__all__ = ["FAMILY", "Negative", "PairSet", "choose_pairs", "leaves_open", "negated_mask"]

#: Attributes that speak of one thing: a caption that states one of a family does not leave the others open.
FAMILY = {
    "genre": "genre", "mood": "mood", "lead": "instrument", "accompaniment": "instrument", "instrument": "instrument",
    "bass": "bass", "drums": "drums", "key": "key", "mode": "mode", "bpm": "tempo", "tempo": "tempo",
}  # fmt: skip


@dataclass(frozen=True)
class Negative:
    """One negative of a prompt set: what it says, what it forbids, and its placebo."""

    id: str
    category: str
    phrasing: str
    text: str
    irrelevant: str
    where: tuple[Predicate, ...]


@dataclass(frozen=True)
class PairSet:
    """The pairs of a run: row r asks caption `caption[r]` and negates `negative[r]`."""

    caption: np.ndarray
    """(n,) row of the caption in the dataset."""
    negative: np.ndarray
    """(n,) index of the negative."""
    has: np.ndarray
    """(n,) bool: the target track has the negated value."""


def negated_mask(negative: Negative, truth: pd.DataFrame) -> np.ndarray:
    """Tracks that have what the negative forbids: (N,) bool."""
    return np.logical_and.reduce([predicate.holds(truth) for predicate in negative.where])


def leaves_open(stated: Sequence[Mapping[str, Any]], negative: Negative) -> bool:
    """Whether a caption says nothing about what the negative forbids.

    An instrument is left open unless the caption names one of the negated instruments; any other attribute is left open
    only if the caption does not speak of it at all.
    """
    for predicate in negative.where:
        family = FAMILY[predicate.attribute]
        for statement in stated:
            if FAMILY[statement["attribute"]] != family:
                continue
            if family != "instrument":
                return False
            named = {*statement.get("in", ()), *statement.get("not_in", ())}
            if named & {*predicate.in_, *predicate.not_in}:
                return False
    return True


def choose_pairs(
    dataset: Dataset, negatives: Sequence[Negative], top: np.ndarray, candidates: np.ndarray, per_negative: int
) -> PairSet:
    """Choose the queries of each negative: those whose top 10 holds most of the negated value.

    Args:
        dataset: captions with what they state, and the truth.
        negatives: what to negate.
        top: (C, 10) gallery indices retrieved for the candidate captions, under the selection's own noise.
        candidates: (C,) rows of `dataset.captions`.
        per_negative: pairs a negative, half of them with a target that has the negated value where there are enough.

    Returns:
        The pairs, negative by negative.
    """
    assert dataset.truth is not None
    track_of = np.array([dataset.track_index()[t] for t in dataset.captions["track_id"]])
    stated = list(dataset.captions["stated"])
    chosen: list[tuple[int, int, bool]] = []
    for number, negative in enumerate(negatives):
        mask = negated_mask(negative, dataset.truth)
        share = mask[top].mean(1)
        is_open = np.array([leaves_open(stated[row], negative) for row in candidates])
        # Stable order: largest share first, then the caption's place; a caption with nothing to remove comes last.
        order = np.lexsort((candidates, -share))
        order = order[is_open[order] & (share[order] > 0)]
        has = mask[track_of[candidates[order]]]
        half = per_negative // 2
        with_value, without = order[has][:half], order[~has][: per_negative - half]
        missing = per_negative - len(with_value) - len(without)
        if missing:
            rest = [i for i in order if i not in {*with_value, *without}][:missing]
            without = np.concatenate([without, np.array(rest, dtype=int)])
        picked = sorted(int(i) for i in {*with_value, *without})
        chosen.extend((int(candidates[i]), number, bool(mask[track_of[candidates[i]]])) for i in picked)
    rows = np.array(chosen, dtype=object).reshape(-1, 3)
    return PairSet(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2].astype(bool))
