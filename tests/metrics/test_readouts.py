"""What is read from ranks, against trec_eval, sorting, and hand numbers; misses count; odd input is named."""

from __future__ import annotations

from collections.abc import Callable

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


def trec_eval(scores: np.ndarray, qrels: list[dict[int, int]], measures: set[str]) -> dict[str, float]:
    """Means over queries, in percent."""
    run = {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)}
    named = {f"q{i}": {f"d{j}": gain for j, gain in row.items()} for i, row in enumerate(qrels)}
    found = list(pytrec_eval.RelevanceEvaluator(named, measures).evaluate(run).values())
    return {name: 100 * float(np.mean([values[name] for values in found])) for name in found[0]}


def test_trec_eval_agrees(rng: np.random.Generator) -> None:
    scores = np.stack([rng.permutation(30) for _ in range(25)]) - 15.0
    relevant = rng.integers(0, 30, 25)
    found = trec_eval(scores, [{int(g): 1} for g in relevant], {"recip_rank", "success.5", "map_cut.10"})
    ranks = r.relevant_ranks_from_scores(scores, relevant)
    assert r.mean_reciprocal_rank(ranks) == pytest.approx(found["recip_rank"])
    assert r.recall_at_k(ranks, 5) == pytest.approx(found["success_5"])
    assert r.mean_average_precision_at_k(ranks, 10) == pytest.approx(found["map_cut_10"])


@pytest.mark.parametrize("k", [1, 5, 20])
def test_trec_eval_agrees_on_several_graded_relevant(rng: np.random.Generator, k: int) -> None:
    scores = np.stack([rng.permutation(30) for _ in range(40)]) - 15.0
    relevant = [rng.choice(30, rng.integers(1, 12), replace=False) for _ in range(40)]
    gains = [rng.integers(1, 4, len(items)) for items in relevant]
    qrels = [dict(zip(items.tolist(), gain.tolist(), strict=True)) for items, gain in zip(relevant, gains, strict=True)]
    found = trec_eval(scores, qrels, {f"map_cut.{k}", f"ndcg_cut.{k}", f"success.{k}", "recip_rank"})
    ranks = r.relevant_ranks_all_from_scores(scores, relevant)
    assert r.mean_average_precision_at_k(ranks, k) == pytest.approx(found[f"map_cut_{k}"])
    assert r.ndcg_at_k(ranks, k, gains) == pytest.approx(found[f"ndcg_cut_{k}"])
    first = r.relevant_ranks_from_scores(scores, relevant)
    np.testing.assert_array_equal(first, [min(items) for items in ranks])
    assert r.recall_at_k(first, k) == pytest.approx(found[f"success_{k}"])
    assert r.mean_reciprocal_rank(first) == pytest.approx(found["recip_rank"])


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


@pytest.mark.parametrize("ties", METHODS)
@pytest.mark.parametrize("memory_mb", [0, 256])
def test_ranks_of_all_relevant_equal_scipy(rng: np.random.Generator, ties: str, memory_mb: int) -> None:
    queries, gallery = rng.integers(-2, 3, (40, 3)).astype(float), rng.integers(-2, 3, (150, 3)).astype(float)
    relevant = [rng.choice(150, n, replace=False) for n in rng.integers(0, 30, 40)]
    relevant[7] = np.empty(0, dtype=int)
    expected = [rankdata(-row, METHODS[ties])[i] for row, i in zip(queries @ gallery.T, relevant, strict=True)]
    with pytest.warns(UserWarning, match="queries have no relevant item"):
        ranks = r.relevant_ranks_all(queries, gallery, relevant, ties=ties, memory_mb=memory_mb)
    with pytest.warns(UserWarning, match="queries have no relevant item"):
        from_scores = r.relevant_ranks_all_from_scores(queries @ gallery.T, relevant, ties=ties)
    assert len(ranks) == len(from_scores) == 40
    for mine, scored, slow in zip(ranks, from_scores, expected, strict=True):
        np.testing.assert_array_equal(mine, slow)
        np.testing.assert_array_equal(scored, slow)


