"""A comparison as text: tables for the terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.comparison import CellComparison, Comparison, Difference
from bench.report._format import p_value, rounded
from bench.report._table import Entry, Table, mark, number, text
from bench.report._untrusted import escape
from bench.report.load import Value

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["as_csv", "as_json", "as_markdown", "console", "print_comparison", "print_table"]

_ARROW = {True: " ↑", False: " ↓", None: ""}
#: Cells beyond which the changed queries are left to JSON.
FEW = 4


def as_json(comparison: Comparison) -> str:
    """`Comparison.document` as JSON: sorted, so that equal input gives equal bytes."""
    return json.dumps(comparison.document(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(comparison: Comparison) -> str:
    """One row a cell and metric, in full precision."""
    return comparison.frame().to_csv(index=False, lineterminator="\n")


def as_markdown(comparison: Comparison) -> str:
    """The tables of the terminal as Markdown, and the notes below."""
    parts = [escape(_heading(comparison)), *(table.markdown() for table in _tables(comparison))]
    return "\n\n".join([*parts, "\n".join(f"- {escape(note)}" for note in _notes(comparison))]) + "\n"


def print_comparison(comparison: Comparison) -> None:
    """The tables on standard output, and the notes below."""
    from rich.text import Text

    out = console()
    out.print(Text(_heading(comparison)), soft_wrap=True)
    for table in _tables(comparison):
        print_table(out, table)
    for note in _notes(comparison):
        out.print(Text(f"note: {note}"), soft_wrap=True)


def console() -> Console:
    """Standard output; where nobody watches, lines are as long as they need to be."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=10_000)


def print_table(out: Console, table: Table) -> None:
    """One table with its footnotes."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    out.print(Text(table.title, style="bold"), soft_wrap=True)
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if place else "left", overflow="fold")
    for row in table.printed():
        shown.add_row(*map(Text, row))
    out.print(shown)
    for place, note in enumerate(table.notes()):
        out.print(Text(f"{mark(place)} {note}"), soft_wrap=True)


def _heading(comparison: Comparison) -> str:
    if comparison.retrievers and comparison.a == comparison.b:
        return f"{comparison.a}: B = {comparison.retrievers[1]} against A = {comparison.retrievers[0]}"
    return f"B = {comparison.b} against A = {comparison.a}"


def _tables(comparison: Comparison) -> list[Table]:
    shown = [cell for cell in comparison.cells if not cell.identical]
    found = []
    for cell in shown:
        found.append(_differences(cell))
        if cell.changes and len(shown) <= FEW:
            found.append(_changed(cell))
    return found


def _differences(cell: CellComparison) -> Table:
    title = f"{cell.label}: {cell.n} queries"
    title += f" in {cell.n_clusters} clusters" if cell.n_clusters != cell.n else ""
    asked = {side["n_queries"] for side in cell.pair}
    title += f", shared of {' and '.join(map(str, sorted(asked)))}" if asked != {cell.n} else ""
    rows = []
    for d in cell.differences:
        unit = d.info.unit
        effect = number(Value(d.difference, d.lo, d.hi, d.n, d.why), unit)
        if d.why and d.difference is not None:
            effect = effect._replace(note=d.why)
        rows.append(
            (
                text(f"{d.metric}{_ARROW[d.info.higher_is_better]}"), number(d.a, unit), number(d.b, unit), effect,
                text(p_value(d.p) if d.p is not None else "–"), text(p_value(d.p_holm) if d.p is not None else "–"),
                text("–" if d.detectable is None else rounded(d.detectable, unit)), _counts(d),
            )
        )  # fmt: skip
    columns = ("metric", "A", "B", "B − A [95 %]", "p", "p (Holm)", "detectable", "better/equal/worse")
    return Table("differences", title, columns, tuple(rows))


def _counts(d: Difference) -> Entry:
    if d.counts is None:
        return text("–")
    directionless = d.info.higher_is_better is None
    note = "neither direction is better: higher/equal/lower" if directionless else None
    return text("/".join(map(str, d.counts)), note)


def _changed(cell: CellComparison) -> Table:
    title = f"Most changed by reciprocal rank ({len(cell.changes)} of {cell.n_changed} changed queries)"
    rows = [
        (
            text(change.query_id), text(change.track), text(rounded(change.rank_a, "rank")),
            text(rounded(change.rank_b, "rank")), text(f"{change.moved:+.3f}"),
        )
        for change in cell.changes
    ]  # fmt: skip
    return Table("changes", title, ("query", "track", "rank in A", "rank in B", "B − A of 1/rank"), tuple(rows))


def _notes(comparison: Comparison) -> list[str]:
    same = [cell.label for cell in comparison.cells if cell.identical]
    shown = len(comparison.cells) - len(same)
    notes = []
    if shown:
        notes.append(
            f"intervals and p are clustered by track (and by negative); Holm over all {comparison.n_tests} tests of "
            "this comparison; detectable: the true difference that such a comparison finds with 80 % power at 5 %"
        )
    if same:
        named = "; ".join(same[:FEW]) + ("; …" if len(same) > FEW else "")
        notes.append(f"{len(same)} of {len(comparison.cells)} cells are the same in both, query by query: {named}")
    if shown > FEW:
        notes.append("queries that changed are printed for up to four cells: narrow by --dataset or --modifier")
    return notes
