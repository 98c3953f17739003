"""Processes that run one suite at once into one folder: they share the work, and none harms the other."""

from __future__ import annotations

import threading

import pytest
from faults import harness

from bench.store import Cache
from bench.store.sums import SUMS, damaged_files


@pytest.mark.parametrize("count", [2, 4])
def test_each_query_is_computed_once(count, nursery, known, place):
    log = place / "log"
    ended = nursery.together([{"folder": place, "FAULTS_LOG": str(log)}] * count)
    assert [one.code for one in ended] == [0] * count, [one.said for one in ended]
    assert harness.left_by(place) == known.files
    computed = log.read_text().splitlines()
    assert len(computed) == len(set(computed)) == 4
    assert not list((place / "cache" / "locks").iterdir())


def test_cells_are_shared_out(nursery, known, place):
    """While one process is slow at its first cell, the other goes on with those that nobody has begun."""
    log = place / "log"
    slow = {"folder": place, "FAULTS_LOG": str(log), "FAULTS_SLEEP": "2"}
    first, second = nursery.together([slow, slow])
    assert (first.code, second.code) == (0, 0)
    assert len(log.read_text().splitlines()) == 4
    assert max(first.seconds, second.seconds) < 4 * 2, "one process alone sleeps four times two seconds"
    assert harness.left_by(place) == known.files


def test_one_that_is_killed_gives_its_locks_back(nursery, known, place):
    slow = {"folder": place, "FAULTS_SLEEP": "1"}
    killed, other = nursery.together([{**slow, "kill_after": 1.0}, slow])
    assert killed.code == harness.KILLED
    assert other.code == 0
    assert harness.left_by(place) == known.files


def test_other_folders_share_the_cache(nursery, place):
    log = place / "log"
    requests = [{"folder": place, "FAULTS_LOG": str(log), "BENCH_OUT": str(place / name)} for name in ("out", "b")]
    assert [one.code for one in nursery.together(requests)] == [0, 0]
    computed = log.read_text().splitlines()
    assert len(computed) == len(set(computed)) == 4


def test_one_that_opens_a_folder_while_another_closes_it(nursery, known, place):
    """A complete run that is run again by many at once: most of the time one writes its provenance and the sums."""
    assert nursery.run(place).code == 0
    for _ in range(3):
        ended = nursery.together([{"folder": place}] * 4)
        assert {(one.code, one.said) for one in ended} == {(0, "")}
    (folder,) = (place / "out" / "faults").iterdir()
    assert (folder / SUMS).exists()
    assert damaged_files(folder) == []
    assert harness.left_by(place) == known.files


@pytest.mark.parametrize("tidy", [lambda cache: cache.prune(0), lambda cache: cache.clear()], ids=["prune", "clear"])
def test_a_cache_that_is_emptied_all_the_time(tidy, nursery, known, place):
    done = threading.Event()

    def forever():
        while not done.wait(0.002):
            tidy(Cache(place / "cache"))

    thread = threading.Thread(target=forever)
    thread.start()
    try:
        for _ in range(2):
            ended = nursery.run(place)
            assert (ended.code, ended.said) == (0, "")
            assert harness.left_by(place) == known.files
            harness.remove_run(place)
    finally:
        done.set()
        thread.join()
