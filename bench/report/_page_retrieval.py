"""Pages of retrieval suites: the general one, Tables 2 and 4 in the paper's layout, Table 5, and the ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.report import tables
from bench.report._format import dataset_label, retriever_label, slug
from bench.report._groups import Cell
from bench.report._page import Page
from bench.report._paper import ROWS, TABLE2, TABLE4, TABLE5, published
from bench.report._plots import PAPER, Dot, Panel, dots_figure
from bench.report._table import Entry, Table, number, text
from bench.report._untrusted import escape
from bench.report.load import Run, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "cells_by_pair",
    "general_page",
    "pairs_page",
    "quality_page",
    "recall_page",
    "retrieval_page",
    "system_dots",
]

_OTHERS = "The paper's models and data are others: compare orders, not values. NMedR is the paper's MedR (%)."


def general_page(page: Page, run: Run, without: Sequence[str] = ()) -> None:
    """A table a dataset: a row a retriever or method, with every metric of the run but those in `without`."""
    found = tables.retrieval_cells(run)
    seeds = {seed for _, seed in found}
    for (dataset, seed), cells in found.items():
        suffix = f"-seed{seed}" if len(seeds) > 1 else ""
        page.add(f"## {escape(dataset_label(dataset))}{f', seed {seed}' if suffix else ''}")
        page.add(escape(tables.header_line(cells, run.preset)))
        page.table(tables.retrieval_table(run, f"retrieval-{slug(dataset)}{suffix}", cells, without=without))


def recall_page(page: Page, run: Run) -> None:
    """A figure of R@10 with intervals, and a table a dataset."""
    caption = "R@10 by dataset with 95 % intervals. The dashed line is chance."
    page.figure(recall_figure(run), "recall", caption)
    general_page(page, run)


def cells_by_pair(run: Run) -> dict[tuple[str, str], Cell]:
    """(retriever, dataset) -> its unmodified cell of the first seed; replicates are left out."""
    found: dict[tuple[str, str], Cell] = {}
    for cells in tables.retrieval_cells(run).values():
        for cell in cells:
            if run.is_unmodified(cell):
                found.setdefault((cell["retriever"], cell["dataset"]), cell)
    return found


def _axes(run: Run) -> tuple[list[str], list[str]]:
    """Retrievers and datasets of a run, in its order."""
    pairs = cells_by_pair(run)
    return list(dict.fromkeys(r for r, _ in pairs)), list(dict.fromkeys(d for _, d in pairs))


def _beside(table: str, retriever: str, column: str, dataset: str | None) -> str:
    value = published(table, retriever, column, dataset)
    return "" if value is None else f" (paper {value:g})"


# --- Tables 2 and 4 ---------------------------------------------------------------------------------------------------


def retrieval_page(page: Page, run: Run) -> None:
    """Table 2 in the paper's layout, a figure with intervals, and a table a dataset."""
    page.add("## Table 2, the paper's layout", _OTHERS)
    page.table(paper_table2(run))
    page.figure(recall_figure(run, "table2", TABLE2), "recall", _RECALL)
    general_page(page, run)


_RECALL = (
    "R@10 by dataset with 95 % intervals; diamonds are the paper's numbers, on other models, tracks and captions. The "
    "dashed line is chance."
)


def paper_table2(run: Run) -> Table | None:
    """Rows are systems, columns datasets and metrics: ours (the paper's). None where no dataset is the paper's."""
    pairs = cells_by_pair(run)
    retrievers, datasets = _axes(run)
    shown = [d for d in datasets if any(published("table2", r, "R1", d) is not None for r in ROWS["table2"])]
    metrics = tables.measured(run, list(TABLE2))
    columns = [(dataset, metric) for dataset in shown for metric in metrics]
    if not columns:
        return None
    rows = []
    for retriever in retrievers:
        entries = [
            tables.value_entry(
                run, pairs.get((retriever, dataset)), metric, intervals=False,
                beside=_beside("table2", retriever, TABLE2[metric], dataset),
            )
            for dataset, metric in columns
        ]  # fmt: skip
        rows.append((text(retriever_label(retriever)), *entries))
    heads = ("", *(f"{dataset_label(d)} {tables.heading(run, m)}" for d, m in columns))
    return Table("table2", "Table 2, ours (paper)", heads, tuple(rows))


def recall_figure(run: Run, table: str = "", columns: Mapping[str, str] | None = None) -> Figure | None:
    """R@10 of every system, a panel a dataset, with the paper's number where there is one."""
    _, datasets = _axes(run)
    return dots_figure([_recall_panel(run, table, columns or {}, dataset) for dataset in datasets])


def _recall_panel(run: Run, table: str, columns: Mapping[str, str], dataset: str) -> Panel:
    metric = "R@10"
    dots = []
    tracks = [cell["n_gallery"] for (_, own), cell in cells_by_pair(run).items() if own == dataset]
    for (retriever, own), cell in cells_by_pair(run).items():
        if own == dataset:
            row = retriever_label(retriever)
            dots.append(Dot(row, "ours", run.value(cell, metric)))
            paper = published(table, retriever, columns.get(metric, ""), dataset) if table else None
            if paper is not None:
                dots.append(Dot(row, PAPER, Value(paper)))
    chance = 100.0 * min(1.0, 10 / tracks[0])
    label = f"{dataset_label(dataset)}, N = {tracks[0]}"
    return Panel(label, f"{metric} (%)", tuple(dots), chance)


