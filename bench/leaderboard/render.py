"""The leaderboard as Markdown, CSV and one HTML page; names in it are never taken for markup."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.leaderboard._html import page
from bench.leaderboard._text import TITLE, columns, notes, printed, rules, units
from bench.leaderboard.ranks import Entry, Pool
from bench.leaderboard.rows import METRICS, Row
from bench.report._format import interval, rounded
from bench.report._layout import page_of
from bench.report._untrusted import clip, escape, spreadsheet_cell

__all__ = ["Board", "csv_table", "html_page", "markdown_page"]


@dataclass(frozen=True)
class Board:
    """What the three files show."""

    pools: tuple[Pool, ...]
    left_out: tuple[str, ...]
    by: str


def html_page(board: Board, folder: Path) -> str:
    """One page with its style, script, data and figures inside.

    Args:
        board: what it shows.
        folder: where it will be, for links to the pages of runs.
    """
    links = {id(e.row): report_link(e.row, folder, ".html") for pool in board.pools for e in pool.entries}
    return page(board.pools, board.left_out, board.by, links)


def report_link(row: Row, folder: Path, suffix: str) -> str | None:
    """Path from a folder to the page of a row's run, or None where it has none."""
    file = page_of(row.run.folder, suffix)
    if file is None:
        return None
    try:
        return Path(os.path.relpath(file, folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return None


# --- CSV --------------------------------------------------------------------------------------------------------------


def csv_table(board: Board, folder: Path) -> str:
    """A line a row, in full precision; empty where there is no number.

    A name that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    import pandas as pd

    records = [_record(pool, entry, folder) for pool in board.pools for entry in pool.entries]
    frame = pd.DataFrame(records)
    # Numbers of queries and ranks stay whole where some are missing.
    whole = dict.fromkeys(("rank_low", "rank_high", "nfe", "evaluations_a_query"), "Int64")
    return frame.astype({**whole, "tied_with_best": "boolean"}).to_csv(index=False, lineterminator="\n")


def _record(pool: Pool, entry: Entry, folder: Path) -> dict[str, Any]:
    row, rank = entry.row, entry.rank
    record: dict[str, Any] = {
        "dataset": spreadsheet_cell(row.dataset),
        "query_set": pool.number,
        "space": spreadsheet_cell(row.space),
        "retriever": spreadsheet_cell(row.retriever),
        "paradigm": row.paradigm,
        "settings": spreadsheet_cell(row.settings),
        "rank_low": rank.low if rank else None,
        "rank_high": rank.high if rank else None,
        "ranked": pool.ranked,
        "tied_with_best": rank.tied_with_best if rank else None,
    }
    for metric in METRICS:
        value = row.values[metric]
        record |= {metric: value.value, f"{metric} lo": value.lo, f"{metric} hi": value.hi}
    record |= {
        "n_gallery": row.n_gallery,
        "n_queries": row.n_queries,
        "preset": spreadsheet_cell(row.preset),
        "query_latency_ms": row.latency.milliseconds if row.latency else None,
        "latency_machine": spreadsheet_cell(row.latency.machine) if row.latency else None,
        "nfe": row.nfe,
        "samples": row.samples,
        "evaluations_a_query": row.evaluations,
        "suite": spreadsheet_cell(row.suite),
        "run": spreadsheet_cell(report_link(row, folder, ".html") or ""),
    }
    return record


# --- Markdown ---------------------------------------------------------------------------------------------------------


def markdown_page(board: Board, folder: Path) -> str:
    """A table for each dataset and set of queries, and how to read them."""
    blocks = [f"# {TITLE}", *(escape(rule) for rule in rules(board.by))]
    for pool in board.pools:
        blocks += [f"## {escape(clip(pool.name))}", *(escape(note) for note in notes(pool))]
        blocks.append(_markdown_table(pool, folder))
    if board.left_out:
        blocks += ["## Left out", "\n".join(f"- {escape(clip(what, 400))}" for what in board.left_out)]
    return "\n\n".join(blocks) + "\n"


def _markdown_table(pool: Pool, folder: Path) -> str:
    heads = columns()
    lines = ["| " + " | ".join(escape(column.head) for column in heads) + " |"]
    lines.append("|" + "|".join(" --: " if column.numeric else " :-- " for column in heads) + "|")
    for entry in pool.entries:
        cells = [_markdown_cell(column.key, pool, entry) for column in heads]
        link = report_link(entry.row, folder, ".md")
        if link:
            cells[-1] = f"[{cells[-1]}](<{_address(link)}>)"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _markdown_cell(key: str, pool: Pool, entry: Entry) -> str:
    if key in METRICS:
        value, unit = entry.row.values[key], units(key)
        return f"{rounded(value.value, unit)} {interval(value, unit)}".strip()
    said = escape(clip(printed(key, pool, entry)))
    return f"**{said}**" if key == "rank" and entry.rank and entry.rank.tied_with_best else said


def _address(link: str) -> str:
    from urllib.parse import quote

    return quote(link, safe="/.")
