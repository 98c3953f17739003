"""Vendi scores against the vendi_score package, MICS against a loop, and the limits of both."""

from __future__ import annotations

import numpy as np
import pytest
from vendi_score.vendi import score_dual, score_K

from bench.metrics.diversity import intra_vendi, mean_intra_cosine, vendi_percent, vendi_score


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (9, 9)])
@pytest.mark.parametrize("q", [0.5, 1, 2, 3.7])
def test_equals_the_vendi_package(rng: np.random.Generator, shape: tuple[int, int], q: float) -> None:
    x = rng.normal(size=shape) + 1
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    # score_X ignores q, so the dual and the kernel forms are the oracles. Both lose to noise below
    # q = 1 on the side that has null directions, so each is asked on its own full-rank side.
    expected = score_K(unit @ unit.T, q=q) if shape[0] <= shape[1] else score_dual(x, q=q)
    assert vendi_score(x, q) == pytest.approx(expected, rel=1e-9)


def test_order_infinity_and_zero(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20, 6)) + 2
    assert vendi_score(x, float("inf")) == pytest.approx(score_dual(x, q="inf"))
    assert vendi_score(x, 0) == 6.0
    assert vendi_score(np.repeat(x[:2], 10, axis=0), 0) == 2.0


def test_all_orders_from_one_call(rng: np.random.Generator) -> None:
    x = rng.normal(size=(15, 10))
    orders = [0, 0.5, 1, 2, np.inf]
    together = vendi_score(x, orders)
    np.testing.assert_array_equal(together, [vendi_score(x, q) for q in orders])
    assert (np.diff(together) < 0).all()  # a higher order counts rare directions less
    assert vendi_score(x, 1.000001) == pytest.approx(vendi_score(x, 1), rel=1e-5)


def test_limits_and_invariances(rng: np.random.Generator) -> None:
    x = rng.normal(size=(25, 8))
    base = vendi_score(x)
    assert vendi_score(np.repeat(x[:1], 9, axis=0)) == pytest.approx(1.0)
    assert vendi_score(np.eye(7) * np.arange(1, 8)[:, None]) == pytest.approx(7.0)
    assert vendi_score(np.repeat(x, 3, axis=0)) == pytest.approx(base)  # duplicated items
    assert vendi_score(x[::-1] * rng.uniform(0.1, 10, (25, 1))) == pytest.approx(base)  # order and length
    assert vendi_percent(x) == pytest.approx(100 * base / 8)
    assert vendi_score(x[:1]) == pytest.approx(1.0)


def test_intra_vendi_is_vendi_prompt_by_prompt(rng: np.random.Generator) -> None:
    for k, d in [(10, 32), (10, 4), (1, 5)]:
        samples = rng.normal(size=(6, k, d)) + 1
        np.testing.assert_allclose(intra_vendi(samples), [vendi_score(s) for s in samples])
        np.testing.assert_allclose(intra_vendi(samples, q=2), [vendi_score(s, 2) for s in samples])


def test_mean_intra_cosine_equals_the_loop(rng: np.random.Generator) -> None:
    samples = rng.normal(size=(5, 7, 12)) * rng.uniform(0.1, 9, (5, 7, 1))
    for value, group in zip(mean_intra_cosine(samples), samples, strict=True):
        pairs = [
            a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            for i, a in enumerate(group)
            for j, b in enumerate(group)
            if i != j
        ]
        assert value == pytest.approx(np.mean(pairs))


def test_deterministic_samples_have_no_spread(rng: np.random.Generator) -> None:
    samples = np.repeat(rng.normal(size=(4, 1, 16)), 10, axis=1)
    np.testing.assert_allclose(mean_intra_cosine(samples), 1.0)
    np.testing.assert_allclose(intra_vendi(samples), 1.0)


def test_mics_and_minvs_of_an_isotropic_cluster() -> None:
    # Cosine c between all 10 samples: eigenvalues (1 + 9c)/10 once, (1 − c)/10 nine times; .92 gives 1.52.
    c = 0.92
    factor = np.linalg.cholesky(np.full((10, 10), c) + (1 - c) * np.eye(10))
    assert mean_intra_cosine(factor[None])[0] == pytest.approx(c)
    assert intra_vendi(factor[None])[0] == pytest.approx(1.52, abs=0.005)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="x is empty"):
        vendi_score(np.empty((0, 4)))
    with pytest.raises(ValueError, match="order must be 0 or more"):
        vendi_score(np.eye(3), -1)
    with pytest.raises(ValueError, match="2 or more samples"):
        mean_intra_cosine(np.ones((3, 1, 4)))
    with pytest.raises(ValueError, match=r"zero .* row \(0, 1\)"):
        intra_vendi([[[1.0, 0.0], [0.0, 0.0]]])
    with pytest.raises(ValueError, match="3 axes"):
        intra_vendi(np.eye(3))
