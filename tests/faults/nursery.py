"""Runs of the workload, each in a process of its own that is forked when everything has been imported.

A run then takes a fraction of a second, so that hundreds can be killed, and nearly all of it is the run's own work.
Requests and answers are lines of JSON on stdin and stdout of `python -m faults.nursery`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    """Exit code; minus the signal's number if it was killed."""
    seconds: float
    said: str
    """What it wrote to stderr."""
    points: dict[str, int]
    """How often each failpoint was reached, where that was counted."""
    torch: bool
    """Whether torch had been imported."""


class Nursery:
    """One process that forks runs, one after the other or several at once."""

    def __init__(self, python_path: Sequence[Path]) -> None:
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(str(path) for path in python_path),
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def run(self, folder: Path, failpoint: str = "", kill_after: float | None = None, **environment: str) -> Ended:
        """Run the suite of a folder once.

        Args:
            folder: holds suite.yaml; results go to its `out`, the cache to its `cache`.
            failpoint: as `BENCH_FAILPOINT`, or `count`.
            kill_after: seconds after which it is killed.
            environment: further variables; NOTES is a folder for stderr, if not `folder`.
        """
        return self.together([{"folder": folder, "failpoint": failpoint, "kill_after": kill_after, **environment}])[0]

    def together(self, requests: Sequence[dict[str, Any]]) -> list[Ended]:
        """Several runs at once; how each ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write((json.dumps(requests, default=str) + "\n").encode())
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the nursery has died")
        return [Ended(**ended) for ended in json.loads(answer)]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# --- in the nursery's process -----------------------------------------------------------------------------------------


def _child(request: dict[str, Any]) -> None:
    """The run, in a process of its own; never returns."""
    from faults.workload import run

    from bench.store import failpoints

    folder = Path(request.pop("folder"))
    failpoint = request.pop("failpoint", "")
    request.pop("kill_after", None)
    os.environ.update({name: str(value) for name, value in request.items()})
    os.environ.setdefault("BENCH_CACHE_DIR", str(folder / "cache"))
    notes = Path(request.get("NOTES", folder))
    error = os.open(notes / f"stderr.{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(error, 2)
    failpoints.arm(failpoint)
    code = 99
    try:
        code = run(folder / "suite.yaml", Path(os.environ.get("BENCH_OUT", folder / "out")))
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
            told = {"points": failpoints.counts(), "torch": "torch" in sys.modules}
            (notes / f"told.{os.getpid()}").write_text(json.dumps(told))
        os._exit(code)


def _serve(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    started, children = time.monotonic(), []
    for request in requests:
        child = os.fork()
        if child == 0:
            _child(dict(request))
        children.append(child)
    kills = sorted((r["kill_after"], c) for r, c in zip(requests, children, strict=True) if r.get("kill_after"))
    for after, child in kills:
        time.sleep(max(0.0, started + after - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return [_ended(child, request, started) for child, request in zip(children, requests, strict=True)]


def _ended(child: int, request: dict[str, Any], started: float) -> dict[str, Any]:
    status = os.waitpid(child, 0)[1]
    notes = Path(request.get("NOTES", request["folder"]))
    told, error = notes / f"told.{child}", notes / f"stderr.{child}"
    found = json.loads(told.read_text()) if told.is_file() else {"points": {}, "torch": False}
    said = error.read_text(errors="replace") if error.is_file() else ""
    for file in (told, error):
        file.unlink(missing_ok=True)
    seconds = time.monotonic() - started
    return {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "said": said, **found}


def _import_all() -> None:
    """Run the workload once in a child, to know what it imports; import that here."""
    import tempfile

    from faults.workload import write_suite

    with tempfile.TemporaryDirectory() as folder:
        suite = write_suite(Path(folder))
        os.environ["BENCH_CACHE_DIR"] = str(Path(folder) / "cache")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            from faults.workload import run

            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = run(suite, Path(folder) / "out")
            os.write(write, json.dumps(sorted(sys.modules)).encode())
            os._exit(code)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            names = json.loads(pipe.read())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            raise SystemExit(f"the workload itself fails, exit code {code}")
        del os.environ["BENCH_CACHE_DIR"]
    for name in names:
        with contextlib.suppress(Exception):
            __import__(name)


if __name__ == "__main__":
    _import_all()
    for line in sys.stdin:
        print(json.dumps(_serve(json.loads(line))), flush=True)
