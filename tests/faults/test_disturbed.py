"""A run that is killed, or whose disk fails, at any instant: the next one leaves what an undisturbed run leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from faults import harness
from faults.harness import KILLED
from faults.workload import LOG, SLEEP

from bench.store import failpoints

#: In `make faults` these are many more.
KILLS = 20


def test_the_workload_never_loads_torch(known):
    assert not known.torch
    assert set(known.points) | set(known.warm_points) == set(failpoints.POINTS)


def test_a_failpoint_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setattr(failpoints, "_armed", None)
    monkeypatch.setattr(failpoints, "_counts", None)
    for text in ("chmod:kill:1", "write:EPERM:1"):
        with pytest.raises(ValueError, match="not one of"):
            failpoints.arm(text)


@pytest.mark.slow
@pytest.mark.parametrize("point", failpoints.POINTS)
def test_every_failpoint(point, made, known):
    faults = [fault for fault in harness.failpoint_faults(known) if fault["failpoint"].startswith(f"{point}:")]
    counts = harness.all_disturbed(made, known, faults)
    assert counts.clean, counts.problems
    assert counts.disturbed == counts.resumed == len(faults) >= 9
    assert counts.killed == len(faults) / 3
    assert counts.failed == (0 if point == "read" else counts.disturbed - counts.killed)


@pytest.mark.slow
def test_kills_at_any_instant(made, known):
    counts = harness.killed(made, known, KILLS)
    assert counts.clean, counts.problems
    assert counts.killed == KILLS
    assert counts.resumed == counts.disturbed >= KILLS, "one that comes late is tried again at another instant"


def test_what_is_finished_is_not_computed_again(nursery, known, place, monkeypatch):
    """A loss would be seen: the cells of a killed run keep their files, and each query is computed once."""
    log = place / "log"
    midway = known.points["rename"] // 2
    assert nursery.run(place, failpoint=f"rename:kill:{midway}", FAULTS_LOG=str(log)).code == KILLED
    before = harness.finished_cells(place)
    assert 0 < len(before) < len(harness.finished_cells_of(known))
    assert nursery.run(place, FAULTS_LOG=str(log)).code == 0
    after = harness.finished_cells(place)
    assert {name: after[name] for name in before} == before
    computed = log.read_text().splitlines()
    assert len(set(computed)) == 4
    assert len(computed) <= 5, "more than the one in flight was computed twice"


def test_a_temporary_file_of_a_killed_run_is_removed_in_time(nursery, place):
    assert nursery.run(place, failpoint="rename:kill:12").code == KILLED
    (left,) = place.rglob(".*.tmp")
    assert nursery.run(place).code == 0
    assert left.exists(), "it might belong to a process that still writes"
    os.utime(left, (time.time() - 7200,) * 2)
    assert nursery.run(place).code == 0
    assert not left.exists()


@pytest.mark.slow
def test_a_killed_run_of_a_gdr_goes_on(bundle_ready, tmp_path):
    """The real thing, in a process that is started as a user starts it."""
    counts = harness.gdr_kills(tmp_path, kills=1)
    assert counts.clean, counts.problems
    assert counts.resumed == 1


def test_ctrl_c_says_that_what_is_finished_is_kept(place):
    program = "import sys, pathlib, faults.workload as w; sys.exit(w.run(*map(pathlib.Path, sys.argv[1:])))"
    command = [sys.executable, "-c", program, str(place / "suite.yaml"), str(place / "out")]
    log = place / "log"
    own = {"PYTHONPATH": str(harness.TESTS), "BENCH_CACHE_DIR": str(place / "cache"), LOG: str(log), SLEEP: "4"}
    with subprocess.Popen(
        command, env={**os.environ, **own}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while not (log.exists() and len(log.read_text().splitlines()) == 2) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)  # while the queries of the second cell take their seconds
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert re.fullmatch(r"error: interrupted; what was finished is kept[^\n]*\n", said)
    assert len(log.read_text().splitlines()) == 2, "it did not go on"
    assert len(harness.finished_cells(place)) == 2, "the two files of the first cell"
