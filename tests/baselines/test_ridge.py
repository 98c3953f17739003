"""Ridge regression from texts to audio latents."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from baselines import ridge as ridge_module
from baselines.ridge import Ridge, bag_of_tokens, fit_ridge, make_part, ridge_path
from bench import registry
from bench.encoders.mini import load_tokenizer
from bench.encoders.mini_training import train_tokenizer
from bench.errors import UserError
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
    assert ridge.bundle_files() == ("ridge-clap.safetensors", "tokenizer.json")
    assert ridge.digest() == Ridge(ridge.space, "ridge-clap").digest()


# --- counts of tokens, and the part -----------------------------------------------------------------------------------


def test_several_penalties_share_their_sums(monkeypatch):
    x, y = problem(50, 6, 2)
    x = np.abs(x * 10).astype(np.uint8)  # counts
    for rows in (7, 50, 4096):
        monkeypatch.setattr(ridge_module, "_ROWS", rows)
        for alpha, (coefficients, intercept) in zip((0.1, 3.0), ridge_path(x, y, [0.1, 3.0]), strict=True):
            alone = fit_ridge(x.astype(np.float64), y, alpha)
            np.testing.assert_allclose(coefficients, alone[0], rtol=1e-8, atol=1e-10)
            np.testing.assert_allclose(intercept, alone[1], rtol=1e-8, atol=1e-10)


def test_a_bag_counts_the_tokens_of_each_text(tmp_path):
    train_tokenizer(["calm piano"] * 5 + ["fast metal"] * 5, tmp_path / "t.json", 300)
    tokenizer = load_tokenizer(tmp_path / "t.json", 900)
    texts = ["calm piano", "piano calm piano", "", "calm " * 299]
    counts = bag_of_tokens(tokenizer, texts)
    assert counts.shape == (4, tokenizer.get_vocab_size())
    for row, text in zip(counts, texts, strict=True):
        ids = tokenizer.encode(text).ids
        expected = [min(255, ids.count(i)) for i in range(len(row))]
        assert row.tolist() == expected
    assert counts[3].max() == 255
    assert not counts[2].any()


@pytest.fixture
def counted(tmp_path, toy_build, toy_captions, toy_config, install):
    """A ridge on counts, made on the toy space."""
    train_tokenizer([text for group in toy_captions["pc-train"] for text in group],
                    toy_build.bundle_file("tokenizer.json"), 300)  # fmt: skip
    made = make_part(
        toy_build, encoder="toy", train="pc-train", validation="pc-validation", alphas=[0.01, 1, 100], features="tokens"
    )
    install()
    return made["info"]


def test_a_ridge_on_counts_finds_what_the_words_say(counted, toy_space, toy_build, toy_captions):
    assert counted["features"] == "tokens"
    retriever = Ridge(toy_space, "part")
    names = [group[0] for group in toy_captions["pc-validation"]]
    latents = np.load(toy_build.work_file("frames-toy-pc-validation.npy")).astype(np.float64).mean(1)
    queries = retriever.query(names, Sampling())
    assert queries.shape == (len(names), 1, toy_space.dim)
    best = (queries[:, 0] @ (latents / np.linalg.norm(latents, axis=1, keepdims=True)).T).argmax(1)
    assert np.mean([names[at] == name for at, name in zip(best, names, strict=True)]) > 0.9


def test_the_penalty_is_chosen_by_the_rank_among_tracks(counted, toy_space, toy_build, toy_captions):
    """Each track is in the gallery once, however many captions it has."""
    texts = [text for group in toy_captions["pc-validation"] for text in group]
    latents = np.load(toy_build.work_file("frames-toy-pc-validation.npy")).astype(np.float32).mean(1)
    queries = Ridge(toy_space, "part").query(texts, Sampling())[:, 0]
    cosine = queries @ (latents / np.linalg.norm(latents, axis=1, keepdims=True)).T
    own = cosine[np.arange(len(texts)), np.repeat(np.arange(len(latents)), 2)]
    mrr = np.mean(1 / (1 + (cosine > own[:, None]).sum(1)))
    scores = counted["validation_mrr"]
    assert counted["alpha"] == float(max(scores, key=scores.get))
    assert scores[str(counted["alpha"])] == pytest.approx(mrr, abs=2e-3)  # stored in half precision


def test_unknown_features_are_named(toy_build):
    with pytest.raises(UserError, match="features: unknown value 'words'"):
        make_part(toy_build, encoder="toy", train="pc-train", validation="pc-validation", alphas=[1], features="words")
