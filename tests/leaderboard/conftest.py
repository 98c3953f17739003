"""Run folders with values per query that a test chooses, and summaries that agree with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

MakeCell = Callable[..., dict[str, Any]]
MakeRun = Callable[..., Path]

SAMPLING = {"guidance": 3.0, "sampler": "dpm++2m-10", "samples": 2}
RECALLS = {"R@1": 1, "R@5": 5, "R@10": 10}
INFO = {
    name: {"higher_is_better": name not in ("MedR", "NMedR"), "unit": "rank" if name == "MedR" else "%",
           "range": [0, 100], "level": "query"}
    for name in (*RECALLS, "MedR", "NMedR", "MRR", "R@10(norm)")
}  # fmt: skip


def ranks_of(skill: float, queries: Sequence[int], n_gallery: int, seed: int = 0) -> np.ndarray:
    """Ranks of a retriever: a share `skill` of the queries is found in the first ten."""
    rng = np.random.default_rng([seed, round(1000 * skill)])
    chance, found = rng.random(1 + max(queries)), rng.integers(1, 11, 1 + max(queries))
    missed = rng.integers(11, n_gallery + 1, 1 + max(queries))
    return np.where(chance < skill, found, missed)[list(queries)]


def _cell(retriever: str, skill: float | None = 0.5, **given: Any) -> dict[str, Any]:
    """A cell: what it is, and the ranks of its queries."""
    cell = {
        "retriever": retriever, "dataset": "sd", "space": "mini-clap", "modifier": "none", "params": {}, "seed": 0,
        "n_gallery": 700, "nfe": 0, "protocol": "track", "replicate": False, "queries": range(300), "skill": skill,
        "data_fingerprint": "f" * 64, "metrics": tuple(INFO), "part": "contrastive", "seconds": None, "untimed": None,
        "twice": 1,
        **given,
    }  # fmt: skip
    if "samples" in cell["params"]:
        cell["nfe"] = given.get("nfe", 20)
    return cell


def _frame(cell: dict[str, Any]) -> pd.DataFrame:
    queries = list(cell["queries"])
    ranks = ranks_of(cell["skill"], queries, cell["n_gallery"], int(cell["seed"])).astype(float)
    tracks = [f"track-{q // cell['twice']:04d}" for q in queries]
    frame = pd.DataFrame({"query_id": [f"q{q:04d}" for q in queries], "relevant_id": tracks, "cluster_id": tracks})
    columns = {name: 100.0 * (ranks <= k) for name, k in RECALLS.items()}
    columns |= {"MedR": ranks, "NMedR": 100 * ranks / cell["n_gallery"], "MRR": 100 / ranks}
    columns["R@10(norm)"] = columns["R@10"]
    return frame.assign(rank=ranks, **{name: columns[name] for name in cell["metrics"]})


def _entries(cell: dict[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    found = {}
    for name in cell["metrics"]:
        value = float(frame[name].median() if name in ("MedR", "NMedR") else frame[name].mean())
        found[name] = {"value": value, "ci": [value - 1.0, value + 1.0], "n": len(frame), "why_null": None}
    return found


def _timed(cell: dict[str, Any]) -> dict[str, Any]:
    """What latency.json says of a cell; the time of the search is not the query's."""
    seconds = cell["seconds"]
    times = None if seconds is None else {"median": seconds, "p10": seconds, "p90": 3 * seconds, "n": 20}
    search = times and {**times, "median": 7.0}
    return {"retriever": cell["retriever"], "query": times, "ranking": search, "why_null": cell["untimed"]}


def _key(cell: dict[str, Any], run_id: str) -> str:
    said = json.dumps(
        [run_id, *(str(cell[k]) for k in ("retriever", "dataset", "space", "params", "seed", "modifier"))]
    )
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:20]


