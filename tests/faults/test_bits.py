"""A bit that has flipped in any kind of file is seen, told and mended."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from faults import harness

from bench.errors import UserError
from bench.report.load import Run
from bench.store.sums import SUMS, damaged_files

OF_A_RUN = (
    "summary.json", "suite.resolved.yaml", "provenance.json", "report.html", "report.md", SUMS, "cells/*.json",
    "per_query/*.parquet", "tables/*.csv", "tables/*.tex",
)  # fmt: skip
OF_THE_CACHE = ("arrays/*/*.npy", "cells/*/*.json", "cells/*/*.parquet", "claims/*/*.json")
FLIPS = 12


def flip(file, where):
    content = bytearray(file.read_bytes())
    content[int(where * (len(content) - 1))] ^= 1
    file.write_bytes(content)


def runs_folder(place):
    (folder,) = (place / "out" / "faults").iterdir()
    return folder


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("pattern", OF_A_RUN)
def test_in_a_run(pattern, where, nursery, known, place):
    assert nursery.run(place).code == 0
    folder = runs_folder(place)
    file = sorted(folder.glob(pattern))[0]
    flip(file, where)
    ended = nursery.run(place)
    assert ended.code == 0, ended.said
    assert harness.left_by(place) == known.files
    if pattern != SUMS:  # it is written anew, and what it said of one file no longer holds
        name = str(file.relative_to(folder))
        assert name in ended.said
        assert name in json.loads((folder / "provenance.json").read_text())["damaged"]
    assert nursery.run(place).said == "", "once it is mended there is nothing to tell"


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("pattern", OF_THE_CACHE)
def test_in_the_cache(pattern, where, nursery, known, place):
    assert nursery.run(place).code == 0
    cache = place / "cache"
    if pattern.startswith("arrays"):  # an array is read where a cell is not there
        for file in cache.glob("cells/*/*"):
            file.unlink()
    harness.remove_run(place)
    file = sorted(cache.glob(pattern))[0]
    flip(file, where)
    ended = nursery.run(place)
    assert ended.code == 0, ended.said
    assert harness.left_by(place) == known.files
    assert f"cache: {file.relative_to(cache)}" in ended.said
    harness.remove_run(place)
    assert nursery.run(place).said == "", "once it is mended there is nothing to tell"


def test_in_files_that_have_no_sums(nursery, known, place):
    """They are made anew, or added to; what is wrong with them is not told."""
    assert nursery.run(place).code == 0
    folder = runs_folder(place)
    for name, where in ((".report", 0.0), (".report", 1.0), ("run.log", 0.5)):
        hurt = bytearray((folder / name).read_bytes())
        hurt[int(where * (len(hurt) - 1))] ^= 0x80  # no UTF-8 any more
        (folder / name).write_bytes(hurt)
        ended = nursery.run(place)
        assert (ended.code, ended.said) == (0, "")
        assert harness.left_by(place) == known.files


def test_any_bit_of_a_run_without_sums(nursery, known, place):
    """A run that was stopped has no sums: each cell's own checksum must see whatever bit has flipped."""
    assert nursery.run(place).code == 0
    folder, rng = runs_folder(place), np.random.default_rng(0)
    for turn in range(FLIPS):
        file = sorted(folder.glob(("per_query/*.parquet", "cells/*.json")[turn % 2]))[turn // 2 % 4]
        whole = file.read_bytes()
        hurt = bytearray(whole)
        for _ in range(1 + turn % 3):
            hurt[rng.integers(len(hurt))] ^= 1 << int(rng.integers(8))
        if hurt == whole:
            continue
        file.write_bytes(hurt)
        (folder / SUMS).unlink()
        if turn >= FLIPS - 4:  # without the cache's help, too
            shutil.rmtree(place / "cache" / "cells")
        ended = nursery.run(place)
        assert ended.code == 0, ended.said
        assert file.stem in ended.said
        assert harness.left_by(place) == known.files


@pytest.mark.parametrize("content", ["[]", '{"a": NaN}', "[" * 100_000])
def test_a_cell_that_holds_something_else(content, nursery, known, place):
    assert nursery.run(place).code == 0
    folder = runs_folder(place)
    (folder / SUMS).unlink()
    file = sorted(folder.glob("cells/*.json"))[0]
    file.write_text(content)
    ended = nursery.run(place)
    assert ended.code == 0, ended.said
    assert file.stem in ended.said
    assert harness.left_by(place) == known.files


def test_in_a_cell_of_a_run_that_was_never_finished(nursery, known, place):
    """There are no sums yet: the cell's own checksum tells."""
    assert nursery.run(place, failpoint=f"rename:kill:{known.points['rename'] - 3}").code == harness.KILLED
    folder = runs_folder(place)
    assert not (folder / SUMS).exists()
    file = sorted(folder.glob("cells/*.json"))[0]
    entry = json.loads(file.read_text())
    entry["metrics"]["MRR"]["value"] += 1
    file.write_text(json.dumps(entry))
    ended = nursery.run(place)
    assert ended.code == 0
    assert file.stem in ended.said
    assert harness.left_by(place) == known.files


def test_a_report_that_is_built_again_on_purpose_is_no_damage(nursery, place):
    from bench.report.build import build_report

    assert nursery.run(place).code == 0
    folder = runs_folder(place)
    page = (folder / "report.md").read_bytes()
    (folder / "report.md").unlink()
    build_report(folder)
    assert (folder / "report.md").read_bytes() == page
    (folder / "notes.txt").write_text("of the user")
    assert nursery.run(place).said == ""
    assert (folder / "notes.txt").exists()


def test_sums_are_those_of_sha256sum(nursery, place):
    assert nursery.run(place).code == 0
    done = subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=runs_folder(place), capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")


def test_readers_refuse_what_is_damaged_where_there_are_no_sums(nursery, place):
    assert nursery.run(place).code == 0
    folder = runs_folder(place)
    (folder / SUMS).unlink()
    table, other = sorted(folder.glob("per_query/*.parquet"))[:2]
    entry = folder / "cells" / f"{table.stem}.json"
    for file in (table, entry):
        whole = file.read_bytes()
        changed = whole.replace(b'"n_queries": 20', b'"n_queries": 21') if file == entry else other.read_bytes()
        assert changed != whole
        file.write_bytes(changed)
        with pytest.raises(UserError, match=f"{table.name}: .* is damaged or was edited"):
            Run(folder).per_query(table.stem)
        file.write_bytes(whole)
    Run(folder).per_query(table.stem)
    entry.write_text(entry.read_text().replace('"checksum"', '"was"'))
    Run(folder).per_query(table.stem)  # a run of before there were any


@pytest.mark.parametrize("failpoint", ["lock:kill:1", "unlink:kill:1", "create:kill:1"])
def test_a_complete_run_that_is_started_again_and_killed_keeps_its_sums(failpoint, nursery, place):
    """They go when something changes, and here nothing has."""
    assert nursery.run(place).code == 0
    assert nursery.run(place, failpoint=failpoint).code == harness.KILLED
    folder = runs_folder(place)
    assert (folder / SUMS).exists() == (failpoint != "create:kill:1")
    assert damaged_files(folder) == []


def test_readers_refuse_what_is_damaged(nursery, place):
    assert nursery.run(place).code == 0
    folder = runs_folder(place)
    for file in (sorted(folder.glob("per_query/*.parquet"))[0], folder / "summary.json"):
        whole = file.read_bytes()
        flip(file, 0.5)
        with pytest.raises(UserError, match=f"{file.name}: is damaged or was edited"):
            Run(folder).per_query(file.stem)
        file.write_bytes(whole)
    Run(folder).per_query(sorted(folder.glob("per_query/*.parquet"))[0].stem)
