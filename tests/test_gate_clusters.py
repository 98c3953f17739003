"""The gate's numbers on runs: clustered by track, for all tests together, for the cells that belong to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtrit

from bench import stats
from bench.comparison import compare_runs, one_run
from bench.gate import GateResult, gate, load_baseline, save_baseline
from bench.gate.curve import Population, operating_curve
from bench.gate.decide import ALPHA, POWER, decide
from bench.gate.losses import stake, tail
from bench.gate.output import as_markdown

N, EACH = 300, 5
TRACKS = np.arange(N) // EACH


def held(run: Path, candidate: Path, **options) -> GateResult:
    file = run.parent / "baseline.json"
    save_baseline(one_run(run), file, metrics=options.pop("saved", None), every=True)
    return gate(load_baseline(file), one_run(candidate), **options)


@pytest.fixture
def clustered(write_run: Callable, tmp_path: Path) -> tuple[GateResult, np.ndarray, np.ndarray]:
    """A gate of ranks that hang together within tracks of five queries, and the ranks before and after."""
    rng = np.random.default_rng(0)
    skill = rng.uniform(0, 5, N // EACH)[TRACKS]
    before = np.ceil(np.exp(np.clip(skill + rng.normal(0, 0.3, N), 0, 6)))
    after = np.minimum(500, np.ceil(before * np.exp(rng.normal(0.1, 0.5, N // EACH))[TRACKS]))
    names = [f"t{track}" for track in TRACKS]
    runs = [write_run(tmp_path / str(i), [{"ranks": r, "cluster_id": names}]) for i, r in enumerate((before, after))]
    return held(*runs), before, after


def values(key: str, ranks: np.ndarray) -> np.ndarray:
    return {"R@10": 100.0 * (ranks <= 10), "MRR": 100 / ranks, "logRank": np.log2(ranks)}[key]


def test_ends_and_margins_are_clustered_and_for_all_tests(
    clustered: tuple[GateResult, np.ndarray, np.ndarray],
) -> None:
    result, before, after = clustered
    assert [one.metric for one in result.judged] == ["R@10", "MRR", "logRank"]
    for one in result.judged:
        sides = [values(one.metric, ranks) for ranks in (before, after)]
        gain = (sides[1] - sides[0]) * (-1 if one.metric == "logRank" else 1)
        expected, own = stats.two_way_clustered(gain, TRACKS), stats.two_way_clustered(sides[0], TRACKS)
        alone = stats.two_way_clustered(gain, np.arange(N))
        assert expected.se > 1.3 * alone.se  # else this test would see no clusters
        assert (one.change.value, one.change.se, one.change.df) == pytest.approx(expected)
        assert one.n_clusters == N // EACH
        assert one.margin == pytest.approx(stats.minimum_detectable_effect(own.se, own.df, POWER, ALPHA / 3))
        high = -float(stdtrit(expected.df, one.decision.level_hi))
        assert one.decision.hi == pytest.approx(expected.value + high * expected.se)
        low = -float(stdtrit(expected.df, one.decision.level_lo))
        at_stake = stake(one.metric, one.info, sides[0], sides[1], 500, (None, None))
        rare = tail(gain, at_stake, TRACKS)
        assert rare.one > 1.5 * tail(gain, at_stake, np.arange(N)).one
        reach = max(
            np.hypot(low * expected.se, low**2 * rare.one), low * expected.se + (2 * low**2 + 1) / 6 * rare.skew
        )
        assert one.decision.lo == pytest.approx(expected.value - reach)


def test_crossed_queries_are_clustered_both_ways(write_run: Callable, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = {"cluster_id": [f"t{i % 20}" for i in range(N)], "negative_id": [f"n{i // 20}" for i in range(N)]}
    before = rng.integers(1, 200, N).astype(float)
    after = before * rng.choice([1, 2], 20)[np.arange(N) % 20]
    runs = [write_run(tmp_path / str(i), [{"ranks": r, **labels}]) for i, r in enumerate((before, after))]
    (one,) = held(*runs, saved=["logRank"]).judged
    expected = stats.two_way_clustered(np.log2(before / after), labels["negative_id"], labels["cluster_id"])
    assert (one.change.value, one.change.se, one.change.df) == pytest.approx(expected)
    assert one.n_clusters == N // 20


def test_the_same_ranks_are_the_same_retrieval(write_run: Callable, tmp_path: Path) -> None:
    """An unchanged retriever passes any margin; another one without a hit, as the baseline has none, does not."""
    ranks = np.arange(60) + 50.0
    folders = [write_run(tmp_path / str(i), [{"ranks": r}]) for i, r in enumerate((ranks, ranks, ranks[::-1]))]
    options = {"margins": {"R@10": 0.1}, "saved": ["R@10"]}
    (same,), (other,) = (held(folders[0], folder, **dict(options)).judged for folder in folders[1:])
    assert (same.decision.lo, same.decision.verdict) == (0.0, "none")
    assert (other.change.value, other.change.se, other.decision.verdict) == (0.0, 0.0, "inconclusive")
    assert other.decision.lo < -5


def test_the_queries_that_would_decide_are_at_the_level_that_failed() -> None:
    """Of two tests beyond the margin on either side, each is short of its own family's level."""
    sure, short = stats.Estimate(9.0, 0.1, 60), stats.Estimate(-0.2, 0.45, 60)
    found = decide([sure, short], [1.0, 1.0], [100, 100])[1]
    assert (found.verdict, found.level_lo, found.level_hi) == ("inconclusive", ALPHA / 2, ALPHA / 4)
    unit = stats.minimum_detectable_effect(1.0, 60, POWER, ALPHA)
    assert found.queries == int(np.ceil(100 * (unit * 0.45 / 0.8) ** 2))
    lost, close = stats.Estimate(-9.0, 0.1, 60), stats.Estimate(-1.8, 0.45, 60)
    found = decide([lost, close], [1.0, 1.0], [100, 100])[1]
    assert (found.verdict, found.level_lo, found.level_hi) == ("inconclusive", ALPHA / 4, ALPHA / 2)
    assert found.queries == int(np.ceil(100 * (unit * 0.45 / 0.8) ** 2))


