"""Questions to the truth: which tracks satisfy a statement, and where an oracle would rank a target."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets.predicates import Predicate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TruthMasks", "oracle_mid_ranks"]


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
