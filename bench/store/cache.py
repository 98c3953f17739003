"""Content-addressed cache of arrays and cell results: sealed with checksums, computed once by however many processes.

An entry is its content followed by a line `sha256:HEX`. One that does not match is damaged: it is told, and computed
again. A process that is about to compute an entry holds its lock; others wait, and find it done.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.store.failpoints import reached
from bench.store.files import remove_leftovers, write_atomic
from bench.store.keys import content_key
from bench.store.locks import locked

__all__ = ["Cache", "Entry", "Kind"]

_SEAL = b"\nsha256:"
_SEAL_BYTES = len(_SEAL) + 64 + 1
_LOCKS = "locks"


class Entry(NamedTuple):
    """One file of the cache."""

    path: Path
    bytes: int
    used: float
    """Seconds since the epoch of its last use."""


class Kind(NamedTuple):
    """What the cache holds of one kind."""

    name: str
    entries: int
    bytes: int


class Cache:
    """Arrays and documents by key, below one folder.

    Args:
        root: the folder.
        fresh: compute every array again once; what was there before is not read.

    Attributes:
        damaged: entries that did not match their checksum, as paths below `root`; they were not used.
    """

    def __init__(self, root: Path, fresh: bool = False) -> None:
        self.root = root
        self.fresh = fresh
        self.damaged: list[str] = []
        self._made: set[Path] = set()

    def _path(self, kind: str, key: str, suffix: str) -> Path:
        return self.root / kind / key[:2] / f"{key}{suffix}"

    # --- entries ---

    def array(
        self, description: dict[str, Any], compute: Callable[[], np.ndarray], waiting: Callable[[], None] | None = None
    ) -> np.ndarray:
        """The array that a description names, computed and kept if it is not there yet.

        Args:
            description: all that decides the content, as JSON would hold it.
            compute: called at most once, by one process at a time.
            waiting: called before waiting for another process that is computing it.
        """
        key = content_key(description)
        path = self._path("arrays", key, ".npy")
        found = self._array(path)
        if found is not None:
            return found
        with self.lock(key, waiting=waiting):
            found = self._array(path)  # another process may have made it meanwhile
            if found is not None:
                return found
            value = compute()
            buffer = io.BytesIO()
            np.save(buffer, value, allow_pickle=False)
            self._write(path, buffer.getbuffer())
            self._made.add(path)
            return value

    def _array(self, path: Path) -> np.ndarray | None:
        if self.fresh and path not in self._made:
            return None
        content = self._read(path)
        try:
            return None if content is None else np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError):  # sealed, but no array: something else wrote it
            self._is_damaged(path)
            return None

    def read(self, kind: str, key: str, suffix: str) -> bytes | None:
        """Bytes of an entry, or None if there is none that is whole."""
        return self._read(self._path(kind, key, suffix))

    def write(self, kind: str, key: str, suffix: str, content: bytes) -> None:
        self._write(self._path(kind, key, suffix), content)

    def lock(self, key: str, wait: bool = True, waiting: Callable[[], None] | None = None) -> Any:
        """Context manager: yields whether this process now holds the lock of a key (see `bench.store.locks.locked`)."""
        return locked(self.root / _LOCKS / f"{key}.lock", wait, waiting)

    def _read(self, path: Path) -> bytes | None:
        try:
            with path.open("rb") as file:
                reached("read")
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError:  # a bad block
            self._is_damaged(path)
            return None
        content, seal = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
        if seal != _seal(content):
            self._is_damaged(path)
            return None
        with suppress(OSError):
            os.utime(path)  # what was used last is pruned last
        return content

    def _is_damaged(self, path: Path) -> None:
        name = str(path.relative_to(self.root))
        if name not in self.damaged:
            self.damaged.append(name)

    def _write(self, path: Path, content: bytes | memoryview) -> None:
        write_atomic(path, bytes(content), _seal(content))

    # --- the whole ---

    def entries(self) -> Iterator[Entry]:
        """Every file but locks, in no order."""
        for file in self.root.rglob("*"):
            with suppress(OSError):
                if file.is_file() and file.parent.name != _LOCKS:
                    stat = file.stat()
                    yield Entry(file, stat.st_size, stat.st_mtime)

    def kinds(self) -> list[Kind]:
        """Entries and bytes of each kind, by name."""
        found: dict[str, list[int]] = {}
        for entry in self.entries():
            found.setdefault(entry.path.relative_to(self.root).parts[0], []).append(entry.bytes)
        return [Kind(name, len(sizes), sum(sizes)) for name, sizes in sorted(found.items())]

    def size(self) -> int:
        """Bytes on disk."""
        return sum(entry.bytes for entry in self.entries())

    def verify(self) -> list[str]:
        """Read every sealed entry; those that are damaged, as paths below `root`, sorted."""
        found = []
        for entry in self.entries():
            kind, name = entry.path.relative_to(self.root).parts[0], entry.path.name
            if kind not in ("arrays", "cells", "claims") or name.startswith("."):  # a file that was being written
                continue
            data = entry.path.read_bytes()
            if data[-_SEAL_BYTES:] != _seal(data[:-_SEAL_BYTES]):
                found.append(str(entry.path.relative_to(self.root)))
        return sorted(found)

    def remove(self, names: list[str]) -> None:
        """Remove entries by path below `root`."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    def prune(self, max_bytes: int | None = None, unused_days: float | None = None) -> tuple[int, int]:
        """Remove what was not used for long, then the longest unused until the rest fits: (entries, bytes) removed."""
        kept = sorted(self.entries(), key=lambda entry: (entry.used, str(entry.path)))
        before = -float("inf") if unused_days is None else time.time() - 86400.0 * unused_days
        total = sum(entry.bytes for entry in kept)
        removed = freed = 0
        for entry in kept:
            too_much = max_bytes is not None and total - freed > max_bytes
            if entry.used >= before and not too_much:
                break
            with suppress(OSError):
                entry.path.unlink()
                removed, freed = removed + 1, freed + entry.bytes
        remove_leftovers(self.root)
        return removed, freed

    def clear(self) -> None:
        """Remove every entry."""
        shutil.rmtree(self.root, ignore_errors=True)


def _seal(content: bytes | memoryview) -> bytes:
    return _SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n"
