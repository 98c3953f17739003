"""Named points at which a test can make a write fail or end the process.

`BENCH_FAILPOINT=rename:kill:3` ends the process at its third rename; `write:ENOSPC:1` lets the first write fail as on a
full disk, after half of its bytes. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

__all__ = ["ACTIONS", "POINTS", "arm", "counts", "reached"]

#: What the store does to the disk, in the order of one write; `lock` comes before a computation that is to be kept, and
#: `unlink` before a file is removed: one that is damaged, or the sums of a run that is about to change.
POINTS = ("lock", "mkdir", "create", "write", "fsync", "rename", "fsync-folder", "read", "unlink")
ACTIONS = ("kill", "ENOSPC", "EIO")

_VARIABLE = "BENCH_FAILPOINT"


_armed: tuple[str, str, int] | None = None
_counts: Counter[str] | None = None


def arm(text: str) -> None:
    """Set what fails from now on: `POINT:ACTION:TURN`, or `count` for none, and counting; empty switches off.

    Raises:
        ValueError: not of that form, or an unknown point or action.
    """
    global _armed, _counts
    _armed, _counts = None, Counter() if text else None
    if text in ("", "count"):
        return
    point, action, turn = text.split(":")
    if point not in POINTS or action not in ACTIONS:
        raise ValueError(f"{_VARIABLE}={text}: not one of {', '.join(POINTS)} and one of {', '.join(ACTIONS)}")
    _armed = point, action, int(turn)


def counts() -> dict[str, int]:
    """How often each point has been reached since `arm`."""
    return dict(_counts or {})


def reached(point: str) -> None:
    """Called before the operation of that name.

    Raises:
        OSError: the point is armed, this is its turn, and its action is an errno.
    """
    if _counts is None:
        return
    _counts[point] += 1
    if _armed is None or _armed[0] != point or _counts[point] != _armed[2]:
        return
    if _armed[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = getattr(errno, _armed[1])
    raise OSError(code, f"{os.strerror(code)} (failpoint {point})")


arm(os.environ.get(_VARIABLE, ""))
