"""Pages on domains: Table 1 (the sets), Table 3 (shift and alignment), the factorial of dials, and the ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.report import tables
from bench.report._format import dataset_label, retriever_label
from bench.report._groups import Cell
from bench.report._page import Page
from bench.report._page_retrieval import axis_label, cells_by_pair, general_page
from bench.report._paper import paper_tables
from bench.report._plots import Chart, Dot, Line, Panel, dots_figure, lines_figure
from bench.report._table import Entry, Table, number, text
from bench.report.load import Run, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ablation_page", "alignment_page", "datasets_page", "main_effect", "shift_page"]

Pairs = Mapping[tuple[str, str], Cell]

# --- Table 1 ----------------------------------------------------------------------------------------------------------

_FACTS = ("Tracks", "Captions", "Hours")
_CAPTIONS = ("Words", "Vocabulary", "Negation%", "Key%", "Bpm%", "Stated")
_SPACES = ("R@10", "R@10(norm)", "ModalityGap", "Hubness@10", "FADreal(jam)")


def datasets_page(page: Page, run: Run) -> None:
    """Table 1, how captions are written, and what is found in each set without generation."""
    pairs = cells_by_pair(run)
    page.add(
        "## Table 1, the paper's layout",
        "Counts of the whole sets, not of the queries asked. The paper's sets are other and larger ones.",
    )
    page.table(paper_table1(run, pairs))
    page.add("## Captions", "Over all captions of a set; shares are of captions that hold a negation, a key, a tempo.")
    page.table(_by_dataset(run, pairs, "captions", "Captions", _CAPTIONS))
    page.add("## What is found in them")
    general_page(page, run, without=(*_FACTS, *_CAPTIONS))


def paper_table1(run: Run, pairs: Pairs) -> Table:
    """A row a set: ours (the paper's), and what the paper uses it for."""
    published = paper_tables()["table1"]
    rows = []
    for dataset, cell in _first_cells(pairs).items():
        paper = published.get(dataset.upper(), {})
        entries = []
        for metric in tables.measured(run, _FACTS):
            value = paper.get(metric.lower())
            beside = "" if value is None else f" (paper {value:g})"
            entries.append(tables.value_entry(run, cell, metric, intervals=False, beside=beside))
        use = [name for name, key in (("training", "train"), ("evaluation", "eval")) if paper.get(key)]
        rows.append((text(dataset_label(dataset)), *entries, text(", ".join(use))))
    columns = ("", *tables.measured(run, _FACTS), "used by the paper for")
    return Table("table1", "Table 1, ours (paper)", columns, tuple(rows))


def _first_cells(pairs: Pairs) -> dict[str, Cell]:
    """A cell of each dataset: facts of a set are the same for every retriever."""
    found: dict[str, Cell] = {}
    for (_, dataset), cell in pairs.items():
        found.setdefault(dataset, cell)
    return found


def _by_dataset(run: Run, pairs: Pairs, name: str, title: str, metrics: Sequence[str]) -> Table:
    shown = tables.measured(run, metrics)
    rows = tuple(
        (text(dataset_label(dataset)), *(tables.value_entry(run, cell, m) for m in shown))
        for dataset, cell in _first_cells(pairs).items()
    )
    return Table(name, title, ("", *(tables.heading(run, m) for m in shown)), rows)


# --- Table 3 ----------------------------------------------------------------------------------------------------------


class _Column(NamedTuple):
    """A column of Table 3: its heading, the retriever it is of (`{}` is the teacher), the metric."""

    label: str
    retriever: str
    metric: str
    paper: int | None


_TABLE3 = (
    _Column("FTD(ZT)", "{}", "FTD(train)", 0), _Column("FAD(ZA)", "{}", "FADreal(train)", 1),
    _Column("R@5 teacher", "{}", "R@5", 2), _Column("FAD GDR", "gdr-{}", "FAD(eval)", 3),
    _Column("FAD aligned", "gdr-{}-ot", "FAD(eval)", 4), _Column("FAD placebo", "gdr-{}-placebo", "FAD(eval)", None),
    _Column("R@5 GDR", "gdr-{}", "R@5", 5), _Column("R@5 aligned", "gdr-{}-ot", "R@5", 6),
    _Column("R@5 placebo", "gdr-{}-placebo", "R@5", None),
)  # fmt: skip
_ALIGNMENT = (
    "FTD and FAD(ZA) are distances of a set's captions and audio to the teacher's own training set; FAD GDR, aligned "
    "and placebo are distances of queries to the searched set. Alignment is optimal transport between Gaussians, its "
    "map fitted on queries of other tracks and on the gallery's audio without labels, so it is transductive. The "
    "placebo reaches the same moments under a random rotation: that FAD falls is so by construction, and only R@5 "
    "beyond the placebo is evidence."
)


def alignment_page(page: Page, run: Run) -> None:
    """Table 3, R@5 of every kind of alignment, and whether the teacher's shift is inherited."""
    page.add("## Table 3, the paper's layout", _ALIGNMENT)
    page.table(paper_table3(run))
    page.figure(_aligned_figure(run), "alignment", "R@5 with 95 % intervals: every alignment beside its placebo.")
    drawn = _inherited_figure(run)
    if drawn is not None:
        page.add("## Is the shift inherited?")
        caption = (
            "Recall of each GDR relative to the oracle against the distance of the set to the teacher's training set, "
            "a point a set; bars are 95 % intervals of the recall."
        )
        page.figure(drawn, "inherited", caption)
    general_page(page, run)


def paper_table3(run: Run) -> Table | None:
    """A row a teacher and set: ours (the paper's), with the placebo that the paper lacks."""
    published = paper_tables()["table3"]
    pairs = cells_by_pair(run)
    datasets = [d for d in dict.fromkeys(d for _, d in pairs) if d.upper() in published["CLAP"]]
    shown = [column for column in _TABLE3 if column.metric in run.metric_info]
    rows = []
    for teacher, name in (("clap", "CLAP"), ("muscall", "MusCALL")):
        for dataset in datasets:
            entries: list[Entry] = []
            for column in shown:
                paper = None if column.paper is None else published[name][dataset.upper()][column.paper]
                beside = "" if paper is None else f" (paper {paper})"
                cell = pairs.get((column.retriever.format(teacher), dataset))
                entries.append(tables.value_entry(run, cell, column.metric, beside=beside))
            rows.append((text(name), text(dataset_label(dataset)), *entries))
    columns = ("teacher", "set", *(column.label for column in shown))
    return Table("table3", "Table 3, ours (paper)", columns, tuple(rows)) if rows else None


def _aligned_figure(run: Run) -> Figure | None:
    pairs = cells_by_pair(run)
    panels = []
    for dataset in dict.fromkeys(d for _, d in pairs):
        dots = [
            Dot(retriever_label(retriever), "ours", run.value(cell, "R@5"))
            for (retriever, own), cell in pairs.items()
            if own == dataset
        ]
        panels.append(Panel(dataset_label(dataset), axis_label(run, "R@5"), tuple(dots)))
    return dots_figure(panels)


def _inherited_figure(run: Run) -> Figure | None:
    pairs = cells_by_pair(run)
    charts = []
    for metric, label in (("FTD(train)", "captions: FTD(train)"), ("FADreal(train)", "audio: FADreal(train)")):
        lines = []
        for retriever in ("gdr-clap", "gdr-muscall"):
            points = [
                (distance, dataset_label(dataset), run.value(cell, "R@10(norm)"))
                for (own, dataset), cell in pairs.items()
                if own == retriever and cell["n_gallery"] < 1000
                for distance in [run.value(cell, metric).value]
                if distance is not None
            ]
            points.sort(key=lambda point: point[0])
            if points:
                x, names, values = zip(*points, strict=True)
                lines.append(Line(retriever_label(retriever), x, values, names, joined=False))
        charts.append(Chart(label, f"{label} (distance)", "R@10(norm) (%)", tuple(lines), bars=True))
    return lines_figure(charts)


# --- the factorial of dials -------------------------------------------------------------------------------------------

_DIALS = ("law", "rendering", "style")
_LEVELS = {"law": ("pc", "sd"), "rendering": ("pc", "sd"), "style": ("library", "describer")}
_SHIFT = (
    "Every combination of attribute law, rendering and caption style, 706 tracks each. Cells of one law hold the same "
    "pieces. What a dial costs is the mean over the four settings of the other two of R@10 with the dial at SD less "
    "that with it at PC, in points; rendering and style are compared track by track, laws are not."
)


class Condition(NamedTuple):
    """The dials of a dataset of the factorial."""

    law: str
    rendering: str
    style: str


def condition(dataset: str) -> Condition | None:
    """The dials that a dataset's id names (`mix-LAW-RENDERING-STYLE`), or None."""
    parts = dataset.split("-")
    known = len(parts) == 4 and parts[0] == "mix"
    found = Condition(*parts[1:]) if known else None
    return found if found and all(getattr(found, dial) in _LEVELS[dial] for dial in _DIALS) else None


def shift_page(page: Page, run: Run) -> None:
    """The factorial table, what each dial costs, and both as figures."""
    if "R@10" in run.metric_info:
        page.add("## What each dial costs", _SHIFT)
        page.table(_costs(run))
    page.figure(
        _cost_figure(run), "dials", "What turning a dial from PC to SD costs, in points of R@10 (95 % intervals)."
    )
    page.add("## The factorial")
    for metric in tables.measured(run, ("R@10", "R@10(norm)")):
        page.table(_factorial(run, metric))
    general_page(page, run)


def _retrievers(run: Run) -> list[str]:
    return list(dict.fromkeys(retriever for retriever, _ in cells_by_pair(run)))


def _factorial(run: Run, metric: str) -> Table:
    pairs = cells_by_pair(run)
    rows = []
    for dataset in dict.fromkeys(d for _, d in pairs):
        dials = condition(dataset)
        if dials is not None:
            entries = [tables.value_entry(run, pairs.get((r, dataset)), metric) for r in _retrievers(run)]
            rows.append((text(dials.law.upper()), text(dials.rendering.upper()), text(dials.style), *entries))
    name = "factorial" if metric == "R@10" else "factorial-norm"
    columns = ("law", "rendering", "style", *map(retriever_label, _retrievers(run)))
    return Table(name, tables.heading(run, metric), columns, tuple(rows))


def _costs(run: Run) -> Table:
    rows = []
    for retriever in _retrievers(run):
        entries = [number(main_effect(run, retriever, dial), "%") for dial in _DIALS]
        rows.append((text(retriever_label(retriever)), *entries))
    return Table("dials", "Cost in points of R@10", ("", *_DIALS), tuple(rows))


def _cost_figure(run: Run) -> Figure | None:
    panels = []
    for dial in _DIALS:
        dots = [Dot(retriever_label(r), "ours", main_effect(run, r, dial)) for r in _retrievers(run)]
        panels.append(Panel(dial, "change of R@10 (points)", tuple(dots), 0.0))
    return dots_figure(panels, sharex=True)


def main_effect(run: Run, retriever: str, dial: str) -> Value:
    """Mean of R@10 with a dial at SD less that with it at PC, over all settings of the other dials.

    Cells of one law are paired by track; the two laws hold other tracks, so their variances add.

    Args:
        run: of the factorial suite.
        retriever: our id.
        dial: `law`, `rendering` or `style`.
    """
    from bench import stats

    cells = {condition(d): cell for (r, d), cell in cells_by_pair(run).items() if r == retriever and condition(d)}
    if len(cells) < 8 or "R@10" not in run.metric_info:
        return Value(None, why="the factorial is not whole")
    parts = []
    for law in _LEVELS["law"]:
        own = {dials: cell for dials, cell in cells.items() if dials and dials.law == law}
        signs = np.array([1.0 if getattr(dials, dial) == _LEVELS[dial][1] else -1.0 for dials in own]) / 4
        parts.append(_weighted(run, list(own.values()), signs, stats.clustered_delta))
    value = sum(part.value for part in parts)
    total = stats.Estimate(float(value), float(np.hypot(*(p.se for p in parts))), min(p.df for p in parts))
    bounds = stats.interval(total)
    return Value(total.value, float(bounds.lo), float(bounds.hi))


def _weighted(run: Run, cells: Sequence[Cell], weights: np.ndarray, estimate: Any) -> Any:
    """A weighted sum of the cells' means, paired by query's track."""
    frames = [run.per_query(cell["key"], ("cluster_id", "R@10")).set_index("cluster_id")["R@10"] for cell in cells]
    tracks = frames[0].index
    values = np.column_stack([frame.reindex(tracks).to_numpy(float) for frame in frames])
    return estimate(lambda means: means @ weights, values, np.asarray(tracks))


# --- the ablation -----------------------------------------------------------------------------------------------------

_DESIGN = {
    "x0": "clean latent (x0)",
    "eps": "noise (ε)",
    "t16": "16",
    "t1": "1",
    "tokens": "tokens",
    "pooled": "pooled",
}


def ablation_page(page: Page, run: Run) -> None:
    """The 2 × 2 × 2 table of the diffusion model's design, a dataset after the other."""
    pairs = cells_by_pair(run)
    page.add(
        "## What is predicted, for how many frames, under what of the text",
        "Table 5 of the paper confounds these three: its UNet predicts a sequence under tokens, its MLP one vector "
        "under a pooled text.",
    )
    metrics = tables.measured(
        run, ("R@1", "R@5", "R@10", "NMedR", "CLAP(ZA+)", "FAD(jam)", "FADunit(jam)", "MICS", "MINVS")
    )
    for dataset in dict.fromkeys(d for _, d in pairs):
        rows = []
        for (retriever, own), cell in pairs.items():
            parts = retriever.split("-")
            if own == dataset and len(parts) == 3 and all(part in _DESIGN for part in parts):
                entries = [tables.value_entry(run, cell, m) for m in metrics]
                rows.append((*(text(_DESIGN[part]) for part in parts), *entries))
        columns = ("predicts", "frames", "text", *(tables.heading(run, m) for m in metrics))
        page.table(Table(f"ablation-{dataset}", f"Design, on {dataset_label(dataset)}", columns, tuple(rows)))
    page.figure(_ablation_figure(run), "ablation", "R@10 of each design with 95 % intervals.")
    general_page(page, run)


def _ablation_figure(run: Run) -> Figure | None:
    panels = []
    pairs = cells_by_pair(run)
    for dataset in dict.fromkeys(d for _, d in pairs):
        dots = tuple(Dot(r, "ours", run.value(c, "R@10")) for (r, own), c in pairs.items() if own == dataset)
        panels.append(Panel(dataset_label(dataset), axis_label(run, "R@10"), dots))
    return dots_figure(panels)
