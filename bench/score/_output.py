"""Scores as text: a table for the terminal, JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from bench.report._format import p_value
from bench.report._table import Entry, Table, mark, number, text
from bench.report.load import Value
from bench.score._metrics import Scores

__all__ = ["as_csv", "as_json", "as_markdown", "print_scores"]


def as_json(scores: Scores) -> str:
    """`Scores.document` as JSON: sorted, so that equal input gives equal bytes."""
    return json.dumps(scores.document(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(scores: Scores) -> str:
    """One row a metric, in full precision; with a comparison its columns too."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    other = ("other", "difference", "difference_lo", "difference_hi", "p", "p_holm", "why_no_p")
    writer.writerow(["metric", "value", "lo", "hi", "n", "chance", "why_null", *(other if scores.comparison else ())])
    for key, found in scores.metrics.items():
        row = [key, found["value"], *(found["ci"] or ("", "")), found["n"], scores.chance.get(key), found["why_null"]]
        pair = (scores.comparison or {}).get(key)
        if pair is not None:
            row += [pair["b"], pair["difference"], *(pair["ci"] or ("", "")), pair["p"], pair["p_holm"]]
            row.append(pair["why_null"])
        elif scores.comparison:
            row += [""] * len(other)
        writer.writerow(["" if value is None else value for value in row])
    return table.getvalue()


def as_markdown(scores: Scores) -> str:
    """The tables of the terminal as Markdown, and the notes below."""
    parts = [table.markdown() for table in _tables(scores)]
    parts += ["\n".join(f"- {note}" for note in scores.notes)] if scores.notes else []
    return "\n\n".join(parts) + "\n"


def print_scores(scores: Scores) -> None:
    """The tables on standard output, and the notes below."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    out = Console()
    # Where nobody watches, lines are as long as they need to be.
    wide = None if out.is_terminal else 10_000
    for table in _tables(scores):
        out.print(Text(table.title, style="bold"), width=wide, soft_wrap=True)
        shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, column in enumerate(table.columns):
            shown.add_column(Text(column), justify="right" if place else "left", overflow="fold")
        for row in table.printed():
            shown.add_row(*map(Text, row))
        out.print(shown, width=wide)
        for place, note in enumerate(table.notes()):
            out.print(Text(f"{mark(place)} {note}"), width=wide, soft_wrap=True)
    for note in scores.notes:
        out.print(Text(f"note: {note}"), width=wide, soft_wrap=True)


def _tables(scores: Scores) -> list[Table]:
    tables = [_table(scores)]
    return [*tables, _comparison(scores, scores.comparison)] if scores.comparison else tables


def _table(scores: Scores) -> Table:
    title = f"{scores.n_queries} queries"
    if scores.n_clusters != scores.n_queries:
        title += f" in {scores.n_clusters} clusters"
    if scores.tie_rate is not None:
        searched = "an unknown number of" if scores.n_gallery is None else f"{scores.n_gallery}"
        title += f", {searched} items; ties {scores.ties}, tie rate {scores.tie_rate:.1f} %"
    rows = []
    for key, found in scores.metrics.items():
        info = scores.metric_info[key]
        value = _value(found["value"], found["ci"], found["n"], found["why_null"])
        chance = scores.chance.get(key)
        by_chance = text("–") if chance is None else number(Value(chance), info["unit"])
        rows.append((text(f"{key}{_arrow(info)}"), number(value, info["unit"]), by_chance, text(str(found["n"]))))
    return Table("scores", title, ("metric", "value [95 %]", "chance", "n"), tuple(rows))


def _comparison(scores: Scores, pairs: dict[str, dict[str, Any]]) -> Table:
    rows = []
    for key, pair in pairs.items():
        info = scores.metric_info[key]
        unit = info["unit"]
        sides = [number(Value(pair[side]), unit) for side in ("a", "b")]
        difference = number(_value(pair["difference"], pair["ci"], pair["n"], pair["why_null"]), unit)
        note = pair["why_null"] if pair["p"] is None else None
        p = Entry(p_value(pair["p"]), None, note)
        rows.append((text(f"{key}{_arrow(info)}"), *sides, difference, p, text(p_value(pair["p_holm"]))))
    columns = ("metric", "run", "other", "run − other [95 %]", "p", "p (Holm)")
    return Table("comparison", "Paired differences", columns, tuple(rows))


def _value(value: float | None, ci: list[float] | None, n: int, why: str | None) -> Value:
    lo, hi = ci or (None, None)
    return Value(value, lo, hi, n, why)


def _arrow(info: dict[str, Any]) -> str:
    return {True: " ↑", False: " ↓", None: ""}[info["higher_is_better"]]
