"""A baseline: one JSON file with the ranks per query of a run's cells, small enough to be committed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench import __version__
from bench._json import read_json
from bench.comparison.cells import checked, describe, identity, options, same_fingerprints, table, told_apart
from bench.comparison.values import LOG_RANK, Info, aggregate, column, counted, from_ranks, info, is_of_ranks
from bench.errors import UserError
from bench.gate.files import write
from bench.report.load import Run
from bench.store import canonical_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEFAULT_METRICS", "Baseline", "BaselineCell", "Queries", "load_baseline", "save_baseline"]

SCHEMA_VERSION = 1
KIND = "gdr-bench baseline"
#: R@10 is what is reported; the other two see a rank that moves without crossing 10.
DEFAULT_METRICS = ("R@10", "MRR", LOG_RANK)
_TYPES = {"dataset": str, "data_fingerprint": str, "retriever": str, "modifier": str, "params": dict,
          "n_gallery": int}  # fmt: skip
#: Ranks that are no numbers in JSON: none was found, none was asked for. Older files have null for either.
_UNRANKED = {"inf": np.inf, "nan": np.nan, None: np.inf}
_AGAIN = "save it again: bench baseline save"
_COPIED = ("dataset", "data_fingerprint", "retriever", "modifier", "params", "seed", "space", "encoder_digest",
           "n_gallery", "protocol", "key")  # fmt: skip


class Queries(NamedTuple):
    """Queries that several cells share."""

    ids: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray | None
    """Codes of the groupings within which they are dependent, as for `stats.clustered_delta`."""
    counts: np.ndarray | None
    """(n,) queries that count for metrics of ranks; None: all."""


@dataclass(frozen=True)
class BaselineCell:
    """One cell of a baseline."""

    fields: Mapping[str, Any]
    """What summary.json says of it: dataset, retriever, modifier, params, seed, …"""
    options: Mapping[str, Any]
    """Parameters by which the candidate's cell is found."""
    label: str
    queries: Queries
    ranks: np.ndarray
    stored: Mapping[str, np.ndarray]
    """Values of metrics that do not follow from ranks."""

    @property
    def dataset(self) -> str:
        return str(self.fields["dataset"])

    @property
    def retriever(self) -> str:
        return str(self.fields["retriever"])

    def values(self, key: str) -> np.ndarray | None:
        """(n,) values per query of a metric; None for one that is not in the file."""
        if key in self.stored:
            return self.stored[key]
        if not is_of_ranks(key):
            return None
        return from_ranks(key, self.ranks, self.fields["n_gallery"], self.queries.counts)


@dataclass(frozen=True)
class Baseline:
    """A baseline that was read."""

    file: Path
    suite: str
    preset: str
    metrics: Mapping[str, Info]
    """Metrics that are gated where nothing else is asked for."""
    cells: tuple[BaselineCell, ...]
    sha256: str


