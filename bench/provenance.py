"""How a run came about: times, machine, packages, commit. Kept apart from the summary, which is the same everywhere."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.hardware import host

__all__ = ["PACKAGES", "Origin", "Phases", "git_state", "package_versions", "provenance"]

PACKAGES = ("gdr-bench", "torch", "numpy", "scipy", "pandas", "pyarrow", "pydantic", "safetensors", "tokenizers")
_SHARED = ("host", "packages")
"""Of a cell: stated only where they are not those of the last run."""


@dataclass
class Phases:
    """Seconds of each cell and each phase of a run; those of a phase are without those of phases inside it."""

    cells: dict[str, float] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    _open: list[str] = field(default_factory=list)
    _since: float = 0.0

    @contextmanager
    def cell(self, key: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.cells[key] = round(time.perf_counter() - start, 4)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._switch()
        self._open.append(name)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    def _switch(self) -> None:
        """Give the time since the last switch to the innermost phase."""
        now = time.perf_counter()
        if self._open:
            name = self._open[-1]
            self.phases[name] = self.phases.get(name, 0.0) + now - self._since
        self._since = now

    def seconds(self) -> dict[str, float]:
        """Of each phase."""
        return {name: round(seconds, 4) for name, seconds in self.phases.items()}


class Origin:
    """What this process makes cells with: code, settings, machine. Looked up once, when it is first asked for."""

    def __init__(self, threads: int, device: str) -> None:
        self.threads, self.device = threads, device

    @cached_property
    def described(self) -> dict[str, Any]:
        return {
            **git_state(), "packages": package_versions(), "threads": self.threads, "device": self.device,
            "host": host(self.device),
        }  # fmt: skip

    def made(self, began: float) -> dict[str, Any]:
        """What is kept with a cell that was computed just now (`bench.report.schemas.Made`).

        Args:
            began: seconds since the epoch.
        """
        return {**self.described, "seconds": round(max(0.0, time.time() - began), 3), "when": _stamp(began)}


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def package_versions() -> dict[str, str]:
    """Installed versions of what decides numbers."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_state() -> dict[str, Any]:
    """Commit and dirty flag of the checkout the package runs from; nulls outside one.

    A package that is installed inside somebody else's repository is not of its commit: git must track this code.
    """
    folder = Path(__file__).parent
    # GIT_DIR and its like, set in hooks of git, would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=10, check=True,
            )  # fmt: skip
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    commit, status = git("rev-parse", "HEAD"), git("status", "--porcelain")
    return {"commit": commit, "dirty": bool(status) if status is not None else None}


def provenance(run: Any, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of provenance.json.

    Args:
        run: the run that ends (`bench.execute`).
        entries: cells of its summary.
    """
    described = run.origin.described
    return {
        "schema_version": 1,
        "run_id": run.run_id,
        "started": _stamp(run.phases.started),
        "seconds": round(time.time() - run.phases.started, 3),
        "phases": run.phases.seconds(),
        "cell_seconds": run.phases.cells,
        "threads": run.options.threads,
        "device": run.options.device,
        "host": described["host"],
        "packages": described["packages"],
        "git": {"commit": described["commit"], "dirty": described["dirty"]},
        "cells": {entry["key"]: _told(run.store.made.get(entry["key"]), described) for entry in entries},
        "seeds": list(run.suite.seeds),
        "data_fingerprints": {entry["dataset"]: entry["data_fingerprint"] for entry in entries},
        "digests": run.plan.digests(),
        "damaged": sorted([*run.store.damaged, *(f"cache: {name}" for name in run.cache.damaged)]),
    }


def _told(made: Any, described: Mapping[str, Any]) -> dict[str, Any] | None:
    """How a cell was made, without what is as in the last run; None where it was not kept, or is no such thing."""
    from pydantic import ValidationError

    from bench.report.schemas import Made

    try:
        Made.model_validate(made)
    except ValidationError:
        return None
    return {key: value for key, value in made.items() if key not in _SHARED or value != described[key]}
