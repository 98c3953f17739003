"""`bench ls`: list datasets, encoders, retrievers, modifiers, metrics and suites, with a line about each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from bench import registry, resources
from bench.errors import UserError

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("ls")
def list_parts(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(registry.KINDS)} or suites; all without it.")] = None,
) -> int:
    """List what there is. Descriptions are read from the source; nothing is imported."""
    kinds = [*registry.KINDS, "suites"]
    if kind is not None and kind not in kinds:
        close = registry.nearest(kind, kinds)
        hint = f"did you mean {close!r}?" if close else f"choose one of {', '.join(kinds)}"
        raise UserError(f"bench ls {kind}: no such kind; {hint}")
    for place, name in enumerate([kind] if kind else kinds):
        if kind is None:
            print(f"{'' if place == 0 else chr(10)}{name}")
        _print_table(
            list(_suites() if name == "suites" else _parts(registry.KINDS[name])), "  " if kind is None else ""
        )
    return 0


def _parts(parts: registry.Registry) -> Iterator[tuple[str, str]]:
    for name in parts.names():
        try:
            marks = [f"needs extra {extra}" for extra in parts.requires(name)]
            source = parts.distribution(name)
            marks += [f"from {source}"] if source else []
            yield name, parts.describe(name) + (f" [{'; '.join(marks)}]" if marks else "")
        except UserError as error:
            yield name, f"unusable: {error}"


def _suites() -> Iterator[tuple[str, str]]:
    from bench._suite_yaml import read_yaml

    for name in resources.suite_names():
        data = read_yaml(resources.suite_path(name)).data
        group = data.get("group", "default")
        yield name, f"{data.get('title', '')}{'' if group == 'default' else f' [group {group}]'}"


def _print_table(rows: list[tuple[str, str]], indent: str) -> None:
    """Two columns; on a terminal descriptions are cut to its width, elsewhere they are whole."""
    width = max((len(name) for name, _ in rows), default=0)
    room = None
    if sys.stdout.isatty():
        import shutil

        room = max(20, shutil.get_terminal_size().columns - width - len(indent) - 2)
    for name, text in rows:
        cut = text if room is None or len(text) <= room else f"{text[: room - 1]}…"
        print(f"{indent}{name:<{width}}  {cut}".rstrip())
