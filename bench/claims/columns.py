"""The statistic of an arm as a smooth function of column means: what the delta method and the clusters work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import stats
from bench.claims.arms import Arm
from bench.errors import UserError
from bench.evaluate import clusters_of, oracle_normalised_mean
from bench.metrics.control import frontier_area

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Columns", "family_frontier", "fractions", "frontier", "removal_columns", "single"]


@dataclass(frozen=True)
class Columns:
    """Columns of one arm, and what they say once averaged: (…, width) means -> (…) value."""

    values: np.ndarray
    combine: Callable[[np.ndarray], np.ndarray]


def single(arm: Arm, metric: str) -> Columns:
    own = _own_columns(arm, metric)
    if arm.minus is None:
        return own
    other = _own_columns(arm.minus, metric)
    width = own.values.shape[1]
    return Columns(
        np.column_stack([own.values, other.values]),
        lambda m: own.combine(m[..., :width]) - other.combine(m[..., width:]),
    )


def _own_columns(arm: Arm, metric: str) -> Columns:
    if len(arm.cells) != 1:
        raise UserError(f"claims: {len(arm.cells)} cells match one side of a claim on {metric}; name a strength")
    data = arm.cells[0]
    if metric.endswith("(norm)"):
        columns = data.frame[[metric, "oracleR@10"]].to_numpy(float)
        return Columns(columns, lambda m: arm.times * oracle_normalised_mean(m, data.n_gallery))
    return Columns(data.frame[[metric]].to_numpy(float), lambda m: arm.times * m[..., 0])


def kept_column(frame: pd.DataFrame) -> str:
    """What a control is to keep while it moves the query: what is stated, or for a refinement the first query."""
    return "CLAP(gen+)" if "gained@10" in frame else "kept@10"


def _progress(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """How far a control got, query by query, and how far it could: what was there to remove, or left to gain."""
    if "gained@10" in frame:
        gained = frame["gained@10"].to_numpy(float)
        return gained, 1.0 - (frame["wanted_share@10"].to_numpy(float) - gained)
    removal = frame["removal@10"].to_numpy(float)
    return removal, removal + frame["negated_share@10"].to_numpy(float)


def removal_columns(arm: Arm) -> tuple[np.ndarray, int]:
    """Columns removal (or gain) and the room for it, strength by strength."""
    pairs = [_progress(c.frame) for c in arm.sweep]
    return np.column_stack([*(done for done, _ in pairs), *(room for _, room in pairs)]), len(pairs)


def fractions(means: np.ndarray, count: int) -> np.ndarray:
    """Removed share of what was there, with the unmodified point first: (…, 1 + count)."""
    fraction = means[..., :count] / means[..., count : 2 * count]
    return np.concatenate([np.zeros_like(fraction[..., :1]), fraction], axis=-1)


def frontier(arm: Arm) -> Columns:
    assert arm.base is not None
    removal, count = removal_columns(arm)
    column = kept_column(arm.base.frame)
    kept = [arm.base.frame[column].to_numpy(float), *(c.frame[column].to_numpy(float) for c in arm.sweep)]
    return Columns(np.column_stack([removal, *kept]), lambda m: frontier_area(fractions(m, count), m[..., 2 * count :]))


def family_frontier(arm: Arm) -> dict[str, Any]:
    """Points and area of one family's removal–kept frontier, with intervals (the `families` of summary.json)."""
    assert arm.base is not None
    first, second = clusters_of(arm.base.frame)
    columns = frontier(arm)
    count = len(arm.sweep)

    def estimated(statistic: Callable[[np.ndarray], np.ndarray]) -> tuple[float | None, list[float] | None]:
        estimate = stats.clustered_delta(statistic, columns.values, first, second)
        ends = [float(v) for v in stats.interval(estimate)]
        return stats.finite(estimate.value), ends if np.isfinite(ends).all() else None

    def removal_at(i: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda means: fractions(means, count)[..., i]

    def kept_at(i: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda means: means[..., 2 * count + i]

    points = []
    for i in range(count + 1):
        removal, removal_ci = estimated(removal_at(i)) if i else (0.0, [0.0, 0.0])
        kept, kept_ci = estimated(kept_at(i))
        strength = None if i == 0 else arm.sweep[i - 1].cell.strength
        points.append(
            {"strength": strength, "removal": removal, "removal_ci": removal_ci, "kept": kept, "kept_ci": kept_ci}
        )
    area, area_ci = estimated(columns.combine)
    return {"points": points, "area": {"value": area, "ci": area_ci}}
