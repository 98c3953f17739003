"""A run's report: Markdown, one HTML page, figures, CSV and LaTeX tables; and the index of many runs.

Everything is built from the run's files. The Markdown is byte for byte the same for the same files: it holds no time,
host or path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report import figures, tables
from bench.report._format import dataset_label, rounded, slug
from bench.report._groups import Group, groups, metric_like, slices
from bench.report._html import html_page
from bench.report._table import Table, escape, text
from bench.report.load import Run, find_runs
from bench.store import ensure_writable, write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["build_index", "build_report"]

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
    "to an oracle; R@10 counts targets that lack the negated value, R@10(neg) those that have it and should leave. "
    "Placebos show what any push of that size does: only what goes beyond them is removal."
)


@dataclass
class _Page:
    """A report in the making: its blocks of Markdown, and the files beside it."""

    folder: Path
    assets: str = ""
    """Where figures and tables go, relative to the folder, as `SUITE/` or nothing."""
    blocks: list[str] = field(default_factory=list)

    def add(self, *blocks: str) -> None:
        self.blocks.extend(blocks)

    def table(self, table: Table, prefix: str = "") -> None:
        """Print a table, and write its CSV and LaTeX; a table without rows is left out."""
        if not table.rows:
            return
        self.add(table.markdown())
        path = self.folder / self.assets / "tables" / f"{prefix}{table.name}"
        write_atomic(path.with_name(f"{path.name}.csv"), table.csv())
        write_atomic(path.with_name(f"{path.name}.tex"), table.tex())

    def figure(self, figure: Figure, name: str, caption: str) -> None:
        figures.save_figure(figure, self.folder / self.assets / "figures", name)
        self.add(f"![{escape(caption)}]({self.assets}figures/{name}.png)", caption)

    def write(self, name: str, title: str) -> Path:
        """Write the Markdown and the HTML page."""
        markdown = "\n\n".join(self.blocks) + "\n"
        path = self.folder / f"{name}.md"
        write_atomic(path, markdown)
        write_atomic(self.folder / f"{name}.html", html_page(markdown, self.folder, title))
        return path


def build_report(run_dir: str | Path) -> Path:
    """Build the report of a run in its folder.

    Args:
        run_dir: `results/<suite>/<run-id>`.

    Returns:
        report.md; report.html, figures/ and tables/ are beside it.

    Raises:
        UserError: a file of the run is missing, or cells of one table were measured on different data.
    """
    run = Run(run_dir)
    ensure_writable(run.folder, "--out")
    return _report(run, _Page(run.folder), "report")


def _report(run: Run, page: _Page, name: str) -> Path:
    title = str(run.summary.get("title") or run.suite)
    page.add(f"# {escape(title)}")
    if run.is_negation:
        parts = groups(run)
        for group in parts:
            _negation(page, group, many=len(parts) > 1)
    else:
        _retrieval(page, run)
    _claims(page, run)
    _probes(page, run)
    return page.write(name, title)


# --- negation ---------------------------------------------------------------------------------------------------------


def _negation(page: _Page, group: Group, *, many: bool) -> None:
    prefix = ""
    if many:
        prefix = slug(f"{group.dataset} {group.space} {group.retriever} {group.seed}") + "-"
        page.add(f"## {escape(group.title)}, space {escape(group.space)}, seed {group.seed}")
    page.add(escape(tables.header_line(group.cells, group.run.summary["preset"])))
    page.add("## 1. Table 6, the paper's layout", _ROWS_OF_TABLE6)
    page.table(tables.paper_table6(group, beside=True), prefix)
    page.add(floor_line(group.run))
    page.table(tables.paper_table6(group, beside=False), prefix)
    page.add("## 2. By the truth", _TRUTH)
    page.table(tables.by_truth(group), prefix)
    page.table(tables.query_shape(group), prefix)
    page.add("## 3. Strength sweep", _sweep_text(group))
    page.table(tables.sweep_table(group), prefix)
    _frontier(page, group, prefix)
    _categories(page, group, prefix)
    page.add("## 6. By phrasing", "The same five methods, over the pairs of each way of phrasing the negative.")
    metrics = ("negated_share@10", "removal@10", "kept@10", "CLAP(gen-)")
    phrased = slices(group, "phrasing", PHRASINGS, metrics)
    page.table(tables.slice_table(group, "phrasing", "By phrasing of the negative", phrased), prefix)


def floor_line(run: Run) -> str:
    """What real tracks score at the same n."""
    known = [(m, tables.floor(run, m)) for m in (metric_like(run, "FAD("), metric_like(run, "FADunit("))]
    said = [f"{metric} {rounded(value, 'distance')}" for metric, value in known if value is not None]
    if not said:
        return "The floor, what real tracks score at the same n, was not measured in this run."
    return f"Floor, what real tracks score at the same n: {', '.join(said)}."


def _sweep_text(group: Group) -> str:
    return (
        "Strengths are not one scale across methods: compare at equal removal. The state before negative prompting at "
        f"w is plain guidance 1 + w with the same noise; for the others it is guidance {group.run.guidance:g}."
    )


def _frontier(page: _Page, group: Group, prefix: str) -> None:
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
    page.table(tables.area_table(group), prefix)


def _categories(page: _Page, group: Group, prefix: str) -> None:
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
    page.table(tables.slice_table(group, "categories", "By category of the negative", parts), prefix)


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


# --- retrieval --------------------------------------------------------------------------------------------------------


def _retrieval(page: _Page, run: Run) -> None:
    found = tables.retrieval_cells(run)
    seeds = {seed for _, seed in found}
    for (dataset, seed), cells in found.items():
        suffix = f"-seed{seed}" if len(seeds) > 1 else ""
        label = dataset_label(dataset)
        page.add(f"## {escape(label)}{f', seed {seed}' if suffix else ''}")
        page.add(escape(tables.header_line(cells, run.summary["preset"])))
        page.table(tables.retrieval_table(run, f"retrieval-{slug(dataset)}{suffix}", cells))
        paper = tables.paper_table2(run, f"table2-{slug(dataset)}{suffix}", cells)
        if paper is not None:
            page.add("NMedR is the paper's MedR (%). Its models and data are others: compare orders, not values.")
            page.table(paper)


# --- claims and probes ------------------------------------------------------------------------------------------------


def _claims(page: _Page, run: Run) -> None:
    claims: Sequence[Mapping[str, Any]] = run.summary.get("claims", [])
    if not claims:
        return
    page.add("## 7. Claims" if run.is_negation else "## Claims")
    page.add(
        "Supported or contradicted only if the whole interval lies beyond or short of the margin, after Holm's "
        "correction over all claims of the run; else inconclusive."
    )
    page.table(tables.claims_table(run))
    said = [contradiction(run, claim) for claim in claims if claim["verdict"] == "contradicted"]
    page.add("\n".join(f"- {sentence}" for sentence in said) if said else "No claim is contradicted in this run.")


def contradiction(run: Run, claim: Mapping[str, Any]) -> str:
    """One sentence that says what was contradicted, by what, and whose statement it was."""
    effect = tables.effect_entry(run, claim).text
    whose = "our claim" if str(claim.get("source", "ours")) == "ours" else f"the paper's claim ({claim['source']})"
    return (
        f"Contradicted: {whose} `{claim['id']}`. {escape(claim['text'])} Measured effect on "
        f"{escape(claim['metric'])}: {effect}; expected {escape(claim['expect'])} by more than {claim['margin']:g}."
    )


def _probes(page: _Page, run: Run) -> None:
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


# --- many runs --------------------------------------------------------------------------------------------------------


def build_index(results_dir: str | Path, out: str | Path) -> Path:
    """Collect runs: a page a suite and an index with every claim.

    A suite's page is of its full run if there is one, else of its quick one; of several, of the latest.

    Args:
        results_dir: folder of results, `results/`.
        out: folder of the pages.

    Returns:
        index.md.

    Raises:
        UserError: no results there, or a folder that cannot be written.
    """
    folder = Path(out)
    runs = [Run(path) for path in find_runs(results_dir)]
    ensure_writable(folder, "--out")
    chosen = {name: _chosen([run for run in runs if run.suite == name]) for name in sorted({run.suite for run in runs})}
    for name, run in chosen.items():
        page = _Page(folder, f"{slug(name)}/")
        page.add("[All suites](index.md)")
        _report(run, page, slug(name))
    page = _Page(folder)
    page.add("# Results", "\n".join(_index_line(name, run) for name, run in chosen.items()))
    claims = _all_claims(chosen)
    if claims.rows:
        page.add("## Claims")
        page.table(claims)
    return page.write("index", "Results")


def _chosen(runs: Sequence[Run]) -> Run:
    """The full run before the quick one, then the latest."""
    return max(runs, key=lambda r: (r.summary["preset"] == "full", (r.folder / "summary.json").stat().st_mtime_ns))


def _index_line(name: str, run: Run) -> str:
    summary = run.summary
    title = escape(str(summary.get("title") or name))
    return f"- [{title}]({slug(name)}.md): profile {summary['profile']}, preset {summary['preset']}"


def _all_claims(chosen: Mapping[str, Run]) -> Table:
    rows: list[tuple[Any, ...]] = []
    columns: tuple[str, ...] = ()
    for name, run in chosen.items():
        own = tables.claims_table(run)
        columns = ("suite", *own.columns)
        rows.extend((text(name), *row) for row in own.rows)
    return Table("claims", "Claims of all suites", columns, tuple(rows))
