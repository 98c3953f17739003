"""`bench latency`: time one query of each retriever of a run on this machine, for the leaderboard."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import _options as options
from bench.settings import read_settings

if TYPE_CHECKING:
    from bench.report._table import Entry, Table

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command()
def latency(
    run: Annotated[Path, typer.Argument(help="A run's folder, as `bench run` prints it.")],
    queries: Annotated[int, typer.Option("--queries", min=1, help="Queries to time for each retriever.")] = 20,
    threads: Annotated[int | None, typer.Option("--threads", help="Threads (default: physical cores).")] = None,
    device: options.DeviceOption = "auto",
) -> int:
    """Time one query of each retriever, and write latency.json into the run's folder; an earlier one is replaced.

    Retrievers are asked one caption at a time, and nothing is taken from the cache. Modified queries are not timed.
    """
    settings = read_settings(threads=threads, device=device)
    # Before the libraries that read them are loaded.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(settings.threads)
    from bench.comparison.output import console, print_table
    from bench.latency import write_latency

    with _progress() as tick:
        file = write_latency(run, queries=queries, device=settings.device, threads=settings.threads, tick=tick)
    document = json.loads(file.read_text(encoding="utf-8"))
    out = console()
    for table in _tables(document):
        print_table(out, table)
    print(file)
    return 0


@contextmanager
def _progress() -> Iterator[Callable[[str], None] | None]:
    """On a terminal: which retriever is timed."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("loading") as status:
        yield lambda name: status.update(f"timing {name}")


def _tables(document: dict[str, Any]) -> list[Table]:
    from bench.report._table import Table, text

    host, cells, count = document["host"], document["cells"].values(), document["threads"]
    where = f"{host['processor'] or host['machine']}, {document['device']}, {count} thread{'' if count == 1 else 's'}"
    asked, searched = {}, {}
    for cell in cells:
        evaluations = f"{cell['nfe']} × {cell['samples']}" if cell["nfe"] and cell["samples"] > 1 else str(cell["nfe"])
        asked[cell["retriever"]] = (
            text(cell["retriever"]), text(cell["space"]), text(evaluations), *_times(cell["query"], cell["why_null"])
        )  # fmt: skip
        if cell["ranking"]:
            searched[cell["dataset"], cell["space"]] = (
                text(cell["dataset"]), text(cell["space"]), text(str(cell["n_gallery"])), *_times(cell["ranking"]),
            )  # fmt: skip
    times = ("median, ms", "10 %", "90 %", "n")
    found = [
        Table("query", f"One query, from text to vector ({where})", ("retriever", "space", "NFE", *times),
              tuple(asked.values())),
        Table("ranking", "The search for its ten nearest tracks, which comes on top", ("dataset", "space", "N", *times),
              tuple(searched.values())),
    ]  # fmt: skip
    return [table for table in found if table.rows]


def _times(found: dict[str, Any] | None, why: str | None = None) -> tuple[Entry, ...]:
    """Median, percentiles and number of calls, in milliseconds; or why there are none."""
    from bench.report._format import rounded
    from bench.report._table import text

    if found is None:
        return text("n/a", why), text("–"), text("–"), text("–")
    return (*(text(rounded(1000 * found[key], "ms")) for key in ("median", "p10", "p90")), text(str(found["n"])))
