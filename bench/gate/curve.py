"""The gate's operating curve: how often it says what, when the true loss is known because it was planted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np

from bench import stats
from bench._stats_clustered import cluster_codes
from bench.comparison.paired import paired_difference
from bench.comparison.values import LOG_RANK, Info, from_ranks
from bench.gate.baseline import DEFAULT_METRICS
from bench.gate.decide import Verdict, decide, default_margin, exit_code
from bench.gate.losses import NO_TAIL, Tail, stake, tail

__all__ = ["EFFECTS", "OperatingPoint", "Population", "SparsePoint", "operating_curve", "sparse_rates"]

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
                estimate, own = _estimate(population, draw, key, before[key], shares[key][1][place])
                counts[key, effect][decide([estimate], [alone[key]], [len(draw.baseline)], [own])[0].verdict] += 1
            first = shares[metrics[0]][1][place]
            found = [_estimate(population, draw, key, before[key], first) for key in metrics]
            decided = decide([one[0] for one in found], both, [len(draw.baseline)] * len(metrics),
                             [one[1] for one in found])  # fmt: skip
            counts[TOGETHER, effect][_EXIT[exit_code([one.verdict for one in decided])]] += 1
    points = []
    for (key, effect), tally in counts.items():
        margin, failing = shares[metrics[0] if key == TOGETHER else key]
        rates = {verdict: count / n_candidates for verdict, count in tally.items()}
        points.append(OperatingPoint(key, effect, effect * margin, failing[list(effects).index(effect)], rates))
    return points


class SparsePoint(NamedTuple):
    """What the gate says where few queries change: of a candidate that lost exactly the margin, and of an equal."""

    failing: float
    """Share of queries that fail in the first."""
    false_none: float
    false_regression: float
    """Either is false at the margin itself."""
    none: float
    """Of the second, which is no worse."""


def sparse_rates(
    population: Population, key: str, margin: float | None, queries: int, churn: float = 0.0,
    n_candidates: int = 2000, seed: int = 0, whole_tracks: bool = False,
) -> SparsePoint:  # fmt: skip
    """Rates of the gate's answers where queries fail totally, and few others change.

    Args:
        population: ranks of two systems.
        key: a metric of ranks.
        margin: in its unit; None for the default one, made anew for every draw.
        queries: to ask, about: whole tracks are drawn with replacement.
        churn: share of tracks in which the two systems differ without any being better.
        n_candidates: draws.
        seed: of the draws.
        whole_tracks: a track fails with all of its queries, else each for itself.

    Raises:
        ValueError: not even a candidate that fails everywhere loses that much.
    """
    groups = len(np.unique(population.clusters))
    tracks = max(2, round(queries * groups / len(population.ranks)))
    worst = from_ranks(key, np.array([float(population.n_gallery)]), population.n_gallery)[0]
    own, twin = (from_ranks(key, ranks, population.n_gallery).mean() for ranks in (population.ranks, population.twin))
    above = abs((1 - churn / 2) * own + churn / 2 * twin - worst)
    loss = margin or default_margin(
        from_ranks(key, population.ranks, population.n_gallery), population.clusters, None, 1
    ) * np.sqrt(groups / tracks)
    if loss > above:
        raise ValueError(f"{key}: a margin of {loss:.3g}, where no more than {above:.3g} can be lost")
    counts = np.zeros(3)
    for draw in _draws(population, n_candidates, seed, tracks, churn):
        before = from_ranks(key, draw.baseline, population.n_gallery)
        accepted = margin or default_margin(before, draw.clusters, None, 1)
        turn = draw.turn[draw.clusters] if whole_tracks else draw.turn
        failed = draw._replace(chance=np.full(len(turn), float(population.n_gallery)), turn=turn)
        verdicts = []
        for share in (loss / above, 0.0):
            estimate, found = _estimate(population, failed, key, before, share)
            verdicts.append(decide([estimate], [accepted], [len(before)], [found])[0].verdict)
        counts += [verdicts[0] == "none", verdicts[0] == "regression", verdicts[1] == "none"]
    return SparsePoint(float(loss / above), *(counts / n_candidates).tolist())


class _Draw(NamedTuple):
    baseline: np.ndarray
    candidate: np.ndarray
    clusters: np.ndarray
    chance: np.ndarray
    """Ranks of random answers."""
    turn: np.ndarray
    """Numbers in [0, 1): a query fails where its own is below the share that does."""


def _draws(
    population: Population, count: int, seed: int, tracks: int | None = None, churn: float = 1.0
) -> Iterator[_Draw]:
    rng = np.random.default_rng(seed)
    codes, groups = cluster_codes(population.clusters, len(population.ranks))
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=groups)
    starts = np.cumsum(sizes) - sizes
    for _ in range(count):
        drawn = rng.integers(0, groups, tracks or groups)
        own = np.repeat(np.arange(len(drawn)), sizes[drawn])
        within = np.arange(len(own)) - np.repeat(np.cumsum(sizes[drawn]) - sizes[drawn], sizes[drawn])
        rows = order[starts[drawn][own] + within]
        swapped = rng.random(len(drawn))[own] < 0.5
        one, two = population.ranks[rows], population.twin[rows]
        if churn < 1:
            two = np.where(rng.random(len(drawn))[own] < churn, two, one)
        chance = rng.integers(1, population.n_gallery + 1, len(rows)).astype(np.float64)
        yield _Draw(np.where(swapped, two, one), np.where(swapped, one, two), own, chance, rng.random(len(rows)))


def _estimate(
    population: Population, draw: _Draw, key: str, before: np.ndarray, failing: float
) -> tuple[stats.Estimate, Tail]:
    """The difference that the gate sees, and its tail."""
    ranks = np.where(draw.turn < failing, draw.chance, draw.candidate)
    after = from_ranks(key, ranks, population.n_gallery)
    known = Info(key != LOG_RANK, "", "query")
    gain = before - after if key == LOG_RANK else after - before
    own = NO_TAIL
    if not np.array_equal(ranks, draw.baseline):
        own = tail(gain, stake(key, known, before, after, population.n_gallery, (None, None)), draw.clusters)
    return paired_difference(gain, draw.clusters), own


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
