"""Runs and baselines that earlier versions wrote stay readable for ever: by every verb that reads one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

TESTS = Path(__file__).parents[1]
RUNS = sorted((TESTS / "historic_results").iterdir())
BASELINES = sorted((TESTS / "historic_baselines").iterdir())
RETRIEVAL = [run for run in RUNS if run.name.endswith("_retrieval")]

Bench = Callable[..., Any]


@pytest.fixture(params=RUNS, ids=lambda run: run.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an old run, two folders deep as in results/."""
    return shutil.copytree(request.param, tmp_path / "results" / "suite" / request.param.name)


@pytest.mark.parametrize("form", ["md", "csv", "latex", "html"])
def test_report(bench: Bench, old: Path, tmp_path: Path, form: str) -> None:
    done = bench("report", old, "--out", tmp_path / "out", "--format", form)
    assert (done.code, done.err) == (0, "")
    assert any((tmp_path / "out").rglob("*"))


def test_compare(bench: Bench, old: Path) -> None:
    done = bench("compare", old, old)
    assert done.code == 0, done.err
    assert "0 of" in done.out or "the same" in done.out


def test_baseline_and_gate(bench: Bench, old: Path, tmp_path: Path) -> None:
    saved = bench("baseline", "save", old, "--out", tmp_path / "b.json", "--all")
    assert saved.code == 0, saved.err
    margins = [word for key, m in (("R@10", 5), ("MRR", 5), ("logRank", 0.5)) for word in ("--margin", f"{key}={m}")]
    done = bench("gate", "--baseline", tmp_path / "b.json", "--candidate", old, *margins)
    assert done.code in (0, 3), done.err  # few queries decide nothing, but nothing is worse


def test_export(bench: Bench, old: Path, tmp_path: Path) -> None:
    done = bench("score", "export", old, "--out", tmp_path / "trec")
    assert done.code == 0, done.err
    assert any((tmp_path / "trec").rglob("*.trec"))


@pytest.mark.parametrize("run", RETRIEVAL, ids=lambda run: run.name)
def test_leaderboard(bench: Bench, run: Path, tmp_path: Path) -> None:
    for metric in ("R@10", "R@1", "R@5", "MRR"):
        done = bench("leaderboard", run, "--out", tmp_path / metric, "--by", metric)
        assert (done.code, done.err) == (0, "")
        frame = pd.read_csv(tmp_path / metric / "leaderboard.csv")
        assert sorted(frame["retriever"]) == ["clap", "gdr-clap", "ridge-clap"]
        assert frame["rank_low"].notna().all()
        assert frame["query_latency_ms"].notna().all()


@pytest.mark.parametrize("file", BASELINES, ids=lambda file: file.name)
def test_an_old_baseline_still_gates(bench: Bench, file: Path) -> None:
    margins = [word for key, m in (("R@10", 5), ("MRR", 5), ("logRank", 0.5)) for word in ("--margin", f"{key}={m}")]
    done = bench("gate", "--baseline", file, "--candidate", RETRIEVAL[0], *margins, "--format", "json")
    assert done.code in (0, 3), done.err
    assert '"verdict"' in done.out
