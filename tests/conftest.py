"""What all tests share: nothing of the user's is read or written, no network, and a run small enough for a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

# Before NumPy and torch are loaded: the same thread count here and in the processes that tests start.
if "--benchmark-only" not in sys.argv:  # contests of speed use all cores
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
os.environ["HF_HUB_OFFLINE"] = "1"

SMALL_SETTINGS = {
    "sampler": "ddim-2", "samples": 2, "queries": 10, "candidates": 60, "diversity_samples": 2, "diversity_queries": 4,
    "guidance": 3,
}  # fmt: skip
SMALL_NEGATIVES = ("genre-00", "mood-01", "instrumentation-08", "key-00", "tempo-00")
SMALL_METRICS = (
    "R@10", "MedR", "R@10(neg)", "CLAP(gen+)", "CLAP(gen-)", "CLAP(ZT-)", "FADunit(jam)", "MICS", "Vendi",
    "negated_share@10", "removal@10", "kept@10",
)  # fmt: skip
SMALL_MODIFIERS = (
    {"name": "negative-prompting", "strength": [0.5, 2]},
    {"name": "text-interpolation", "variant": "difference", "strength": [0.5, 2]},
    {"name": "audio-interpolation", "strength": [0.5, 2]},
    {"name": "slerp", "strength": [0.1, 0.3]},
    {"name": "irrelevant-negative", "strength": [2]},
    {"name": "random-direction", "like": "negative-prompting", "strength": [2]},
)
SMALL_CLAIMS = (
    "np-removes-beyond-placebo", "np-closest-to-query", "np-keeps-fad-unit", "np-not-opposite", "np-dominates-frontier",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results and cache of a test lie in its own folder."""
    monkeypatch.setenv("BENCH_OUT", str(tmp_path / "results"))
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def bundle_ready() -> Path:
    """The bundle's folder; a test that needs weights is skipped where a part has not been built."""
    from bench import bundle
    from bench.plan import Plan
    from bench.suite import load_suite

    for name in ("negative-prompting", "retrieval"):
        missing = sorted(Plan(load_suite(name)).bundle_files() - set(bundle.manifest()["files"]))
        if missing:
            pytest.skip(f"the bundle in {bundle.directory()} lacks {', '.join(missing)}; run `make bundle`")
    problems = bundle.check()
    assert not problems, problems
    return bundle.directory()


