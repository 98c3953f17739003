"""The gate's decision: regression, none or inconclusive, from paired differences and margins.

d is candidate minus baseline in the metric's better direction, m the margin. Two families of one-sided tests are held
against −m, one test each for every cell and metric: "no worse than the margin" (rejected: a regression) and "worse
than the margin" (rejected: no regression). Each family is tested by Holm's step-down procedure at half of alpha, so
the chance that any regression that is told is false, and the chance that any "none" is, stay below half of alpha each,
however the tests depend on each other. The ends of the interval that is told are those that decide: the lower one at
the level of the second test's step, the upper one at that of the first; with one test it is the 95 % interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from bench import stats

__all__ = ["ALPHA", "POWER", "Decision", "Verdict", "decide", "default_margin", "exit_code"]

Verdict = Literal["regression", "none", "inconclusive"]

ALPHA = 0.05
POWER = 0.8


class Decision(NamedTuple):
    """What is said of one cell and metric."""

    verdict: Verdict
    lo: float
    hi: float
    """The ends that decide; NaN where the error is not known."""
    level_lo: float
    level_hi: float
    """One-sided levels of the two ends."""
    queries: int | None
    """Queries that would decide with 80 % power if the difference stayed what it is; None where it is decided, or
    where no number decides."""


def decide(
    estimates: Sequence[stats.Estimate], margins: Sequence[float], queries: Sequence[int], alpha: float = ALPHA
) -> list[Decision]:
    """Decide all tests of a gate together.

    Args:
        estimates: of d, positive where the candidate is better.
        margins: losses that are accepted, above 0.
        queries: number of queries of each test.
        alpha: chance of a false statement, half for regressions and half for none.

    Example:
        >>> tight, wide = stats.Estimate(-3.0, 0.5, 99), stats.Estimate(-1.0, 1.0, 99)
        >>> [found.verdict for found in decide([tight, wide], [1.0, 1.0], [100, 100])]
        ['regression', 'inconclusive']
        >>> decide([stats.Estimate(0.0, 0.2, 99)], [1.0], [100])[0].verdict
        'none'
    """
    shifted = [estimate._replace(value=estimate.value + m) for estimate, m in zip(estimates, margins, strict=True)]
    worse = _levels([_below(shift) for shift in shifted], alpha / 2)
    fine = _levels([_below(shift._replace(value=-shift.value)) for shift in shifted], alpha / 2)
    found = []
    for estimate, m, n, upper, lower in zip(estimates, margins, queries, worse, fine, strict=True):
        lo = estimate.value - _reach(estimate, lower)
        hi = estimate.value + _reach(estimate, upper)
        verdict: Verdict = "regression" if hi < -m else "none" if lo > -m else "inconclusive"
        level = lower if estimate.value > -m else upper
        needed = _queries(estimate, m, n, level) if verdict == "inconclusive" else None
        found.append(Decision(verdict, lo, hi, lower, upper, needed))
    return found


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """1 where anything regressed, else 3 where anything is inconclusive, else 0."""
    if "regression" in verdicts:
        return 1
    return 3 if "inconclusive" in verdicts else 0


def default_margin(values: np.ndarray, first: Any, second: Any, n_tests: int, alpha: float = ALPHA) -> float:
    """The loss that the gate finds with 80 % power, told from the baseline alone.

    It takes the error of the baseline's own mean for that of the paired difference. The two are equal where values of
    baseline and candidate have the same variance and a correlation of one half; a candidate that is closer to the
    baseline is decided more often. It must not depend on the candidate: a margin that grew with the noise of the
    candidate would let a noisy one pass.

    Args:
        values: (n,) values of the baseline, NaN where a query does not count.
        first, second: (n,) groupings within which queries are dependent; `second` may be None.
        n_tests: number of tests of the gate: Holm's first step is at alpha / n_tests.

    Returns:
        The margin; 0 where every query has the same value, NaN where there are fewer than two clusters.
    """
    own = stats.clustered_delta(lambda means: means[..., 0], values[:, None], first, second)
    return own.se * _unit_effect(own.df, alpha / n_tests)


@lru_cache(maxsize=1024)
def _unit_effect(df: float, alpha: float) -> float:
    return stats.minimum_detectable_effect(1.0, df, POWER, alpha)


def _below(shift: stats.Estimate) -> float:
    """One-sided p of "the shift is 0 or more" against "it is below 0"; 1 where the error is not known."""
    if not np.isfinite(shift.se) or shift.df < 1:
        return 1.0
    if shift.se == 0:
        return 0.0 if shift.value < 0 else 1.0
    return float(stdtr(shift.df, shift.value / shift.se))


def _levels(p_values: Sequence[float], level: float) -> list[float]:
    """The level at which Holm's procedure tests each p value; after the first that stands, that one's for the rest."""
    out = [level] * len(p_values)
    now = level
    going = True
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if going:
            now = level / (len(p_values) - place)
            going = p_values[index] < now
        out[index] = now
    return out


def _reach(estimate: stats.Estimate, level: float) -> float:
    if not np.isfinite(estimate.se) or estimate.df < 1:
        return math.nan
    return float(-stdtrit(estimate.df, level)) * estimate.se


def _queries(estimate: stats.Estimate, margin: float, n: int, level: float) -> int | None:
    distance = abs(estimate.value + margin)
    if not np.isfinite(estimate.se) or estimate.df < 1 or distance == 0:
        return None
    needed = n * (_unit_effect(estimate.df, 2 * level) * estimate.se / distance) ** 2
    return math.ceil(needed) if np.isfinite(needed) else None
