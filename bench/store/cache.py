"""Content-addressed cache of arrays and cell results: sealed with checksums, computed once by however many processes.

An entry is its content followed by a line `sha256:HEX`, over its name and its content. One that does not match is
damaged: it is told, and computed again. A process that is about to compute an entry holds its lock; others wait, and
find it done.

The folder may hold what is somebody else's: nothing is counted or removed but what has one of our names in its place.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.errors import EnvironmentFailure
from bench.store.failpoints import reached
from bench.store.files import discard, is_left_over, is_temporary, write_atomic
from bench.store.keys import content_key
from bench.store.locks import locked

__all__ = ["Cache", "Entry", "Kind"]

_SEAL = b"\nsha256:"
_SEAL_BYTES = len(_SEAL) + 64 + 1
#: Kinds of sealed entries, each in `KIND/AB/KEY.SUFFIX`, where AB is how the key begins.
_SEALED = ("arrays", "cells", "claims")
_SHARD = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{20}\.(?:npy|json|parquet)")
_IN_FLIGHT = 60.0
_LOCKS, _LOCK = "locks", re.compile(r"[0-9a-f]{20}\.lock")
_CRASHES, _CRASH = "crashes", re.compile(r"bench-crash-[0-9a-f]{8}\.txt")


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
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:  # a bad block, or a folder in its place
            self._is_damaged(path)
            return None
        content = _unsealed(path, data)
        if content is None:
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
        if path.is_dir():  # a file cannot take the place of a folder
            self._is_damaged(path)
            discard(path)
        write_atomic(path, bytes(content), _seal(path, content))

    # --- the whole ---

    def entries(self) -> Iterator[Entry]:
        """Every entry and every saved traceback, in no order; what other processes remove meanwhile is left out."""
        for path in (*self._sealed(), *_named(self.root / _CRASHES, _CRASH)):
            with suppress(OSError):
                stat = path.stat()
                yield Entry(path, stat.st_size, stat.st_mtime)

    def _sealed(self, temporary: bool = False) -> Iterator[Path]:
        """Paths of all sealed entries; or of those that are being written, or were when a process was killed."""
        for kind in _SEALED:
            for shard in _named(self.root / kind, _SHARD):
                for path in () if shard.is_symlink() else _named(shard, None):
                    written = path.name[1:].rpartition(".")[0].rpartition(".")[0] if temporary else path.name
                    if is_temporary(path.name) == temporary and _ENTRY.fullmatch(written):
                        yield path

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
        for path in self._sealed():
            try:
                whole = _unsealed(path, path.read_bytes()) is not None
            except FileNotFoundError:  # another process has removed it
                continue
            except OSError:
                whole = False
            if not whole:
                found.append(str(path.relative_to(self.root)))
        return sorted(found)

    def remove(self, names: list[str]) -> None:
        """Remove entries by path below `root`."""
        for name in names:
            discard(self.root / name)

    def remove_leftovers(self) -> None:
        """Remove what processes were writing when they were killed."""
        for path in self._sealed(temporary=True):
            if is_left_over(path):
                with suppress(OSError):
                    path.unlink()

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
        self.remove_leftovers()
        return removed, freed

    def clear(self) -> int:
        """Remove every entry, and folders that are empty then.

        What other processes hold stays: locks, and files that they have written to within the last minute.

        Returns:
            Bytes that were removed.

        Raises:
            EnvironmentFailure: something could not be removed; the rest has been.
        """
        freed, problems = 0, []
        written = [path for path in self._sealed(temporary=True) if is_left_over(path, _IN_FLIGHT)]
        for path in [*self._sealed(), *written, *_named(self.root / _CRASHES, _CRASH)]:
            try:
                size = path.stat().st_size
                discard(path)
                freed += size
            except FileNotFoundError:
                continue
            except EnvironmentFailure as error:
                problems.append(str(error))
        for path in _named(self.root / _LOCKS, _LOCK):
            with suppress(EnvironmentFailure), locked(path, wait=False):
                pass  # its file goes when it is given back
        self._remove_empty_folders()
        if problems:
            raise EnvironmentFailure(f"{problems[0]} ({len(problems)} files of the cache stay)")
        return freed

    def _remove_empty_folders(self) -> None:
        shards = [shard for kind in _SEALED for shard in _named(self.root / kind, _SHARD)]
        kinds = [self.root / kind for kind in (*_SEALED, _LOCKS, _CRASHES)]
        for folder in (*shards, *kinds, self.root):
            with suppress(OSError):  # it is not empty, or a link that the user made
                folder.rmdir()


def _named(folder: Path, pattern: re.Pattern[str] | None) -> list[Path]:
    """Paths in a folder whose name matches; none where there is no folder, or no longer."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [folder / name for name in names if pattern is None or pattern.fullmatch(name)]


def _unsealed(path: Path, data: bytes) -> bytes | None:
    """Content of an entry's file, or None if it is not what was written there."""
    content, seal = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    return content if seal == _seal(path, content) else None


def _seal(path: Path, content: bytes | memoryview) -> bytes:
    """The last line of an entry; kind and name are in it, so that a copy in another's place does not pass for it."""
    hashed = hashlib.sha256(f"{path.parents[1].name}/{path.name}\n".encode())
    hashed.update(content)
    return _SEAL + hashed.hexdigest().encode() + b"\n"
