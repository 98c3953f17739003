"""The published pages: which runs they show, what links where, and that they can be built again from what is kept."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bench.errors import UserError
from bench.leaderboard import build_leaderboard
from bench.report import _page
from bench.report.build import build_index
from bench.report.index import choose
from bench.report.load import Run, find_runs

Make = Callable[..., Any]


def _run(
    make: Make, results: Path, suite: str = "retrieval", main: str = "gdr-clap", preset: str = "quick", seed: int = 0,
    age: int = 0, claims: tuple[dict[str, Any], ...] = (),
) -> Path:  # fmt: skip
    made = make(suite, ("R@10", "MRR"), preset, seed)
    made.add(main)
    made.add("clap")
    made.claims = list(claims)
    folder = made.write(results)
    if age:
        stale = folder.with_name(f"{folder.name}-{age}")
        folder = folder.rename(stale)
        at = (folder / "summary.json").stat().st_mtime - age
        os.utime(folder / "summary.json", (at, at))
    return folder


def _chosen(results: Path) -> dict[str, tuple[str, int]]:
    return {one.page: (one.shown.preset, one.shown.seed) for one in choose(map(Run, find_runs(results)))}


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without pictures and HTML: they take most of the time, and nothing here looks at them."""
    monkeypatch.setattr(_page, "save_figure", lambda *_: None)
    monkeypatch.setattr(_page, "html_page", lambda *_, **__: "")


# --- which run is shown -----------------------------------------------------------------------------------------------


def test_full_is_shown_before_quick_however_old(tmp_path: Path, suite_folder: Make) -> None:
    _run(suite_folder, tmp_path, preset="full", age=1000)
    _run(suite_folder, tmp_path, preset="quick")
    assert _chosen(tmp_path) == {"retrieval": ("full", 0)}


def test_the_suites_own_seed_is_shown_before_later_ones(tmp_path: Path, suite_folder: Make) -> None:
    _run(suite_folder, tmp_path, seed=0, age=1000)
    _run(suite_folder, tmp_path, seed=3)
    assert _chosen(tmp_path) == {"retrieval": ("quick", 0)}


def test_of_equal_runs_the_latest_is_shown(tmp_path: Path, suite_folder: Make) -> None:
    old = _run(suite_folder, tmp_path, age=1000)
    new = _run(suite_folder, tmp_path, age=10)
    (one,) = choose(map(Run, find_runs(tmp_path)))
    assert old != new
    assert one.shown.folder == new


def test_another_main_retriever_has_a_page_of_its_own(tmp_path: Path, suite_folder: Make, plain: None) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    _run(suite_folder, results, main="gdr-muscall", preset="full")
    _run(suite_folder, results)
    _run(suite_folder, results, suite="inversion")
    assert _chosen(results) == {
        "inversion": ("quick", 0), "retrieval": ("quick", 0), "retrieval-gdr-muscall": ("full", 0),
    }  # fmt: skip
    index = build_index(results, out).read_text()
    pages = re.findall(r"^\| \[(.*?)\]\((.*?)\)", index, re.M)
    assert pages == [
        ("Suite inversion", "inversion.md"), ("Suite retrieval", "retrieval.md"),
        ("Suite retrieval, on GDR-MusCALL", "retrieval-gdr-muscall.md"),
    ]  # fmt: skip
    assert (out / "retrieval-gdr-muscall.md").is_file()


def test_a_suite_of_the_user_is_named_after_itself(tmp_path: Path, suite_folder: Make) -> None:
    _run(suite_folder, tmp_path, suite="my-own", main="gdr-muscall")
    assert list(_chosen(tmp_path)) == ["my-own"]


# --- claims, agreement, seeds -----------------------------------------------------------------------------------------


def test_every_claim_is_on_one_page_of_the_shown_runs_only(
    tmp_path: Path, suite_folder: Make, make_claim: Make, plain: None
) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    quick, full = (make_claim("c", "R@10", verdict) for verdict in ("supported", "contradicted"))
    _run(suite_folder, results, preset="quick", claims=(quick,))
    _run(suite_folder, results, preset="full", claims=(full,))
    _run(suite_folder, results, suite="inversion", claims=(quick, make_claim("d", "MRR", "inconclusive")))
    build_index(results, out)
    rows = [line.split(" | ") for line in (out / "claims.md").read_text().splitlines() if line.startswith("| [")]
    assert [(row[0], *row[1:3], row[4]) for row in rows] == [
        ("| [inversion](inversion.md)", "quick", "c", "supported"),
        ("| [inversion](inversion.md)", "quick", "d", "inconclusive"),
        ("| [retrieval](retrieval.md)", "full", "c", "contradicted"),
    ]
    agreement = (out / "agreement.md").read_text()
    assert "| c | supported | contradicted | no |" in agreement
    assert not (out / "seeds.md").exists()


