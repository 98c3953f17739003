"""The tables of a report (PROTOCOL.md 3, 5, 8), each built from the cells of one dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench import resources
from bench.report._format import cell_label, dataset_label, family_label, p_value, retriever_label, rounded
from bench.report._groups import PAPER_ARMS, Cell, Group, Slice, groups, metric_like
from bench.report._table import Entry, Table, number, text
from bench.report.load import Run, Value, same_data

__all__ = [
    "area_table", "by_truth", "claims_table", "effect_entry", "floor", "header_line", "paper_says",
    "paper_table2", "paper_table6", "paper_tables", "probe_tables", "query_shape", "retrieval_cells",
    "retrieval_table", "slice_table", "stability", "sweep_table",
]  # fmt: skip

#: Rows of Table 6: key in tables.yaml, metric prefix, direction as the paper prints it.
_TABLE6 = (
    ("clap_pos_ZA", "CLAP(ZA+)", "↑"), ("clap_pos_gen", "CLAP(gen+)", "↑"), ("clap_pos_ZT", "CLAP(ZT+)", "↑"),
    ("clap_neg_gen", "CLAP(gen-)", "↓"), ("clap_neg_ZT", "CLAP(ZT-)", "↓"), ("FAD", "FAD(", "↓"),
)  # fmt: skip
TRUTH = ("negated_share@10", "removal@10", "kept@10", "overlap@10", "R@10", "R@10(neg)", "MedR")
_RETRIEVAL = ("R@1", "R@5", "R@10", "R@10(norm)", "MedR", "NMedR", "MRR")
_PAPER_ROWS = {"clap": "CLAP", "gdr-clap": "GDR-CLAP", "muscall": "MusCALL", "gdr-muscall": "GDR-MusCALL"}
_PAPER_COLUMNS = {"R1": "R@1", "R5": "R@5", "R10": "R@10", "MedR": "NMedR"}


def paper_tables() -> dict[str, Any]:
    """The paper's published numbers."""
    from ruamel.yaml import YAML

    tables: dict[str, Any] = YAML(typ="safe", pure=True).load(resources.paper_tables().read_text(encoding="utf-8"))
    return tables


def _unit(run: Run, metric: str) -> str:
    return str(run.metric_info.get(metric, {}).get("unit", ""))


def _heading(run: Run, metric: str) -> str:
    """A metric's key with the direction that is better."""
    better = run.metric_info.get(metric, {}).get("higher_is_better")
    return metric if better is None else f"{metric} {'↑' if better else '↓'}"


def _number(run: Run, cell: Cell | None, metric: str, *, intervals: bool = True, beside: str = "") -> Entry:
    return number(run.value(cell, metric), _unit(run, metric), with_interval=intervals, beside=beside)


def _present(run: Run, metrics: Sequence[str]) -> list[str]:
    return [metric for metric in metrics if metric in run.metric_info]


def _distinct(values: Sequence[Any]) -> str:
    return ", ".join(str(v) for v in dict.fromkeys(values))


def header_line(cells: Sequence[Cell], preset: str) -> str:
    """What every retrieval number stands on: dataset, N, n, chance, sampler, K, preset."""
    first = cells[0]
    parts = [f"{dataset_label(first['dataset'])} ({first['dataset_name']})"]
    parts.append(f"N = {_distinct([c['n_gallery'] for c in cells])} tracks")
    parts.append(f"n = {_distinct([c['n_queries'] for c in cells])} queries")
    chance = [rounded(100 * min(1.0, 10 / c["n_gallery"]), "%") for c in cells]
    parts.append(f"chance R@10 {_distinct(chance)} %")
    for name, label in (("sampler", "sampler"), ("samples", "K =")):
        given = [c["params"][name] for c in cells if name in c["params"]]
        if given:
            parts.append(f"{label} {_distinct(given)}")
    return " · ".join([*parts, f"preset {preset}"])


# --- negation ---------------------------------------------------------------------------------------------------------


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
            row.append(_number(group.run, cell, metric, intervals=not beside, beside=paper))
        rows.append(tuple(row))
    title = "Table 6, ours (paper)" if beside else "Table 6, ours with 95 % intervals"
    columns = ("", *(_arm_label(group, arm.label, cell) for arm, cell in zip(PAPER_ARMS, cells, strict=True)))
    return Table("table6" if beside else "table6-intervals", title, columns, tuple(rows))


