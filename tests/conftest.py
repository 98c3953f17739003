"""What all tests share: nothing of the user's is read or written, no network, and a run small enough for a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
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