def test_seeds_have_a_page_once_there_are_three(
    tmp_path: Path, suite_folder: Make, make_claim: Make, plain: None
) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    for seed, verdict in enumerate(("supported", "supported", "inconclusive")):
        # A seed that lacks a claim, from an older suite, takes it out of the comparison.
        more = (make_claim("d", "MRR", "supported"),) if seed < 2 else ()
        _run(suite_folder, results, seed=seed, claims=(make_claim("c", "R@10", verdict), *more))
    build_index(results, out)
    page = (out / "seeds.md").read_text()
    assert "0 of 1 claims keep their verdict over 3 seeds; the others: c: 2 supported, 1 inconclusive." in page
    assert "| claim | seed 0 | seed 1 | seed 2 |" in page


def test_paper_numbers_stand_beside_a_claim(tmp_path: Path, suite_folder: Make, make_claim: Make, plain: None) -> None:
    made = suite_folder("retrieval", ("R@10",))
    made.add("gdr-clap", "pc")
    made.claims = [
        make_claim("c", "R@10", "supported", source="Table 2"),
        make_claim("o", "R@10", "supported", source="ours"),
    ]
    made.resolved["claims"] = [
        {"id": "c", "a": {"dataset": "sd"}, "b": [{"retriever": "clap"}, {"retriever": "muscall", "times": 0.5}]},
        {"id": "o", "a": {}, "b": []},
    ]  # fmt: skip
    made.write(tmp_path / "results")
    build_index(tmp_path / "results", tmp_path / "out")
    page = (tmp_path / "out" / "claims.md").read_text()
    # Table 2: GDR-CLAP on SD 24.7; CLAP and half of MusCALL on PC, the suite's first set.
    assert "states it (Table 2: 24.7 against 12.3, 17.55)" in page
    assert "not a claim of the paper" in page


# --- what is kept -----------------------------------------------------------------------------------------------------


def _texts(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.suffix in {".md", ".csv", ".tex", ".svg", ".html"}
    }


def test_the_pages_are_built_again_from_what_is_kept(
    tmp_path: Path, suite_folder: Make, make_negation_run: Make
) -> None:
    results = tmp_path / "results"
    for preset in ("full", "quick"):
        made = make_negation_run(preset)
        shutil.copytree(made, results / made.parent.name / made.name)
    for seed in (1, 2, 3):
        _run(suite_folder, results, suite="inversion", seed=seed)
    build_index(results, tmp_path / "first", keep=tmp_path / "data")
    build_index(tmp_path / "data", tmp_path / "again")
    first, again = _texts(tmp_path / "first"), _texts(tmp_path / "again")
    assert {"index.md", "claims.md", "agreement.md", "seeds.md", "negative-prompting.md"} <= set(first)
    assert first == again
    size = {root: sum(f.stat().st_size for f in root.rglob("*.parquet")) for root in (results, tmp_path / "data")}
    assert size[tmp_path / "data"] < size[results] / 10


