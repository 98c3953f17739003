"""Paired comparison of two runs, or of two retrievers of one: the numbers, what is matched, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bench
from bench import stats
from bench.comparison import Comparison, compare_runs
from bench.comparison.output import as_csv, as_json, as_markdown
from bench.errors import UserError

N = 120


@pytest.fixture
def ranks() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, N).astype(float)


@pytest.fixture
def two(write_run: Callable, tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Two runs of one cell each."""

    def write(a: dict, b: dict, **summary) -> tuple[Path, Path]:
        return write_run(tmp_path / "a", [a], **summary), write_run(tmp_path / "b", [b], **summary)

    return write


def found(comparison: Comparison, metric: str):
    (cell,) = comparison.cells
    return next(d for d in cell.differences if d.metric == metric)


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_hand_numbers(two: Callable) -> None:
    done = compare_runs(*two({"ranks": [1, 2, 16, 64]}, {"ranks": [2, 2, 4, 128]}))
    recall, log = found(done, "R@10"), found(done, "logRank")
    assert (recall.a.value, recall.b.value, recall.difference) == (50, 75, 25)
    assert recall.counts == (1, 3, 0)
    assert (log.a.value, log.b.value, log.difference) == (11 / 4, 11 / 4, 0)
    assert log.counts == (1, 1, 2)
    assert found(done, "MRR").difference == pytest.approx(100 * (0.5 - 1 + 0.25 - 1 / 16 + 1 / 128 - 1 / 64) / 4)
    assert found(done, "MedR").difference == 3 - 9
    assert found(done, "MedR").p is None


