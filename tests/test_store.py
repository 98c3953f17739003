"""The cache: content decides the key, damage is repaired, writes are whole or absent."""

from __future__ import annotations

import errno
import os
import tempfile

import numpy as np
import pytest

from bench.errors import EnvironmentFailure, UserError
from bench.store import Cache, canonical_json, content_key, ensure_writable, write_atomic


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
