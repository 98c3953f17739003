"""`bench latency` as a command: from a run to its leaderboard, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

SMALL = ("--set", "retriever=clap", "--set", "claims=[]", "--set", "datasets=[sd, mc-706]", "--set", "queries=30")


@pytest.fixture
def run(bench: Callable, bundle_ready: Path, no_report: None, tmp_path: Path) -> Path:
    """A run of mini-clap on two small datasets."""
    done = bench("run", "retrieval", *SMALL, "--threads", "1", "--quiet", "--out", tmp_path / "results")
    assert done.code == 0, done.err
    return Path(done.out.strip())


def test_the_times_of_a_run_reach_its_leaderboard(bench: Callable, run: Path, tmp_path: Path) -> None:
    summary = (run / "summary.json").read_bytes()
    done = bench("latency", run, "--queries", "3", "--threads", "1", "--device", "cpu")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == str(run / "latency.json")
    assert "cpu, 1 thread)" in done.out
    found = json.loads((run / "latency.json").read_text())
    cells = json.loads(summary)["cells"]
    assert set(found["cells"]) == {cell["key"] for cell in cells}
    assert {cell["query"]["n"] for cell in found["cells"].values()} == {3}
    row = next(line.split() for line in done.out.splitlines() if line.split()[:2] == ["clap", "mini-clap"])
    assert float(row[3]) == pytest.approx(1000 * found["cells"][cells[0]["key"]]["query"]["median"], rel=0.01)
    for name in ("sd", "mc-706"):
        assert f"{name} " in done.out.partition("The search for its ten nearest tracks")[2]

    assert bench("leaderboard", run, "--out", tmp_path / "board").code == 0
    frame = pd.read_csv(tmp_path / "board" / "leaderboard.csv").set_index("dataset")
    for cell in cells:
        seconds = found["cells"][cell["key"]]["query"]["median"]
        assert frame.loc[cell["dataset"], "query_latency_ms"] == pytest.approx(1000 * seconds)
    assert frame["latency_machine"].str.startswith("cpu, 1 threads").all()
    assert (run / "summary.json").read_bytes() == summary

    # Once more: the file is another one; and the suite's next run keeps it.
    assert bench("latency", run, "--queries", "2", "--threads", "1", "--device", "cpu").code == 0
    again = (run / "latency.json").read_text()
    assert {cell["query"]["n"] for cell in json.loads(again)["cells"].values()} == {2}
    done = bench("run", "retrieval", *SMALL, "--threads", "1", "--quiet", "--out", tmp_path / "results")
    assert Path(done.out.strip()) == run
    assert (run / "latency.json").read_text() == again


def test_what_is_refused(bench: Callable, tmp_path: Path) -> None:
    refused = {
        "no such file; name a run's folder": bench("latency", tmp_path / "none"),
        "--queries": bench("latency", tmp_path, "--queries", "0"),
        "--threads 0: must be at least 1": bench("latency", tmp_path, "--threads", "0"),
        "--device tpu": bench("latency", tmp_path, "--device", "tpu"),
    }
    for said, done in refused.items():
        assert done.code == 2
        assert said in done.err
        assert done.out == ""
    assert not list(tmp_path.glob("**/latency.json"))


@pytest.mark.parametrize("module", ["torch", "pandas", "matplotlib"])
def test_help_imports_nothing_heavy(python: Callable, module: str) -> None:
    code = f"import sys; from bench.cli import main; main(['latency', '--help']); sys.exit({module!r} in sys.modules)"
    done = python("-c", code)
    assert done.returncode == 0
    assert "--queries" in done.stdout
