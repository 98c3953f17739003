"""Ranks, against scipy, sorting and hand numbers, whatever the tiles; what is read from them is in test_readouts.py."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from bench.metrics import _scores
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


def test_rows_that_differ_beyond_any_rounded_sum_are_kept_apart() -> None:
    gallery = np.array([[1.0, 0.0], [1.0, 1e-30], [1.0, -1e-30]])
    np.testing.assert_array_equal(r.relevant_ranks([[0.0, 1.0]] * 3, gallery, [0, 1, 2]), [2.0, 1.0, 3.0])


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


def exact_scores(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Float64 scores, each from its two rows alone, so that equal rows have equal scores."""
    q, g = np.asarray(queries, np.float64), np.asarray(gallery, np.float64)
    return np.stack([(row * g).sum(1) for row in q])


@pytest.mark.parametrize("ties", METHODS)
@pytest.mark.parametrize("tile", [((16, 64), 5), ((1, 1), 1), ((37, 19), 128)])
def test_tiles_of_any_shape_give_the_same_ranks(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, tile: tuple[tuple[int, int], int], ties: str
) -> None:
    queries, gallery = unit(rng, 60, 9), np.repeat(unit(rng, 50, 9), 2, axis=0)
    relevant = [rng.choice(100, n, replace=False) for n in rng.integers(1, 5, 60)]
    scores = exact_scores(queries, gallery)
    monkeypatch.setattr(_scores, "TILE", tile[0])
    monkeypatch.setattr(_scores, "STRIP", tile[1])
    expected = r.relevant_ranks_from_scores(scores, relevant, ties=ties)
    np.testing.assert_array_equal(r.relevant_ranks(queries, gallery, relevant, ties=ties), expected)
    every = r.relevant_ranks_all(queries, gallery, relevant, ties=ties)
    for mine, slow in zip(every, r.relevant_ranks_all_from_scores(scores, relevant, ties=ties), strict=True):
        np.testing.assert_array_equal(mine, slow)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(r.top_k(queries, gallery, 7), order)


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-7, 1e-5])
@pytest.mark.parametrize("copies", [1, 3])
def test_collapsed_vectors_are_ranked_in_float64(rng: np.random.Generator, spread: float, copies: int) -> None:
    # All scores of a query lie within float32's rounding of each other.
    gallery = np.repeat(np.ones(33) + spread * rng.normal(size=(90, 33)), copies, axis=0)
    queries = rng.normal(size=(40, 33))
    relevant = rng.integers(0, len(gallery), 40)
    scores = exact_scores(queries, gallery)
    for ties in METHODS:
        ranks = r.relevant_ranks(queries, gallery, relevant, ties=ties)
        np.testing.assert_array_equal(ranks, slow_ranks(scores, relevant, ties))
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(r.top_k(queries, gallery, 9), expected)


