"""The gate's decision: regression, none or inconclusive, from paired differences and margins.

d is candidate minus baseline in the metric's better direction, m the margin. Two families of one-sided tests are held
against −m, one test each for every cell and metric: "no worse than the margin" (rejected: a regression) and "worse
than the margin" (rejected: no regression). Each family is tested by Holm's step-down procedure at half of alpha, so
the chance that any regression that is told is false, and the chance that any "none" is, stay below half of alpha each,
however the tests depend on each other. The ends of the interval that is told are those that decide: the lower one at
the level of the second test's step, the upper one at that of the first. With one test the upper one is the end of the
95 % interval, and so is the lower one, but for what `bench.gate.losses` adds where few queries change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from bench import stats
from bench.gate.losses import NO_TAIL, Tail

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
    estimates: Sequence[stats.Estimate], margins: Sequence[float], queries: Sequence[int],
    tails: Sequence[Tail] | None = None, alpha: float = ALPHA,
) -> list[Decision]:  # fmt: skip
    """Decide all tests of a gate together.

    Args:
        estimates: of d, positive where the candidate is better.
        margins: losses that are accepted, above 0.
        queries: number of queries of each test.
        tails: of losses that the errors do not show; None where there are none, as with normal values.
        alpha: chance of a false statement, half for regressions and half for none.

    Example:
        >>> tight, wide = stats.Estimate(-3.0, 0.5, 99), stats.Estimate(-1.0, 1.0, 99)
        >>> [found.verdict for found in decide([tight, wide], [1.0, 1.0], [100, 100])]
        ['regression', 'inconclusive']
        >>> decide([stats.Estimate(0.0, 0.2, 99)], [1.0], [100])[0].verdict
        'none'
        >>> decide([stats.Estimate(0.0, 0.0, 99)], [1.0], [100], [Tail(1.0, 0.0)])[0].verdict
        'inconclusive'
    """
    known = [NO_TAIL] * len(estimates) if tails is None else tails
    shifted = [estimate._replace(value=estimate.value + m) for estimate, m in zip(estimates, margins, strict=True)]
    worse = _levels([_below(shift) for shift in shifted], alpha / 2)
    fine = _levels([_above(shift, own) for shift, own in zip(shifted, known, strict=True)], alpha / 2)
    found = []
    for estimate, own, m, n, upper, lower in zip(estimates, known, margins, queries, worse, fine, strict=True):
        lo = estimate.value - _reach(estimate, lower, own)
        hi = estimate.value + _reach(estimate, upper)
        verdict: Verdict = "regression" if hi < -m else "none" if lo > -m else "inconclusive"
        needed = None
        if verdict == "inconclusive":
            loses = estimate.value <= -m
            needed = _queries(estimate, m, n, upper if loses else lower, NO_TAIL if loses else own)
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


def _above(shift: stats.Estimate, own: Tail) -> float:
    """One-sided p of "the shift is 0 or less" against "it is above 0", as `_reach` has it with the tail of losses."""
    if shift.value <= 0 or own == NO_TAIL:
        return _below(shift._replace(value=-shift.value))
    if not np.isfinite(shift.se) or shift.df < 1:
        return 1.0
    # The z at which either reach equals the shift; the smaller one is that of the reach that decides.
    score = math.sqrt(2 / (shift.se**2 + math.hypot(shift.se**2, 2 * own.one * shift.value))) * shift.value
    if shift.se == 0:  # and so is the skewness
        return float(stdtr(shift.df, -score))
    beyond = shift.value - own.skew / 6
    skewed = 2 * beyond / (shift.se + math.sqrt(shift.se**2 + 4 / 3 * own.skew * max(0.0, beyond)))
    return float(stdtr(shift.df, -max(0.0, min(score, skewed))))


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


def _reach(estimate: stats.Estimate, level: float, own: Tail = NO_TAIL) -> float:
    """How far an end lies from the estimate: z standard errors, or further where losses have a tail."""
    if not np.isfinite(estimate.se) or estimate.df < 1:
        return math.nan
    z = float(-stdtrit(estimate.df, level))
    return max(math.hypot(z * estimate.se, z * z * own.one), z * estimate.se + (2 * z * z + 1) / 6 * own.skew)


def _queries(estimate: stats.Estimate, margin: float, n: int, level: float, own: Tail) -> int | None:
    """Queries with which the end would lie beyond the margin with 80 % power: n/x, where errors are √x as large."""
    distance = abs(estimate.value + margin)
    if not np.isfinite(estimate.se) or estimate.df < 1 or distance == 0:
        return None
    z = float(-stdtrit(estimate.df, level))
    error = _unit_effect(estimate.df, 2 * level) * estimate.se
    score, skew = z * z * own.one, (2 * z * z + 1) / 6 * own.skew
    # error² x + score² x² = distance², and error √x + skew x = distance, solved for 1/x.
    needed = max(
        (error**2 + math.hypot(error**2, 2 * score * distance)) / (2 * distance**2),
        ((error + math.sqrt(error**2 + 4 * skew * distance)) / (2 * distance)) ** 2,
    )
    return math.ceil(n * needed) if np.isfinite(n * needed) else None
