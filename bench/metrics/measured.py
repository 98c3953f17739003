"""What was measured of one cell, and what a registered metric is: a key, its meaning, and a function of that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Measured", "Metric"]


@dataclass(frozen=True)
class Measured:
    """Arrays of one cell over its n queries; what a suite does not have is None or empty."""

    latents: np.ndarray
    """(n, K, d) query latents, raw time means."""
    vectors: np.ndarray
    """(n, d) query vectors, unit norm."""
    ranks: np.ndarray
    """(n,) mid-rank of the relevant track, 1 is best."""
    n_gallery: int
    top: np.ndarray
    """(n, 10) gallery indices, nearest first."""
    lacks: np.ndarray | None = None
    """(n,) bool: the target lacks the negated value (retrieval counts there); None: every target counts."""
    targets: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What CLAP scores compare with, by name: (n, d)."""
    negated: np.ndarray | None = None
    """(n, N) bool: gallery tracks with the negated value."""
    before_top: np.ndarray | None = None
    """(n, 10) of the unmodified query."""
    kept: np.ndarray | None = None
    """(n,) kept@10 relative to the oracle's; NaN where the query states nothing else."""
    oracle_ranks: np.ndarray | None = None
    """(n,) mid-rank of the target for an oracle that knows which tracks fit the caption."""
    references: Mapping[str, Any] = field(default_factory=dict)
    """Fitted Fréchet references: `jam` (raw) and `jam:unit`."""
    diversity_rows: np.ndarray | None = None
    """(m,) the queries on which the spread of samples is measured."""
    diversity: np.ndarray | None = None
    """(m, K', d) their samples."""
    why_no_diversity: str = "not asked for"

    @property
    def n(self) -> int:
        return len(self.latents)

    @property
    def raw(self) -> np.ndarray:
        """(n, d) mean over samples, raw length."""
        return self.latents.astype(np.float64).mean(1)


Compute = Callable[[Measured, re.Match[str]], np.ndarray]
Statistic = Callable[[Measured, re.Match[str], np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """A registered metric family: which keys it answers to, and how a key is computed.

    Exactly one of `per_query` and `statistic` is set. `per_query` gives (n,) values, NaN where a query does not count;
    they are averaged, or their median is taken (`aggregate`). `statistic` gives one number for a set of rows.
    """

    name: str
    pattern: str
    unit: str
    higher_is_better: bool | None
    range: tuple[float | None, float | None]
    reference: str
    per_query: Compute | None = None
    statistic: Statistic | None = None
    aggregate: str = "mean"
    why_null: Callable[[Measured], str | None] = lambda measured: None
    """Why there is no value, where there is none."""

    @property
    def level(self) -> str:
        return "query" if self.per_query else "set"

    def match(self, key: str) -> re.Match[str] | None:
        return re.fullmatch(self.pattern, key)

    def info(self) -> dict[str, Any]:
        """The entry of `metric_info` in summary.json."""
        return {
            "higher_is_better": self.higher_is_better,
            "unit": self.unit,
            "range": list(self.range),
            "level": self.level,
        }
