"""Precision, recall, density, coverage against the package prdc, scikit-learn's neighbours, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from bench.metrics.coverage import PRDC, precision_recall_density_coverage


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(9)


def slow(x: np.ndarray, y: np.ndarray, k: int) -> PRDC:
    def radii(z: np.ndarray) -> np.ndarray:
        return NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(z).kneighbors(z)[0][:, k]

    rx, ry = radii(x), radii(y)
    distance = np.array([[np.linalg.norm(a - b) for b in y] for a in x])
    return PRDC(
        precision=np.mean([any(distance[i, j] < rx[i] for i in range(len(x))) for j in range(len(y))]),
        recall=np.mean([any(distance[i, j] < ry[j] for j in range(len(y))) for i in range(len(x))]),
        density=np.sum(distance < rx[:, None]) / (k * len(y)),
        coverage=np.mean([distance[i].min() < rx[i] for i in range(len(x))]),
    )


@pytest.mark.parametrize(("n", "m", "d", "k"), [(80, 80, 3, 5), (60, 110, 16, 3), (40, 25, 2, 1), (7, 7, 4, 5)])
def test_equals_the_prdc_package(rng: np.random.Generator, n: int, m: int, d: int, k: int) -> None:
    prdc = pytest.importorskip("prdc", reason="the oracle is not installed")
    x, y = rng.normal(size=(n, d)), 0.8 * rng.normal(size=(m, d)) + 0.4
    expected = prdc.compute_prdc(x, y, nearest_k=k)
    assert precision_recall_density_coverage(x, y, k)._asdict() == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(4, 30), st.integers(4, 30), st.integers(1, 8)),
    k=st.integers(1, 3),
    exponent=st.integers(-200, 200),
    memory=st.sampled_from([1e-4, 64.0]),
)
def test_any_shape_scale_and_block(
    seed: int, shape: tuple[int, int, int], k: int, exponent: int, memory: float
) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(shape[0], shape[2])), rng.normal(size=(shape[1], shape[2])) + rng.uniform(0, 3)
    expected, unit = slow(x, y, k), 10.0**exponent
    found = precision_recall_density_coverage(x * unit, y * unit, k, memory_mb=memory)
    assert found == pytest.approx(expected)


def test_order_rotation_and_roles(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(40, 6)) + 1
    base = precision_recall_density_coverage(x, y)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    moved = precision_recall_density_coverage(x[::-1] @ turn - 3, y[rng.permutation(40)] @ turn - 3)
    assert moved == pytest.approx(base)
    swapped = precision_recall_density_coverage(y, x)
    assert (swapped.precision, swapped.recall) == pytest.approx((base.recall, base.precision))


def test_a_set_against_itself_and_against_another_place(rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 5))
    for scale in (1.0, 1e-6, 1e5):  # a k-th neighbour lies exactly on the ball: outside, whatever the rounding
        assert precision_recall_density_coverage(x * scale, x[::-1] * scale) == pytest.approx((1, 1, 1, 1))
    assert precision_recall_density_coverage(x, x + 100) == (0, 0, 0, 0)


def test_one_distribution_has_density_one_and_the_known_coverage(rng: np.random.Generator) -> None:
    # Naeem et al., section 3.3: expected density 1, and coverage 1 − Π (n − i)/(2n − i) for i = 1..k at equal n.
    n, k = 200, 5
    found = [precision_recall_density_coverage(*rng.normal(size=(2, n, 8)), k) for _ in range(30)]
    coverage = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert np.mean([f.density for f in found]) == pytest.approx(1.0, abs=0.05)
    assert np.mean([f.coverage for f in found]) == pytest.approx(coverage, abs=0.01)


def test_collapse_and_outliers(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 4))
    collapsed = precision_recall_density_coverage(x, 0.05 * rng.normal(size=(200, 4)))
    assert collapsed.precision == 1.0
    assert collapsed.recall < 0.1
    assert collapsed.coverage < 0.6
    wild = precision_recall_density_coverage(x, np.concatenate([x[:100] + 1e-3, 50 + rng.normal(size=(100, 4))]))
    assert wild.precision == pytest.approx(0.5, abs=0.01)


def test_balls_of_duplicates_hold_nothing() -> None:
    same = np.full((9, 3), 0.1)
    assert precision_recall_density_coverage(same, same, k=5) == (0, 0, 0, 0)
    some = np.concatenate([np.repeat([[0.0]], 4, axis=0), [[10.0]], [[13.0]]])
    # Radii with k = 3 are 0, 0, 0, 0, 10, 13: only the last two balls reach anywhere, and 0 lies on their edges.
    found = precision_recall_density_coverage(some, [[9.0], [-50.0], [0.0], [-51.0]], k=3)
    assert (found.precision, found.coverage) == pytest.approx((0.25, 2 / 6))


@pytest.mark.parametrize("k", [0, 6, -1])
def test_k_out_of_range(k: int) -> None:
    with pytest.raises(ValueError, match=rf"k = {k}; (reference|generated) has . vectors"):
        precision_recall_density_coverage(np.zeros((9, 2)), np.zeros((6, 2)), k)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((9, 2)), np.zeros((9, 3)), "rows of 2 and 3"),
        (np.full((9, 2), np.nan), np.zeros((9, 2)), "reference: 18 of 18 entries"),
        (np.zeros((9, 2)), np.full((9, 2), np.inf), "generated: 18 of 18 entries"),
        (np.zeros(9), np.zeros((9, 2)), "2 axes"),
        (np.zeros((0, 2)), np.zeros((9, 2)), "reference has 0 vectors"),
    ],
)
def test_bad_input_is_named(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        precision_recall_density_coverage(x, y)


def test_memory_must_be_positive(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="memory_mb = 0"):
        precision_recall_density_coverage(*rng.normal(size=(2, 9, 2)), memory_mb=0)