def test_a_modified_cell_is_held_against_its_own_strength(write_run: Callable, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    near, far = (rng.integers(1, top, N).astype(float) for top in (20, 400))

    def cells(weak: np.ndarray, strong: np.ndarray) -> list[dict]:
        return [
            {"ranks": ranks, "modifier": "slerp", "params": {"strength": strength, "samples": 2}}
            for strength, ranks in ((0.2, weak), (0.6, strong))
        ]

    runs = [write_run(tmp_path / name, cells(*pair)) for name, pair in (("a", (near, far)), ("b", (near, near)))]
    same = held(runs[0], runs[0])
    assert same.exit_code == 0
    assert len({one.label for one in same.judged}) == 2
    found = {one.label: one.change.value for one in held(*runs, saved=["R@10"]).judged}
    assert sorted(found.values()) == [0.0, pytest.approx(100 * ((near <= 10).mean() - (far <= 10).mean()))]


def test_notes_are_escaped_in_markdown(write_run: Callable, tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", [{"ranks": np.arange(N) + 1.0}])
    result = held(run, run, renamed={})
    text = as_markdown(replace(result, notes=("my<script>|`x` stands for the baseline's *y*",)))
    assert "- my\\<script>\\|\\`x\\` stands for the baseline's \\*y\\*" in text


def test_a_small_margin_in_hits_is_told(write_run: Callable, tmp_path: Path) -> None:
    ranks = np.where(np.arange(N) % 3, 90.0, 1.0)
    run = write_run(tmp_path / "r", [{"ranks": ranks}])
    for margin, told in ((3.0, True), (3.5, False)):  # 9 queries of 300, and 10.5
        text = as_markdown(held(run, run, margins={"R@10": margin}, saved=["R@10"]))
        assert ("less than 10 queries with a hit (R@10 of sd, gdr-clap, unmodified, seed 0)" in text) is told


def test_the_curve_lets_the_two_systems_differ() -> None:
    """Without the twin the candidate at no loss would be the baseline itself, and would always pass."""
    rng = np.random.default_rng(0)
    ranks = np.ceil(np.exp(rng.uniform(0, 6, 300)))
    apart = Population(ranks, rng.permutation(ranks), np.arange(300) // 2, 500)
    alike = Population(ranks, ranks, np.arange(300) // 2, 500)
    (one, *_), (two, *_) = (operating_curve(each, ["R@10"], [0.0], 100) for each in (apart, alike))
    assert two.rates["none"] == 1.0
    assert 0.1 < one.rates["none"] < 0.9
    assert one.rates["regression"] <= 0.05


def test_normalised_recall_is_clustered(write_run: Callable, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    before = rng.integers(1, 40, N).astype(float)
    after = np.maximum(1, before - 25 * (rng.random(N // EACH) < 0.3)[TRACKS])
    info = {"R@10(norm)": {"higher_is_better": True, "unit": "%", "range": [None, None], "level": "query"}}
    runs = []
    for name, ranks in (("a", before), ("b", after)):
        columns = {"R@10(norm)": 100.0 * (ranks <= 10), "oracleR@10": np.full(N, 80.0)}
        cell = {"ranks": ranks, "columns": columns, "cluster_id": [f"t{track}" for track in TRACKS]}
        runs.append(write_run(tmp_path / name, [cell], metric_info=info))
    (cell,) = compare_runs(*runs, metrics=["R@10(norm)"]).cells
    (found,) = cell.differences
    gain = (100.0 * (after <= 10) - 100.0 * (before <= 10)) * 100 / (80 - 100 * 10 / 500)
    expected, alone = stats.two_way_clustered(gain, TRACKS), stats.two_way_clustered(gain, np.arange(N))
    assert expected.se > 1.3 * alone.se
    assert (found.lo, found.hi) == pytest.approx(tuple(stats.interval(expected)))
