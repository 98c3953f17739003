"""Which cells of two runs, or of two retrievers of one run, are compared with each other."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import UserError
from bench.registry import nearest
from bench.report._format import cell_label
from bench.report.load import PRESET_PARAMS, Run, find_runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Pair", "checked", "describe", "identity", "matched", "one_run", "options", "same_fingerprints", "table"]


class Pair(NamedTuple):
    """Two cells that ask the same queries of the same gallery."""

    a: dict[str, Any]
    b: dict[str, Any]


def one_run(path: str | Path) -> Run:
    """A run by its folder, or by a folder above it that holds no other.

    Raises:
        UserError: there is none, or several.
    """
    folder = Path(path)
    if (folder / "summary.json").is_file() or not folder.is_dir():
        return Run(folder)
    found = find_runs(folder)
    if len(found) > 1:
        some = ", ".join(map(str, found[:4])) + (", …" if len(found) > 4 else "")
        raise UserError(f"{folder}: holds {len(found)} runs ({some}); name one of them")
    return Run(found[0])


def options(run: Run, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a cell that say what it measures, but not how finely it samples.

    The guidance of an unmodified query is left out where it is the suite's own: a retriever without guidance is
    unmodified too, and a candidate may have another one.
    """
    kept = {name: value for name, value in cell["params"].items() if name not in PRESET_PARAMS}
    if run.is_unmodified(cell):
        kept.pop("guidance", None)
    return kept


def identity(run: Run, cell: Mapping[str, Any], retriever: str | None = None) -> str:
    """What a cell measures: dataset, retriever (or the given name in its place), modifier, seed and `options`."""
    named = [cell["dataset"], retriever or cell["retriever"], cell["modifier"], cell["seed"]]
    return json.dumps([*named, options(run, cell)], sort_keys=True)


def describe(run: Run, cell: Mapping[str, Any]) -> str:
    """A cell in words, such as `sd, gdr-clap, unmodified, seed 0`."""
    label = cell_label(cell, run.guidance)
    return f"{cell['dataset']}, {cell['retriever']}, {label}, seed {cell['seed']}"


def checked(what: str, name: str, known: Collection[str], where: Path) -> str:
    """A name if a run has it.

    Raises:
        UserError: it has not; the nearest one is told.
    """
    if name in known:
        return name
    close = nearest(name, list(known))
    hint = f"did you mean {close!r}?" if close else f"it has {', '.join(sorted(known))}"
    raise UserError(f"{where}: has no {what} {name!r}; {hint}")


def same_fingerprints(
    first: Iterable[Mapping[str, Any]], second: Iterable[Mapping[str, Any]], names: tuple[str, str]
) -> None:
    """Refuse two sets of cells in which a dataset is not the same data.

    Args:
        first, second: cells, or anything with `dataset` and `data_fingerprint`.
        names: what the two are called.

    Raises:
        UserError: a dataset differs; the message has both fingerprints.
    """
    found = {cell["dataset"]: cell["data_fingerprint"] for cell in first}
    for cell in second:
        dataset, own = cell["dataset"], cell["data_fingerprint"]
        if found.get(dataset, own) != own:
            raise UserError(
                f"dataset {dataset!r} is not the same data: its fingerprint is {found[dataset]} in {names[0]} and "
                f"{own} in {names[1]}; run both again on one version of the data"
            )


def matched(a: Run, b: Run, retrievers: tuple[str, str] | None = None, **only: str | None) -> list[Pair]:
    """Cells of two runs that measure the same, in the first run's order.

    Args:
        a: a run.
        b: another one, or the same where two retrievers are named.
        retrievers: those compared, the first in `a` and the second in `b`; None compares each with itself.
        **only: `dataset` and `modifier` to which cells are restricted; None for no restriction.

    Raises:
        UserError: different data, a name that a run does not have, or no cell in common.
    """
    cells_a, cells_b = a.summary["cells"], b.summary["cells"]
    names = (str(a.folder), str(b.folder))
    same_fingerprints(cells_a, cells_a, (names[0], names[0]))
    same_fingerprints(cells_a, cells_b, names)
    for field, name in only.items():
        if name is not None:
            checked(field, name, {cell[field] for cell in cells_a}, a.folder)
    for name, run in zip(retrievers or (), (a, b), strict=False):
        checked("retriever", name, {cell["retriever"] for cell in run.summary["cells"]}, run.folder)
    place = "*" if retrievers else None
    others = {
        identity(b, cell, place): cell for cell in cells_b if retrievers is None or cell["retriever"] == retrievers[1]
    }
    pairs = []
    for cell in cells_a:
        if retrievers is not None and cell["retriever"] != retrievers[0]:
            continue
        other = others.get(identity(a, cell, place))
        if other is not None and all(cell[field] == name for field, name in only.items() if name is not None):
            pairs.append(Pair(cell, _same_task(cell, other, names)))
    if not pairs:
        raise UserError(_nothing_shared(a, b, retrievers, only))
    return pairs


def _same_task(a: dict[str, Any], b: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    for field in ("n_gallery", "protocol"):
        if a.get(field) != b.get(field):
            raise UserError(
                f"dataset {a['dataset']!r}: {field} is {a.get(field)} in {names[0]} and {b.get(field)} in {names[1]}; "
                "ranks in different galleries cannot be compared"
            )
    return b


def _nothing_shared(a: Run, b: Run, retrievers: tuple[str, str] | None, only: Mapping[str, str | None]) -> str:
    named = ", ".join(f"{field} {name!r}" for field, name in only.items() if name is not None)
    among = f" with {named}" if named else ""
    if retrievers:
        return (
            f"{retrievers[0]!r} in {a.folder} and {retrievers[1]!r} in {b.folder} share no cell{among}; compare "
            "retrievers of one dataset, modifier and seed"
        )
    if {cell["seed"] for cell in a.summary["cells"]}.isdisjoint(cell["seed"] for cell in b.summary["cells"]):
        return f"{a.folder} has seed {a.seed}, {b.folder} seed {b.seed}: they share no cell; run one with the other's"
    return (
        f"{a.folder} and {b.folder} share no cell{among}; compare runs of the same suite, or name two retrievers: "
        "--retrievers A B"
    )


def table(run: Run, cell: Mapping[str, Any]) -> pd.DataFrame:
    """The per-query table of a cell, by query_id.

    Raises:
        UserError: it is missing, damaged, or names a query twice.
    """
    frame = run.per_query(cell["key"])
    where = run.folder / "per_query" / f"{cell['key']}.parquet"
    missing = [name for name in ("query_id", "cluster_id") if name not in frame]
    if missing:
        raise UserError(f"{where}: has no column {', '.join(missing)}; run the suite again with this version")
    twice = frame["query_id"][frame["query_id"].duplicated()]
    if len(twice):
        raise UserError(f"{where}: query {twice.iloc[0]!r} stands twice; run the suite again with --fresh")
    return frame.set_index("query_id")
