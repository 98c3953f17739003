"""The gate's arithmetic: its decision, the default margin, and how often it errs at planted losses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtr

from bench import stats
from bench.gate.curve import Population, operating_curve
from bench.gate.decide import ALPHA, decide, default_margin, exit_code

N = 300


def estimate(value: float, se: float, df: float = 99) -> stats.Estimate:
    return stats.Estimate(value, se, df)


# --- the decision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.0, "none"), (-0.5, "none"), (-1.0, "inconclusive"), (-1.3, "inconclusive"),
                           (-1.5, "regression"), (3.0, "none")],
)  # fmt: skip
def test_one_test_is_held_to_its_95_percent_interval(value: float, verdict: str) -> None:
    one = estimate(value, 0.2)
    (found,) = decide([one], [1.0], [100])
    assert (found.lo, found.hi) == pytest.approx(tuple(stats.interval(one)))
    assert found.verdict == verdict


def test_several_tests_are_holms_on_either_side() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        k = int(rng.integers(1, 9))
        # Many lie close to the levels of the steps, so that one that stands holds up others.
        away = rng.choice([-1, 1]) * rng.uniform(1.9, 3.0, k) + rng.choice([0.0, 2.0]) * rng.normal(size=k)
        errors = rng.uniform(0.1, 1, k)
        many = [estimate(v, s, 40) for v, s in zip(-1 + away * errors, errors, strict=True)]
        found = [d.verdict for d in decide(many, [1.0] * k, [50] * k)]
        below = np.array([stdtr(e.df, (e.value + 1) / e.se) for e in many])
        worse = stats.holm(np.minimum(below, 1)) < ALPHA / 2
        fine = stats.holm(np.minimum(1 - below, 1)) < ALPHA / 2
        assert found == [
            "regression" if w else "none" if f else "inconclusive" for w, f in zip(worse, fine, strict=True)
        ]
        seen |= set(found)
    assert len(seen) == 3


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_false_statements_are_rare_over_the_whole_family(correlation: float) -> None:
    rng = np.random.default_rng(1)
    k, draws, df = 6, 2000, 30
    shared = np.sqrt(correlation) * rng.normal(size=(draws, 1))
    noise = shared + np.sqrt(1 - correlation) * rng.normal(size=(draws, k))
    errors = np.sqrt(rng.chisquare(df, (draws, 1)) / df).repeat(k, axis=1)
    # Three tests lie at the margin, where either statement is false; three have regressed for certain.
    truth = np.array([-1.0, -1.0, -1.0, -9.0, -9.0, -9.0])
    false_regression = false_none = 0
    for values, se in zip(truth + noise, errors, strict=True):
        found = [d.verdict for d in decide([estimate(v, s, df) for v, s in zip(values, se, strict=True)], [1.0] * k,
                                           [100] * k)]  # fmt: skip
        assert found[3:] == ["regression"] * 3
        false_regression += "regression" in found[:3]
        false_none += "none" in found[:3]
    # 2.5 % and three standard errors of the simulation.
    assert false_regression / draws < 0.025 + 3 * np.sqrt(0.025 * 0.975 / draws)
    assert false_none / draws < 0.025 + 3 * np.sqrt(0.025 * 0.975 / draws)


def test_an_error_that_is_not_known_decides_nothing() -> None:
    unknown, steady = estimate(-5.0, np.nan, 0), estimate(0.0, 0.0, 50)
    found = decide([unknown, steady], [1.0, 1.0], [10, 10])
    assert [d.verdict for d in found] == ["inconclusive", "none"]
    assert np.isnan(found[0].lo)
    assert found[0].queries is None
    assert decide([estimate(-2.0, 0.0)], [1.0], [10])[0].verdict == "regression"


def test_the_queries_that_would_decide() -> None:
    rng = np.random.default_rng(2)
    for value, se in zip(rng.normal(-1, 0.5, 50), rng.uniform(0.3, 2, 50), strict=True):
        (found,) = decide([estimate(value, se)], [1.0], [200])
        if found.verdict == "inconclusive":
            assert found.queries > 200
            shrunk = se * np.sqrt(200 / found.queries)
            # With that error the distance from the margin is what is found with 80 % power.
            assert stats.minimum_detectable_effect(shrunk, 99) == pytest.approx(abs(value + 1), rel=0.01)


def test_exit_codes() -> None:
    assert exit_code(["none", "inconclusive", "regression"]) == 1
    assert exit_code(["none", "inconclusive"]) == 3
    assert exit_code(["none", "none"]) == 0


# --- the default margin -----------------------------------------------------------------------------------------------


def test_the_default_margin_is_what_the_baselines_error_finds() -> None:
    values = 100.0 * (np.random.default_rng(0).random(400) < 0.2)
    tracks = np.arange(400) // 2
    own = stats.two_way_clustered(values, tracks)
    assert default_margin(values, tracks, None, 1) == pytest.approx(stats.minimum_detectable_effect(own.se, own.df))
    assert default_margin(values, tracks, None, 10) > default_margin(values, tracks, None, 1)
    four = np.tile(values, 4), np.concatenate([tracks + 1000 * i for i in range(4)])
    assert default_margin(*four, None, 1) == pytest.approx(default_margin(values, tracks, None, 1) / 2, rel=0.02)


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0])
def test_a_noisy_candidate_that_lost_a_margin_does_not_pass(noise: float) -> None:
    rng = np.random.default_rng(3)
    n, draws = 200, 1000
    queries = np.arange(n)
    margin = default_margin(rng.normal(0, 1, n), queries, None, 1)
    unit = stats.minimum_detectable_effect(1.0, n - 1)
    passed = tempted = 0
    for _ in range(draws):
        own = stats.two_way_clustered(rng.normal(-margin, noise, n), queries)
        passed += decide([own], [margin], [n])[0].verdict == "none"
        # What a margin from the candidate's own noise would do.
        tempted += decide([own], [unit * own.se], [n])[0].verdict == "none"
    assert passed / draws < 0.025 + 3 * np.sqrt(0.025 * 0.975 / draws)
    if noise == 5.0:
        assert tempted / draws > 0.4


# --- the operating curve ----------------------------------------------------------------------------------------------


def test_the_operating_curve_is_as_promised() -> None:
    rng = np.random.default_rng(0)
    skill = rng.uniform(0, 6, N)
    ranks = [np.ceil(np.exp(np.clip(skill + rng.normal(0, 0.6, N), 0, 6))) for _ in range(2)]
    population = Population(*ranks, clusters=np.arange(N) // 2, n_gallery=500)
    points = {(p.gated, p.effect): p.rates for p in operating_curve(population, n_candidates=250)}
    for metric in ("R@10", "MRR", "logRank"):
        assert points[metric, 0.0]["regression"] <= 0.025
        assert points[metric, 0.0]["none"] > 0.7
        # At the margin itself either statement is false.
        assert points[metric, 1.0]["regression"] < 0.06
        assert points[metric, 1.0]["none"] < 0.06
        assert points[metric, 2.0]["regression"] > 0.7
    assert points["together", 0.0]["regression"] <= 0.025
    assert points["together", 2.0]["regression"] > 0.9


def test_the_curve_is_reproducible_and_refuses_what_cannot_be() -> None:
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 100, 60).astype(float)
    population = Population(ranks, ranks[::-1].copy(), np.arange(60), 100)
    with pytest.raises(ValueError, match="chance itself loses"):
        operating_curve(population, n_candidates=5)
    weak = [operating_curve(population, ["logRank"], [0.0], 20, seed=4) for _ in range(2)]
    assert weak[0] == weak[1]
