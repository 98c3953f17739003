"""`import bench`: run, load, look, compare."""

from __future__ import annotations

import json

import pytest

import bench
from bench.errors import UserError


@pytest.fixture(scope="module")
def result(small_run):
    return bench.load(small_run[0])


def test_importing_brings_no_torch(python):
    done = python("-c", "import bench, sys; bench.run, bench.load; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_what_is_public():
    for name in ("run", "load", "compare", "RunResult"):
        assert name in bench.__all__
        assert getattr(bench, name).__doc__


def test_run_gives_the_results(small_run, small_suite, tmp_path, no_report, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(small_run[1]))
    found = bench.run(small_suite, out=tmp_path / "out", threads=1)
    assert found.folder.parts[-2:] == small_run[0].parts[-2:]
    assert found.summary == bench.load(small_run[0]).summary


def test_settings_and_seed_are_overrides(small_suite, bundle_ready, tmp_path, no_report):
    changes = {"samples": 1, "modifiers": [], "claims": [], "replicates": []}
    found = bench.run(small_suite, set=changes, seed=5, out=tmp_path / "out", threads=1)
    (cell,) = found.summary["cells"]
    assert (cell["seed"], cell["params"]["samples"]) == (5, 1)


def test_a_table_has_a_row_a_cell_and_metric(result):
    frame = result.to_pandas()
    cells = result.summary["cells"]
    assert len(frame) == sum(len(cell["metrics"]) for cell in cells)
    assert {"key", "dataset", "space", "retriever", "modifier", "seed", "metric", "value", "lo", "hi", "n"} <= set(
        frame
    )
    row = frame[(frame["key"] == cells[0]["key"]) & (frame["metric"] == "MedR")].iloc[0]
    assert row["value"] == cells[0]["metrics"]["MedR"]["value"]


def test_values_per_query(result):
    cell = result.summary["cells"][0]
    assert len(result.per_query(cell["key"])) == cell["n_queries"]
    with pytest.raises(UserError, match="has no cell 'zzz'"):
        result.per_query("zzz")


def test_a_result_shows_itself(result):
    assert str(len(result.summary["cells"])) in repr(result)
    page = result._repr_html_()
    assert page.count("<tr>") > len(result.summary["cells"]) / 2  # all but the replicates
    assert "negative-prompting" in page


def test_a_run_agrees_with_itself(result, small_run):
    frame = bench.compare(result, str(small_run[0]))
    assert len(frame)


def test_runs_without_a_common_cell_cannot_be_compared(result, small_run, tmp_path):
    summary = json.loads((small_run[0] / "summary.json").read_text())
    for cell in summary["cells"]:
        cell["dataset"] = "other"
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(UserError):
        bench.compare(result, tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no summary\.json"):
        bench.load(tmp_path)
