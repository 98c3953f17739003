"""The page of a negation suite: Table 6 and Figure 3, and the same by the truth (PROTOCOL.md 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.report import figures, tables
from bench.report._format import retriever_label, slug
from bench.report._groups import Group, groups, slices
from bench.report._page import Page
from bench.report._tables_negation import (
    area_table,
    by_truth,
    paper_table6,
    query_shape,
    slice_table,
    sweep_table,
)
from bench.report._untrusted import escape
from bench.report.load import Run

__all__ = ["category_marks", "negation_page"]

#: The model of the paper's Table 6.
PAPER_MODEL = "gdr-clap"
CATEGORIES = ("genre", "mood", "instrumentation", "key", "tempo")
PHRASINGS = ("song", "word", "music", "feel")
#: Attributes whose probe tells whether a category's negatives can work in a space.
_ATTRIBUTES = {
    "genre": ("genre",), "mood": ("mood",), "instrumentation": ("instrument", "lead", "accompaniment"),
    "key": ("key", "mode"), "tempo": ("tempo", "bpm"),
}  # fmt: skip
_ROWS_OF_TABLE6 = (
    "CLAP scores are mean cosines to the target track (ZA+), the unmodified query (gen+), the prompt's text (ZT+), "
    "what the negative alone generates (gen-), and the negative's text (ZT-). As the paper writes them, Δ_T and Δ_A "
    "are on raw vectors, so their FAD is scale-dependent: longer vectors alone raise it."
)
_TRUTH = (
    "Each method at its primary strength (w = 2, a fifth of the angle for slerp). Negated share is the share of the "
    "top 10 that has the negated value; removal is before minus after; kept is what else the query states, relative "
    "to an oracle; R@10 counts targets that lack the negated value, R@10(neg) those that have it and should leave; "
    "twin accuracy is how often a piece without the value ranks above its twin with it. "
    "Placebos show what any push of that size does: only what goes beyond them is removal."
)


def negation_page(page: Page, run: Run) -> None:
    """Sections 1 to 6 for each retriever, dataset and seed of the run."""
    parts = groups(run)
    for group in parts:
        _group(page, group, many=len(parts) > 1)


def _group(page: Page, group: Group, *, many: bool) -> None:
    prefix = ""
    if many:
        prefix = slug(f"{group.dataset} {group.space} {group.retriever} {group.seed}") + "-"
        page.add(f"## {escape(group.title)}, space {escape(group.space)}, seed {group.seed}")
    page.add(escape(tables.header_line(group.cells, group.run.summary["preset"])))
    page.add("## 1. Table 6, the paper's layout", _ROWS_OF_TABLE6)
    if group.retriever != PAPER_MODEL:
        page.add(f"The paper's numbers are of {retriever_label(PAPER_MODEL)}.")
    page.table(paper_table6(group, beside=True), prefix)
    page.add(tables.floor_line(group.run))
    page.table(paper_table6(group, beside=False), prefix)
    page.add("## 2. By the truth", _TRUTH)
    page.table(by_truth(group), prefix)
    page.table(query_shape(group), prefix)
    page.add("## 3. Strength sweep", _sweep_text(group))
    page.table(sweep_table(group), prefix)
    _frontier(page, group, prefix)
    _categories(page, group, prefix)
    page.add("## 6. By phrasing", "The same five methods, over the pairs of each way of phrasing the negative.")
    metrics = ("negated_share@10", "removal@10", "kept@10", "CLAP(gen-)")
    phrased = slices(group, "phrasing", PHRASINGS, metrics)
    page.table(slice_table(group, "phrasing", "By phrasing of the negative", phrased), prefix)


def _sweep_text(group: Group) -> str:
    return (
        "Strengths are not one scale across methods: compare at equal removal. The state before negative prompting at "
        f"w is plain guidance 1 + w with the same noise; for the others it is guidance {group.run.guidance:g}."
    )


def _frontier(page: Page, group: Group, prefix: str) -> None:
    page.add("## 4. Removal and what is kept")
    drawn = figures.frontier_figure(group)
    if drawn is None:
        page.add("This run has no frontiers (it needs removal@10 and kept@10).")
        return
    caption = (
        "Removal against what is kept: one line a method, from the unmodified query through rising strengths; bars are "
        "95 % intervals, a ring marks the primary strength. Raw and renormalised vectors are left out."
    )
    page.figure(drawn, f"{prefix}frontier", caption)
    page.table(area_table(group), prefix)


def _categories(page: Page, group: Group, prefix: str) -> None:
    page.add("## 5. By category of the negative")
    parts = slices(group, "category", CATEGORIES, ("CLAP(gen+)", "CLAP(gen-)", "negated_share@10"))
    marks = category_marks(group.run)
    drawn = figures.category_figure(parts, marks)
    if drawn is None:
        page.add("This run has no categories.")
        return
    counts = sorted({part.negatives for part in parts})
    each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    caption = (
        "In the manner of the paper's Figure 3: cosine to the unmodified query and to the negative, and by truth the "
        f"negated share of the top 10. Means over pairs with 95 % intervals clustered by negative; descriptive: {each} "
        "negatives a category."
    )
    page.figure(drawn, f"{prefix}categories", caption)
    for category, mark in marks.items():
        page.add(f"{category}: {mark}; that its negatives do little there says nothing about the method.")
    page.table(slice_table(group, "categories", "By category of the negative", parts), prefix)


def category_marks(run: Run) -> dict[str, str]:
    """Categories whose attributes a probe cannot read from the space, all of them or some."""
    missing = set(run.summary.get("not_encoded", []))
    spaces: Mapping[str, Any] = run.summary.get("space_probes") or {}
    probed = {name for domains in spaces.values() for probes in domains.values() for name in probes} | missing
    marks = {}
    for category, attributes in _ATTRIBUTES.items():
        known = [name for name in attributes if name in probed]
        absent = [name for name in known if name in missing]
        if absent and len(absent) == len(known):
            marks[category] = "not encoded in this space"
        elif absent:
            marks[category] = f"{', '.join(absent)} not encoded in this space"
    return marks