def test_ranks_of_all_relevant_with_one_each_are_those_of_the_first(rng: np.random.Generator) -> None:
    queries, gallery, relevant = unit(rng, 30, 8), unit(rng, 60, 8), rng.integers(0, 60, 30)
    ranks = r.relevant_ranks_all(queries, gallery, relevant)
    np.testing.assert_array_equal(np.concatenate(ranks), r.relevant_ranks(queries, gallery, relevant))
    assert r.relevant_ranks_all(np.empty((0, 8)), gallery, []) == []


@pytest.mark.parametrize("empty", [[], np.empty(0), np.empty(0, dtype=int)])
def test_a_query_without_a_relevant_item_is_a_miss_and_is_reported(empty: object) -> None:
    queries, gallery, relevant = np.eye(3), np.eye(3), [[0], empty, empty]
    message = "2 of 3 queries have no relevant item, the first is query 1"
    with pytest.warns(UserWarning, match=message) as caught:
        ranks = r.relevant_ranks(queries, gallery, relevant)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(ranks, [1.0, np.inf, np.inf])
    with pytest.warns(UserWarning, match=message):
        np.testing.assert_array_equal(r.relevant_ranks_from_scores(queries, relevant), ranks)
    with pytest.warns(UserWarning, match=message):
        every = r.relevant_ranks_all(queries, gallery, relevant)
    assert [len(items) for items in every] == [1, 0, 0]
    assert r.mean_average_precision_at_k(every, 5) == r.ndcg_at_k(every, 5) == pytest.approx(100 / 3)
    with pytest.warns(UserWarning, match="3 of 3"):
        np.testing.assert_array_equal(r.relevant_ranks(queries, gallery, [empty] * 3), np.inf)


def test_misses_in_what_is_read() -> None:
    ranks = [1.0, np.inf, 3.0, np.inf]
    assert r.recall_at_k(ranks, 10**9) == 50.0
    assert r.mean_reciprocal_rank(ranks) == pytest.approx(100 / 3)
    assert r.median_rank(ranks) == r.normalized_median_rank(ranks, 10) == np.inf
    assert r.median_rank([1.0, 2.0, np.inf]) == 2.0
    assert r.normalized_median_rank([1.0, 2.0, np.inf], 4) == 50.0
    assert r.tie_rate([1.0, np.inf], [2.0, np.inf]) == 50.0
    assert r.mean_average_precision_at_k(ranks, 3) == pytest.approx(100 / 3)
    assert r.ndcg_at_k(ranks, 3) == pytest.approx(37.5)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 0.0, 0.99, -3.0])
@pytest.mark.parametrize(
    "read",
    [
        r.median_rank,
        r.mean_reciprocal_rank,
        lambda ranks: r.recall_at_k(ranks, 5),
        lambda ranks: r.normalized_median_rank(ranks, 50),
        lambda ranks: r.mean_average_precision_at_k(ranks, 5),
        lambda ranks: r.ndcg_at_k(ranks, 5),
        lambda ranks: r.tie_rate(ranks, ranks),
    ],
)
def test_what_is_not_a_rank_raises(read: Callable[[object], float], bad: float) -> None:
    with pytest.raises(ValueError, match="start at 1; 2 of 4 entries are NaN or below, the first is entry 1"):
        read([2.0, bad, 1.0, bad])
    with pytest.raises(ValueError, match="no ranks"):
        read([])


def test_precision_and_gain_by_hand() -> None:
    # Relevant at 1 and 3, a third never found: (1/1 + 2/3) / 3.
    assert r.mean_average_precision_at_k([[3, 1]], 10, n_relevant=[3]) == pytest.approx(100 * 5 / 9)
    assert r.mean_average_precision_at_k([[3, 1, np.inf]], 10) == pytest.approx(100 * 5 / 9)
    assert r.mean_average_precision_at_k([[3, 1]], 2) == 50.0
    assert r.mean_average_precision_at_k(np.array([[3, 1]]), 2) == 50.0
    assert r.ndcg_at_k([[1, 3]], 10, gains=[[1, 2]]) == pytest.approx(100 * 2 / (2 + 1 / np.log2(3)))
    assert r.ndcg_at_k([[1], [2]], 10, gains=[[0], [0]]) == 0.0
    # Two tied at the top are as good as two in order; precision never exceeds 1.
    assert r.mean_average_precision_at_k([[1.5, 1.5]], 10) == 100.0
    assert r.mean_average_precision_at_k([[1, 1]], 10) == 100.0
    assert r.ndcg_at_k([[2, 2, 2]], 2) == 100.0