def _arm_label(group: Group, label: str, cell: Cell | None) -> str:
    strength = cell["params"].get("strength") if cell else None
    return label if strength is None else f"{label}, w = {strength:g}"


def floor(run: Run, metric: str) -> float | None:
    """What real tracks score at the same n (PROTOCOL.md 4)."""
    value = run.metric_info.get(metric, {}).get("floor")
    return None if value is None else float(value)


def _methods(group: Group) -> list[Cell]:
    """The unmodified query and every method at its primary strength."""
    first = [group.unmodified] if group.unmodified else []
    return [*first, *(group.primary_of(members) for members in group.families())]


def by_truth(group: Group, metrics: Sequence[str] = TRUTH, *, intervals: bool = True) -> Table:
    """What the results hold by the truth: a row a method at its primary strength."""
    present = _present(group.run, metrics)
    rows = tuple(
        (
            text(cell_label(cell, group.run.guidance)),
            *(_number(group.run, cell, metric, intervals=intervals) for metric in present),
        )
        for cell in _methods(group)
    )
    return Table("by-truth", "What the results hold", ("", *(_heading(group.run, m) for m in present)), rows)


def query_shape(group: Group) -> Table:
    """Fidelity and spread of the query latents, and what a sample costs in network evaluations."""
    run = group.run
    present = _present(run, (metric_like(run, "FADunit("), "MICS", "MINVS", "Vendi"))
    rows = []
    for cell in _methods(group):
        entries = [_number(run, cell, metric) for metric in present]
        nfe = cell.get("nfe")
        cost = Entry("n/a" if nfe is None else str(nfe), Value(nfe))
        rows.append((text(cell_label(cell, run.guidance)), *entries, cost))
    columns = ("", *(_heading(run, m) for m in present), "nfe")
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
    present = _present(run, metrics)
    rows = []
    for members in group.families():
        for cell in members:
            strength = cell["params"].get("strength")
            label = family_label(cell["modifier"], cell["params"])
            row = [text(label), text("–" if strength is None else f"{strength:g}"), _removed(group, cell)]
            rows.append((*row, *(_number(run, cell, metric) for metric in present)))
    columns = ("method", "strength", "removed (share of what was there)", *(_heading(run, m) for m in present))
    return Table("sweep", "Strength sweep", columns, tuple(rows))


def _removed(group: Group, cell: Cell) -> Entry:
    point = group.point(cell)
    if point is None:
        why = "w = 0 is plain guidance 1, no point of the sweep" if cell["params"].get("strength") == 0 else None
        return number(Value(None, why=why or "no frontier of this method in this run"), "share")
    lo, hi = point["removal_ci"] or (None, None)
    return number(Value(point["removal"], lo, hi), "share")


def area_table(group: Group) -> Table:
    """Area under each method's removal-kept frontier; an oracle has 1."""
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
    columns = ("", "area", "largest removal", "kept at it", "strengths")
    return Table("frontier-area", "Area under the removal-kept frontier", columns, tuple(rows))


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
            *(number(s.values[m], _unit(group.run, m)) for m in metrics),
        )
        for s in ordered
    )  # fmt: skip
    columns = ("", "method", "pairs", "negatives", *(_heading(group.run, m) for m in metrics))
    return Table(name, title, columns, rows)


# --- retrieval --------------------------------------------------------------------------------------------------------


def retrieval_cells(run: Run) -> dict[tuple[str, int], list[Cell]]:
    """Cells of a retrieval suite by dataset and seed; other training seeds are left out."""
    found: dict[tuple[str, int], list[Cell]] = {}
    for group in groups(run):
        found.setdefault((group.dataset, group.seed), []).extend(group.cells)
    return found


def retrieval_table(run: Run, name: str, cells: Sequence[Cell], *, intervals: bool = True) -> Table:
    """One dataset: a row a retriever, with every metric of the run."""
    same_data(cells, str(run.folder))
    metrics = [*_present(run, _RETRIEVAL), *(m for m in run.metric_info if m not in _RETRIEVAL)]
    rows = tuple(
        (text(_row_label(run, cell)), *(_number(run, cell, metric, intervals=intervals) for metric in metrics))
        for cell in cells
    )
    return Table(
        name, f"Retrieval on {dataset_label(cells[0]['dataset'])}", ("", *(_heading(run, m) for m in metrics)), rows
    )


def _row_label(run: Run, cell: Cell) -> str:
    label = retriever_label(cell["retriever"])
    return label if run.is_unmodified(cell) else f"{label}, {cell_label(cell, run.guidance)}"


