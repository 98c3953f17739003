"""`bench compare`: paired differences of two runs, or of two retrievers of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UserError

__all__ = ["app"]

app = typer.Typer(add_completion=False)

FORMATS = ("table", "md", "csv", "json")


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="A run's folder.")],
    b: Annotated[Path | None, typer.Argument(help="Another run's folder.")] = None,
    retrievers: Annotated[
        tuple[str, str] | None,
        typer.Option("--retrievers", help="Two retrievers: the first in A, the second in B, or in A too without B."),
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only cells of this dataset.")] = None,
    modifier: Annotated[str | None, typer.Option("--modifier", help="Only cells of this modifier.")] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", help="A metric, such as R@10 or logRank; may be given again (default: all)."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="Changed queries to list.")] = 10,
    format_: Annotated[str, typer.Option("--format", help="What is printed: table, md, csv or json.")] = "table",
) -> int:
    """Compare two runs, or two retrievers, query by query: differences with intervals, tests, changed queries."""
    if format_ not in FORMATS:
        raise UserError(f"--format {format_}: choose one of {', '.join(FORMATS)}")
    if b is None and retrievers is None:
        raise UserError("name a second run, or two retrievers of the first: --retrievers clap gdr-clap")
    from bench.comparison import compare_runs, output

    keys = [key.strip() for given in metrics or () for key in given.split(",") if key.strip()] or None
    found = compare_runs(a, b, retrievers=retrievers, dataset=dataset, modifier=modifier, metrics=keys, top=top)
    if format_ == "table":
        output.print_comparison(found)
    else:
        print({"md": output.as_markdown, "csv": output.as_csv, "json": output.as_json}[format_](found), end="")
    return 0
