"""Files that are whole or absent, whatever happens to the process or the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.errors import EnvironmentFailure, UserError
from bench.store.failpoints import reached

__all__ = ["ensure_writable", "remove_leftovers", "sha256_of", "write_atomic"]

_TEMPORARY = ".tmp"
#: No write takes this long: a temporary file that is older belongs to a process that was killed.
_LEFT_OVER_AFTER = 3600.0

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EIO: "the disk failed (input/output error); check it",
    errno.ESTALE: "its server went away (stale file handle); mount it again",
    errno.ETIMEDOUT: "the disk or its server does not answer; check it",
    errno.ENXIO: "the device is gone; check it",
    errno.EFBIG: "the file is larger than the disk or `ulimit -f` takes; choose another folder or raise the limit",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`)",
    errno.ENFILE: "the system has no more open files to give; close other programs",
    errno.ENOMEM: "there is no memory left; free some",
    errno.EROFS: "the file system has become read-only; remount it or choose another folder",
}


def write_atomic(path: Path, *content: bytes | str) -> None:
    """Write a file so that it is either whole or absent, and still there after a power cut.

    Args:
        path: of the file; folders above it are made.
        content: pieces, one after the other.

    Raises:
        EnvironmentFailure: the disk is full or fails. What stood there before still does.
    """
    temporary = None
    try:
        _make_folder(path.parent)
        reached("create")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_TEMPORARY)
        with os.fdopen(handle, "wb", buffering=0) as file:
            for piece in content:
                _write(file.fileno(), piece.encode() if isinstance(piece, str) else piece)
            reached("fsync")
            os.fsync(handle)
        os.chmod(temporary, 0o644)
        reached("rename")
        os.replace(temporary, path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in _REASONS:
            raise EnvironmentFailure(f"{path}: {_REASONS[error.errno]} and run the same command again") from error
        raise
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def _write(handle: int, data: bytes) -> None:
    """All of `data`; the failpoint lies in its middle, as a disk that fills up does."""
    view = memoryview(data)
    half = len(view) // 2
    for part, last in ((view[:half], False), (view[half:], True)):
        written = 0
        while written < len(part):
            written += os.write(handle, part[written:])
        if not last:
            reached("write")


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder == folder.parent:
            break
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        _sync_folder(new.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder last; systems that cannot open a folder do without."""
    reached("fsync-folder")
    try:
        handle = os.open(folder, os.O_RDONLY)
    except (PermissionError, IsADirectoryError):
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> int:
    """Remove temporary files that killed processes left below a folder; how many."""
    removed = 0
    before = time.time() - _LEFT_OVER_AFTER
    for file in folder.rglob(f".*{_TEMPORARY}"):
        with suppress(OSError):
            if file.stat().st_mtime < before:
                file.unlink()
                removed += 1
    return removed


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure_writable(folder: Path, flag: str) -> None:
    """Make a folder and try a write in it.

    Raises:
        UserError: it cannot be made or written; the message names the folder and the flag that sets it.
        EnvironmentFailure: the disk is full or fails: another folder may be as well, and what was finished is kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".write-test-"):
            pass
    except OSError as error:
        if error.errno in _REASONS and error.errno != errno.EROFS:
            raise EnvironmentFailure(f"{folder}: {_REASONS[error.errno]} and run the same command again") from error
        reason = error.strerror or str(error)
        raise UserError(f"{folder}: cannot be written ({reason}); choose another folder with {flag}") from error
