"""Stored runs as rows of the leaderboard: one for each dataset, space and retriever at the settings of its suite."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.errors import UserError
from bench.report._untrusted import clean
from bench.report.load import PRESET_PARAMS, Run, Value

__all__ = ["METRICS", "PARADIGMS", "Collected", "Latency", "Row", "collect"]

#: Metrics of the board, as its columns stand; a run that lacks some has no number there.
METRICS = ("R@1", "R@5", "R@10", "MedR", "NMedR", "MRR", "R@10(norm)")
#: What every row needs.
NEEDED = "R@10"

#: Registered retriever -> how it makes a query. A retriever that is not here, such as a plugin's, is `other`.
PARADIGMS: Mapping[str, str] = {
    "contrastive": "contrastive",
    "tuned-tower": "contrastive, tuned",
    "gdr": "diffusion",
    "mlp-diffusion": "diffusion",
    "mlp-regression": "regression",
    "unet-regression": "regression",
    "ridge": "linear",
    "aligned": "aligned",
    "label-match": "labels",
}
OTHER = "other"


class Latency(NamedTuple):
    """Time of one query, and the machine on which it was taken: only times of one machine compare."""

    milliseconds: float
    machine: str


@dataclass(frozen=True)
class Row:
    """One row: a retriever on a dataset, and the cell that its numbers come from."""

    run: Run
    key: str
    suite: str
    dataset: str
    space: str
    retriever: str
    paradigm: str
    settings: str
    """Sampling and guidance, in words; nothing for a retriever without noise."""
    preset: str
    protocol: str
    n_gallery: int
    n_queries: int
    nfe: int | None
    """Network evaluations for one sample."""
    samples: int
    values: Mapping[str, Value]
    latency: Latency | None
    why_no_latency: str | None
    """Why a query has no time of its own, where the run was timed; None where it has one or was not timed."""

    @property
    def evaluations(self) -> int | None:
        """Network evaluations for one query: those of all its samples."""
        return None if self.nfe is None else self.nfe * self.samples


class Collected(NamedTuple):
    """The rows, and what was left out with its count."""

    rows: tuple[Row, ...]
    left_out: tuple[str, ...]


class _Candidate(NamedTuple):
    run: Run
    cell: Mapping[str, Any]
    part: str
    provenance: Mapping[str, Any]
    timed: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """What makes a row; sampler and number of samples are the preset's, so that full takes the place of quick."""
        cell = self.cell
        settings = {name: value for name, value in cell["params"].items() if name not in PRESET_PARAMS}
        return json.dumps([cell["dataset"], cell["space"], cell["retriever"], self.part, settings], sort_keys=True)

    @property
    def preference(self) -> tuple[Any, ...]:
        """Full before quick, then more queries and metrics, the smaller seed, the later numbers.

        No time of a file counts: a copy of the results gives the same board.
        """
        known = sum(self.run.value(self.cell, metric).value is not None for metric in METRICS)
        # When the numbers were made; a run from the cache has the time of its last start, which says nothing.
        made = _at(self.provenance, "cells", self.cell["key"], "when") or self.provenance.get("started")
        full, n, seed = self.run.preset == "full", self.cell["n_queries"], int(self.cell["seed"])
        return (full, n, known, -seed, made if isinstance(made, str) else "")

    @property
    def name(self) -> tuple[str, str, str]:
        """Where all that is preferred is equal, the first by name of its folder, and then by content.

        The order in which folders are named must not decide.
        """
        content = json.dumps(self.cell, sort_keys=True)
        return (self.run.folder.name, content, str(self.run.folder.resolve()))


def collect(runs: Iterable[Run]) -> Collected:
    """The rows of runs, ordered by dataset, space and retriever.

    Runs of suites with prompts (negatives, edits) measure something else and are left out, and so are modified cells,
    other training seeds, and cells that cannot exist.

    Raises:
        UserError: no run measured retrieval, or a dataset was measured on different data.
    """
    found: list[_Candidate] = []
    left_out: Counter[str] = Counter()
    for run in runs:
        if not _is_retrieval(run):
            left_out[f"runs of {clean(run.suite)}, which does not measure plain retrieval"] += 1
            continue
        parts, provenance = _parts(run), _beside(run, "provenance.json", "run the suite again")
        timed = _beside(run, "latency.json", "run bench latency again")
        for cell in run.summary["cells"]:
            why = _why_not(run, cell)
            if why is None:
                found.append(_Candidate(run, cell, parts.get(str(cell["retriever"]), ""), provenance, timed))
            else:
                left_out[why] += 1
    if not found:
        raise UserError(
            f"no run measured plain retrieval ({NEEDED}), so there is nothing to rank; "
            "run a suite without prompts first: bench run retrieval"
        )
    _refuse_other_data(found)
    chosen = _chosen(found)
    if len(found) > len(chosen):
        left_out["cells for which a fuller or a later run stands here"] = len(found) - len(chosen)
    rows = sorted(map(_row, chosen), key=lambda r: (r.dataset, r.space, r.retriever, r.settings))
    return Collected(tuple(rows), tuple(f"{what}: {count}" for what, count in sorted(left_out.items())))


