"""`bench baseline`: save a run as a baseline, one file to commit, which `bench gate` compares others with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(add_completion=False, help="Save a run as a baseline for `bench gate`.", no_args_is_help=True)


@app.callback()
def _verb() -> None:
    """Keeps `save` a command of its own: typer would run the only one without its name."""


@app.command()
def save(
    run: Annotated[Path, typer.Argument(help="A run's folder, as `bench run` prints it.")],
    out: Annotated[Path, typer.Option("--out", help="The JSON file to write.")],
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", help="A metric to gate; may be given again (default: R@10, MRR and logRank)."),
    ] = None,
    retrievers: Annotated[
        list[str] | None,
        typer.Option("--retriever", help="A retriever to keep; again for more (default: all but training seeds)."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Keep modified cells and training seeds too.")] = False,
) -> int:
    """Write the ranks per query of a run's unmodified cells, with digests, to one JSON file."""
    from bench.comparison import one_run
    from bench.gate import save_baseline
    from bench.gate.files import check_targets

    check_targets({"--out": out})
    keys = [key.strip() for text in metrics or () for key in text.split(",") if key.strip()] or None
    found = one_run(run)
    cells = save_baseline(found, out, metrics=keys, retrievers=retrievers, every=every)
    print(f"{out}: {cells} cells of {found.suite} ({found.preset}), {out.stat().st_size / 1000:.0f} kB")
    return 0