def test_precision_and_gain_of_a_constant_scorer_are_at_chance(rng: np.random.Generator) -> None:
    n = 40
    relevant = [rng.choice(n, 5, replace=False) for _ in range(20)]
    ranks = r.relevant_ranks_all_from_scores(np.zeros((20, n)), relevant)
    assert r.mean_average_precision_at_k(ranks, 10) == r.ndcg_at_k(ranks, 10) == 0.0
    shuffled = r.relevant_ranks_all_from_scores(rng.normal(size=(4000, n)), relevant * 200)
    for read in (r.mean_average_precision_at_k, r.ndcg_at_k):
        assert read(ranks, n) <= read(shuffled, n)
    assert r.mean_average_precision_at_k(ranks, n) == pytest.approx(100 * 6 / 41)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_precision_and_gain_stay_in_range_and_ignore_order(data: st.DataObject) -> None:
    n, k = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 14))
    scores = data.draw(st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=1, max_size=5))
    relevant = [data.draw(st.permutations(range(n)))[: data.draw(st.integers(1, n))] for _ in scores]
    gains = [[item % 3 for item in items] for items in relevant]
    for ties in METHODS:
        ranks = r.relevant_ranks_all_from_scores(scores, relevant, ties=ties)
        values = [r.mean_average_precision_at_k(ranks, k), r.ndcg_at_k(ranks, k), r.ndcg_at_k(ranks, k, gains)]
        assert all(0.0 <= value <= 100.0 for value in values)
        back = [items[::-1] for items in ranks], [gain[::-1] for gain in gains]
        turned = [r.mean_average_precision_at_k(back[0], k), r.ndcg_at_k(back[0], k), r.ndcg_at_k(back[0], k, back[1])]
        np.testing.assert_allclose(turned, values)
    best = [np.arange(1, len(items) + 1) for items in relevant]
    assert r.ndcg_at_k(best, k) == pytest.approx(100.0)
    assert r.mean_average_precision_at_k(best, n) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: r.mean_average_precision_at_k([1], 0), "k = 0"),
        (lambda: r.ndcg_at_k([1], 0), "k = 0"),
        (lambda: r.mean_average_precision_at_k([[1, 2]], 5, n_relevant=[1]), r"n_relevant\[0\] = 1, but query 0 has 2"),
        (lambda: r.mean_average_precision_at_k([[1, 2]], 5, n_relevant=[1, 2]), "1 numbers"),
        (lambda: r.ndcg_at_k([[1], [2, 3]], 5, gains=[[1, 1], [1]]), "one entry for each rank"),
        (lambda: r.ndcg_at_k([[1], [2, 3]], 5, gains=[[1], [1, -1]]), "1 of 3 are not, the first is of query 1: -1"),
        (lambda: r.ndcg_at_k([1], 5, gains=[np.nan]), "finite"),
        (lambda: r.ndcg_at_k([[1, 2], 3], 5), r"ranks\[1\]"),
        (lambda: r.recall_at_k([[1, 2]], 5), "one rank a query"),
        (lambda: r.relevant_ranks_all(np.eye(2), np.eye(2), [[0], [1, 0, 1]]), r"relevant\[1\] names item 1 twice"),
        (lambda: r.relevant_ranks_all_from_scores(np.eye(2), [[1, 1], [0]]), r"relevant\[0\] names item 1 twice"),
        (lambda: r.relevant_ranks_all(np.eye(2), np.eye(2), [0, 1], ties="best"), "ties = 'best'"),
    ],
)
def test_bad_precision_and_gain_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
