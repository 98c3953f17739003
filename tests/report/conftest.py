"""Run folders made up from a seed: the files a run leaves, with numbers of plausible size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

CATEGORIES = ("genre", "mood", "instrumentation", "key", "tempo")
PHRASINGS = ("song", "word", "music", "feel")
SAMPLING = {"sampler": "dpm++2m-10", "samples": 3}
INFO = {
    "R@1": (True, "%", "query"), "R@5": (True, "%", "query"), "R@10": (True, "%", "query"),
    "R@10(neg)": (False, "%", "query"), "MedR": (False, "rank", "query"), "NMedR": (False, "%", "query"),
    "CLAP(ZA+)": (None, "cosine", "query"), "CLAP(gen+)": (None, "cosine", "query"),
    "CLAP(ZT+)": (None, "cosine", "query"), "CLAP(gen-)": (None, "cosine", "query"),
    "CLAP(ZT-)": (None, "cosine", "query"), "negated_share@10": (False, "share", "query"),
    "removal@10": (True, "share", "query"), "kept@10": (True, "share", "query"), "overlap@10": (None, "share", "query"),
    "MICS": (None, "cosine", "query"), "MINVS": (None, "samples", "query"), "FAD(jam)": (False, "distance", "set"),
    "FADunit(jam)": (False, "distance", "set"), "Vendi": (None, "items", "set"),
}  # fmt: skip
_HALF = {"%": 3.0, "rank": 4.0, "cosine": 0.03, "share": 0.03, "samples": 0.1}
RETRIEVAL_INFO = {
    "R@1": (True, "%", "query"), "R@5": (True, "%", "query"), "R@10": (True, "%", "query"),
    "R@10(norm)": (True, "%", "query"), "MedR": (False, "rank", "query"), "NMedR": (False, "%", "query"),
    "MRR": (True, "%", "query"),
}  # fmt: skip

_SWEEP = (0.25, 0.5, 1, 2, 4)
_RAW = {"vectors": "raw"}
_DELTA = {"variant": "difference", "vectors": "unit"}
#: modifier, options, strengths, steepness of removal, what removal costs
_GRID: tuple[tuple[str, dict[str, Any], tuple[float | None, ...], float, float], ...] = (
    ("negative-prompting", {}, (0, *_SWEEP), 0.8, 0.25),
    ("text-interpolation", _DELTA, _SWEEP, 1.0, 0.4),
    ("text-interpolation", {**_DELTA, "variant": "subtract"}, _SWEEP, 0.6, 0.6),
    ("text-interpolation", {**_DELTA, "variant": "away"}, _SWEEP, 0.5, 0.8),
    ("text-interpolation", {**_DELTA, **_RAW}, (2,), 1.2, 0.45),
    ("text-interpolation", {**_DELTA, "vectors": "renormalised"}, (2,), 1.0, 0.42),
    ("audio-interpolation", {"vectors": "unit"}, _SWEEP, 0.9, 0.5),
    ("audio-interpolation", _RAW, (2,), 1.1, 0.55),
    ("slerp", {}, (0.05, 0.1, 0.2, 0.3, 0.45), 6.0, 0.45),
    ("prefix-negation", {"form": "replace"}, (None,), 0.05, 6.0),
    ("prefix-negation", {"form": "append"}, (None,), 0.04, 2.0),
    ("irrelevant-negative", {}, _SWEEP, 0.08, 2.0),
    ("random-direction", {"like": "negative-prompting"}, _SWEEP, 0.06, 3.0),
)


def _interval(value: float, half: float) -> list[float]:
    return [value - half, value + half]


def _entry(value: float, half: float, n: int) -> dict[str, Any]:
    return {"value": value, "ci": _interval(value, half), "n": n, "why_null": None}


def _info(table: dict[str, tuple[bool | None, str, str]]) -> dict[str, Any]:
    return {
        key: {"higher_is_better": better, "unit": unit, "range": [None, None], "level": level}
        for key, (better, unit, level) in table.items()
    }


def _cell(key: str, modifier: str, params: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "key": key, "dataset": "sd", "dataset_name": "gmcaps/sd", "data_fingerprint": "f0", "space": "mini-clap",
        "encoder_digest": "e0", "retriever": "gdr-clap", "modifier": modifier, "params": params, "seed": 0,
        "n_queries": 200, "n_gallery": 706, "protocol": "track", "nfe": 20, "replicate": False, **fields,
    }  # fmt: skip


class NegationFolder:
    """Makes the folder of a negation run."""

    def __init__(self, preset: str, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.preset = preset
        self.sampling = SAMPLING if preset == "quick" else {"sampler": "ddim-50", "samples": 5}
        self.cells: list[dict[str, Any]] = []
        self.frames: dict[str, pd.DataFrame] = {}
        self.families: list[dict[str, Any]] = []

    def labels(self) -> pd.DataFrame:
        rows = [(c, f"{c}-{i:02d}", PHRASINGS[i % 4]) for c in CATEGORIES for i in range(10) for _ in range(4)]
        frame = pd.DataFrame(rows, columns=["category", "negative_id", "phrasing"])
        track = [f"t{i % 60}" for i in range(len(frame))]
        ids = [f"c{i}" for i in range(len(frame))]
        sets = np.where(np.arange(len(frame)) % 2, "has", "lacks")
        return frame.assign(query_id=ids, cluster_id=track, relevant_id=track, target_set=sets, rank=12.0)

    def frame(self, removed: float, lost: float) -> pd.DataFrame:
        """Values a query for a method that removes and loses the given shares."""
        frame, rng = self.labels(), self.rng
        n = len(frame)
        weak = frame["category"].eq("key").to_numpy()
        before = rng.beta(3, 3, n)
        after = np.clip(before * (1 - np.where(weak, 0.15, 1) * removed) + rng.normal(0, 0.02, n), 0, 1)
        means = {
            "negated_share@10": after, "removal@10": before - after, "kept@10": rng.beta(6, 2, n) * (1 - lost),
            "overlap@10": 1 - 0.8 * removed, "CLAP(gen+)": np.clip(1 - 0.5 * lost - 0.2 * removed, -1, 1),
            "CLAP(gen-)": 0.41 - 0.5 * removed, "CLAP(ZA+)": 0.69 - 0.3 * lost, "CLAP(ZT+)": 0.42 - 0.2 * lost,
            "CLAP(ZT-)": 0.17 - 0.4 * removed, "R@1": 5.0, "R@5": 15.0, "NMedR": 4.0,
        }  # fmt: skip
        for key, mean in means.items():
            frame[key] = mean if isinstance(mean, np.ndarray) else mean + rng.normal(0, 0.03, n)
        lacks = frame["target_set"].eq("lacks")
        hit = 100.0 * (rng.random(n) < 0.25 * (1 - lost))
        frame["R@10"], frame["R@10(neg)"] = np.where(lacks, hit, np.nan), np.where(lacks, np.nan, hit * (1 - removed))
        frame["MedR"] = np.where(lacks, rng.integers(1, 80, n), np.nan)
        frame["top_10"] = [["t1", "t2"]] * n
        return frame

    def add(
        self, modifier: str, options: dict[str, Any], removed: float, lost: float, spread: bool, **fields: Any
    ) -> None:
        key = f"k{len(self.cells):03d}"
        frame = self.frame(removed, lost)
        n = len(frame)
        metrics = {
            metric: _entry(float(np.nanmean(frame[metric])), _HALF[unit], n)
            for metric, (_, unit, level) in INFO.items() if level == "query" and metric in frame
        }  # fmt: skip
        raw = 20 if options.get("vectors") == "raw" else 1
        metrics["FAD(jam)"] = _entry(0.11 + raw * 0.1 * removed, 0.02, n)
        metrics["FADunit(jam)"] = _entry(0.05 + 0.1 * removed, 0.01, n)
        metrics["Vendi"] = _entry(12.9, 0.8, n)
        none = {"value": None, "ci": None, "n": 0, "why_null": "measured at the primary strength only"}
        for metric, value in (("MICS", 0.92), ("MINVS", 1.42)):
            metrics[metric] = _entry(value, 0.02, 40) if spread else none
        params = {**options, **self.sampling}
        self.cells.append(_cell(key, modifier, params, metrics=metrics, **{"n_queries": n, **fields}))
        self.frames[key] = frame

    def fill(self) -> None:
        for guidance in (1.0, 1.5, 3.0, 5.0):
            self.add("none", {"guidance": guidance}, 0.0, 0.0, guidance == 3.0)
        for modifier, options, strengths, steep, cost in _GRID:
            points = [{"strength": None, "removal": 0.0, "removal_ci": [0.0, 0.0], "kept": 0.75, "kept_ci": [0.7, 0.8]}]
            for strength in strengths:
                removed = 1 - np.exp(-steep * (1.0 if strength is None else strength))
                lost = min(0.95, cost * removed**2 + 0.1 * removed)
                given = {} if strength is None else {"strength": strength}
                self.add(modifier, {**options, **given}, removed, lost, strength in (None, 2, 0.2))
                if strength != 0:
                    kept = 0.75 * (1 - lost)
                    points.append({
                        "strength": strength, "removal": removed, "removal_ci": _interval(removed, 0.04),
                        "kept": kept, "kept_ci": _interval(kept, 0.05),
                    })  # fmt: skip
            last = points[-1]
            area = float(last["removal"] * (0.75 + last["kept"]) / 2)
            self.families.append({
                "dataset": "sd", "space": "mini-clap", "retriever": "gdr-clap", "modifier": modifier, "params": options,
                "seed": 0, "points": points, "area": {"value": area, "ci": _interval(area, 0.04)},
            })  # fmt: skip
        self.add("none", {"guidance": 3.0}, 0.0, 0.0, True, retriever="gdr-clap-s1", replicate=True)

    def summary(self) -> dict[str, Any]:
        info = _info(INFO)
        info["FAD(jam)"]["floor"], info["FADunit(jam)"]["floor"] = 0.0113, 0.0101
        chances = {"genre": (0.97, 0.07), "mood": (0.46, 0.13), "lead": (0.66, 0.04), "tempo": (0.91, 0.33)}
        probes = {name: {"accuracy": a, "chance": c} for name, (a, c) in {**chances, "key": (0.1, 0.083)}.items()}
        return {
            "schema_version": 1, "suite": "negative-prompting", "title": "What negative prompting does to retrieval",
            "profile": "mini", "preset": self.preset, "cells": self.cells, "metric_info": info,
            "families": self.families, "claims": negation_claims(), "not_encoded": ["key"],
            "space_probes": {"mini-clap": {"sd": probes, "pc": {"genre": probes["genre"]}}},
        }  # fmt: skip


def _claim(name: str, metric: str, verdict: str, effect: float, **fields: Any) -> dict[str, Any]:
    return {
        "id": name, "text": f"The text of {name}.", "source": "Table 6", "metric": metric, "verdict": verdict,
        "effect": effect, "ci": _interval(effect, 0.04), "p": 0.001, "p_holm": 0.004, "margin": 0.02, "expect": "a > b",
        "compare": "difference", "at": None, "why": None, "stability": {"gdr-clap": verdict}, **fields,
    }  # fmt: skip


def negation_claims() -> list[dict[str, Any]]:
    """One claim of each verdict, of ours and of the paper."""
    three = dict.fromkeys(("gdr-clap", "gdr-clap-s1", "gdr-clap-s2"), "supported")
    mixed = {**dict.fromkeys(three, "contradicted"), "gdr-clap-s2": "inconclusive"}
    return [
        _claim("np-removes-beyond-placebo", "removal@10", "supported", 0.3, source="ours", stability=three),
        _claim("np-closest-to-query", "CLAP(gen+)", "contradicted", -0.11, stability=mixed),
        _claim("np-keeps-fad-raw", "FAD(jam)", "supported", -2.0, compare="log-ratio", expect="a < b", stability=three),
        _claim("np-dominates-frontier", "frontier_area", "inconclusive", 0.03, source="ours", why="requires x | y"),
    ]


def write_run(folder: Path, summary: dict[str, Any], frames: dict[str, pd.DataFrame]) -> Path:
    """Write the files of a run."""
    (folder / "per_query").mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary, allow_nan=False), encoding="utf-8")
    for key, frame in frames.items():
        frame.to_parquet(folder / "per_query" / f"{key}.parquet")
    return folder


def retrieval_summary() -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    cells, frames = [], {}
    for d, (dataset, n_gallery) in enumerate((("pc", 5500), ("pc-restyled", 5500), ("sd", 706))):
        for r, (retriever, space) in enumerate(
            (("clap", "mini-clap"), ("muscall", "mini-muscall"), ("gdr-clap", "mini-clap"), ("ridge-clap", "mini-clap"))
        ):
            key = f"r{d}{r}"
            params = {"guidance": 3.0, **SAMPLING} if retriever == "gdr-clap" else {}
            means = (5.0, 16.2, 24.66, 31.0, 40.5, 3.81, 11.0)
            metrics = {m: _entry(v + r, 1.0, 1000) for m, v in zip(RETRIEVAL_INFO, means, strict=True)}
            fields = {"dataset": dataset, "dataset_name": f"gmcaps/{dataset[:2]}", "data_fingerprint": f"f-{dataset}"}
            cells.append(
                _cell(key, "none", params, metrics=metrics, retriever=retriever, space=space, n_queries=1000,
                      n_gallery=n_gallery, **fields)
            )  # fmt: skip
            frames[key] = pd.DataFrame({"query_id": ["c1"], "cluster_id": ["t1"], "rank": [3.0]})
    summary = {
        "schema_version": 1, "suite": "retrieval", "title": "Retrieval", "profile": "mini", "preset": "quick",
        "cells": cells, "metric_info": _info(RETRIEVAL_INFO), "families": [], "space_probes": {}, "not_encoded": [],
        "claims": [_claim("gdr-clap-beats-clap-pc", "R@10", "supported", 10.6, margin=0, source="Table 2")],
    }  # fmt: skip
    return summary, frames


MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def make_negation_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """`make(preset="quick", seed=0, edit=None)`: a new folder of a negation run; `edit` changes its summary."""

    def make(preset: str = "quick", seed: int = 0, edit: Callable[[dict[str, Any]], None] | None = None) -> Path:
        made = NegationFolder(preset, seed)
        made.fill()
        summary = made.summary()
        if edit:
            edit(summary)
        results = tmp_path_factory.mktemp("results")
        return write_run(results / "negative_prompting" / f"{preset}{seed}", summary, made.frames)

    return make


@pytest.fixture(scope="session")
def make_retrieval_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """`make(edit=None)`: a new folder of a retrieval run."""

    def make(edit: Callable[[dict[str, Any]], None] | None = None) -> Path:
        summary, frames = retrieval_summary()
        if edit:
            edit(summary)
        return write_run(tmp_path_factory.mktemp("results") / "retrieval" / "aaa", summary, frames)

    return make


@pytest.fixture(scope="session")
def negation_run(make_negation_run: MakeRun) -> Path:
    """A negation run that tests only read, with its report."""
    from bench.report.build import build_report

    return build_report(make_negation_run()).parent


# --- any suite --------------------------------------------------------------------------------------------------------

#: Units of the metrics that suites have beside those above.
_MORE = {
    **RETRIEVAL_INFO, **INFO,
    "gained@10": (True, "share", "query"), "wanted_share@10": (True, "share", "query"),
    "CLAP(gen:new)": (None, "cosine", "query"), "CLAP(ZT:new)": (None, "cosine", "query"),
    "CLAP(ZT:added)": (None, "cosine", "query"), "CLAP(ZT:removed)": (None, "cosine", "query"),
    "FTD(train)": (None, "distance", "set"), "FADreal(train)": (None, "distance", "set"),
    "FAD(eval)": (False, "distance", "set"), "cMMD(true)": (False, "distance", "query"),
    "Tracks": (None, "tracks", "set"), "Captions": (None, "captions", "set"), "Hours": (None, "hours", "set"),
    "Words": (None, "words", "set"), "Vocabulary": (None, "words", "set"), "Negation%": (None, "%", "set"),
}  # fmt: skip


class SuiteFolder:
    """Makes the folder of a run of any suite, cell by cell; numbers grow with the cells, so that no two are equal."""

    def __init__(self, suite: str, metrics: tuple[str, ...], preset: str = "quick", seed: int = 0) -> None:
        self.suite, self.metrics, self.preset, self.seed = suite, metrics, preset, seed
        self.cells: list[dict[str, Any]] = []
        self.families: list[dict[str, Any]] = []
        self.claims: list[dict[str, Any]] = []
        self.frames: dict[str, pd.DataFrame] = {}
        self.resolved: dict[str, Any] = {"settings": {"guidance": 3.0}}
        self.info = _info({metric: _MORE[metric] for metric in metrics})

    def add(self, retriever: str, dataset: str = "sd", modifier: str = "none", **params: Any) -> dict[str, Any]:
        """Add a cell with a frame of six queries."""
        at = len(self.cells)
        own = {"guidance": 3.0, **SAMPLING} if modifier == "none" else {**params, **SAMPLING}
        metrics = {metric: _entry(0.2 + 0.01 * at, 0.02, 6) for metric in self.metrics}
        fields = {
            "dataset": dataset, "dataset_name": f"gmcaps/{dataset}", "data_fingerprint": f"f-{dataset}",
            "retriever": retriever, "seed": self.seed, "n_queries": 6, "metrics": metrics,
        }  # fmt: skip
        cell = _cell(f"{self.suite[:4]}{at:03d}", modifier, own, **fields)
        self.cells.append(cell)
        frame = pd.DataFrame({"query_id": [f"q{i}" for i in range(6)], "cluster_id": [f"t{i}" for i in range(6)]})
        self.frames[cell["key"]] = frame.assign(
            **{m: 0.1 * np.arange(6) + 0.01 * at for m in self.metrics if self.info[m]["level"] == "query"}
        )
        return cell

    def add_family(self, modifier: str, params: dict[str, Any], strengths: tuple[float, ...]) -> None:
        points = [{"strength": None, "removal": 0.0, "removal_ci": [0.0, 0.0], "kept": 1.0, "kept_ci": [1.0, 1.0]}]
        for strength in strengths:
            gain, near = 0.3 * strength, 1 - 0.4 * strength
            points.append({
                "strength": strength, "removal": gain, "removal_ci": _interval(gain, 0.05),
                "kept": near, "kept_ci": _interval(near, 0.05),
            })  # fmt: skip
        self.families.append({
            "dataset": "sd", "space": "mini-clap", "retriever": self.cells[0]["retriever"], "modifier": modifier,
            "params": params, "seed": self.seed, "points": points, "area": {"value": 0.2, "ci": [0.1, 0.3]},
        })  # fmt: skip

    def write(self, results: Path) -> Path:
        """Write `results/SUITE/PRESETseed` and give its path."""
        summary = {
            "schema_version": 1, "suite": self.suite, "title": f"Suite {self.suite}", "profile": "mini",
            "preset": self.preset, "cells": self.cells, "metric_info": self.info, "families": self.families,
            "claims": self.claims, "space_probes": {}, "not_encoded": [],
        }  # fmt: skip
        first = self.cells[0]["retriever"]
        folder = results / self.suite.replace("-", "_") / f"{self.preset}{self.seed}{first}"
        write_run(folder, summary, self.frames)
        resolved = {"retrievers": [{"id": first}], "claims": [], **self.resolved}
        (folder / "suite.resolved.yaml").write_text(json.dumps(resolved), encoding="utf-8")
        return folder


def claim_of(name: str, metric: str, verdict: str, **fields: Any) -> dict[str, Any]:
    """A claim as a summary holds it."""
    return _claim(name, metric, verdict, 0.1, **fields)


@pytest.fixture(scope="session")
def suite_folder() -> type[SuiteFolder]:
    """The class that makes run folders of any suite."""
    return SuiteFolder


@pytest.fixture(scope="session")
def make_claim() -> Callable[..., dict[str, Any]]:
    """`make(id, metric, verdict, **fields)`: a claim as a summary holds it."""
    return claim_of
