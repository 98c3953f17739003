"""What was measured of one cell, and what a registered metric is: a key, its meaning, and a function of that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["NEEDS", "BoundMetric", "Lazy", "Measured", "Metric", "Spread"]

#: What metrics are computed from: the words of `Metric.needs`.
NEEDS = {
    "ranks": "the rank of each query's relevant items",
    "top": "the first items of each ranking",
    "before": "the rankings of the unmodified queries",
    "truth": "what is true of each item of the gallery",
    "negatives": "negatives that the queries are crossed with",
    "twins": "the same pieces without the negated value",
    "refinements": "refinements of the queries, with what they ask for",
    "queries": "the query vectors",
    "samples": "several samples of each query",
    "true samples": "tracks that truly satisfy a query's caption",
    "targets": "vectors that queries are compared with",
    "text": "vectors of the texts",
    "reference": "a reference set of vectors",
    "dataset": "facts of the whole dataset: its size, its captions",
}


class Lazy(Mapping[str, Any]):
    """Values by name, each made when it is first asked for; what cannot be made says why.

    Args:
        makers: name -> function without arguments.
        missing: name -> why there is no such value here.
    """

    def __init__(
        self, makers: Mapping[str, Callable[[], Any]] | None = None, missing: Mapping[str, str] | None = None
    ) -> None:
        self._makers = dict(makers or {})
        self.missing = dict(missing or {})
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def why_missing(self, name: str) -> str | None:
        """None where the value can be had, else why it cannot."""
        return None if name in self._makers else self.missing.get(name, f"this experiment has no {name}")


@dataclass(frozen=True)
class Spread:
    """Samples of some of the queries, drawn when a metric asks for them."""

    rows: np.ndarray
    """(m,) which queries."""
    draw: Callable[[], np.ndarray]
    """() -> (m, K, d)."""

    @cached_property
    def samples(self) -> np.ndarray:
        return self.draw()


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
    deterministic: bool = False
    """The retriever gives the same query whatever the noise: its samples have no spread to measure."""
    gallery: np.ndarray | None = None
    """(N, d) raw latents of the gallery."""
    lacks: np.ndarray | None = None
    """(n,) bool: the target lacks the negated value (retrieval counts there); None: every target counts."""
    targets: Lazy = field(default_factory=Lazy)
    """What CLAP scores compare with, by name: (n, d); a row of NaN does not count."""
    negated: np.ndarray | None = None
    """(n, N) bool: gallery tracks with the negated value."""
    wanted: np.ndarray | None = None
    """(n, N) bool: gallery tracks with what a refinement asks for."""
    before_top: np.ndarray | None = None
    """(n, 10) of the unmodified query."""
    twins: np.ndarray | None = None
    """(n, d) raw latents of each target's twin without the negated value; NaN where there is none."""
    kept: np.ndarray | None = None
    """(n,) kept@10 relative to the oracle's; NaN where the query states nothing else."""
    oracle_ranks: np.ndarray | None = None
    """(n,) mid-rank of the target for an oracle that knows which tracks fit the caption."""
    references: Lazy = field(default_factory=Lazy)
    """Reference sets by name, such as `jam`: vectors, and what is fitted on them (bench.tasks.common.Reference)."""
    spread: Spread | None = None
    """Samples on which diversity is measured."""
    why_no_spread: str = "not asked for"
    true_samples: Lazy = field(default_factory=Lazy)
    """The true distribution of captions: `queries` (p, K, d) samples of p captions, `tracks` (p, M, d), `rows`."""
    facts: Lazy = field(default_factory=Lazy)
    """Facts of the whole dataset by name, such as `tracks` or `words`; what it does not know is missing."""

    @property
    def n(self) -> int:
        return len(self.latents)

    @cached_property
    def raw(self) -> np.ndarray:
        """(n, d) mean over samples, raw length."""
        return self.latents.astype(np.float64).mean(1)

    @cached_property
    def first_sample(self) -> np.ndarray:
        """(n, d) the first sample alone, raw length."""
        return self.latents[:, 0].astype(np.float64)


Compute = Callable[[Measured, re.Match[str]], np.ndarray]
Statistic = Callable[[Measured, re.Match[str], np.ndarray], float]
Estimate = Callable[[Measured, re.Match[str], np.ndarray], tuple[float, float, float]]