def paper_table2(run: Run, name: str, cells: Sequence[Cell]) -> Table | None:
    """Ours beside the paper's Table 2, for the retrievers and datasets that it has."""
    published = paper_tables()["table2"]
    dataset = cells[0]["dataset"].upper()
    columns = {key: metric for key, metric in _PAPER_COLUMNS.items() if metric in run.metric_info}
    rows = []
    for cell in cells:
        paper = published.get(_PAPER_ROWS.get(cell["retriever"], ""), {}).get(dataset)
        if paper and run.is_unmodified(cell):
            entries = [
                _number(run, cell, metric, intervals=False, beside=f" (paper {paper[key]:.1f})")
                for key, metric in columns.items()
            ]
            rows.append((text(_row_label(run, cell)), *entries))
    title = f"{dataset_label(cells[0]['dataset'])}: ours (the paper's Table 2)"
    return Table(name, title, ("", *(_heading(run, m) for m in columns.values())), tuple(rows)) if rows else None


# --- claims and probes ------------------------------------------------------------------------------------------------


def stability(claim: Mapping[str, Any]) -> str:
    """How many training seeds give the same verdict: `3/3 supported`, and what the others say."""
    verdicts = list((claim.get("stability") or {}).values())
    if len(verdicts) < 2:
        return "one seed"
    own = claim["verdict"]
    others = {v: verdicts.count(v) for v in verdicts if v != own}
    said = "".join(f", {count} {verdict}" for verdict, count in others.items())
    return f"{verdicts.count(own)}/{len(verdicts)} {own}{said}"


def effect_entry(run: Run, claim: Mapping[str, Any]) -> Entry:
    """Effect of a claim with its interval, in the metric's unit or as a log ratio."""
    lo, hi = claim.get("ci") or (None, None)
    log_ratio = claim.get("compare") == "log-ratio"
    unit = _unit(run, claim["metric"])
    # A margin may be 0.02: two decimals would not show on which side of it an interval ends.
    unit = "effect" if log_ratio or unit in ("", "cosine", "share") else unit
    return number(Value(claim["effect"], lo, hi, why="no number"), unit, beside=" (log ratio)" if log_ratio else "")


def paper_says(claim: Mapping[str, Any]) -> str:
    """What the paper says of a claim; claims of our own are not in it."""
    if claim.get("paper"):
        return str(claim["paper"])
    source = str(claim.get("source") or "ours")
    return "not a claim of the paper" if source == "ours" else f"states it ({source})"


def claims_table(run: Run) -> Table:
    """Every claim with its verdict, effect, margin, Holm-adjusted p, and stability over training seeds."""
    rows = []
    for claim in run.summary.get("claims", []):
        margin = claim.get("margin")
        rows.append(
            (
                text(claim["id"]), text(claim["text"]), text(claim["verdict"], claim.get("why")),
                effect_entry(run, claim), text("" if margin is None else f"{margin:g}"),
                text(p_value(claim.get("p_holm"))), text(stability(claim)), text(paper_says(claim)),
            )
        )  # fmt: skip
    columns = ("id", "statement", "verdict", "effect, 95 % interval", "margin", "p (Holm)", "training seeds", "paper")
    return Table("claims", "Claims", columns, tuple(rows))


def probe_tables(run: Run) -> list[Table]:
    """What each space holds: balanced accuracy of a probe against chance, by attribute and domain."""
    tables = []
    marked = set(run.summary.get("not_encoded", []))
    first = run.summary["cells"][0]["space"] if run.summary["cells"] else None
    for space, domains in sorted((run.summary.get("space_probes") or {}).items()):
        attributes = list(dict.fromkeys(name for probes in domains.values() for name in probes))
        rows = []
        for attribute in attributes:
            note = "not encoded in this space" if space == first and attribute in marked else None
            rows.append((text(attribute, note), *(_probe(domains[d].get(attribute)) for d in domains)))
        columns = ("attribute", *(f"{dataset_label(d)}, accuracy (chance)" for d in domains))
        tables.append(Table(f"probes-{space}", f"What {space} holds", columns, tuple(rows)))
    return tables


def _probe(probe: Mapping[str, float] | None) -> Entry:
    if probe is None:
        return number(Value(None, why="not probed in this domain"), "share")
    return number(Value(probe["accuracy"]), "share", beside=f" ({rounded(probe['chance'], 'share')})")
