"""Claims: findings stated in a suite, judged from the cells of a run (PROTOCOL.md 8).

A claim compares an arm `a` with another `b` (or the best of several, or a number) on one metric. It is supported
only if the whole interval of the effect lies beyond the margin, contradicted only if the whole interval lies short of
it, both after Holm's correction over all claims of the run; otherwise it is inconclusive. "a = b" is supported if the
whole interval lies within the margin, contradicted if the whole of it lies outside. A claim whose `requires` are not
all supported is inconclusive: a control that does nothing has no side effects worth comparing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench import stats
from bench._suite_file import EXPECT
from bench.errors import UserError
from bench.evaluate import JACKKNIFE_GROUPS, oracle_normalised_mean
from bench.metrics.control import at_removal, frontier_area
from bench.metrics.measured import Measured, Metric

if TYPE_CHECKING:
    import pandas as pd

    from bench.plan import Cell

__all__ = ["LEVELS", "Arm", "CellData", "Expectation", "family_frontier", "judge", "judge_claims"]

#: Shares of the achievable removal at which methods are compared (PROTOCOL.md 5).
LEVELS = (0.25, 0.5, 0.75)

#: Options that a selector which does not name them means.
DEFAULTS = {"variant": "difference", "vectors": "unit", "guidance_inversion": 1.0, "refine": 0, "toward": "antipode"}


@dataclass(frozen=True)
class CellData:
    """A cell, its values per query, and what was measured (for metrics of a set; loaded when asked)."""

    cell: Cell
    frame: pd.DataFrame
    n_gallery: int
    measured: Callable[[], Measured]


@dataclass(frozen=True)
class Expectation:
    """`a > b`, `a < b`, `a = b` (within the margin), or a comparison with a number."""

    sign: Literal["<", ">", "="]
    number: float | None

    @classmethod
    def parse(cls, text: str) -> Expectation:
        match = EXPECT.fullmatch(text)
        if not match:
            raise UserError(f"expect: {text!r} is not of the form 'a > b', 'a < b', 'a > 0.05'")
        sign: Any = match["sign"]
        return cls(sign, None if match["right"] == "b" else float(match["right"]))


@dataclass(frozen=True)
class Arm:
    """The cells that one side of a claim names, by strength; the unmodified cell comes first in a sweep."""

    cells: tuple[CellData, ...]
    base: CellData | None
    times: float = 1.0
    minus: Arm | None = None
    """What is taken off: the arm is then a gain over it."""

    @property
    def sweep(self) -> tuple[CellData, ...]:
        """The cells by strength, weakest first; strength 0 is no point of a sweep, only another guidance."""
        swept = [c for c in self.cells if c.cell.strength is None or c.cell.strength > 0]
        return tuple(sorted(swept, key=lambda c: c.cell.strength or 0.0))


def _select(selector: Mapping[str, Any], cells: Sequence[CellData], retriever: str) -> Arm:
    wanted = {"retriever": retriever, "modifier": "none", **selector}
    times = float(wanted.pop("times", 1.0))
    taken_off = wanted.pop("minus", None)
    strength = wanted.pop("strength", None)
    found = []
    for data in cells:
        described = {**DEFAULTS, **data.cell.options, **data.cell.facets}
        expected = {**{k: v for k, v in DEFAULTS.items() if k in data.cell.options}, **wanted}
        if any(described.get(key) != value for key, value in expected.items()):
            continue
        if strength is not None and data.cell.strength != float(strength):
            continue
        if data.cell.modifier == "none" and not data.cell.is_default:
            continue
        found.append(data)
    if not found:
        raise UserError(f"claims: no cell of the suite matches {dict(selector)} for retriever {retriever!r}")
    if not all(_same_task(data, found[0]) for data in found):
        raise UserError(f"claims: {dict(selector)} matches cells of several datasets; name a dataset")
    base = next((c for c in cells if c.cell.modifier == "none" and c.cell.is_default and _same_task(c, found[0])), None)
    minus = None if taken_off is None else _select(taken_off, cells, retriever)
    if minus is not None and found[0].cell.dataset != minus.cells[0].cell.dataset:
        raise UserError(f"claims: {dict(selector)} takes off cells of another dataset")
    return Arm(tuple(found), base, times, minus)


def _same_task(a: CellData, b: CellData) -> bool:
    return (a.cell.dataset, a.cell.retriever, a.cell.seed) == (b.cell.dataset, b.cell.retriever, b.cell.seed)


def _clusters(data: CellData) -> tuple[np.ndarray, np.ndarray | None]:
    tracks = data.frame["cluster_id"].to_numpy()
    return (data.frame["negative_id"].to_numpy(), tracks) if "negative_id" in data.frame else (tracks, None)


def _best(values: Sequence[np.ndarray], sign: str) -> np.ndarray:
    """The rival that a must beat: the largest where a should be larger, the smallest where it should be smaller."""
    stacked = np.stack(values, axis=-1)
    return stacked.max(-1) if sign == ">" else stacked.min(-1)


def _difference(a: np.ndarray, rivals: Sequence[np.ndarray], expect: Expectation, log_ratio: bool) -> np.ndarray:
    b = np.full_like(a, expect.number) if expect.number is not None else _best(rivals, expect.sign)
    return np.log(np.maximum(a, 1e-12) / np.maximum(b, 1e-12)) if log_ratio else a - b


# --- the statistic of an arm, as a smooth function of column means ---


@dataclass(frozen=True)
class _Columns:
    """Columns of one arm, and what they say once averaged: (…, width) means -> (…) value."""

    values: np.ndarray
    combine: Callable[[np.ndarray], np.ndarray]


def _single(arm: Arm, metric: str) -> _Columns:
    own = _own_columns(arm, metric)
    if arm.minus is None:
        return own
    other = _own_columns(arm.minus, metric)
    width = own.values.shape[1]
    return _Columns(
        np.column_stack([own.values, other.values]),
        lambda m: own.combine(m[..., :width]) - other.combine(m[..., width:]),
    )


def _own_columns(arm: Arm, metric: str) -> _Columns:
    if len(arm.cells) != 1:
        raise UserError(f"claims: {len(arm.cells)} cells match one side of a claim on {metric}; name a strength")
    data = arm.cells[0]
    if metric.endswith("(norm)"):
        columns = data.frame[[metric, "oracleR@10"]].to_numpy(float)
        return _Columns(columns, lambda m: arm.times * oracle_normalised_mean(m, data.n_gallery))
    return _Columns(data.frame[[metric]].to_numpy(float), lambda m: arm.times * m[..., 0])


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


def _removal_columns(arm: Arm) -> tuple[np.ndarray, int]:
    """Columns removal (or gain) and the room for it, strength by strength."""
    pairs = [_progress(c.frame) for c in arm.sweep]
    return np.column_stack([*(done for done, _ in pairs), *(room for _, room in pairs)]), len(pairs)


def _fractions(means: np.ndarray, count: int) -> np.ndarray:
    """Removed share of what was there, with the unmodified point first: (…, 1 + count)."""
    fraction = means[..., :count] / means[..., count : 2 * count]
    return np.concatenate([np.zeros_like(fraction[..., :1]), fraction], axis=-1)


def _frontier(arm: Arm) -> _Columns:
    assert arm.base is not None
    removal, count = _removal_columns(arm)
    column = kept_column(arm.base.frame)
    kept = [arm.base.frame[column].to_numpy(float), *(c.frame[column].to_numpy(float) for c in arm.sweep)]
    return _Columns(
        np.column_stack([removal, *kept]), lambda m: frontier_area(_fractions(m, count), m[..., 2 * count :])
    )


def family_frontier(arm: Arm) -> dict[str, Any]:
    """Points and area of one family's removal–kept frontier, with intervals (the `families` of summary.json)."""
    assert arm.base is not None
    first, second = _clusters(arm.base)
    columns = _frontier(arm)
    count = len(arm.sweep)

    def estimated(statistic: Callable[[np.ndarray], np.ndarray]) -> tuple[float | None, list[float] | None]:
        estimate = stats.clustered_delta(statistic, columns.values, first, second)
        ends = [float(v) for v in stats.interval(estimate)]
        return _finite(estimate.value), ends if np.isfinite(ends).all() else None

    def removal_at(i: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda means: _fractions(means, count)[..., i]

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


# --- the four kinds of claim ------------------------------------------------------------------------------------------


def _judge_means(a: _Columns, rivals: Sequence[_Columns], data: CellData, expect: Expectation) -> stats.Estimate:
    parts = [a, *rivals]
    edges = np.cumsum([0, *(p.values.shape[1] for p in parts)])

    def statistic(means: np.ndarray) -> np.ndarray:
        values = [p.combine(means[..., lo:hi]) for p, lo, hi in zip(parts, edges, edges[1:], strict=False)]
        return _difference(values[0], values[1:], expect, False)

    return stats.clustered_delta(statistic, np.column_stack([p.values for p in parts]), *_clusters(data))


def _judge_unpaired(
    columns: Sequence[_Columns], cells: Sequence[CellData], expect: Expectation, margin: float
) -> stats.Estimate:
    """Sets of queries that share nothing: the variances add. Of several rivals, the one that a beats least decides.

    That is the intersection-union test: "a is better than all of them" is rejected at the level at which the hardest
    comparison is.
    """
    own, *others = [
        stats.clustered_delta(column.combine, column.values, *_clusters(data))
        for column, data in zip(columns, cells, strict=True)
    ]
    pairs = [stats.Estimate(own.value - b.value, float(np.hypot(own.se, b.se)), min(own.df, b.df)) for b in others]
    towards = -1.0 if expect.sign == "<" else 1.0
    return min(pairs, key=lambda pair: (towards * pair.value - margin) / max(pair.se, 1e-300))


def _equal_removal_means(arms: Sequence[Arm], metric: str, expect: Expectation) -> stats.Estimate:
    """Difference at 25, 50 and 75 % of the removal that every arm can reach, averaged."""
    blocks, spans, at = [], [], 0
    for arm in arms:
        assert arm.base is not None
        removal, count = _removal_columns(arm)
        values = [arm.base.frame[metric].to_numpy(float), *(c.frame[metric].to_numpy(float) for c in arm.sweep)]
        block = np.column_stack([removal, *values])
        blocks.append(block)
        spans.append((at, count))
        at += block.shape[1]

    def statistic(means: np.ndarray) -> np.ndarray:
        curves = []
        for start, count in spans:
            fractions = _fractions(means[..., start : start + 2 * count], count)
            values = means[..., start + 2 * count : start + 3 * count + 1]
            curves.append((fractions, values))
        return _at_levels(curves, expect, False)

    return stats.clustered_delta(statistic, np.column_stack(blocks), *_clusters(arms[0].cells[0]))


def _at_levels(curves: Sequence[tuple[np.ndarray, np.ndarray]], expect: Expectation, log_ratio: bool) -> np.ndarray:
    achievable = np.min([fractions.max(-1) for fractions, _ in curves], axis=0)
    effects = []
    for level in LEVELS:
        values = [at_removal(fractions, values, level * achievable) for fractions, values in curves]
        effects.append(_difference(values[0], values[1:], expect, log_ratio))
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


def _judge_set(arms: Sequence[Arm], key: str, metric: Metric, expect: Expectation, claim: Any) -> stats.Estimate:
    """Set metrics: a delete-a-group jackknife over whole negatives, the same groups for every arm."""
    log_ratio = claim.compare == "log-ratio"
    valued = [_set_values(arm, key, metric, claim.at == "equal-removal") for arm in arms]
    removals = [_removal_columns(arm) for arm in arms] if claim.at == "equal-removal" else []

    def statistic(rows: np.ndarray) -> float:
        if claim.at != "equal-removal":
            values = [np.asarray(value(rows)[0]) for value in valued]
            return float(_difference(values[0], values[1:], expect, log_ratio))
        curves = [
            (_fractions(columns[rows].mean(0), count), np.asarray(value(rows)))
            for (columns, count), value in zip(removals, valued, strict=True)
        ]
        return float(_at_levels(curves, expect, log_ratio))

    data = arms[0].cells[0]
    return stats.jackknife_estimate(
        statistic, np.arange(len(data.frame)), clusters=_clusters(data)[0], groups=JACKKNIFE_GROUPS
    )


def judge(claim: Any, cells: Sequence[CellData], retriever: str, metrics: Callable[[str], Metric]) -> stats.Estimate:
    """The effect of one claim, a minus b (or the log of a over b), with its standard error.

    Args:
        claim: a claim of the suite (metric, a, b, at, expect, compare).
        cells: cells of the run.
        retriever: instance that a selector without a retriever means.
        metrics: key -> registered metric.
    """
    expect = Expectation.parse(claim.expect)
    rivals = claim.b if isinstance(claim.b, list) else [claim.b] if claim.b is not None else []
    arms = [_select(selector, cells, retriever) for selector in [claim.a, *rivals]]
    if claim.metric == "frontier_area":
        return _judge_means(_frontier(arms[0]), [_frontier(arm) for arm in arms[1:]], arms[0].cells[0], expect)
    metric = metrics(claim.metric)
    if metric.statistic:
        return _judge_set(arms, claim.metric, metric, expect, claim)
    if claim.compare == "log-ratio" or metric.aggregate == "median":
        raise UserError(
            f"claim {claim.id}: a claim on {claim.metric} compares means; log-ratio is for metrics of a set, and "
            "medians cannot be claimed (use R@k or MRR)"
        )
    if claim.at == "equal-removal":
        return _equal_removal_means(arms, claim.metric, expect)
    columns = [_single(arm, claim.metric) for arm in arms]
    first = arms[0].cells[0]
    paired = [np.array_equal(first.frame["cluster_id"], arm.cells[0].frame["cluster_id"]) for arm in arms[1:]]
    if not any(paired) and arms[1:]:
        return _judge_unpaired(columns, [arm.cells[0] for arm in arms], expect, claim.margin)
    if not all(paired):
        raise UserError(f"claim {claim.id}: side b mixes cells with the queries of side a and cells with others")
    return _judge_means(columns[0], columns[1:], first, expect)


def judge_claims(
    claims: Sequence[Any], cells: Sequence[CellData], retriever: str, metrics: Callable[[str], Metric]
) -> list[dict[str, Any]]:
    """Verdicts of all claims for one retriever: Holm over all of them, then what each requires."""
    estimates = [judge(claim, cells, retriever, metrics) for claim in claims]
    bounds = [_bound(claim, estimate) for claim, estimate in zip(claims, estimates, strict=True)]
    p_values = [stats.p_value(e, bound) for e, bound in zip(estimates, bounds, strict=True)]
    adjusted = stats.holm(p_values)
    verdicts: dict[str, str] = {}
    out = []
    for claim, estimate, p, p_holm in zip(claims, estimates, p_values, adjusted, strict=True):
        interval = stats.interval(estimate)
        sign = Expectation.parse(claim.expect).sign
        if sign == "=":
            verdict, why = _equivalence(interval, p_holm, claim.margin), None
        else:
            verdict, why = stats.verdict(interval, p_holm, claim.margin, expect=sign), None
        unmet = [need for need in claim.requires if verdicts.get(need) != "supported"]
        if unmet:
            verdict, why = "inconclusive", f"requires {', '.join(unmet)}, which is not supported"
        verdicts[claim.id] = verdict
        out.append(
            {
                "id": claim.id, "text": claim.text, "source": claim.source, "metric": claim.metric, "verdict": verdict,
                "effect": _finite(estimate.value), "ci": [_finite(float(v)) for v in interval], "p": _finite(p),
                "p_holm": _finite(p_holm), "margin": claim.margin, "expect": claim.expect, "compare": claim.compare,
                "at": claim.at, "why": why,
            }
        )  # fmt: skip
    return out


def _bound(claim: Any, estimate: stats.Estimate) -> float:
    """The value of the effect that the claim's test is held against: for "a = b" the nearer end of the margin."""
    sign = Expectation.parse(claim.expect).sign
    if sign == "=":
        return float(np.copysign(claim.margin, estimate.value))
    return claim.margin if sign == ">" else -claim.margin


def _equivalence(interval: stats.Interval, p_adjusted: float, margin: float, alpha: float = 0.05) -> str:
    """Supported: the whole interval lies within the margin; contradicted: the whole of it lies beyond one end."""
    if not p_adjusted < alpha:
        return "inconclusive"
    if -margin < interval.lo and interval.hi < margin:
        return "supported"
    return "contradicted" if interval.lo > margin or interval.hi < -margin else "inconclusive"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
