"""Which cells of two runs, or of two retrievers of one run, are compared with each other."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import UserError
from bench.registry import nearest
from bench.report._format import cell_label
from bench.report.load import PRESET_PARAMS, Run, find_runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Pair", "checked", "describe", "identity", "matched", "one_run", "options", "same_fingerprints", "table",
    "told_apart",
]  # fmt: skip


#: Characters of a fingerprint in a message.
_SHOWN = 12


class Pair(NamedTuple):
    """Two cells that ask the same queries of the same gallery."""

    a: dict[str, Any]
    b: dict[str, Any]


def one_run(path: str | Path) -> Run:
    """A run by its folder, or by a folder above it that holds no other.

    Raises:
        UserError: there is none, or several, or it has no cells.
    """
    folder = Path(path)
    if not (folder / "summary.json").is_file() and folder.is_dir():
        found = find_runs(folder)
        if len(found) > 1:
            some = ", ".join(map(str, found[:4])) + (", …" if len(found) > 4 else "")
            raise UserError(f"{folder}: holds {len(found)} runs ({some}); name one of them")
        folder = found[0]
    run = Run(folder)
    if not run.summary["cells"]:
        raise UserError(f"{folder}: this run has no cells; run its suite again: bench run {run.suite}")
    return run


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
    others = [(cell["dataset"], cell["data_fingerprint"]) for cell in second]
    unlike = dict.fromkeys((name, own) for name, own in others if found.get(name, own) != own)
    if unlike:
        told = "; ".join(
            f"dataset {name!r} is not the same data: its fingerprint is {_short(found[name])} in {names[0]} and "
            f"{_short(own)} in {names[1]}"
            for name, own in unlike
        )
        raise UserError(
            f"{told}; run both again on one version of the data, or choose datasets that are the same by --dataset"
        )


def _short(fingerprint: str) -> str:
    """Enough of a digest to tell it from another."""
    return fingerprint if len(fingerprint) <= _SHOWN else f"{fingerprint[:_SHOWN]}…"


def told_apart(cells: Sequence[Mapping[str, Any]]) -> str:
    """Why one of several cells cannot be taken: they measure the same, and differ in how finely they sample."""
    each = "; ".join(f"{cell['key']} ({_sampling(cell)})" for cell in cells)
    return (
        f"{len(cells)} cells differ only in how finely they sample, so none is the one that is meant: {each}; run the "
        "suite with one of these settings, or give the retrievers names of their own"
    )


def _sampling(cell: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={cell['params'].get(name)}" for name in sorted(PRESET_PARAMS))


def matched(a: Run, b: Run, retrievers: tuple[str, str] | None = None, **only: str | None) -> list[Pair]:
    """Cells of two runs that measure the same, in the first run's order.

    Args:
        a: a run.
        b: another one, or the same where two retrievers are named.
        retrievers: those compared, the first in `a` and the second in `b`; None compares each with itself.
        **only: `dataset` and `modifier` to which cells are restricted; None for no restriction.

    Raises:
        UserError: different data, a name that a run does not have, no cell in common, or several that measure the same.
    """
    names = (str(a.folder), str(b.folder))
    for field, name in only.items():
        if name is not None:
            checked(field, name, {cell[field] for cell in a.summary["cells"]}, a.folder)
    for name, run in zip(retrievers or (), (a, b), strict=False):
        checked("retriever", name, {cell["retriever"] for cell in run.summary["cells"]}, run.folder)
    # Data of other datasets may differ.
    cells_a, cells_b = (
        [cell for cell in run.summary["cells"] if only.get("dataset") in (None, cell["dataset"])] for run in (a, b)
    )
    same_fingerprints(cells_a, cells_a, (names[0], names[0]))
    same_fingerprints(cells_a, cells_b, names)
    first, second = retrievers or (None, None)
    ours, theirs = _by_identity(a, cells_a, first), _by_identity(b, cells_b, second)
    pairs = []
    for place, cells in ours.items():
        if place in theirs and all(cells[0][field] == name for field, name in only.items() if name is not None):
            one, other = _only(a, cells), _only(b, theirs[place])
            pairs.append(Pair(one, _same_task(one, other, names)))
    if not pairs:
        raise UserError(_nothing_shared(a, b, retrievers, only))
    return pairs


def _by_identity(run: Run, cells: Iterable[dict[str, Any]], retriever: str | None) -> dict[str, list[dict[str, Any]]]:
    """What is measured -> cells that do; of one retriever, whatever its name, where one is given."""
    found: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        if retriever is None or cell["retriever"] == retriever:
            found.setdefault(identity(run, cell, retriever and "*"), []).append(cell)
    return found


def _only(run: Run, cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if len(cells) > 1:
        raise UserError(f"{run.folder}: {describe(run, cells[0])}: {told_apart(cells)}")
    return cells[0]


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
