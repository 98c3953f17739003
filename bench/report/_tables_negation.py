"""The tables of a negation suite (PROTOCOL.md 5), each built from the cells of one dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report._format import cell_label, family_label
from bench.report._groups import PAPER_ARMS, Cell, Group, Slice, metric_like
from bench.report._paper import paper_tables
from bench.report._table import Entry, Table, number, text
from bench.report.load import Value
from bench.report.tables import heading, measured, unit_of, value_entry

__all__ = ["area_table", "by_truth", "methods", "paper_table6", "query_shape", "slice_table", "sweep_table"]

#: Rows of Table 6: key in tables.yaml, metric prefix, direction as the paper prints it.
_TABLE6 = (
    ("clap_pos_ZA", "CLAP(ZA+)", "↑"), ("clap_pos_gen", "CLAP(gen+)", "↑"), ("clap_pos_ZT", "CLAP(ZT+)", "↑"),
    ("clap_neg_gen", "CLAP(gen-)", "↓"), ("clap_neg_ZT", "CLAP(ZT-)", "↓"), ("FAD", "FAD(", "↓"),
)  # fmt: skip
TRUTH = ("negated_share@10", "removal@10", "kept@10", "overlap@10", "R@10", "R@10(neg)", "MedR", "twin_accuracy")


def paper_table6(group: Group, *, beside: bool) -> Table:
    """Table 6 in the paper's layout: ours beside the paper's numbers, or ours with intervals."""
    published = paper_tables()["table6"]
    cells = [group.arm(arm) for arm in PAPER_ARMS]
    rows = []
    for key, prefix, arrow in _TABLE6:
        metric = metric_like(group.run, prefix) if prefix.endswith("(") else prefix
        row = [text(f"{metric} {arrow}")]
        for arm, cell in zip(PAPER_ARMS, cells, strict=True):
            paper = f" (paper {published[key][arm.paper]:.2f})" if beside else ""
            row.append(value_entry(group.run, cell, metric, intervals=not beside, beside=paper))
        rows.append(tuple(row))
    title = "Table 6, ours (paper)" if beside else "Table 6, ours with 95 % intervals"
    columns = ("", *(_arm_label(group, arm.label, cell) for arm, cell in zip(PAPER_ARMS, cells, strict=True)))
    return Table("table6" if beside else "table6-intervals", title, columns, tuple(rows))


def _arm_label(group: Group, label: str, cell: Cell | None) -> str:
    strength = cell["params"].get("strength") if cell else None
    return label if strength is None else f"{label}, w = {strength:g}"


def methods(group: Group) -> list[Cell]:
    """The unmodified query and every method at its primary strength."""
    first = [group.unmodified] if group.unmodified else []
    return [*first, *(group.primary_of(members) for members in group.families())]


def by_truth(group: Group, metrics: Sequence[str] = TRUTH, *, intervals: bool = True) -> Table:
    """What the results hold by the truth: a row a method at its primary strength."""
    shown = measured(group.run, metrics)
    rows = tuple(
        (
            text(cell_label(cell, group.run.guidance)),
            *(value_entry(group.run, cell, metric, intervals=intervals) for metric in shown),
        )
        for cell in methods(group)
    )
    return Table("by-truth", "What the results hold", ("", *(heading(group.run, m) for m in shown)), rows)


def query_shape(group: Group) -> Table:
    """Fidelity and spread of the query latents, and what a sample costs in network evaluations."""
    run = group.run
    shown = measured(run, (metric_like(run, "FADunit("), "MICS", "MINVS", "Vendi"))
    rows = []
    for cell in methods(group):
        entries = [value_entry(run, cell, metric) for metric in shown]
        nfe = cell.get("nfe")
        cost = Entry("n/a" if nfe is None else str(nfe), Value(nfe))
        rows.append((text(cell_label(cell, run.guidance)), *entries, cost))
    columns = ("", *(heading(run, m) for m in shown), "nfe")
    return Table("query-shape", "What the query latents look like", columns, tuple(rows))


def sweep_table(group: Group) -> Table:
    """Every method at every strength: removal, what is kept, similarity, fidelity."""
    run = group.run
    metrics = (
        "removal@10",
        "kept@10",
        "CLAP(gen+)",
        "CLAP(gen-)",
        metric_like(run, "FAD("),
        metric_like(run, "FADunit("),
    )
    shown = measured(run, metrics)
    rows = []
    for members in group.families():
        for cell in members:
            strength = cell["params"].get("strength")
            label = family_label(cell["modifier"], cell["params"])
            row = [text(label), text("–" if strength is None else f"{strength:g}"), _removed(group, cell)]
            rows.append((*row, *(value_entry(run, cell, metric) for metric in shown)))
    columns = ("method", "strength", "removed (share of what was there)", *(heading(run, m) for m in shown))
    return Table("sweep", "Strength sweep", columns, tuple(rows))


def _removed(group: Group, cell: Cell) -> Entry:
    point = group.point(cell)
    if point is None:
        why = "w = 0 is plain guidance 1, no point of the sweep" if cell["params"].get("strength") == 0 else None
        return number(Value(None, why=why or "no frontier of this method in this run"), "share")
    lo, hi = point["removal_ci"] or (None, None)
    return number(Value(point["removal"], lo, hi), "share")


def area_table(group: Group, moved: str = "removal", kept: str = "kept") -> Table:
    """Area under each method's frontier, such as that of removal and what is kept; an oracle has 1."""
    rows = []
    for family in sorted(group.frontiers(), key=lambda f: -f["area"]["value"]):
        lo, hi = family["area"]["ci"] or (None, None)
        furthest = max(family["points"], key=lambda p: p["removal"])
        rows.append(
            (
                text(family_label(family["modifier"], family["params"])),
                number(Value(family["area"]["value"], lo, hi), "share"),
                number(_bounded(furthest, "removal"), "share"),
                number(_bounded(furthest, "kept"), "share"),
                Entry(str(len(family["points"]) - 1), Value(len(family["points"]) - 1)),
            )
        )
    columns = ("", "area", f"largest {moved}", f"{kept} at it", "strengths")
    return Table("frontier-area", f"Area under the {moved}-{kept} frontier", columns, tuple(rows))


def _bounded(point: Mapping[str, Any], name: str) -> Value:
    lo, hi = point.get(f"{name}_ci") or (None, None)
    return Value(point[name], lo, hi)


def slice_table(group: Group, name: str, title: str, parts: Sequence[Slice]) -> Table:
    """Means by category or phrasing: a row a part and method."""
    metrics = list(parts[0].values) if parts else []
    ordered = sorted(parts, key=lambda s: [p.part for p in parts].index(s.part))
    rows = tuple(
        (
            text(s.part), text(s.label), Entry(str(s.n), Value(s.n)), Entry(str(s.negatives), Value(s.negatives)),
            *(number(s.values[m], unit_of(group.run, m)) for m in metrics),
        )
        for s in ordered
    )  # fmt: skip
    columns = ("", "method", "pairs", "negatives", *(heading(group.run, m) for m in metrics))
    return Table(name, title, columns, rows)
