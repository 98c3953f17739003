"""A finished run's top 10 as TREC files, for other tools."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.store import ensure_writable, write_atomic
from bench.trec import write_qrels, write_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["export_run"]

INDEX = ("key", "run", "qrels", "dataset", "space", "retriever", "modifier", "params", "seed")


def export_run(folder: str | Path, out: str | Path, cells: Sequence[str] | None = None) -> list[Path]:
    """Write a TREC run for each cell of a run's folder, the qrels that they are judged by, and an index of both.

    A run's folder keeps the ids of each query's top 10 and no scores: the scores written are 10, 9, …, 1, which hold
    the order and nothing else. So metrics at k beyond 10, MRR and MedR cannot be had from these files.

    Args:
        folder: `results/<suite>/<run-id>`.
        out: where to; holds `<key>.trec`, `index.csv`, and `qrels.trec`, or one qrels a set of queries where the cells
            have several (`qrels-<dataset>.trec`).
        cells: keys of cells; None: all.

    Returns:
        The files, the index first.

    Raises:
        UserError: no such run, an unknown cell, a missing file, an id that cannot stand in a TREC file.
    """
    run, target = Path(folder), Path(out)
    entries = _entries(run, cells)
    frames = {entry["key"]: _frame(run, entry["key"]) for entry in entries}
    ensure_writable(target, "--out")
    names = _qrels_names(entries, frames)
    written: list[Path] = []
    table = io.StringIO()
    index = csv.writer(table, lineterminator="\n")
    index.writerow(INDEX)
    for entry in entries:
        key, frame = entry["key"], frames[entry["key"]]
        queries = frame["query_id"].astype(str).tolist()
        qrels = target / names[key]
        if qrels not in written:
            write_qrels(qrels, queries, [[str(item)] for item in frame["relevant_id"]])
            written.append(qrels)
        tops = [list(map(str, top)) for top in frame["top_10"]]
        write_run(target / f"{key}.trec", queries, tops, [range(len(top), 0, -1) for top in tops], key)
        written.append(target / f"{key}.trec")
        params = json.dumps(entry.get("params", {}), sort_keys=True)
        index.writerow([key, f"{key}.trec", names[key], *(entry.get(n, "") for n in INDEX[3:7]), params, entry["seed"]])
    write_atomic(target / "index.csv", table.getvalue())
    return [target / "index.csv", *written]


def _entries(run: Path, cells: Sequence[str] | None) -> list[dict[str, Any]]:
    from bench.registry import nearest
    from bench.report.load import Run

    entries: list[dict[str, Any]] = Run(run).summary["cells"]
    known = [entry["key"] for entry in entries]
    for cell in cells or ():
        if cell not in known:
            close = nearest(cell, known)
            raise UserError(
                f"{run}: no cell {cell!r}; " + (f"did you mean {close!r}?" if close else f"it has {', '.join(known)}")
            )
    return [entry for entry in entries if not cells or entry["key"] in cells]


def _frame(run: Path, key: str) -> pd.DataFrame:
    from bench.report.load import Run

    wanted = ("query_id", "relevant_id", "top_10")
    frame = Run(run).per_query(key, wanted)
    missing = [name for name in wanted if name not in frame]
    if missing:
        file = run / "per_query" / f"{key}.parquet"
        raise UserError(f"{file}: cannot be read (no column {', '.join(missing)}); run the suite again")
    return frame


def _qrels_names(entries: list[dict[str, Any]], frames: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Cell -> its qrels file: cells with the same queries and relevant items share one."""
    contents = {key: tuple(zip(f["query_id"], f["relevant_id"], strict=True)) for key, f in frames.items()}
    if len(set(contents.values())) == 1:
        return dict.fromkeys(contents, "qrels.trec")
    names: dict[tuple[Any, ...], str] = {}
    for entry in entries:
        content = contents[entry["key"]]
        if content not in names:
            stem = "qrels-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", str(entry["dataset"]))
            same = sum(name == f"{stem}.trec" or name.startswith(f"{stem}-") for name in names.values())
            names[content] = f"{stem}-{same + 1}.trec" if same else f"{stem}.trec"
    return {key: names[content] for key, content in contents.items()}
