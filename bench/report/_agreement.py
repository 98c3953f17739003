"""The page on how far two runs of one suite agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report._format import cell_label, dataset_label, retriever_label
from bench.report._table import Entry, Table, number, text
from bench.report._untrusted import escape
from bench.report.load import Run, Value, agreement
from bench.store import write_atomic

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["agreement_blocks", "agreement_page", "build_agreement", "overview"]


def agreement_page(a: Run, b: Run, compared: pd.DataFrame) -> str:
    """Markdown: what share of the cells agrees, metric by metric; where they do not; and the claims.

    Args:
        a: one run.
        b: the other.
        compared: `agreement(a, b)`.
    """
    title = escape(str(a.summary.get("title") or a.suite))
    names = _names(a, b)
    return "\n\n".join([f"# Agreement of {names[0]} and {names[1]}: {title}", *agreement_blocks(a, b, compared)]) + "\n"


def agreement_blocks(a: Run, b: Run, compared: pd.DataFrame) -> list[str]:
    """The same without a title, for a page about several suites."""
    names = _names(a, b)
    metrics = compared[compared["kind"] == "metric"]
    claims = compared[compared["kind"] == "claim"]
    judged = metrics[metrics["agree"].notna()]
    agree = int(judged["agree"].astype(bool).sum())
    blocks = [
        f"Cells in {names[0]}: {len(a.summary['cells'])}; in {names[1]}: {len(b.summary['cells'])}. Of {len(judged)} "
        f"comparisons the 95 % intervals overlap in {agree}. Metrics of a set (FAD, Vendi) depend on n and are not "
        "compared where n differs; without an interval on both sides nothing is compared either.",
        _by_metric(metrics).markdown(),
    ]
    apart = judged[~judged["agree"].astype(bool)]
    blocks.append(_apart(a, apart, names).markdown() if len(apart) else "No pair of intervals lies apart.")
    if len(claims):
        same = int(claims["agree"].astype(bool).sum())
        blocks += [f"Verdicts are equal for {same} of {len(claims)} claims.", _claims(claims, names).markdown()]
    return blocks


def overview(compared: Mapping[str, tuple[Run, Run, pd.DataFrame]]) -> Table:
    """A row a suite: how many comparisons agree, and how many verdicts.

    Args:
        compared: name of the page -> the two runs and `agreement` of them.
    """
    rows = []
    for name, (_, _, frame) in compared.items():
        judged = frame[(frame["kind"] == "metric") & frame["agree"].notna()]["agree"].astype(bool)
        claims = frame[frame["kind"] == "claim"]["agree"].astype(bool)
        rows.append(
            (
                text(name, page=f"{name}.md"), _count(len(judged)), _count(int(judged.sum())),
                _count(len(claims)), _count(int(claims.sum())),
            )
        )  # fmt: skip
    columns = ("suite", "compared", "intervals overlap", "claims", "same verdict")
    return Table("agreement", "Every suite", columns, tuple(rows))


def _names(a: Run, b: Run) -> tuple[str, str]:
    """What the two runs are called: their presets, or, where those are equal, the names of their folders."""
    one, two = str(a.summary["preset"]), str(b.summary["preset"])
    return (one, two) if one != two else (f"{one} {a.folder.name}", f"{two} {b.folder.name}")


def _count(n: int) -> Entry:
    return Entry(str(n), Value(n))


def _by_metric(metrics: pd.DataFrame) -> Table:
    rows = []
    for metric, own in metrics.groupby("item", sort=False):
        judged = own[own["agree"].notna()]["agree"].astype(bool)
        rows.append((text(str(metric)), _count(len(own)), _count(len(judged)), _count(int(judged.sum()))))
    return Table("by-metric", "By metric", ("", "cells", "compared", "intervals overlap"), tuple(rows))


def _apart(a: Run, apart: pd.DataFrame, names: tuple[str, str]) -> Table:
    cells = {(c["dataset"], c["retriever"], c["seed"], _described(c)): c for c in a.summary["cells"]}
    rows = []
    for row in _records(apart):
        unit = str(a.metric_info[row["item"]].get("unit", ""))
        cell = cells[(row["dataset"], row["retriever"], row["seed"], (row["modifier"], row["params"]))]
        rows.append(
            (
                text(f"{retriever_label(row['retriever'])} on {dataset_label(row['dataset'])}"),
                text(cell_label(cell, a.guidance)), text(row["item"]),
                number(Value(row["a"], row["a_lo"], row["a_hi"]), unit),
                number(Value(row["b"], row["b_lo"], row["b_hi"]), unit),
            )
        )  # fmt: skip
    return Table("apart", "Where the intervals lie apart", ("", "method", "metric", *names), tuple(rows))


def _described(cell: dict[str, Any]) -> tuple[str, str]:
    from bench.report.load import PRESET_PARAMS

    own = ((k, v) for k, v in sorted(cell["params"].items()) if k not in PRESET_PARAMS)
    return cell["modifier"], " ".join(f"{k}={v}" for k, v in own)


def _claims(claims: pd.DataFrame, names: tuple[str, str]) -> Table:
    rows = tuple(
        (text(r["item"]), text(r["verdict_a"]), text(r["verdict_b"]), text("yes" if r["agree"] else "no"))
        for r in _records(claims)
    )
    return Table("claims", "Claims", ("id", *names, "same verdict"), rows)


def _records(frame: pd.DataFrame) -> Iterable[dict[str, Any]]:
    records: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    return records


def build_agreement(run_a: str | Path, run_b: str | Path, out_md: str | Path) -> Path:
    """Write a page on how far two runs of a suite agree, and the whole comparison as CSV beside it.

    Returns:
        The page, `out_md`.
    """
    a, b, page = Run(run_a), Run(run_b), Path(out_md)
    compared = agreement(a, b)
    write_atomic(page.with_suffix(".csv"), compared.to_csv(index=False, lineterminator="\n"))
    write_atomic(page, agreement_page(a, b, compared))
    return page
