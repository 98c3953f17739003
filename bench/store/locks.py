"""Locks between processes: who computes what. The system gives a lock back when its holder dies."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import EnvironmentFailure
from bench.store.failpoints import reached

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["locked"]

#: What a file system answers that knows no locks: there two processes may do the same work, without harm.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}


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
    """
    from filelock import FileLock  # a run from the cache needs none

    lock = FileLock(path, fallback_to_soft=False)
    try:
        reached("lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _acquired(lock, wait, waiting)
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
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            return False
        if waiting:
            waiting()
        lock.acquire(poll_interval=0.1)
    return True
