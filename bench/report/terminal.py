"""A run's report on the terminal: the main tables, the claims, and where the rest is; at most 100 columns wide."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import _page_editing, tables
from bench.report._groups import Group, groups, metric_like
from bench.report._table import Table, mark
from bench.report._tables_negation import by_truth, paper_table6
from bench.report._untrusted import one_line
from bench.report.load import Run

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_report"]

WIDTH = 100
_COMPACT = ("negated_share@10", "removal@10", "kept@10", "R@10")
_EDITING = ("R@10", "gained@10", "wanted_share@10", "kept@10", "CLAP(gen+)")
_RETRIEVAL = ("R@1", "R@5", "R@10", "R@10(norm)", "MedR", "NMedR", "MRR")
#: Metrics that stand side by side.
WIDE = 8
_SHORT = {"negated_share@10": "negated@10"}
_VERDICT = {"supported": "green", "contradicted": "red", "inconclusive": "yellow"}


def print_report(run_dir: str | Path, console: Console | None = None) -> None:
    """Print a run's main tables and claims, and the paths of its report and figures.

    Args:
        run_dir: `results/<suite>/<run-id>`.
        console: where to; default a console on standard output.

    Raises:
        UserError: a file of the run is missing or cannot be read.
    """
    from rich.console import Console
    from rich.text import Text

    run = Run(run_dir)
    out = console or Console()
    out.print(Text(one_line(str(run.summary.get("title") or run.suite)), style="bold"), width=_width(out))
    if run.is_negation:
        for group in groups(run):
            _print_negation(out, group)
    elif "gained@10" in run.metric_info:
        for group in groups(run):
            out.print(Text(tables.header_line(group.cells, run.preset)), width=_width(out))
            _print_table(out, _page_editing.by_truth(group, _EDITING, intervals=False))
    else:
        # What does not fit in a hundred columns is in the report.
        wide = tuple(m for m in run.metric_info if m not in _RETRIEVAL)[WIDE - len(tables.measured(run, _RETRIEVAL)) :]
        for cells in tables.retrieval_cells(run).values():
            out.print(Text(tables.header_line(cells, run.preset)), width=_width(out))
            _print_table(out, tables.retrieval_table(run, "retrieval", cells, intervals=False, without=wide))
    _print_claims(out, run)
    for path in _paths(run):
        out.print(Text(path), soft_wrap=True)


def _width(console: Console) -> int:
    return min(WIDTH, console.width)


def _print_negation(out: Console, group: Group) -> None:
    from rich.text import Text

    out.print(Text(f"{group.title}: {tables.header_line(group.cells, group.run.summary['preset'])}"), width=_width(out))
    _print_table(out, paper_table6(group, beside=True), drop="paper ")
    out.print(Text(tables.floor_line(group.run)), width=_width(out))
    compact = (*_COMPACT, metric_like(group.run, "FADunit("))
    _print_table(out, by_truth(group, compact, intervals=False))


def _print_table(out: Console, table: Table, drop: str = "") -> None:
    """A table of the report; `drop` is left out of its entries to save room."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD, title=Text(table.title), title_justify="left", pad_edge=False)
    for index, column in enumerate(table.columns):
        name = next((column.replace(long, short) for long, short in _SHORT.items() if long in column), column)
        # The first column names the row: a name of one letter a line cannot be read.
        shown.add_column(
            Text(name), justify="right" if index else "left", overflow="fold", min_width=None if index else 12
        )
    for row in table.printed():
        shown.add_row(*(Text(content.replace(drop, "") if drop else content) for content in row))
    out.print(shown, width=_width(out))
    for index, note in enumerate(table.notes()):
        out.print(Text(f"{mark(index)} {note}", style="dim"), width=_width(out))


def _print_claims(out: Console, run: Run) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    claims = run.summary.get("claims", [])
    if not claims:
        return
    shown = RichTable(box=box.SIMPLE_HEAD, title="Claims", title_justify="left", pad_edge=False)
    for name in ("claim", "verdict", "effect, 95 % interval", "training seeds"):
        shown.add_column(name, justify="right" if name.startswith("effect") else "left", overflow="fold")
    for claim in claims:
        verdict = Text(claim["verdict"], style=_VERDICT.get(claim["verdict"], ""))
        effect = Text(tables.effect_entry(run, claim).text)
        shown.add_row(Text(claim["id"]), verdict, effect, Text(tables.stability(claim)))
    out.print(shown, width=_width(out))
    for claim in claims:
        if claim["verdict"] == "contradicted":
            out.print(Text(f"Contradicted: {claim['text']}"), width=_width(out))


def _paths(run: Run) -> list[str]:
    """Where the report and its figures are, relative to the working folder where they lie below it."""
    found = [run.folder / name for name in ("report.md", "report.html")]
    found += sorted((run.folder / "figures").glob("*.png"))
    return [_short(path) for path in found if path.is_file()]


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
