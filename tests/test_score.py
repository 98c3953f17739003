"""Scores of a system of one's own, against trec_eval, dense ranks, and orders of tied items that are written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import stats
from bench.errors import UserError
from bench.metrics import registered, registered_sets
from bench.metrics.measured import Metric
from bench.metrics.retrieval import (
    mean_average_precision_at_k,
    mean_reciprocal_rank,
    ndcg_at_k,
    recall_at_k,
    relevant_ranks,
    relevant_ranks_all_from_scores,
    relevant_ranks_from_scores,
)
from bench.score import (
    Ranked,
    compare,
    default_metrics,
    judged,
    known_metrics,
    rank_arrays,
    rank_run,
    score,
    score_set,
    set_metrics,
)
from bench.trec import PairValues

KEYS = ["R@1", "R@10", "MRR", "mAP@10", "nDCG@10", "MedR"]


def pairs(rows, columns=("query_id", "item_id")) -> PairValues:
    """Pairs as if read from a file: (query, item, value)."""
    queries, items = (list(dict.fromkeys(row[i] for row in rows)) for i in (0, 1))
    return PairValues(
        "pairs", tuple(queries), tuple(items), np.array([queries.index(row[0]) for row in rows]),
        np.array([items.index(row[1]) for row in rows]), np.array([row[2] for row in rows], dtype=float),
        np.arange(1, len(rows) + 1), columns,
    )  # fmt: skip


def listed(scores: np.ndarray, depth: int | None = None) -> PairValues:
    """A run of a matrix of scores; unlisted are all but the best of each row."""
    rows = []
    for q, row in enumerate(scores):
        rows += [(f"q{q}", f"d{i}", row[i]) for i in np.argsort(-row, kind="stable")[:depth]]
    return pairs(rows)


def one_each(relevant) -> PairValues:
    return pairs([(f"q{q}", f"d{i}", 1) for q, i in enumerate(relevant)])


def values(ranked: Ranked, *keys: str, **more) -> dict[str, float | None]:
    found = score(ranked, list(keys), **more).metrics
    return {key: found[key]["value"] for key in keys}


# --- against others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("depth", [None, 12])
def test_distinct_scores_give_what_trec_eval_gives(seed: int, depth: int | None) -> None:
    import pytrec_eval

    rng = np.random.default_rng(seed)
    n = 40
    # Half apart and small: distinct as trec_eval's 32-bit numbers too; some are negative.
    scores = rng.permuted(np.tile(np.arange(n) / 2 - 10, (25, 1)), axis=1)
    run = listed(scores, depth)
    graded = [
        (f"q{q}", f"d{i}", int(g)) for q in range(25)
        for i, g in zip(rng.choice(n, 6, replace=False), rng.integers(-1, 4, 6), strict=True)
    ]  # fmt: skip
    qrels = pairs(graded)
    mine: dict[str, dict[str, float]] = {}
    for q, i, v in zip(run.query, run.item, run.value, strict=True):
        mine.setdefault(run.query_ids[q], {})[run.item_ids[i]] = float(v)
    truth: dict[str, dict[str, int]] = {}
    for q, d, g in graded:
        truth.setdefault(q, {})[d] = g
    names = {"MRR": "recip_rank", "R@1": "success_1", "R@10": "success_10", "mAP@10": "map_cut_10",
             "nDCG@10": "ndcg_cut_10", "nDCG@5": "ndcg_cut_5", "mAP@5": "map_cut_5"}  # fmt: skip
    evaluator = pytrec_eval.RelevanceEvaluator(truth, {"recip_rank", "success.1,10", "map_cut.5,10", "ndcg_cut.5,10"})
    theirs = evaluator.evaluate(mine)
    ours = values(rank_run(run, qrels), *names)
    for key, name in names.items():
        expected = 100 * np.mean([theirs[q][name] if q in theirs else 0.0 for q in qrels.query_ids])
        assert ours[key] == pytest.approx(expected, abs=1e-9), key


@pytest.mark.parametrize("ties", ["mid", "min", "max"])
@pytest.mark.parametrize("several", [False, True])
def test_first_ranks_are_those_of_the_dense_routine_under_heavy_ties(ties: str, several: bool) -> None:
    rng = np.random.default_rng(7)
    scores = rng.integers(-3, 3, (60, 30)).astype(float)
    relevant = [rng.choice(30, rng.integers(1, 6) if several else 1, replace=False) for _ in range(60)]
    qrels = pairs([(f"q{q}", f"d{i}", 1) for q, group in enumerate(relevant) for i in group])
    ranked = rank_run(listed(scores), qrels)
    np.testing.assert_allclose(
        ranked.placed(ties).first, relevant_ranks_from_scores(scores, relevant, ties=ties), rtol=1e-14
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mid_places_are_the_mean_over_all_orders_of_tied_items(data) -> None:
    n = data.draw(st.integers(1, 6))
    scores = data.draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))
    relevant = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    ranked = rank_run(listed(np.array([scores], dtype=float)), pairs([("q0", f"d{i}", 1) for i in sorted(relevant)]))
    orders = [
        order for order in itertools.permutations(range(n))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]  # fmt: skip
    places = np.array([[1 + order.index(item) for item in sorted(relevant)] for order in orders])
    for ties, over_orders in (("mid", np.mean), ("min", np.min), ("max", np.max)):
        placed = ranked.placed(ties)
        np.testing.assert_allclose(placed.rank, np.sort(over_orders(places, axis=0)))
        np.testing.assert_allclose(placed.first, over_orders(places.min(axis=1)))
    among = np.argsort(np.argsort(places, axis=1), axis=1) + 1
    np.testing.assert_allclose(ranked.placed().place, np.sort(among.mean(axis=0)))
    assert ranked.tie_rate() == (100.0 if np.ptp(places.min(axis=1)) else 0.0)


@pytest.mark.parametrize("ties", ["mid", "min", "max"])
def test_tied_relevant_items_count_as_in_the_metrics_of_arrays(ties: str) -> None:
    rng = np.random.default_rng(12)
    scores = rng.integers(0, 5, (60, 30)).astype(float)
    relevant = [np.sort(rng.choice(30, rng.integers(1, 8), replace=False)) for _ in range(60)]
    gains = [rng.integers(1, 4, len(group)) for group in relevant]
    qrels = pairs([
        (f"q{q}", f"d{i}", g) for q, group in enumerate(relevant) for i, g in zip(group, gains[q], strict=True)
    ])  # fmt: skip
    ranks = relevant_ranks_all_from_scores(scores, relevant, ties=ties)
    found = values(rank_run(listed(scores), qrels), "mAP@7", "nDCG@7", "R@7", "MRR", ties=ties)
    assert found["mAP@7"] == pytest.approx(mean_average_precision_at_k(ranks, 7))
    assert found["nDCG@7"] == pytest.approx(ndcg_at_k(ranks, 7, gains=gains))
    first = relevant_ranks_from_scores(scores, relevant, ties=ties)
    assert found["R@7"] == pytest.approx(recall_at_k(first, 7))
    assert found["MRR"] == pytest.approx(mean_reciprocal_rank(first))


def test_best_and_worst_case_enclose_the_middle_with_grades_too() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (50, 20)).astype(float)
    qrels = pairs([(f"q{q}", f"d{i}", int(rng.integers(1, 4))) for q in range(50) for i in rng.choice(20, 4, False)])
    ranked = rank_run(listed(scores), qrels)
    by_ties = {ties: values(ranked, *KEYS, ties=ties) for ties in ("min", "mid", "max")}
    for key in ("R@10", "MRR", "mAP@10", "nDCG@10"):
        assert by_ties["min"][key] >= by_ties["mid"][key] >= by_ties["max"][key], key
        assert by_ties["min"][key] > by_ties["max"][key], key
    assert all(value <= 100 for found in by_ties.values() for key, value in found.items() if key != "MedR")


def test_declarations_are_those_of_the_registered_metrics() -> None:
    families = [m for module in (registered, registered_sets) for m in vars(module).values() if isinstance(m, Metric)]
    scores = score(rank_run(listed(np.eye(3)), one_each([0, 1, 2]), gallery=3), known_metrics())
    for key, info in scores.metric_info.items():
        (family,) = [family for family in families if family.match(key)]
        assert info == family.info(), key
    sets = score_set(np.random.default_rng(0).normal(size=(50, 2)), metrics=["FAD(ref)", "KAD(ref)", "Vendi"])
    for key, info in sets.metric_info.items():
        (family,) = [family for family in families if family.match(key.replace("(ref)", "(jam)"))]
        assert info == family.info(), key


# --- by hand, and what changes nothing --------------------------------------------------------------------------------


def test_hand_numbers() -> None:
    run = pairs([("q1", "a", 3), ("q1", "b", 2), ("q1", "c", 1), ("q2", "a", 1), ("q2", "b", 2), ("q2", "c", 3)])
    qrels = pairs([("q1", "a", 1), ("q1", "c", 1), ("q2", "b", 2), ("q2", "a", 1)])
    found = values(rank_run(run, qrels), "R@1", "MRR", "mAP@3", "nDCG@3", "MedR", "mAP@2")
    assert found["R@1"] == 50
    assert found["MRR"] == 75
    assert found["mAP@3"] == pytest.approx(100 * ((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    # q2's second relevant item is not in its top 2, but counts in the number of relevant ones.
    assert found["mAP@2"] == pytest.approx(100 * (1 / 2 + (1 / 2) / 2) / 2)
    log3 = np.log2(3)
    q1, q2 = (1 + 1 / 2) / (1 + 1 / log3), (2 / log3 + 1 / 2) / (2 + 1 / log3)
    assert found["nDCG@3"] == pytest.approx(100 * (q1 + q2) / 2)
    assert found["MedR"] == 1.5


@pytest.mark.parametrize("change", [lambda s: s - 1000, lambda s: np.exp(s), lambda s: 3 * s + 1, lambda s: s**3])
def test_only_the_order_of_scores_matters(change) -> None:
    rng = np.random.default_rng(2)
    scores, qrels = rng.integers(-9, 9, (30, 25)) / 4, one_each(rng.integers(0, 25, 30))
    assert values(rank_run(listed(change(scores)), qrels), *KEYS) == values(rank_run(listed(scores), qrels), *KEYS)


def test_the_order_of_lines_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    rows = [(f"q{q}", f"d{i}", float(rng.integers(0, 9))) for q in range(20) for i in range(15)]
    qrels = [(f"q{q}", f"d{rng.integers(0, 15)}", 1) for q in range(20)]
    base = score(rank_run(pairs(rows), pairs(qrels)))
    mixed = [rows[i] for i in rng.permutation(len(rows))]
    assert score(rank_run(pairs(mixed), pairs(qrels))) == base


def test_queries_that_come_three_times_change_nothing_within_their_cluster() -> None:
    rng = np.random.default_rng(5)
    scores, relevant = rng.normal(size=(40, 30)), rng.integers(0, 30, 40)
    once = score(rank_run(listed(scores), one_each(relevant)), KEYS, clusters=[f"c{q}" for q in range(40)])
    thrice = score(
        rank_run(listed(np.repeat(scores, 3, axis=0)), one_each(np.repeat(relevant, 3))), KEYS,
        clusters=[f"c{q // 3}" for q in range(120)],
    )  # fmt: skip
    alone = score(rank_run(listed(np.repeat(scores, 3, axis=0)), one_each(np.repeat(relevant, 3))), KEYS)
    for key in ("R@10", "MRR", "mAP@10", "nDCG@10"):
        assert thrice.metrics[key]["value"] == pytest.approx(once.metrics[key]["value"])
        np.testing.assert_allclose(thrice.metrics[key]["ci"], once.metrics[key]["ci"], atol=1e-6 * 100)
        width = np.ptp(thrice.metrics[key]["ci"])
        assert np.ptp(alone.metrics[key]["ci"]) < 0.8 * width
    assert thrice.n_clusters == 40


def test_an_exact_copy_of_the_relevant_item_costs_half_a_rank() -> None:
    run = pairs([("q", "a", 2.0), ("q", "copy", 2.0), ("q", "b", 1.0)])
    ranked = rank_run(run, pairs([("q", "a", 1)]))
    assert ranked.placed("mid").first == [1.5]
    assert ranked.tie_rate() == 100


def test_a_constant_scorer_is_at_chance() -> None:
    rng = np.random.default_rng(6)
    n = 99
    scores = score(
        rank_run(listed(np.full((50, n), -0.3)), one_each(rng.integers(0, n, 50)), gallery=n),
        ["R@10", "MRR", "MedR", "NMedR", "mAP@10", "nDCG@10"],
    )
    assert scores.metrics["MedR"]["value"] == scores.chance["MedR"] == 50
    assert scores.metrics["NMedR"]["value"] == pytest.approx(scores.chance["NMedR"])
    assert all(scores.metrics[key]["value"] == 0 for key in ("R@10", "mAP@10", "nDCG@10"))
    assert scores.metrics["MRR"]["value"] == pytest.approx(100 / 50)
    assert scores.metrics["MRR"]["value"] <= scores.chance["MRR"]
    assert scores.tie_rate == 100


def test_chance_is_what_random_orders_get() -> None:
    rng = np.random.default_rng(8)
    sizes = np.repeat([1, 2, 5], 1000)
    scores = rng.random((3000, 12))
    qrels = pairs([(f"q{q}", f"d{i}", 1) for q, size in enumerate(sizes) for i in range(size)])
    found = score(rank_run(listed(scores), qrels, gallery=12), ["R@1", "R@3", "R@40"])
    assert found.chance["R@1"] == pytest.approx(100 * np.mean(sizes / 12))
    for key in ("R@1", "R@3"):
        assert found.metrics[key]["value"] == pytest.approx(found.chance[key], abs=4 * 0.9)
    assert found.chance["R@40"] == pytest.approx(100)
    ones = score(rank_run(listed(scores), one_each(rng.integers(0, 12, 3000)), gallery=12), ["MRR", "MedR", "NMedR"])
    assert ones.metrics["MRR"]["value"] == pytest.approx(ones.chance["MRR"], abs=2.5)
    assert ones.metrics["MedR"]["value"] == pytest.approx(ones.chance["MedR"], abs=0.6)


# --- what a run does not say ------------------------------------------------------------------------------------------


def test_a_relevant_item_that_is_not_listed_is_a_miss() -> None:
    run = pairs([("q1", "a", 2), ("q1", "b", 1), ("q2", "a", 2), ("q2", "b", 1)])
    ranked = rank_run(run, pairs([("q1", "a", 1), ("q2", "z", 1)]))
    assert values(ranked, "R@2", "MRR", "mAP@2", "nDCG@2") == {"R@2": 50, "MRR": 50, "mAP@2": 50, "nDCG@2": 50}
    assert ranked.notes == (
        "1 of 2 queries have a relevant item that the run does not list: a miss, MRR 0 (the first is 'q2')",
    )


def test_a_metric_beyond_the_listed_items_has_no_value_unless_all_is_known() -> None:
    run = pairs([("q1", "a", 2), ("q1", "b", 1), ("q2", "a", 2), ("q2", "b", 1)])
    missed = pairs([("q1", "a", 1), ("q2", "z", 1)])
    found = score(rank_run(run, missed), ["R@2", "R@3", "mAP@3", "nDCG@3"]).metrics
    assert found["R@2"]["value"] == 50
    for key in ("R@3", "mAP@3", "nDCG@3"):
        assert found[key]["value"] is None
        assert found[key]["why_null"].startswith("1 queries list fewer than 3 items")
    # The whole gallery is listed, or nothing relevant is missing: then nothing is unknown.
    assert values(rank_run(run, pairs([("q1", "a", 1), ("q2", "b", 1)]), gallery=2), "R@3") == {"R@3": 100}
    assert values(rank_run(run, pairs([("q1", "a", 1), ("q2", "b", 1)])), "R@3", "mAP@9") == {"R@3": 100, "mAP@9": 75}
    # A hit is a hit, whatever else is relevant; average precision is not known.
    several = rank_run(run, pairs([("q1", "a", 1), ("q1", "z", 1), ("q2", "b", 1)]))
    assert values(several, "R@3", "mAP@3") == {"R@3": 100, "mAP@3": None}


def test_the_median_rank_is_not_known_where_most_miss() -> None:
    run = pairs([("q1", "a", 2), ("q2", "a", 2), ("q3", "a", 1)])
    found = score(rank_run(run, pairs([("q1", "a", 1), ("q2", "z", 1), ("q3", "z", 1)])), ["MedR"])
    assert found.metrics["MedR"] == {
        "value": None, "ci": None, "n": 3, "why_null": "the relevant item of 2 of 3 queries is not in the run"
    }  # fmt: skip


def test_an_interval_without_an_upper_end_is_told_and_bounded_by_the_gallery() -> None:
    n = 41
    run = pairs([(f"q{q}", "a", 1.0) for q in range(n)])
    qrels = pairs([(f"q{q}", "a" if q < 23 else "z", 1) for q in range(n)])
    found = score(rank_run(run, qrels), ["MedR"])
    assert found.metrics["MedR"]["value"] == 1
    assert found.metrics["MedR"]["ci"] is None
    assert any("no upper end" in note for note in found.notes)
    known = score(rank_run(run, qrels, gallery=500), ["MedR", "NMedR"])
    assert known.metrics["MedR"]["ci"] == [1, 500]
    assert known.metrics["NMedR"]["ci"] == [0.2, 100]


def test_queries_never_vanish() -> None:
    run = pairs([("q1", "a", 1.0), ("extra", "a", 1.0)])
    qrels = pairs([("q1", "a", 1), ("lost", "a", 1), ("none", "a", 0), ("none", "b", -2)])
    ranked = rank_run(run, qrels)
    assert ranked.query_ids == ("q1", "lost", "none")
    assert values(ranked, "R@1", "MRR", "mAP@1", "nDCG@1") == pytest.approx(dict.fromkeys(
        ("R@1", "MRR", "mAP@1", "nDCG@1"), 100 / 3))  # fmt: skip
    assert ranked.notes == (
        "2 of 3 queries have no line in the run and count as misses (the first is 'lost')",
        "1 queries of the run have no qrels and are not scored (the first is 'extra')",
        "1 of 3 queries have no relevant item and count as misses (the first is 'none')",
    )


def test_one_query_has_values_and_no_interval() -> None:
    found = score(rank_run(pairs([("q", "a", 1.0)]), pairs([("q", "a", 1)])), KEYS)
    for key in KEYS:
        assert found.metrics[key]["value"] is not None
        assert found.metrics[key]["ci"] is None


def test_nothing_relevant_at_all_is_all_misses() -> None:
    found = score(rank_run(pairs([("q", "a", 1.0)]), pairs([("q", "a", 0)])), KEYS).metrics
    assert [found[key]["value"] for key in KEYS] == [0, 0, 0, 0, 0, None]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([], "no metrics"),
        (["R@0"], "unknown metric 'R@0'"),
        (["MRRR"], "did you mean 'MRR'"),
        (["ndcg@10"], "did you mean 'nDCG@10'"),
        (["CLAP(ZA+)"], "known: R@1"),
    ],
)
def test_an_unknown_metric_is_refused(keys: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        score(rank_run(listed(np.eye(2)), one_each([0, 1])), keys)


def test_a_gallery_smaller_than_the_list_is_refused() -> None:
    with pytest.raises(UserError, match="--gallery 2: pairs and the qrels name 3 items"):
        rank_run(listed(np.eye(3)), one_each([0, 1, 2]), gallery=2)


def test_run_and_qrels_without_a_common_query_are_refused() -> None:
    with pytest.raises(UserError, match="no query of it is in pairs; their first ones are 'q1' and 'Q1'"):
        rank_run(pairs([("q1", "a", 1)]), pairs([("Q1", "a", 1)]))


def test_intervals_are_those_of_stats() -> None:
    rng = np.random.default_rng(9)
    scores, relevant = rng.normal(size=(60, 40)), rng.integers(0, 40, 60)
    clusters = rng.integers(0, 30, 60)
    ranks = relevant_ranks_from_scores(scores, relevant)
    found = score(rank_run(listed(scores), one_each(relevant)), ["MRR", "MedR"], clusters=clusters).metrics
    np.testing.assert_allclose(found["MRR"]["ci"], stats.bootstrap_ci(100 / ranks, clusters))
    np.testing.assert_allclose(found["MedR"]["ci"], stats.median_rank_ci(ranks, clusters))


# --- two systems ------------------------------------------------------------------------------------------------------


def test_a_system_does_not_differ_from_itself() -> None:
    ranked = rank_run(listed(np.random.default_rng(0).normal(size=(40, 20))), one_each(np.arange(40) % 20))
    for key, found in compare(ranked, ranked, KEYS).items():
        assert found["difference"] == 0
        assert (found["p"], found["p_holm"]) == ((None, None) if key == "MedR" else (1, 1))
        assert found["ci"] == (None if key == "MedR" else [0, 0])


def test_turning_the_systems_round_turns_the_signs() -> None:
    rng = np.random.default_rng(1)
    qrels = one_each(np.arange(40) % 20)
    a, b = (rank_run(listed(rng.normal(size=(40, 20))), qrels) for _ in range(2))
    ahead, back = compare(a, b, KEYS), compare(b, a, KEYS)
    for key in KEYS:
        assert ahead[key]["difference"] == -back[key]["difference"]
        assert ahead[key]["p"] == back[key]["p"]
        assert (ahead[key]["a"], ahead[key]["b"]) == (back[key]["b"], back[key]["a"])


def test_p_is_corrected_over_the_metrics() -> None:
    rng = np.random.default_rng(2)
    qrels = one_each(np.arange(60) % 20)
    better = rng.normal(size=(60, 20)) + 1.2 * np.eye(20)[np.arange(60) % 20]
    a, b = rank_run(listed(better), qrels), rank_run(listed(rng.normal(size=(60, 20))), qrels)
    found = compare(a, b, KEYS)
    tested = [key for key in KEYS if key != "MedR"]
    np.testing.assert_allclose(
        [found[key]["p_holm"] for key in tested], stats.holm([found[key]["p"] for key in tested])
    )
    assert found["MRR"]["p_holm"] < 0.05
    assert found["MRR"]["ci"][0] > 0
    assert found["MedR"]["why_null"] == "medians have no paired test: compare R@k or MRR"


def test_equal_systems_differ_in_one_of_twenty() -> None:
    """Two systems of one law, five queries a cluster that share their luck: the permutation of clusters keeps 5 %."""
    rng, trials, low = np.random.default_rng(11), 200, 0
    clusters = np.repeat(np.arange(24), 5)
    for _ in range(trials):
        ranks = [np.repeat(rng.integers(1, 21, 24), 5) + rng.random(120) * 0.1 for _ in range(2)]
        a, b = (
            Ranked(tuple(map(str, range(120))), np.arange(120), r, np.ones(120), np.ones(120), np.full(120, 20), 20)
            for r in ranks
        )
        low += compare(a, b, ["MRR"], clusters=clusters)["MRR"]["p"] <= 0.05
    assert 2 <= low <= 22  # 10 expected; beyond lies less than 1 in 1000


def test_where_one_system_has_no_value_there_is_no_difference() -> None:
    qrels = pairs([("q1", "a", 1), ("q2", "z", 1)])
    deep = rank_run(pairs([("q1", "a", 3), ("q1", "b", 2), ("q2", "b", 1), ("q2", "z", 0)]), qrels)
    shallow = rank_run(pairs([("q1", "a", 3), ("q2", "b", 1)]), qrels)
    found = compare(deep, shallow, ["R@2"])["R@2"]
    assert (found["a"], found["b"], found["difference"], found["p"]) == (100, None, None, None)
    assert "list at least 2" in found["why_null"]


def test_systems_of_other_queries_are_refused() -> None:
    a, b = rank_run(listed(np.eye(2)), one_each([0, 1])), rank_run(listed(np.eye(3)), one_each([0, 1, 2]))
    with pytest.raises(ValueError, match="different queries"):
        compare(a, b, ["MRR"])


# --- arrays -----------------------------------------------------------------------------------------------------------


def by_row(relevant) -> PairValues:
    return pairs([(str(q), str(i), 1) for q, i in enumerate(relevant)], ("query_index", "item_index"))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_arrays_rank_as_relevant_ranks_does(similarity: str) -> None:
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(50, 8)).astype(np.float32)
    gallery = rng.normal(size=(30, 8)).astype(np.float32) * rng.uniform(0.2, 5, (30, 1)).astype(np.float32)
    gallery[20:] = gallery[:10]
    relevant = rng.integers(0, 30, 50)
    ranked = rank_arrays(queries, gallery, judged(by_row(relevant), None, None, (50, 30)), similarity=similarity)
    q, g = (
        (x / np.linalg.norm(x, axis=1, keepdims=True) if similarity == "cosine" else x) for x in (queries, gallery)
    )  # fmt: skip
    for ties in ("mid", "min", "max"):
        np.testing.assert_array_equal(ranked.placed(ties).first, relevant_ranks(q, g, relevant, ties=ties))
    assert ranked.n_gallery == 30
    assert ranked.tie_rate() > 30


def test_cosine_is_blind_to_length_and_dot_is_not() -> None:
    queries, gallery = np.array([[1.0, 0.0]]), np.array([[1.0, 0.1], [9.0, 9.0]])
    relevant = judged(by_row([0]), None, None, (1, 2))
    assert rank_arrays(queries, gallery, relevant).placed().first == [1]
    assert rank_arrays(queries, gallery, relevant, similarity="dot").placed().first == [2]


def test_rows_are_named_by_number_or_by_id() -> None:
    given = pairs([("y", "b", 2)])
    found = judged(given, ["x", "y"], ["a", "b", "c"], (2, 3))
    assert (found.query.tolist(), found.item.tolist()) == ([1], [1])
    assert found.query_ids == ("x", "y")
    mixed = judged(pairs([("1", "b", 2)], ("query_index", "item_id")), ["x", "y"], ["a", "b", "c"], (2, 3))
    assert (mixed.query.tolist(), mixed.item.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    ("rows", "columns", "ids", "words"),
    [
        ([("0", "0", 1), ("2", "0", 1)], ("query_index", "item_index"), None, "pairs:2: query '2' is not among rows"),
        ([("0", "9", 1)], ("query_index", "item_index"), None, r"pairs:1: item '9' is not among rows 0\.\.2"),
        ([("00", "0", 1)], ("query_index", "item_index"), None, "query '00' is not among rows"),
        ([("x", "0", 1)], ("query_id", "item_id"), None, "query 'x' is not among rows"),
        ([("z", "0", 1)], ("query_id", "item_id"), ["x", "y"], r"query 'z' is not among the ids given \(--query-ids\)"),
        ([("x", "0", 1)], ("query_id", "item_id"), ["x"], "1 query ids for 2 vectors"),
    ],
)  # fmt: skip
def test_a_pair_of_no_row_is_refused(rows, columns, ids, words: str) -> None:
    with pytest.raises(UserError, match=words):
        judged(pairs(rows, columns), ids, None, (2, 3))


@pytest.mark.parametrize(
    ("queries", "gallery", "words"),
    [
        (np.array([[1.0, np.nan]]), np.ones((2, 2)), "queries: 1 of 2 entries are NaN or infinite, the first at .0, 1"),
        (np.ones((1, 2)), np.zeros((2, 2)), "gallery: 2 vectors are zero"),
        (np.ones((1, 3)), np.ones((2, 2)), "rows of 3 and 2 entries"),
        (np.ones((2, 2)), np.ones((2, 2)), "2 queries and 2 items, but relevant is about others"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(queries, gallery, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rank_arrays(queries, gallery, judged(by_row([0]), None, None, (1, 2)))


def test_set_metrics_are_the_functions_with_jackknife_intervals() -> None:
    from bench.metrics.diversity import vendi_score
    from bench.metrics.frechet import frechet_distance
    from bench.metrics.kernel import kernel_audio_distance

    rng = np.random.default_rng(0)
    x, ref = rng.normal(size=(120, 4)), rng.normal(size=(200, 4)) + 0.3
    found = score_set(x, ref, set_metrics()).metrics
    assert found["FAD(ref)"]["value"] == pytest.approx(frechet_distance(x, ref))
    assert found["KAD(ref)"]["value"] == pytest.approx(kernel_audio_distance(x, ref))
    assert found["Vendi"]["value"] == pytest.approx(vendi_score(x))
    np.testing.assert_allclose(found["Vendi"]["ci"], stats.jackknife_ci(vendi_score, x))
    assert all(entry["ci"][0] <= entry["value"] <= entry["ci"][1] for entry in found.values())


def test_set_metrics_without_a_reference_or_with_too_few_say_why() -> None:
    alone = score_set(np.random.default_rng(0).normal(size=(30, 2))).metrics
    assert alone["FAD(ref)"]["why_null"] == "it needs a reference set (--reference)"
    assert alone["Vendi"]["value"] > 1
    one = score_set(np.ones((1, 2)), np.random.default_rng(0).normal(size=(30, 2)), ["FAD(ref)"]).metrics
    assert "2 or more" in one["FAD(ref)"]["why_null"]


def test_small_sets_are_told() -> None:
    rng = np.random.default_rng(0)
    found = score_set(rng.normal(size=(40, 60)), rng.normal(size=(80, 60)), ["FAD(ref)"])
    assert len(found.notes) == 1
    assert "40 vectors in 60 dimensions" in found.notes[0]


def test_defaults_need_no_more_than_is_known() -> None:
    assert "NMedR" not in default_metrics(None)
    assert "NMedR" in default_metrics(100)


def test_arrays_and_runs_agree_with_several_relevant_items_and_queries_without() -> None:
    rng = np.random.default_rng(3)
    queries, gallery = rng.normal(size=(30, 4)), rng.normal(size=(25, 4))
    gallery[20:] = gallery[:5]
    rows = [(str(q), str(i), int(rng.integers(0, 3))) for q in range(1, 30) for i in rng.choice(25, 4, False)]
    relevant = judged(pairs([*rows, ("0", "0", 0)], ("query_index", "item_index")), None, None, (30, 25))
    ranked = rank_arrays(queries, gallery, relevant, similarity="dot")
    run = pairs([(str(q), str(i), s) for q, row in enumerate(queries) for i, s in enumerate((gallery * row).sum(1))])
    from_run = rank_run(run, relevant, gallery=25)
    assert score(ranked) == score(from_run)
    assert any("have no relevant item" in note for note in ranked.notes)
    nothing = judged(pairs([("0", "0", 0)], ("query_index", "item_index")), None, None, (30, 25))
    assert values(rank_arrays(queries, gallery, nothing), "R@1", "MRR") == {"R@1": 0, "MRR": 0}
