"""`bench leaderboard` as a command: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest


def _write_run(folder: Path, fingerprint: str = "f", **shares: float) -> Path:
    """A run whose retrievers find a share of 200 tracks first, and the rest not at all."""
    (folder / "per_query").mkdir(parents=True)
    cells = []
    for name, share in shares.items():
        hits = [100.0 * (i < 200 * share) for i in range(200)]
        ids = [f"q{i}" for i in range(200)]
        frame = pd.DataFrame({"query_id": ids, "cluster_id": ids, "R@10": hits})
        frame.to_parquet(folder / "per_query" / f"{name}.parquet", index=False)
        value = {"value": 100 * share, "ci": None, "n": 200, "why_null": None}
        cells.append(
            {"key": name, "dataset": "sd", "data_fingerprint": fingerprint, "space": "mini-clap", "retriever": name,
             "modifier": "none", "params": {}, "seed": 0, "n_queries": 200, "n_gallery": 700, "nfe": 0,
             "protocol": "track", "metrics": {"R@10": value}}
        )  # fmt: skip
    info = {"R@10": {"higher_is_better": True, "unit": "%", "range": [0, 100], "level": "query"}}
    summary = {"schema_version": 1, "suite": "mine", "preset": "quick", "cells": cells, "metric_info": info}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_it_writes_three_files_and_prints_the_page(bench: Callable, tmp_path: Path) -> None:
    _write_run(tmp_path / "results" / "mine" / "one", good=0.9, bad=0.2)
    done = bench("leaderboard", tmp_path / "results", "--out", tmp_path / "board")
    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == str(tmp_path / "board" / "index.html")
    assert sorted(file.name for file in (tmp_path / "board").iterdir()) == [
        "index.html", "leaderboard.csv", "leaderboard.md",
    ]  # fmt: skip
    frame = pd.read_csv(tmp_path / "board" / "leaderboard.csv")
    assert frame[["retriever", "rank_low", "rank_high"]].to_numpy().tolist() == [["good", 1, 1], ["bad", 2, 2]]


def test_several_folders_are_put_together_and_one_named_twice_counts_once(bench: Callable, tmp_path: Path) -> None:
    one, two = _write_run(tmp_path / "one", good=0.9), _write_run(tmp_path / "two", bad=0.2, worse=0.1)
    assert bench("leaderboard", one, two, tmp_path, "--out", tmp_path / "board").code == 0
    frame = pd.read_csv(tmp_path / "board" / "leaderboard.csv")
    assert frame["retriever"].tolist() == ["good", "bad", "worse"]
    assert "Left out" not in (tmp_path / "board" / "leaderboard.md").read_text()


def test_what_is_refused(bench: Callable, tmp_path: Path) -> None:
    one, two = _write_run(tmp_path / "one", good=0.9), _write_run(tmp_path / "two", fingerprint="g", bad=0.2)
    out = ("--out", tmp_path / "board")
    refused = {
        "holds no results": bench("leaderboard", tmp_path / "none", *out),
        "--by MedR": bench("leaderboard", one, "--by", "MedR", *out),
        f"{two} has g": bench("leaderboard", one, two, *out),
        "is missing": bench("leaderboard", _broken(one), *out),
    }
    for said, done in refused.items():
        assert done.code == 2
        assert said in done.err
    assert not (tmp_path / "board").exists()


def _broken(folder: Path) -> Path:
    next((folder / "per_query").iterdir()).unlink()
    return folder


@pytest.mark.parametrize("module", ["torch", "pandas", "matplotlib"])
def test_help_imports_nothing_heavy(python: Callable, module: str) -> None:
    code = (
        f"import sys; from bench.cli import main; main(['leaderboard', '--help']); sys.exit({module!r} in sys.modules)"
    )
    done = python("-c", code)
    assert done.returncode == 0
    assert "--by" in done.stdout
