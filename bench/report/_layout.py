"""Where the page of a run lies: in its own folder, or among published pages that keep their runs beside them."""

from __future__ import annotations

from pathlib import Path

from bench.report.load import Run

__all__ = ["DATA", "kept_folder", "page_of"]

DATA = "data"
"""Folder of the runs that published pages are built from, beside these pages."""


def kept_folder(data: Path, page: str, run: Run) -> Path:
    """Where a run is kept: `data/PAGE/PRESET-seedN`."""
    return data / page / f"{run.preset}-seed{run.seed}"


def page_of(run_folder: Path, suffix: str) -> Path | None:
    """The page that shows a run, or None where there is none.

    Args:
        run_folder: of the run.
        suffix: `.md` or `.html`.
    """
    folder = run_folder.resolve()
    own = folder / f"report{suffix}"
    if own.is_file():
        return own
    page = folder.parent
    published = page.parent.with_name(f"{page.name}{suffix}")
    return published if page.parent.name == DATA and published.is_file() else None
