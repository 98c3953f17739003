"""How a run came about: times, machine, packages, commit. Kept apart from the summary, which is the same everywhere."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["PACKAGES", "Phases", "git_state", "package_versions", "provenance"]

PACKAGES = ("gdr-bench", "torch", "numpy", "scipy", "pandas", "pyarrow", "pydantic", "safetensors", "tokenizers")


@dataclass
class Phases:
    """Seconds of each cell and each phase of a run."""

    cells: dict[str, float] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.time)

    @contextmanager
    def cell(self, key: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.cells[key] = round(time.perf_counter() - start, 4)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.phases[name] = round(self.phases.get(name, 0.0) + time.perf_counter() - start, 4)


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
    """Commit and dirty flag of the checkout the package runs from; nulls outside one."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit, status = git("rev-parse", "HEAD"), git("status", "--porcelain")
    return {"commit": commit, "dirty": bool(status) if status is not None else None}


def provenance(run: Any) -> dict[str, Any]:
    """The content of provenance.json."""
    return {
        "schema_version": 1,
        "run_id": run.run_id,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.phases.started)),
        "seconds": round(time.time() - run.phases.started, 3),
        "phases": run.phases.phases,
        "cell_seconds": run.phases.cells,
        "threads": run.options.threads,
        "device": run.options.device,
        "host": {"platform": platform.platform(), "python": platform.python_version(), "machine": platform.machine()},
        "packages": package_versions(),
        "git": git_state(),
        "digests": run.plan.digests(),
        "damaged": sorted([*run.store.damaged, *(f"cache: {name}" for name in run.cache.damaged)]),
    }
