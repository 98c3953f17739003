"""Which suite's page looks how: a table of layouts; a suite that is not in it gets the general page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bench.report import tables
from bench.report._claims import claims_section
from bench.report._page import Page
from bench.report._page_editing import inversion_page, track_edits_page, trajectory_page
from bench.report._page_negation import negation_page
from bench.report._page_retrieval import general_page, pairs_page, quality_page, recall_page, retrieval_page
from bench.report._page_shift import ablation_page, alignment_page, datasets_page, shift_page
from bench.report._untrusted import escape
from bench.report.load import Run
from bench.report.notes import load_notes

__all__ = ["LAYOUTS", "layout_of", "write_page"]

Layout = Callable[[Page, Run], None]

#: Suite -> what stands on its page above the claims.
LAYOUTS: Mapping[str, Layout] = {
    "retrieval": retrieval_page,
    "encoder-pairs": pairs_page,
    "query-quality": quality_page,
    "ablation": ablation_page,
    "alignment": alignment_page,
    "datasets": datasets_page,
    "domain-shift": shift_page,
    "inversion": inversion_page,
    "inversion-trajectory": trajectory_page,
    "sensitivity": recall_page,
    "track-edits": track_edits_page,
}


def layout_of(run: Run) -> Layout:
    """The layout of a run's page: the suite's own, else the one for what the run measured."""
    if run.is_negation:
        return negation_page
    return LAYOUTS.get(run.suite, general_page)


def write_page(run: Run, page: Page, name: str) -> Path:
    """Write the page of a run.

    Args:
        run: what it is about.
        page: what already stands on it, and where it goes.
        name: of the file, without its suffix.
    """
    title = str(run.summary.get("title") or run.suite)
    page.add(f"# {escape(title)}")
    layout_of(run)(page, run)
    claims_section(page, run, load_notes(), "## 7. Claims" if run.is_negation else "## Claims")
    _probes(page, run)
    return page.write(name, title)


def _probes(page: Page, run: Run) -> None:
    probes = tables.probe_tables(run)
    if not probes:
        return
    page.add("## 8. What the space holds" if run.is_negation else "## What the spaces hold")
    page.add(
        "Balanced accuracy of a logistic probe on pooled latents, with chance in parentheses. Not encoded: below 1.5 "
        "times chance and less than 5 points above it."
    )
    for table in probes:
        page.table(table)
