"""SHA256SUMS of a run: they stand as long as they are true, and lead nowhere."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.store.sums import SUMS, Sums, damaged_files, folder_locked, put, refresh_sums, write_sums

WRONG = "0" * 64


@pytest.fixture
def run(tmp_path):
    """A complete run, and beside it what is precious."""
    folder = tmp_path / "run"
    (folder / "cells").mkdir(parents=True)
    (folder / "cells" / "0.json").write_text("{}")
    (folder / "summary.json").write_text("{}")
    (folder / "notes.txt").write_text("of the user")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "0.json").write_text("precious")
    write_sums(folder)
    return folder


def test_sums_are_of_our_files_alone(run):
    assert set(Sums(run).digests) == {"cells/0.json", "summary.json"}
    assert damaged_files(run) == []
    (run / "summary.json").write_text("[]")
    (run / "cells" / "0.json").unlink()
    assert damaged_files(run) == ["cells/0.json", "summary.json"]


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt", "../elsewhere/0.json", "cells/../../elsewhere/0.json", "/etc/passwd", "cells//0.json",
        "cells/./0.json", "link/0.json", "cells/link/0.json", "cells/link.json",
        "cells/a\0b.json", "cells", "cells/", "cells/folder",
        "cells/" + "x" * 256, "cells/" + "x/" * 3000, "summary.json.bak", "summary.json/", "",
    ],
)  # fmt: skip
def test_a_name_that_is_not_of_a_file_of_ours_is_passed_over(run, name):
    (run / "link").symlink_to(run.parent / "elsewhere")
    (run / "cells" / "link").symlink_to(run.parent / "elsewhere")
    (run / "cells" / "link.json").symlink_to(run.parent / "elsewhere" / "0.json")
    (run / "cells" / "folder").mkdir()
    (run / "summary.json.bak").write_text("of the user")
    (run / SUMS).write_text(f"{WRONG}  {name}\n", encoding="utf-8")
    assert damaged_files(run) == []


def test_what_is_written_as_it_was_leaves_the_sums(run):
    before = (run / "summary.json").stat().st_ino
    put(run, {"summary.json": b"{}", "cells/0.json": b"{}"})
    assert (run / SUMS).exists()
    assert (run / "summary.json").stat().st_ino == before


def test_sums_go_before_the_first_file_that_changes(run, monkeypatch):
    def stopped(path, *content):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.store.sums.write_atomic", stopped)
    with pytest.raises(KeyboardInterrupt):
        put(run, {"summary.json": b"[]"})
    assert not (run / SUMS).exists()
    assert (run / "summary.json").read_text() == "{}"


def test_a_report_that_is_made_anew_takes_its_sums_along(run):
    (run / "report.md").write_text("one")
    refresh_sums(run, ("report.",))
    assert set(Sums(run).digests) == {"cells/0.json", "summary.json", "report.md"}
    with folder_locked(run) as held:
        assert held
    assert not (run / ".lock").exists()


def test_a_folder_where_a_file_belongs_is_named(run):
    (run / "provenance.json").mkdir()
    with pytest.raises(UserError, match=r"provenance.json: is a folder, and a file belongs there; move it away"):
        put(run, {"provenance.json": b"{}"})
