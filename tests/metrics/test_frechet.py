"""Fréchet distance against scipy's matrix square root, hand numbers, and sets too small for their dimension."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm

from bench.errors import UserError
from bench.metrics.frechet import FrechetReference, frechet_distance


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def slow(x: np.ndarray, y: np.ndarray) -> float:
    cx, cy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = sqrtm(cx @ cy)
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(cx + cy - 2 * np.real(root)))


def correlated(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 6), (60, 400, 20), (50, 60, 49)])
def test_equals_the_matrix_square_root(rng: np.random.Generator, n: int, m: int, d: int) -> None:
    x, y = correlated(rng, n, d), correlated(rng, m, d)
    assert frechet_distance(x, y) == pytest.approx(slow(x, y), rel=1e-6)
    assert FrechetReference.fit(x).distance(y) == pytest.approx(slow(x, y), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(5, 7, 40), (30, 4, 40), (2, 2, 3), (8, 300, 40)])
def test_rank_deficient_sets(rng: np.random.Generator, n: int, m: int, d: int) -> None:
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1
    # The cross term is the nuclear norm of the product of centred rows; a second way to it, by singular values.
    a, b = (x - x.mean(0)) / np.sqrt(n - 1), (y - y.mean(0)) / np.sqrt(m - 1)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.sum(a**2) + np.sum(b**2) - 2 * cross
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    assert FrechetReference.fit(x).distance(y) == pytest.approx(expected, rel=1e-6)


def test_gaussians_with_known_moments() -> None:
    reference = FrechetReference.from_moments([0.0, 0.0], np.diag([1.0, 4.0]))
    other = FrechetReference.from_moments([3.0, 4.0], np.diag([9.0, 4.0]))
    assert reference.distance(other) == pytest.approx(25 + (3 - 1) ** 2)
    assert frechet_distance([[-1.0], [1.0]], [[-2.0], [2.0]]) == pytest.approx(2.0)  # (sd 2√2 − sd √2)²


def test_equal_sets_are_at_zero_and_never_below(rng: np.random.Generator) -> None:
    for n, d in [(500, 8), (10, 50), (2, 64)]:
        x = rng.normal(size=(n, d)) * 1e3
        for value in (frechet_distance(x, x), FrechetReference.fit(x).distance(x[::-1])):
            assert 0 <= value < 1e-4 * np.var(x)
    assert frechet_distance(np.ones((4, 3)), np.ones((4, 3))) == 0.0
    assert FrechetReference.fit(np.ones((9, 3))).distance(np.zeros((9, 3))) == pytest.approx(3.0)


def test_symmetry_order_rotation_and_scale(rng: np.random.Generator) -> None:
    x, y = correlated(rng, 80, 12), correlated(rng, 90, 12)
    base = frechet_distance(x, y)
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    assert frechet_distance(y, x) == pytest.approx(base)
    assert frechet_distance(x[rng.permutation(80)], y) == pytest.approx(base)
    assert frechet_distance(x @ rotation + 5, y @ rotation + 5) == pytest.approx(base)
    assert frechet_distance(10 * x, 10 * y) == pytest.approx(100 * base)  # vectors are not normalised


def test_float32_input_is_computed_in_float64(rng: np.random.Generator) -> None:
    x, y = (rng.normal(size=(200, 16)).astype(np.float32) + 1000 for _ in range(2))
    assert frechet_distance(x, y) == frechet_distance(x.astype(np.float64), y.astype(np.float64))


def test_saved_reference_gives_the_same_number(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = rng.normal(size=(30, 9)), rng.normal(size=(40, 9))
    reference = FrechetReference.fit(x)
    reference.save(tmp_path / "jam.safetensors")
    assert FrechetReference.load(tmp_path / "jam.safetensors").distance(y) == reference.distance(y)
    assert [p.name for p in tmp_path.iterdir()] == ["jam.safetensors"]


def test_files_that_are_no_reference(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors: no such file"):
        FrechetReference.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(UserError, match="not a Fréchet reference"):
        FrechetReference.load(tmp_path / "text.safetensors")


def test_bad_input_is_named(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 3))
    with pytest.raises(ValueError, match="y has 1 vectors; a covariance needs 2"):
        FrechetReference.fit(x).distance(x[:1])
    with pytest.raises(ValueError, match="rows of 3 and 2"):
        frechet_distance(x, x[:, :2])
    with pytest.raises(ValueError, match="NaN or infinite"):
        frechet_distance(x, x * np.nan)
    with pytest.raises(ValueError, match="square of that side"):
        FrechetReference.from_moments(np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="not symmetric"):
        FrechetReference.from_moments(np.zeros(2), [[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(ValueError, match="negative eigenvalue"):
        FrechetReference.from_moments(np.zeros(2), np.diag([1.0, -1.0]))
