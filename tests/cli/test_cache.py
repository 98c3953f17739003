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
    (filled.root / "cells" / "22" / f".{'2' * 20}.json.x.tmp").write_bytes(b"half")  # of a killed process
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
