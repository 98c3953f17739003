"""A run's folder from its opening to its closing: what is damaged goes, the report is made, the sums are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.store import discard, remove_leftovers, sha256_of, write_atomic
from bench.store.sums import REPORT, damaged_files, drop_sums, folder_locked, is_listed, write_sums

__all__ = ["close_folder", "make_report", "open_folder"]

STAMP = ".report"
"""Says of which summary and version the report is."""


def open_folder(folder: Path) -> list[str]:
    """Remove what an earlier process left half written, and what has been damaged since; the names of the latter."""
    remove_leftovers(folder)
    # Under the lock: a process that ends just now has written its provenance, and not yet the sums of it.
    with folder_locked(folder):
        damaged = damaged_files(folder)
        if damaged:
            drop_sums(folder)
        if any(is_listed(name, REPORT) for name in damaged):
            _forget_report(folder)  # first: should this process be stopped, the next must not take the report for whole
        for name in damaged:
            discard(folder / name)
    return damaged


def close_folder(folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write how the run came about, and the sums of a run that is complete."""
    # Two processes may end at once: provenance is of the last one, and the sums must be of that provenance.
    with folder_locked(folder):
        drop_sums(folder)
        write_atomic(folder / "provenance.json", json.dumps(provenance, indent=1, sort_keys=True) + "\n")
        write_sums(folder)


def make_report(folder: Path, busy: Callable[[str], None]) -> None:
    """The report, unless this summary's is there already.

    Args:
        folder: of the run.
        busy: called before it is made.
    """
    from bench.report.build import VERSION, build_report

    stamp = f"{sha256_of(folder / 'summary.json')} {VERSION}".encode()
    if _content(folder / STAMP) == stamp and (folder / "report.html").is_file():
        return
    with folder_locked(folder):
        drop_sums(folder)
        _forget_report(folder)
    busy("report")
    build_report(folder)
    write_atomic(folder / STAMP, stamp)


def _forget_report(folder: Path) -> None:
    if (folder / STAMP).is_file():
        discard(folder / STAMP)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