def save_baseline(
    run: Run, file: Path, *, metrics: Sequence[str] | None = None, retrievers: Sequence[str] | None = None,
    every: bool = False,
) -> int:  # fmt: skip
    """Write a baseline of a run.

    Args:
        run: what is taken as it should be.
        file: the JSON file to write.
        metrics: keys that are gated; None for R@10, MRR and logRank.
        retrievers: those to keep; None for all but other training seeds.
        every: modified cells too, and other training seeds.

    Returns:
        Number of cells in it.

    Raises:
        UserError: a metric or retriever that the run does not have, no cell with a value, a cell in which a metric has
            none, or cells that no candidate could tell apart.
    """
    keys = list(dict.fromkeys(metrics or DEFAULT_METRICS))
    infos = {key: gateable(run, key) for key in keys}
    names = {cell["retriever"] for cell in run.summary["cells"]}
    wanted = {checked("retriever", name, names, run.folder) for name in retrievers or ()}
    queries: dict[str, dict[str, Any]] = {}
    cells = []
    kept: dict[str, Mapping[str, Any]] = {}
    for cell in run.summary["cells"]:
        if wanted and cell["retriever"] not in wanted:
            continue
        if every or (run.is_unmodified(cell) and (wanted or not cell.get("replicate"))):
            entry = _cell_entry(run, cell, keys, queries)
            cells += [] if entry is None else [entry]
            first = cell if entry is None else kept.setdefault(identity(run, cell), cell)
            if first is not cell:
                raise UserError(f"{run.folder}: {describe(run, cell)}: {told_apart([first, cell])}")
    if not cells:
        raise UserError(f"{run.folder}: no unmodified cell has ranks; keep modified ones too: --all")
    document = {
        "schema_version": SCHEMA_VERSION, "kind": KIND, "written_by": f"gdr-bench {__version__}",
        "about": "Ranks per query of the cells of one run, with which `bench gate` compares another run.",
        "suite": run.suite, "profile": run.summary.get("profile"), "preset": run.preset,
        "metrics": {key: known._asdict() for key, known in infos.items()},
        "source": {"run": run.folder.name, "summary_sha256": _digest(run.folder / "summary.json")},
        "queries": queries, "cells": cells,
    }  # fmt: skip
    document["sha256"] = _content_digest(document)
    write(file, _text(document))
    return len(cells)


def gateable(run: Run, key: str) -> Info:
    """What is known of a metric that can be gated.

    Raises:
        UserError: it cannot: unknown, of a set, a median, or without a better direction.
    """
    known = info(run, key)
    if known is None:
        checked("metric", key, {*run.metric_info, *DEFAULT_METRICS}, run.folder)
    assert known is not None
    why = None
    if known.level != "query":
        why = "it is a metric of a set, which has no values per query to pair"
    elif aggregate(key) != "mean":
        why = "it is no mean of values per query; gate R@10 or logRank in its place"
    elif known.higher_is_better is None:
        why = "neither direction of it is better"
    if why:
        raise UserError(f"metric {key!r} cannot be gated: {why}")
    return known


def _cell_entry(
    run: Run, cell: Mapping[str, Any], keys: Sequence[str], queries: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """The entry of a cell, its queries added to those that are there; None for a cell without ranks."""
    frame = table(run, cell)
    if "rank" not in frame or frame["rank"].isna().all():
        return None
    ranks = frame["rank"].to_numpy(dtype=np.float64)
    values = {}
    for key in keys:
        found = column(frame, key, cell["n_gallery"])
        if found is None:
            raise UserError(f"{run.folder}: {describe(run, cell)} has no {key!r}; add it to the suite's metrics")
        if np.isnan(found).all():
            raise UserError(
                f"{run.folder}: no query has a value of {key} in {describe(run, cell)}; name other metrics by "
                "--metric, or other retrievers by --retriever"
            )
        if is_of_ranks(key):
            derived = from_ranks(key, ranks, cell["n_gallery"], counted(frame))
            if np.allclose(found, derived, rtol=0, atol=1e-9, equal_nan=True):
                continue
        values[key] = [None if np.isnan(v) else _short(v) for v in found.tolist()]
    asked = _query_entry(frame)
    name = hashlib.sha256(canonical_json(asked).encode()).hexdigest()[:12]
    queries.setdefault(name, asked)
    return {
        **{field: cell.get(field) for field in _COPIED}, "options": options(run, cell), "label": describe(run, cell),
        "per_query_sha256": _digest(run.folder / "per_query" / f"{cell['key']}.parquet"), "queries": name,
        "ranks": [_short(v) if np.isfinite(v) else str(v) for v in ranks.tolist()], "values": values,
    }  # fmt: skip


def _query_entry(frame: pd.DataFrame) -> dict[str, Any]:
    import pandas as pd

    counts = counted(frame)
    return {
        "query_id": [str(name) for name in frame.index],
        "track": pd.factorize(frame["cluster_id"])[0].tolist(),
        "negative": pd.factorize(frame["negative_id"])[0].tolist() if "negative_id" in frame else None,
        "not_counted": None if counts is None else np.flatnonzero(~counts).tolist(),
    }


def load_baseline(file: Path) -> Baseline:
    """Read a baseline.

    Raises:
        UserError: it is missing, damaged, was changed by hand, or of another version.
    """
    if file.is_dir():
        raise UserError(f"{file}: is a folder; name the JSON file that `bench baseline save` wrote")
    if not file.is_file():
        raise UserError(f"{file}: no such file; save one: bench baseline save RUN --out {file}")
    document = read_json(file, _AGAIN)
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise UserError(f"{file}: is not a baseline; save one: bench baseline save RUN --out FILE")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{file}: schema_version is {document.get('schema_version')!r}, this version reads {SCHEMA_VERSION}; save "
            "it again: bench baseline save"
        )
    digest = document.pop("sha256", None)
    if digest != _content_digest(document):
        raise UserError(f"{file}: its content does not have its sha256, so it was changed after it was saved; save it "
                        "again: bench baseline save")  # fmt: skip
    try:
        cells = tuple(_read_cell(entry, document["queries"]) for entry in document["cells"])
        metrics = {key: Info(**known) for key, known in document["metrics"].items()}
        found = Baseline(file, str(document["suite"]), str(document["preset"]), metrics, cells, digest)
    except KeyError as error:
        raise UserError(
            f"{file}: {error} is missing, so it is not what `bench baseline save` wrote; {_AGAIN}"
        ) from None
    # The checksum is no signature: a program that writes its own may also write other things than numbers.
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(f"{file}: is not what `bench baseline save` wrote ({error}); {_AGAIN}") from None
    same_fingerprints([c.fields for c in cells], [c.fields for c in cells], (str(file), str(file)))
    return found


