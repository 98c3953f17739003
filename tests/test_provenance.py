"""How a run came about: of which process each number is, of which commit the code, and where the time went."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from faults.workload import Hashed, write_suite

from bench import hardware, provenance, registry
from bench.cells import _checksum
from bench.execute import RunOptions, run_suite
from bench.provenance import Phases, git_state
from bench.report.schemas import CellFile, Made, Provenance
from bench.suite import load_suite

pytestmark = pytest.mark.usefixtures("no_report")


@pytest.fixture
def run(bundle_ready, tmp_path):
    """Run a small suite: (threads, out) -> folder of the run."""
    suite = write_suite(tmp_path)

    def call(threads=1, out="out", **options):
        with registry.retrievers.temporary("hashed", Hashed):
            options = RunOptions(tmp_path / out, tmp_path / "cache", threads=threads, **options)
            return run_suite(load_suite(suite), options)

    return call


def told(folder):
    text = (folder / "provenance.json").read_text()
    Provenance.model_validate_json(text)
    return json.loads(text)


# --- of which process a cell is ---------------------------------------------------------------------------------------


def test_a_cell_is_of_the_process_that_computed_it(run, monkeypatch):
    first = run(threads=1)
    summary = (first / "summary.json").read_bytes()
    before = told(first)
    assert set(before["cells"]) == {cell["key"] for cell in json.loads(summary)["cells"]}
    assert {made["threads"] for made in before["cells"].values()} == {1}
    assert not any("packages" in made or "host" in made for made in before["cells"].values()), "stated once"
    again = run(threads=2), run(threads=2, out="elsewhere")  # from the folder, and from the cache
    for folder in again:
        after = told(folder)
        assert after["threads"] == 2
        assert after["cells"] == before["cells"]
        assert (folder / "summary.json").read_bytes() == summary
    assert {made["threads"] for made in told(run(threads=2, fresh=True))["cells"].values()} == {2}


def test_packages_and_machine_are_told_where_they_are_others(run, monkeypatch):
    before = told(run())
    monkeypatch.setattr(provenance, "package_versions", lambda: {"numpy": "99"})
    monkeypatch.setattr(provenance, "host", lambda device: {**before["host"], "machine": "other"})
    after = told(run())
    assert after["packages"] == {"numpy": "99"}
    for made in after["cells"].values():
        assert made["packages"] == before["packages"]
        assert made["host"] == before["host"]


def test_how_a_cell_was_made_is_no_part_of_it(run, tmp_path):
    folder = run()
    for file in (folder / "cells").glob("*.json"):
        entry = json.loads(file.read_text())
        Made.model_validate(entry["made"])
        assert CellFile.model_validate_json(file.read_text()).made is not None
    summary = (folder / "summary.json").read_bytes()
    again = run(threads=2, fresh=True)
    assert (again / "summary.json").read_bytes() == summary


def test_how_a_cell_was_made_is_not_edited_unseen(run):
    folder = run()
    before = told(folder)["cells"]
    file = min((folder / "cells").glob("*.json"))
    file.write_text(file.read_text().replace('"threads": 1', '"threads": 9'))
    (folder / "SHA256SUMS").unlink()
    after = told(run())
    assert after["damaged"] == [f"cells/{file.stem}"]
    assert after["cells"] == before, "as the cache has it"


def test_cells_of_before_it_was_kept_are_read(run):
    folder = run()
    for file in (folder / "cells").glob("*.json"):
        entry = json.loads(file.read_text())
        del entry["made"]
        table = (folder / "per_query" / f"{file.stem}.parquet").read_bytes()
        file.write_text(json.dumps({**entry, "checksum": _checksum(entry, table)}))
    (folder / "SHA256SUMS").unlink()
    assert set(told(run())["cells"].values()) == {None}


def test_seeds_and_data_are_told(run):
    folder = run()
    cells = json.loads((folder / "summary.json").read_text())["cells"]
    found = told(folder)
    assert found["seeds"] == [0]
    assert found["data_fingerprints"] == {cell["dataset"]: cell["data_fingerprint"] for cell in cells}
    assert set(found["data_fingerprints"]) == {"sd", "mc"}


# --- the commit -------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Somebody's repository with the package in it: a function that calls git there."""
    folder = tmp_path / "theirs"
    package = folder / "lib" / "site-packages" / "bench"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (folder / "paper.tex").write_text("theirs")

    def git(*arguments):
        own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *own, *arguments], cwd=folder, check=True, capture_output=True, text=True, env=environment
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("add", "paper.tex")
    git("commit", "--quiet", "-m", "theirs")
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    return git


NONE = {"commit": None, "dirty": None}


def test_a_package_inside_somebody_elses_repository_is_not_of_their_commit(repository):
    assert git_state() == NONE


def test_code_that_git_tracks_is_of_its_commit(repository):
    repository("add", ".")
    repository("commit", "--quiet", "-m", "the code")
    commit = repository("rev-parse", "HEAD")
    assert git_state() == {"commit": commit, "dirty": False}
    Path(provenance.__file__).with_name("new.py").write_text("")
    assert git_state() == {"commit": commit, "dirty": True}


def test_another_repository_in_the_environment_is_not_obeyed(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs" / ".git"))
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    (tmp_path / "__init__.py").write_text("")
    assert git_state() == NONE


def test_without_git_there_is_no_commit(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state() == NONE


# --- time and machine -------------------------------------------------------------------------------------------------


def test_the_seconds_of_a_phase_are_without_those_of_phases_inside(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    phases = Phases()
    with phases.phase("rank"):  # 0
        with phases.phase("query"):  # 1
            pass  # 2
        with pytest.raises(ValueError, match="no"), phases.phase("modify"):  # 3
            raise ValueError("no")  # 4
    with phases.phase("query"):  # 5, 6
        pass  # 7
    assert phases.seconds() == {"rank": 3, "query": 2, "modify": 1}


def test_a_run_tells_all_its_phases(run):
    found = told(run())
    assert set(found["phases"]) >= {
        "check",
        "dataset",
        "query",
        "cache",
        "rank",
        "metrics",
        "cells",
        "claims",
        "report",
    }
    assert 0.5 * found["seconds"] < sum(found["phases"].values()) <= found["seconds"] + 0.01
    assert "query" not in told(run())["phases"]


def test_the_machine_is_described_without_its_name(monkeypatch):
    found = hardware.host()
    assert found["cores"] >= 1
    assert found["memory_bytes"] is None or found["memory_bytes"] > 2**28
    assert found["gpu"] is None
    assert os.uname().nodename not in {str(value) for value in found.values()}
    torch = SimpleNamespace(cuda=SimpleNamespace(get_device_name=lambda device: f"A GPU ({device})"))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert hardware.host("cuda:1")["gpu"] == "A GPU (cuda:1)"
    assert hardware.host("cpu")["gpu"] is None
