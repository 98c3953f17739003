"""The tables that any report may have (PROTOCOL.md 3, 8): retrieval, claims, what a space holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report._format import cell_label, dataset_label, p_value, retriever_label, rounded
from bench.report._groups import Cell, groups, metric_like
from bench.report._paper import claim_numbers
from bench.report._table import Entry, Table, number, text
from bench.report.load import Run, Value, same_data

__all__ = [
    "claims_table", "effect_entry", "floor", "floor_line", "header_line", "heading", "measured", "paper_says",
    "probe_tables", "retrieval_cells", "retrieval_table", "row_label", "stability", "unit_of", "value_entry",
]  # fmt: skip

_RETRIEVAL = ("R@1", "R@5", "R@10", "R@10(norm)", "MedR", "NMedR", "MRR")


def unit_of(run: Run, metric: str) -> str:
    """The unit of a metric; empty where the run does not know it."""
    return str(run.metric_info.get(metric, {}).get("unit", ""))


def heading(run: Run, metric: str) -> str:
    """A metric's key with the direction that is better."""
    better = run.metric_info.get(metric, {}).get("higher_is_better")
    return metric if better is None else f"{metric} {'↑' if better else '↓'}"


def value_entry(run: Run, cell: Cell | None, metric: str, *, intervals: bool = True, beside: str = "") -> Entry:
    """A metric of a cell as a table prints it."""
    return number(run.value(cell, metric), unit_of(run, metric), with_interval=intervals, beside=beside)


def measured(run: Run, metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that the run has."""
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


def floor(run: Run, metric: str) -> float | None:
    """What real tracks score at the same n (PROTOCOL.md 4)."""
    value = run.metric_info.get(metric, {}).get("floor")
    return None if value is None else float(value)


def floor_line(run: Run) -> str:
    """What real tracks score at the same n."""
    known = [(m, floor(run, m)) for m in (metric_like(run, "FAD("), metric_like(run, "FADunit("))]
    said = [f"{metric} {rounded(value, 'distance')}" for metric, value in known if value is not None]
    if not said:
        return "The floor, what real tracks score at the same n, was not measured in this run."
    return f"Floor, what real tracks score at the same n: {', '.join(said)}."


# --- retrieval --------------------------------------------------------------------------------------------------------


def retrieval_cells(run: Run) -> dict[tuple[str, int], list[Cell]]:
    """Cells of a retrieval suite by dataset and seed; other training seeds are left out."""
    found: dict[tuple[str, int], list[Cell]] = {}
    for group in groups(run):
        found.setdefault((group.dataset, group.seed), []).extend(group.cells)
    return found


def retrieval_table(
    run: Run, name: str, cells: Sequence[Cell], *, intervals: bool = True, without: Sequence[str] = ()
) -> Table:
    """One dataset: a row a retriever, with every metric of the run but those in `without`."""
    same_data(cells, str(run.folder))
    known = [*measured(run, _RETRIEVAL), *(m for m in run.metric_info if m not in _RETRIEVAL)]
    metrics = [metric for metric in known if metric not in without]
    rows = tuple(
        (text(row_label(run, cell)), *(value_entry(run, cell, metric, intervals=intervals) for metric in metrics))
        for cell in cells
    )
    return Table(
        name, f"Retrieval on {dataset_label(cells[0]['dataset'])}", ("", *(heading(run, m) for m in metrics)), rows
    )


def row_label(run: Run, cell: Cell) -> str:
    """A retriever, and what was done to its query."""
    label = retriever_label(cell["retriever"])
    return label if run.is_unmodified(cell) else f"{label}, {cell_label(cell, run.guidance)}"


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
    unit = unit_of(run, claim["metric"])
    # A margin may be 0.02: two decimals would not show on which side of it an interval ends.
    unit = "effect" if log_ratio or unit in ("", "cosine", "share") else unit
    if claim.get("predictor"):
        unit = "share"  # a correlation, whatever is correlated
    return number(Value(claim["effect"], lo, hi, why="no number"), unit, beside=" (log ratio)" if log_ratio else "")


def paper_says(run: Run, claim: Mapping[str, Any]) -> str:
    """What the paper says of a claim, with its numbers where its tables have both sides."""
    if claim.get("paper"):
        return str(claim["paper"])
    source = str(claim.get("source") or "ours")
    if source == "ours":
        return "not a claim of the paper"
    numbers = claim_numbers(run, claim)
    return f"states it ({source}{f': {numbers}' if numbers else ''})"


def claims_table(run: Run) -> Table:
    """Every claim with its verdict, effect, margin, Holm-adjusted p, and stability over training seeds."""
    rows = []
    for claim in run.summary.get("claims", []):
        margin = claim.get("margin")
        rows.append(
            (
                text(claim["id"]), text(claim["text"]), text(claim["verdict"], claim.get("why")),
                effect_entry(run, claim), text("" if margin is None else f"{margin:g}"),
                text(p_value(claim.get("p_holm"))), text(stability(claim)), text(paper_says(run, claim)),
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
