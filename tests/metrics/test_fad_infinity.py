"""FAD∞ on Gaussians whose distance is known: bias, coverage of the interval, subsets, and what it warns of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bench.metrics.fad_infinity import _curve, _line, _narrow, _shares, fad_infinity
from bench.metrics.frechet import FrechetReference, frechet_distance


def known(d: int, kind: str) -> tuple[FrechetReference, np.ndarray, float, float]:
    """A reference N(0, diag s²), and the standard deviations, shift and true distance of the set to draw."""
    s = np.geomspace(1, 0.05, d)
    reference = FrechetReference.from_moments(np.zeros(d), np.diag(s**2))
    if kind == "same":
        return reference, s, 0.0, 0.0
    return (
        (reference, s, 0.3, 0.09 * d) if kind == "shift" else (reference, 1.5 * s, 0.0, float(np.sum((0.5 * s) ** 2)))
    )


@pytest.mark.parametrize("kind", ["same", "shift", "scale"])
def test_covers_a_known_distance_and_has_no_bias(kind: str) -> None:
    reference, sd, shift, truth = known(12, kind)
    rng = np.random.default_rng(7)
    found = [fad_infinity(rng.normal(size=(500, 12)) * sd + shift, reference, seed) for seed in range(120)]
    values, last = np.array([f.value for f in found]), np.array([f.distances[-1] for f in found])
    error = values.std(ddof=1) / np.sqrt(len(values))
    plain_bias = last.mean() - truth
    assert abs(values.mean() - truth) < 4 * error
    assert plain_bias > 0
    if kind == "same":  # where the bias is all there is, the extrapolation takes most of it away
        assert abs(values.mean()) < 0.2 * plain_bias
    covered = np.mean([f.ci.lo <= truth <= f.ci.hi for f in found])
    assert covered > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / len(found))
    if kind != "same":  # near 0 the jackknife is too wide, as its docstring says; elsewhere it may not be
        half = np.mean([f.ci.hi - f.ci.lo for f in found]) / 2
        assert half < 1.5 * 2.09 * values.std(ddof=1)
    assert np.mean([f.warning is None for f in found]) > 0.9


def test_an_interval_from_the_residuals_would_not_cover() -> None:
    reference, sd, shift, truth = known(8, "shift")
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(40):
        f = fad_infinity(rng.normal(size=(200, 8)) * sd + shift, reference, seed)
        x = 1 / f.sizes
        residual = f.distances - np.polyval(np.polyfit(x, f.distances, 1), x)
        x = x - x.mean()
        se = np.sqrt(residual @ residual / (len(x) - 2) * (1 / len(x) + (1 / f.sizes).mean() ** 2 / (x @ x)))
        covered += abs(f.value - truth) < 2.3 * se
    assert covered < 20


@pytest.mark.parametrize("points", [3, 5, 10, 25])
@pytest.mark.parametrize("lowest", [0.5, 0.31, 0.2, 0.07])
def test_shares_are_few_ascending_and_evenly_spaced(lowest: float, points: int) -> None:
    shares = _shares(lowest, points)
    steps = np.array([float(1 / share) for share in shares])
    assert 3 <= len(shares) <= points
    assert (np.diff(steps) < 0).all()
    assert steps[-1] == 1.0
    assert steps[0] <= 1 / lowest + 1e-9
    assert -np.diff(steps).min() <= max(1.01, 2.5 * (steps[0] - 1) / (points - 1))


def test_every_row_is_used_equally_often_at_every_size() -> None:
    # In one dimension, with a reference of no spread, the distance of a subset is mean² + variance: with a unit
    # impulse on one row the mean over subsets shows how often that row was in one. 2520 is divisible by 1..10.
    n, shares = 2520, _shares(0.1, 25)
    for row in range(0, n, 97):
        own = np.zeros((n, 1))
        own[row] = 1.0
        sizes, means = _curve(own, np.zeros((n, 0)), np.zeros(1), 0.0, shares)
        # A window of m rows with the impulse: 1/m² + (1 − 1/m)/(m − 1) = 1/m² + 1/m.
        np.testing.assert_allclose(means / (1 / sizes**2 + 1 / sizes), [float(share) for share in shares])


@pytest.mark.parametrize(("lowest", "width"), [(0.5, 5), (0.1, 2), (0.5, 60)])
@pytest.mark.filterwarnings("ignore::bench.metrics.frechet.SmallSampleWarning")
def test_the_curve_is_the_mean_distance_of_the_windows(rng: np.random.Generator, lowest: float, width: int) -> None:
    x, reference = rng.normal(size=(40, width)) + 1, FrechetReference.fit(rng.normal(size=(90, width)))
    centre = x.mean(0)
    shares = _shares(lowest, 25)
    sizes, means = _curve(
        x - centre, _narrow((x - centre) @ reference.factor), centre - reference.mean, np.trace(reference.cov), shares
    )
    for size, mean, share in zip(sizes, means, shares, strict=True):
        edges = [int(40 * share * i) for i in range(share.denominator + 1)]
        windows = [np.take(x, range(*pair), axis=0, mode="wrap") for pair in pairwise(edges)]
        assert np.mean([len(w) for w in windows]) == pytest.approx(size)
        assert mean == pytest.approx(np.mean([reference.distance(w) for w in windows]))


def test_line_by_hand() -> None:
    sizes = np.array([10.0, 20.0, 50.0])
    assert _line(sizes, 3 + 5 / sizes) == pytest.approx((3.0, 5.0, 1.0))
    assert _line(sizes, np.full(3, 2.0)) == pytest.approx((2.0, 0.0, 1.0))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_ends_at_the_plain_distance_and_depends_only_on_the_seed(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(150, 6)), rng.normal(size=(300, 6)) * 1.2
    a, b = fad_infinity(x, y, 3), fad_infinity(x, FrechetReference.fit(y), 3)
    assert a.distances[-1] == pytest.approx(frechet_distance(x, y))
    assert a.sizes[-1] == 150
    assert a.value == b.value
    assert a.ci == b.ci
    assert a.ci.lo < a.value < a.ci.hi
    assert fad_infinity(x, y, 4).value != a.value
    assert 0 < a.r2 <= 1


def test_rotation_shift_and_scale(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(150, 6)), rng.normal(size=(300, 6)) * 1.2
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    base, moved = fad_infinity(x, y), fad_infinity(3 * x @ turn + 7, 3 * y @ turn + 7)
    assert moved.value == pytest.approx(9 * base.value)
    assert moved.ci.hi == pytest.approx(9 * base.ci.hi)
    assert moved.r2 == pytest.approx(base.r2)


def test_level_and_clusters_widen_the_interval(rng: np.random.Generator) -> None:
    centres = rng.normal(size=(40, 5))
    x, labels = np.repeat(centres, 10, axis=0) + 0.05 * rng.normal(size=(400, 5)), np.repeat(np.arange(40), 10)
    reference = FrechetReference.from_moments(np.full(5, 0.5), np.eye(5))
    plain, wide = fad_infinity(x, reference), fad_infinity(x, reference, level=0.99)
    assert wide.ci.lo < plain.ci.lo
    bare = fad_infinity(x, reference, level=None)
    assert bare.value == plain.value
    assert np.isnan(bare.ci).all()
    clustered = fad_infinity(x, reference, clusters=labels)
    assert clustered.value == plain.value
    assert clustered.ci.hi - clustered.ci.lo > 1.5 * (plain.ci.hi - plain.ci.lo)


def test_small_sets_are_warned_of_and_large_ones_not(rng: np.random.Generator) -> None:
    reference = FrechetReference.from_moments(np.zeros(20), np.eye(20))
    small = fad_infinity(rng.normal(size=(60, 20)) + 1, reference)
    assert small.warning is not None
    assert "30 vectors in 20 dimensions" in small.warning
    assert fad_infinity(rng.normal(size=(400, 20)) + 1, reference).warning is None
    assert fad_infinity(rng.normal(size=(400, 20)), reference, smallest=25).warning is not None


def test_a_constant_set(rng: np.random.Generator) -> None:
    reference = FrechetReference.from_moments(np.zeros(3), np.eye(3))
    constant = fad_infinity(np.full((40, 3), 2.0), reference)
    assert constant.value == pytest.approx(12.0 + 3.0)
    assert constant.r2 == 1.0
    assert constant.ci.hi - constant.ci.lo == pytest.approx(0.0, abs=1e-9)


def test_a_line_that_does_not_fit_is_warned_of(rng: np.random.Generator) -> None:
    # In one dimension there is next to no bias, so the line has only noise to fit.
    found = [fad_infinity(rng.normal(size=(40, 1)), reference_1d(), seed, level=None) for seed in range(40)]
    assert any(f.r2 < 0.9 for f in found)
    assert any(f.r2 > 0.9 for f in found)
    assert all(("fits badly" in (f.warning or "")) == (f.r2 < 0.9) for f in found)


def test_the_smallest_sizes_there_are(rng: np.random.Generator) -> None:
    found = fad_infinity(rng.normal(size=(20, 1)), reference_1d(), smallest=3, points=30)
    assert found.sizes[0] == pytest.approx(20 / 6)
    assert np.isfinite([found.value, *found.ci, *found.distances]).all()
    assert np.isfinite(fad_infinity(rng.normal(size=(8, 3)), rng.normal(size=(9, 3))).ci).all()
    assert np.isnan(fad_infinity(rng.normal(size=(20, 1)), reference_1d(), clusters=np.zeros(20)).ci).all()


def reference_1d() -> FrechetReference:
    return FrechetReference.from_moments([0.0], [[1.0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((7, 3))}, "x has 7 vectors; .* needs 8"),
        ({"x": np.full((20, 3), np.nan)}, "60 of 60 entries are NaN"),
        ({"x": np.zeros(20)}, "2 axes"),
        ({"y": np.zeros((20, 2))}, "rows of 2 and 3"),
        ({"y": np.zeros((1, 3))}, "reference has 1 vectors"),
        ({"points": 2}, "points = 2; a line needs 3"),
        ({"smallest": 11}, r"smallest = 11; with 20 vectors it must lie in 3\.\.10"),
        ({"smallest": 2}, "smallest = 2"),
        ({"level": 1.0}, "level = 1.0"),
        ({"clusters": np.zeros(19)}, r"clusters has shape \(19,\)"),
    ],
)
def test_bad_input_is_named(rng: np.random.Generator, change: dict[str, Any], message: str) -> None:
    given = {"x": rng.normal(size=(20, 3)), "y": rng.normal(size=(30, 3))} | change
    with pytest.raises(ValueError, match=message):
        fad_infinity(given.pop("x"), given.pop("y"), **given)
