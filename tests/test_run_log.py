"""run.log: who did what when, of every process, whatever became of it."""

from __future__ import annotations

import json
import os
import re

import pytest

from bench.execute import RunOptions, run_suite
from bench.run_log import RUN_LOG, RunLog
from bench.suite import load_suite

SUITE = """
schema_version: 1
name: logged
title: A teacher on two sets
datasets: [{name: gmcaps/sd, id: sd, tracks: 20}, {name: gmcaps/mc, id: mc, tracks: 20}]
spaces: [clap]
retrievers: [{name: contrastive, id: clap}]
settings: {queries: 20}
metrics: [R@10]
"""
LINE = re.compile(rf"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ {os.getpid()} (\S.*)")


@pytest.fixture
def run(bundle_ready, no_report, tmp_path):
    """Runs the suite; takes a listener."""
    (tmp_path / "suite.yaml").write_text(SUITE)

    def call(tick=None):
        return run_suite(load_suite(tmp_path / "suite.yaml"), RunOptions(tmp_path / "out", tmp_path / "cache"), tick)

    return call


def said(folder):
    return [LINE.fullmatch(line)[1] for line in (folder / RUN_LOG).read_text().splitlines()]


def test_it_tells_what_was_computed_and_a_second_run_adds_to_it(run):
    folder = run()
    keys = [cell["key"] for cell in json.loads((folder / "summary.json").read_text())["cells"]]
    first = said(folder)
    assert first[0] == "begins: logged, preset quick, 2 cells, threads 1, device cpu"
    assert [re.fullmatch(r"computed (\w+) in \d+\.\d\d s: \w+ clap none", line)[1] for line in first[1:-1]] == keys
    assert re.fullmatch(r"complete after \d+\.\d s", first[-1])
    assert run() == folder
    again = said(folder)
    assert again[: len(first)] == first
    assert [line.split()[0] for line in again[len(first) :]] == ["begins:", "complete"]


def test_it_tells_why_a_run_stopped(run, tmp_path):
    def stop(done, total, what):
        if done == 1:
            raise OSError("the cable\ncame out")

    with pytest.raises(OSError, match="cable"):
        run(stop)
    (folder,) = (tmp_path / "out" / "logged").iterdir()
    assert re.fullmatch(r"stopped after \d+\.\d s: OSError: the cable came out", said(folder)[-1])


def test_it_tells_what_was_damaged(run):
    folder = run()
    (folder / "summary.json").write_text("{}")
    run()
    assert "damaged and made again: summary.json" in said(folder)


def test_a_log_that_cannot_be_written_stops_no_run(run, tmp_path):
    folder = run()
    (folder / RUN_LOG).unlink()
    (folder / RUN_LOG).mkdir()
    assert run() == folder


def test_lines_of_several_processes_do_not_mix(tmp_path):
    one, other = RunLog(tmp_path), RunLog(tmp_path)
    for turn in range(5):
        one.add(f"one {turn}")
        other.add(f"other\n{turn}")
    assert said(tmp_path) == [f"{name} {turn}" for turn in range(5) for name in ("one", "other")]
