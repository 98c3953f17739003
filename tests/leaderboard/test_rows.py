"""Which cells become rows, and which of several runs a row is taken from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.errors import UserError
from bench.leaderboard.rows import PARADIGMS, Collected, collect
from bench.report._untrusted import clean
from bench.report.load import Run, find_runs
from bench.store import sha256_of

MakeCell = Callable[..., dict[str, Any]]
MakeRun = Callable[..., Path]
SAMPLING = {"guidance": 3.0, "sampler": "dpm++2m-10", "samples": 2}


def _collected(results: Path) -> Collected:
    return collect(map(Run, find_runs(results)))


def _names(results: Path) -> list[tuple[str, str]]:
    return [(row.dataset, row.retriever) for row in _collected(results).rows]


def test_rows_are_unmodified_cells_of_suites_without_prompts(results: Path) -> None:
    found = _collected(results)
    assert [(row.dataset, row.space, row.retriever) for row in found.rows] == [
        ("pc", "mini-clap", "clap"), ("pc", "mini-clap", "gdr-clap"), ("pc", "mini-clap", "tuned-clap"),
        ("sd", "mini-clap", "clap"), ("sd", "mini-clap", "gdr-clap"), ("sd", "mini-clap", "mlp-regression"),
        ("sd", "mini-clap", "ridge-clap"), ("sd", "mini-clap", "unet-regression"), ("sd", "mini-muscall", "muscall"),
    ]  # fmt: skip
    assert {row.suite for row in found.rows} == {"retrieval", "query-quality"}
    assert found.left_out == (
        "cells of other training seeds: 1",
        "runs of negative-prompting, which does not measure plain retrieval: 1",
    )


def test_cells_that_are_no_row_are_counted(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    cells = [
        make_cell("clap"),
        make_cell("clap", modifier="slerp", params={"strength": 0.2}),
        make_cell("gdr-clap", params={**SAMPLING, "guidance": 1.0}),
        make_cell("gone", None),
    ]
    make_run(tmp_path, cells)
    found = _collected(tmp_path)
    assert [row.retriever for row in found.rows] == ["clap"]
    assert found.left_out == (
        "cells with a modifier or at another guidance than their suite's: 2",
        "cells without R@10 (n/a: no text tower): 1",
    )


def test_a_run_without_its_suite_is_judged_by_its_cells(results: Path) -> None:
    for run in find_runs(results):
        (run / "suite.resolved.yaml").unlink()
    (edits,) = (results / "negative_prompting").iterdir()
    # What an edit suite measured on unmodified queries cannot be told from retrieval without its file.
    assert {row.suite for row in _collected(edits).rows} == {"negative-prompting"}
    assert {row.paradigm for row in _collected(results).rows} == {"other"}


@pytest.mark.parametrize("started", [None, "2026-01-01T00:00:00Z"])
def test_of_equal_runs_the_first_by_name_stands_there_in_any_order(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun, started: str | None
) -> None:
    names = ("b" * 12, "a" * 12, "c" * 12)
    folders = [make_run(tmp_path, [make_cell("clap", 0.5)], run_id=name, started=started) for name in names]
    for order in (folders, folders[::-1], folders[1:] + folders[:1]):
        (row,) = collect(map(Run, order)).rows
        assert row.run.folder.name == "a" * 12
    # Folders of one name in two places: by what is in them.
    twins = [
        make_run(tmp_path / place, [make_cell("clap", skill)], started=started)
        for place, skill in (("x", 0.2), ("y", 0.7))
    ]
    values = {collect(map(Run, order)).rows[0].values["R@10"].value for order in (twins, twins[::-1])}
    assert len(values) == 1


@pytest.mark.parametrize("full_first", [True, False])
def test_full_takes_the_place_of_quick(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun, full_first: bool
) -> None:
    full = {**SAMPLING, "sampler": "ddim-50", "samples": 5}
    ids = ("a" * 12, "b" * 12) if full_first else ("b" * 12, "a" * 12)
    make_run(tmp_path, [make_cell("gdr-clap", params=full, nfe=100, queries=range(50))], preset="full", run_id=ids[0],
             started="2026-01-01T00:00:00Z")  # fmt: skip
    make_run(tmp_path, [make_cell("gdr-clap", params=SAMPLING)], run_id=ids[1], started="2026-06-01T00:00:00Z")
    (row,) = _collected(tmp_path).rows
    assert (row.preset, row.n_queries, row.evaluations) == ("full", 50, 500)
    assert row.settings == "ddim-50, 5 samples, guidance 3"


@pytest.mark.parametrize("later", ["a", "b"])
def test_of_equal_runs_the_later_one_counts_and_no_time_of_a_file(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun, later: str
) -> None:
    for letter in "ab":
        folder = make_run(
            tmp_path, [make_cell("clap", 0.9 if letter == later else 0.1)], run_id=letter * 12,
            started=f"2026-0{2 if letter == later else 1}-01T00:00:00Z",
        )  # fmt: skip
        os.utime(folder / "summary.json", (0, 0) if letter == later else (10**9, 10**9))
    (row,) = _collected(tmp_path).rows
    assert row.run.folder.name == later * 12
    value = row.values["R@10"].value
    assert value is not None
    assert value > 80


def test_a_run_that_was_only_read_from_the_cache_again_is_no_later_one(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun
) -> None:
    older = make_run(tmp_path, [make_cell("clap", 0.2)], run_id="a" * 12, started="2026-03-01T00:00:00Z")
    newer = make_run(tmp_path, [make_cell("clap", 0.2)], run_id="b" * 12, started="2026-02-01T00:00:00Z")
    for folder, when in ((older, "2026-01-01T00:00:00Z"), (newer, "2026-02-01T00:00:00Z")):
        provenance = json.loads((folder / "provenance.json").read_text())
        (key,) = (cell["key"] for cell in Run(folder).summary["cells"])
        (folder / "provenance.json").write_text(json.dumps({**provenance, "cells": {key: {"when": when}}}))
    (row,) = _collected(tmp_path).rows
    assert row.run.folder == newer


def test_an_edited_provenance_is_refused(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    folder = make_run(tmp_path, [make_cell("clap", 0.2)])
    (folder / "SHA256SUMS").write_text(f"{sha256_of(folder / 'provenance.json')}  provenance.json\n")
    assert len(_collected(tmp_path).rows) == 1
    (folder / "provenance.json").write_text('{"started": "2099-01-01T00:00:00Z"}')
    with pytest.raises(UserError, match="is damaged or was edited"):
        _collected(tmp_path)


@pytest.mark.parametrize("cells", [[1, 2], {"k": "x"}, 5, None])
def test_a_provenance_that_says_nothing_stops_no_board(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun, cells: Any
) -> None:
    folder = make_run(tmp_path, [make_cell("clap", 0.2)])
    (key,) = (cell["key"] for cell in Run(folder).summary["cells"])
    for said in (cells, {key: {"when": 5}}, {key: {"when": ["x"]}}):
        (folder / "provenance.json").write_text(json.dumps({"cells": said, "started": 7}))
        assert len(_collected(tmp_path).rows) == 1


def test_more_queries_count_before_a_later_run(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    make_run(tmp_path, [make_cell("clap", queries=range(300))])
    make_run(tmp_path, [make_cell("clap", queries=range(100))], suite="trial", started="2026-09-09T00:00:00Z")
    (row,) = _collected(tmp_path).rows
    assert (row.n_queries, row.suite) == (300, "retrieval")


def test_another_guidance_of_a_suite_is_a_row_of_its_own(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun
) -> None:
    make_run(tmp_path, [make_cell("gdr-clap", params=SAMPLING)])
    weak = make_run(tmp_path, [make_cell("gdr-clap", params={**SAMPLING, "guidance": 1.5})], suite="weak")
    text = (weak / "suite.resolved.yaml").read_text()
    (weak / "suite.resolved.yaml").write_text(text.replace("3.0", "1.5"))
    assert [row.settings for row in _collected(tmp_path).rows] == [
        "dpm++2m-10, 2 samples, guidance 1.5", "dpm++2m-10, 2 samples, guidance 3",
    ]  # fmt: skip


def test_one_dataset_on_different_data_is_refused_by_name(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun
) -> None:
    old = make_run(tmp_path, [make_cell("clap")], run_id="a" * 12)
    new = make_run(tmp_path, [make_cell("clap", data_fingerprint="0" * 64)], run_id="b" * 12, preset="full")
    with pytest.raises(UserError) as raised:
        _collected(tmp_path)
    for said in ("'sd'", str(old), "f" * 12, str(new), "0" * 12, "name only the folders"):
        assert said in str(raised.value)
    assert _names(new) == [("sd", "clap")]


def test_no_retrieval_is_refused(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    make_run(tmp_path, [make_cell("clap")], suite="inversion", prompts="edits.yaml")
    make_run(tmp_path, [make_cell("clap", metrics=("R@1",))], suite="facts")
    with pytest.raises(UserError, match="bench run retrieval"):
        _collected(tmp_path)


def test_every_registered_retriever_has_a_paradigm(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    names = registry.retrievers.names()
    assert set(names) <= set(PARADIGMS)
    make_run(tmp_path, [make_cell("mine", part="a-plugins"), make_cell("theirs", part="mlp-diffusion")])
    assert {row.retriever: row.paradigm for row in _collected(tmp_path).rows} == {
        "mine": "other", "theirs": "diffusion",
    }  # fmt: skip


# --- latency ----------------------------------------------------------------------------------------------------------


def test_latency_is_the_median_of_a_query_and_its_machine_is_named(results: Path) -> None:
    timed = {row.retriever: row.latency for row in _collected(results).rows if row.dataset == "sd"}
    gdr = timed["gdr-clap"]
    assert gdr is not None
    assert gdr.milliseconds == pytest.approx(50.0)
    assert gdr.machine == "cpu, 2 threads, A CPU, x86_64, Linux"
    assert timed["mlp-regression"] is None


@pytest.mark.parametrize("seconds", [None, "fast", 0, -1.0, True, float("inf"), {"median": 1.0}])
def test_what_is_no_time_is_no_latency(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun, seconds: Any) -> None:
    folder = make_run(tmp_path, [make_cell("clap", seconds=0.5)])
    known = json.loads((folder / "latency.json").read_text())
    ((key, cell),) = known["cells"].items()
    cell["query"]["median"] = seconds
    (folder / "latency.json").write_text(json.dumps(known))
    # The seconds of a cell hold the metrics, and are next to nothing where it came from the cache.
    (folder / "provenance.json").write_text(json.dumps({"cell_seconds": {key: 3.0}, "query_seconds": {key: 3.0}}))
    assert _collected(tmp_path).rows[0].latency is None
    for damaged in ({"cells": []}, {"cells": {key: 3.0}}, []):
        (folder / "latency.json").write_text(json.dumps(damaged))
        assert _collected(tmp_path).rows[0].latency is None


def test_a_row_without_a_time_of_its_own_says_why(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    why = "fitted on whole\u202e sets"
    make_run(tmp_path, [make_cell("clap", seconds=0.5), make_cell("clap-ot", untimed=why), make_cell("ridge")])
    found = {row.retriever: (row.latency is None, row.why_no_latency) for row in _collected(tmp_path).rows}
    assert found == {"clap": (False, None), "clap-ot": (True, "fitted on whole\ufffd sets"), "ridge": (True, None)}


@pytest.mark.parametrize("name", ["provenance.json", "latency.json"])
def test_a_damaged_file_is_named(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun, name: str) -> None:
    folder = make_run(tmp_path, [make_cell("clap", seconds=0.5)])
    (folder / name).write_text("{")
    with pytest.raises(UserError, match=rf"{re.escape(name)}: is not JSON"):
        _collected(tmp_path)


def test_names_lose_what_cannot_be_printed() -> None:
    assert clean("مرحبا 🎵 <b>") == "مرحبا 🎵 <b>"
    assert clean("a\x00b\u202ec\ud800d\u2028") == "a�b�c�d�"
