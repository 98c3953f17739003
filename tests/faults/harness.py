"""Disturb a run, run it again, and hold what it leaves against an undisturbed run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from faults.nursery import Ended, Nursery
from faults.workload import GDR_SUITE, write_suite

from bench.run_log import RUN_LOG
from bench.store import Cache, failpoints
from bench.store.sums import SUMS, damaged_files

TESTS = Path(__file__).parents[1]
#: Written anew by every run.
OF_THE_RUN = {"provenance.json", SUMS, ".report", ".lock", RUN_LOG}
KILLED = -9
MOST_TRIES = 4
"""For each kill that is wanted."""


@dataclass
class Counts:
    """What came of many disturbed runs. All but the first four are to be 0."""

    disturbed: int = 0
    killed: int = 0
    """Runs that were killed before they had ended."""
    failed: int = 0
    """Runs that ended with exit code 4 and a plain message."""
    resumed: int = 0
    """Second runs that ended well."""
    tracebacks: int = 0
    wrong_codes: int = 0
    losses: int = 0
    """Finished cells that the second run computed again."""
    differences: int = 0
    """Second runs that left another file than the undisturbed run."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def clean(self) -> bool:
        return not self.problems and not (self.tracebacks or self.wrong_codes or self.losses or self.differences)


@dataclass(frozen=True)
class Reference:
    """An undisturbed run."""

    files: dict[str, bytes]
    seconds: float
    points: dict[str, int]
    """How often it reached each failpoint."""
    warm_points: dict[str, int]
    """The same for a run into an empty folder from a full cache."""
    hurt_points: dict[str, int]
    """The same for a complete run, run again, of which some files are damaged."""
    torch: bool


@contextmanager
def nurseries(count: int = 2) -> Iterator[list[Nursery]]:
    """Processes that fork runs; closed at the end."""
    made = [Nursery([TESTS]) for _ in range(count)]
    try:
        yield made
    finally:
        for nursery in made:
            nursery.close()


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder with the workload's suite."""
    with tempfile.TemporaryDirectory(prefix="gdr-bench-faults-") as folder:
        write_suite(Path(folder))
        yield Path(folder)


def left_by(folder: Path) -> dict[str, bytes]:
    """Content of every file of the run below a folder's `out`, but what tells of the process.

    Nor temporary files of a process that was killed: they are removed when they are old.
    """
    files = (file for file in (folder / "out").rglob("*") if file.is_file() and file.suffix != ".tmp")
    return {str(f.relative_to(folder / "out")): _content(f) for f in files if f.name not in OF_THE_RUN}


def _content(file: Path) -> bytes:
    """A file, and of a cell's all but how it was made, and the checksum over that."""
    content = file.read_bytes()
    if file.parent.name != "cells":
        return content
    with suppress(ValueError):  # damaged: as it is
        kept = {name: value for name, value in json.loads(content).items() if name not in ("made", "checksum")}
        content = json.dumps(kept).encode()
    return content


def reference(nursery: Nursery) -> Reference:
    """Run the workload undisturbed; the median of three lengths."""
    lengths = []
    for _ in range(3):
        with workplace() as folder:
            ended = nursery.run(folder, "count")
            if ended.code:
                raise RuntimeError(f"the undisturbed run fails: {ended.said}")
            lengths.append(ended.seconds)
            files = left_by(folder)
            remove_run(folder)
            warm = nursery.run(folder, "count")
            hurt_run(folder)
            hurt = nursery.run(folder, "count")
    return Reference(files, float(np.median(lengths)), ended.points, warm.points, hurt.points, ended.torch)


# --- one disturbed run ------------------------------------------------------------------------------------------------


