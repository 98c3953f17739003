"""`bench validate`: check suites, their prompts and the bundle files they need; loads no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import _options as options
from bench.errors import BundleError, UserError

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command()
def validate(
    suites: Annotated[list[str], typer.Argument(help="Suite files, names of suites, or folders.")],
    profile: options.ProfileOption = "mini",
    preset: options.PresetOption = "quick",
    set_: options.SetOption = None,
) -> int:
    """Check suites: every problem is told with file, line, key and the nearest valid name."""
    failures: list[str] = []
    for target in suites:
        for file in options.suite_files(target):
            try:
                print(_check(file, profile, preset, set_))
            except UserError as error:
                failures.append(str(error))
    if failures:
        raise UserError("\n".join(failures))
    return 0


def _check(file: Path, profile: str, preset: str, set_: list[str] | None) -> str:
    from bench import bundle
    from bench.plan import Plan
    from bench.suite import load_suite

    suite = load_suite(file, profile=profile, preset=preset, overrides=options.overrides(set_))
    try:
        problems = bundle.check(sorted(Plan(suite).bundle_files()))
    except BundleError as error:  # a part that no bundle has
        raise BundleError(f"{file}: {error}") from None
    if problems:
        raise BundleError("\n".join(dict.fromkeys(f"{file}: {problem}" for problem in problems)))
    claims = f", {len(suite.claims)} claims" if suite.claims else ""
    return f"{file}: ok ({suite.name}: {len(suite.retrievers)} retrievers, {len(suite.modifiers)} modifiers{claims})"
