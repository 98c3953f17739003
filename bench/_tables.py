"""Reading text files of ids and numbers: plain or gzip, CSV with a header, and errors that name file and line."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from bench.errors import UserError

#: A line of ids and numbers has a few hundred bytes; a file without line breaks is something else, such as zeros.
MAX_LINE = 1 << 20
#: Text of ids and numbers shrinks to a tenth; what shrinks to a hundredth, beyond some size, is a trap.
MAX_RATIO = 100
SMALL = 1 << 24

__all__ = ["header_and_rows", "is_csv", "not_utf8", "numbers", "opened", "read_lines", "read_table"]


def read_table(
    path: str | Path, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file (`.tsv`: tabs) with a header: the line, and the fields in the order asked for.

    Fields lose the blanks around them; an optional column that is not there gives empty fields.

    Args:
        path: the file; `.gz` at its end is decompressed.
        required: names of columns that must be there.
        optional: names of columns that may be there; any other is an error.

    Raises:
        UserError: no such file, a header with other columns, a row of another width; with file and line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "clusters.csv")
        ...     _ = file.write_text("cluster_id,query_id\\nt1,q1\\n")
        ...     list(read_table(file, ["query_id", "cluster_id"]))
        [(2, ['q1', 't1'])]
    """
    wanted = f"{','.join(required)}{''.join(f'[,{name}]' for name in optional)}"
    names, rows = header_and_rows(Path(path), (*required, *optional), wanted)
    missing = [name for name in required if name not in names]
    if missing:
        raise UserError(f"{path}:1: no column {missing[0]!r} in the header; write {wanted}")
    places = [names.index(name) if name in names else None for name in (*required, *optional)]
    for line, fields in rows:
        yield line, ["" if place is None else fields[place] for place in places]


def header_and_rows(path: Path, known: Sequence[str], wanted: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Names of the columns (hyphens count as underscores), and the rows that follow with their lines."""
    rows = _csv_rows(path)
    line, first = next(rows, (1, None))
    if first is None:
        raise UserError(f"{path}: holds no rows; its first line must be {wanted}")
    names = [name.lower().replace("-", "_") for name in first]
    for name in names:
        if name not in known:
            raise UserError(f"{path}:{line}: unknown column {name!r}; the header must be {wanted}")
        if names.count(name) > 1:
            raise UserError(f"{path}:{line}: column {name!r} stands there twice; the header must be {wanted}")
    return names, _of_width(path, rows, len(names))


def _of_width(path: Path, rows: Iterator[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    for line, fields in rows:
        if len(fields) != width:
            raise UserError(f"{path}:{line}: {len(fields)} fields; the header has {width}")
        yield line, fields


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with the line on which each ends."""
    tabs = path.name.removesuffix(".gz").endswith(".tsv")
    with opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter="\t" if tabs else ",", skipinitialspace=True, strict=True)
        try:
            for fields in reader:
                if any(fields):
                    yield reader.line_num, [field.strip() for field in fields]
        except UnicodeDecodeError:
            not_utf8(path, None)
        except csv.Error as error:
            raise UserError(f"{path}:{reader.line_num}: not CSV: {error}") from None


def numbers(path: Path, lines: np.ndarray, texts: Sequence[Any], called: str) -> np.ndarray:
    """Texts as finite numbers."""
    try:
        values = np.array(list(map(float, texts)))
    except ValueError:
        values = np.array([_number(text) for text in texts])
    # Python also reads 1_000; no other program does.
    joint: Any = b"_" if isinstance(texts[0], bytes) else "_"
    if joint in joint[:0].join(texts):
        values[[i for i, text in enumerate(texts) if joint in text]] = np.nan
    bad = ~np.isfinite(values)
    if bad.any():
        at = int(np.argmax(bad))
        text = texts[at].decode("utf-8", "replace") if isinstance(texts[at], bytes) else texts[at]
        raise UserError(f"{path}:{lines[at]}: {called} {text!r} is not a finite number; correct or drop the line")
    return values


def _number(text: Any) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def is_csv(path: str | Path) -> bool:
    return Path(path).name.removesuffix(".gz").endswith((".csv", ".tsv"))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, decompressed if its name ends in .gz.

    Raises:
        UserError: it is not there, cannot be read, or is not what its name says.
    """
    try:
        with path.open("rb") as raw:
            plain = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            yield io.BufferedReader(_Guarded(path, plain, raw), 1 << 18)  # type: ignore[arg-type]
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path}: not a whole gzip file: {error}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


class _Guarded(io.RawIOBase):
    """The bytes of a file of lines; stops at a line, or at a whole, that no file of ids and numbers has."""

    def __init__(self, path: Path, inner: IO[bytes], raw: IO[bytes]) -> None:
        self._path, self._inner, self._raw = path, inner, raw
        self._line = self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        block = self._inner.read(len(into))
        into[: len(block)] = block
        self._total += len(block)
        if self._inner is not self._raw and self._total > max(SMALL, MAX_RATIO * self._raw.tell()):
            raise UserError(
                f"{self._path}: becomes more than {MAX_RATIO} times larger when decompressed; decompress it yourself "
                "(gunzip) if that is right"
            )
        last = block.rfind(b"\n")
        self._line = self._line + len(block) if last < 0 else len(block) - 1 - last
        if self._line > MAX_LINE:
            raise UserError(f"{self._path}: a line of more than {MAX_LINE} bytes; write one row a line")
        return len(block)


def not_utf8(path: Path, line: int | None) -> NoReturn:
    if line is None:
        with opened(path) as stream:
            line = next((n for n, raw in enumerate(stream, 1) if not _decodes(raw)), 1)
    raise UserError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None


def _decodes(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_lines(path: str | Path) -> list[str]:
    """Lines of a text file without the blanks around them: ids in the order of the rows of an array.

    Raises:
        UserError: no such file, none or an empty line, an id that comes twice, not UTF-8; with file and line.
    """
    file = Path(path)
    with opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig")
        try:
            names = [line.strip() for line in text]
        except UnicodeDecodeError:
            not_utf8(file, None)
    if not names:
        raise UserError(f"{path}: holds no ids; write one a line")
    lines: dict[str, int] = {}
    for line, name in enumerate(names, 1):
        if not name:
            raise UserError(f"{path}:{line}: an empty line; write one id a line")
        if name in lines:
            raise UserError(f"{path}:{line}: id {name!r} stands there already in line {lines[name]}")
        lines[name] = line
    return names
