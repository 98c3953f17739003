"""Options that several verbs share, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import resources
from bench.errors import UserError

__all__ = ["DeviceOption", "OutOption", "PresetOption", "ProfileOption", "SetOption", "overrides", "suite_files"]

OutOption = Annotated[str | None, typer.Option("--out", help="Folder of results (default: $BENCH_OUT, else results).")]
ProfileOption = Annotated[str, typer.Option("--profile", help="What role names stand for: a profile's name or file.")]
PresetOption = Annotated[str, typer.Option("--preset", help="How much is run: quick or full.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, mps or auto.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the suite (dotted path); may be given again."),
]


def overrides(settings: Sequence[str] | None, seed: int | None = None) -> dict[str, Any]:
    """`--set key=value` as dotted path -> value, and `--seed`.

    Raises:
        UserError: there is no `=`, or the value is not YAML.
    """
    from bench._suite_yaml import parse_value

    found: dict[str, Any] = {} if seed is None else {"seeds": [seed]}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {text}: write KEY=VALUE, such as --set samples=5")
        found[key.strip()] = parse_value(value, f"--set {key.strip()}")
    return found


def suite_files(target: str) -> list[Path]:
    """The suite that a target names, or every suite of a folder.

    Raises:
        UserError: there is none.
    """
    folder = Path(target)
    if not folder.is_dir():
        return [resources.suite_path(target)]
    files = sorted(file for pattern in ("*.yaml", "*.yml") for file in folder.glob(pattern))
    if not files:
        raise UserError(f"{target}: no suite (*.yaml) in this folder")
    return files
