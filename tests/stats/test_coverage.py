"""Nominal 95 % intervals hold the truth in 93 to 97 % of simulations; wrong ones beside them do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench import stats

pytestmark = pytest.mark.slow

SIMULATIONS = 2000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(99)


def held(ci: stats.Interval, truth: float) -> float:
    """Percent of intervals (columns) that hold the truth."""
    return 100.0 * float(np.mean((np.asarray(ci.lo) <= truth) & (truth <= np.asarray(ci.hi))))


def simulated(draw: Callable[[], stats.Interval], truth: float, times: int = SIMULATIONS) -> float:
    drawn = [draw() for _ in range(times)]
    return held(stats.Interval(np.array([ci.lo for ci in drawn]), np.array([ci.hi for ci in drawn])), truth)


def around_their_mean(draw: Callable[[], stats.Estimate]) -> float:
    """Percent of t intervals that hold the mean of the estimates: of a statistic whose bias depends on n."""
    drawn = [draw() for _ in range(SIMULATIONS)]
    ci = [stats.interval(estimate) for estimate in drawn]
    ends = stats.Interval(np.array([c.lo for c in ci]), np.array([c.hi for c in ci]))
    return held(ends, float(np.mean([estimate.value for estimate in drawn])))


def noise(rng: np.random.Generator, codes: np.ndarray, skewed: bool = False) -> np.ndarray:
    """Simulations as columns: an effect of each cluster and one of each row, both of mean 0."""
    effect = rng.exponential(size=(codes.max() + 1, SIMULATIONS)) - 1 if skewed else None
    if effect is None:
        effect = rng.normal(size=(codes.max() + 1, SIMULATIONS))
    return effect[codes] + rng.normal(size=(len(codes), SIMULATIONS))


# --- means ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize(("clusters", "most"), [(30, 5), (100, 5), (120, 20)])
def test_bootstrap(method: str, clusters: int, most: int, rng: np.random.Generator) -> None:
    codes = np.repeat(np.arange(clusters), rng.integers(1, most + 1, clusters))
    ci = stats.bootstrap_ci(noise(rng, codes), codes, n_resamples=3000, method=method)  # type: ignore[arg-type]
    assert 93 <= held(ci, 0.0) <= 97


@pytest.mark.parametrize(("clusters", "most"), [(5, 1), (10, 1), (10, 5), (20, 20)])
def test_t_interval_of_few_clusters(clusters: int, most: int, rng: np.random.Generator) -> None:
    codes = np.repeat(np.arange(clusters), rng.integers(1, most + 1, clusters))
    assert 93 <= held(stats.bootstrap_ci(noise(rng, codes), codes), 0.0) <= 97


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_of_rare_hits(method: str, rng: np.random.Generator) -> None:
    codes = np.concatenate([np.arange(706), rng.integers(0, 706, 400)])
    of_track = rng.random((706, SIMULATIONS)) < 0.03
    own = rng.random((1106, SIMULATIONS)) < 0.03
    hits = np.where(rng.random(own.shape) < 0.4, of_track[codes], own)
    ci = stats.bootstrap_ci(hits, codes, n_resamples=2000, method=method)  # type: ignore[arg-type]
    assert 93 <= held(ci, 0.03) <= 97


def test_bca_of_skewed_values(rng: np.random.Generator) -> None:
    codes = np.arange(100)
    ci = stats.bootstrap_ci(rng.exponential(size=(100, SIMULATIONS)), n_resamples=3000, method="bca")
    assert 93 <= held(ci, 1.0) <= 97
    clustered = np.repeat(codes, rng.integers(1, 6, 100))
    ci = stats.bootstrap_ci(noise(rng, clustered, skewed=True), clustered, n_resamples=3000, method="bca")
    assert 93 <= held(ci, 0.0) <= 97


def test_bca_misses_on_both_sides_alike(rng: np.random.Generator) -> None:
    values = rng.exponential(size=(100, 2 * SIMULATIONS))
    uneven = {}
    for method in ("percentile", "bca"):
        ci = stats.bootstrap_ci(values, n_resamples=2000, method=method)  # type: ignore[arg-type]
        uneven[method] = 100 * float(np.mean(np.asarray(ci.hi) < 1.0) - np.mean(np.asarray(ci.lo) > 1.0))
    assert uneven["bca"] < 0.6 * uneven["percentile"]


def test_a_bootstrap_that_ignores_clusters_would_not_do(rng: np.random.Generator) -> None:
    values = np.repeat(rng.normal(size=(80, SIMULATIONS)), 5, axis=0)
    assert held(stats.bootstrap_ci(values, n_resamples=1000), 0.0) < 75


# --- crossed groupings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second", "share"), [(10, 30, 1.0), (40, 60, 0.4), (50, 200, 1.0)])
def test_two_way_clusters(first: int, second: int, share: float, rng: np.random.Generator, crossed: Callable) -> None:
    def draw() -> stats.Interval:
        return stats.interval(stats.two_way_clustered(*crossed(rng, first, second, share)))

    assert 93 <= simulated(draw, 0.0) <= 97


def test_one_of_two_groupings_would_not_do(rng: np.random.Generator, crossed: Callable) -> None:
    def draw() -> stats.Interval:
        values, _, second = crossed(rng)
        return stats.interval(stats.two_way_clustered(values, second))

    assert simulated(draw, 0.0, 400) < 85


@pytest.mark.parametrize("log", [False, True])
def test_delta_of_a_ratio(log: bool, rng: np.random.Generator, crossed: Callable) -> None:
    def statistic(means: np.ndarray) -> np.ndarray:
        ratio = means[..., 0] / means[..., 1]
        return np.log(ratio) if log else ratio

    def draw() -> stats.Interval:
        above, i, j = crossed(rng)
        columns = np.column_stack([3 + above, 5 + 0.5 * above + 0.5 * rng.normal(size=len(i))])
        columns[rng.random(columns.shape) < 0.05] = np.nan
        return stats.interval(stats.clustered_delta(statistic, columns, i, j))

    assert 93 <= simulated(draw, np.log(0.6) if log else 0.6) <= 97


# --- sets -------------------------------------------------------------------------------------------------------------


def vendi(x: np.ndarray) -> float:
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(x.T @ x / len(x))
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values))))


def frechet(x: np.ndarray) -> float:
    """Fréchet distance to the standard normal distribution."""
    mean, cov = x.mean(axis=0), np.cov(x.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(cov), 0.0))
    return float(mean @ mean + np.trace(cov) + len(mean) - 2 * roots.sum())


def cloud(rng: np.random.Generator, codes: np.ndarray, d: int) -> np.ndarray:
    return 0.6 * rng.normal(size=(codes.max() + 1, d))[codes] + 0.8 * rng.normal(size=(len(codes), d))


def test_jackknife_of_vendi(rng: np.random.Generator) -> None:
    def draw() -> stats.Estimate:
        codes = rng.integers(0, 100, 200)
        return stats.jackknife_estimate(vendi, cloud(rng, codes, 8) / np.arange(1, 9), codes)

    assert 93 <= around_their_mean(draw) <= 97


def test_jackknife_of_vendi_near_its_maximum_is_too_wide_rather_than_too_narrow(rng: np.random.Generator) -> None:
    def draw() -> stats.Estimate:
        codes = rng.integers(0, 100, 200)
        return stats.jackknife_estimate(vendi, cloud(rng, codes, 8), codes)

    assert around_their_mean(draw) >= 93


def test_jackknife_of_a_frechet_distance(rng: np.random.Generator) -> None:
    def draw() -> stats.Estimate:
        codes = rng.integers(0, 100, 200)
        return stats.jackknife_estimate(frechet, 1.3 * cloud(rng, codes, 8) + 0.5, codes)

    assert 93 <= around_their_mean(draw) <= 97


def test_jackknife_of_a_log_ratio_of_two_distances(rng: np.random.Generator) -> None:
    def draw() -> stats.Estimate:
        codes = rng.integers(0, 100, 200)
        shared = cloud(rng, codes, 8)
        x, y = (shared + 0.3 * rng.normal(size=shared.shape) + shift for shift in (0.7, 0.5))
        return stats.jackknife_difference(frechet, x, y, codes, log_ratio=True)

    assert 93 <= around_their_mean(draw) <= 97


def test_jackknife_of_a_variance(rng: np.random.Generator) -> None:
    def draw() -> stats.Interval:
        codes = rng.integers(0, 200, 500)
        values = rng.normal(size=200)[codes] + rng.normal(size=500)
        return stats.jackknife_ci(lambda x: np.log(np.var(x)), values, codes)

    assert 93 <= simulated(draw, np.log(2.0)) <= 97


# --- median ranks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clusters", "most"), [(10, 5), (30, 5), (100, 5), (300, 1)])
def test_median_rank(clusters: int, most: int, rng: np.random.Generator) -> None:
    def draw() -> stats.Interval:
        codes = np.repeat(np.arange(clusters), rng.integers(1, most + 1, clusters))
        effect = rng.normal(size=clusters)[codes] + rng.normal(size=len(codes))
        ranks = np.ceil(100 * np.exp(effect))  # median 100
        ranks[effect > 2.5] = np.inf
        return stats.median_rank_ci(ranks, codes, n_resamples=600, seed=int(rng.integers(2**31)))

    assert 93 <= simulated(draw, 100.0) <= 97
