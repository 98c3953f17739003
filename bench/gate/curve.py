"""The gate's operating curve: how often it says what, when the true loss is known because it was planted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np

from bench import stats
from bench._stats_clustered import cluster_codes
from bench.comparison.paired import paired_difference
from bench.comparison.values import LOG_RANK, from_ranks
from bench.gate.baseline import DEFAULT_METRICS
from bench.gate.decide import Verdict, decide, default_margin, exit_code

__all__ = ["EFFECTS", "OperatingPoint", "Population", "operating_curve"]

EFFECTS = (0.0, 0.5, 1.0, 2.0)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
TOGETHER = "together"
_EXIT: dict[int, Verdict] = {0: "none", 1: "regression", 3: "inconclusive"}


@dataclass(frozen=True)
class Population:
    """Queries from which baselines and candidates are drawn."""

    ranks: np.ndarray
    """(n,) ranks of a system."""
    twin: np.ndarray
    """(n,) ranks of another that is neither better nor worse by design, such as the same with another training seed."""
    clusters: np.ndarray
    """(n,) tracks."""
    n_gallery: int


class OperatingPoint(NamedTuple):
    """What the gate says at one true loss."""

    gated: str
    """A metric that is gated alone, or `together` for all of them."""
    effect: float
    """True loss in default margins (together: of the first metric)."""
    loss: float
    """The same in the metric's unit."""
    failing: float
    """Share of queries that the candidate answers at random."""
    rates: dict[Verdict, float]


def operating_curve(
    population: Population,
    metrics: Sequence[str] = DEFAULT_METRICS,
    effects: Sequence[float] = EFFECTS,
    n_candidates: int = 2000,
    seed: int = 0,
) -> list[OperatingPoint]:
    """Rates of the gate's answers over resampled baselines and candidates with a planted loss.

    Each time whole tracks are drawn with replacement; within each, a coin says which of the two systems is the baseline
    and which the candidate, so that they differ as two trainings do and the true effect is 0. Then the candidate
    answers a share of the queries at random, so that its true loss is a multiple of the default margin. Margins,
    intervals and answers are the gate's own, made anew for every draw.

    Args:
        population: ranks of two systems.
        metrics: keys of ranks; each is gated alone, and all together.
        effects: true losses, in default margins.
        n_candidates: draws.
        seed: of the draws.

    Raises:
        ValueError: a loss that not even a candidate at chance has.
    """
    shares = {key: _shares(population, key, effects) for key in metrics}
    counts = {(key, effect): dict.fromkeys(VERDICTS, 0) for key in (*metrics, TOGETHER) for effect in effects}
    for draw in _draws(population, n_candidates, seed):
        before = {key: from_ranks(key, draw.baseline, population.n_gallery) for key in metrics}
        alone = {key: default_margin(before[key], draw.clusters, None, 1) for key in metrics}
        both = [default_margin(before[key], draw.clusters, None, len(metrics)) for key in metrics]
        for place, effect in enumerate(effects):
            for key in metrics:
                estimate = _estimate(population, draw, key, before[key], shares[key][1][place])
                counts[key, effect][decide([estimate], [alone[key]], [len(draw.baseline)])[0].verdict] += 1
            first = shares[metrics[0]][1][place]
            estimates = [_estimate(population, draw, key, before[key], first) for key in metrics]
            decided = decide(estimates, both, [len(draw.baseline)] * len(metrics))
            counts[TOGETHER, effect][_EXIT[exit_code([one.verdict for one in decided])]] += 1
    points = []
    for (key, effect), found in counts.items():
        margin, own = shares[metrics[0] if key == TOGETHER else key]
        rates = {verdict: count / n_candidates for verdict, count in found.items()}
        points.append(OperatingPoint(key, effect, effect * margin, own[list(effects).index(effect)], rates))
    return points


class _Draw(NamedTuple):
    baseline: np.ndarray
    candidate: np.ndarray
    clusters: np.ndarray
    chance: np.ndarray
    """Ranks of random answers."""
    turn: np.ndarray
    """Numbers in [0, 1): a query fails where its own is below the share that does."""


def _draws(population: Population, count: int, seed: int) -> Iterator[_Draw]:
    rng = np.random.default_rng(seed)
    codes, groups = cluster_codes(population.clusters, len(population.ranks))
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=groups)
    starts = np.cumsum(sizes) - sizes
    for _ in range(count):
        drawn = rng.integers(0, groups, groups)
        own = np.repeat(np.arange(groups), sizes[drawn])
        within = np.arange(len(own)) - np.repeat(np.cumsum(sizes[drawn]) - sizes[drawn], sizes[drawn])
        rows = order[starts[drawn][own] + within]
        swapped = rng.random(groups)[own] < 0.5
        one, two = population.ranks[rows], population.twin[rows]
        chance = rng.integers(1, population.n_gallery + 1, len(rows)).astype(np.float64)
        yield _Draw(np.where(swapped, two, one), np.where(swapped, one, two), own, chance, rng.random(len(rows)))


def _estimate(population: Population, draw: _Draw, key: str, before: np.ndarray, failing: float) -> stats.Estimate:
    ranks = np.where(draw.turn < failing, draw.chance, draw.candidate)
    change = from_ranks(key, ranks, population.n_gallery) - before
    return paired_difference(-change if key == LOG_RANK else change, draw.clusters)


def _shares(population: Population, key: str, effects: Sequence[float]) -> tuple[float, list[float]]:
    """The default margin of a metric, and the share of failing queries that makes each effect."""
    n = population.n_gallery
    sides = [from_ranks(key, ranks, n) for ranks in (population.ranks, population.twin)]
    margin = float(np.mean([default_margin(values, population.clusters, None, 1) for values in sides]))
    chance = from_ranks(key, np.arange(1.0, n + 1), n).mean()
    above = abs(float(np.mean(sides)) - float(chance))
    shares = [effect * margin / above for effect in effects]
    if max(shares) > 1:
        raise ValueError(f"{key}: {max(effects):g} margins of {margin:.3g}: chance itself loses {above:.3g}")
    return margin, shares
