"""A bit that has flipped in any kind of file is seen, told and mended."""

from __future__ import annotations

import json
import subprocess

import pytest
from faults import harness

from bench.errors import UserError
from bench.report.load import Run
from bench.store.sums import SUMS

OF_A_RUN = (
    "summary.json", "suite.resolved.yaml", "provenance.json", "report.html", "report.md", SUMS, "cells/*.json",
    "per_query/*.parquet", "tables/*.csv", "tables/*.tex",
)  # fmt: skip
OF_THE_CACHE = ("arrays/*/*.npy", "cells/*/*.json", "cells/*/*.parquet", "claims/*/*.json")


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
