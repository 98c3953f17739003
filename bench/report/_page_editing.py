"""Pages of editing suites: Figure 5 (refining a query), Figure 4 (the inversion step by step), edits of tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.report import figures, tables
from bench.report._format import cell_label, family_label, slug
from bench.report._groups import Cell, Group, groups
from bench.report._page import Page
from bench.report._plots import Chart, Dot, Line, Panel, dots_figure, lines_figure
from bench.report._table import Entry, Table, text
from bench.report._tables_negation import area_table, methods
from bench.report._untrusted import escape
from bench.report.load import Run, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["by_truth", "inversion_page", "track_edits_page", "trajectory_page"]

#: Target of a CLAP score -> how figures and tables call it.
TARGETS: Mapping[str, str] = {
    "CLAP(ZA+)": "target track (ZA+)", "CLAP(gen+)": "first query (gen+)",
    "CLAP(gen:new)": "query of the refined\nprompt (gen:new)", "CLAP(ZT+)": "first prompt (ZT+)",
    "CLAP(ZT:new)": "refined prompt (ZT:new)", "CLAP(ZT:added)": "added words (ZT:added)",
    "CLAP(ZT:removed)": "removed words (ZT:removed)",
}  # fmt: skip
AUDIO = ("CLAP(ZA+)", "CLAP(gen+)", "CLAP(gen:new)")
TEXT = ("CLAP(ZT+)", "CLAP(ZT:new)", "CLAP(ZT:added)", "CLAP(ZT:removed)")
#: Figure 5's text panel compares with the two prompts, Figure 4's with the words too.
FIGURE5 = (AUDIO, TEXT[:2])
GAINED = figures.FrontierText(
    "gain: share of the top 10's missing places that are gained (gained@10)",
    "closeness: cosine to the first query, CLAP(gen+)", "unedited", False,
)  # fmt: skip
#: What a table of methods shows.
TRUTH = (
    "R@1", "R@5", "R@10", "MRR", "edit_accuracy", "wanted_share@10", "gained@10", "kept@10", "overlap@10",
    "CLAP(gen+)", "FAD(jam)", "FADunit(jam)", "MICS",
)  # fmt: skip
PLAIN = {"guidance_inversion": 1.0, "refine": 0}


def _each(page: Page, run: Run) -> list[tuple[Group, str]]:
    """The groups of a run, each with a prefix of file names; several get a heading each."""
    found = groups(run)
    many = len(found) > 1
    return [(g, slug(f"{g.dataset} {g.space} {g.retriever} {g.seed}") + "-" if many else "") for g in found]


def _head(page: Page, group: Group, prefix: str) -> None:
    if prefix:
        page.add(f"## {escape(group.title)}, space {escape(group.space)}, seed {group.seed}")
    page.add(escape(tables.header_line(group.cells, group.run.preset)))


# --- Figure 5 ---------------------------------------------------------------------------------------------------------

_FIGURE5 = (
    "CLAP scores (cosines, 95 % intervals) of the edited query to audio (left) and texts (right) of the first and the "
    "refined prompt. The paper prints this figure without numbers."
)
_TRUTH = (
    "Each method at its primary strength. Wanted share is the share of the top 10 that has all that is asked for; "
    "gained@10 is what of it is new; kept@10 is what else was stated, relative to an oracle; overlap@10 is the share "
    "of the first top 10 that stays."
)
_FRONTIER = (
    "Closeness to the first query against what is gained: one line a method, from the unedited query through rising "
    "strengths; bars are 95 % intervals, a ring marks the primary strength."
)


def inversion_page(page: Page, run: Run) -> None:
    """Figure 5, the same by the truth, the sweep, and the frontier of closeness against what is gained."""
    for group, prefix in _each(page, run):
        _head(page, group, prefix)
        page.add("## Figure 5")
        page.figure(figure5(group), f"{prefix}figure5", _FIGURE5)
        page.table(_scores(group, "figure5", "Figure 5 in numbers", _compared(group)), prefix)
        _truth_and_frontier(page, group, prefix)


def _truth_and_frontier(page: Page, group: Group, prefix: str) -> None:
    page.add("## By the truth", _TRUTH)
    page.table(by_truth(group), prefix)
    page.add("## Strength sweep")
    page.table(_sweep(group), prefix)
    page.add("## What is gained, and how close the query stays")
    drawn = figures.frontier_figure(group, GAINED)
    if drawn is None:
        page.add("This run has no frontiers (it needs gained@10 and CLAP(gen+)).")
        return
    page.figure(drawn, f"{prefix}frontier", _FRONTIER)
    page.table(area_table(group, "gain", "closeness"), prefix)


def _compared(group: Group) -> list[tuple[str, Cell]]:
    """What Figure 5 compares: the first query, the inverted one, and those generated anew."""
    chosen = [("unedited", group.unmodified)] if group.unmodified else []
    for members in group.families():
        params = members[0]["params"]
        plain = members[0]["modifier"] == "ddim-inversion" and all(params.get(k, v) == v for k, v in PLAIN.items())
        if plain or members[0]["modifier"] == "regeneration":
            cell = group.primary_of(members)
            chosen.append((cell_label(cell, group.run.guidance), cell))
    return [(label, cell) for label, cell in chosen if cell is not None]


def figure5(group: Group) -> Figure | None:
    """CLAP scores to audio and to texts, a row a target, a marker a method."""
    panels = []
    for title, metrics in zip(("to audio", "to text"), FIGURE5, strict=True):
        dots = [
            Dot(TARGETS[metric], label, group.run.value(cell, metric))
            for metric in tables.measured(group.run, metrics)
            for label, cell in _compared(group)
        ]
        panels.append(Panel(title, "CLAP score (cosine)", tuple(dots)))
    return dots_figure(panels)


def _scores(group: Group, name: str, title: str, cells: Sequence[tuple[str, Cell]]) -> Table:
    """A row a target, a column a method, with intervals."""
    rows = []
    for metric in tables.measured(group.run, (*AUDIO, *TEXT)):
        label = f"{metric}: {TARGETS[metric].rsplit(' (', 1)[0]}".replace("\n", " ")
        rows.append((text(label), *(tables.value_entry(group.run, cell, metric) for _, cell in cells)))
    return Table(name, title, ("", *(label for label, _ in cells)), tuple(rows))


def by_truth(group: Group, metrics: Sequence[str] = TRUTH, *, intervals: bool = True) -> Table:
    """What the results hold by the truth: a row a method at its primary strength."""
    run = group.run
    shown = tables.measured(run, metrics)
    rows = tuple(
        (text(cell_label(cell, run.guidance)), *(tables.value_entry(run, cell, m, intervals=intervals) for m in shown))
        for cell in methods(group)
    )
    return Table("by-truth", "What the results hold", ("", *(tables.heading(run, m) for m in shown)), rows)


def _sweep(group: Group) -> Table:
    """Every method at every strength."""
    run = group.run
    shown = tables.measured(
        run,
        ("R@10", "gained@10", "wanted_share@10", "kept@10", "CLAP(gen+)", "CLAP(gen:new)", "CLAP(ZT:new)", "FAD(jam)"),
    )
    rows: list[tuple[Entry, ...]] = []
    for members in group.families():
        for cell in members:
            strength = cell["params"].get("strength")
            row = [text(family_label(cell["modifier"], cell["params"])), text(_strength(cell, strength))]
            rows.append((*row, *(tables.value_entry(run, cell, m) for m in shown)))
    return Table(
        "sweep", "Strength sweep", ("method", "strength", *(tables.heading(run, m) for m in shown)), tuple(rows)
    )


def _strength(cell: Cell, strength: float | None) -> str:
    if strength is None:
        return "–"
    steps = cell["params"].get("steps")
    return f"{strength:g}{f' ({strength * steps:g} of {steps:g} steps)' if steps else ''}"


# --- Figure 4 ---------------------------------------------------------------------------------------------------------

_FIGURE4 = (
    "CLAP scores against the inversion step: to audio of the first and the refined prompt (left), to their texts and "
    "the words added and removed (right). Above the one pair, below the mean of all refinements with 95 % bands. The "
    "paper prints the figure for one pair, without numbers."
)


def trajectory_page(page: Page, run: Run) -> None:
    """Figure 4, for the one pair and on average, and the sweep in numbers."""
    for group, prefix in _each(page, run):
        _head(page, group, prefix)
        page.add("## Figure 4")
        pair = _pair(run)
        if pair is not None:
            page.add(f"The pair: “{escape(pair['prompt'])}” made “{escape(pair['edit'])}”.")
        for place, members in enumerate(_inversions(group)):
            label = family_label(members[0]["modifier"], members[0]["params"])
            if place == 0:
                page.figure(figure4(group, members, pair), f"{prefix}figure4", _FIGURE4)
            else:
                page.add(f"### {escape(label)}")
            cells = [(_step_label(cell), cell) for cell in _from_start(group, members)]
            page.table(_steps(group, "figure4" if place == 0 else f"figure4-{slug(label)}", cells), prefix)
        _truth_and_frontier(page, group, prefix)


def _pair(run: Run) -> Mapping[str, Any] | None:
    """The refinement that plays Figure 4's pair, as the prompt file marks it."""
    prompts = run.prompts.get("refinements") or []
    return next((refinement for refinement in prompts if refinement.get("figure4")), None)


