"""A run's report: Markdown, one HTML page, figures, CSV and LaTeX tables; and the index of many runs.

Everything is built from the run's files. The Markdown is byte for byte the same for the same files: it holds no time,
host or path.
"""

from __future__ import annotations

from pathlib import Path

from bench.report._page import Page
from bench.report.index import build_index
from bench.report.load import Run
from bench.report.pages import write_page
from bench.store import ensure_writable

__all__ = ["build_index", "build_report"]


def build_report(run_dir: str | Path) -> Path:
    """Build the report of a run in its folder.

    Args:
        run_dir: `results/<suite>/<run-id>`.

    Returns:
        report.md; report.html, figures/ and tables/ are beside it.

    Raises:
        UserError: a file of the run is missing, or cells of one table were measured on different data.
    """
    run = Run(run_dir)
    ensure_writable(run.folder, "--out")
    return write_page(run, Page(run.folder), "report")
