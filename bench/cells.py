"""Cells on disk: a run's folder holds its own, the cache those of all runs.

In a run's folder a cell is `cells/KEY.json` and `per_query/KEY.parquet`; the first, written last, holds a checksum over
both. `SHA256SUMS`, written when a run is complete, covers every file of the folder (`sha256sum -c SHA256SUMS`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store import Cache, canonical_json, write_atomic

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellStore", "to_parquet"]

#: Of a cell's file, not of the cell: how it was made differs from place to place, the cell does not.
_OF_THE_FILE = ("schema_version", "checksum", "made")


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
        entry_file, frame_file = self._files(key)
        try:
            entry, frame = entry_file.read_bytes(), frame_file.read_bytes()
        except OSError:
            return None
        found = _parsed(entry, frame)
        if found is None or json.loads(entry).get("checksum") != _checksum(found[0], frame):
            self.damaged += [f"cells/{key}"]
            return None
        self.made[key] = json.loads(entry).get("made")
        return found

    def of_cache(self, key: str, names: Mapping[str, Any]) -> tuple[dict[str, Any], pd.DataFrame] | None:
        """A cell from the cache, written into the run's folder.

        Args:
            key: of the cell.
            names: what this run calls the cell's parts: the cache is shared by suites that call them otherwise.
        """
        entry, frame = self.cache.read("cells", key, ".json"), self.cache.read("cells", key, ".parquet")
        found = None if entry is None or frame is None else _parsed(entry, frame)
        if found is None or frame is None or entry is None:
            return None
        self.made[key] = json.loads(entry).get("made")
        return self._into_run(key, found, frame, names)

    def keep(
        self,
        key: str,
        entry: Mapping[str, Any],
        frame: pd.DataFrame,
        names: Mapping[str, Any],
        made: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], pd.DataFrame]:
        """Put a computed cell into the cache and the run's folder; the cell as it would be read from them."""
        described = {**entry, "made": made} if made else entry
        line, table = (json.dumps(described, sort_keys=True, allow_nan=False) + "\n").encode(), to_parquet(frame)
        self.cache.write("cells", key, ".parquet", table)
        self.cache.write("cells", key, ".json", line)
        found = _parsed(line, table)
        assert found is not None
        self.made[key] = made
        return self._into_run(key, found, table, names)

    def _into_run(
        self, key: str, cell: tuple[dict[str, Any], pd.DataFrame], table: bytes, names: Mapping[str, Any]
    ) -> tuple[dict[str, Any], pd.DataFrame]:
        entry, frame = {**cell[0], **names}, cell[1]
        entry_file, frame_file = self._files(key)
        described = {**entry, "schema_version": self.schema_version, "checksum": _checksum(entry, table)}
        if self.made.get(key):
            described["made"] = self.made[key]
        write_atomic(frame_file, table)
        write_atomic(entry_file, json.dumps(described, sort_keys=True, allow_nan=False), "\n")
        return entry, frame

    def _files(self, key: str) -> tuple[Path, Path]:
        return self.folder / "cells" / f"{key}.json", self.folder / "per_query" / f"{key}.parquet"


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Values per query as they are stored."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"schema_version": b"1"})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _checksum(entry: Mapping[str, Any], frame: bytes) -> str:
    described = canonical_json({name: value for name, value in entry.items() if name not in _OF_THE_FILE})
    return hashlib.sha256(described.encode() + b"\n" + frame).hexdigest()


def _parsed(entry: bytes, frame: bytes) -> tuple[dict[str, Any], pd.DataFrame] | None:
    """A cell from its two files; None if either was cut short or damaged by something that is not us."""
    import pandas as pd

    try:
        read = json.loads(entry)
        for name in _OF_THE_FILE:
            read.pop(name, None)
        return read, pd.read_parquet(io.BytesIO(frame))
    except (ValueError, AttributeError, OSError):
        return None
