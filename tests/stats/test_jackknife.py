"""The delete-a-group jackknife against textbook formulas, and why sets are not resampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench import stats


def vendi(x: np.ndarray) -> float:
    """Exponential entropy of the spectrum of a cosine kernel."""
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(x @ x.T / len(x))
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values))))


def test_jackknife_of_a_mean(rng: np.random.Generator) -> None:
    values = rng.normal(size=60)
    estimate = stats.jackknife_estimate(np.mean, values, groups=60)
    assert estimate == pytest.approx((values.mean(), scipy_stats.sem(values), 59))
    # Equal groups: the textbook formula.
    codes = np.arange(60) // 3
    without = [np.delete(values, np.flatnonzero(codes == g)).mean() for g in range(20)]
    expected = np.sqrt(19 / 20 * np.sum((without - np.mean(without)) ** 2))
    assert stats.jackknife_estimate(np.mean, values, codes).se == pytest.approx(expected)


def test_unequal_groups_are_weighted_as_in_busing(rng: np.random.Generator) -> None:
    values, codes = rng.exponential(size=23), np.repeat(np.arange(5), [1, 2, 4, 6, 10])
    estimate = stats.jackknife_estimate(np.var, values, codes)
    n, value = 23, np.var(values)
    shares = [n / np.sum(codes == g) for g in range(5)]
    without = [np.var(values[codes != g]) for g in range(5)]
    centre = 5 * value - sum((1 - 1 / h) * w for h, w in zip(shares, without, strict=True))
    terms = [(h * value - (h - 1) * w - centre) ** 2 / (h - 1) for h, w in zip(shares, without, strict=True)]
    assert estimate.se == pytest.approx(np.sqrt(sum(terms) / 5))


def test_clusters_stay_whole_and_tuples_are_taken(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 30, 200)
    seen: list[set[int]] = []

    def statistic(x: np.ndarray, owner: np.ndarray) -> float:
        assert len(x) == len(owner)
        seen.append(set(owner.tolist()))
        return float(x.mean())

    estimate = stats.jackknife_estimate(statistic, (rng.normal(size=200), codes), codes, groups=7)
    assert estimate.df == 6
    everyone = seen[0]
    left_out = [everyone - rest for rest in seen[1:]]
    assert sum(len(out) for out in left_out) == len(everyone)
    assert set().union(*left_out) == everyone


def test_percentiles_of_a_set_exclude_their_own_estimate(rng: np.random.Generator) -> None:
    x = rng.normal(size=(80, 40))
    drawn = [vendi(x[rng.integers(0, 80, 80)]) for _ in range(300)]
    assert np.quantile(drawn, 0.975) < vendi(x)
    ci = stats.jackknife_ci(vendi, x)
    assert ci.lo < vendi(x) < ci.hi
    assert ci == stats.interval(stats.jackknife_estimate(vendi, x))


def test_order_and_names_do_not_matter(rng: np.random.Generator) -> None:
    x, codes = rng.normal(size=90), rng.integers(0, 40, 90)
    estimate = stats.jackknife_estimate(np.std, x, codes)
    order = rng.permutation(90)
    assert stats.jackknife_estimate(np.std, x[order], codes[order]) == pytest.approx(estimate)
    named = np.array([f"track {code:02d}" for code in codes], dtype=object)
    assert stats.jackknife_estimate(np.std, x, named) == pytest.approx(estimate)
    assert stats.jackknife_estimate(np.std, x, codes, seed=1).se != estimate.se


def test_difference_cancels_what_is_shared(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 50, 200)
    shared = rng.normal(size=200)
    x, y = shared + 0.1 * rng.normal(size=200), shared + 0.1 * rng.normal(size=200) + 0.5
    paired = stats.jackknife_difference(np.mean, x, y, codes)
    assert paired == pytest.approx(stats.jackknife_estimate(np.mean, x - y, codes))
    alone = [stats.jackknife_estimate(np.mean, side, codes).se for side in (x, y)]
    assert paired.se < 0.5 * np.hypot(*alone)
    assert stats.jackknife_difference(np.var, x, x, codes) == (0.0, 0.0, 19)
    forth, back = (stats.jackknife_difference(np.var, *pair, codes) for pair in ((x, y), (y, x)))
    assert back == pytest.approx((-forth.value, forth.se, forth.df))


def test_log_ratio_and_tuples(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=100), 3 * rng.normal(size=100)
    ratio = stats.jackknife_difference(np.var, x, y, log_ratio=True)
    assert ratio.value == pytest.approx(np.log(np.var(x) / np.var(y)))
    assert ratio == pytest.approx(stats.jackknife_estimate(lambda a, b: np.log(np.var(a) / np.var(b)), (x, y)))
    # A unit does not matter to a ratio.
    assert stats.jackknife_difference(np.var, 10 * x, 10 * y, log_ratio=True) == pytest.approx(ratio)
    weights = rng.random(100)
    pairs = stats.jackknife_difference(lambda v, w: np.sum(v * w) / np.sum(w), (x, weights), (y, weights))
    assert pairs.value == pytest.approx(np.average(x, weights=weights) - np.average(y, weights=weights))


def test_degenerate_sizes() -> None:
    single = stats.jackknife_estimate(np.mean, [1.0, 2.0], clusters=["a", "a"])
    assert single.value == 1.5
    assert np.isnan(single.se)
    assert single.df == 0
    assert np.isnan(stats.jackknife_ci(np.mean, [1.0])).all()
    assert stats.jackknife_estimate(np.mean, [1.0, 3.0]) == (2.0, pytest.approx(1.0), 1)
    assert stats.jackknife_estimate(np.mean, np.full(40, 0.5)) == pytest.approx((0.5, 0.0, 19))


def test_statistics_that_are_not_finite_have_no_error() -> None:
    values = np.r_[np.nan, np.arange(39.0)]
    whole = stats.jackknife_estimate(np.mean, values)
    assert np.isnan([whole.value, whole.se]).all()
    # Finite on all rows, but not without one of them.
    part = stats.jackknife_estimate(lambda x: 1.0 if len(x) == 40 else np.inf, np.arange(40.0))
    assert part.value == 1.0
    assert np.isnan(part.se)
    assert part.df == 19


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.jackknife_estimate(np.mean, []), r"arrays of \[0\] rows"),
        (lambda: stats.jackknife_estimate(np.mean, 3.0), r"arrays of \[0\] rows"),
        (lambda: stats.jackknife_estimate(np.mean, ()), r"arrays of \[\] rows"),
        (lambda: stats.jackknife_estimate(np.dot, (np.ones(3), np.ones(4))), r"arrays of \[3, 4\] rows; equal numbers"),
        (lambda: stats.jackknife_estimate(np.mean, np.ones(3), groups=1), "groups = 1"),
        (lambda: stats.jackknife_estimate(np.mean, np.ones(3), [0, 1]), "3 rows, but cluster labels"),
        (lambda: stats.jackknife_ci(np.mean, np.arange(9.0), level=2), "level = 2"),
        (lambda: stats.jackknife_difference(np.mean, np.ones(3), np.ones(4)), r"arrays of \[3, 4\] rows"),
        (
            lambda: stats.jackknife_difference(np.mean, np.ones(9), np.zeros(9), log_ratio=True),
            "values above 0; the statistic is 1 and 0",
        ),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
