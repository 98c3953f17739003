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
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the pages (default: beside the results).")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="md|csv|latex|html", help="Write only this (default: all).")
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option("--audio", metavar="DIR", help="Tracks that `bench data render` wrote, to be played in the page."),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option("--prompts", metavar="N|all", help="How many prompts the HTML page shows (default: 20)."),
    ] = None,
) -> int:
    """Write Markdown, CSV, HTML and figures from stored results; computes nothing anew."""
    from bench.report.build import PROMPTS, build_index, build_report

    if (target / "summary.json").is_file():
        shown = PROMPTS if prompts is None else _count(prompts)
        print(build_report(target, out=out, form=form, audio=audio, prompts=shown))
    elif target.is_dir():
        given = {"--format": form, "--audio": audio, "--prompts": prompts}
        own = [flag for flag, value in given.items() if value is not None]
        if own:
            raise UserError(f"{', '.join(own)}: for the page of one run, and {target} is a folder of several; name one")
        print(build_index(target, out or target))
    else:
        raise UserError(
            f"{target}: no such folder; give a run's folder, as `bench run` prints it, or a folder of results"
        )
    return 0


def _count(text: str) -> int | None:
    """A number of prompts; None for all."""
    if text == "all":
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UserError(f"--prompts {text}: write a number from 1, or all")
