"""`bench compare`: what is printed, and what is refused with exit code 2."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def runs(write_run: Callable, tmp_path: Path) -> tuple[Path, Path]:
    ranks = np.random.default_rng(0).integers(1, 100, 60)
    cells = [{"ranks": ranks, "retriever": "clap"}, {"ranks": ranks // 3 + 1, "retriever": "gdr"}]
    a = write_run(tmp_path / "a", cells)
    return a, write_run(tmp_path / "b", [cells[0], {**cells[1], "ranks": ranks // 2 + 1}])


def test_two_runs(bench: Callable, runs: tuple[Path, Path]) -> None:
    done = bench("compare", *runs)
    assert done.code == 0, done.err
    assert "sd, gdr, unmodified, seed 0: 60 queries" in done.out
    assert "Most changed by reciprocal rank (10 of" in done.out
    assert "1 of 2 cells are the same in both, query by query: sd, clap" in done.out


def test_two_retrievers_of_a_run(bench: Callable, runs: tuple[Path, Path]) -> None:
    done = bench("compare", runs[0], "--retrievers", "clap", "gdr", "--metric", "logRank", "--top", "0")
    assert done.code == 0, done.err
    assert "B = gdr against A = clap" in done.out
    assert "MRR" not in done.out
    assert "Most changed" not in done.out


def test_formats_agree(bench: Callable, runs: tuple[Path, Path]) -> None:
    document = json.loads(bench("compare", *runs, "--format", "json").out)
    rows = list(csv.DictReader(io.StringIO(bench("compare", *runs, "--format", "csv").out)))
    assert [float(row["difference"]) for row in rows] == [row["difference"] for row in document["differences"]]
    assert [row["metric"] for row in rows] == [row["metric"] for row in document["differences"]]
    assert "| metric | A | B |" in bench("compare", *runs, "--format", "md").out
    again = bench("compare", *runs, "--format", "json").out
    assert json.loads(again) == document


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "two retrievers of the first"),
        (("--format", "xml"), "choose one of table, md, csv, json"),
        (("--retrievers", "clap", "gdd"), "did you mean 'gdr'"),
        (("missing",), "missing"),
    ],
)
def test_bad_input(bench: Callable, runs: tuple[Path, Path], arguments: tuple[str, ...], message: str) -> None:
    done = bench("compare", runs[0], *arguments)
    assert done.code == 2
    assert message in done.err


def test_different_data(bench: Callable, runs: tuple[Path, Path], write_run: Callable, tmp_path: Path) -> None:
    other = write_run(tmp_path / "c", [{"ranks": [1, 2], "retriever": "clap", "data_fingerprint": "f-other"}])
    done = bench("compare", runs[0], other)
    assert done.code == 2
    assert "'sd'" in done.err
    assert "f-sd" in done.err
    assert "f-other" in done.err


def test_help_loads_nothing_heavy(python: Callable) -> None:
    code = (
        "import sys; from bench.cli import main\n"
        "codes = [main([verb, '--help']) for verb in ('compare', 'gate', 'baseline')]\n"
        "sys.exit(any(codes) or any(name in sys.modules for name in ('torch', 'pandas', 'scipy')))"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
