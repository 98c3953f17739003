"""Runs and relevance judgements (qrels) as files: the TREC formats, and CSV with a header.

| | TREC, columns apart by blanks | CSV (`.csv`, or `.tsv` with tabs) |
|---|---|---|
| run | `qid Q0 docid rank score tag` | `query_id,item_id,score` (or `rank`) |
| qrels | `qid 0 docid relevance` | `query_id,item_id[,relevance]` |

A name that ends in `.gz` is compressed. What decides the order of a run is the score; its rank column is not read, as
trec_eval does not. The files are those of trec_eval, ir_measures and ranx. trec_eval itself keeps scores as 32-bit
numbers and breaks ties by document id; here scores are 64-bit numbers and ties stay ties.
"""

from __future__ import annotations

import gzip
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from bench._tables import header_and_rows, is_csv, not_utf8, numbers, opened
from bench.errors import UserError
from bench.store import write_atomic

__all__ = ["PairValues", "read_qrels", "read_run", "write_qrels", "write_run"]

RUN_COLUMNS = "qid Q0 docid rank score tag"
QRELS_COLUMNS = "qid 0 docid relevance"
#: Bytes of a TREC file that are split at a time.
BLOCK = 2**22
ROWS = 2**16


@dataclass(frozen=True)
class PairValues:
    """A number for each of n pairs of a query and an item: the scores of a run, or the relevance of qrels.

    Queries and items are numbered in the order in which a file first names them.
    """

    source: str
    """The file, as it was named."""
    query_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    query: np.ndarray
    """(n,) place of the pair's query in `query_ids`."""
    item: np.ndarray
    """(n,) place of the pair's item in `item_ids`."""
    value: np.ndarray
    """(n,) float64."""
    line: np.ndarray
    """(n,) line of the file, from 1."""
    columns: tuple[str, str] = ("query_id", "item_id")
    """What the header of a CSV file calls query and item: ids, or places (`query_index`, `item_index`)."""

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def depth(self) -> np.ndarray:
        """(queries,) number of items of each query."""
        return np.bincount(self.query, minlength=len(self.query_ids))


def read_run(path: str | Path) -> PairValues:
    """Scores of a run, higher first. A CSV file without scores may give ranks; then the score is minus the rank.

    Args:
        path: a TREC run, or CSV with the header `query_id,item_id,score`; a `rank` beside a score is not read.

    Returns:
        The listed pairs in the order of the file.

    Raises:
        UserError: no such file, no rows, a line that is not as it must be, a score that is not a finite number, a pair
            that comes twice; with file and line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "run.trec")
        ...     _ = file.write_text("q1 Q0 a 1 0.9 me\\nq1 Q0 b 2 0.5 me\\n")
        ...     run = read_run(file)
        >>> run.item_ids, run.value.tolist()
        (('a', 'b'), [0.9, 0.5])
    """
    if is_csv(path):
        return _from_csv(Path(path), "score", ("score", "rank"), "query_id,item_id,score (or rank)")
    return _from_trec(Path(path), RUN_COLUMNS, "a TREC run", (0, 2, 4), "score")


def read_qrels(path: str | Path) -> PairValues:
    """Relevance of judged pairs: above 0 is relevant, and may be graded. A CSV file without the column judges 1.

    Args:
        path: TREC qrels, or CSV with the header `query_id,item_id[,relevance]`.

    Returns:
        The judged pairs in the order of the file.

    Raises:
        UserError: as for `read_run`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "qrels.csv")
        ...     _ = file.write_text("query_id,item_id\\nq1,a b\\n")
        ...     read_qrels(file).item_ids
        ('a b',)
    """
    if is_csv(path):
        return _from_csv(Path(path), "relevance", ("relevance", None), "query_id,item_id[,relevance]")
    return _from_trec(Path(path), QRELS_COLUMNS, "TREC qrels", (0, 2, 3), "relevance")


def write_run(
    path: str | Path,
    query_ids: Sequence[str],
    items: Iterable[Sequence[str]],
    scores: Iterable[Sequence[float] | np.ndarray],
    tag: str = "gdr-bench",
) -> None:
    """Write a TREC run; scores are written in full, so that reading gives them back bit for bit.

    Args:
        path: the file; `.gz` at its end compresses it.
        query_ids: (Q,) names.
        items: for each query the ids of its listed items.
        scores: for each query their scores, higher is better; items are written by descending score.
        tag: name of the system, the last column.

    Raises:
        UserError: an id that is empty or holds a blank, an item that is listed twice, a score that is not finite, lists
            of different lengths.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "run.trec")
        ...     write_run(file, ["q1"], [["a", "b"]], [[0.5, 0.9]], tag="me")
        ...     file.read_text()
        'q1 Q0 b 1 0.9 me\\nq1 Q0 a 2 0.5 me\\n'
    """
    _plain("tag", tag)

    def lines() -> Iterator[str]:
        for query, listed, values in _same_length(path, query_ids, items, scores):
            found = np.asarray(values, dtype=np.float64)
            if not np.isfinite(found).all():
                raise UserError(f"{path}: query {query!r} has scores that are not finite; leave those items out")
            order = np.argsort(-found, kind="stable")
            for rank, (place, number) in enumerate(zip(order.tolist(), found[order].tolist(), strict=True), 1):
                yield f"{query} Q0 {listed[place]} {rank} {number!r} {tag}\n"

    _write(path, lines())


