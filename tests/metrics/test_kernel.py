"""Kernel distances against double loops, hand numbers, and what an unbiased estimate must do on average."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from bench.metrics.kernel import KAD_SCALE, KernelReference, kernel_audio_distance, median_distance, mmd2_by_group


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def slow(x: np.ndarray, y: np.ndarray, s: float) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-sum((a - b) ** 2) / (2 * s**2)))

    xx = np.mean([k(a, b) for a, b in itertools.permutations(x, 2)])
    yy = np.mean([k(a, b) for a, b in itertools.permutations(y, 2)])
    return float(xx + yy - 2 * np.mean([k(a, b) for a, b in itertools.product(x, y)]))


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (9, 14, 3), (20, 7, 40)])
def test_equals_the_double_loop(rng: np.random.Generator, n: int, m: int, d: int) -> None:
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3
    median = float(np.median(pdist(y)))
    assert median_distance(y) == pytest.approx(median, rel=1e-12)
    assert kernel_audio_distance(x, y) == pytest.approx(100 * slow(x, y, median), rel=1e-9)
    assert kernel_audio_distance(x, y, bandwidth=0.7, scale=1.0) == pytest.approx(slow(x, y, 0.7), rel=1e-9)
    assert KAD_SCALE == 100.0


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(2, 30), st.integers(2, 30), st.integers(1, 12)),
    exponent=st.integers(-140, 140),
    repeats=st.booleans(),
    memory=st.sampled_from([1e-4, 1e-3, 256.0]),
)
def test_any_shape_scale_and_block(
    seed: int, shape: tuple[int, int, int], exponent: int, repeats: bool, memory: float
) -> None:
    rng = np.random.default_rng(seed)
    n, m, d = shape
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + rng.normal()
    if repeats:
        x[n // 2 :] = x[0]
        y[0] = x[0]
    s = float(np.median(pdist(y)))
    k = [np.exp(-cdist(a, b, "sqeuclidean") / (2 * s**2)) for a, b in ((x, x), (y, y), (x, y))]
    expected = (k[0].sum() - n) / (n * (n - 1)) + (k[1].sum() - m) / (m * (m - 1)) - 2 * k[2].mean()
    unit = 10.0**exponent
    value = kernel_audio_distance(x * unit, y * unit, memory_mb=memory, scale=1.0)
    assert value == pytest.approx(expected, abs=1e-9)
    assert value <= 2.0


def test_many_blocks_equal_one(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(700, 8)), rng.normal(size=(900, 8))
    assert kernel_audio_distance(x, y, memory_mb=0.05) == pytest.approx(kernel_audio_distance(x, y), rel=1e-9, abs=1e-9)


def test_order_rotation_shift_and_asymmetry(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(60, 5)), 2 * rng.normal(size=(70, 5))
    base = kernel_audio_distance(x, y)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert kernel_audio_distance(x[rng.permutation(60)], y[::-1]) == pytest.approx(base)
    assert kernel_audio_distance(x @ turn + 9, y @ turn + 9) == pytest.approx(base)
    assert kernel_audio_distance(y, x) != pytest.approx(base, rel=0.05)  # the bandwidth is the reference's
    assert kernel_audio_distance(y, x, bandwidth=2.0) == pytest.approx(kernel_audio_distance(x, y, bandwidth=2.0))


def test_unbiased_at_any_size(rng: np.random.Generator) -> None:
    # N(0, I) against N(μ, I), kernel of width s in d dimensions: E k = (s²/(s² + 2))^{d/2} exp(−‖shift‖²/(2(s² + 2))).
    d, s, mu = 3, 1.5, 0.8
    same = (s**2 / (s**2 + 2)) ** (d / 2)
    truth = 2 * same - 2 * same * np.exp(-d * mu**2 / (2 * (s**2 + 2)))
    for n, m in [(3, 4), (30, 10)]:
        values = [
            kernel_audio_distance(rng.normal(size=(n, d)) + mu, rng.normal(size=(m, d)), bandwidth=s, scale=1.0)
            for _ in range(600)
        ]
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / np.sqrt(600)


def test_below_zero_about_half_of_the_time_for_one_distribution(rng: np.random.Generator) -> None:
    values = np.array([kernel_audio_distance(*rng.normal(size=(2, 40, 6))) for _ in range(200)])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(200)
    assert 0.3 < np.mean(values < 0) < 0.8


def test_limits_by_hand() -> None:
    far = np.array([[0.0], [0.0]]), np.array([[1e6], [1e6]])
    assert kernel_audio_distance(*far, bandwidth=1.0) == pytest.approx(200.0)
    assert kernel_audio_distance(far[0], far[0], bandwidth=1.0) == pytest.approx(0.0, abs=1e-12)
    assert median_distance([[0.0], [1.0], [9.0], [11.0]]) == pytest.approx(8.5)  # of 1, 2, 8, 9, 10, 11


def test_a_fitted_reference_gives_the_same_number(rng: np.random.Generator) -> None:
    y = rng.normal(size=(50, 4))
    reference = KernelReference.fit(y)
    assert reference.bandwidth == pytest.approx(np.median(pdist(y)))
    for _ in range(3):
        x = rng.normal(size=(20, 4)) * 2
        assert reference.distance(x) == kernel_audio_distance(x, y)


def test_the_median_of_a_large_set_is_that_of_a_seeded_part(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    y = rng.normal(size=(900, 6))
    exact = median_distance(y)
    monkeypatch.setattr("bench.metrics.kernel._MEDIAN_ROWS", 300)
    assert median_distance(y) == pytest.approx(exact, rel=0.03)
    assert median_distance(y) != exact
    assert median_distance(y, seed=1) != median_distance(y)
    assert median_distance(y[:300]) == pytest.approx(np.median(pdist(y[:300])))


@pytest.mark.parametrize("value", [0.1, 1e-30, 1234567.89])
def test_equal_vectors_have_no_bandwidth_of_their_own(value: float) -> None:
    assert median_distance(np.full((20, 7), value)) == 0.0
    with pytest.raises(ValueError, match="half of the pairs are equal; pass a bandwidth"):
        kernel_audio_distance(np.zeros((5, 7)), np.full((20, 7), value))


def test_groups_equal_the_loop_over_groups(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(7, 4, 5)), rng.normal(size=(7, 9, 5)) + 0.2
    width = rng.uniform(0.5, 3, 7)
    expected = [kernel_audio_distance(a, b, bandwidth=w, scale=1.0) for a, b, w in zip(x, y, width, strict=True)]
    np.testing.assert_allclose(mmd2_by_group(x, y, width), expected, rtol=1e-9)
    np.testing.assert_allclose(mmd2_by_group(x, y, 1.0)[2], slow(x[2], y[2], 1.0))
    order = rng.permutation(7)
    np.testing.assert_allclose(mmd2_by_group(x[order], y[order], width[order]), np.array(expected)[order])
    assert mmd2_by_group(x[:0], y[:0], 1.0).shape == (0,)


def test_groups_beyond_one_batch(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(90, 150, 2)), rng.normal(size=(90, 150, 2))
    values = mmd2_by_group(x, y, 1.5)
    assert values[-1] == pytest.approx(kernel_audio_distance(x[-1], y[-1], bandwidth=1.5, scale=1.0))
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(90)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((1, 3))}, "x has 1 vectors; 2 or more"),
        ({"y": np.zeros((1, 3))}, "the reference has 1 vectors"),
        ({"x": np.zeros((4, 2))}, "rows of 3 and 2"),
        ({"x": np.full((4, 3), np.inf)}, "x: 12 of 12 entries are NaN or infinite"),
        ({"bandwidth": 0.0}, "bandwidth = 0.0; it must be above 0"),
        ({"bandwidth": -1.0}, "bandwidth = -1.0"),
        ({"bandwidth": float("nan")}, "bandwidth = nan"),
        ({"bandwidth": float("inf")}, "bandwidth = inf"),
        ({"memory_mb": 0}, "memory_mb = 0; it must be above 0"),
        ({"x": np.ones((2, 3)) * [[0.0], [1e300]]}, "more than 1e150 bandwidths"),
    ],
)
def test_bad_input_is_named(rng: np.random.Generator, change: dict[str, Any], message: str) -> None:
    given = {"x": rng.normal(size=(4, 3)), "y": rng.normal(size=(5, 3))} | change
    with pytest.raises(ValueError, match=message):
        kernel_audio_distance(given.pop("x"), given.pop("y"), **given)


@pytest.mark.parametrize(
    ("x", "y", "bandwidth", "message"),
    [
        ((3, 1, 2), (3, 4, 2), 1.0, "x has 1 vectors a group"),
        ((3, 4, 2), (3, 1, 2), 1.0, "y has 1 vectors a group"),
        ((3, 4, 2), (2, 4, 2), 1.0, "3 groups and y 2"),
        ((3, 4, 2), (3, 4, 5), 1.0, "rows of 2 and 5"),
        ((4, 2), (3, 4, 5), 1.0, "3 axes"),
        ((3, 4, 2), (3, 4, 2), [1.0, 2.0], r"shape \(2,\); one number or \(3,\)"),
        ((3, 4, 2), (3, 4, 2), [1.0, 0.0, -2.0], "2 bandwidths are not above 0"),
        ((3, 4, 2), (3, 4, 2), [1.0, np.nan, np.inf], "2 bandwidths"),
    ],
)
def test_bad_groups_are_named(x: tuple[int, ...], y: tuple[int, ...], bandwidth: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mmd2_by_group(np.zeros(x), np.zeros(y), bandwidth)
