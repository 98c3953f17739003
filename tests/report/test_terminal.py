"""The report on a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.report.terminal import print_report

MakeRun = Callable[..., Path]


def _printed(folder: Path, width: int) -> str:
    out = io.StringIO()
    print_report(folder, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_a_hundred_columns(
    negation_run: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(negation_run)
    assert max(map(len, _printed(negation_run, width).splitlines())) <= min(width, 100)


def test_it_shows_table_6_the_truth_the_claims_and_the_files(
    negation_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(negation_run.parent)
    text = _printed(negation_run, 100)
    for said in ("0.72 (0.85)", "Floor", "chance R@10 1.4 %", "unmodified", "contradicted", "3/3 supported"):
        assert said in text
    assert f"{negation_run.name}/report.html" in text
    assert f"{negation_run.name}/figures/frontier.png" in text


def test_paths_elsewhere_are_whole(negation_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(negation_run / "report.md") in _printed(negation_run, 100).splitlines()


def test_a_retrieval_run_prints_a_table_a_dataset(make_retrieval_run: MakeRun) -> None:
    text = _printed(make_retrieval_run(), 100)
    assert "Retrieval on PC restyled" in text
    assert text.count("GDR-CLAP") == 3
    assert "report.md" not in text


def test_an_editing_run_prints_methods_at_their_strengths(suite_folder: Callable[..., Any], tmp_path: Path) -> None:
    made = suite_folder("inversion", ("gained@10", "CLAP(gen+)", "CLAP(ZA+)"))
    made.add("gdr-clap")
    for strength in (0.2, 0.4, 0.8):
        made.add("gdr-clap", modifier="sdedit", strength=strength, steps=50)
    text = _printed(made.write(tmp_path), 100)
    assert "SDEdit, 20 of 50 steps" in text
    assert "40 of 50" not in text
    assert "CLAP(ZA+)" not in text


def test_a_run_of_many_metrics_prints_those_that_fit(suite_folder: Callable[..., Any], tmp_path: Path) -> None:
    metrics = (
        "R@1",
        "R@5",
        "CLAP(ZA+)",
        "CLAP(ZT+)",
        "MICS",
        "MINVS",
        "Vendi",
        "FAD(jam)",
        "FADunit(jam)",
        "FAD(eval)",
    )
    made = suite_folder("query-quality", metrics)
    made.add("mlp-diffusion")
    text = _printed(made.write(tmp_path), 100)
    assert "MLP diffusion" in text
    assert "FAD(eval)" not in text
