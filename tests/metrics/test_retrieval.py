"""Ranks and what is read from them, against scipy, trec_eval, sorting, and hand numbers."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from bench.metrics import retrieval as r

METHODS = {"mid": "average", "min": "min", "max": "max"}


def unit(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = rng.normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def slow_ranks(scores: np.ndarray, relevant: np.ndarray, ties: str) -> np.ndarray:
    return np.array([rankdata(-row, METHODS[ties])[g] for row, g in zip(scores, relevant, strict=True)])


@pytest.mark.parametrize("ties", METHODS)
def test_ranks_from_scores_equal_scipy(rng: np.random.Generator, ties: str) -> None:
    scores = rng.integers(-3, 3, (60, 25)).astype(float)  # heavy ties, many scores of 0 and below
    relevant = rng.integers(0, 25, 60)
    expected = slow_ranks(scores, relevant, ties)
    np.testing.assert_array_equal(r.relevant_ranks_from_scores(scores, relevant, ties=ties), expected)


@pytest.mark.parametrize("ties", METHODS)
@pytest.mark.parametrize("memory_mb", [0, 1, 256])
def test_ranks_from_vectors_equal_scipy(rng: np.random.Generator, ties: str, memory_mb: int) -> None:
    queries, gallery = unit(rng, 70, 24), unit(rng, 301, 24)
    relevant = rng.integers(0, 301, 70)
    scores = queries.astype(float) @ gallery.astype(float).T
    ranks = r.relevant_ranks(queries, gallery, relevant, ties=ties, memory_mb=memory_mb)
    np.testing.assert_array_equal(ranks, slow_ranks(scores, relevant, ties))
    assert ranks.dtype == np.float64


@pytest.mark.parametrize("memory_mb", [0, 1, 256])
def test_duplicates_tie_whatever_the_chunk(rng: np.random.Generator, memory_mb: int) -> None:
    # 67 columns and an odd number of rows leave ragged edges in blocked products.
    gallery = np.repeat(unit(rng, 41, 67), 3, axis=0)[rng.permutation(123)]
    queries = unit(rng, 37, 67)
    relevant = rng.integers(0, 123, 37)
    low, mid, high = (
        r.relevant_ranks(queries, gallery, relevant, ties=t, memory_mb=memory_mb) for t in ("min", "mid", "max")
    )
    np.testing.assert_array_equal(high - low, 2.0)
    np.testing.assert_array_equal(mid - low, 1.0)
    assert r.tie_rate(low, high) == 100.0


def test_near_ties_are_decided_in_float64() -> None:
    gallery = np.array([[1.0, 0.0], [1.0, 1e-12]])
    ranks = r.relevant_ranks([[1.0, 1.0], [1.0, -1.0]], gallery, [0, 0])
    np.testing.assert_array_equal(ranks, [2.0, 1.0])


def test_rows_are_used_as_given(rng: np.random.Generator) -> None:
    queries, gallery = unit(rng, 20, 8) * 1e3, unit(rng, 50, 8) * rng.uniform(0.01, 100, (50, 1)).astype(np.float32)
    relevant = rng.integers(0, 50, 20)
    scores = queries.astype(float) @ gallery.astype(float).T
    np.testing.assert_array_equal(r.relevant_ranks(queries, gallery, relevant), slow_ranks(scores, relevant, "mid"))


def test_the_last_item_at_a_negative_score_can_still_win() -> None:
    assert r.recall_at_k(r.relevant_ranks([[1.0]], [[-0.2], [-0.1]], [1]), 1) == 100.0


@pytest.mark.parametrize("shift", [-1e3, -0.5, 0.0, 7.0])
def test_monotone_score_changes_leave_ranks(rng: np.random.Generator, shift: float) -> None:
    scores = rng.integers(-5, 5, (30, 12)).astype(float)
    relevant = rng.integers(0, 12, 30)
    base = r.relevant_ranks_from_scores(scores, relevant)
    np.testing.assert_array_equal(r.relevant_ranks_from_scores(3 * scores + shift, relevant), base)
    np.testing.assert_array_equal(r.relevant_ranks_from_scores(np.exp(scores), relevant), base)


def test_permuting_the_gallery_or_the_queries_changes_nothing(rng: np.random.Generator) -> None:
    queries, gallery = unit(rng, 40, 16), unit(rng, 90, 16)
    relevant = rng.integers(0, 90, 40)
    base = r.relevant_ranks(queries, gallery, relevant)
    order, inverse = (p := rng.permutation(90)), np.argsort(p)
    np.testing.assert_array_equal(r.relevant_ranks(queries, gallery[order], inverse[relevant]), base)
    np.testing.assert_array_equal(r.relevant_ranks(queries[::-1], gallery, relevant[::-1]), base[::-1])


def test_a_constant_scorer_is_at_chance() -> None:
    n = 99
    ranks = r.relevant_ranks(np.ones((n, 4)), np.ones((n, 4)), np.arange(n))
    np.testing.assert_array_equal(ranks, (n + 1) / 2)
    assert r.mean_reciprocal_rank(ranks) == pytest.approx(2.0)
    assert r.recall_at_k(ranks, 10) == 0.0
    assert r.normalized_median_rank(ranks, n) == pytest.approx(100 * 50 / 99)
    np.testing.assert_array_equal(r.relevant_ranks_from_scores(np.zeros((3, n)), [0, 50, 98]), 50.0)


def test_several_relevant_items_the_best_counts() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.5, 0.5, 0.5]])
    relevant = [np.array([1, 2]), np.array([1, 2])]
    np.testing.assert_array_equal(r.relevant_ranks_from_scores(scores, relevant, ties="min"), [2, 1])
    # Of three shuffled items, two of them relevant, a third of a rival precedes the first relevant one.
    np.testing.assert_allclose(r.relevant_ranks_from_scores(scores, relevant), [2, 4 / 3])
    np.testing.assert_array_equal(r.relevant_ranks_from_scores(scores, relevant, ties="max"), [2, 2])


@pytest.mark.parametrize("ties", METHODS)
def test_both_routes_agree_for_several_relevant(rng: np.random.Generator, ties: str) -> None:
    queries, gallery = rng.integers(-2, 3, (40, 3)).astype(float), rng.integers(-2, 3, (60, 3)).astype(float)
    relevant = [rng.choice(60, rng.integers(1, 6), replace=False) for _ in range(40)]
    from_scores = r.relevant_ranks_from_scores(queries @ gallery.T, relevant, ties=ties)
    np.testing.assert_allclose(r.relevant_ranks(queries, gallery, relevant, ties=ties), from_scores)
    assert r.tie_rate(np.minimum(from_scores, 1), from_scores) >= 0


def test_expected_rank_of_shuffled_ties(rng: np.random.Generator) -> None:
    scores = np.zeros(6)
    relevant = [0, 4]
    drawn = [min(np.flatnonzero(np.isin(rng.permutation(6), relevant))) + 1 for _ in range(4000)]
    assert r.relevant_ranks_from_scores(scores[None], [relevant])[0] == pytest.approx(np.mean(drawn), abs=0.08)


def test_trec_eval_agrees(rng: np.random.Generator) -> None:
    scores = np.stack([rng.permutation(30) for _ in range(25)]) - 15.0
    relevant = rng.integers(0, 30, 25)
    qrel = {f"q{i}": {f"d{g}": 1} for i, g in enumerate(relevant)}
    run = {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)}
    found = pytrec_eval.RelevanceEvaluator(qrel, {"recip_rank", "success_5"}).evaluate(run)
    ranks = r.relevant_ranks_from_scores(scores, relevant)
    mrr, recall = (np.mean([100 * v[m] for v in found.values()]) for m in ("recip_rank", "success_5"))
    assert r.mean_reciprocal_rank(ranks) == pytest.approx(mrr)
    assert r.recall_at_k(ranks, 5) == pytest.approx(recall)


def test_hand_numbers() -> None:
    ranks = [1, 2, 10, 10.5]
    assert r.recall_at_k(ranks, 10) == 75.0
    assert r.median_rank(ranks) == 6.0
    assert r.normalized_median_rank(ranks, 200) == 3.0
    assert r.mean_reciprocal_rank([1, 2, 4]) == pytest.approx(100 * 7 / 12)
    assert r.oracle_normalised(20.0, 10.0, 10.0) != r.oracle_normalised(20.0, 10.0, 10.0)  # NaN: no room above chance
    np.testing.assert_allclose(r.oracle_normalised([10.0, 60.0], 10.0, 60.0), [0.0, 100.0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 49))
def test_recall_grows_with_k(ranks: list[int], k: int) -> None:
    assert r.recall_at_k(ranks, k) <= r.recall_at_k(ranks, k + 1) <= r.recall_at_k(ranks, 50) == 100.0


@pytest.mark.parametrize("memory_mb", [0, 256])
def test_top_k_equals_sorting_in_float64(rng: np.random.Generator, memory_mb: int) -> None:
    queries, gallery = unit(rng, 33, 19), np.repeat(unit(rng, 40, 19), 2, axis=0)
    scores = np.repeat((queries.astype(float) @ gallery[::2].astype(float).T), 2, axis=1)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :11]
    np.testing.assert_array_equal(r.top_k(queries, gallery, 11, memory_mb=memory_mb), expected)


def test_top_k_of_ties_is_in_order_of_index() -> None:
    np.testing.assert_array_equal(r.top_k(np.ones((2, 3)), np.ones((7, 3)), 4), [[0, 1, 2, 3]] * 2)
    assert r.top_k(np.empty((0, 3)), np.ones((7, 3)), 4).shape == (0, 4)
    np.testing.assert_array_equal(r.top_k([[1.0]], [[2.0]], 1), [[0]])


def test_top_k_and_ranks_agree(rng: np.random.Generator) -> None:
    queries, gallery, relevant = unit(rng, 50, 8), unit(rng, 60, 8), rng.integers(0, 60, 50)
    hit = (r.top_k(queries, gallery, 5) == relevant[:, None]).any(1)
    np.testing.assert_array_equal(hit, r.relevant_ranks(queries, gallery, relevant) <= 5)


def test_one_item_and_no_query() -> None:
    np.testing.assert_array_equal(r.relevant_ranks([[0.0, 0.0]], [[3.0, 4.0]], [0]), [1.0])
    assert r.relevant_ranks(np.empty((0, 2)), [[1.0, 0.0]], []).shape == (0,)


@pytest.mark.parametrize(
    ("queries", "gallery", "relevant", "message"),
    [
        ([[1.0, np.nan]], [[1.0, 0.0]], [0], r"queries: 1 of 2 entries are NaN or infinite, the first at \(0, 1\)"),
        ([[1.0, 0.0]], [[1.0, 0.0], [np.inf, np.inf]], [0], r"gallery: 2 of 4 .* the first at \(1, 0\)"),
        ([[1.0, 0.0]], np.empty((0, 2)), [0], "gallery is empty"),
        ([[1.0, 0.0]], [[1.0]], [0], "rows of 2 and 1"),
        ([1.0, 0.0], [[1.0, 0.0]], [0], "2 axes"),
        ([[1.0, 0.0]], [[1.0, 0.0]], [1], r"relevant\[0\] names item 1"),
        ([[1.0, 0.0]], [[1.0, 0.0]], [-1], r"relevant\[0\] names item -1"),
        ([[1.0, 0.0]], [[1.0, 0.0]], [[]], r"relevant\[0\] is empty"),
        ([[1.0, 0.0]], [[1.0, 0.0]], [0, 0], "relevant has 2 entries"),
        ([[1.0, 0.0]], [[1.0, 0.0]], [0.0], "integers"),
    ],
)
def test_bad_input_is_named(queries: object, gallery: object, relevant: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        r.relevant_ranks(queries, gallery, relevant)  # type: ignore[arg-type]


def test_bad_calls_are_named() -> None:
    with pytest.raises(ValueError, match="ties = 'best'"):
        r.relevant_ranks_from_scores([[1.0]], [0], ties="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 of 2 entries"):
        r.relevant_ranks_from_scores([[1.0, np.nan]], [0])
    with pytest.raises(ValueError, match="k = 3"):
        r.top_k([[1.0]], [[1.0], [2.0]], 3)
    with pytest.raises(ValueError, match="no ranks"):
        r.recall_at_k([], 5)
    with pytest.raises(ValueError, match="start at 1"):
        r.median_rank([0, 1])
    with pytest.raises(ValueError, match="gallery of 5"):
        r.normalized_median_rank([9], 5)
    with pytest.raises(ValueError, match="same queries"):
        r.tie_rate([2], [1])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
