"""Claims: findings stated in a suite, judged from the cells of a run (PROTOCOL.md 8).

A claim compares an arm `a` with another `b` (or the best of several, or a number) on one metric. It is supported
only if the whole interval of the effect lies beyond the margin, contradicted only if the whole interval lies short of
it, both after Holm's correction over all claims of the run; otherwise it is inconclusive. "a = b" is supported if the
whole interval lies within the margin, contradicted if the whole of it lies outside. A claim whose `requires` are not
all supported is inconclusive: a control that does nothing has no side effects worth comparing. So is one about cells
that cannot exist or a metric that they cannot have, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench import stats
from bench.claims.arms import Arm, CellData, Expectation, select
from bench.claims.columns import family_frontier, frontier, single
from bench.claims.kinds import LEVELS, equal_removal_means, paired_means, set_difference, unpaired_means
from bench.claims.trend import correlation
from bench.errors import NotApplicable, UserError
from bench.metrics.measured import Metric
from bench.stats import finite

#: What a frontier is drawn from; a claim on its area needs them all.
FRONTIER_METRICS = ("kept@10", "removal@10", "gained@10", "CLAP(gen+)")

__all__ = ["LEVELS", "Arm", "CellData", "Expectation", "family_frontier", "judge", "judge_claims"]


def judge(
    claim: Any,
    cells: Sequence[CellData],
    retriever: str,
    metrics: Callable[[str], Metric],
    stands_for: Mapping[str, str] | None = None,
) -> stats.Estimate:
    """The effect of one claim, a minus b (or the log of a over b), with its standard error.

    Args:
        claim: a claim of the suite (metric, a, b, at, expect, compare; or metric, predictor, over).
        cells: cells of the run.
        retriever: instance that a selector without a retriever means.
        metrics: key -> registered metric.
        stands_for: row that the claim names -> the row that takes its place, for another training seed.

    Raises:
        NotApplicable: a cell or a metric that the claim speaks of does not exist, for a known reason.
        UserError: the claim asks for what cannot be computed.
    """
    expect = Expectation.parse(claim.expect)
    if claim.over:
        arms = [select(selector, cells, retriever, stands_for) for selector in claim.over]
        _refuse_missing(arms, (claim.metric, claim.predictor))
        return correlation(arms, claim, metrics, expect)
    rivals = claim.b if isinstance(claim.b, list) else [claim.b] if claim.b is not None else []
    arms = [select(selector, cells, retriever, stands_for) for selector in [claim.a, *rivals]]
    _refuse_missing(arms, (claim.metric, *FRONTIER_METRICS) if claim.metric == "frontier_area" else (claim.metric,))
    return _compare(arms, claim, metrics, expect)


def _refuse_missing(arms: Sequence[Arm], keys: Sequence[str]) -> None:
    """Raise for the first value that one of the arms cannot have."""
    for arm in arms:
        for data in (*arm.cells, *(arm.minus.cells if arm.minus else ())):
            for key in keys:
                if key in data.reasons:
                    raise NotApplicable(f"{key} of {data.cell.retriever}, {data.cell.modifier}: {data.reasons[key]}")


def _compare(arms: Sequence[Arm], claim: Any, metrics: Callable[[str], Metric], expect: Expectation) -> stats.Estimate:
    """The first arm against the others, or against a number, by the kind of the metric."""
    if claim.metric == "frontier_area":
        return paired_means(frontier(arms[0]), [frontier(arm) for arm in arms[1:]], arms[0].cells[0], expect)
    metric = metrics(claim.metric)
    if metric.statistic:
        return set_difference(arms, claim.metric, metric, expect, claim)
    if claim.compare == "log-ratio" or metric.aggregate == "median":
        raise UserError(
            f"claim {claim.id}: a claim on {claim.metric} compares means; log-ratio is for metrics of a set, and "
            "medians cannot be claimed (use R@k or MRR)"
        )
    if claim.at == "equal-removal":
        return equal_removal_means(arms, claim.metric, expect)
    columns = [single(arm, claim.metric) for arm in arms]
    first = arms[0].cells[0]
    paired = [np.array_equal(first.frame["cluster_id"], arm.cells[0].frame["cluster_id"]) for arm in arms[1:]]
    if not any(paired) and arms[1:]:
        return unpaired_means(columns, [arm.cells[0] for arm in arms], expect, claim.margin)
    if not all(paired):
        raise UserError(f"claim {claim.id}: side b mixes cells with the queries of side a and cells with others")
    return paired_means(columns[0], columns[1:], first, expect)


def judge_claims(
    claims: Sequence[Any],
    cells: Sequence[CellData],
    retriever: str,
    metrics: Callable[[str], Metric],
    stands_for: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Verdicts of all claims for one retriever: Holm over all of them, then what each requires."""
    estimates: list[stats.Estimate] = []
    reasons: list[str | None] = []
    for claim in claims:
        try:
            estimates.append(judge(claim, cells, retriever, metrics, stands_for))
            reasons.append(None)
        except NotApplicable as reason:
            estimates.append(stats.Estimate(np.nan, np.nan, 0))
            reasons.append(str(reason))
    bounds = [_bound(claim, estimate) for claim, estimate in zip(claims, estimates, strict=True)]
    p_values = [stats.p_value(e, bound) for e, bound in zip(estimates, bounds, strict=True)]
    adjusted = stats.holm(p_values)
    verdicts: dict[str, str] = {}
    out = []
    for claim, estimate, p, p_holm, why in zip(claims, estimates, p_values, adjusted, reasons, strict=True):
        interval = stats.interval(estimate)
        sign = Expectation.parse(claim.expect).sign
        if sign == "=":
            verdict = _equivalence(interval, p_holm, claim.margin)
        else:
            verdict = stats.verdict(interval, p_holm, claim.margin, expect=sign)
        unmet = [need for need in claim.requires if verdicts.get(need) != "supported"]
        if unmet:
            verdict, why = "inconclusive", f"requires {', '.join(unmet)}, which is not supported"
        verdicts[claim.id] = verdict
        out.append(
            {
                "id": claim.id, "text": claim.text, "source": claim.source, "metric": claim.metric, "verdict": verdict,
                "effect": finite(estimate.value), "ci": [finite(float(v)) for v in interval], "p": finite(p),
                "p_holm": finite(p_holm), "margin": claim.margin, "expect": claim.expect, "compare": claim.compare,
                "at": claim.at, "predictor": claim.predictor, "why": why,
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
