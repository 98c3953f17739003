"""Paired tests against scipy, under the null, and the power that the detectable effect promises."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench import stats

HITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


# --- permutation ------------------------------------------------------------------------------------------------------


def test_permutation_equals_scipy_and_keeps_clusters_whole(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=9) + 0.5, rng.normal(size=9)
    other = scipy_stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True
    )
    assert stats.paired_permutation(a, b) == pytest.approx(other.pvalue)
    big_a, big_b = np.tile(a, 6), np.tile(b, 6)
    assert stats.paired_permutation(big_a, big_b, np.tile(np.arange(9), 6)) == pytest.approx(other.pvalue)
    assert stats.paired_permutation(big_a, big_b) < other.pvalue


def test_all_swaps_by_loops(rng: np.random.Generator) -> None:
    difference, codes = rng.integers(-2, 3, 24).astype(float), rng.integers(0, 6, 24)  # many ties
    reached = [
        abs(sum(d * signs[c] for d, c in zip(difference, codes, strict=True))) >= abs(difference.sum())
        for signs in product((1, -1), repeat=6)
    ]
    assert stats.paired_permutation(difference, np.zeros(24), codes) == pytest.approx(np.mean(reached))


def test_random_swaps_agree_with_all_swaps(rng: np.random.Generator) -> None:
    a, b = rng.normal(0.4, size=14), rng.normal(size=14)
    exact = stats.paired_permutation(a, b, n=2**14)
    error = np.sqrt(exact * (1 - exact) / 16_000)
    assert stats.paired_permutation(a, b, n=16_000) == pytest.approx(exact, abs=5 * error)


def test_permutation_of_nothing_but_ties_and_of_sure_effects(rng: np.random.Generator) -> None:
    a = rng.normal(size=50)
    assert stats.paired_permutation(a, a) == 1.0
    assert stats.paired_permutation(np.ones(50), np.zeros(50), n=99) == 0.01
    assert stats.paired_permutation([1.0], [0.0]) == 1.0


def test_sums_that_differ_in_rounding_only_are_ties(rng: np.random.Generator) -> None:
    assert stats.paired_permutation([0.1, 0.2, 0.3], [0.0, 0.0, 0.0]) == 0.25
    for _ in range(30):
        tenths = rng.integers(-5, 6, 8)
        balanced = np.append(tenths, -tenths.sum()) * 0.1  # a sum of 0, were it not for rounding
        assert stats.paired_permutation(balanced, np.zeros(9)) == 1.0


def test_permutation_ignores_direction_order_scale_and_gaps(rng: np.random.Generator) -> None:
    a, b, codes = rng.normal(size=60), rng.normal(size=60) - 0.3, rng.integers(0, 30, 60)
    p = stats.paired_permutation(a, b, codes, n=999)
    assert stats.paired_permutation(b, a, codes, n=999) == p
    assert stats.paired_permutation(-4 * a - 1, -4 * b - 1, codes, n=999) == p
    order = rng.permutation(60)
    assert stats.paired_permutation(a[order], b[order], codes[order], n=999) == p
    with_gaps = stats.paired_permutation(np.r_[a, np.nan, 1.0], np.r_[b, 1.0, np.nan], np.r_[codes, 99, 99], n=999)
    assert with_gaps == p
    assert stats.paired_permutation(a, b, codes, n=999, seed=1) != p


def test_p_is_uniform_under_the_null_of_clustered_data(clustered: Callable) -> None:
    rng = np.random.default_rng(4)

    def p(seed: int) -> float:
        values, codes = clustered(rng, 40)
        return stats.paired_permutation(values, np.zeros(len(values)), codes, n=199, seed=seed)

    found = [p(seed) for seed in range(2000)]
    # p lies on a grid of 1/200, which shifts its distribution by no more than that.
    assert scipy_stats.kstest(found, "uniform").statistic < 1.63 / np.sqrt(2000) + 1 / 200


def test_p_that_ignores_clusters_is_too_small(clustered: Callable) -> None:
    rng = np.random.default_rng(4)
    found = []
    for seed in range(300):
        values = np.repeat(rng.normal(size=40), 5)
        found.append(stats.paired_permutation(values, np.zeros(200), n=199, seed=seed))
    assert np.mean(np.array(found) <= 0.05) > 0.2


def test_p_of_rare_hits_is_never_too_small_under_the_null() -> None:
    rng = np.random.default_rng(5)
    codes = np.concatenate([np.arange(150), rng.integers(0, 150, 150)])
    found = []
    for seed in range(2000):
        track = rng.random((2, 150)) < 0.03
        hits = np.where(rng.random((2, 300)) < 0.5, track[:, codes], rng.random((2, 300)) < 0.03)
        found.append(stats.paired_permutation(*hits, codes, n=199, seed=seed))
    for alpha in (0.01, 0.05, 0.1, 0.3):
        share = np.mean(np.array(found) <= alpha)
        assert share <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 2000)
    assert np.mean(np.array(found) <= 0.05) > 0.025  # and not useless


# --- McNemar ----------------------------------------------------------------------------------------------------------


@given(HITS)
def test_mcnemar_is_the_binomial_test_and_the_swaps_of_all_queries(pairs: list[tuple[bool, bool]]) -> None:
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    result = stats.mcnemar(a, b)
    a_only, b_only = int((a & ~b).sum()), int((b & ~a).sum())
    assert result[:2] == (b_only, a_only)
    expected = scipy_stats.binomtest(a_only, a_only + b_only).pvalue if a_only + b_only else 1.0
    assert result.p == pytest.approx(expected)
    if len(pairs) <= 10:
        assert stats.paired_permutation(a, b) == pytest.approx(expected)
    swapped = stats.mcnemar(b, a)
    assert swapped == (a_only, b_only, result.p)
    assert 0 < stats.mcnemar(a, b, mid_p=True).p <= result.p


def test_mid_p_by_hand() -> None:
    # One against five of six: P(0) = 1/64, P(1) = 6/64.
    a, b = [1, 0, 0, 0, 0, 0, 1], [0, 1, 1, 1, 1, 1, 1]
    assert stats.mcnemar(a, b) == (5, 1, pytest.approx(14 / 64))
    assert stats.mcnemar(a, b, mid_p=True).p == pytest.approx(8 / 64)
    assert stats.mcnemar([1, 0], [0, 1], mid_p=True).p == 1.0
    assert stats.mcnemar([1, 0], [1, 0], mid_p=True).p == 1.0


def test_pairs_with_a_gap_do_not_count() -> None:
    assert stats.mcnemar([1.0, np.nan, 1.0, 0.0], [0.0, 1.0, np.nan, 1.0]) == (1, 1, 1.0)
    assert stats.mcnemar([], []) == (0, 0, 1.0)


def test_mid_p_keeps_the_level_about_and_the_exact_p_keeps_it_surely() -> None:
    rng = np.random.default_rng(6)
    exact, middle = [], []
    for _ in range(2000):
        hits = rng.random((2, 200)) < 0.2
        exact.append(stats.mcnemar(*hits).p)
        middle.append(stats.mcnemar(*hits, mid_p=True).p)
    assert np.mean(np.array(exact) <= 0.05) <= 0.05
    assert 0.035 < np.mean(np.array(middle) <= 0.05) < 0.065


# --- detectable effects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("df", "power"), [(4, 0.8), (9, 0.8), (29, 0.8), (29, 0.5), (200, 0.95)])
def test_the_detectable_effect_is_found_with_its_power(df: int, power: float) -> None:
    rng = np.random.default_rng(7)
    effect = stats.minimum_detectable_effect(1 / np.sqrt(df + 1), df, power)
    values = rng.normal(effect, size=(2000, df + 1))
    found = [stats.p_value(stats.two_way_clustered(row, np.arange(df + 1))) < 0.05 for row in values]
    assert np.mean(found) == pytest.approx(power, abs=0.03)


def test_detectable_effect_against_known_numbers() -> None:
    normal = scipy_stats.norm.ppf(0.975) + scipy_stats.norm.ppf(0.8)
    assert stats.minimum_detectable_effect(0.5, np.inf) == pytest.approx(0.5 * normal, rel=1e-5)
    assert stats.minimum_detectable_effect(0.5, 2e6) == pytest.approx(
        stats.minimum_detectable_effect(0.5, 5e5), rel=1e-4
    )
    shift = stats.minimum_detectable_effect(1.0, 12, alpha=0.01)
    critical = scipy_stats.t.ppf(0.995, 12)
    law = scipy_stats.nct(12, shift)
    assert law.sf(critical) + law.cdf(-critical) == pytest.approx(0.8)


def test_detectable_effect_grows_as_it_must() -> None:
    base = stats.minimum_detectable_effect(1.0, 20)
    assert stats.minimum_detectable_effect(3.0, 20) == pytest.approx(3 * base)
    assert stats.minimum_detectable_effect(1.0, 10) > base
    assert stats.minimum_detectable_effect(1.0, 20, power=0.9) > base
    assert stats.minimum_detectable_effect(1.0, 20, alpha=0.05 / 13) > base
    assert stats.minimum_detectable_effect(1.0, 1) > base
    assert stats.minimum_detectable_effect(0.0, 20) == 0.0
    assert np.isnan(stats.minimum_detectable_effect(np.nan, 20))
    assert np.isnan(stats.minimum_detectable_effect(1.0, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.paired_permutation([1.0], [1.0, 2.0]), "in pairs"),
        (lambda: stats.paired_permutation([[1.0]], [[1.0]]), "in pairs"),
        (lambda: stats.paired_permutation([np.nan], [1.0]), "no complete pair"),
        (lambda: stats.paired_permutation([], []), "no complete pair"),
        (lambda: stats.paired_permutation([1.0, 2.0], [0.0, -np.inf]), "1 infinite values in b, the first in row 1"),
        (lambda: stats.paired_permutation([1.0, 2.0], [0.0, 1.0], [0]), "2 rows, but cluster labels"),
        (lambda: stats.paired_permutation([1.0], [0.0], n=0), "n = 0"),
        (lambda: stats.mcnemar([1], [1, 0]), "in pairs"),
        (lambda: stats.mcnemar([1, 0, 0.5], [1, 0, 2]), "1 values in a other than 0 and 1, the first in row 2"),
        (lambda: stats.mcnemar([1, 0], [-1, np.inf]), "2 values in b other than 0 and 1, the first in row 0"),
        (lambda: stats.minimum_detectable_effect(-1.0, 5), "se = -1"),
        (lambda: stats.minimum_detectable_effect(1.0, 5, power=0.04), "power = 0.04"),
        (lambda: stats.minimum_detectable_effect(1.0, 5, power=1.0), "power = 1"),
        (lambda: stats.minimum_detectable_effect(1.0, 5, alpha=0), "alpha = 0"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