def _inversions(group: Group) -> list[list[Cell]]:
    """Sweeps of DDIM inversion over its steps."""
    return [m for m in group.families() if m[0]["modifier"] == "ddim-inversion" and len(m) > 1]


def _from_start(group: Group, members: Sequence[Cell]) -> list[Cell]:
    return [*([group.unmodified] if group.unmodified else []), *members]


def _step(cell: Cell) -> float:
    params = cell["params"]
    return float((params.get("strength") or 0.0) * params.get("steps", 50))


def _step_label(cell: Cell) -> str:
    return f"{_step(cell):g}"


def figure4(group: Group, members: Sequence[Cell], pair: Mapping[str, Any] | None) -> Figure | None:
    """Two charts of the one pair, where it is marked, above two of the mean of all."""
    cells = _from_start(group, members)
    steps = members[0]["params"].get("steps", 50)
    charts = []
    if pair is not None:
        one = {cell["key"]: _of_query(group.run, cell, str(pair["id"])) for cell in cells}
        charts += _two(
            f"one pair ({pair['id']})", steps, cells, lambda cell, metric: one[cell["key"]].get(metric), group
        )
    n = cells[0]["n_queries"]
    charts += _two(f"mean of {n}, 95 % bands", steps, cells, group.run.value, group)
    return lines_figure(charts)