@dataclass(frozen=True, repr=False)
class Metric:
    """A registered metric family: which keys it answers to, and how a key is computed.

    Exactly one of `per_query` and `statistic` is set. `per_query` gives (n,) values, NaN where a query does not count;
    they are averaged, or their median is taken (`aggregate`). `statistic` gives one number for a set of rows.

    `bench ls metrics` reads what stands in the source as plain values, so that it imports nothing: give the first six
    arguments, `needs` and `reference` as literals.

    Raises:
        ValueError: both or none of `per_query` and `statistic`, or a range whose lower end is not below the upper one.

    Example:
        >>> recall = Metric(
        ...     "R@k", r"R@(?P<k>[1-9][0-9]*)", "%", True, (0, 100), "share of queries with a rank up to k",
        ...     per_query=lambda measured, key: 100.0 * (measured.ranks <= int(key["k"])), needs=("ranks",),
        ... )
        >>> recall, recall.bind("R@10")
        (R@k, R@10)
    """

    name: str
    pattern: str
    unit: str
    higher_is_better: bool | None
    """None where neither end is better, such as a similarity to something that may be wanted or not."""
    range: tuple[float | None, float | None]
    """What values may be, None where there is no bound."""
    description: str
    per_query: Compute | None = None
    statistic: Statistic | None = None
    estimate: Estimate | None = None
    """(measured, key, clusters) -> (value, lo, hi) of a set metric that knows its own interval."""
    aggregate: str = "mean"
    why_null: Callable[[Measured, re.Match[str]], str | None] = lambda measured, key: None
    """Why there is no value, where there is none."""
    needs: tuple[str, ...] = ()
    """What it is computed from, in the words of `NEEDS`; a plugin may add words of its own."""
    reference: str = ""
    """Where it is defined: a paper, an equation, a section of docs/metrics.md."""
    version: int = 1
    """Raised when its numbers change: cells with other numbers get other keys."""

    def __post_init__(self) -> None:
        if (self.per_query is None) == (self.statistic is None):
            raise ValueError(f"metric {self.name}: give either per_query or statistic")
        low, high = self.range
        if low is not None and high is not None and not low < high:
            raise ValueError(f"metric {self.name}: the range {self.range} is empty")

    def __repr__(self) -> str:
        return self.name

    @property
    def level(self) -> str:
        return "query" if self.per_query else "set"

    def match(self, key: str) -> re.Match[str] | None:
        return re.fullmatch(self.pattern, key)

    def bind(self, key: str) -> BoundMetric:
        """The metric of one key, such as `R@10`, which is also its repr.

        Raises:
            ValueError: the family does not answer to the key.
        """
        match = self.match(key)
        if match is None:
            raise ValueError(f"metric {self.name} does not answer to {key!r}; its keys are {self.pattern}")
        return BoundMetric(self, key, match)

    def info(self) -> dict[str, Any]:
        """The entry of `metric_info` in summary.json."""
        return {
            "higher_is_better": self.higher_is_better,
            "unit": self.unit,
            "range": list(self.range),
            "level": self.level,
        }


@dataclass(frozen=True, repr=False)
class BoundMetric:
    """One metric of a family: its repr is the key under which results hold it. Made by `Metric.bind`."""

    family: Metric
    key: str
    match: re.Match[str] = field(compare=False)

    def __repr__(self) -> str:
        return self.key

    @property
    def level(self) -> str:
        return self.family.level

    @property
    def needs(self) -> tuple[str, ...]:
        return self.family.needs

    def info(self) -> dict[str, Any]:
        """The entry of `metric_info` in summary.json."""
        return self.family.info()

    def values(self, measured: Measured) -> np.ndarray:
        """(n,) values of a metric of queries, NaN where a query does not count.

        Raises:
            ValueError: it is a metric of a set.
        """
        if self.family.per_query is None:
            raise ValueError(f"{self.key} is a metric of a set: it has a value for a set of rows, not for each query")
        return self.family.per_query(measured, self.match)

    def of_set(self, measured: Measured, rows: np.ndarray) -> float:
        """Value of a metric of a set for some of the queries.

        Raises:
            ValueError: it is a metric of queries.
        """
        if self.family.statistic is None:
            raise ValueError(f"{self.key} is a metric of queries: take its values")
        return self.family.statistic(measured, self.match, rows)