@pytest.fixture(scope="session")
def make_cell() -> MakeCell:
    """(retriever, skill, **fields) -> what `make_run` takes; a skill of None makes a cell that cannot exist."""
    return _cell


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """Write a run: (results, cells, *, suite, preset, run_id, started, …) -> its folder."""

    def make(
        results: Path, cells: Sequence[dict[str, Any]], *, suite: str = "retrieval", preset: str = "quick",
        run_id: str = "0" * 12, started: str | None = "2026-01-01T00:00:00Z", prompts: str | None = None,
        report: bool = False, host: dict[str, str] | None = None, shuffle: bool = False,
    ) -> Path:  # fmt: skip
        folder = results / suite.replace("-", "_") / run_id
        (folder / "per_query").mkdir(parents=True)
        entries, timed = [], {}
        for cell in cells:
            key = _key(cell, run_id)
            entry = {k: cell[k] for k in (
                "retriever", "dataset", "space", "modifier", "params", "seed", "n_gallery", "nfe", "protocol",
                "replicate", "data_fingerprint",
            )}  # fmt: skip
            entry |= {"key": key, "n_queries": len(cell["queries"])}
            if cell["skill"] is None:
                null = {"value": None, "ci": None, "n": 0, "why_null": "n/a: no text tower"}
                entries.append({**entry, "metrics": dict.fromkeys(cell["metrics"], null)})
                continue
            frame = _frame(cell)
            entries.append({**entry, "metrics": _entries(cell, frame)})
            if shuffle:
                frame = frame.sample(frac=1, random_state=len(entries))
            frame.to_parquet(folder / "per_query" / f"{key}.parquet", index=False)
            if cell["seconds"] is not None or cell["untimed"] is not None:
                timed[key] = _timed(cell)
        summary = {
            "schema_version": 1, "suite": suite, "profile": "mini", "preset": preset, "cells": entries, "claims": [],
            "metric_info": {name: INFO[name] for name in INFO if any(name in cell["metrics"] for cell in cells)},
        }  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary))
        parts = {cell["retriever"]: cell["part"] for cell in cells}
        resolved = {"name": suite, "settings": {"guidance": 3.0}, "prompts": prompts}
        resolved["retrievers"] = [{"id": name, "name": part} for name, part in parts.items()]
        with (folder / "suite.resolved.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(resolved, file)
        if started is not None:
            known = {"schema_version": 1, "started": started, "cell_seconds": {"x": 9.0}}
            (folder / "provenance.json").write_text(json.dumps(known))
        if timed:
            known = {"schema_version": 1, "threads": 2, "device": "cpu", "cells": timed}
            known["host"] = host or {"processor": "A CPU", "machine": "x86_64", "platform": "Linux"}
            (folder / "latency.json").write_text(json.dumps(known))
        if report:
            (folder / "report.html").write_text("<!doctype html><title>the run</title><h1>the run</h1>")
            (folder / "report.md").write_text("# the run\n")
        return folder

    return make


@pytest.fixture
def results(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> Path:
    """Results of two suites on two datasets and two spaces, one of them timed; and of one that edits prompts."""
    folder = tmp_path / "results"
    sampled = {"params": SAMPLING, "part": "gdr"}
    make_run(
        folder,
        [
            make_cell("gdr-clap", 0.5, seconds=0.050, **sampled),
            make_cell("clap", 0.2, seconds=0.002),
            make_cell("ridge-clap", 0.48, part="ridge"),
            make_cell("muscall", 0.8, space="mini-muscall", seconds=0.002),
            make_cell("gdr-clap-s1", 0.5, replicate=True, **sampled),
            *(make_cell(*one, dataset="pc", n_gallery=5500, data_fingerprint="e" * 64)
              for one in (("clap", 0.1), ("tuned-clap", 0.3))),
            make_cell("gdr-clap", 0.4, dataset="pc", n_gallery=5500, data_fingerprint="e" * 64, **sampled),
        ],
        report=True,
    )  # fmt: skip
    make_run(
        folder,
        [make_cell(name, 0.4, queries=range(0, 300, 2), metrics=("R@1", "R@5", "R@10", "NMedR"), part="mlp-regression")
         for name in ("mlp-regression", "unet-regression")],
        suite="query-quality",
    )  # fmt: skip
    make_run(folder, [make_cell("gdr-clap", 0.9, **sampled)], suite="negative-prompting", prompts="negatives.yaml")
    return folder
