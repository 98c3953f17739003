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
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the pages (default: beside the results).")
    ] = None,
) -> int:
    """Write Markdown, CSV, HTML and figures from stored results; computes nothing anew."""
    from bench.report.build import build_index, build_report

    if (target / "summary.json").is_file():
        page = build_report(target)
        print(_copied(page, out) if out else page)
    elif target.is_dir():
        print(build_index(target, out or target))
    else:
        raise UserError(
            f"{target}: no such folder; give a run's folder, as `bench run` prints it, or a folder of results"
        )
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
