"""Where the relevant items of each query came out: of a run that lists the top of each query, or of whole rankings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.errors import UserError
from bench.metrics.retrieval import Ties
from bench.trec import PairValues

__all__ = ["Placed", "Ranked", "counted", "none_relevant", "rank_run"]


class Placed(NamedTuple):
    """Ranks of the relevant items under one way to break ties, in the order of queries, best rank first."""

    row: np.ndarray
    """(P,) the query."""
    rank: np.ndarray
    """(P,) rank among all items, as `relevant_ranks_all` gives it; +inf where the item is not listed."""
    gain: np.ndarray
    """(P,) relevance."""
    place: np.ndarray
    """(P,) place among the relevant items of the query, 1 is best; tied ones share the mean of theirs."""
    first: np.ndarray
    """(Q,) rank of the query's first relevant item, as `relevant_ranks` gives it; +inf where there is none."""


@dataclass(frozen=True)
class Ranked:
    """Q queries with P relevant pairs: what every metric of retrieval is computed from.

    A query without a relevant item, or without one that is listed, counts as a miss; `notes` say how many there are.

    Example:
        >>> ranked = Ranked(("q1", "q2"), np.array([0, 1]), np.array([3.0, np.inf]), np.array([2.0, 1.0]),
        ...                 np.ones(2), np.array([10, 10]), None)
        >>> ranked.placed("mid").first, ranked.placed("min").first
        (array([3.5, inf]), array([ 3., inf]))
    """

    query_ids: tuple[str, ...]
    row: np.ndarray
    """(P,) the query of a relevant pair, ascending."""
    lowest: np.ndarray
    """(P,) 1 + number of items with a higher score; +inf for an item that is not listed."""
    tied: np.ndarray
    """(P,) number of items with its score, itself included."""
    gain: np.ndarray
    """(P,) relevance, above 0."""
    depth: np.ndarray
    """(Q,) number of items listed; 0 for a query that the run lacks."""
    n_gallery: int | None
    """Number of items searched, where it is known."""
    notes: tuple[str, ...] = ()

    @property
    def n_queries(self) -> int:
        return len(self.query_ids)

    def relevant(self) -> np.ndarray:
        """(Q,) number of relevant items."""
        return np.bincount(self.row, minlength=self.n_queries)

    def cut_short(self, k: int) -> np.ndarray:
        """(Q,) bool: fewer than k items are listed and not all that is relevant, so that its top k is not known.

        A query that the run lacks is not cut short: it is a miss. Nor is one whose whole gallery is listed.
        """
        unlisted = np.bincount(self.row[np.isinf(self.lowest)], minlength=self.n_queries) > 0
        short = (self.depth < k) & (self.depth > 0)
        return unlisted & short & (self.depth < (np.inf if self.n_gallery is None else self.n_gallery))

    def placed(self, ties: Ties = "mid") -> Placed:
        """Ranks under "mid" (expected when tied items are shuffled), "min" (best case) or "max" (worst case).

        Raises:
            ValueError: another way to break ties.
        """
        if ties not in ("mid", "min", "max"):
            raise ValueError(f"ties = {ties!r}; it must be 'mid', 'min' or 'max'")
        order = np.lexsort((self.lowest, self.row))
        row, lowest, tied = self.row[order], self.lowest[order], self.tied[order]
        starts, new = np.ones((2, len(row)), dtype=bool)
        starts[1:] = np.diff(row) != 0
        new[1:] = starts[1:] | (lowest[1:] != lowest[:-1])
        group = np.cumsum(new) - 1
        size = np.bincount(group)[group].astype(np.float64)
        place = (np.bincount(group, counted(starts)) / np.bincount(group))[group]
        # Of s tied items r are relevant: shuffled, (s - r) / (r + 1) of the others precede the first of these.
        share = {"mid": 0.5, "min": 0.0, "max": 1.0}[ties]
        others = (tied - size) / (size + 1) if ties == "mid" else share * (tied - size)
        first = np.full(self.n_queries, np.inf)
        first[row[starts]] = (lowest + others)[starts]
        return Placed(row, lowest + share * (tied - 1), self.gain[order], place, first)

    def tie_rate(self) -> float:
        """Share of queries whose first relevant item ties with an item that is not relevant, in percent."""
        return float(100.0 * np.mean(self.placed("min").first != self.placed("max").first))


