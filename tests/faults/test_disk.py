"""A disk that is really full, and folders that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import harness
from faults.workload import write_suite

from bench.store.sums import SUMS

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small file system in memory: (options) -> folder."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("cannot mount a tmpfs here (needs root)")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("free", [4, 40, 90, 150, 230])
def test_a_full_disk_is_said_plainly_and_the_run_goes_on_when_there_is_room(free, mount, nursery, known):
    disk = mount("size=1m")
    write_suite(disk)
    filler = disk / "filler"
    filler.write_bytes(b"x" * ((1024 - free) * 1024 - 8192))
    ended = nursery.run(disk, NOTES=str(disk.parent))  # a full disk has no room for what it says
    assert ended.code == 4, ended.said
    assert "the disk is full; free some space" in ended.said
    assert str(disk) in ended.said
    assert ended.said.count("\n") == 1
    assert not list(disk.rglob(".*.tmp"))
    filler.unlink()
    counts = harness.resumed(nursery, disk, known, f"{free} KiB free")
    assert counts.clean, counts.problems


@pytest.mark.parametrize(("which", "flag"), [("BENCH_OUT", "--out"), ("BENCH_CACHE_DIR", "BENCH_CACHE_DIR")])
def test_a_read_only_folder_is_refused_by_name(which, flag, mount, nursery, place):
    disk = mount("size=1m,ro")
    ended = nursery.run(place, **{which: str(disk)})
    assert ended.code == 2
    assert str(disk) in ended.said
    assert flag in ended.said
    assert "Read-only file system" in ended.said


def test_a_folder_that_becomes_read_only_under_a_run(mount, nursery, known):
    disk = mount("size=8m")
    write_suite(disk)
    assert nursery.run(disk, failpoint="rename:kill:12").code == harness.KILLED
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    ended = nursery.run(disk, NOTES=str(disk.parent))
    assert ended.code == 2
    assert os.fspath(disk) in ended.said
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    counts = harness.resumed(nursery, disk, known, "read-only for a while")
    assert counts.clean, counts.problems


@pytest.mark.parametrize("blocked", ["out/faults", "out/faults/RUN", "cache/cells", "cache/arrays", "cache/locks"])
def test_a_file_where_a_folder_belongs_is_named(blocked, nursery, place):
    assert nursery.run(place).code == 0
    (run,) = (place / "out" / "faults").iterdir()
    file = place / blocked.replace("RUN", run.name)
    harness.remove_run(place)
    shutil.rmtree(place / "cache")
    file.parent.mkdir(parents=True)
    file.write_text("here first")
    ended = nursery.run(place)
    assert ended.code == 2, ended.said
    assert str(file) in ended.said
    assert file.read_text() == "here first"


@pytest.mark.parametrize("taken", ["summary.json", "cells/KEY.json", ".report", "report.html"])
def test_a_folder_where_a_file_of_the_run_belongs_is_named(taken, nursery, place):
    assert nursery.run(place).code == 0
    (run,) = (place / "out" / "faults").iterdir()
    file = run / taken.replace("KEY", next((run / "cells").iterdir()).stem)
    file.unlink()
    (file / "notes").mkdir(parents=True)
    ended = nursery.run(place)
    assert ended.code == 2, ended.said
    assert f"{file}: is a folder, and a file belongs there; move it away" in ended.said
    assert (file / "notes").is_dir()


def test_sums_that_name_what_is_not_ours_harm_nothing(nursery, known, place):
    """A results folder may come from elsewhere."""
    assert nursery.run(place).code == 0
    (run,) = (place / "out" / "faults").iterdir()
    precious = place / "elsewhere" / "precious.json"
    precious.parent.mkdir()
    for file in (precious, run / "notes.txt"):
        file.write_text("mine")
    for link in (run / "link", run / "tables" / "link"):
        link.symlink_to(precious.parent)
    names = [
        "link/precious.json", "tables/link/precious.json", "../../../elsewhere/precious.json", str(precious),
        "notes.txt", "cells/a\0b.json", "cells", "tables/link", "summary.json/below", "cells/" + "x" * 300,
    ]  # fmt: skip
    (run / SUMS).write_text("".join(f"{'0' * 64}  {name}\n" for name in names), encoding="utf-8")
    assert nursery.run(place).code == 0
    for file in (precious, run / "notes.txt"):
        assert file.read_text() == "mine"
    assert nursery.run(place).said == ""
