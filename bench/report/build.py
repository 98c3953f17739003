"""A run's report: Markdown, one HTML page, figures, CSV and LaTeX tables; and the index of many runs.

Everything is built from the run's files. The Markdown is byte for byte the same for the same files: it holds no time,
host or path.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.errors import UserError
from bench.report._page import Page
from bench.report._run_page import PROMPTS, prompts_section
from bench.report.index import build_index
from bench.report.load import Run
from bench.report.pages import write_page
from bench.store import ensure_writable, write_atomic
from bench.store.sums import REPORT, refresh_sums

__all__ = ["FORMATS", "PROMPTS", "VERSION", "build_index", "build_report"]

VERSION = 2
"""Of what a report shows: raised when it shows more, so that a finished run that is run again gets the new one."""

#: Format -> what of a report it is, and what tells where it lies.
FORMATS = {
    "md": (("report.md", "figures/*.png"), "report.md"),
    "csv": (("tables/*.csv",), "tables"),
    "latex": (("tables/*.tex",), "tables"),
    "html": (("report.html",), "report.html"),
}


def build_report(
    run_dir: str | Path,
    *,
    out: str | Path | None = None,
    form: str | None = None,
    audio: str | Path | None = None,
    prompts: int | None = PROMPTS,
) -> Path:
    """Build the report of a run.

    Args:
        run_dir: `results/<suite>/<run-id>`.
        out: folder of the report; None: the run's own.
        form: write nothing but this: `md` (with its figures), `csv`, `latex` or `html`; None: all.
        audio: a folder that `bench data render` wrote: the HTML page gets a player for each track that it holds.
        prompts: how many prompts the HTML page shows before and after; None: all.

    Returns:
        report.md (report.html, figures/ and tables/ are beside it); with `form`, the file or folder that was asked for.

    Raises:
        UserError: a file of the run is missing, cells of one table were measured on different data, an unknown format,
            or a folder of audio that is none.
    """
    run = Run(run_dir)
    folder = run.folder if out is None else Path(out)
    if form is not None and form not in FORMATS:
        raise UserError(f"--format {form}: write one of {', '.join(FORMATS)}")
    ensure_writable(folder, "--out")
    rendered = None if audio is None else Path(audio)
    section = prompts_section(run, folder, prompts, rendered) if form in (None, "html") else None
    if form is None:
        written = write_page(run, Page(folder, section=section), "report")
        refresh_sums(folder, REPORT)
        return written
    patterns, result = FORMATS[form]
    with tempfile.TemporaryDirectory(prefix="bench-report-") as temporary:
        whole = Path(temporary)
        write_page(run, Page(whole, section=section), "report")
        for file in sorted(file for pattern in patterns for file in whole.glob(pattern)):
            write_atomic(folder / file.relative_to(whole), file.read_bytes())
    refresh_sums(folder, REPORT)
    return folder / result
