"""Files that are whole or absent, whatever happens to the process or the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.errors import EnvironmentFailure, UserError
from bench.store.failpoints import reached

__all__ = [
    "discard", "ensure_writable", "is_left_over", "is_temporary", "remove_leftovers", "sha256_of", "write_atomic",
]  # fmt: skip

_TEMPORARY = ".tmp"
#: No write takes this long: a temporary file that is older belongs to a process that was killed.
_LEFT_OVER_AFTER = 3600.0
#: As `tempfile` makes them.
_TEMPORARY_NAME = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp", re.DOTALL)
#: With the pauses between them a bit more than a second: what clears a cache does it once, not again and again.
_TRIES = 16

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
        UserError: a file stands where a folder belongs, or a folder where the file belongs, or no folder can be made.
    """
    refused = False
    for turn in range(_TRIES):
        try:
            return _write_once(path, content)
        except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            said = _in_the_way(path)
            if said:
                raise UserError(f"{said}; move it away and run the same command again") from error
            # `bench cache clear` took the folder or the temporary file away meanwhile.
            refused = isinstance(error, _NotCreatedError) and path.parent.is_dir()
            time.sleep(0.001 * turn**2)
        except OSError as error:
            if error.errno in _REASONS:
                raise EnvironmentFailure(f"{path}: {_REASONS[error.errno]} and run the same command again") from error
            raise
    if refused or not path.parent.is_dir():
        why = "no file can be made there" if refused else "its folder cannot be made"
        raise UserError(f"{path}: cannot be written ({why}); name a file in a folder that you may write")
    raise EnvironmentFailure(f"{path}: its folder vanishes whenever it is made; find out what removes it")


class _NotCreatedError(FileNotFoundError):
    """No file can be made in a folder: it is no longer there, or it is one like /proc."""


def _write_once(path: Path, content: tuple[bytes | str, ...]) -> None:
    temporary = None
    try:
        above = _make_folder(path.parent)
        reached("create")
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_TEMPORARY)
        except FileNotFoundError as error:
            raise _NotCreatedError(error.errno, error.strerror, str(path)) from error
        with os.fdopen(handle, "wb", buffering=0) as file:
            for piece in content:
                _write(file.fileno(), piece.encode() if isinstance(piece, str) else piece)
            reached("fsync")
            os.fsync(handle)
        os.chmod(temporary, 0o644)
        reached("rename")
        os.replace(temporary, path)
        temporary = None
        for folder in (path.parent, *above):
            _sync_folder(folder)
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def _in_the_way(path: Path) -> str | None:
    """What keeps a file from being written; None if nothing does."""
    for folder in path.parents:
        if folder.is_dir():
            break
        if folder.exists() or folder.is_symlink():
            return f"{folder}: is a file, and a folder belongs there"
    return f"{path}: is a folder, and a file belongs there" if path.is_dir() else None


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


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; the folders in which a new one stands now.

    They are synced when the file is there: an empty folder, for the time that a disk takes, would be cleared away.
    """
    missing: list[Path] = []
    while not folder.is_dir():
        missing.append(folder)
        if folder == folder.parent:
            break
        folder = folder.parent
    for new in reversed(missing):
        reached("mkdir")
        new.mkdir(exist_ok=True)
    return [new.parent for new in missing]


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder last; systems that cannot open a folder do without.

    A folder that is no longer there has been cleared, with what was renamed into it.
    """
    reached("fsync-folder")
    try:
        handle = os.open(folder, os.O_RDONLY)
    except (PermissionError, IsADirectoryError, FileNotFoundError):
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(handle)


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that `write_atomic` gives to a file that is being written.

    >>> is_temporary(".summary.json.k3_x9a0b.tmp"), is_temporary(".draft.tmp")
    (True, False)
    """
    return _TEMPORARY_NAME.fullmatch(name) is not None


def is_left_over(file: Path, after: float = _LEFT_OVER_AFTER) -> bool:
    """Whether a file was last written too many seconds ago to be one that is still being written."""
    try:
        return file.stat().st_mtime < time.time() - after
    except OSError:
        return False


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that killed processes left below a folder."""
    for file in folder.rglob(f".*{_TEMPORARY}"):
        if is_temporary(file.name) and is_left_over(file):
            with suppress(OSError):
                file.unlink()


def discard(path: Path) -> None:
    """Remove a file, or a folder that stands in a file's place; nothing where there is neither.

    Raises:
        EnvironmentFailure: it cannot be removed.
    """
    try:
        reached("unlink")
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise EnvironmentFailure(
            f"{error.filename or path}: cannot be removed ({error.strerror}); make its folder one that you may write, "
            "or check the disk, and run the same command again"
        ) from error


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
        for _ in range(_TRIES - 1):
            with suppress(FileNotFoundError, FileExistsError):  # `bench cache clear` took the folder away meanwhile
                return _try_writing(folder)
        _try_writing(folder)
    except OSError as error:
        if error.errno in _REASONS and error.errno != errno.EROFS:
            raise EnvironmentFailure(f"{folder}: {_REASONS[error.errno]} and run the same command again") from error
        reason = error.strerror or str(error)
        raise UserError(f"{folder}: cannot be written ({reason}); choose another folder with {flag}") from error


def _try_writing(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".write-test-"):
        pass