def rank_run(run: PairValues, qrels: PairValues, *, gallery: int | None = None) -> Ranked:
    """Ranks of the relevant items in a run, by score.

    Queries are those of the qrels. One that the run lacks, and a relevant item that the run does not list, is a miss
    (rank +inf), and the notes say so; so does a query without a relevant item. Queries of the run without qrels are
    left out, and the notes say so too.

    Args:
        run: `bench.trec.read_run`.
        qrels: `bench.trec.read_qrels`; a relevance above 0 is relevant.
        gallery: number of items searched.

    Raises:
        UserError: run and qrels share no query, or the gallery is smaller than what is listed.
    """
    places = {name: place for place, name in enumerate(qrels.query_ids)}
    of_run = np.array([places.get(name, -1) for name in run.query_ids])
    if (of_run < 0).all():
        raise UserError(
            f"{run.source}: no query of it is in {qrels.source}; their first ones are "
            f"{run.query_ids[0]!r} and {qrels.query_ids[0]!r}"
        )
    relevant = np.flatnonzero(qrels.value > 0)
    relevant = relevant[np.argsort(qrels.query[relevant], kind="stable")]
    item_places = {name: place for place, name in enumerate(qrels.item_ids)}
    item_of_run = np.array([item_places.get(name, -1) for name in run.item_ids])
    _check_gallery(gallery, run, int(np.count_nonzero(item_of_run < 0)) + len(qrels.item_ids))
    listed = np.flatnonzero(of_run[run.query] >= 0)
    row, score = of_run[run.query[listed]], run.value[listed]
    lowest, tied = _lowest(row, score)
    # Both sides as one number a pair; a listed item that the qrels do not name is nobody's.
    width = len(qrels.item_ids) + 1
    mine = row * width + item_of_run[run.item[listed]] + 1
    wanted = qrels.query[relevant] * width + qrels.item[relevant] + 1
    order = np.argsort(mine)
    at = np.searchsorted(mine, wanted, sorter=order)
    found = order[np.minimum(at, len(order) - 1)]
    there = mine[found] == wanted
    depth = np.bincount(row, minlength=len(qrels.query_ids))
    ranked = Ranked(
        qrels.query_ids, qrels.query[relevant], np.where(there, lowest[found], np.inf),
        np.where(there, tied[found], 1.0), qrels.value[relevant], depth, gallery,
    )  # fmt: skip
    unjudged = [name for name, place in zip(run.query_ids, of_run, strict=True) if place < 0]
    return _with_notes(ranked, _run_notes(ranked, unjudged))


def _lowest(row: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each listed pair 1 + the number of its query's higher scores, and the number of equal ones."""
    order = np.lexsort((-score, row))
    r, s = row[order], score[order]
    starts, new = np.ones(len(r), dtype=bool), np.ones(len(r), dtype=bool)
    starts[1:] = np.diff(r) != 0
    new[1:] = starts[1:] | (s[1:] != s[:-1])
    group = np.cumsum(new) - 1
    lowest, tied = np.empty(len(r)), np.empty(len(r))
    lowest[order] = counted(starts)[new][group]
    tied[order] = np.bincount(group)[group]
    return lowest, tied


def counted(starts: np.ndarray) -> np.ndarray:
    """1, 2, … from every start (bool) on."""
    place = np.arange(len(starts))
    return place - np.maximum.accumulate(np.where(starts, place, 0)) + 1


def _check_gallery(gallery: int | None, run: PairValues, items: int) -> None:
    if gallery is not None and gallery < items:
        raise UserError(
            f"--gallery {gallery}: {run.source} and the qrels name {items} items; give the number of all items searched"
        )


def _with_notes(ranked: Ranked, notes: Sequence[str]) -> Ranked:
    return Ranked(
        ranked.query_ids, ranked.row, ranked.lowest, ranked.tied, ranked.gain, ranked.depth, ranked.n_gallery,
        (*notes, *none_relevant(ranked)),
    )  # fmt: skip


def none_relevant(ranked: Ranked) -> list[str]:
    """What to say about queries without a relevant item."""
    none = ranked.relevant() == 0
    return [_about(none, ranked.query_ids, "have no relevant item and count as misses")] if none.any() else []


def _run_notes(ranked: Ranked, unjudged: list[str]) -> list[str]:
    notes = []
    missing = ranked.depth == 0
    if missing.any():
        notes.append(_about(missing, ranked.query_ids, "have no line in the run and count as misses"))
    unlisted = np.isinf(ranked.placed().first) & ~missing & (ranked.relevant() > 0)
    if unlisted.any():
        notes.append(
            _about(unlisted, ranked.query_ids, "have a relevant item that the run does not list: a miss, MRR 0")
        )
    if unjudged:
        notes.append(
            f"{len(unjudged)} queries of the run have no qrels and are not scored (the first is {unjudged[0]!r})"
        )
    return notes


def _about(which: np.ndarray, names: Sequence[str], what: str) -> str:
    return f"{int(which.sum())} of {len(which)} queries {what} (the first is {names[int(np.argmax(which))]!r})"
