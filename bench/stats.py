"""Statistics: intervals that respect clusters, Holm's correction, and the verdict on a claim (PROTOCOL.md 8).

The unit is the query, clustered by track; captions of one track are not independent. Means and smooth functions of
means get clustered standard errors, statistics of a set a delete-a-group jackknife, medians a bootstrap of clusters.

| value | interval | difference of two systems |
|---|---|---|
| mean | `bootstrap_ci`, or `two_way_clustered` for crossed groupings | the same of differences; `paired_permutation` |
| share of hits, independent queries | `bootstrap_ci` | `mcnemar` |
| smooth function of means (ratio, area) | `clustered_delta` | `clustered_delta` |
| median rank | `median_rank_ci` | none; compare R@k or MRR |
| of a set (FAD, KAD, Vendi) | `jackknife_ci` | `jackknife_difference` |

`interval`, `p_value`, `holm` and `verdict` turn an `Estimate` into what is said of a claim;
`minimum_detectable_effect` says what could have been found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bench._stats_clustered import Estimate, Interval, clustered_delta, interval, p_value, two_way_clustered
from bench._stats_jackknife import jackknife_ci, jackknife_difference, jackknife_estimate
from bench._stats_resampling import bootstrap_ci, median_rank_ci
from bench._stats_tests import McNemar, mcnemar, minimum_detectable_effect, paired_permutation

__all__ = [
    "Estimate", "Interval", "McNemar", "Verdict", "bootstrap_ci", "clustered_delta", "finite", "holm", "interval",
    "jackknife_ci", "jackknife_difference", "jackknife_estimate", "mcnemar", "median_rank_ci",
    "minimum_detectable_effect", "p_value", "paired_permutation", "two_way_clustered", "verdict",
]  # fmt: skip

Verdict = Literal["supported", "contradicted", "inconclusive"]


def finite(value: float) -> float | None:
    """A number as JSON can hold it: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None


def holm(p_values: Sequence[float | None] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment: the chance of any false rejection stays below the level.

    Args:
        p_values: (m,) p values; None and NaN are no tests, and are not counted.

    Returns:
        (m,) adjusted p values in the same order, NaN where there was no test.

    Raises:
        ValueError: a p value outside [0, 1].

    Example:
        >>> holm([0.01, None, 0.04, 0.03])
        array([0.03,  nan, 0.06, 0.06])
    """
    p = np.array([np.nan if value is None else float(value) for value in p_values])
    tested = np.flatnonzero(~np.isnan(p))
    outside = np.flatnonzero((p < 0) | (p > 1))
    if len(outside):
        first = int(outside[0])
        raise ValueError(f"{len(outside)} p values lie outside [0, 1], the first at {first}: {p[first]:g}")
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def verdict(
    interval: Interval,
    p_adjusted: float | None,
    margin: float = 0.0,
    expect: Literal[">", "<"] = ">",
    alpha: float = 0.05,
) -> Verdict:
    """What an interval of an effect (a − b) says about "a > b" or "a < b" by at least a margin.

    The bound is +margin for ">" and −margin for "<". Supported: the whole interval lies beyond the bound; contradicted:
    the whole interval lies short of it; both only if the adjusted p of "the effect equals the bound" is below alpha.
    Anything else, an unknown interval or p included, is inconclusive.

    Args:
        interval: of the effect.
        p_adjusted: p value of `p_value(estimate, bound)` after `holm`; None or NaN where there was no test.
        margin: size of effect that the claim asks for; 0 or more.
        expect: the claim's direction.
        alpha: level of the test.

    Raises:
        ValueError: another direction, a margin below 0 or NaN.

    Example:
        >>> verdict(Interval(0.03, 0.05), 0.001, margin=0.02)
        'supported'
        >>> verdict(Interval(0.03, 0.05), 0.001, margin=0.02, expect="<")
        'contradicted'
        >>> verdict(Interval(0.01, 0.05), 0.3, margin=0.02)
        'inconclusive'
    """
    if expect not in (">", "<"):
        raise ValueError(f"expect = {expect!r}; it must be '>' or '<'")
    if not margin >= 0:
        raise ValueError(f"margin = {margin}; it must be 0 or more")
    if p_adjusted is None or not p_adjusted < alpha:
        return "inconclusive"
    # "a < b" is "b > a": turn the effect round, so that beyond is always above.
    near, far = (interval.lo, interval.hi) if expect == ">" else (-interval.hi, -interval.lo)
    if near > margin:
        return "supported"
    return "contradicted" if far < margin else "inconclusive"
