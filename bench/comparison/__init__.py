"""Comparing two runs, or two retrievers of one run, query by query.

The package is not called `compare`, because `bench.compare` is a function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import stats
from bench.comparison.cells import Pair, checked, matched, one_run
from bench.comparison.paired import CellComparison, Change, Difference, compare_cells
from bench.comparison.values import is_of_ranks
from bench.report.load import Run, Value
from bench.stats import finite

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellComparison", "Change", "Comparison", "Difference", "Pair", "compare_runs", "one_run"]


@dataclass(frozen=True)
class Comparison:
    """All cells that two runs share, compared on their shared queries."""

    a: str
    b: str
    """Folders of the runs."""
    retrievers: tuple[str, str] | None
    cells: tuple[CellComparison, ...]

    @property
    def n_tests(self) -> int:
        """Number of tests that Holm's correction counts."""
        return sum(d.p is not None for cell in self.cells for d in cell.differences)

    def rows(self) -> list[dict[str, Any]]:
        """One row a cell and metric, in full precision; what cannot be had is None."""
        return [_row(cell, difference) for cell in self.cells for difference in cell.differences]

    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def document(self) -> dict[str, Any]:
        """What is written as JSON: no NaN, no infinity."""
        changes = [
            {
                "dataset": cell.pair.a["dataset"], "retriever_a": cell.pair.a["retriever"],
                "retriever_b": cell.pair.b["retriever"], "method": cell.method, "seed": cell.pair.a["seed"],
                "n_changed": cell.n_changed,
                "queries": [
                    {"query_id": c.query_id, "track": c.track, "rank_a": finite(c.rank_a), "rank_b": finite(c.rank_b)}
                    for c in cell.changes
                ],
            }
            for cell in self.cells
        ]  # fmt: skip
        return {
            "schema_version": 1, "a": self.a, "b": self.b, "retrievers": self.retrievers, "n_tests": self.n_tests,
            "differences": self.rows(), "changes": changes,
        }  # fmt: skip


def compare_runs(
    a: str | Path | Run,
    b: str | Path | Run | None = None,
    *,
    retrievers: tuple[str, str] | None = None,
    dataset: str | None = None,
    modifier: str | None = None,
    metrics: Sequence[str] | None = None,
    top: int = 10,
) -> Comparison:
    """Compare two runs cell by cell on the queries that both ask.

    Args:
        a: a run, or its folder.
        b: another one; None compares two retrievers of `a`.
        retrievers: the one in `a` and the one in `b`; None compares each retriever with itself.
        dataset, modifier: the cells to compare; None for all.
        metrics: keys; None for all that both measure, and logRank.
        top: number of changed queries to tell of each cell.

    Raises:
        UserError: different data, nothing in common, an unknown name, or files that cannot be read.
    """
    first = a if isinstance(a, Run) else one_run(a)
    second = first if b is None else b if isinstance(b, Run) else one_run(b)
    keys = None if metrics is None else list(dict.fromkeys(metrics))  # a test that is asked for twice is one test
    for key in keys or ():
        if not is_of_ranks(key):
            checked("metric", key, {*first.metric_info, "logRank"}, first.folder)
    pairs = matched(first, second, retrievers, dataset=dataset, modifier=modifier)
    cells = [compare_cells(first, second, pair, keys, top) for pair in pairs]
    return Comparison(str(first.folder), str(second.folder), retrievers, tuple(_corrected(cells)))


def _corrected(cells: Sequence[CellComparison]) -> list[CellComparison]:
    """Holm's correction over every test; a cell without any difference was not tested."""
    untested = [
        replace(cell, differences=tuple(replace(d, p=None, test=None) for d in cell.differences))
        if cell.identical
        else cell
        for cell in cells
    ]
    adjusted = iter(stats.holm([d.p for cell in untested for d in cell.differences]).tolist())
    return [
        replace(cell, differences=tuple(replace(d, p_holm=finite(next(adjusted))) for d in cell.differences))
        for cell in untested
    ]


def _row(cell: CellComparison, d: Difference) -> dict[str, Any]:
    one, two = cell.pair
    return {
        "dataset": one["dataset"], "retriever_a": one["retriever"], "retriever_b": two["retriever"],
        "modifier": one["modifier"], "method": cell.method, "seed": one["seed"], "metric": d.metric,
        "unit": d.info.unit, "higher_is_better": d.info.higher_is_better, **_side("a", d.a), **_side("b", d.b),
        "difference": d.difference, "lo": d.lo, "hi": d.hi, "p": d.p, "p_holm": d.p_holm, "test": d.test,
        "detectable": d.detectable, "n": d.n, "n_shared": cell.n, "n_clusters": cell.n_clusters,
        **dict(zip(("better", "equal", "worse"), d.counts or (None,) * 3, strict=True)), "why": d.why,
    }  # fmt: skip


def _side(name: str, value: Value) -> dict[str, Any]:
    return {name: value.value, f"{name}_lo": value.lo, f"{name}_hi": value.hi}