def test_what_was_kept_earlier_goes(tmp_path: Path, suite_folder: Make, plain: None) -> None:
    (tmp_path / "data" / "gone").mkdir(parents=True)
    _run(suite_folder, tmp_path / "results")
    build_index(tmp_path / "results", tmp_path / "out", keep=tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["retrieval"]


def test_the_leaderboard_is_built_again_from_what_is_kept(tmp_path: Path, suite_folder: Make, plain: None) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    run = _run(suite_folder, results)
    cells = json.loads((run / "summary.json").read_text())["cells"]
    timed = {cell["key"]: {"query": {"median": 0.25 + at}} for at, cell in enumerate(cells)}
    (run / "latency.json").write_text(json.dumps({"device": "cpu", "threads": 1, "cells": timed}))
    build_index(results, out, keep=out / "data")
    boards = {}
    for name, source in (("first", results), ("again", out / "data")):
        build_leaderboard(source, out / name)
        build_leaderboard(source, out / f"{name}-mrr", by="MRR")
        assert pd.read_csv(out / f"{name}-mrr" / "leaderboard.csv")["rank_low"].notna().all()
        boards[name] = pd.read_csv(out / name / "leaderboard.csv")
    shown = boards["again"].drop(columns="run")
    pd.testing.assert_frame_equal(shown, boards["first"].drop(columns="run"))
    assert shown["rank_low"].notna().all()
    assert shown["query_latency_ms"].notna().all()
    # From beside the pages, the rows lead to them.
    assert set(boards["again"]["run"]) == {"../retrieval.html"}
    assert "](<../retrieval.md>)" in (out / "again" / "leaderboard.md").read_text()


def test_of_the_values_per_query_only_those_in_use_are_kept(tmp_path: Path, suite_folder: Make, plain: None) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    for at, preset in enumerate(("quick", "full")):
        folder = _run(suite_folder, results, preset=preset)
        for file in (folder / "per_query").iterdir():  # cells of two runs do not have one key
            file.rename(file.with_stem(f"{file.stem}-{at}"))
        summary = json.loads((folder / "summary.json").read_text())
        for cell in summary["cells"]:
            cell["key"] += f"-{at}"
        (folder / "summary.json").write_text(json.dumps(summary))
    build_index(results, out, keep=out / "data")
    kept = {file.stem: pq.read_schema(file) for file in (out / "data").rglob("*.parquet")}
    # The full run takes the place of the quick one on the board.
    assert set(kept) == {"retr000-1", "retr001-1"}
    for schema in kept.values():
        assert set(schema.names) == {"query_id", "cluster_id", "R@10", "MRR"}, "what a board can rank by"
        assert schema.metadata[b"schema_version"] == b"1"


def test_pages_are_kept_also_where_no_leaderboard_can_be_built(tmp_path: Path, suite_folder: Make, plain: None) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    first, second = _run(suite_folder, results), _run(suite_folder, results, suite="inversion")
    for run in (first, second):
        max((run / "per_query").iterdir()).unlink()  # the first cell's is needed for the page
    build_index(results, out, keep=out / "data")
    with pytest.raises(UserError, match="is missing"):
        build_leaderboard(out / "data", out / "board")
    text = (second / "summary.json").read_text()
    (second / "summary.json").write_text(text.replace('"f-sd"', '"other"'))
    build_index(results, out, keep=out / "data")
    with pytest.raises(UserError, match="measured on different data"):
        build_leaderboard(out / "data", out / "board")


# --- the committed pages ----------------------------------------------------------------------------------------------

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.mark.skipif(not (REPORTS / "data").is_dir(), reason="no reports are published from this checkout yet")
def test_the_committed_pages_are_what_their_data_give(tmp_path: Path, plain: None) -> None:
    shutil.copytree(REPORTS / "data", tmp_path / "data")
    build_index(tmp_path / "data", tmp_path, leaderboard="leaderboard")
    build_leaderboard(tmp_path / "data", tmp_path / "leaderboard")
    built = {str(f.relative_to(tmp_path)): f for f in tmp_path.rglob("*") if f.suffix in {".md", ".csv", ".tex"}}
    for name, file in built.items():
        why = f"{name}: run make reports ARGS=--pages"
        if file.suffix == ".csv":
            # In full precision: the last digits are the processor's.
            committed_table, table = (pd.read_csv(f) for f in (REPORTS / name, file))
            try:
                pd.testing.assert_frame_equal(committed_table, table, rtol=1e-9, atol=1e-12)
            except AssertionError as error:
                raise AssertionError(why) from error
        else:
            assert (REPORTS / name).read_bytes() == file.read_bytes(), why
    committed = {str(f.relative_to(REPORTS)) for f in REPORTS.rglob("*") if f.suffix in {".md", ".csv", ".tex"}}
    assert committed == set(built)


@pytest.mark.slow
def test_two_runs_of_a_suite_give_the_same_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: None) -> None:
    import bench

    small = {"queries": 12, "samples": 1, "diversity_samples": 2, "diversity_queries": 4, "replicates": []}
    pages = []
    for name in ("a", "b"):
        monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / name / "cache"))
        bench.run("query-quality", preset="quick", set=small, out=tmp_path / name / "results")
        build_index(tmp_path / name / "results", tmp_path / name / "out")
        pages.append(_texts(tmp_path / name / "out"))
    assert pages[0] == pages[1]
