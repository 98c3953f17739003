"""The cache: content decides the key, damage is repaired, writes are whole or absent."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time

import numpy as np
import pytest

from bench.errors import EnvironmentFailure, UserError
from bench.store import Cache, canonical_json, content_key, ensure_writable, locked, remove_leftovers, write_atomic


def test_key_depends_on_content_not_on_order():
    assert content_key({"a": 1, "b": [1, 2]}) == content_key({"b": [1, 2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})
    assert content_key({"role": "text"}) != content_key({"role": "audio"})


def test_nan_has_no_key():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_array_is_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return np.arange(6.0).reshape(2, 3)

    cache = Cache(tmp_path)
    first, second = cache.array({"x": 1}, compute), cache.array({"x": 1}, compute)
    assert len(calls) == 1
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00", b"not an array"])
def test_damaged_array_is_made_again(tmp_path, damage):
    cache = Cache(tmp_path)
    cache.array({"x": 1}, lambda: np.ones(3))
    (file,) = tmp_path.rglob("*.npy")
    file.write_bytes(damage)
    np.testing.assert_array_equal(cache.array({"x": 1}, lambda: np.ones(3)), np.ones(3))
    np.testing.assert_array_equal(np.load(file), np.ones(3))  # NumPy reads past no seal
    assert cache.damaged == [str(file.relative_to(tmp_path))]


def test_write_leaves_nothing_half_written_on_a_full_disk(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(EnvironmentFailure, match="disk is full"):
        write_atomic(tmp_path / "summary.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file_is_refused_by_name(tmp_path):
    file = tmp_path / "results"
    file.write_text("")
    with pytest.raises(UserError, match=r"results: cannot be written.*--out"):
        ensure_writable(file, "--out")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, EnvironmentFailure), (errno.EDQUOT, EnvironmentFailure), (errno.EIO, EnvironmentFailure),
        (errno.EROFS, UserError), (errno.EACCES, UserError),
    ],
)  # fmt: skip
def test_a_folder_on_a_full_disk_is_not_the_users_mistake(number, kind, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", fails)
    with pytest.raises(kind, match=str(tmp_path)):
        ensure_writable(tmp_path, "--out")


def test_another_arrays_file_does_not_pass_for_this_one(tmp_path):
    cache = Cache(tmp_path)
    for number in (1, 2):
        cache.array({"x": number}, lambda number=number: np.full(3, number))
    first, second = sorted(tmp_path.rglob("*.npy"))
    shutil.copy(first, second)
    for number in (1, 2):
        found = cache.array({"x": number}, lambda number=number: np.full(3, number))
        np.testing.assert_array_equal(found, np.full(3, number))
    assert cache.damaged == [str(second.relative_to(tmp_path))]


def test_a_folder_in_the_place_of_an_entry_is_damage(tmp_path):
    cache = Cache(tmp_path)
    cache.array({"x": 1}, lambda: np.ones(3))
    (file,) = tmp_path.rglob("*.npy")
    file.unlink()
    (file / "within").mkdir(parents=True)
    name = str(file.relative_to(tmp_path))
    assert cache.verify() == [name]
    for fresh in (False, True):
        again = Cache(tmp_path, fresh)
        np.testing.assert_array_equal(again.array({"x": 1}, lambda: np.ones(3)), np.ones(3))
        assert again.damaged == ([] if fresh else [name])
    assert file.is_file()


@pytest.mark.parametrize("name", ["arrays", "locks"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, name):
    (tmp_path / name).write_text("here first")
    with pytest.raises(UserError, match=rf"{name}: is .*move .* away"):
        Cache(tmp_path).array({"x": 1}, lambda: np.ones(3))
    assert (tmp_path / name).read_text() == "here first"


def test_a_write_goes_on_when_its_temporary_file_is_taken_away(tmp_path, monkeypatch):
    """As `bench cache clear` does: the folder too."""
    replace, taken = os.replace, []

    def take_away(source, target):
        if len(taken) < 2:
            taken.append(source)
            shutil.rmtree(tmp_path / "folder")
        replace(source, target)

    monkeypatch.setattr(os, "replace", take_away)
    write_atomic(tmp_path / "folder" / "file", "whole")
    assert (tmp_path / "folder" / "file").read_text() == "whole"
    assert len(taken) == 2


def test_a_folder_that_vanishes_again_and_again_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(FileNotFoundError(errno.ENOENT, "gone")))
    with pytest.raises(EnvironmentFailure, match="vanishes"):
        write_atomic(tmp_path / "file", "whole")


def test_only_old_temporary_files_of_ours_are_left_over(tmp_path):
    names = {".summary.json.abcdefg1.tmp": True, ".draft.tmp": False, "summary.json.abcdefg1.tmp": False}
    for name in names:
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".young.json.abcdefg1.tmp").write_text("")
    remove_leftovers(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        ".young.json.abcdefg1.tmp", *(name for name, ours in names.items() if not ours)
    }  # fmt: skip


def test_a_cache_that_is_cleared_and_checked_all_the_time_stays_usable(tmp_path):
    """Writers, readers and those who tidy up, side by side: none fails, and no value is wrong."""
    failed: list[str] = []
    until = time.monotonic() + 1.5

    def forever(what):
        number = 0
        while time.monotonic() < until and not failed:
            number += 1
            try:
                what(Cache(tmp_path), number % 20)
            except Exception as error:
                failed.append(f"{type(error).__name__}: {error}")

    def write(cache, number):
        found = cache.array({"x": number}, lambda: np.full(500, number))
        assert (found == number).all()
        assert not cache.damaged

    tidy = [lambda c, n: c.clear(), lambda c, n: c.prune(0), lambda c, n: c.verify(), lambda c, n: c.size()]
    threads = [threading.Thread(target=forever, args=(what,)) for what in (write, *tidy)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_lock_that_is_held_outlives_clear(tmp_path):
    cache = Cache(tmp_path)
    with cache.lock("a" * 20):
        cache.clear()
        with locked(tmp_path / "locks" / f"{'a' * 20}.lock", wait=False) as held:
            assert not held
    cache.clear()
    assert not tmp_path.exists()
