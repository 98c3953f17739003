"""Cells on disk: a run's folder holds its own, the cache those of all runs.

In a run's folder a cell is `cells/KEY.json` and `per_query/KEY.parquet`; the first, written last, holds a checksum over
both. `SHA256SUMS`, written when a run is complete, covers every file of the folder (`sha256sum -c SHA256SUMS`). In the
cache the first holds the digest of the second: an entry's seal tells what it is, not what it belongs to.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store import Cache, canonical_json
from bench.store.sums import put

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellStore", "is_checked", "to_parquet"]

#: Of a cell's file, and not in its checksum; `table_sha256` is only in the cache.
_NOT_SUMMED = ("schema_version", "checksum", "table_sha256")
#: Of a cell's file, not of the cell: how it was made differs from place to place, the cell does not.
_OF_THE_FILE = (*_NOT_SUMMED, "made")


class CellStore:
    """Finished cells of one run.

    Args:
        folder: of the run.
        cache: shared by all runs.
        schema_version: of the cell's JSON file.

    Attributes:
        damaged: files of the folder that did not match their checksum, as paths below it; they were not used.
        made: cell key -> how it was made (`bench.provenance.Origin`), of the cells that were read or kept; None where
            that was not kept with it.
    """

    def __init__(self, folder: Path, cache: Cache, schema_version: int) -> None:
        self.folder, self.cache, self.schema_version = folder, cache, schema_version
        self.damaged: list[str] = []
        self.made: dict[str, Any] = {}

    def of_run(self, key: str) -> tuple[dict[str, Any], pd.DataFrame] | None:
        """A cell from the run's folder: its entry and its values per query."""
        entry_file, frame_file = _files(key)
        try:
            entry, table = (self.folder / entry_file).read_bytes(), (self.folder / frame_file).read_bytes()
        except OSError:
            return None
        described = _described(entry)
        found = None
        if described is not None and described.get("key") == key and is_checked(described, table):
            found = _cell(described, table)
        if found is None or described is None:
            if f"cells/{key}" not in self.damaged:
                self.damaged.append(f"cells/{key}")
            return None
        self.made[key] = described.get("made")
        return found

    def of_cache(self, key: str, names: Mapping[str, Any]) -> tuple[dict[str, Any], pd.DataFrame] | None:
        """A cell from the cache, written into the run's folder.

        Args:
            key: of the cell.
            names: what this run calls the cell's parts: the cache is shared by suites that call them otherwise.
        """
        entry, table = self.cache.read("cells", key, ".json"), self.cache.read("cells", key, ".parquet")
        described = None if entry is None or table is None else _described(entry)
        # Another digest: one of the two was written anew, by a process that was stopped before it wrote the other.
        if described is None or table is None or described.get("table_sha256") != _sha256(table):
            return None
        found = _cell(described, table)
        if found is None:
            return None
        self.made[key] = described.get("made")
        return self._into_run(key, found, table, names)

    def keep(
        self,
        key: str,
        entry: Mapping[str, Any],
        frame: pd.DataFrame,
        names: Mapping[str, Any],
        made: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], pd.DataFrame]:
        """Put a computed cell into the cache and the run's folder; the cell as it would be read from them."""
        table = to_parquet(frame)
        sealed = {**entry, "table_sha256": _sha256(table), **({"made": made} if made else {})}
        line = (json.dumps(sealed, sort_keys=True, allow_nan=False) + "\n").encode()
        self.cache.write("cells", key, ".parquet", table)
        self.cache.write("cells", key, ".json", line)
        found = _cell(json.loads(line), table)
        assert found is not None
        self.made[key] = made
        return self._into_run(key, found, table, names)

    def _into_run(
        self, key: str, cell: tuple[dict[str, Any], pd.DataFrame], table: bytes, names: Mapping[str, Any]
    ) -> tuple[dict[str, Any], pd.DataFrame]:
        entry, frame = {**cell[0], **names}, cell[1]
        entry_file, frame_file = _files(key)
        summed = {**entry, "made": self.made[key]} if self.made.get(key) else entry
        described = {**summed, "schema_version": self.schema_version, "checksum": _checksum(summed, table)}
        line = json.dumps(described, sort_keys=True, allow_nan=False) + "\n"
        put(self.folder, {frame_file: table, entry_file: line.encode()})
        return entry, frame


def _files(key: str) -> tuple[str, str]:
    return f"cells/{key}.json", f"per_query/{key}.parquet"


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Values per query as they are stored."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"schema_version": b"1"})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def is_checked(described: Mapping[str, Any], table: bytes) -> bool:
    """Whether the content of a cell's two files is what its checksum was made of."""
    try:
        return described.get("checksum") == _checksum(described, table)
    except (ValueError, TypeError, RecursionError):  # nothing that we would write: NaN, or nested without end
        return False


def _checksum(entry: Mapping[str, Any], table: bytes) -> str:
    described = canonical_json({name: value for name, value in entry.items() if name not in _NOT_SUMMED})
    return _sha256(described.encode() + b"\n" + table)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _described(entry: bytes) -> dict[str, Any] | None:
    """What a cell's JSON file holds; None if it is damaged."""
    try:
        found = json.loads(entry)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _cell(described: Mapping[str, Any], table: bytes) -> tuple[dict[str, Any], pd.DataFrame] | None:
    """A cell from its two files, whose checksum has been compared; None if the table is none all the same."""
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(io.BytesIO(table))
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, pa.lib.ArrowException):
        return None
    return {name: value for name, value in described.items() if name not in _OF_THE_FILE}, frame
