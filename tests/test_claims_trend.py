"""Claims of a correlation across cells, and claims about what does not exist."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bench.claims import CellData, judge, judge_claims
from bench.errors import NotApplicable, UserError
from bench.metrics.measured import Metric
from bench.plan import Cell

HITS = Metric("R@10", r"R@10", "%", True, (None, None), "", per_query=lambda m, k: m)
FAR = Metric("FAD(train)", r"FAD\(train\)", "d", False, (0, None), "", statistic=lambda m, k, rows: m[rows].mean())
METRICS = {"R@10": HITS, "FAD(train)": FAR}
SETS = ("pc", "sd", "mc", "mix-a", "mix-b", "mix-c")


def claim(**keys):
    given = {
        "id": "c", "text": "t", "source": "s", "metric": "R@10", "a": {}, "b": None, "at": None, "expect": "a < 0",
        "compare": "difference", "margin": 0.0, "requires": [], "predictor": "FAD(train)",
        "over": [{"dataset": name} for name in SETS],
    }  # fmt: skip
    return SimpleNamespace(**{**given, **keys})


def cell(dataset, hits, distances, **reasons):
    n = len(hits)
    frame = pd.DataFrame({"R@10": hits, "cluster_id": [f"{dataset}{i // 2}" for i in range(n)]})
    made = Cell(
        key=dataset, dataset=dataset, dataset_name=dataset, space="s", retriever="gdr", modifier="none", options={},
        strength=None, guidance=None, is_default=True, with_spread=False, seed=0, replicate=False,
    )  # fmt: skip
    return CellData(made, frame, 700, lambda: np.asarray(distances), reasons)


def planted(slope, rng, n=300):
    """Six sets at distances 0 to 1 whose recall falls by `slope` from the nearest to the farthest."""
    made = []
    for name, distance in zip(SETS, np.linspace(0, 1, len(SETS)), strict=True):
        rate = 0.6 - slope * distance
        hits = rate + 0.4 * rng.normal(size=n)
        made.append(cell(name, hits, distance + 0.3 * rng.normal(size=n)))
    return made


def verdicts(slope, runs=60):
    rng = np.random.default_rng(int(100 * slope) + 100)
    asked = claim()
    return [judge_claims([asked], planted(slope, rng), "gdr", METRICS.__getitem__)[0]["verdict"] for _ in range(runs)]


def test_the_correlation_is_that_of_the_cells():
    distances, recalls = np.array([0.0, 1.0, 2.0, 4.0]), np.array([9.0, 4.0, 5.0, 1.0])
    cells = [cell(name, np.full(40, r), np.full(40, d)) for name, d, r in zip(SETS, distances, recalls, strict=False)]
    estimate = judge(claim(over=[{"dataset": d} for d in SETS[:4]]), cells, "gdr", METRICS.__getitem__)
    assert estimate.value == pytest.approx(np.corrcoef(distances, recalls)[0, 1])
    assert estimate.se == pytest.approx(0, abs=1e-9)


def test_a_planted_trend_is_supported_and_a_planted_contrary_one_contradicted():
    assert verdicts(0.3).count("supported") >= 55
    assert verdicts(-0.3).count("contradicted") >= 55


def test_no_trend_is_rarely_called_one():
    # Six cells without a trend: what is left is the chance that noise lines them up, in either direction.
    found = verdicts(0.0, runs=120)
    assert found.count("supported") <= 12
    assert found.count("contradicted") <= 12


def test_a_correlation_over_few_cells_is_refused():
    cells = planted(0.3, np.random.default_rng(0))
    with pytest.raises(UserError, match="over 3 cells"):
        judge(claim(over=[{"dataset": name} for name in SETS[:3]]), cells, "gdr", METRICS.__getitem__)


def test_a_claim_about_a_metric_that_a_cell_cannot_have_is_inconclusive_and_says_why():
    cells = [cell("sd", np.ones(40), np.ones(40), **{"R@10": "n/a: mini-mule has no text tower"})]
    asked = claim(predictor=None, over=[], a={"dataset": "sd"}, expect="a > 0.1")
    with pytest.raises(NotApplicable):
        judge(asked, cells, "gdr", METRICS.__getitem__)
    other = claim(id="d", predictor=None, over=[], a={"dataset": "pc"}, expect="a > 0.1")
    hits = 1.0 + 0.1 * np.random.default_rng(0).normal(size=40)
    first, second = judge_claims([asked, other], [*cells, cell("pc", hits, hits)], "gdr", METRICS.__getitem__)
    assert first["verdict"] == "inconclusive"
    assert "no text tower" in first["why"]
    assert first["effect"] is None
    assert (second["verdict"], second["why"]) == ("supported", None)
