"""`bench gate`: hold a run against a committed baseline; exit 0 no regression, 1 regression, 3 inconclusive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli._app import answered
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.gate import GateResult

__all__ = ["app"]

app = typer.Typer(add_completion=False)

FORMATS = ("table", "md", "json")


@app.command()
def gate(
    baseline: Annotated[Path, typer.Option("--baseline", help="What `bench baseline save` wrote.")],
    candidate: Annotated[Path, typer.Option("--candidate", help="The run's folder.")],
    margins: Annotated[
        list[str] | None,
        typer.Option("--margin", metavar="METRIC=LOSS", help="Loss to accept, such as R@10=1.0; may be given again."),
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Gate this metric; may be given again (default: baseline's).")
    ] = None,
    retrievers: Annotated[
        list[str] | None, typer.Option("--retriever", help="Gate only this retriever of the baseline; again for more.")
    ] = None,
    datasets: Annotated[
        list[str] | None, typer.Option("--dataset", help="Gate only this dataset of the baseline; again for more.")
    ] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="OLD=NEW", help="The candidate's name of a retriever; may be given again."),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Also write Markdown to this file.")] = None,
    inconclusive: Annotated[
        str, typer.Option("--inconclusive", help="In JUnit: fail, or pass as skipped. The exit code stays 3.")
    ] = "pass",
    format_: Annotated[str, typer.Option("--format", help="What is printed: table, md or json.")] = "table",
) -> int:
    """Compare a run with a baseline: exit 0 no regression, 1 regression, 3 inconclusive, 2 bad input."""
    for flag, value, known in (("--format", format_, FORMATS), ("--inconclusive", inconclusive, ("fail", "pass"))):
        if value not in known:
            raise UserError(f"{flag} {value}: choose one of {', '.join(known)}")
    given = {key: _loss(key, value) for key, value in _pairs("--margin", margins, "R@10=1.0").items()}
    names = _pairs("--as", renamed, "gdr-clap=my-encoder")
    from bench import gate as gating
    from bench.comparison import one_run
    from bench.gate import output
    from bench.gate.files import check_targets, write

    check_targets({"--junit": junit, "--markdown": markdown}, {"--baseline": baseline})
    keys = [key.strip() for text in metrics or () for key in text.split(",") if key.strip()] or None
    result = gating.gate(
        gating.load_baseline(baseline), one_run(candidate), margins=given, metrics=keys, renamed=names,
        retrievers=retrievers, datasets=datasets,
    )  # fmt: skip
    if junit is not None:
        write(junit, output.as_junit(result, inconclusive_fails=inconclusive == "fail"))
    if markdown is not None:
        write(markdown, output.as_markdown(result))
    return answered(result.exit_code, lambda: _show(result, format_))


def _show(result: GateResult, format_: str) -> None:
    from bench.gate import output

    if format_ == "table":
        output.print_gate(result)
    else:
        print({"md": output.as_markdown, "json": output.as_json}[format_](result), end="")


def _pairs(flag: str, given: Sequence[str] | None, example: str) -> dict[str, str]:
    """`KEY=VALUE` options.

    Raises:
        UserError: another form, or a key that is given twice.
    """
    found: dict[str, str] = {}
    for text in given or ():
        key, equals, value = (part.strip() for part in text.rpartition("="))
        if not (key and equals and value):
            raise UserError(f"{flag} {text}: write it as {example}")
        if key in found:
            raise UserError(f"{flag} {key} is given twice; give it once")
        found[key] = value
    return found


def _loss(key: str, value: str) -> float:
    try:
        loss = float(value)
    except ValueError:
        loss = math.nan
    if math.isnan(loss):
        raise UserError(f"--margin {key}={value}: {value!r} is no number; write it as R@10=1.0")
    return loss