def pairs_page(page: Page, run: Run) -> None:
    """Table 4 in the paper's layout: rows are models and metrics, columns datasets."""
    page.add("## Table 4, the paper's layout", f"{_OTHERS} T5 stands for a text encoder that was not trained on audio.")
    page.table(paper_table4(run))
    page.figure(recall_figure(run, "table4", TABLE4), "recall", _RECALL)
    general_page(page, run)


def paper_table4(run: Run) -> Table:
    """Ours with intervals (the paper's), a row a model and metric, a column a dataset."""
    pairs = cells_by_pair(run)
    retrievers, datasets = _axes(run)
    rows = []
    for retriever in retrievers:
        for metric in tables.measured(run, list(TABLE4)):
            entries = [
                tables.value_entry(
                    run, pairs.get((retriever, dataset)), metric,
                    beside=_beside("table4", retriever, TABLE4[metric], dataset),
                )
                for dataset in datasets
            ]  # fmt: skip
            rows.append((text(retriever_label(retriever)), text(tables.heading(run, metric)), *entries))
    columns = ("model", "metric", *map(dataset_label, datasets))
    return Table("table4", "Table 4, ours (paper)", columns, tuple(rows))


# --- Table 5 ----------------------------------------------------------------------------------------------------------

_QUALITY = (
    "FAD and CLAP at the K of this run (averaging samples shrinks the covariance); MICS, MINVS and Vendi over samples "
    "of one prompt. The diffusion MLP stands twice: implemented correctly, and with the dropout bug of the authors' "
    "code; the paper has one number for it. Real tracks give the floor: what music itself scores at the same n."
)


def quality_page(page: Page, run: Run) -> None:
    """Table 5, a figure, and what the paper does not measure."""
    found = tables.retrieval_cells(run)
    page.add("## Table 5, the paper's layout", _QUALITY)
    for (dataset, seed), cells in found.items():
        prefix = "" if len(found) == 1 else f"{slug(f'{dataset} {seed}')}-"
        page.add(escape(tables.header_line(cells, run.preset)))
        page.table(paper_table5(run, cells), prefix)
        caption = (
            "Four columns of Table 5 with 95 % intervals; diamonds are the paper's numbers, on other models and data. "
            "The dashed line is what real tracks score at the same n."
        )
        page.figure(system_dots(run, cells, _FOUR, "table5", TABLE5), f"{prefix}quality", caption)
    page.add("## Beyond Table 5", escape(_BEYOND))
    general_page(page, run, without=tuple(TABLE5))


_FOUR = ("R@5", "FAD(jam)", "CLAP(ZA+)", "MINVS")
_BEYOND = (
    "K=1 is one sample; FADinf extrapolates to infinite n; unit is on unit vectors, what cosine search sees. cMMD is "
    "the distance to the true distribution of a caption's tracks; MICSdiff and MINVSdiff are the spread of the "
    "samples less that of the true tracks."
)


def paper_table5(run: Run, cells: Sequence[Cell]) -> Table:
    """A row a system: ours with intervals (the paper's); last the real tracks, where the run measured a floor."""
    metrics = tables.measured(run, list(TABLE5))
    rows: list[tuple[Entry, ...]] = []
    for cell in cells:
        entries = [
            tables.value_entry(run, cell, m, beside=_beside("table5", cell["retriever"], TABLE5[m], None))
            for m in metrics
        ]
        rows.append((text(tables.row_label(run, cell)), *entries))
    floors = [Value(tables.floor(run, m), why="not measured on real tracks") for m in metrics]
    if any(value.value is not None for value in floors):
        real = [number(v, tables.unit_of(run, m)) for v, m in zip(floors, metrics, strict=True)]
        rows.append((text("real tracks"), *real))
    return Table("table5", "Table 5, ours (paper)", ("", *(tables.heading(run, m) for m in metrics)), tuple(rows))


def system_dots(
    run: Run, cells: Sequence[Cell], metrics: Sequence[str], table: str = "", columns: Mapping[str, str] | None = None
) -> Figure | None:
    """A panel a metric, a row a system, with the paper's number and the real tracks' where there are any."""
    panels = []
    for metric in tables.measured(run, metrics):
        dots = []
        for cell in cells:
            row = tables.row_label(run, cell)
            dots.append(Dot(row, "ours", run.value(cell, metric)))
            paper = published(table, cell["retriever"], (columns or {}).get(metric, "")) if table else None
            if paper is not None:
                dots.append(Dot(row, PAPER, Value(paper)))
        panels.append(Panel(metric, axis_label(run, metric), tuple(dots), tables.floor(run, metric)))
    return dots_figure(panels)


def axis_label(run: Run, metric: str) -> str:
    """A metric with its unit and the direction that is better."""
    unit = tables.unit_of(run, metric)
    return f"{tables.heading(run, metric)}{f' ({unit})' if unit and unit not in metric else ''}"
