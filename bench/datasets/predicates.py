"""Statements about a track's true attributes, and their evaluation over a truth table.

A predicate is a small mapping, so that captions, prompt files and results can store it as JSON:
`{"attribute": "genre", "in": ["jazz"]}`, `{"attribute": "bpm", "min": 115}`,
`{"attribute": "instrument", "not_in": ["acoustic guitar"]}`. The attribute `instrument` speaks of the lead
and the accompaniment together; `tempo` of the tempo word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets.gmcaps.attributes import TEMPOS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ATTRIBUTES", "Predicate"]

ATTRIBUTES = ("genre", "mood", "lead", "accompaniment", "instrument", "bass", "drums", "key", "mode", "bpm", "tempo")


@dataclass(frozen=True)
class Predicate:
    """One statement: the attribute's value lies in a set, outside a set, or within bounds (both included)."""

    attribute: str
    in_: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Predicate:
        """Read a predicate from its JSON form.

        Raises:
            ValueError: unknown attribute or key, or nothing stated.
        """
        unknown = set(data) - {"attribute", "in", "not_in", "min", "max"}
        if unknown:
            raise ValueError(f"unknown predicate key {sorted(unknown)[0]!r} (known: attribute, in, not_in, min, max)")
        attribute = data.get("attribute")
        if attribute not in ATTRIBUTES:
            raise ValueError(f"unknown attribute {attribute!r} (known: {', '.join(ATTRIBUTES)})")
        sets = tuple(data.get("in", ())), tuple(data.get("not_in", ()))
        made = cls(attribute, *sets, data.get("min"), data.get("max"))
        if not made.in_ and not made.not_in and made.min is None and made.max is None:
            raise ValueError(f"predicate on {attribute!r} states nothing (give in, not_in, min or max)")
        return made

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"attribute": self.attribute}
        if self.in_:
            out["in"] = list(self.in_)
        if self.not_in:
            out["not_in"] = list(self.not_in)
        if self.min is not None:
            out["min"] = self.min
        if self.max is not None:
            out["max"] = self.max
        return out

    def holds(self, truth: pd.DataFrame) -> np.ndarray:
        """Whether the statement is true of each row of a truth table: (N,) bool."""
        columns = self._columns(truth)
        result = np.ones(len(truth), dtype=bool)
        if self.in_:
            result &= np.any([_isin(column, self.in_) for column in columns], axis=0)
        if self.not_in:
            result &= ~np.any([_isin(column, self.not_in) for column in columns], axis=0)
        if self.min is not None:
            result &= truth["bpm"].to_numpy() >= self.min
        if self.max is not None:
            result &= truth["bpm"].to_numpy() <= self.max
        return result

    def _columns(self, truth: pd.DataFrame) -> list[np.ndarray]:
        if self.attribute == "instrument":
            return [truth["lead"].to_numpy(), truth["accompaniment"].to_numpy()]
        if self.attribute == "tempo":
            bpm = truth["bpm"].to_numpy()
            words = np.empty(len(bpm), dtype=object)
            for word, (low, high) in TEMPOS.items():
                words[(bpm >= low) & (bpm <= high)] = word
            return [words]
        return [truth[self.attribute].to_numpy()]


def _isin(column: np.ndarray, values: tuple[str, ...]) -> np.ndarray:
    """Membership for a column of values, or of lists of values (then: any of them)."""
    wanted = set(values)
    return np.fromiter(
        (not wanted.isdisjoint(v) if isinstance(v, (list, tuple, np.ndarray)) else v in wanted for v in column),
        dtype=bool,
        count=len(column),
    )
