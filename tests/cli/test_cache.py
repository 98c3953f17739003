"""`bench cache`: what it holds, what of it is damaged, and how it is made smaller."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer

from bench.store import Cache


@pytest.fixture
def filled(tmp_path: Path) -> Cache:
    """Five cells of 1 MB, used one day after the other, the last one today; and an array."""
    cache = Cache(tmp_path / "cache")
    for number in range(5):
        cache.write("cells", f"{number}" * 20, ".json", b"x" * 1_000_000)
        day = time.time() - 86400 * (4 - number)
        os.utime(cache.root / "cells" / f"{number}{number}" / f"{str(number) * 20}.json", (day, day))
    cache.array({"x": 1}, lambda: np.zeros(1))
    return cache


def cells(cache: Cache) -> list[str]:
    return sorted(file.stem[0] for file in (cache.root / "cells").rglob("*.json"))


def test_cache_tells_its_size_and_is_cleared(bench: Callable, filled: Cache) -> None:
    said = bench("cache").out
    assert said == bench("cache", "info").out
    assert str(filled.root) in said
    assert "arrays         1 files" in said
    assert "cells          5 files       5.0 MB" in said
    assert bench("cache", "clear", "--yes").code == 0
    assert "0.0 MB" in bench("cache").out
    for verb in ("clear", "verify"):
        assert "already empty" in bench("cache", verb).out


def test_prune_keeps_what_was_used_last(bench: Callable, filled: Cache) -> None:
    assert "removed 3 files, 3.0 MB" in bench("cache", "prune", "--max-size", "2.5 MB").out
    assert cells(filled) == ["3", "4"]
    assert filled.read("cells", "3" * 20, ".json") == b"x" * 1_000_000  # used now
    assert bench("cache", "prune", "--max-size", "1500K").code == 0
    assert cells(filled) == ["3"]


def test_prune_by_age(bench: Callable, filled: Cache) -> None:
    assert "removed 2 files" in bench("cache", "prune", "--unused-days", "2.5").out
    assert cells(filled) == ["2", "3", "4"]
    assert "removed 0 files" in bench("cache", "prune", "--unused-days", "2.5").out


@pytest.mark.parametrize("size", ["much", "-1G", "1 PB", "G", "9" * 400 + "T", "²G"])
def test_prune_says_what_is_no_size(bench: Callable, size: str) -> None:
    outcome = bench("cache", "prune", f"--max-size={size}")
    assert outcome.code == 2
    assert f"--max-size {size[:20]}" in outcome.err
    assert "is no size" in outcome.err
    assert len(outcome.err) < 200


@pytest.mark.parametrize("days", ["nan", "inf"])
def test_prune_by_an_age_that_is_no_number_removes_nothing(bench: Callable, filled: Cache, days: str) -> None:
    outcome = bench("cache", "prune", "--unused-days", days)
    assert (outcome.code, len(cells(filled))) == (2, 5)
    assert "--unused-days" in outcome.err


def test_prune_wants_to_know_what(bench: Callable, filled: Cache) -> None:
    assert bench("cache", "prune").code == 2
    assert len(cells(filled)) == 5


def test_verify_finds_and_removes_what_is_damaged(bench: Callable, filled: Cache) -> None:
    (filled.root / "cells" / "22" / f".{'2' * 20}.json.abcdefg1.tmp").write_bytes(b"half")  # of a killed process
    assert bench("cache", "verify").out == f"{filled.root}: every checksum matches\n"
    file = filled.root / "cells" / "22" / f"{'2' * 20}.json"
    content = bytearray(file.read_bytes())
    content[500_000] ^= 1
    file.write_bytes(content)
    outcome = bench("cache", "verify")
    assert outcome.code == 4, "1 is the gate's alone"
    assert f"damaged: {file}\n" in outcome.out
    assert bench("cache", "verify", "--remove").code == 0
    assert cells(filled) == ["0", "1", "3", "4"]
    assert bench("cache", "verify").code == 0


def test_clear_without_anybody_to_answer_names_the_flag(
    bench: Callable, filled: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    outcome = bench("cache", "clear")
    assert outcome.code == 2
    assert "--yes" in outcome.err
    assert len(cells(filled)) == 5


def test_ctrl_c_at_the_question_is_an_interrupt(
    bench: Callable, filled: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise typer.Abort from None  # as typer does

    monkeypatch.setattr(typer, "confirm", interrupted)
    assert bench("cache", "clear").code == 130


def foreign_files(root: Path) -> list[Path]:
    """Files of somebody else, old ones too, where the cache lies and where its entries do."""
    places = ["notes.txt", "cells/notes.txt", "cells/00/notes.json", "docs/.draft.tmp", f"arrays/zz/{0:020}.npy",
              "locks/mine.lock", "crashes/report.txt", f"{0:020}.json"]  # fmt: skip
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text("mine")
        os.utime(root / place, (0, 0))
    return [root / place for place in places]


@pytest.mark.parametrize(
    "verb", [("clear", "--yes"), ("prune", "--max-size", "0"), ("prune", "--unused-days", "0"), ("verify", "--remove")]
)
def test_what_is_not_ours_stays(bench: Callable, filled: Cache, verb: tuple[str, ...]) -> None:
    foreign = foreign_files(filled.root)
    assert bench("cache", *verb).code == 0
    assert [file.read_text() for file in foreign] == ["mine"] * len(foreign)
    ours = [file for file in (filled.root / "cells").rglob("?" * 20 + ".json") if file not in foreign]
    assert len(ours) == (5 if verb[0] == "verify" else 0)


def test_what_is_ours_goes(bench: Callable, filled: Cache) -> None:
    (filled.root / "crashes").mkdir()
    (filled.root / "crashes" / "bench-crash-0123abcd.txt").write_text("Traceback")
    half = filled.root / "cells" / "22" / f".{'2' * 20}.json.abcdefg1.tmp"
    half.write_bytes(b"half")
    assert bench("cache", "clear", "--yes").code == 0
    assert [file for file in filled.root.rglob("*") if file.is_file()] == [half], "somebody may be writing it"
    os.utime(half, (time.time() - 100,) * 2)
    assert bench("cache", "clear", "--yes").code == 0
    assert not filled.root.exists()


def test_a_link_to_the_cache_is_followed(bench: Callable, filled: Cache) -> None:
    real = filled.root.rename(filled.root.parent / "real")
    filled.root.symlink_to(real)
    assert "removed 5.0 MB" in bench("cache", "clear", "--yes").out
    assert not list(real.iterdir())
    assert filled.root.is_dir(), "the link still leads somewhere, so that the next run can use it"


def test_what_cannot_be_removed_is_told(bench: Callable, filled: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("3"):
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    outcome = bench("cache", "clear", "--yes")
    assert outcome.code == 4
    assert f"{'3' * 20}.json: cannot be removed (Permission denied)" in outcome.err
    assert cells(filled) == ["3"]


@pytest.mark.parametrize("verb", [(), ("verify",), ("clear", "--yes"), ("prune", "--max-size", "0")])
def test_a_cache_that_is_a_file_is_refused(bench: Callable, filled: Cache, verb: tuple[str, ...]) -> None:
    filled.clear()
    filled.root.write_text("here first")
    outcome = bench("cache", *verb)
    assert outcome.code == 2
    assert f"{filled.root}: is no folder; set BENCH_CACHE_DIR" in outcome.err
    assert filled.root.read_text() == "here first"
