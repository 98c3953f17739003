"""`bench cache`: where computed latents and cells are kept and how large they are; check, prune or clear them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UserError
from bench.settings import read_settings
from bench.store import Cache

__all__ = ["app"]

app = typer.Typer(add_completion=False, invoke_without_command=True)

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@app.callback()
def cache(context: typer.Context) -> None:
    """Tell about the cache; `bench cache verify`, `prune` and `clear` check and shrink it."""
    if context.invoked_subcommand is None:
        info()


@app.command()
def info() -> None:
    """Print the folder, and entries and size of each kind."""
    folder = _folder()
    kinds = Cache(folder).kinds() if folder.exists() else []
    print(folder)
    for kind in kinds:
        print(f"  {kind.name:<8} {kind.entries:>7} files {_megabytes(kind.bytes):>12}")
    print(f"{_megabytes(sum(kind.bytes for kind in kinds))} (set BENCH_CACHE_DIR to move it)")


@app.command()
def verify(remove: Annotated[bool, typer.Option("--remove", help="Remove what is damaged.")] = False) -> None:
    """Hold every entry against its checksum; exit code 4 if one is damaged and stays.

    A run does the same with the entries it reads, and computes damaged ones again.
    """
    cache = _cache()
    if cache is None:
        return
    damaged = cache.verify()
    for name in damaged:
        print(f"damaged: {cache.root / name}")
    if remove:
        cache.remove(damaged)
        print(f"{cache.root}: removed {len(damaged)} damaged files")
    elif damaged:
        print(f"{cache.root}: {len(damaged)} damaged files; `bench cache verify --remove` removes them")
        raise typer.Exit(4)  # 1 is the gate's alone
    else:
        print(f"{cache.root}: every checksum matches")


@app.command()
def prune(
    max_size: Annotated[str, typer.Option("--max-size", metavar="SIZE", help="Keep at most this: 500M, 2G.")] = "",
    unused_days: Annotated[
        float | None, typer.Option("--unused-days", min=0, help="Remove what was not used for so many days.")
    ] = None,
) -> None:
    """Remove what was not used for long, then the longest unused until the rest is small enough; results are kept."""
    if not max_size and unused_days is None:
        raise UserError("say what may go: --max-size 2G, --unused-days 30, or both (bench cache prune --help)")
    if unused_days is not None and not math.isfinite(unused_days):
        raise UserError(f"--unused-days {unused_days}: must be a finite number of days, such as 30")
    limit = _bytes(max_size) if max_size else None
    cache = _cache()
    if cache is None:
        return
    entries, size = cache.prune(limit, unused_days)
    print(f"{cache.root}: removed {entries} files, {_megabytes(size)}; {_megabytes(cache.size())} stay")


@app.command()
def clear(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove everything in the cache; results are kept, and files that are not the cache's own."""
    cache = _cache()
    if cache is None:
        return
    size = cache.size()
    if not yes and not _agreed(f"Remove {_megabytes(size)} in {cache.root}?"):
        raise UserError("nothing was removed; say --yes to clear the cache without a question")
    print(f"{cache.root}: removed {_megabytes(cache.clear())}")


def _folder() -> Path:
    """The cache's folder, which need not be there yet."""
    folder: Path = read_settings().cache_dir
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is no folder; set BENCH_CACHE_DIR to another one")
    return folder


def _agreed(question: str) -> bool:
    """The answer to a question; no where nobody can answer (a script without input)."""
    try:
        return bool(typer.confirm(question, default=False))
    except typer.Abort as stopped:
        if isinstance(stopped.__context__, EOFError):  # else Ctrl-C
            return False
        raise


def _cache() -> Cache | None:
    """The cache; None, and a word about it, where there is none."""
    folder = _folder()
    if folder.exists():
        return Cache(folder)
    print(f"{folder}: already empty")
    return None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)B?", text.strip(), re.IGNORECASE)
    size = float(match[1]) * _UNITS[match[2].upper()] if match else math.nan
    if not math.isfinite(size):
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise UserError(f"--max-size {shown}: is no size; write a number with K, M, G or T, such as 2G")
    return round(size)