def write_qrels(
    path: str | Path,
    query_ids: Sequence[str],
    items: Iterable[Sequence[str]],
    relevance: Iterable[Sequence[int]] | None = None,
) -> None:
    """Write TREC qrels.

    Args:
        path: the file; `.gz` at its end compresses it.
        query_ids: (Q,) names.
        items: for each query the ids of its judged items.
        relevance: for each query their whole-numbered relevance; None: all 1.

    Raises:
        UserError: as for `write_run`; a relevance that is no whole number, which trec_eval cannot read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "qrels.trec")
        ...     write_qrels(file, ["q1"], [["a"]])
        ...     file.read_text()
        'q1 0 a 1\\n'
    """
    listed = [list(group) for group in items]
    grades = [[1] * len(group) for group in listed] if relevance is None else relevance

    def lines() -> Iterator[str]:
        for query, group, values in _same_length(path, query_ids, listed, grades):
            for item, grade in zip(group, values, strict=True):
                if int(grade) != grade:
                    raise UserError(
                        f"{path}: relevance {grade} of query {query!r}, item {item!r}; TREC files hold whole numbers"
                    )
                yield f"{query} 0 {item} {int(grade)}\n"

    _write(path, lines())


# --- reading ----------------------------------------------------------------------------------------------------------


class _Collector:
    """Pairs gathered block by block; ids become numbers, so that a long file costs no string a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queries: defaultdict[Any, int] = defaultdict()
        self.items: defaultdict[Any, int] = defaultdict()
        # A name that is not there yet gets the next number.
        self.queries.default_factory = self.queries.__len__
        self.items.default_factory = self.items.__len__
        self.blocks: list[tuple[np.ndarray, ...]] = []

    def add(self, lines: np.ndarray, queries: Sequence[Any], items: Sequence[Any], values: np.ndarray) -> None:
        count = len(lines)
        self.blocks.append((
            np.fromiter(map(self.queries.__getitem__, queries), np.int64, count),
            np.fromiter(map(self.items.__getitem__, items), np.int64, count),
            values, lines,
        ))  # fmt: skip

    def pairs(self, columns: tuple[str, str] = ("query_id", "item_id")) -> PairValues:
        """What was gathered.

        Raises:
            UserError: nothing was, an id is not UTF-8, or a pair came twice.
        """
        if not self.blocks:
            raise UserError(f"{self.path}: holds no rows")
        query, item, value, line = (np.concatenate(parts) for parts in zip(*self.blocks, strict=True))
        query_ids, item_ids = self._texts(self.queries, query, line), self._texts(self.items, item, line)
        order = np.lexsort((item, query))
        same = (np.diff(query[order]) == 0) & (np.diff(item[order]) == 0)
        if same.any():
            again = order[1:][same]
            at = int(again[np.argmin(line[again])])
            first = int(np.argmax((query == query[at]) & (item == item[at])))
            raise UserError(
                f"{self.path}:{line[at]}: query {query_ids[query[at]]!r}, item {item_ids[item[at]]!r} stands there "
                f"already in line {line[first]} ({int(same.sum())} repeated pairs in all); keep one line of each pair"
            )
        return PairValues(str(self.path), query_ids, item_ids, query, item, value, line, columns)

    def _texts(self, names: Iterable[Any], codes: np.ndarray, line: np.ndarray) -> tuple[str, ...]:
        found = []
        for place, name in enumerate(names):
            try:
                found.append(name.decode("utf-8") if isinstance(name, bytes) else name)
            except UnicodeDecodeError:
                not_utf8(self.path, int(line[np.argmax(codes == place)]))
        return tuple(found)


def _from_trec(path: Path, columns: str, what: str, places: tuple[int, int, int], called: str) -> PairValues:
    width = len(columns.split())
    found = _Collector(path)
    before = 0
    with opened(path) as stream:
        while block := stream.read(BLOCK):
            block += stream.readline()
            if before == 0:
                if block[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16
                    not_utf8(path, 1)
                block = block.removeprefix(b"\xef\xbb\xbf")
            words = _words_by_line(block)
            wrong = np.flatnonzero((words != 0) & (words != width))
            if len(wrong):
                at = int(wrong[0])
                _wrong_width(path, before + at + 1, block.split(b"\n")[at].split(), columns, what)
            fields = block.split()
            lines = before + 1 + np.flatnonzero(words)
            query, item, value = (fields[place::width] for place in places)
            if fields:
                found.add(lines, query, item, numbers(path, lines, value, called))
            before += block.count(b"\n")
    return found.pairs()


def _words_by_line(block: bytes) -> np.ndarray:
    """Number of words in each line, between ASCII blanks only, as in C: an id may hold any other character."""
    letters = np.frombuffer(block, dtype=np.uint8)
    inside = (letters > 32) | ((letters < 9) | ((letters > 13) & (letters < 32)))
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]
    ends = np.append(np.flatnonzero(letters == 10), len(letters))
    return np.diff(np.searchsorted(np.flatnonzero(begins), ends), prepend=0)


def _wrong_width(path: Path, line: int, fields: list[bytes], columns: str, what: str) -> NoReturn:
    hint = f"a line of {what} has {len(columns.split())}: {columns}"
    if b"," in fields[0] or len(fields) == 1:
        hint += "; CSV with a header is read from a file that ends in .csv"
    elif len(fields) > len(columns.split()):
        hint += "; ids with blanks need CSV"
    raise UserError(f"{path}:{line}: {len(fields)} columns; {hint}")


def _from_csv(path: Path, called: str, value_columns: tuple[str, str | None], wanted: str) -> PairValues:
    known = ["query_id", "query_index", "item_id", "item_index", *filter(None, value_columns)]
    names, rows = header_and_rows(path, known, wanted)
    query, item = (_one_of(path, names, kind, wanted) for kind in ("query", "item"))
    value = next((name for name in value_columns if name in names), None)
    if value is None and None not in value_columns:
        raise UserError(f"{path}:1: no column {called!r} in the header; write {wanted}")
    found = _Collector(path)
    while block := list(itertools.islice(rows, ROWS)):
        lines = np.array([line for line, _ in block])
        texts = [[fields[names.index(name)] for _, fields in block] for name in (query, item)]
        for name, ids in zip((query, item), texts, strict=True):
            if "" in ids:
                raise UserError(f"{path}:{lines[ids.index('')]}: {name} is empty")
        if value is None:
            values = np.ones(len(block))
        else:
            values = numbers(path, lines, [fields[names.index(value)] for _, fields in block], value)
        found.add(lines, texts[0], texts[1], -values if value == "rank" else values)
    return found.pairs((query, item))


def _one_of(path: Path, names: list[str], kind: str, wanted: str) -> str:
    there = [name for name in (f"{kind}_id", f"{kind}_index") if name in names]
    if len(there) != 1:
        said = f"both {there[0]} and {there[1]}" if there else f"no column '{kind}_id'"
        raise UserError(f"{path}:1: {said} in the header; write {wanted}")
    return there[0]


# --- writing ----------------------------------------------------------------------------------------------------------


def _same_length(
    path: str | Path, query_ids: Sequence[str], items: Iterable[Sequence[str]], values: Iterable[Any]
) -> Iterator[tuple[str, Sequence[str], Any]]:
    """Queries with their items and values, checked."""
    if len(set(query_ids)) != len(query_ids):
        twice = next(name for name in query_ids if list(query_ids).count(name) > 1)
        raise UserError(f"{path}: query {twice!r} stands there twice")
    missing: Any = object()
    plain: set[str] = set()
    for query, listed, given in itertools.zip_longest(query_ids, items, values, fillvalue=missing):
        if query is missing or listed is missing or given is missing:
            raise UserError(f"{path}: {len(query_ids)} queries, but another number of lists")
        _plain("query", query)
        names = set(listed)
        for item in sorted(names - plain):
            _plain("item", item)
        plain |= names
        if len(listed) != len(given):
            raise UserError(f"{path}: query {query!r} has {len(listed)} items and {len(given)} values")
        if len(names) != len(listed):
            twice = next(item for item in listed if list(listed).count(item) > 1)
            raise UserError(f"{path}: query {query!r} lists item {twice!r} twice; a run names an item once")
        yield query, listed, given


def _plain(what: str, name: str) -> None:
    # Every blank but the ASCII one counts as not printable.
    if not name or " " in name or not name.isprintable():
        raise UserError(f"{what} {name!r} cannot stand in a TREC file: ids must not be empty or hold blanks; rename it")


def _write(path: str | Path, lines: Iterable[str]) -> None:
    data = "".join(lines).encode()
    write_atomic(Path(path), gzip.compress(data, mtime=0) if Path(path).suffix == ".gz" else data)
