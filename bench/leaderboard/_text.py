"""What the leaderboard says, in whatever format: columns, how to read them, notes on a set of queries."""

from __future__ import annotations

from typing import NamedTuple

from bench.leaderboard.ranks import ALPHA, Entry, Pool
from bench.leaderboard.rows import Row
from bench.report._untrusted import clip

__all__ = ["TITLE", "Column", "columns", "cost_axis", "notes", "printed", "rules", "units"]

TITLE = "Leaderboard"
NOTHING = "n/a"


class Column(NamedTuple):
    """A column: its key, its head, what the head means, and how its values are ordered best first."""

    key: str
    head: str
    meaning: str
    numeric: bool = True
    descending: bool = False


def columns() -> tuple[Column, ...]:
    """The columns, in order."""
    metrics = (
        Column("R@1", "R@1", "share of queries whose track comes first, in percent", descending=True),
        Column("R@5", "R@5", "share of queries whose track is in the first 5, in percent", descending=True),
        Column("R@10", "R@10", "share of queries whose track is in the first 10, in percent", descending=True),
        Column("MedR", "MedR", "median rank of the track; lower is better"),
        Column("NMedR", "NMedR", "median rank in percent of the gallery; lower is better"),
        Column("MRR", "MRR", "mean of 1/rank, in percent", descending=True),
        Column("R@10(norm)", "R@10 (norm)", "R@10 between chance (0) and an oracle (100)", descending=True),
    )
    return (
        Column("retriever", "retriever", "what turns a text into a query", numeric=False),
        Column("rank", "rank", "rank interval among rows with the same queries"),
        *metrics,
        Column("space", "space", "audio encoder of the gallery", numeric=False),
        Column("paradigm", "paradigm", "how the query is made", numeric=False),
        Column("dataset", "dataset", "whose captions are the queries and whose tracks are searched", numeric=False),
        Column("n_gallery", "N", "tracks in the gallery"),
        Column("n_queries", "n", "queries", descending=True),
        Column("preset", "preset", "how much of its suite the run took", numeric=False),
        Column("latency", "latency", "time of one query; only times of one machine compare"),
        Column("evaluations", "NFE", "network evaluations of one query: of one sample × samples"),
        Column("settings", "settings", "sampling and guidance", numeric=False),
        Column("run", "run", "suite that measured the row; a link to the run's page where it has one", numeric=False),
    )


def units(metric: str) -> str:
    """Unit of a metric of the board."""
    return "rank" if metric == "MedR" else "%"


def printed(key: str, pool: Pool, entry: Entry) -> str:
    """What stands in a column that is no metric."""
    row = entry.row
    said = {
        "retriever": row.retriever, "dataset": pool.name, "space": row.space, "paradigm": row.paradigm,
        "n_gallery": str(row.n_gallery), "n_queries": str(row.n_queries), "preset": row.preset,
        "settings": row.settings, "run": row.suite, "rank": rank_text(pool, entry), "latency": latency_text(row),
        "evaluations": evaluations_text(row),
    }  # fmt: skip
    return said[key]


def rank_text(pool: Pool, entry: Entry) -> str:
    """`2–4 of 7`, or why there is no rank."""
    rank = entry.rank
    if rank is None:
        return "no rival" if len(pool.entries) == 1 else NOTHING
    span = str(rank.low) if rank.low == rank.high else f"{rank.low}–{rank.high}"
    return f"{span} of {pool.ranked}"


def latency_text(row: Row) -> str:
    return NOTHING if row.latency is None else f"{row.latency.milliseconds:.3g} ms"


def evaluations_text(row: Row) -> str:
    if row.nfe is None:
        return NOTHING
    return f"{row.nfe} × {row.samples}" if row.nfe and row.samples > 1 else str(row.nfe)


# --- sentences --------------------------------------------------------------------------------------------------------


def rules(by: str) -> tuple[str, ...]:
    """How to read the board."""
    return (
        f"Rank intervals say which order {by} supports. Within a set of queries every pair of rows is compared query "
        "by query, with errors clustered by track and p values adjusted for all pairs of the set (Holm, "
        f"{100 * ALPHA:g} %). A row's rank lies between 1 + the number of rows that are significantly better and the "
        "number of all rows less those that are significantly worse. Tied with the best: none is significantly better.",
        "In brackets: 95 % intervals, clustered by track, of each number by itself. Intervals that overlap do not make "
        "a tie, for pairs are compared on the same queries.",
        "Rows are unmodified queries at the settings of their suite, of the full preset where it was run. Rows that "
        "were asked other queries are not compared, and neither are rows of different datasets.",
    )


def notes(pool: Pool) -> tuple[str, ...]:
    """What was compared in a set of queries, and how it relates to the dataset's others."""
    rows = len(pool.entries)
    first = f"{_count(pool.n_queries, 'query', 'queries')}, {_count(pool.n_gallery, 'track')}, {_count(rows, 'row')}."
    best = [entry.row.retriever for entry in pool.entries if entry.rank and entry.rank.tied_with_best]
    said, here = [first], " of this set" if pool.of > 1 else ""
    if rows == 1:
        said.append("No other row was asked these queries, so there is no rank.")
    elif len(best) == 1 and pool.entries[0].rank == (1, 1):
        said.append(f"Significantly better than every other row{here}: {clip(best[0])}.")
    elif best:
        said.append(f"Tied with the best{here}: {', '.join(clip(name) for name in best)}.")
    out = [" ".join(said)]
    if pool.shared:
        parts = [f"{count} of its queries are shared with set {other}" for other, count in pool.shared]
        out.append(f"Set {pool.number} of {pool.of} of {clip(pool.dataset)}; {'; '.join(parts)}.")
    return tuple(out)


def cost_axis(pool: Pool) -> tuple[str, tuple[float | None, ...]]:
    """What the plot's cost is, and the cost of each row: times of one machine, else network evaluations.

    Rows whose queries have no time of their own do not stand in the way of times; they have no cost then.
    """
    rows = [entry.row for entry in pool.entries]
    machines = {row.latency.machine if row.latency else None for row in rows if row.why_no_latency is None}
    if len(machines) == 1 and None not in machines:
        return "latency of one query, ms", tuple(row.latency.milliseconds if row.latency else None for row in rows)
    return "network evaluations of one query", tuple(
        None if row.evaluations is None else float(row.evaluations) for row in rows
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
