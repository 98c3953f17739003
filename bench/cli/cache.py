"""`bench cache`: where computed latents and cells are kept, how large they are; and clear them."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.errors import UserError
from bench.settings import read_settings
from bench.store import Cache

__all__ = ["app"]

app = typer.Typer(add_completion=False, invoke_without_command=True)


@app.callback()
def cache(context: typer.Context) -> None:
    """Tell about the cache; `bench cache clear` empties it."""
    if context.invoked_subcommand is None:
        info()


@app.command()
def info() -> None:
    """Print the folder and its size."""
    folder = read_settings().cache_dir
    size = Cache(folder).size() if folder.exists() else 0
    print(f"{folder}\n{size / 1e6:.1f} MB (set BENCH_CACHE_DIR to move it)")


@app.command()
def clear(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove everything in the cache; results are kept."""
    folder = read_settings().cache_dir
    if not folder.exists():
        print(f"{folder}: already empty")
        return
    size = Cache(folder).size()
    if not yes and not typer.confirm(f"Remove {size / 1e6:.1f} MB in {folder}?", default=False):
        raise UserError("nothing was removed; say --yes to clear the cache without a question")
    Cache(folder).clear()
    print(f"{folder}: removed {size / 1e6:.1f} MB")