def _chosen(found: Sequence[_Candidate]) -> list[_Candidate]:
    """Of the cells of each row, the one that stands for it."""
    alike: dict[str, list[_Candidate]] = {}
    for candidate in found:
        alike.setdefault(candidate.identity, []).append(candidate)
    # The first of equals is taken.
    ordered = (sorted(cells, key=lambda cell: cell.name) for cells in alike.values())
    return [max(cells, key=lambda cell: cell.preference) for cells in ordered]


def _is_retrieval(run: Run) -> bool:
    """Whether queries are plain captions: by the suite, or where it was not kept with the run, by the cells."""
    if NEEDED not in run.metric_info:
        return False
    if run.resolved:
        return not run.resolved.get("prompts")
    return all(cell["modifier"] == "none" for cell in run.summary["cells"])


def _why_not(run: Run, cell: Mapping[str, Any]) -> str | None:
    """Why a cell of a retrieval run is no row; None if it is one."""
    if not run.is_unmodified(cell):
        return "cells with a modifier or at another guidance than their suite's"
    if cell.get("replicate"):
        return "cells of other training seeds"
    value = run.value(cell, NEEDED)
    if value.value is None:
        return f"cells without {NEEDED} ({clean(value.why or 'no reason given')})"
    return None


def _parts(run: Run) -> dict[str, str]:
    """Retriever id -> registered name, from the resolved suite."""
    entries = run.resolved.get("retrievers") or []
    return {str(entry.get("id")): str(entry.get("name")) for entry in entries}


def _refuse_other_data(found: Sequence[_Candidate]) -> None:
    seen: dict[str, _Candidate] = {}
    for candidate in found:
        cell = candidate.cell
        first = seen.setdefault(cell["dataset"], candidate)
        if first.cell["data_fingerprint"] != cell["data_fingerprint"]:
            raise UserError(
                f"dataset {clean(cell['dataset'])!r} was measured on different data: "
                f"{first.run.folder} has {str(first.cell['data_fingerprint'])[:12]}, "
                f"{candidate.run.folder} has {str(cell['data_fingerprint'])[:12]}; "
                "one board holds one of them: name only the folders that belong together, or run the older one again"
            )


def _row(candidate: _Candidate) -> Row:
    run, cell = candidate.run, candidate.cell
    params = cell["params"]
    return Row(
        run=run,
        key=cell["key"],
        suite=clean(run.suite),
        dataset=clean(cell["dataset"]),
        space=clean(cell["space"]),
        retriever=clean(cell["retriever"]),
        paradigm=PARADIGMS.get(candidate.part, OTHER),
        settings=_settings(params),
        preset=clean(run.preset),
        protocol=clean(cell.get("protocol", "")),
        n_gallery=int(cell["n_gallery"]),
        n_queries=int(cell["n_queries"]),
        nfe=cell.get("nfe"),
        samples=int(params.get("samples") or 1),
        values={metric: run.value(cell, metric) for metric in METRICS},
        latency=_latency(candidate.timed, cell["key"]),
        why_no_latency=_why_no_latency(candidate.timed, cell["key"]),
    )


def _settings(params: Mapping[str, Any]) -> str:
    said = []
    if "sampler" in params:
        said.append(str(params["sampler"]))
    if "samples" in params:
        said.append(f"{params['samples']} sample{'' if params['samples'] == 1 else 's'}")
    said += [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(params.items())
        if name not in PRESET_PARAMS
    ]
    return clean(", ".join(said))


# --- what stands beside a run's summary -------------------------------------------------------------------------------


def _beside(run: Run, name: str, repair: str) -> dict[str, Any]:
    """A JSON file of a run's folder; empty where it is not there."""
    file = run.folder / name
    if not file.is_file():
        return {}
    run.check(name)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is not JSON ({error}); remove it or {repair}") from error
    return found if isinstance(found, dict) else {}


def _latency(timed: Mapping[str, Any], key: str) -> Latency | None:
    """Median time of one query of a cell, from the latency.json of its run (`bench latency`).

    A run's own `cell_seconds` is no substitute: it holds the metrics too, and almost nothing where the cell came from
    the cache.
    """
    seconds = _at(timed, "cells", key, "query", "median")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    if not (math.isfinite(seconds) and seconds > 0):
        return None
    host, threads = timed.get("host"), timed.get("threads")
    machine = host if isinstance(host, dict) else {}
    said = [timed.get("device"), f"{threads} threads" if threads else None, *(machine.get(k) for k in _MACHINE)]
    return Latency(1000.0 * seconds, clean(", ".join(str(part) for part in said if part)))


def _why_no_latency(timed: Mapping[str, Any], key: str) -> str | None:
    why = _at(timed, "cells", key, "why_null")
    return clean(why) if isinstance(why, str) else None


def _at(document: Any, *path: str) -> Any:
    """What stands at a place of a document; None where there is no such place."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


_MACHINE = ("processor", "machine", "platform")
