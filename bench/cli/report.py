"""`bench report`: write the report of a run, or of every run below a folder of results."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UserError

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command()
def report(
    target: Annotated[Path, typer.Argument(help="A run's folder, or a folder of results.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the pages (default: beside the results).")] = None,
) -> int:
    """Write Markdown, CSV, HTML and figures from stored results; computes nothing anew."""
    from bench.report.build import build_index, build_report

    runs = find_runs(target)
    pages = [build_report(run) for run in runs]
    if (target / "summary.json").is_file():
        print(_copied(pages[0], out) if out else pages[0])
    else:
        print(build_index(target, out or target))
    return 0


def _copied(page: Path, out: Path) -> Path:
    """A run's report, copied to another folder."""
    from bench.store import ensure_writable

    ensure_writable(out, "--out")
    for name in ("report.md", "report.html"):
        if (page.parent / name).is_file():
            shutil.copyfile(page.parent / name, out / name)
    for name in ("figures", "tables"):
        if (page.parent / name).is_dir():
            shutil.copytree(page.parent / name, out / name, dirs_exist_ok=True)
    return out / page.name


def find_runs(target: Path) -> list[Path]:
    """Folders with a summary.json, at or below a folder.

    Raises:
        UserError: there is none.
    """
    if not target.exists():
        raise UserError(f"{target}: no such folder; give a run's folder, as `bench run` prints it")
    if (target / "summary.json").is_file():
        return [target]
    runs = sorted(file.parent for file in target.glob("**/summary.json"))
    if not runs:
        raise UserError(
            f"{target}: no finished run in it (no summary.json); run `bench run SUITE --out {target}` first"
        )
    return runs
