"""The kinds of claim: paired means, unpaired means, sweeps at equal removal, metrics of a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench import stats
from bench.claims.arms import Arm, CellData, Expectation, difference
from bench.claims.columns import Columns, fractions, removal_columns
from bench.errors import UserError
from bench.evaluate import JACKKNIFE_GROUPS, clusters_of
from bench.metrics.control import at_removal
from bench.metrics.measured import Metric

__all__ = ["LEVELS", "equal_removal_means", "paired_means", "set_difference", "unpaired_means"]

#: Shares of the achievable removal at which methods are compared (PROTOCOL.md 5).
LEVELS = (0.25, 0.5, 0.75)


def paired_means(a: Columns, rivals: Sequence[Columns], data: CellData, expect: Expectation) -> stats.Estimate:
    parts = [a, *rivals]
    edges = np.cumsum([0, *(p.values.shape[1] for p in parts)])

    def statistic(means: np.ndarray) -> np.ndarray:
        values = [p.combine(means[..., lo:hi]) for p, lo, hi in zip(parts, edges, edges[1:], strict=False)]
        return difference(values[0], values[1:], expect, False)

    return stats.clustered_delta(statistic, np.column_stack([p.values for p in parts]), *clusters_of(data.frame))


def unpaired_means(
    columns: Sequence[Columns], cells: Sequence[CellData], expect: Expectation, margin: float
) -> stats.Estimate:
    """Sets of queries that share nothing: the variances add. Of several rivals, the one that a beats least decides.

    That is the intersection-union test: "a is better than all of them" is rejected at the level at which the hardest
    comparison is.
    """
    own, *others = [
        stats.clustered_delta(column.combine, column.values, *clusters_of(data.frame))
        for column, data in zip(columns, cells, strict=True)
    ]
    pairs = [stats.Estimate(own.value - b.value, float(np.hypot(own.se, b.se)), min(own.df, b.df)) for b in others]
    towards = -1.0 if expect.sign == "<" else 1.0
    return min(pairs, key=lambda pair: (towards * pair.value - margin) / max(pair.se, 1e-300))


def equal_removal_means(arms: Sequence[Arm], metric: str, expect: Expectation) -> stats.Estimate:
    """Difference at 25, 50 and 75 % of the removal that every arm can reach, averaged."""
    blocks, spans, at = [], [], 0
    for arm in arms:
        assert arm.base is not None
        removal, count = removal_columns(arm)
        values = [arm.base.frame[metric].to_numpy(float), *(c.frame[metric].to_numpy(float) for c in arm.sweep)]
        block = np.column_stack([removal, *values])
        blocks.append(block)
        spans.append((at, count))
        at += block.shape[1]

    def statistic(means: np.ndarray) -> np.ndarray:
        curves = []
        for start, count in spans:
            removed = fractions(means[..., start : start + 2 * count], count)
            values = means[..., start + 2 * count : start + 3 * count + 1]
            curves.append((removed, values))
        return _at_levels(curves, expect, False)

    return stats.clustered_delta(statistic, np.column_stack(blocks), *clusters_of(arms[0].cells[0].frame))


def _at_levels(curves: Sequence[tuple[np.ndarray, np.ndarray]], expect: Expectation, log_ratio: bool) -> np.ndarray:
    achievable = np.min([fractions.max(-1) for fractions, _ in curves], axis=0)
    effects = []
    for level in LEVELS:
        values = [at_removal(fractions, values, level * achievable) for fractions, values in curves]
        effects.append(difference(values[0], values[1:], expect, log_ratio))
    return np.mean(effects, axis=0)


def _set_values(arm: Arm, key: str, metric: Metric, sweep: bool) -> Callable[[np.ndarray], list[float]]:
    """Values of a set metric on a subset of rows: of the one cell, or of a sweep with the unmodified cell first."""
    if not sweep and len(arm.cells) != 1:
        raise UserError(f"claims: {len(arm.cells)} cells match one side of a claim on {key}; name a strength")
    cells = [arm.base, *arm.sweep] if sweep and arm.base is not None else list(arm.cells)
    match = metric.match(key)
    statistic = metric.statistic
    assert match is not None
    assert statistic is not None
    measured = [c.measured() for c in cells]
    return lambda rows: [statistic(m, match, rows) for m in measured]


def set_difference(arms: Sequence[Arm], key: str, metric: Metric, expect: Expectation, claim: Any) -> stats.Estimate:
    """Set metrics: a delete-a-group jackknife over whole negatives, the same groups for every arm."""
    log_ratio = claim.compare == "log-ratio"
    valued = [_set_values(arm, key, metric, claim.at == "equal-removal") for arm in arms]
    removals = [removal_columns(arm) for arm in arms] if claim.at == "equal-removal" else []

    def statistic(rows: np.ndarray) -> float:
        if claim.at != "equal-removal":
            values = [np.asarray(value(rows)[0]) for value in valued]
            return float(difference(values[0], values[1:], expect, log_ratio))
        curves = [
            (fractions(columns[rows].mean(0), count), np.asarray(value(rows)))
            for (columns, count), value in zip(removals, valued, strict=True)
        ]
        return float(_at_levels(curves, expect, log_ratio))

    data = arms[0].cells[0]
    return stats.jackknife_estimate(
        statistic, np.arange(len(data.frame)), clusters=clusters_of(data.frame)[0], groups=JACKKNIFE_GROUPS
    )