def _two(title: str, steps: int, cells: Sequence[Cell], value: Any, group: Group) -> list[Chart]:
    charts = []
    for kind, metrics in (("audio", AUDIO), ("text", TEXT)):
        lines = []
        for metric in tables.measured(group.run, metrics):
            values = tuple(value(cell, metric) or Value(None) for cell in cells)
            lines.append(Line(TARGETS[metric].replace("\n", " "), tuple(map(_step, cells)), values))
        label = f"inversion step (of {steps})"
        charts.append(Chart(f"to {kind}, {title}", label, "CLAP score (cosine)", tuple(lines)))
    return charts


def _of_query(run: Run, cell: Cell, query: str) -> dict[str, Value]:
    """One query's CLAP scores in a cell."""
    frame = run.per_query(cell["key"], ("query_id", *AUDIO, *TEXT))
    rows = frame[frame["query_id"] == query]
    if not len(rows):
        return {}
    first = rows.iloc[0].drop("query_id")
    return {str(name): Value(None if math.isnan(value) else float(value)) for name, value in first.items()}


def _steps(group: Group, name: str, cells: Sequence[tuple[str, Cell]]) -> Table:
    """A row an inversion step, a column a target: the mean of all refinements."""
    shown = tables.measured(group.run, (*AUDIO, *TEXT, "CLAPshift(gen)", "CLAPshift(ZT)", "CLAPshift(words)"))
    rows = tuple((text(label), *(tables.value_entry(group.run, cell, m) for m in shown)) for label, cell in cells)
    return Table(name, "Figure 4 in numbers: mean of all refinements", ("step", *shown), rows)


# --- edits of tracks --------------------------------------------------------------------------------------------------

_TWIN = (
    "The query is a real track and what to change about it; found is the exact twin, the same piece with the "
    "instrument asked for. Recall of the twin against how far the query has gone from the track, one line a method "
    "through rising strengths, with 95 % intervals."
)


def track_edits_page(page: Page, run: Run) -> None:
    """R@k of the exact twin by method and strength, and what the results gain."""
    for group, prefix in _each(page, run):
        _head(page, group, prefix)
        page.add("## Finding the twin")
        page.table(_twins(group), prefix)
        page.figure(_twin_figure(group), f"{prefix}twin", _TWIN)
        _truth_and_frontier(page, group, prefix)


def _twins(group: Group) -> Table:
    run = group.run
    shown = tables.measured(run, ("R@1", "R@5", "R@10", "MRR", "MedR", "edit_accuracy"))
    first = [group.unmodified] if group.unmodified else []
    rows = tuple(
        (text(cell_label(cell, run.guidance)), *(tables.value_entry(run, cell, m) for m in shown))
        for cell in (*first, *(cell for members in group.families() for cell in members))
    )
    columns = ("", *(tables.heading(run, m) for m in shown))
    return Table("twins", "The exact twin, by method and strength", columns, rows)


def _twin_figure(group: Group) -> Figure | None:
    """R@1 and R@10 of the twin against how far the query has gone from the track."""
    run = group.run
    charts = []
    for metric in tables.measured(run, ("R@1", "R@10")):
        lines = []
        for members in group.families():
            moved = [(1 - near, cell) for cell in members for near in [run.value(cell, "CLAP(gen+)").value] if near]
            label = family_label(members[0]["modifier"], members[0]["params"])
            values = tuple(run.value(cell, metric) for _, cell in moved)
            lines.append(Line(label, tuple(distance for distance, _ in moved), values))
        level = ("the track unedited", run.value(group.unmodified, metric))
        far = "how far from the track: 1 − CLAP(gen+) (1 − cosine, log)"
        charts.append(
            Chart(f"{metric} of the twin", far, f"{metric} (%)", tuple(lines), bars=True, log=True, level=level)
        )
    return lines_figure(charts)
