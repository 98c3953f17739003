"""Clustered errors against slow oracles, hand numbers and invariances."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench import _stats_clustered, _stats_jackknife, _stats_resampling, _stats_tests, stats


@pytest.mark.parametrize("module", [_stats_clustered, _stats_jackknife, _stats_resampling, _stats_tests])
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def left_out_variance(values: np.ndarray, labels: list[Any]) -> float:
    """(G − 1)/G Σ (mean without g − mean)², by loops."""
    names, shifts = sorted(set(labels)), []
    for name in names:
        rest = [value for value, label in zip(values, labels, strict=True) if label != name]
        shifts.append(sum(rest) / len(rest) - sum(values) / len(values))
    return (len(names) - 1) / len(names) * sum(shift**2 for shift in shifts)


def test_two_way_equals_leaving_out_by_loops(rng: np.random.Generator) -> None:
    for _ in range(5):
        first, second = rng.integers(0, 6, 50), rng.choice(["a", "b", "c", "d"], 50)  # pairs repeat
        values = rng.normal(size=50) + first
        one, two = left_out_variance(values, list(first)), left_out_variance(values, list(second))
        both = left_out_variance(values, list(zip(first, second, strict=True)))
        estimate = stats.two_way_clustered(values, first, second)
        assert estimate.value == pytest.approx(values.mean())
        assert estimate.se == pytest.approx(np.sqrt(max(one, two, one + two - both)))
        assert estimate.df == 3
        assert stats.two_way_clustered(values, second, first).se == pytest.approx(estimate.se)
        assert stats.two_way_clustered(values, first).se == pytest.approx(np.sqrt(one))


def test_balanced_clusters_have_the_textbook_error(rng: np.random.Generator) -> None:
    values = rng.normal(size=(12, 4))
    estimate = stats.two_way_clustered(values.ravel(), np.repeat(np.arange(12), 4))
    assert estimate.se == pytest.approx(values.mean(axis=1).std(ddof=1) / np.sqrt(12))
    single = stats.two_way_clustered(values.ravel(), np.arange(48))
    assert single.se == pytest.approx(scipy_stats.sem(values.ravel()))
    # By hand: cluster means 1.5 and 4.5 around 3.
    assert stats.two_way_clustered([1.0, 2.0, 3.0, 6.0], [0, 0, 1, 1]) == (3.0, pytest.approx(1.5), 1)


def test_difference_variance_cannot_fall_below_the_larger_one() -> None:
    # Rows and columns cancel: V₁ and V₂ are 0 or small, V₁₂ is large, and V₁ + V₂ − V₁₂ is negative.
    values, first, second = [1.0, -1.0, -1.0, 1.0], [0, 0, 1, 1], [0, 1, 0, 1]
    assert stats.two_way_clustered(values, first, second) == (0.0, 0.0, 1)


def test_missing_rows_do_not_count(rng: np.random.Generator, crossed: Callable) -> None:
    values, first, second = crossed(rng, 8, 9)
    gone = rng.random(len(values)) < 0.3
    with_nan = np.where(gone, np.nan, values)
    expected = stats.two_way_clustered(values[~gone], first[~gone], second[~gone])
    assert stats.two_way_clustered(with_nan, first, second) == expected
    assert stats.clustered_delta(lambda m: m[..., 0], with_nan[:, None], first, second) == pytest.approx(expected)


def test_delta_of_a_linear_statistic_is_the_clustered_mean(rng: np.random.Generator, crossed: Callable) -> None:
    a, first, second = crossed(rng)
    b = rng.normal(size=len(a))
    delta = stats.clustered_delta(lambda m: 2 * m[..., 0] - m[..., 1], np.column_stack([a, b]), first, second)
    assert delta == pytest.approx(stats.two_way_clustered(2 * a - b, first, second))


def test_delta_of_a_ratio_is_the_textbook_formula(rng: np.random.Generator, crossed: Callable) -> None:
    a, first, second = crossed(rng)
    b = 4 + rng.normal(size=len(a))
    delta = stats.clustered_delta(lambda m: m[..., 0] / m[..., 1], np.column_stack([a, b]), first, second)
    ratio = a.mean() / b.mean()
    linear = stats.two_way_clustered((a - ratio * b) / b.mean(), first, second)
    assert delta.value == pytest.approx(ratio)
    assert delta.se == pytest.approx(linear.se, rel=1e-3)


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 5), st.integers(0, 4)), min_size=4, max_size=40),
    st.randoms(use_true_random=False),
)
def test_order_names_shift_scale_and_copies_do_not_matter(rows: list[tuple[int, int, int]], shuffler: Any) -> None:
    values, first, second = (np.array(part) for part in zip(*rows, strict=True))
    estimate = stats.two_way_clustered(values, first, second)
    close = pytest.approx(estimate, nan_ok=True, abs=1e-12)
    order = np.array(shuffler.sample(range(len(rows)), len(rows)))
    assert stats.two_way_clustered(values[order], first[order], second[order]) == close
    named = np.array([f"n{label}" for label in first], dtype=object)
    assert stats.two_way_clustered(values, named, second.astype(float)) == close
    moved = stats.two_way_clustered(7.0 - 2.0 * values, first, second)
    assert moved == pytest.approx((7.0 - 2.0 * estimate.value, 2.0 * estimate.se, estimate.df), nan_ok=True, abs=1e-12)
    # One way, a second copy of each row in its own cluster says nothing new.
    once, twice = stats.two_way_clustered(values, first), stats.two_way_clustered(*np.tile([values, first], 2))
    assert twice == pytest.approx(once, nan_ok=True, abs=1e-12)


def test_interval_and_p_agree_with_scipy() -> None:
    estimate = stats.Estimate(1.3, 0.4, 7)
    assert stats.interval(estimate, 0.9) == pytest.approx(scipy_stats.t.interval(0.9, 7, 1.3, 0.4))
    for margin in (-0.2, 0.0, 1.0):
        expected = 2 * scipy_stats.t.sf(abs(1.3 - margin) / 0.4, 7)
        assert stats.p_value(estimate, margin) == pytest.approx(expected)
    end = stats.interval(estimate).lo
    assert stats.p_value(estimate, float(end)) == pytest.approx(0.05)


def test_too_little_data_has_no_error() -> None:
    one = stats.two_way_clustered([1.0, 2.0], ["a", "a"], ["x", "y"])
    assert one.value == 1.5
    assert np.isnan([one.se, *stats.interval(one), stats.p_value(one)]).all()
    for none in (stats.two_way_clustered([np.nan], [0]), stats.two_way_clustered([], [])):
        assert np.isnan([none.value, none.se]).all()
    assert np.isnan(stats.clustered_delta(lambda m: m[..., 0], [[np.nan, 1.0]] * 3, [0, 1, 2]).value)


def test_constant_values_have_an_error_of_zero() -> None:
    estimate = stats.two_way_clustered(np.full(20, 0.25), np.arange(20) % 4, np.arange(20) % 5)
    assert estimate.se == 0
    assert stats.p_value(estimate, 0.25) == 1
    assert stats.p_value(estimate, 0.0) == 0


@pytest.mark.filterwarnings("error")
def test_infinite_values_have_no_error() -> None:
    estimate = stats.two_way_clustered([1.0, np.inf, 2.0], [0, 1, 2])
    assert estimate.value == np.inf
    assert np.isnan([estimate.se, *stats.interval(estimate), stats.p_value(estimate)]).all()
    delta = stats.clustered_delta(lambda m: m[..., 0], [[1.0], [np.inf], [2.0]], [0, 1, 2])
    assert np.isinf(delta.value)
    assert np.isnan(delta.se)


def test_labels_of_missing_values_need_not_be_there() -> None:
    assert stats.two_way_clustered([1.0, np.nan, 2.0], np.array(["a", None, "b"], dtype=object)).df == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.two_way_clustered([1.0, 2.0, 3.0], [0, 1]), r"3 rows, but cluster labels of shape \(2,\)"),
        (lambda: stats.two_way_clustered([[1.0], [2.0]], [0, 1]), r"values have shape \(2, 1\)"),
        (
            lambda: stats.two_way_clustered([1.0, 2.0, 3.0], np.array(["a", None, float("nan")], dtype=object)),
            "2 cluster labels are missing, the first in row 1",
        ),
        (
            lambda: stats.two_way_clustered([1.0, 2.0], [0.0, np.nan]),
            "1 cluster labels are missing, the first in row 1",
        ),
        (lambda: stats.clustered_delta(lambda m: m[0], [1.0, 2.0], [0, 1]), r"columns have shape \(2,\)"),
        (lambda: stats.clustered_delta(lambda m: m[..., 0], [[1.0], [2.0]], [0]), "2 rows, but cluster labels"),
        (lambda: stats.interval(stats.Estimate(0.0, 1.0, 5), level=95), "level = 95"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
