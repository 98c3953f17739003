"""`bench report`: write the report of a run, or of every run below a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UserError

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command()
def report(
    target: Annotated[Path, typer.Argument(help="A run's folder, or a folder of results.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to (default: beside the results).")] = None,
) -> int:
    """Write Markdown, CSV, HTML and figures from stored results; computes nothing anew."""
    runs = find_runs(target)
    from bench.report.build import build_report

    for run in runs:
        print(build_report(run, out / run.parent.name / run.name if out and len(runs) > 1 else out))
    return 0


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