def _read_cell(entry: Mapping[str, Any], queries: Mapping[str, Any]) -> BaselineCell:
    for field, kind in _TYPES.items():
        if not isinstance(entry[field], kind) or isinstance(entry[field], bool):
            raise ValueError(f"{field} of a cell is {str(entry[field])[:60]!r}")
    asked = queries[entry["queries"]]
    tracks = np.asarray(asked["track"])
    negatives = None if asked["negative"] is None else np.asarray(asked["negative"])
    counts = None
    if asked["not_counted"] is not None:
        counts = np.ones(len(tracks), dtype=bool)
        counts[asked["not_counted"]] = False
    ranks = np.array([_UNRANKED.get(rank, rank) for rank in entry["ranks"]], dtype=np.float64)
    first, second = (tracks, None) if negatives is None else (negatives, tracks)
    stored = {
        key: np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        for key, values in entry["values"].items()
    }
    columns = [asked["query_id"], tracks, *([] if negatives is None else [negatives]), *stored.values()]
    if any(np.shape(column) != ranks.shape for column in columns):
        raise ValueError(f"a cell has {len(ranks)} ranks and another number of queries or values")
    return BaselineCell(
        {field: entry[field] for field in _COPIED}, dict(entry["options"]), str(entry["label"]),
        Queries(tuple(map(str, asked["query_id"])), first, second, counts), ranks, stored,
    )  # fmt: skip


def _short(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _content_digest(document: Mapping[str, Any]) -> str:
    # Half a surrogate pair cannot be written otherwise; only a file that was made by hand holds one.
    return hashlib.sha256(canonical_json(document).encode("utf-8", "surrogatepass")).hexdigest()


def _text(document: Mapping[str, Any]) -> str:
    """JSON with one line a key, a cell or a set of queries: small, and a change shows where it is."""
    lines = []
    for key, value in document.items():
        if key == "cells":
            inner = ",\n  ".join(canonical_json(cell) for cell in value)
            lines.append(f'"cells": [\n  {inner}\n ]')
        elif key == "queries":
            inner = ",\n  ".join(f"{json.dumps(name)}: {canonical_json(entry)}" for name, entry in value.items())
            lines.append(f'"queries": {{\n  {inner}\n }}')
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n " + ",\n ".join(lines) + "\n}\n"