def test_top_k_of_many_candidates_is_that_of_few(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = rng.integers(-1, 2, (50, 4)), rng.integers(-1, 2, (80, 4))
    expected = r.top_k(queries, gallery, 6)
    monkeypatch.setattr(r, "BYTES_PER_CANDIDATE", 2**28 // 10)
    np.testing.assert_array_equal(r.top_k(queries, gallery, 6), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_any_type_of_number(rng: np.random.Generator, dtype: type) -> None:
    queries, gallery = (rng.integers(-4, 5, (n, 6)).astype(dtype) for n in (30, 70))
    relevant = rng.integers(0, 70, 30)
    expected = slow_ranks(exact_scores(queries, gallery), relevant, "mid")
    np.testing.assert_array_equal(r.relevant_ranks(queries, gallery, relevant), expected)
    np.testing.assert_array_equal(r.relevant_ranks(np.asfortranarray(queries), gallery[::-1], 69 - relevant), expected)


@pytest.mark.parametrize(
    ("q_power", "g_power"), [(-900, 0), (0, -900), (500, 500), (120, 120), (-90, 200), (-500, 900)]
)
def test_scaling_by_powers_of_two_changes_nothing(rng: np.random.Generator, q_power: int, g_power: int) -> None:
    # Beyond float32's range, and its square, in both directions.
    queries, gallery = rng.normal(size=(30, 7)), np.repeat(rng.normal(size=(40, 7)), 2, axis=0)
    relevant = rng.integers(0, 80, 30)
    scaled = np.ldexp(queries, q_power), np.ldexp(gallery, g_power)
    np.testing.assert_array_equal(r.relevant_ranks(*scaled, relevant), r.relevant_ranks(queries, gallery, relevant))
    np.testing.assert_array_equal(r.top_k(*scaled, 5), r.top_k(queries, gallery, 5))


def test_float32_vectors_at_the_ends_of_the_range(rng: np.random.Generator) -> None:
    queries, gallery = unit(rng, 30, 7), unit(rng, 60, 7)
    relevant = rng.integers(0, 60, 30)
    expected = r.relevant_ranks(queries, gallery, relevant)
    for power in (-110, 126):
        large = np.ldexp(queries, power), np.ldexp(gallery, power)
        assert large[0].dtype == np.float32
        scores = exact_scores(*large)
        np.testing.assert_array_equal(r.relevant_ranks(*large, relevant), slow_ranks(scores, relevant, "mid"))
    # One long row must not hide the differences among the others.
    longer = np.concatenate([gallery, np.float32(1e30) * unit(rng, 1, 7)])
    extra = exact_scores(queries, longer)[:, -1] > 0
    np.testing.assert_array_equal(r.relevant_ranks(queries, longer, relevant), expected + extra)


def test_a_query_of_zeros_ties_with_everything() -> None:
    np.testing.assert_array_equal(r.relevant_ranks(np.zeros((2, 3)), np.eye(3), [0, 2]), 2.0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranks_from_vectors_and_from_scores_agree(data: st.DataObject) -> None:
    d, n = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    number = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)
    rows = st.lists(number, min_size=d, max_size=d)
    gallery = np.array(data.draw(st.lists(rows, min_size=n, max_size=n)))
    queries = np.array(data.draw(st.lists(rows, min_size=1, max_size=5)))
    relevant = [data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n)) for _ in queries]
    ties = data.draw(st.sampled_from(sorted(METHODS)))
    expected = r.relevant_ranks_from_scores(exact_scores(queries, gallery), relevant, ties=ties)
    np.testing.assert_array_equal(r.relevant_ranks(queries, gallery, relevant, ties=ties), expected)


@pytest.mark.parametrize("collapsed", [False, True])
@pytest.mark.parametrize("call", ["ranks", "ranks_all", "top_k"])
def test_memory_stays_within_the_budget(rng: np.random.Generator, call: str, collapsed: bool) -> None:
    queries, gallery = unit(rng, 600, 16), unit(rng, 40_000, 16)
    if collapsed:
        queries, gallery = np.ones((40, 16), np.float32), np.ones_like(gallery)
    relevant = rng.integers(0, 40_000, (len(queries), 2))
    calls = {
        "ranks": lambda: r.relevant_ranks(queries, gallery, relevant[:, 0], memory_mb=24),
        "ranks_all": lambda: r.relevant_ranks_all(queries, gallery, relevant, memory_mb=24),
        "top_k": lambda: r.top_k(queries, gallery, 3, memory_mb=24),
    }
    tracemalloc.start()
    try:
        found = calls[call]()
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    # The matrix of scores alone is 92 MiB; of all ties, listing the pairs would take as much.
    assert peak < 32
    if collapsed:
        np.testing.assert_array_equal(found, [[0, 1, 2]] * 40 if call == "top_k" else np.full_like(found, 20_000.5))


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
        ([[1e200, 0.0]], [[1e200, 0.0]], [0], "overflow"),
        ([[1.7e308, 1.7e308]], [[1.0, 0.0]], [0], "queries has rows whose length"),
        ([[1.0, 0.0]], [[1.0, 0.0]], [True], "bool values"),
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
    with pytest.raises(ValueError, match="gallery of 5"):
        r.normalized_median_rank([9], 5)
    with pytest.raises(ValueError, match="same queries"):
        r.tie_rate([2], [1])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
