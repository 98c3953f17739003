"""The gate on runs: the baseline file, what is bad input, and what is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.comparison import one_run
from bench.errors import UserError
from bench.gate import GateResult, gate, load_baseline, save_baseline
from bench.gate.output import as_json, as_junit, as_markdown, print_gate

N = 300


# --- the baseline file ------------------------------------------------------------------------------------------------


@pytest.fixture
def cells() -> list[dict]:
    """Two datasets and two retrievers, a training seed, and a modified cell with a metric of its own."""
    rng = np.random.default_rng(0)
    base = np.round(np.exp(rng.uniform(0, 6, N))) + 0.5 * (rng.random(N) < 0.1)
    return [
        {"ranks": base, "cluster_id": [f"t{i // 2}" for i in range(N)], "params": {"guidance": 3.0, "samples": 2}},
        {"ranks": base[::-1], "dataset": "mc", "data_fingerprint": "f-mc"},
        {"ranks": base + 1, "retriever": "clap"},
        {"ranks": base + 2, "retriever": "gdr-clap-s1", "replicate": True},
        {"ranks": base, "modifier": "slerp", "params": {"strength": 0.2}},
    ]


@pytest.fixture
def run(write_run: Callable, tmp_path: Path, cells: list[dict]) -> Path:
    return write_run(tmp_path / "run", cells)


@pytest.fixture
def saved(run: Path, tmp_path: Path) -> Path:
    file = tmp_path / "baseline.json"
    save_baseline(one_run(run), file)
    return file


def test_a_baseline_has_what_the_run_had(run: Path, saved: Path) -> None:
    baseline, source = load_baseline(saved), one_run(run)
    assert [cell.label.split(",")[:2] for cell in baseline.cells] == [
        ["sd", " gdr-clap"], ["mc", " gdr-clap"], ["sd", " clap"],
    ]  # fmt: skip
    for cell in baseline.cells:
        frame = source.per_query(cell.fields["key"])
        assert cell.queries.ids == tuple(frame["query_id"])
        for key in ("R@10", "MRR"):
            np.testing.assert_allclose(cell.values(key), frame[key])
        np.testing.assert_allclose(cell.values("logRank"), np.log2(frame["rank"]))
        assert len(np.unique(cell.queries.first)) == frame["cluster_id"].nunique()


def test_a_baseline_is_the_same_bytes_again_and_small(run: Path, saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    save_baseline(one_run(run), again)
    assert again.read_bytes() == saved.read_bytes()
    assert len(saved.read_bytes()) < 3 * N * 25 + 2 * N * 20
    document = json.loads(saved.read_text())
    assert document["schema_version"] == 1
    assert {"sha256", "suite", "preset", "source", "metrics"} <= set(document)
    assert str(tmp_path) not in saved.read_text()


def test_what_is_kept_is_chosen(run: Path, tmp_path: Path) -> None:
    def kept(**options) -> list[str]:
        file = tmp_path / "b.json"
        save_baseline(one_run(run), file, **options)
        return [cell.fields["key"] for cell in load_baseline(file).cells]

    assert kept(every=True) == [f"cell{i}" for i in range(5)]
    assert kept(retrievers=["gdr-clap-s1"]) == ["cell3"]
    with pytest.raises(UserError, match="did you mean 'clap'"):
        kept(retrievers=["clup"])


def test_values_that_do_not_follow_from_ranks_are_kept(write_run: Callable, tmp_path: Path) -> None:
    info = {"kept@10": {"higher_is_better": True, "unit": "share", "range": [0, 1], "level": "query"}}
    values = np.where(np.arange(N) % 3, np.random.default_rng(0).random(N), np.nan)
    labels = {
        "negative_id": [f"n{i % 5}" for i in range(N)], "target_set": ["lacks" if i % 4 else "has" for i in range(N)],
    }  # fmt: skip
    ranks = np.arange(N) + 1.0
    run = write_run(tmp_path / "r", [{"ranks": ranks, "columns": {"kept@10": values}, **labels}], metric_info=info)
    save_baseline(one_run(run), tmp_path / "b.json", metrics=["kept@10", "R@10", "logRank"])
    (cell,) = load_baseline(tmp_path / "b.json").cells
    np.testing.assert_allclose(cell.values("kept@10"), values)
    assert np.isnan(cell.values("logRank")[::4]).all()  # a target that has what is negated does not count
    assert set(cell.stored) == {"kept@10"}
    assert cell.values("MICS") is None
    result = gate(load_baseline(tmp_path / "b.json"), one_run(run))
    assert result.exit_code == 0
    assert result.judged[0].n == int((~np.isnan(values)).sum())
    assert result.judged[0].n_clusters == 5


@pytest.mark.parametrize(
    ("key", "why"),
    [("FAD(jam)", "metric of a set"), ("MedR", "no mean"), ("MICS", "neither direction"), ("R@1O", "did you mean")],
)
def test_some_metrics_cannot_be_gated(write_run: Callable, tmp_path: Path, key: str, why: str) -> None:
    info = {
        "FAD(jam)": {"higher_is_better": False, "unit": "distance", "level": "set"},
        "MICS": {"higher_is_better": None, "unit": "cosine", "level": "query"},
    }
    run = write_run(tmp_path / "r", [{"ranks": [1, 2]}], metric_info=info)
    with pytest.raises(UserError, match=why):
        save_baseline(one_run(run), tmp_path / "b.json", metrics=[key])


def test_a_file_that_was_changed_is_refused(saved: Path) -> None:
    text = saved.read_text()
    document = json.loads(text)
    document["cells"][0]["ranks"][0] += 1
    saved.write_text(json.dumps(document))
    with pytest.raises(UserError, match="changed after it was saved"):
        load_baseline(saved)
    saved.write_text(text[: len(text) // 2])
    with pytest.raises(UserError, match="is not JSON"):
        load_baseline(saved)
    saved.write_text(json.dumps({**json.loads(text), "schema_version": 99}))
    with pytest.raises(UserError, match="99"):
        load_baseline(saved)
    saved.write_text("[]")
    with pytest.raises(UserError, match="is not a baseline"):
        load_baseline(saved)


# --- the gate on runs -------------------------------------------------------------------------------------------------


@pytest.fixture
def candidate(write_run: Callable, tmp_path: Path, cells: list[dict]) -> Callable[..., Path]:
    """A run with cells changed: (name, {index: fields}) -> folder."""

    def write(name: str, changes: dict[int, dict], drop: tuple[int, ...] = (), **summary) -> Path:
        kept = [{**cell, **changes.get(i, {}), "key": f"k{i}"} for i, cell in enumerate(cells) if i not in drop]
        return write_run(tmp_path / name, kept, **summary)

    return write


def held(saved: Path, folder: Path, **options) -> GateResult:
    return gate(load_baseline(saved), one_run(folder), **options)


def test_the_same_run_has_not_regressed(saved: Path, run: Path) -> None:
    result = held(saved, run)
    assert result.exit_code == 0
    assert len(result.judged) == 9
    assert all(one.change.value == 0 for one in result.judged)


def test_queries_are_joined_by_id(saved: Path, candidate: Callable, cells: list[dict]) -> None:
    order = np.random.default_rng(0).permutation(N)
    ids = np.array([f"q{i:04d}" for i in range(N)])
    shuffled = {"ranks": cells[0]["ranks"][order], "query_id": ids[order], "cluster_id": ids[order]}
    more = {"ranks": np.append(cells[1]["ranks"], 1.0), "query_id": [*ids, "one-more"]}
    result = held(saved, candidate("c", {0: shuffled, 1: more}))
    assert all((one.change.value, one.n) == (0, N) for one in result.judged)


def test_a_planted_loss_regresses_in_its_cell(saved: Path, candidate: Callable, cells: list[dict]) -> None:
    broken = np.random.default_rng(1).integers(1, 500, N)
    result = held(saved, candidate("c", {0: {"ranks": broken}}))
    assert result.exit_code == 1
    worse = {(one.dataset, one.retriever) for one in result.judged if one.decision.verdict == "regression"}
    assert worse == {("sd", "gdr-clap")}
    # The other way round it is a gain, in every metric whichever way it points.
    gained = held(saved, candidate("d", {0: {"ranks": np.maximum(1, cells[0]["ranks"] // 4)}}))
    assert gained.exit_code == 0
    assert all(one.change.value > 0 for one in gained.judged if one.dataset == "sd" and one.retriever == "gdr-clap")


def test_a_small_loss_is_inconclusive_and_says_how_many_queries(saved: Path, candidate: Callable, cells: list[dict]):
    ranks = np.where(np.random.default_rng(5).random(N) < 0.08, 400, cells[0]["ranks"])
    result = held(saved, candidate("c", {0: {"ranks": ranks}}), margins={"R@10": 2.0}, metrics=["R@10"])
    assert result.exit_code == 3
    one = next(j for j in result.judged if j.decision.verdict == "inconclusive")
    assert one.decision.queries > N
    assert (one.margin, one.margin_given) == (2.0, True)


def test_the_candidates_sampling_and_guidance_may_differ(saved: Path, candidate: Callable) -> None:
    folder = candidate("c", {0: {"params": {"guidance": 3.0, "samples": 9, "sampler": "ddim-2"}}})
    assert held(saved, folder).exit_code == 0


def test_another_name_stands_for_the_baselines(saved: Path, candidate: Callable) -> None:
    folder = candidate("c", {0: {"retriever": "my-encoder"}, 1: {"retriever": "my-encoder"}, 4: {"retriever": "m"}})
    result = held(saved, folder, renamed={"gdr-clap": "my-encoder"})
    assert result.exit_code == 0
    assert {one.retriever for one in result.judged} == {"my-encoder", "clap"}
    assert "my-encoder stands for the baseline's gdr-clap" in result.notes
    with pytest.raises(UserError, match=r"has no retriever 'gdr-clap'.*--as gdr-clap=NAME"):
        held(saved, folder)
    assert {one.retriever for one in held(saved, folder, retrievers=["clap"]).judged} == {"clap"}


@pytest.mark.parametrize(
    ("changes", "drop", "summary", "message"),
    [
        ({}, (1,), {}, r"lacks a cell of the baseline: mc, gdr-clap, unmodified, seed 0"),
        ({1: {"data_fingerprint": "f-new"}}, (), {}, r"'mc'.*f-mc in .*f-new"),
        ({0: {"n_gallery": 77}}, (), {}, r"n_gallery is 77, the baseline's is 500"),
        ({0: {"protocol": "strict_rows"}}, (), {}, r"protocol is strict_rows, the baseline's is track"),
        ({0: {"seed": 4}}, (), {}, r"lacks a cell of the baseline: sd, gdr-clap"),
        ({0: {"query_id": [f"x{i}" for i in range(N)]}}, (), {}, r"300 of the baseline's 300 queries .*'q0000'"),
        ({0: {"ranks": np.full(N, np.nan)}}, (), {}, r"no R@10 for 300 queries"),
        ({}, (), {"preset": "full"}, r"preset 'quick'.*'full'.*--preset quick"),
    ],
)
def test_bad_input_is_named(
    saved: Path, candidate: Callable, changes: dict, drop: tuple, summary: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        held(saved, candidate("c", changes, drop, **summary))


def test_a_dataset_that_is_not_gated_may_be_missing(saved: Path, candidate: Callable) -> None:
    folder = candidate("c", {}, drop=(1,))
    assert {one.dataset for one in held(saved, folder, datasets=["sd"]).judged} == {"sd"}
    changed = candidate("d", {1: {"data_fingerprint": "f-new"}})
    assert held(saved, changed, datasets=["sd"]).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margins": {"R@10": 0.0}}, "a margin is above 0"),
        ({"margins": {"R@10": float("inf")}}, "R@10=inf is not finite"),
        ({"margins": {"R@5": 1.0}}, "'R@5' is not gated here; gated: R@10, MRR, logRank"),
        ({"metrics": ["MedR"]}, "cannot be gated"),
        ({"renamed": {"gdr-clop": "x"}}, "did you mean 'gdr-clap'"),
        ({"retrievers": ["nothing-like-it"]}, "has no retriever"),
        ({"datasets": ["sdd"]}, "did you mean 'sd'"),
        ({"retrievers": ["clap"], "datasets": ["mc"]}, "no cell of those retrievers"),
    ],
)
def test_bad_options_are_named(saved: Path, run: Path, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        held(saved, run, **options)


def test_any_metric_of_ranks_can_be_gated_later(saved: Path, run: Path) -> None:
    assert {one.metric for one in held(saved, run, metrics=["R@5", "R@100"]).judged} == {"R@5", "R@100"}


def test_a_baseline_without_variance_asks_for_a_margin(write_run: Callable, tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", [{"ranks": np.full(50, 90)}])
    save_baseline(one_run(run), tmp_path / "b.json")
    with pytest.raises(UserError, match=r"R@10 does not vary.*--margin R@10="):
        held(tmp_path / "b.json", run)
    given = {"R@10": 1.0, "MRR": 1.0, "logRank": 0.1}
    assert held(tmp_path / "b.json", run, margins=given).exit_code == 0


# --- what is written --------------------------------------------------------------------------------------------------


def test_junit_has_a_case_a_test(saved: Path, candidate: Callable, cells: list[dict]) -> None:
    broken = np.random.default_rng(1).integers(1, 500, N)
    ranks = np.where(np.random.default_rng(5).random(N) < 0.08, 400, cells[1]["ranks"])
    result = held(saved, candidate("c", {0: {"ranks": broken}, 1: {"ranks": ranks}}), margins={"R@10": 2.0})
    verdicts = [one.decision.verdict for one in result.judged]
    assert set(verdicts) == {"regression", "inconclusive", "none"}
    for fails in (False, True):
        suite = ElementTree.fromstring(as_junit(result, inconclusive_fails=fails))
        tags = [{child.tag for child in case} for case in suite.iter("testcase")]
        found = ["failure" if "failure" in tag else "skipped" if "skipped" in tag else "ok" for tag in tags]
        shown = {"regression": "failure", "inconclusive": "failure" if fails else "skipped", "none": "ok"}
        assert found == [shown[verdict] for verdict in verdicts]
        assert int(suite.get("failures", "")) == found.count("failure")
        assert int(suite.get("skipped", "")) == found.count("skipped")
        assert int(suite.get("tests", "")) == len(verdicts)


def test_the_queries_that_would_decide_are_told_everywhere(
    saved: Path, candidate: Callable, cells: list[dict], capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = np.where(np.random.default_rng(5).random(N) < 0.08, 400, cells[0]["ranks"])
    result = held(saved, candidate("c", {0: {"ranks": ranks}}), margins={"R@10": 2.0}, metrics=["R@10"])
    needed = [one.decision.queries for one in result.judged if one.decision.queries]
    assert len(needed) == 1
    print_gate(result)
    for text in (capsys.readouterr().out, as_markdown(result), as_junit(result)):
        assert {int(n.replace(",", "")) for n in re.findall(r"300; about ([\d,]+) would decide", text)} == set(needed)
    assert json.loads(as_json(result))["judged"][0]["queries_needed"] == needed[0]


def test_names_cannot_break_the_formats(saved: Path, run: Path) -> None:
    result = held(saved, run)
    hostile = replace(
        result,
        judged=tuple(one._replace(label='a|b\x00<script>"&\ufffe') for one in result.judged),
        candidate="x\x1b|y",
    )
    suite = ElementTree.fromstring(as_junit(hostile))
    assert next(suite.iter("testcase")).get("classname") == 'a|b�<script>"&�'
    rows = [line for line in as_markdown(hostile).splitlines() if "script" in line]
    assert rows
    assert all("a\\|b" in row and "\\<script>" in row for row in rows)


def test_a_margin_that_is_more_than_there_is_to_lose_is_told(write_run: Callable, tmp_path: Path) -> None:
    few, many = np.full(N, 90), np.full(N, 90)
    few[:4], many[: N // 2] = 1, 1
    for ranks, told in ((few, True), (many, False)):
        run = write_run(tmp_path / str(told), [{"ranks": ranks}])
        save_baseline(one_run(run), tmp_path / "b.json", metrics=["R@10"])
        assert ("more than there is to lose (R@10 of sd" in as_markdown(held(tmp_path / "b.json", run))) is told


def test_markdown_and_json_tell_the_answer(saved: Path, candidate: Callable) -> None:
    result = held(saved, candidate("c", {0: {"ranks": np.full(N, 499)}}))
    text = as_markdown(result)
    assert text.startswith("### Retrieval gate: regression (exit 1): 3 regression, 6 none of 9 tests")
    rows = [line for line in text.splitlines() if line.startswith("| sd") or line.startswith("| mc")]
    assert [("regression" in row) for row in rows] == [True] * 3 + [False] * 6

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    document = json.loads(as_json(result), parse_constant=refuse)
    assert document["exit_code"] == 1
    assert len(document["judged"]) == 9
