"""`bench leaderboard`: one page, table and CSV that rank the retrievers of stored runs, with rank intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command()
def leaderboard(
    results: Annotated[list[Path], typer.Argument(help="Folders of results, or of runs; several are put together.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the three files.")] = Path("reports/leaderboard"),
    by: Annotated[str, typer.Option("--by", help="Metric of the ranks: R@10, R@1, R@5 or MRR.")] = "R@10",
) -> int:
    """Write leaderboard.md, leaderboard.csv and index.html from stored runs; computes nothing anew.

    Rows are the unmodified queries of runs without prompts (retrieval, encoder-pairs, query-quality and others), full
    preset before quick. Ranks are intervals: each pair of retrievers is compared on the same queries.
    """
    from bench.leaderboard import build_leaderboard

    print(build_leaderboard(results, out, by))
    return 0
