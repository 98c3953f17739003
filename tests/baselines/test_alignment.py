"""Maps between moments: what they reach, what they cost, and what they do where covariances lack rank."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.alignment import METHODS, Moments, fit_map, moments_of, random_rotation, symmetric_root
from bench.errors import UserError
from bench.metrics.frechet import frechet_distance

DIM = 6


def sample(n, seed, dim=DIM, spread=3.0):
    """Correlated vectors with a covariance of a condition number of a few hundred."""
    rng = np.random.default_rng(seed)
    mixing = random_rotation(dim, seed) * np.geomspace(1 / spread, spread, dim)
    return rng.normal(size=(n, dim)) @ mixing.T + rng.normal(size=dim)


@pytest.fixture
def source():
    return sample(400, 1)


@pytest.fixture
def target():
    return sample(300, 2)


def moved(method, source, target, **options):
    return fit_map(method, moments_of(source), moments_of(target), **options)(source)


@pytest.mark.parametrize("method", ["coral", "ot", "placebo"])
def test_moments_become_the_targets(method, source, target):
    reached, wanted = moments_of(moved(method, source, target, epsilon=0)), moments_of(target)
    np.testing.assert_allclose(reached.mean, wanted.mean, atol=1e-9)
    np.testing.assert_allclose(reached.cov, wanted.cov, atol=1e-6)
    assert frechet_distance(moved(method, source, target, epsilon=0), target) < 1e-6


def test_the_mean_alone_is_a_shift(source, target):
    out = moved("mean", source, target)
    np.testing.assert_allclose(out - source, np.broadcast_to(target.mean(0) - source.mean(0), source.shape), atol=1e-12)
    np.testing.assert_allclose(moments_of(out).cov, moments_of(source).cov, atol=1e-12)


def test_optimal_transport_is_symmetric_positive_and_moves_least(source, target):
    maps = {m: fit_map(m, moments_of(source), moments_of(target), epsilon=0) for m in ("ot", "coral", "placebo")}
    matrix = maps["ot"].matrix
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-10)
    assert np.linalg.eigvalsh(matrix).min() > 0
    moved_by = {m: ((f(source) - source) ** 2).sum(1).mean() for m, f in maps.items()}
    assert moved_by["ot"] < moved_by["coral"] < moved_by["placebo"]


def test_optimal_transport_moves_by_the_frechet_distance(source, target):
    """The mean squared movement of the optimal map between two Gaussians is their Fréchet distance."""
    one, two = moments_of(source), moments_of(target)
    matrix = fit_map("ot", one, two, epsilon=0).matrix
    step = np.eye(DIM) - matrix
    movement = ((one.mean - two.mean) ** 2).sum() + np.trace(step @ one.cov @ step.T)
    assert movement == pytest.approx(frechet_distance(source, target), rel=1e-9)


def test_optimal_transport_of_diagonal_covariances_scales_each_axis():
    source = Moments(np.zeros(2), np.diag([4.0, 1.0]))
    target = Moments(np.array([1.0, -1.0]), np.diag([1.0, 9.0]))
    for method in ("ot", "coral"):
        there = fit_map(method, source, target, epsilon=0)
        np.testing.assert_allclose(there.matrix, np.diag([0.5, 3.0]), atol=1e-12)
        np.testing.assert_allclose(there([[2.0, 1.0]]), [[2.0, 2.0]], atol=1e-12)


@pytest.mark.parametrize("method", ["mean", "coral", "ot"])
def test_a_set_that_is_there_already_stays(method, source):
    np.testing.assert_allclose(moved(method, source, source), source, atol=1e-9)


def test_the_placebo_turns_what_the_others_keep(source):
    """Between equal moments alignment has nothing to do; the placebo still takes neighbours away from each other."""
    out = moved("placebo", source, source, epsilon=0)
    centred, turned = source - source.mean(0), out - source.mean(0)
    cosine = (centred * turned).sum(1) / np.linalg.norm(centred, axis=1) / np.linalg.norm(turned, axis=1)
    assert abs(cosine.mean()) < 0.6
    same = moved("placebo", source, source, epsilon=0)
    np.testing.assert_array_equal(out, same)
    assert not np.allclose(out, moved("placebo", source, source, epsilon=0, seed=5))


def test_the_placebo_is_optimal_transport_turned_in_the_leading_directions(source, target):
    one, two = moments_of(source), moments_of(target)
    maps = {m: fit_map(m, one, two, epsilon=0) for m in ("ot", "placebo")}
    turn = maps["placebo"].matrix @ np.linalg.inv(maps["ot"].matrix)
    np.testing.assert_allclose(turn @ two.cov @ turn.T, two.cov, atol=1e-8)
    values, vectors = np.linalg.eigh(two.cov)
    last = vectors[:, : np.searchsorted(np.cumsum(values), 0.01 * values.sum())]
    assert last.shape[1] > 0
    np.testing.assert_allclose(turn @ last, last, atol=1e-6)
    assert np.abs(turn - np.eye(DIM)).max() > 0.5


def test_queries_of_few_directions_reach_the_gallery_under_the_placebo_too():
    """Generated queries vary in few directions of many: FAD must not tell the placebo from the real map."""
    rng = np.random.default_rng(0)
    scale = np.geomspace(1, 1e-3, 40)
    gallery = rng.normal(size=(900, 40)) * scale + 0.3
    queries = rng.normal(size=(800, 40)) * np.where(np.arange(40) < 15, scale, 1e-7)
    before = frechet_distance(queries, gallery)
    after = {m: frechet_distance(moved(m, queries, gallery, epsilon=1e-4), gallery) for m in ("ot", "placebo")}
    assert after["ot"] < 0.05 * before
    assert after["placebo"] == pytest.approx(after["ot"], rel=0.01)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
def test_fewer_vectors_than_dimensions_stay_finite(method, epsilon, target):
    few = sample(3, 3)
    out = moved(method, few, target, epsilon=epsilon)
    assert np.isfinite(out).all()
    other = fit_map(method, moments_of(few), moments_of(target), epsilon=epsilon)(sample(50, 4))
    assert np.isfinite(other).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_set_without_any_variance_stays_finite(method, target):
    np.testing.assert_allclose(moved(method, np.ones((4, DIM)), target), np.tile(target.mean(0), (4, 1)), atol=1e-12)
    point = moved(method, target, np.ones((4, DIM)))
    assert np.isfinite(point).all()
    if method != "mean":
        np.testing.assert_allclose(point, 1.0, atol=1e-9)


def test_epsilon_is_relative(source, target):
    """In other units of length the same map comes out."""
    small = fit_map("ot", moments_of(1e-3 * source), moments_of(1e-3 * target), epsilon=0.1)
    np.testing.assert_allclose(
        small.matrix, fit_map("ot", moments_of(source), moments_of(target), epsilon=0.1).matrix, atol=1e-9
    )


def test_epsilon_bounds_how_much_noise_is_blown_up(target):
    flat = sample(400, 1) * np.array([1.0] * (DIM - 1) + [1e-6])
    gain = [
        np.linalg.norm(fit_map("coral", moments_of(flat), moments_of(target), epsilon=e).matrix, 2) for e in (0.0, 1e-3)
    ]
    assert gain[1] < 1e-2 * gain[0]


def test_the_map_is_affine_so_it_may_be_applied_before_or_after_the_mean_over_samples(source, target):
    there = fit_map("ot", moments_of(source), moments_of(target))
    samples = np.random.default_rng(0).normal(size=(10, 4, DIM))
    np.testing.assert_allclose(there(samples).mean(1), there(samples.mean(1)), atol=1e-12)


def test_powers_of_a_covariance(source):
    cov = moments_of(source).cov
    root = symmetric_root(cov)
    np.testing.assert_allclose(root @ root, cov, atol=1e-10)
    np.testing.assert_allclose(symmetric_root(cov, -0.5) @ root, np.eye(DIM), atol=1e-9)


def test_a_rotation_is_orthogonal_and_fixed_by_its_seed():
    rotation = random_rotation(20, 0)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(20), atol=1e-12)
    np.testing.assert_array_equal(rotation, random_rotation(20, 0))
    assert not np.allclose(rotation, random_rotation(20, 1))


def test_wrong_input_is_refused(source, target):
    one, two = moments_of(source), moments_of(target)
    with pytest.raises(UserError, match="unknown alignment 'zca'; choose mean, coral, ot, placebo"):
        fit_map("zca", one, two)
    with pytest.raises(ValueError, match="epsilon must be 0 or more"):
        fit_map("ot", one, two, epsilon=-1)
    with pytest.raises(ValueError, match="6 and 5 dimensions"):
        fit_map("ot", one, moments_of(target[:, :5]))
    with pytest.raises(ValueError, match="2 rows or more"):
        moments_of(source[:1])