def disturbed(
    nursery: Nursery, known: Reference, expected: Iterable[int], before: str = "nothing", **fault: Any
) -> Counts:
    """A run with a fault, and then one without.

    Args:
        expected: exit codes that the fault may lead to.
        before: what the disturbed run finds: `nothing`, all its cells in the `cache`, or itself complete and `hurt`.
        fault: of `Nursery.run`.
    """
    counts = Counts(disturbed=1)
    with workplace() as folder:
        if before != "nothing":
            nursery.run(folder)
            (remove_run if before == "cache" else hurt_run)(folder)
        first = nursery.run(folder, **fault)
        counts.killed += first.code == KILLED
        counts.failed += first.code == 4
        _judge(first, counts, set(expected), str(fault))
        counts.add(resumed(nursery, folder, known, str(fault)))
    return counts


def resumed(nursery: Nursery, folder: Path, known: Reference, fault: str) -> Counts:
    """Run again what has been disturbed; what is wrong with what it leaves."""
    counts = Counts()
    finished = finished_cells(folder)
    again = nursery.run(folder)
    _judge(again, counts, {0}, f"resumed after {fault}")
    counts.resumed += again.code == 0
    after = finished_cells(folder)
    counts.losses += _lost(finished, after)
    counts.differences += left_by(folder) != known.files
    run = next((folder / "out" / "faults").iterdir())
    found = Cache(folder / "cache").verify() + damaged_files(run)
    if found or counts.losses or counts.differences:
        counts.problems.append(f"{fault}: damaged {found}, lost {counts.losses}, other files {counts.differences}")
    return counts


def finished_cells(folder: Path) -> dict[str, int]:
    """Cells that are whole in the cache: their files' names and inodes (a file that is written again gets another)."""
    cache = Cache(folder / "cache")
    damaged = set(cache.verify())
    entries = {e.path for e in cache.entries() if e.path.parts[-3] == "cells" and not e.path.name.startswith(".")}
    whole = {p for p in entries if p.with_suffix(".json") in entries and p.with_suffix(".parquet") in entries}
    return {p.name: p.stat().st_ino for p in whole if str(p.relative_to(cache.root)) not in damaged}


def _lost(finished: dict[str, int], after: dict[str, int]) -> int:
    """Files of finished cells that are gone, or were made again."""
    return sum(after.get(name) != inode for name, inode in finished.items())


def finished_cells_of(known: Reference) -> set[str]:
    """Names of the files of an undisturbed run's cells."""
    return {Path(name).name for name in known.files if Path(name).parts[-2] in ("cells", "per_query")}


def _judge(ended: Ended, counts: Counts, expected: set[int], fault: str) -> None:
    if "Traceback" in ended.said:
        counts.tracebacks += 1
        counts.problems.append(f"{fault}: {ended.said}")
    if ended.code not in expected:
        counts.wrong_codes += 1
        counts.problems.append(f"{fault}: exit code {ended.code}, not {sorted(expected)}: {ended.said}")
    if ended.code == 4 and not re.fullmatch(r"error: [^\n]+\n", ended.said):
        counts.problems.append(f"{fault}: more than one plain message: {ended.said}")


# --- the real thing: a GDR, in a process of its own -------------------------------------------------------------------


def gdr_kills(folder: Path, kills: int, seed: int = 0, tick: Callable[[], None] = lambda: None) -> Counts:
    """Kill runs of a small suite with a GDR at uniform instants, and run each again.

    Args:
        folder: for all files.
        kills: how many must meet a run before its end; for those that come late others are tried.
        seed: of the instants.
        tick: called after each that met one.
    """
    total = Counts()
    suite = write_suite(folder / "suite", GDR_SUITE)
    start = time.monotonic()
    expected = _gdr_run(suite, folder / "undisturbed", None)
    length = time.monotonic() - start
    _judge(expected, total, {0}, "undisturbed")
    rng = np.random.default_rng(seed)
    for number in range(MOST_TRIES * kills):
        if total.killed == kills:
            break
        instant = rng.uniform(0, length)
        own, fault = folder / f"kill{number}", f"GDR killed after {instant:.2f} of {length:.2f} s"
        first, finished = _gdr_run(suite, own, float(instant)), finished_cells(own)
        again, after = _gdr_run(suite, own, None), finished_cells(own)
        counts = Counts(disturbed=1, killed=first.code == KILLED, resumed=again.code == 0)
        _judge(first, counts, {KILLED, 0}, fault)
        _judge(again, counts, {0}, f"resumed after {fault}")
        counts.losses += _lost(finished, after)
        if counts.losses:
            counts.problems.append(f"{fault}: {counts.losses} files of finished cells were made again")
        if left_by(own) != left_by(folder / "undisturbed"):
            counts.differences += 1
            counts.problems.append(f"{fault}: the second run left other files")
        total.add(counts)
        if counts.killed:
            tick()
    return total


