"""Content-addressed cache of arrays and cell results, and atomic writes.

A key is the SHA-256 of a canonical JSON description of everything that decides the content. An entry that cannot be
read (cut short, damaged) counts as missing and is computed again.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import EnvironmentFailure, UserError

__all__ = ["Cache", "canonical_json", "content_key", "ensure_writable", "write_atomic"]

FORMAT_VERSION = 1


def canonical_json(data: Any) -> str:
    """JSON with sorted keys and no NaN, so that equal data give equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(data: Any) -> str:
    """First 20 hex digits of the SHA-256 of canonical JSON, with the store's format version."""
    return hashlib.sha256(f"{FORMAT_VERSION}\n{canonical_json(data)}".encode()).hexdigest()[:20]


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that it is either whole or absent.

    Raises:
        EnvironmentFailure: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise EnvironmentFailure(
                f"{path}: the disk is full; free some space and run the same command again"
            ) from error
        raise


def ensure_writable(folder: Path, flag: str) -> None:
    """Make a folder and try a write in it.

    Raises:
        UserError: it cannot be made or written; the message names the folder and the flag that sets it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".write-test-"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{folder}: cannot be written ({reason}); choose another folder with {flag}") from error


class Cache:
    """Arrays and JSON documents by key, below one folder.

    Args:
        root: the folder.
        fresh: compute every array again once; what was there before is not read.
    """

    def __init__(self, root: Path, fresh: bool = False) -> None:
        self.root = root
        self.fresh = fresh
        self._made: set[Path] = set()

    def _path(self, kind: str, key: str, suffix: str) -> Path:
        return self.root / kind / key[:2] / f"{key}{suffix}"

    def array(self, description: dict[str, Any], compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The array that a description names, computed and kept if it is not there yet."""
        path = self._path("arrays", content_key(description), ".npy")
        try:
            if self.fresh and path not in self._made:
                raise FileNotFoundError(path)
            with path.open("rb") as file:
                return np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            value = compute()
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        write_atomic(path, buffer.getvalue())
        self._made.add(path)
        return value

    def read(self, kind: str, key: str, suffix: str) -> bytes | None:
        """Bytes of an entry, or None."""
        try:
            return self._path(kind, key, suffix).read_bytes()
        except OSError:
            return None

    def write(self, kind: str, key: str, suffix: str, content: bytes) -> None:
        write_atomic(self._path(kind, key, suffix), content)

    def size(self) -> int:
        """Bytes on disk."""
        return sum(f.stat().st_size for f in self.root.rglob("*") if f.is_file())

    def clear(self) -> None:
        """Remove every entry."""
        shutil.rmtree(self.root, ignore_errors=True)
