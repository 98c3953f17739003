"""The paper's published numbers (suites/paper/tables.yaml), and which of them stands beside which of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from bench import resources
from bench.report._groups import PAPER_ARMS
from bench.report.load import Run

__all__ = ["ROWS", "TABLE2", "TABLE4", "TABLE5", "claim_numbers", "paper_tables", "published"]

#: Retriever id -> row of a table of the paper.
ROWS: Mapping[str, Mapping[str, str]] = {
    "table2": {"clap": "CLAP", "gdr-clap": "GDR-CLAP", "muscall": "MusCALL", "gdr-muscall": "GDR-MusCALL"},
    "table4": {"gdr-clap-t5": "GDR-CLAP/T5", "gdr-clap": "GDR-CLAP/CLAP", "gdr-mule-t5": "GDR-MULE/T5"},
    "table5": {
        "gdr-clap": "diffusion_unet", "mlp-diffusion": "diffusion_mlp", "mlp-diffusion-bug": "diffusion_mlp",
        "unet-regression": "regression_unet", "mlp-regression": "regression_mlp",
    },
}  # fmt: skip
#: Metric -> column of a table of the paper, in the paper's order.
TABLE2: Mapping[str, str] = {"R@1": "R1", "R@5": "R5", "R@10": "R10", "NMedR": "MedR"}
TABLE4: Mapping[str, str] = {"R@1": "R1", "R@5": "R5", "R@10": "R10", "NMedR": "MR"}
TABLE5: Mapping[str, str] = {
    "R@5": "R5", "NMedR": "NMedR", "FAD(jam)": "FAD", "CLAP(ZA+)": "CLAP", "MICS": "MICS", "MINVS": "MINVS",
    "Vendi": "NVendi",
}  # fmt: skip
_TABLE6: Mapping[str, str] = {
    "CLAP(ZA+)": "clap_pos_ZA", "CLAP(gen+)": "clap_pos_gen", "CLAP(ZT+)": "clap_pos_ZT",
    "CLAP(gen-)": "clap_neg_gen", "CLAP(ZT-)": "clap_neg_ZT", "FAD(jam)": "FAD",
}  # fmt: skip

Side = Mapping[str, Any]


@cache
def paper_tables() -> dict[str, Any]:
    """The paper's published numbers."""
    from ruamel.yaml import YAML

    tables: dict[str, Any] = YAML(typ="safe", pure=True).load(resources.paper_tables().read_text(encoding="utf-8"))
    return tables


def published(table: str, retriever: str, column: str, dataset: str | None = None) -> float | None:
    """A number of Table 2, 4 or 5.

    Args:
        table: `table2`, `table4` or `table5`.
        retriever: our id.
        column: the table's own key, such as `R5`.
        dataset: our id; Table 5 has none.
    """
    entry = paper_tables()[table].get(ROWS[table].get(retriever, ""))
    if entry is not None and dataset is not None:
        entry = entry.get(dataset.upper())
    value = entry.get(column) if entry else None
    return float(value) if isinstance(value, (int, float)) else None


# --- the two sides of a claim -----------------------------------------------------------------------------------------


def claim_numbers(run: Run, claim: Mapping[str, Any]) -> str:
    """The paper's numbers for the sides of a claim, such as `24.7 against 23.2`; empty where its tables lack one."""
    stated = next((c for c in run.resolved.get("claims") or [] if c.get("id") == claim["id"]), None)
    find = _FINDERS.get(str(claim.get("source")))
    if stated is None or find is None:
        return ""
    rivals = stated.get("b") or []
    sides = [stated.get("a") or {}, *(rivals if isinstance(rivals, list) else [rivals])]
    numbers = [_side(run, str(claim["metric"]), side, find) for side in sides]
    if any(number is None for number in numbers):
        return ""
    own, *others = [f"{number:.4g}" for number in numbers]
    return f"{own} against {', '.join(others)}" if others else own


def _side(run: Run, metric: str, side: Side, find: Callable[[Run, str, Side], float | None]) -> float | None:
    own = find(run, metric, side)
    if own is None:
        return None
    if side.get("minus"):
        less = find(run, metric, side["minus"])
        return None if less is None else own - less
    return own * float(side.get("times") or 1)


def _of_retrieval(table: str, columns: Mapping[str, str]) -> Callable[[Run, str, Side], float | None]:
    def find(run: Run, metric: str, side: Side) -> float | None:
        if metric not in columns or side.get("modifier", "none") != "none":
            return None
        dataset = None if table == "table5" else str(side.get("dataset") or run.first_dataset)
        return published(table, str(side.get("retriever") or run.main), columns[metric], dataset)

    return find


def _of_table4(run: Run, metric: str, side: Side) -> float | None:
    """Table 4, and for the teacher, which is a rival there but no row, Table 2."""
    for table, columns in (("table4", TABLE4), ("table2", TABLE2)):
        value = _of_retrieval(table, columns)(run, metric, side)
        if value is not None:
            return value
    return None


def _of_table6(run: Run, metric: str, side: Side) -> float | None:
    if metric not in _TABLE6:
        return None
    for arm in PAPER_ARMS:
        options = {k: v for k, v in arm.options.items() if k != "vectors"}
        if arm.modifier == side.get("modifier") and all(side.get(k, v) == v for k, v in options.items()):
            return float(paper_tables()["table6"][_TABLE6[metric]][arm.paper])
    return None


_FINDERS: Mapping[str, Callable[[Run, str, Side], float | None]] = {
    "Table 2": _of_retrieval("table2", TABLE2),
    "Table 4": _of_table4,
    "Table 5": _of_retrieval("table5", TABLE5),
    "Table 6": _of_table6,
}