def _gdr_run(suite: Path, folder: Path, kill_after: float | None) -> Ended:
    offline = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **offline, "BENCH_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-m", "bench", "run", str(suite), "--out", str(folder / "out"), "--threads", "1"]
    command += ["--quiet"]
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        said = process.communicate(timeout=kill_after)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[1]
    seconds = time.monotonic() - start
    return Ended(process.returncode, seconds, said.decode(errors="replace"), {}, torch=True)


# --- many -------------------------------------------------------------------------------------------------------------


def failpoint_faults(known: Reference, turns: int = 3) -> list[dict[str, Any]]:
    """Every failpoint with every action, at its first, last and some turns between.

    An error while reading is no failure: what cannot be read is computed again. Only a run from the cache reads, and
    only one that finds itself damaged removes much.
    """
    found = []
    runs = {"read": ("cache", known.warm_points), "unlink": ("hurt", known.hurt_points)}
    for point in failpoints.POINTS:
        reads = point == "read"
        before, points = runs.get(point, ("nothing", known.points))
        last = points[point]
        for turn in sorted({round(at) for at in np.linspace(1, last, turns)}):
            for action in failpoints.ACTIONS:
                code = KILLED if action == "kill" else 0 if reads else 4
                found.append({"failpoint": f"{point}:{action}:{turn}", "expected": (code,), "before": before})
    return found


def kill_faults(known: Reference, kills: int, seed: int = 0) -> list[dict[str, Any]]:
    """SIGKILL at uniform instants of the undisturbed run's length; one that comes late finds the run ended."""
    instants = np.random.default_rng(seed).uniform(0, known.seconds, kills)
    return [{"kill_after": float(instant), "expected": (KILLED, 0)} for instant in instants]


def killed(
    made: Sequence[Nursery],
    known: Reference,
    kills: int,
    seed: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> Counts:
    """Kill runs until so many were met before their end; `tick` is called after every try."""
    total = Counts()
    for turn in range(MOST_TRIES):
        if total.killed >= kills:
            break
        # Another stream of instants, not the same ones again.
        total.add(all_disturbed(made, known, kill_faults(known, kills - total.killed, seed + 1000 * turn), tick))
    return total


def all_disturbed(
    made: Sequence[Nursery],
    known: Reference,
    faults: Sequence[dict[str, Any]],
    tick: Callable[[], None] = lambda: None,
) -> Counts:
    """Every fault once, as many at a time as there are nurseries."""
    total = Counts()

    def share(place: int) -> list[Counts]:
        found = []
        for fault in faults[place :: len(made)]:
            found.append(disturbed(made[place], known, **fault))
            tick()
        return found

    with ThreadPoolExecutor(len(made)) as pool:
        for counts in pool.map(share, range(len(made))):
            for one in counts:
                total.add(one)
    return total


def hurt_run(folder: Path) -> None:
    """Flip a bit in a file of each kind of a complete run."""
    (run,) = (folder / "out" / "faults").iterdir()
    for pattern in ("summary.json", "report.md", "cells/*.json", "per_query/*.parquet"):
        file = sorted(run.glob(pattern))[0]
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)


def remove_run(folder: Path) -> None:
    """Remove a folder's results and keep its cache."""
    shutil.rmtree(folder / "out", ignore_errors=True)