def test_the_interval_and_tests_are_those_of_the_joined_differences(two: Callable, ranks: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    tracks = [f"t{i // 3}" for i in range(N)]
    after = np.maximum(1, ranks + rng.integers(-60, 20, N))
    order = rng.permutation(N)
    ids = np.array([f"q{i}" for i in range(N)])
    one = {"ranks": ranks, "query_id": ids, "cluster_id": tracks}
    # Rows of another order: queries are joined by their ids.
    other = {"ranks": after[order], "query_id": ids[order], "cluster_id": np.array(tracks)[order]}
    mrr = found(compare_runs(*two(one, other)), "MRR")
    before, later = 100 / ranks, 100 / after
    expected = stats.two_way_clustered(later - before, tracks)
    assert mrr.difference == pytest.approx(expected.value)
    assert (mrr.lo, mrr.hi) == pytest.approx(tuple(stats.interval(expected)))
    assert mrr.p == stats.paired_permutation(later, before, tracks)
    assert mrr.detectable == pytest.approx(stats.minimum_detectable_effect(expected.se, expected.df))


def test_the_other_way_round_turns_the_signs(two: Callable, ranks: np.ndarray) -> None:
    a, b = two({"ranks": ranks}, {"ranks": np.maximum(1, ranks // 2)})
    there, back = compare_runs(a, b), compare_runs(b, a)
    for metric in ("R@10", "MRR", "logRank"):
        one, other = found(there, metric), found(back, metric)
        assert one.difference == pytest.approx(-other.difference)
        assert (one.lo, one.hi) == pytest.approx((-other.hi, -other.lo))
        assert one.p == other.p
        assert one.counts == other.counts[::-1]


def test_repeated_queries_of_a_track_add_nothing(write_run: Callable, tmp_path: Path, ranks: np.ndarray) -> None:
    after = np.maximum(1, ranks + np.random.default_rng(2).integers(-90, 60, N))
    width = []
    for times in (1, 5):
        tracks = np.repeat([f"t{i}" for i in range(N)], times)
        cells = [{"ranks": np.repeat(r, times), "cluster_id": tracks} for r in (ranks, after)]
        runs = [write_run(tmp_path / f"{times}-{place}", [cell]) for place, cell in enumerate(cells)]
        log = found(compare_runs(*runs), "logRank")
        width.append(log.hi - log.lo)
    assert width[1] == pytest.approx(width[0])


def test_queries_crossed_with_negatives_are_clustered_both_ways(two: Callable, ranks: np.ndarray) -> None:
    labels = {
        "cluster_id": [f"t{i % 12}" for i in range(N)], "negative_id": [f"n{i // 12}" for i in range(N)],
        "target_set": ["lacks" if i % 4 else "has" for i in range(N)],
    }  # fmt: skip
    after = np.maximum(1, ranks - 30)
    done = compare_runs(*two({"ranks": ranks, **labels}, {"ranks": after, **labels}))
    recall = found(done, "R@10")
    counts = np.arange(N) % 4 > 0
    difference = np.where(counts, 100.0 * (after <= 10) - 100.0 * (ranks <= 10), np.nan)
    expected = stats.two_way_clustered(difference, labels["negative_id"], labels["cluster_id"])
    assert (recall.lo, recall.hi) == pytest.approx(tuple(stats.interval(expected)))
    assert recall.p == pytest.approx(stats.p_value(expected))
    # A track that has what is negated should not be found: its rank does not count.
    assert found(done, "logRank").n == recall.n == int(counts.sum())


def test_normalised_recall_is_a_function_of_two_means(two: Callable, ranks: np.ndarray) -> None:
    after = np.maximum(1, ranks - 40)
    cells = []
    for r in (ranks, after):
        hits = 100.0 * (r <= 10)
        cells.append({"ranks": r, "columns": {"R@10(norm)": hits, "oracleR@10": np.full(N, 80.0)}})
    info = {"R@10(norm)": {"higher_is_better": True, "unit": "%", "range": [None, None], "level": "query"}}
    done = compare_runs(*two(*cells, metric_info=info))
    plain, normalised = found(done, "R@10"), found(done, "R@10(norm)")
    scale = 100 / (80 - 100 * 10 / 500)
    assert normalised.difference == pytest.approx(scale * plain.difference)
    assert normalised.hi == pytest.approx(scale * plain.hi)


def test_holm_counts_every_test_of_the_comparison(write_run: Callable, tmp_path: Path, ranks: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    names = ("one", "two", "three")
    runs = []
    for side in "ab":
        cells = [{"ranks": ranks, "retriever": "same"}]
        cells += [{"ranks": np.maximum(1, ranks + rng.integers(-30, 20, N)), "retriever": name} for name in names]
        runs.append(write_run(tmp_path / side, [{**cell, "key": f"k{i}"} for i, cell in enumerate(cells)]))
    done = compare_runs(*runs)
    tested = [d for cell in done.cells for d in cell.differences if d.p is not None]
    assert len(tested) == done.n_tests == len(names) * 3  # the cell that is the same in both is no test
    assert [d.p_holm for d in tested] == pytest.approx(list(stats.holm([d.p for d in tested])))
    assert [cell.identical for cell in done.cells] == [True, False, False, False]


def test_a_metric_of_a_set_has_no_test(two: Callable, ranks: np.ndarray) -> None:
    info = {"FAD(jam)": {"higher_is_better": False, "unit": "distance", "range": [0, None], "level": "set"}}

    def entry(value: float, n: int) -> dict:
        return {"metrics": {"FAD(jam)": {"value": value, "ci": [value - 1, value + 1], "n": n, "why_null": None}}}

    done = compare_runs(*two({"ranks": ranks, **entry(4, N)}, {"ranks": ranks + 1, **entry(6, N)}, metric_info=info))
    fad = found(done, "FAD(jam)")
    assert (fad.difference, fad.lo, fad.p) == (2, None, None)
    assert (fad.a.lo, fad.b.hi) == (3, 7)
    assert "metric of a set" in fad.why


def test_sets_of_different_size_are_not_subtracted(two: Callable, ranks: np.ndarray) -> None:
    info = {"FAD(jam)": {"higher_is_better": False, "unit": "distance", "range": [0, None], "level": "set"}}
    entries = [{"FAD(jam)": {"value": 4.0, "ci": None, "n": n, "why_null": None}} for n in (N, N // 2)]
    done = compare_runs(
        *two({"ranks": ranks, "metrics": entries[0]}, {"ranks": ranks, "metrics": entries[1]}, metric_info=info)
    )
    fad = found(done, "FAD(jam)")
    assert fad.difference is None
    assert f"{N} and {N // 2}" in fad.why


def test_the_most_changed_queries_come_first(two: Callable) -> None:
    (cell,) = compare_runs(*two({"ranks": [1, 100, 7, 3, 9]}, {"ranks": [2, 50, 1, 3, 9]}), top=2).cells
    assert [(c.query_id, c.rank_a, c.rank_b) for c in cell.changes] == [("q0002", 7, 1), ("q0000", 1, 2)]
    assert cell.n_changed == 3


# --- what is matched --------------------------------------------------------------------------------------------------


def test_only_shared_queries_count(two: Callable, ranks: np.ndarray) -> None:
    half = {"ranks": ranks[::2] + 1, "query_id": [f"q{i:04d}" for i in range(0, N, 2)]}
    done = compare_runs(*two({"ranks": ranks}, half))
    assert done.cells[0].n == N // 2
    assert found(done, "logRank").a.value == pytest.approx(np.log2(ranks[::2]).mean())


def test_two_retrievers_of_a_run_whatever_their_sampling(write_run: Callable, tmp_path: Path) -> None:
    sampled = {"sampler": "ddim-50", "samples": 5}
    run = write_run(
        tmp_path / "a",
        [
            {"retriever": "clap", "ranks": [5, 20, 3]},
            {"retriever": "clap", "ranks": [9, 9, 9], "modifier": "slerp", "params": {"strength": 0.2}},
            {"retriever": "gdr", "ranks": [1, 1, 1], "params": {"guidance": 3.0, **sampled}},
            {"retriever": "gdr", "ranks": [2, 2, 2], "params": {"guidance": 5.0, **sampled}},
            {"retriever": "gdr", "ranks": [8, 8, 80], "modifier": "slerp", "params": {"strength": 0.2, **sampled}},
            {"retriever": "gdr", "ranks": [7, 7, 7], "modifier": "slerp", "params": {"strength": 0.4, **sampled}},
        ],
    )
    done = compare_runs(run, retrievers=("clap", "gdr"))
    assert [(cell.pair.a["key"], cell.pair.b["key"]) for cell in done.cells] == [("cell0", "cell2"), ("cell1", "cell4")]
    only = compare_runs(run, retrievers=("clap", "gdr"), modifier="none")
    assert [cell.pair.b["key"] for cell in only.cells] == ["cell2"]


def test_two_retrievers_of_two_runs(two: Callable) -> None:
    a, b = two({"ranks": [3, 4], "retriever": "old"}, {"ranks": [1, 40], "retriever": "new"})
    assert found(compare_runs(a, b, retrievers=("old", "new")), "R@10").difference == -50
    with pytest.raises(UserError, match="--retrievers A B"):
        compare_runs(a, b)


def test_a_folder_with_one_run_stands_for_it(write_run: Callable, tmp_path: Path) -> None:
    one = write_run(tmp_path / "x" / "retrieval" / "r1", [{"ranks": [1, 2]}])
    assert compare_runs(tmp_path / "x", one).cells[0].identical
    write_run(tmp_path / "x" / "retrieval" / "r2", [{"ranks": [1, 2]}])
    with pytest.raises(UserError, match=r"2 runs .*r1, .*r2.*name one"):
        compare_runs(tmp_path / "x", one)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_different_data_is_refused_with_both_fingerprints(write_run: Callable, tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", [{"ranks": [1, 2]}, {"ranks": [1, 2], "dataset": "mc", "data_fingerprint": "old"}])
    b = write_run(tmp_path / "b", [{"ranks": [1, 2]}, {"ranks": [1, 2], "dataset": "mc", "data_fingerprint": "new"}])
    with pytest.raises(UserError, match=r"'mc'.*old in .*a and new in .*b"):
        compare_runs(a, b)


@pytest.mark.parametrize(("field", "value"), [("n_gallery", 499), ("protocol", "strict_rows")])
def test_another_gallery_or_protocol_is_refused(two: Callable, field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"{field} is .* and {value}"):
        compare_runs(*two({"ranks": [1, 2]}, {"ranks": [1, 2], field: value}))


def test_other_seeds_are_named(two: Callable) -> None:
    with pytest.raises(UserError, match=r"seed 0.*seed 7"):
        compare_runs(*two({"ranks": [1, 2]}, {"ranks": [1, 2], "seed": 7}))


def test_a_query_that_stands_twice_is_refused(two: Callable) -> None:
    with pytest.raises(UserError, match="'q1' stands twice"):
        compare_runs(*two({"ranks": [1, 2]}, {"ranks": [1, 2], "query_id": ["q1", "q1"]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["R@1O"]}, "did you mean 'R@10'"),
        ({"dataset": "sdd"}, "did you mean 'sd'"),
        ({"retrievers": ("gdr-clap", "gdr-clop")}, "did you mean 'gdr-clap'"),
    ],
)
def test_unknown_names_are_told(two: Callable, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare_runs(*two({"ranks": [1, 2]}, {"ranks": [2, 2]}), **options)


# --- what is written --------------------------------------------------------------------------------------------------


def test_every_format_has_every_metric(two: Callable, ranks: np.ndarray) -> None:
    done = compare_runs(*two({"ranks": ranks}, {"ranks": ranks[::-1]}))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    document = json.loads(as_json(done), parse_constant=refuse)
    metrics = [row["metric"] for row in document["differences"]]
    assert metrics == ["R@10", "MRR", "MedR", "logRank"]
    assert len(document["changes"][0]["queries"]) == 10
    lines = as_csv(done).splitlines()
    assert len(lines) == 1 + len(metrics)
    text = as_markdown(done)
    assert all(f"| {metric} " in text for metric in metrics)
    assert "Holm over all 3 tests" in text


def test_from_python(two: Callable, ranks: np.ndarray, write_run: Callable, tmp_path: Path) -> None:
    a, b = two({"ranks": ranks}, {"ranks": np.maximum(1, ranks - 50)})
    frame = bench.compare(a, b, paired=True, metrics=["R@10", "logRank"])
    assert isinstance(frame, pd.DataFrame)
    assert frame["metric"].tolist() == ["R@10", "logRank"]
    row = frame.set_index("metric").loc["logRank"]
    assert row["hi"] < 0
    assert row["better"] == int((ranks > 1).sum())
    both = write_run(tmp_path / "c", [{"ranks": ranks, "retriever": "x"}, {"ranks": ranks + 1, "retriever": "y"}])
    assert (bench.compare(both, retrievers=("x", "y"))["retriever_b"] == "y").all()
    with pytest.raises(UserError, match="another run"):
        bench.compare(both)


def test_the_function_outlives_the_import_of_its_package(python: Callable) -> None:
    done = python("-c", "import bench, bench.comparison.output, bench.cli.compare; assert callable(bench.compare)")
    assert done.returncode == 0, done.stderr
