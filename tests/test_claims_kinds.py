"""Claims of equivalence, of gains, and against several rivals with queries of their own: planted effects."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bench.claims import Arm, CellData, family_frontier, judge, judge_claims
from bench.errors import UserError
from bench.metrics.measured import Metric
from bench.plan import Cell

MARGIN = 0.05
RUNS = 200
ALARM = 13  # of 200: more has a chance below 1 in 1000 where each has a chance of 2.5 %
MISSED = 40
HITS = Metric("R@10", r"R@10", "%", True, (None, None), "", per_query=lambda m, k: m)


def claim(**keys):
    given = {
        "id": "c", "text": "t", "source": "s", "metric": "R@10", "a": {"retriever": "a"}, "b": [{"retriever": "b"}],
        "at": None, "expect": "a > b", "compare": "difference", "margin": MARGIN, "requires": [],
        "predictor": None, "over": [],
    }  # fmt: skip
    return SimpleNamespace(**{**given, **keys})


def arm(retriever, values, dataset="sd"):
    n = len(values)
    frame = pd.DataFrame({"R@10": values, "cluster_id": np.arange(n) // 2 + 10_000 * sum(map(ord, dataset))})
    made = Cell(
        key=f"{dataset}{retriever}", dataset=dataset, dataset_name=dataset, space="s", retriever=retriever,
        modifier="none", options={}, strength=None, guidance=None, is_default=True, with_spread=False, seed=0,
        replicate=False,
    )  # fmt: skip
    return CellData(made, frame, 700, lambda: None)


def noise(rng, n=600, scale=0.24):
    """Half of it is shared by the two captions of a track."""
    return scale * (np.repeat(rng.normal(size=n // 2), 2) + rng.normal(size=n)) / np.sqrt(2)


def equal(effect, rng):
    return claim(expect="a = b"), [arm("a", 0.3 + effect + noise(rng)), arm("b", np.full(600, 0.3))]


def gain(effect, rng):
    shared = noise(rng)
    sides = {
        "a": {"retriever": "a", "dataset": "sd", "minus": {"retriever": "b", "dataset": "sd"}},
        "b": [{"retriever": "a", "dataset": "pc", "minus": {"retriever": "b", "dataset": "pc"}}],
    }
    cells = [
        arm("a", 0.5 + effect + shared + noise(rng, scale=0.2)), arm("b", 0.4 + shared),
        arm("a", 0.7 + noise(rng, scale=0.1), "pc"), arm("b", np.full(600, 0.6), "pc"),
    ]  # fmt: skip
    return claim(**sides), cells


def best_of_unpaired(effect, rng):
    sides = {"a": {"dataset": "sd"}, "b": [{"dataset": "pc"}, {"dataset": "mc"}]}
    cells = [arm("gdr", 0.4 + effect + noise(rng)), arm("gdr", 0.4 + noise(rng, scale=0.1), "pc")]
    return claim(**sides), [*cells, arm("gdr", 0.1 + noise(rng), "mc")]


def counts(kind, margins, seed):
    rng = np.random.default_rng(seed)
    found = {"supported": 0, "contradicted": 0, "inconclusive": 0}
    for _ in range(RUNS):
        asked, cells = kind(margins * MARGIN, rng)
        found[judge_claims([asked], cells, "gdr", lambda key: HITS)[0]["verdict"]] += 1
    return found


@pytest.mark.parametrize("kind", [gain, best_of_unpaired], ids=lambda kind: kind.__name__)
def test_error_rates_of_one_sided_claims_are_nominal(kind):
    at = {margins: counts(kind, margins, seed=int(10 * margins)) for margins in (0, 1, 2)}
    assert at[0]["supported"] <= ALARM
    assert at[0]["contradicted"] >= RUNS - MISSED
    assert at[1]["supported"] <= ALARM
    assert at[1]["contradicted"] <= ALARM
    assert at[2]["supported"] >= RUNS - MISSED


def test_error_rates_of_equivalence_are_nominal():
    at = {margins: counts(equal, margins, seed=int(10 * margins) + 50) for margins in (0, 1, -1, 2, -2)}
    assert at[0]["supported"] >= RUNS - MISSED
    assert at[0]["contradicted"] == 0
    for end in (1, -1):
        assert at[end]["supported"] <= ALARM
        assert at[end]["contradicted"] <= ALARM
        assert at[2 * end]["contradicted"] >= RUNS - MISSED


def test_an_equivalence_that_is_not_known_well_is_inconclusive():
    rng = np.random.default_rng(0)
    cells = [arm("a", 0.3 + noise(rng, n=20, scale=0.3)), arm("b", np.full(20, 0.3))]
    assert judge_claims([claim(expect="a = b")], cells, "gdr", lambda key: HITS)[0]["verdict"] == "inconclusive"


def test_minus_takes_off_query_by_query():
    values = np.linspace(0, 1, 600)
    sides = {"a": {"retriever": "a", "minus": {"retriever": "b"}}, "b": None, "expect": "a > 0.1"}
    estimate = judge(claim(**sides), [arm("a", values + 0.25), arm("b", values)], "gdr", lambda key: HITS)
    assert estimate.value == pytest.approx(0.15)
    assert estimate.se == pytest.approx(0, abs=1e-12)


def test_minus_of_another_dataset_is_refused():
    sides = {"a": {"retriever": "a", "dataset": "sd", "minus": {"retriever": "b", "dataset": "pc"}}, "b": None}
    cells = [arm("a", np.ones(20)), arm("b", np.ones(20), "pc")]
    with pytest.raises(UserError, match="another dataset"):
        judge(claim(**sides, expect="a > 0.1"), cells, "gdr", lambda key: HITS)


def test_the_rival_that_a_beats_least_decides():
    cells = [arm("gdr", np.full(600, 0.5)), arm("gdr", np.full(600, 0.45), "pc"), arm("gdr", np.full(600, 0.1), "mc")]
    estimate = judge(claim(a={"dataset": "sd"}, b=[{"dataset": "mc"}, {"dataset": "pc"}]), cells, "gdr", lambda k: HITS)
    assert estimate.value == pytest.approx(0.05)
    worst = claim(a={"dataset": "mc"}, b=[{"dataset": "sd"}, {"dataset": "pc"}], expect="a < b")
    assert judge(worst, cells, "gdr", lambda k: HITS).value == pytest.approx(0.1 - 0.45)


def test_rivals_with_and_without_the_queries_of_a_do_not_mix():
    cells = [arm("gdr", np.ones(20)), arm("b", np.ones(20)), arm("gdr", np.ones(20), "pc")]
    asked = claim(a={"dataset": "sd"}, b=[{"retriever": "b", "dataset": "sd"}, {"dataset": "pc"}])
    with pytest.raises(UserError, match="mixes"):
        judge(asked, cells, "gdr", lambda key: HITS)


# --- the frontier of a refinement: what is gained against how near the query stays to the first one -------------------


def refined(strength, gained, closeness, modifier="inversion", before=0.2, n=60):
    frame = pd.DataFrame(
        {"gained@10": np.full(n, gained), "wanted_share@10": np.full(n, before + gained), "CLAP(gen+)": closeness}
    )
    frame["cluster_id"] = np.arange(n)
    made = Cell(
        key=f"{modifier}{strength}", dataset="sd", dataset_name="sd", space="s", retriever="gdr", modifier=modifier,
        options={}, strength=strength, guidance=None, is_default=modifier == "none", with_spread=False, seed=0,
        replicate=False,
    )  # fmt: skip
    return CellData(made, frame, 700, lambda: None)


def test_a_refinements_frontier_is_closeness_over_the_share_gained_of_what_was_left():
    cells = [refined(None, 0.0, 1.0, "none"), refined(0.4, 0.4, 0.8), refined(0.8, 0.8, 0.5)]
    drawn = family_frontier(Arm(tuple(cells[1:]), cells[0]))
    assert [round(point["removal"], 6) for point in drawn["points"]] == [0.0, 0.5, 1.0]
    assert [point["kept"] for point in drawn["points"]] == pytest.approx([1.0, 0.8, 0.5])
    assert drawn["area"]["value"] == pytest.approx(0.5 * 0.9 + 0.5 * 0.65)


def test_what_gains_as_much_and_stays_nearer_dominates():
    cells = [refined(None, 0.0, 1.0, "none")]
    for strength, gained in ((0.4, 0.4), (0.8, 0.8)):
        cells += [refined(strength, gained, 1 - 0.2 * gained), refined(strength, gained, 1 - 0.6 * gained, "slerp")]
    asked = claim(metric="frontier_area", a={"modifier": "inversion"}, b=[{"modifier": "slerp"}], margin=0.02)
    assert judge_claims([asked], cells, "gdr", lambda key: HITS)[0]["verdict"] == "supported"
