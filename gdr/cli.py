"""The command `gdr`: train a GDR model from a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli._app import guarded, run_typer
from bench.errors import UserError

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, help="GDR, the generative diffusion retriever.")


@app.callback()
def gdr() -> None:
    """GDR, the generative diffusion retriever."""


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML file: encoder, train, validation, model, config.")],
    out: Annotated[Path, typer.Option("--out", help="File of the weights.")] = Path("gdr.safetensors"),
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, mps or auto.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """Train a model on encoded pairs and save its weights."""
    if not config.is_file():
        raise UserError(f"{config}: no such configuration file")
    from bench.settings import resolve_device
    from gdr.train import train_from_config

    def say(done: int, total: int, text: str) -> None:
        print(f"{done}/{total} {text}", flush=True)

    train_from_config(config, out, resolve_device(device), None if quiet else say)
    print(out)


def main(argv: list[str] | None = None) -> int:
    """Run `gdr` and return its exit code; errors end as those of `bench` do."""
    import sys

    return guarded(lambda: run_typer(app, sys.argv[1:] if argv is None else argv, "gdr"))
