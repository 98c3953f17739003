"""run.log: what every process that worked on a run did, and when. Lines are only added: a killed run has one too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["RUN_LOG", "RunLog"]

RUN_LOG = "run.log"


class RunLog:
    """Adds lines to the log of a run: time (UTC), process, what happened.

    A log that cannot be written stops no run.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / RUN_LOG
        self._started = time.monotonic()

    def add(self, said: str) -> None:
        """Add one line; line breaks in what is said become spaces."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f"{stamp} {os.getpid()} {' '.join(said.split())}\n"
        with suppress(OSError), self._file.open("a", encoding="utf-8", errors="replace") as file:
            file.write(line)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Log the beginning and the end of a block, or why it ended early."""
        self.add(f"begins: {what}")
        try:
            yield
        except BaseException as error:
            self.add(f"stopped after {self.seconds():.1f} s: {type(error).__name__}: {error}")
            raise
        self.add(f"complete after {self.seconds():.1f} s")

    def seconds(self) -> float:
        return time.monotonic() - self._started
