"""Runs on disk, and the agreement of two runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.report._agreement import build_agreement
from bench.report.load import Run, agreement, find_runs

MakeRun = Callable[..., Path]


def test_cells_are_filtered_by_fields_and_parameters(negation_run: Path) -> None:
    run = Run(negation_run)
    (cell,) = run.cells(modifier="negative-prompting", strength=2)
    assert cell["params"]["strength"] == 2
    assert len(run.cells()) == len(run.summary["cells"])
    assert {c["modifier"] for c in run.cells(strength=None)} == {"none", "prefix-negation"}
    assert run.cells(retriever="nobody") == []


def test_an_unknown_filter_is_named_with_the_known_ones(negation_run: Path) -> None:
    with pytest.raises(UserError, match=r"strenght.*strength"):
        Run(negation_run).cells(strenght=2)


def test_per_query_gives_the_rows_of_a_cell(negation_run: Path) -> None:
    run = Run(negation_run)
    frame = run.per_query(run.cells()[0]["key"])
    assert len(frame) == 200
    assert {"query_id", "negative_id", "category", "removal@10"} <= set(frame.columns)


def test_values_say_why_there_is_no_number(negation_run: Path) -> None:
    run = Run(negation_run)
    (weak,) = run.cells(modifier="negative-prompting", strength=0.5)
    assert run.value(weak, "MICS").why == "measured at the primary strength only"
    assert run.value(weak, "R@7").why == "not measured in this run"
    assert run.value(None, "R@10").why == "not a cell of this run"


def test_the_unmodified_cell_is_at_the_suites_guidance(make_negation_run: MakeRun) -> None:
    folder = make_negation_run()
    assert [c["params"]["guidance"] for c in Run(folder).cells() if Run(folder).is_unmodified(c)] == [3.0, 3.0]
    (folder / "suite.resolved.yaml").write_text("settings: {guidance: 5}\n")
    run = Run(folder)
    assert [c["params"]["guidance"] for c in run.cells() if run.is_unmodified(c)] == [5.0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("{}", "no list of cells"),
        ('{"cells": [], "schema_version": 9}', "9"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        Run(tmp_path)
    assert "summary.json" in str(caught.value)


def test_a_missing_or_damaged_per_query_file_is_named(make_negation_run: MakeRun) -> None:
    folder = make_negation_run()
    run = Run(folder)
    (folder / "per_query" / "k000.parquet").unlink()
    (folder / "per_query" / "k001.parquet").write_bytes(b"cut short")
    for key in ("k000", "k001"):
        with pytest.raises(UserError, match=rf"{key}\.parquet.*run the suite again"):
            run.per_query(key)


def test_runs_are_found_at_any_level(negation_run: Path, tmp_path: Path) -> None:
    for root in (negation_run, negation_run.parent, negation_run.parent.parent):
        assert find_runs(root) == [negation_run]
    with pytest.raises(UserError, match="holds no results"):
        find_runs(tmp_path)


# --- agreement --------------------------------------------------------------------------------------------------------


def test_a_run_agrees_with_itself(negation_run: Path) -> None:
    compared = agreement(negation_run, negation_run)
    assert compared["agree"].dropna().all()
    assert set(compared["kind"]) == {"metric", "claim"}
    # The cells that have no number: nothing is said of them.
    assert compared[compared["a"].isna()]["agree"].isna().all()


def test_presets_are_matched_without_sampler_and_samples(negation_run: Path, make_negation_run: MakeRun) -> None:
    full = make_negation_run("full")
    metrics = agreement(negation_run, full).query("kind == 'metric'")
    # Replicates are the same cells in both presets: they are not evidence of agreement.
    assert len(metrics) == sum(len(c["metrics"]) for c in Run(full).cells() if not c["replicate"])
    assert not metrics["params"].str.contains("sampl").any()


def _move(value: float) -> Callable[[dict[str, Any]], None]:
    def edit(summary: dict[str, Any]) -> None:
        entry = summary["cells"][2]["metrics"]["R@10"]
        entry["value"], entry["ci"] = value, [value - 1, value + 1]
        summary["claims"][0]["verdict"] = "inconclusive"

    return edit


@pytest.mark.parametrize(("value", "agree"), [(50.0, True), (52.0, True), (52.01, False), (47.9, False)])
def test_intervals_agree_if_they_touch(make_negation_run: MakeRun, value: float, agree: bool) -> None:
    one, two = make_negation_run(edit=_move(50.0)), make_negation_run(edit=_move(value))
    compared = agreement(one, two)
    (row,) = compared[(compared["item"] == "R@10") & (compared["params"] == "guidance=3.0")].head(1).to_dict("records")
    assert row["agree"] is agree


def test_different_verdicts_disagree(negation_run: Path, make_negation_run: MakeRun) -> None:
    compared = agreement(negation_run, make_negation_run(edit=_move(50.0))).query("kind == 'claim'")
    assert list(compared["agree"]) == [False, True, True, True]


def test_set_metrics_are_compared_only_at_equal_n(negation_run: Path, make_negation_run: MakeRun) -> None:
    def more(summary: dict[str, Any]) -> None:
        for cell in summary["cells"]:
            cell["metrics"]["FAD(jam)"]["n"] = 1000

    compared = agreement(negation_run, make_negation_run(edit=more))
    assert compared[compared["item"] == "FAD(jam)"]["agree"].isna().all()
    assert compared[compared["item"] == "FADunit(jam)"]["agree"].notna().all()


def test_other_suites_and_other_data_are_refused(
    negation_run: Path, make_negation_run: MakeRun, make_retrieval_run: MakeRun
) -> None:
    def other_data(summary: dict[str, Any]) -> None:
        for cell in summary["cells"]:
            cell["data_fingerprint"] = "f1"

    with pytest.raises(UserError, match="one suite"):
        agreement(negation_run, make_retrieval_run())
    with pytest.raises(UserError, match=r"different data.*f0.*f1"):
        agreement(negation_run, make_negation_run(edit=other_data))


def test_the_agreement_page_tells_what_lies_apart(make_negation_run: MakeRun, tmp_path: Path) -> None:
    full = make_negation_run("full", edit=_move(80.0))
    page = build_agreement(make_negation_run(edit=_move(50.0)), full, tmp_path / "pages" / "agreement.md")
    text = page.read_text()
    assert "Agreement of quick and full" in text
    assert "| GDR-CLAP on SD | unmodified | R@10 | 50.0 [49.0, 51.0] | 80.0 [79.0, 81.0] |" in text
    assert "Verdicts are equal for 4 of 4 claims" in text
    assert str(tmp_path) not in text
    assert page.with_suffix(".csv").read_text().startswith("kind,")


def test_agreement_does_not_depend_on_the_folder(negation_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(negation_run, tmp_path / "copy")
    assert json.loads((copy / "summary.json").read_text()) == Run(copy).summary
    assert agreement(negation_run, copy).equals(agreement(copy, negation_run))
