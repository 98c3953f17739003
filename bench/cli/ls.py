"""`bench ls`: list datasets, encoders, retrievers, modifiers, metrics and suites, with a line about each."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from bench import registry, resources
from bench.errors import UserError

__all__ = ["app"]

app = typer.Typer(add_completion=False)

#: The literals of a `bench.metrics.measured.Metric(...)`, by place.
_METRIC_FIELDS = ("name", "pattern", "unit", "higher_is_better", "range", "description", "per_query", "statistic")
_METRIC_HEAD = ("key", "better", "unit", "range", "level", "needs", "description")
_BETTER = {True: "↑", False: "↓", None: "–"}


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
        _print_table(_rows(name), "  " if kind is None else "")
    return 0


def _rows(kind: str) -> list[tuple[str, ...]]:
    if kind == "suites":
        return list(_suites())
    if kind == "metrics":
        return [_METRIC_HEAD, *map(_metric, registry.metrics.names())]
    return list(_parts(registry.KINDS[kind]))


def _parts(parts: registry.Registry) -> Iterator[tuple[str, str]]:
    for name in parts.names():
        try:
            yield name, _marked(parts, name, parts.describe(name))
        except UserError as error:
            yield name, f"unusable: {error}"


def _marked(parts: registry.Registry, name: str, text: str) -> str:
    """A description, and what a part needs or who brings it."""
    marks = [f"needs extra {extra}" for extra in parts.requires(name)]
    source = parts.distribution(name)
    marks += [f"from {source}"] if source else []
    return text + (f" [{'; '.join(marks)}]" if marks else "")


def _metric(name: str) -> tuple[str, ...]:
    """A family of metrics: what it declares, as far as that stands in its source as plain values."""
    try:
        found = registry.metrics.definition(name)
        call = getattr(found.node, "value", None) if found else None
        declared = _literals(call) if isinstance(call, ast.Call) else {}
        text = declared.get("description") or registry.metrics.describe(name)
        about = f" ({declared['reference']})" if declared.get("reference") else ""
        text = _marked(registry.metrics, name, text + about)
    except UserError as error:
        return name, "", "", "", "", "", f"unusable: {error}"
    level = "query" if declared.get("per_query") else "set" if declared.get("statistic") else "?"
    better = _BETTER[declared["higher_is_better"]] if "higher_is_better" in declared else "?"
    needs = ",".join(declared.get("needs", ())) or "–"
    return name, better, str(declared.get("unit", "?")), _range(declared.get("range")), level, needs, text


def _literals(call: ast.Call) -> dict[str, Any]:
    """Arguments of a call by name, as far as they are plain values; of a function only that it is there."""
    given = dict(zip(_METRIC_FIELDS, call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
    found: dict[str, Any] = {}
    for name, node in given.items():
        try:
            found[name] = ast.literal_eval(node)
        except ValueError:
            if name in ("per_query", "statistic"):
                found[name] = True
    return found


def _range(bounds: tuple[float | None, float | None] | None) -> str:
    """`0…100`, `≥ 1`, `≤ 1`, or nothing known."""
    low, high = bounds or (None, None)
    if low is None or high is None:
        return f"≥ {low:g}" if low is not None else f"≤ {high:g}" if high is not None else "any"
    return f"{low:g}…{high:g}"


def _suites() -> Iterator[tuple[str, str]]:
    from bench._suite_yaml import read_yaml

    for name in resources.suite_names():
        data = read_yaml(resources.suite_path(name)).data
        group = data.get("group", "default")
        yield name, f"{data.get('title', '')}{'' if group == 'default' else f' [group {group}]'}"


def _print_table(rows: list[tuple[str, ...]], indent: str) -> None:
    """Columns, the last one a text; on a terminal texts are cut to its width, elsewhere they are whole."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    room = None
    if sys.stdout.isatty():
        import shutil

        room = max(20, shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths) - len(indent))
    for *cells, text in rows:
        cut = text if room is None or len(text) <= room else f"{text[: room - 1]}…"
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
        print(f"{indent}{start}{cut}".rstrip())
