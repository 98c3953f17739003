"""Locks between processes: who computes what. The system gives a lock back when its holder dies."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import EnvironmentFailure, UserError
from bench.store.failpoints import reached

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["locked"]

#: What a file system answers that knows no locks: there two processes may do the same work, without harm.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}
_TRIES = 16


@contextmanager
def locked(path: Path, wait: bool = True, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold a lock; its file is removed when it is given back.

    Args:
        path: of the lock's file.
        wait: until another process gives it back.
        waiting: called once before waiting.

    Yields:
        Whether it is held: False only if another process holds it and `wait` is off.

    Raises:
        EnvironmentFailure: the lock's file cannot be made.
        UserError: a file stands where the lock's folder belongs.
    """
    from filelock import FileLock

    lock = FileLock(path, fallback_to_soft=False)
    try:
        reached("lock")
        held = _acquired(lock, wait, waiting)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"{path.parent}: is no folder, and one belongs there for locks; move what is there away and run the same "
            "command again"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise EnvironmentFailure(
                f"{path}: cannot be locked ({error.strerror}); free some space or check the disk, and run the same "
                "command again"
            ) from error
        held = True
    try:
        yield held
    finally:
        if lock.is_locked:
            with suppress(OSError):  # unlinked while held: who waits for it sees that and takes the next one
                path.unlink()
            lock.release()


def _acquired(lock: BaseFileLock, wait: bool, waiting: Callable[[], None] | None) -> bool:
    from filelock import Timeout

    try:
        _acquire(lock, 0)
    except Timeout:
        if not wait:
            return False
        if waiting:
            waiting()
        _acquire(lock, None)
    return True


def _acquire(lock: BaseFileLock, timeout: float | None) -> None:
    """Take a lock, its folder made where it is missing."""
    folder = Path(lock.lock_file).parent
    for turn in range(_TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout, poll_interval=0.1)
            return
        except (FileNotFoundError, FileExistsError):  # `bench cache clear` took the folder away meanwhile
            if turn == _TRIES - 1 or (folder.exists() and not folder.is_dir()):
                raise
