"""A command line that runs in this process, away from the user's results and cache; and a bundle of tiny files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.cli import main


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Bench = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own cache; thread variables that a command sets are put back."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_OUT", raising=False)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")


@pytest.fixture
def bench(capfd: pytest.CaptureFixture[str]) -> Bench:
    """Run a command line: code, stdout, stderr."""

    def call(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def bundle_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a manifest and a small file in place of every bundle file that the packaged suites need."""
    from bench import resources
    from bench.plan import Plan
    from bench.suite import load_suite

    folder = tmp_path / "bundle"
    folder.mkdir()
    names = {name for suite in resources.suite_names() for name in Plan(load_suite(suite)).bundle_files()}
    for name in names:
        (folder / name).write_text(name)
    files = {
        name: {"sha256": hashlib.sha256(name.encode()).hexdigest(), "bytes": len(name), "part": "test"}
        for name in names
    }
    (folder / "manifest.json").write_text(json.dumps({"schema_version": 1, "files": files, "parts": {}}))
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(folder))
    return folder
