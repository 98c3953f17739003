"""What a standard error cannot see where few queries lose: how much one failing query takes, and the skewness.

A standard error is made from the losses that were seen. Where a share p of the queries fails, each with a loss of v,
the mean loss is L = p·E[v] with variance L·s/n, where s is the size of one loss (for hits: 100 points). Of few
failures none may be among the queries that were asked: the error comes out as 0, and everything passes. The score test
takes the variance at the loss that is tested, not at the one that was seen; without a failure its upper end is
L = z²·s/n, Wilson's (1927) for a share. Where failures were seen, but not many, the loss is skewed, and the end of a t
interval is too near by (2z² + 1)/6 of its third cumulant over its variance (Johnson 1978; Hall 1992).
`bench.gate.decide` takes whichever of the two reaches further: the first where few queries changed, else the second.

The size s of one loss is Σv³/Σv², the mean of v weighted by what each adds to the variance. Σv²/Σv would do for the
variance itself; for reciprocal ranks, of which few are large, a system that lost exactly the margin then passed in up
to 6 % of simulations instead of 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bench._stats_clustered import cluster_codes
from bench.comparison.values import LOG_RANK, Info, is_of_ranks

__all__ = ["NO_TAIL", "Stake", "Tail", "stake", "tail"]


class Tail(NamedTuple):
    """How the mean difference of one cell and metric may fall without showing it in its standard error."""

    one: float
    """What the mean loses where one cluster fails, typical of a loss: weighted by what each adds to the variance."""
    skew: float
    """Third cumulant of the mean loss over its variance; 0 where gains are the longer tail."""


NO_TAIL = Tail(0.0, 0.0)


class Stake(NamedTuple):
    """What the baseline's queries have to lose."""

    each: np.ndarray
    """(n,) how much better each value is than the worst there is; NaN where a query does not count."""
    most: float
    """What a query can lose at most, for the case that none of them has anything to lose."""


def stake(
    key: str, known: Info, before: np.ndarray, after: np.ndarray, n_gallery: int, bounds: Sequence[float | None]
) -> Stake:
    """What the baseline's queries have to lose in a metric.

    Args:
        key: the metric's.
        known: of it.
        before, after: (n,) values of baseline and candidate, NaN where a query does not count.
        n_gallery: number of items searched, the worst rank.
        bounds: the metric's lowest and highest value, None where there is none. Where the worst end is not known, the
            worst value of either side stands for it.

    Example:
        >>> hits = np.array([0.0, 100.0])
        >>> stake("R@10", Info(True, "%", "query"), hits, hits, 500, (0, 100))
        Stake(each=array([  0., 100.]), most=100.0)
    """
    if is_of_ranks(key):
        low, high = (0.0, float(np.log2(n_gallery))) if key == LOG_RANK else (0.0, 100.0)
    else:
        low, high = (np.nan if end is None else float(end) for end in bounds)
    worst, best = (high, low) if known.higher_is_better is False else (low, high)
    if not np.isfinite(worst):
        seen = np.concatenate([before, after])
        seen = seen[np.isfinite(seen)]
        worst = np.nan if len(seen) == 0 else float(seen.max() if known.higher_is_better is False else seen.min())
    each = np.maximum(0.0, worst - before if known.higher_is_better is False else before - worst)
    most = abs(best - worst)
    return Stake(each, most if np.isfinite(most) else 0.0)


def tail(difference: np.ndarray, at_stake: Stake, first: Any, second: Any = None) -> Tail:
    """The tail of a mean of paired differences.

    Args:
        difference: (n,) candidate minus baseline in the better direction, NaN where a query does not count.
        at_stake: what the baseline's queries have to lose.
        first, second: (n,) groupings within which queries are dependent; `second` may be None. A whole cluster may fail
            at once, so that fewer and larger clusters have the longer tail; of two groupings the longer one counts.

    Example:
        >>> hits = Stake(np.full(200, 100.0), 100.0)
        >>> tail(np.zeros(200), hits, np.arange(200)), tail(np.zeros(200), hits, np.arange(200) // 2)
        (Tail(one=0.5, skew=0.0), Tail(one=1.0, skew=0.0))
    """
    present = ~np.isnan(difference)
    moved = difference[present]
    if len(moved) == 0:
        return NO_TAIL
    moved = moved - moved.mean()
    own = at_stake.each[present] / len(moved)
    if not own.any():
        own = np.full(len(moved), at_stake.most / len(moved))
    ones, skews = [], []
    for labels in (first, second):
        if labels is None:
            continue
        codes, groups = cluster_codes(labels, len(difference), present)
        ones.append(_ratio(np.bincount(codes, own, groups)))
        skews.append(-_ratio(np.bincount(codes, moved, groups)) / len(moved))
    return Tail(max(ones), max(0.0, *skews))


def _ratio(sums: np.ndarray) -> float:
    """Third moment over the second: the mean of what each adds to the variance."""
    squares = float((sums**2).sum())
    return float((sums**3).sum()) / squares if squares else 0.0