@pytest.fixture(scope="session")
def write_suite() -> Callable[..., Path]:
    """Write the packaged negation suite to a folder, with some keys replaced: (folder, negatives, **keys) -> file."""
    from ruamel.yaml import YAML

    from bench import resources

    yaml = YAML(typ="safe", pure=True)

    def write(folder: Path, negatives: Callable[[dict[str, Any]], bool] | None = None, **keys: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        document = {**yaml.load(resources.suite_path("negative-prompting")), "prompts": "prompts.yaml", **keys}
        prompts = yaml.load(resources.suites_dir() / "prompts" / "negative_prompting.yaml")
        prompts["negatives"] = [entry for entry in prompts["negatives"] if negatives is None or negatives(entry)]
        yaml.dump(prompts, folder / "prompts.yaml")
        yaml.dump(document, folder / "suite.yaml")
        return folder / "suite.yaml"

    return write


@pytest.fixture(scope="session")
def small_suite(bundle_ready: Path, write_suite: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A negation suite that runs in seconds: every kind of claim and metric, five negatives, ten pairs."""
    from ruamel.yaml import YAML

    from bench import resources

    claims = YAML(typ="safe", pure=True).load(resources.suite_path("negative-prompting"))["claims"]
    return write_suite(
        tmp_path_factory.mktemp("small"),
        negatives=lambda entry: entry["id"] in SMALL_NEGATIVES,
        name="small",
        replicates=[{"name": "gdr", "id": "gdr-clap-s1"}],
        settings=SMALL_SETTINGS,
        presets={},
        metrics=list(SMALL_METRICS),
        modifiers=list(SMALL_MODIFIERS),
        claims=[{**claim, "requires": []} for claim in claims if claim["id"] in SMALL_CLAIMS],
    )


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs leave out the report, which takes longer than a small run."""
    monkeypatch.setattr("bench.report.build.build_report", lambda folder: folder)


@pytest.fixture(scope="session")
def run_small(small_suite: Path) -> Callable[..., Path]:
    """Run the small suite in this process: (out, cache, fresh, tick, **overrides) -> folder of the run."""

    def run(
        out: Path, cache: Path, *, fresh: bool = False, tick: Any = None, suite: Path = small_suite, **overrides: Any
    ) -> Path:
        from bench.execute import RunOptions, run_suite
        from bench.suite import load_suite

        return run_suite(load_suite(suite, overrides=overrides), RunOptions(out, cache, fresh=fresh), tick)

    return run


@pytest.fixture(scope="session")
def small_run(run_small: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run of the small suite with its report, and its cache; not to be changed."""
    folder = tmp_path_factory.mktemp("small-run")
    return run_small(folder / "out", folder / "cache"), folder / "cache"


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python ARGUMENTS` in a process of its own, with variables set; output is captured."""

    def call(*arguments: str | Path, cwd: Path | None = None, **variables: str | Path):
        environment = {**os.environ, **{key: str(value) for key, value in variables.items()}}
        command = [sys.executable, *(str(argument) for argument in arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=240, check=False
        )

    return call


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """Write a run's folder from ranks: (folder, cells, **fields of the summary) -> folder.

    A cell is a mapping with `ranks`, and any of `query_id`, `cluster_id`, `negative_id`, `target_set`, `columns` (more
    values per query), `metrics` (more entries of the summary) and fields of summary.json.
    """
    import json

    import numpy as np
    import pandas as pd

    level = {"level": "query", "range": [None, None]}
    info = {
        "R@10": {"higher_is_better": True, "unit": "%", **level},
        "MRR": {"higher_is_better": True, "unit": "%", **level},
        "MedR": {"higher_is_better": False, "unit": "rank", **level},
    }

    def table(cell: dict[str, Any]) -> pd.DataFrame:
        ranks = np.asarray(cell["ranks"], dtype=float)
        ids = cell.get("query_id", [f"q{i:04d}" for i in range(len(ranks))])
        labels = {name: cell[name] for name in ("cluster_id", "negative_id", "target_set") if name in cell}
        frame = pd.DataFrame({"query_id": ids, "relevant_id": ids, "cluster_id": ids, **labels, "rank": ranks})
        counts = (frame["target_set"] == "lacks") if "target_set" in frame else np.full(len(ranks), True)
        frame["R@10"] = np.where(counts, 100.0 * (ranks <= 10), np.nan)
        frame["MRR"] = np.where(counts, 100.0 / ranks, np.nan)
        frame["MedR"] = ranks
        return frame.assign(**cell.get("columns", {}))

    def write(folder: Path, cells: list[dict[str, Any]], **summary: Any) -> Path:
        (folder / "per_query").mkdir(parents=True)
        written = []
        extra = summary.pop("metric_info", {})
        for place, cell in enumerate(cells):
            frame = table(cell)
            keys = [key for key in frame if key in {**info, **extra}]
            means = {key: frame[key].median() if key == "MedR" else frame[key].mean() for key in keys}
            metrics = {
                key: {"value": None if np.isnan(mean) else mean, "ci": None, "n": len(frame), "why_null": None}
                for key, mean in means.items()
            }
            fields = {
                "key": f"cell{place}", "dataset": "sd", "data_fingerprint": "f-sd", "space": "mini-clap",
                "encoder_digest": "e0", "retriever": "gdr-clap", "modifier": "none", "params": {}, "seed": 0,
                "n_queries": len(frame), "n_gallery": 500, "protocol": "track", "nfe": 1, "replicate": False,
            }  # fmt: skip
            fields |= {name: value for name, value in cell.items() if name in fields}
            frame.to_parquet(folder / "per_query" / f"{fields['key']}.parquet")
            written.append({**fields, "metrics": {**metrics, **cell.get("metrics", {})}})
        document = {
            "schema_version": 1, "suite": "retrieval", "profile": "mini", "preset": "quick", "cells": written,
            "metric_info": {**info, **extra}, "claims": [], **summary,
        }  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(document))
        return folder

    return write


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """A headless browser, for tests with the marks of `browsing`."""
    import browsing

    browser = browsing.start()
    yield browser
    browser.quit()
