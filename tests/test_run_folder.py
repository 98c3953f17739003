"""A run's folder that several processes open and close."""

from __future__ import annotations

import threading

import pytest

from bench import run_folder
from bench.run_folder import close_folder, open_folder
from bench.store.sums import SUMS, damaged_files


@pytest.fixture
def run(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    close_folder(tmp_path, {"run": 1})
    return tmp_path


def test_one_that_opens_the_folder_between_provenance_and_its_sums_sees_no_damage(run, monkeypatch):
    found: list[list[str]] = []
    other = threading.Thread(target=lambda: found.append(open_folder(run)))
    write_sums = run_folder.write_sums

    def slowly(folder):
        other.start()
        other.join(0.3)  # long enough to look at what is there, if it does not wait
        write_sums(folder)

    monkeypatch.setattr(run_folder, "write_sums", slowly)
    close_folder(run, {"run": 2})
    other.join()
    assert found == [[]]
    assert (run / SUMS).exists()
    assert damaged_files(run) == []


def test_a_report_that_is_damaged_is_forgotten_before_it_is_removed(run, monkeypatch):
    (run / "report.md").write_text("# Report")
    (run / ".report").write_text("of this summary")
    close_folder(run, {"run": 1})
    (run / "report.md").write_text("# report")
    removed: list[str] = []
    monkeypatch.setattr(run_folder, "discard", lambda path: removed.append(path.name))
    assert open_folder(run) == ["report.md"]
    assert removed == [".report", "report.md"]
    assert not (run / SUMS).exists()
