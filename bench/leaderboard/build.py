"""Files of runs in, three files of a leaderboard out: the same ones for the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.leaderboard.ranks import RANKED_BY, pools
from bench.leaderboard.render import Board, csv_table, html_page, markdown_page
from bench.leaderboard.rows import collect
from bench.report.load import Run, find_runs
from bench.store import ensure_writable, write_atomic

__all__ = ["build_leaderboard"]


def build_leaderboard(results: str | Path | Sequence[str | Path], out: str | Path, by: str = RANKED_BY[0]) -> Path:
    """Write leaderboard.md, leaderboard.csv and index.html from stored runs; computes no retrieval anew.

    Args:
        results: a folder of results, a run's folder, or several of these.
        out: folder of the three files.
        by: metric of the rank intervals, one of `RANKED_BY`.

    Returns:
        index.html, which holds all it needs.

    Raises:
        UserError: no results, none that measured retrieval, one dataset measured on different data, or an unknown `by`.
    """
    targets = [results] if isinstance(results, (str, Path)) else list(results)
    folders = {folder.resolve(): folder for target in targets for folder in find_runs(target)}
    collected = collect(Run(folder) for folder in folders.values())
    board = Board(pools(collected.rows, by), collected.left_out, by)
    folder = Path(out)
    ensure_writable(folder, "--out")
    write_atomic(folder / "leaderboard.csv", csv_table(board, folder))
    write_atomic(folder / "leaderboard.md", markdown_page(board, folder))
    write_atomic(folder / "index.html", html_page(board, folder))
    return folder / "index.html"
