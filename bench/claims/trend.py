"""Claims about a trend: whether one metric predicts another across the cells of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench import stats
from bench.claims.arms import Arm, CellData, Expectation
from bench.claims.columns import single
from bench.errors import UserError
from bench.evaluate import JACKKNIFE_GROUPS, clusters_of
from bench.metrics.measured import Metric

__all__ = ["correlation"]

FEWEST = 4
"""Cells below which a correlation is no evidence of anything."""


def correlation(
    arms: Sequence[Arm], claim: Any, metrics: Callable[[str], Metric], expect: Expectation
) -> stats.Estimate:
    """Pearson's correlation of `predictor` and `metric` over cells, minus the number that it is held against.

    The error is that of the queries, by a delete-a-group jackknife over whole clusters; the same tracks are left out
    of every cell that has them. It says how well the correlation of these cells is known, not of others.

    Raises:
        UserError: fewer cells than a correlation needs.
    """
    if len(arms) < FEWEST:
        raise UserError(f"claim {claim.id}: a correlation over {len(arms)} cells says nothing; name {FEWEST} or more")
    cells = [arm.cells[0] for arm in arms]
    groups = [_groups(data) for data in cells]
    predictors = [_value(arm, claim.predictor, metrics(claim.predictor)) for arm in arms]
    outcomes = [_value(arm, claim.metric, metrics(claim.metric)) for arm in arms]

    def statistic(present: np.ndarray) -> float:
        rows = [np.flatnonzero(np.isin(group, present)) for group in groups]
        x = np.array([value(own) for value, own in zip(predictors, rows, strict=True)])
        y = np.array([value(own) for value, own in zip(outcomes, rows, strict=True)])
        return float(np.corrcoef(x, y)[0, 1]) - (expect.number or 0.0)

    return stats.jackknife_estimate(statistic, np.arange(JACKKNIFE_GROUPS), groups=JACKKNIFE_GROUPS)


def _groups(data: CellData) -> np.ndarray:
    """(n,) group of each query: whole clusters, dealt alike wherever the same clusters are."""
    _, codes = np.unique(clusters_of(data.frame)[0], return_inverse=True)
    return (np.random.default_rng(0).permutation(int(codes.max()) + 1) % JACKKNIFE_GROUPS)[codes]


def _value(arm: Arm, key: str, metric: Metric) -> Callable[[np.ndarray], float]:
    """A metric of one cell as a function of the rows that are taken."""
    if metric.statistic is None:
        columns = single(arm, key)
        return lambda rows: float(columns.combine(np.nanmean(columns.values[rows], axis=0)))
    match, statistic, measured = metric.match(key), metric.statistic, arm.cells[0].measured()
    assert match is not None
    return lambda rows: statistic(measured, match, rows)
