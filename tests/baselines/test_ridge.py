"""Ridge regression from texts to audio latents."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from baselines.ridge import Ridge, fit_ridge
from bench import registry
from bench.protocols import GenerativeRetriever, Retriever, Sampling
from bench.space import BundledSpace


def problem(n=60, p=7, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * rng.uniform(0.1, 3, p) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, d)) + rng.normal(size=d) + 0.1 * rng.normal(size=(n, d))


@pytest.mark.parametrize("alpha", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("shape", [(60, 7, 3), (5, 12, 2)])
def test_it_is_ridge_regression(alpha, shape):
    """The penalty is a multiple of the mean diagonal of x'x: the mean sum of squares of a centred column."""
    x, y = problem(*shape)
    penalty = alpha * ((x - x.mean(0)) ** 2).sum(0).mean()
    oracle = SklearnRidge(alpha=penalty).fit(x, y)
    coefficients, intercept = fit_ridge(x, y, alpha)
    np.testing.assert_allclose(coefficients, oracle.coef_.T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(intercept, oracle.intercept_, rtol=1e-8, atol=1e-10)


def test_the_scale_of_the_inputs_does_not_matter():
    x, y = problem()
    one, two = fit_ridge(x, y, 0.5), fit_ridge(10 * x, y, 0.5)
    np.testing.assert_allclose(x @ one[0] + one[1], 10 * x @ two[0] + two[1])


def test_without_penalty_it_is_least_squares_and_with_much_of_it_the_mean():
    x, y = problem()
    exact = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    np.testing.assert_allclose(fit_ridge(x, y, 0.0)[0], exact[:-1], atol=1e-9)
    coefficients, intercept = fit_ridge(x, y, 1e9)
    np.testing.assert_allclose(x @ coefficients + intercept, np.broadcast_to(y.mean(0), y.shape), atol=1e-6)


def test_half_precision_inputs_are_summed_in_double():
    x, y = problem()
    coefficients, _ = fit_ridge(x.astype(np.float16), y.astype(np.float32), 1.0)
    assert coefficients.dtype == np.float64
    np.testing.assert_allclose(coefficients, fit_ridge(x, y, 1.0)[0], atol=1e-2)


@pytest.fixture(scope="module")
def ridge(bundle_ready):
    return Ridge(BundledSpace(registry.encoders.get("mini-clap")()), "ridge-clap")


def test_it_queries_without_noise(ridge):
    texts = ["calm piano", "fast metal", "calm piano"]
    one, two = (ridge.query(texts, Sampling(seed=seed, samples=5)) for seed in (0, 1))
    assert one.shape == (3, 1, ridge.space.dim)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[0], one[2])
    np.testing.assert_allclose(ridge.query(texts[1:2], Sampling())[0], one[1], atol=1e-5)


def test_it_is_a_retriever_that_does_not_generate(ridge):
    assert isinstance(ridge, Retriever)
    assert not isinstance(ridge, GenerativeRetriever)
    assert ridge.deterministic


def test_its_digest_is_that_of_its_weights(ridge):
    assert ridge.bundle_files() == ("ridge-clap.safetensors",)
    assert ridge.digest() == Ridge(ridge.space, "ridge-clap").digest()
