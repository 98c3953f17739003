"""`bench report` of a run: one format alone, how many prompts, and options that are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_format_is_the_same_part_of_the_whole_and_nothing_else(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    before = _tree(run)
    assert main(["report", str(run), "--out", str(tmp_path / "all")]) == 0
    whole = _tree(tmp_path / "all")
    parts: dict[str, bytes] = {}
    for form, ends in (("md", (".md", ".png")), ("csv", (".csv",)), ("latex", (".tex",)), ("html", (".html",))):
        out = tmp_path / form
        assert main(["report", str(run), "--format", form, "--out", str(out)]) == 0
        assert Path(capsys.readouterr().out.splitlines()[-1]).exists()
        found = _tree(out)
        assert found == {name: content for name, content in whole.items() if name.endswith(ends)}
        assert any(name.endswith(ends[0]) for name in found)
        parts |= found
    assert {name for name in whole if name not in parts} <= {name for name in whole if name.endswith(".svg")}
    assert _tree(run) == before


def test_a_format_without_a_folder_goes_into_the_runs_own(make_run: Callable[..., Path]) -> None:
    run = make_run()
    before = set(_tree(run))
    assert main(["report", str(run), "--format", "csv"]) == 0
    assert {name.split("/")[0] for name in set(_tree(run)) - before} == {"tables"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "pdf"], "--format pdf: write one of md, csv, latex, html"),
        (["--prompts", "0"], "--prompts 0: write a number from 1, or all"),
        (["--prompts", "many"], "--prompts many"),
    ],
)
def test_wrong_options_are_refused(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    run = make_run()
    before = _tree(run)
    assert main(["report", str(run), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert _tree(run) == before


def test_options_of_one_run_are_refused_for_a_folder_of_runs(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results = make_run().parents[1]
    assert main(["report", str(results), "--format", "md", "--prompts", "all"]) == 2
    assert "--format, --prompts: for the page of one run" in capsys.readouterr().err


def test_the_command_line_chooses_how_many_prompts(toy: Any, make_run: Callable[..., Path]) -> None:
    run = make_run()
    for given, shown in (("1", 1), ("all", 2)):
        assert main(["report", str(run), "--format", "html", "--prompts", given]) == 0
        assert len(toy.read((run / "report.html").read_text()).all("details", "prompt")) == shown
