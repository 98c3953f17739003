"""Statistics: intervals that respect clusters, Holm's correction, and the verdict on a claim (PROTOCOL.md 8).

The unit is the query, clustered by track; captions of one track are not independent. Means and smooth functions of
means get clustered standard errors, statistics of a set a delete-a-group jackknife, medians a bootstrap of clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bench._stats_clustered import Estimate, Interval, clustered_delta, interval, p_value, two_way_clustered
from bench._stats_resampling import (
    bootstrap_ci,
    jackknife_ci,
    jackknife_estimate,
    median_rank_ci,
    paired_permutation,
)

__all__ = [
    "Estimate", "Interval", "Verdict", "bootstrap_ci", "clustered_delta", "holm", "interval", "jackknife_ci",
    "jackknife_estimate", "median_rank_ci", "p_value", "paired_permutation", "two_way_clustered", "verdict",
]  # fmt: skip

Verdict = Literal["supported", "contradicted", "inconclusive"]


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
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise ValueError(f"p values must lie in [0, 1]; got {p[tested].min():g}..{p[tested].max():g}")
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
        ValueError: another direction.

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
    if p_adjusted is None or not p_adjusted < alpha:
        return "inconclusive"
    # "a < b" is "b > a": turn the effect round, so that beyond is always above.
    near, far = (interval.lo, interval.hi) if expect == ">" else (-interval.hi, -interval.lo)
    if near > margin:
        return "supported"
    return "contradicted" if far < margin else "inconclusive"
