"""What published pages are built again from: of each run its summary, its suite, and the columns that are read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.leaderboard.ranks import LABELS, RANKED_BY
from bench.leaderboard.rows import collect
from bench.report._layout import kept_folder
from bench.report.load import Run
from bench.store import write_atomic

if TYPE_CHECKING:
    from bench.report.index import Chosen

__all__ = ["keep_runs"]

#: Kept as they are, where a run has them.
_WHOLE = ("suite.resolved.yaml", "latency.json", "provenance.json")
_LEVEL = 19
"""Of zstd: the files are written once and committed."""


def keep_runs(chosen: Sequence[Chosen], folder: Path) -> None:
    """Copy what the pages and the leaderboard read of the chosen runs.

    Summaries stay whole, and so do the suite, the provenance and the times of queries; of the files per query stay the
    columns that were read for the pages, and those that rank the rows of the leaderboard.

    Args:
        chosen: runs whose pages were just built.
        folder: made anew: PAGE/PRESET-seedN/ for each run.
    """
    if folder.is_dir():
        shutil.rmtree(folder)
    kept: dict[Path, Run] = {}
    for one in chosen:
        for run in (one.shown, *([one.quick] if one.quick else []), *one.seeds):
            kept[kept_folder(folder, one.page, run)] = run
    for place, run in kept.items():
        _keep_documents(run, place)
    _read_for_the_board(kept)
    for place, run in kept.items():
        for key, columns in run.was_read.items():
            frame = run.per_query(key, sorted(columns))
            write_atomic(place / "per_query" / f"{key}.parquet", _small_parquet(frame))


def _keep_documents(run: Run, folder: Path) -> None:
    # Without the white space of the run's own file, which is a third of it.
    write_atomic(folder / "summary.json", json.dumps(run.summary, separators=(",", ":"), allow_nan=False) + "\n")
    for name in _WHOLE:
        if (run.folder / name).is_file():
            write_atomic(folder / name, (run.folder / name).read_bytes())


def _read_for_the_board(kept: Mapping[Path, Run]) -> None:
    """Read what ranks the rows of the leaderboard, so that it is kept as well.

    Rows are chosen from the kept copies, for it is from these that the leaderboard will be built. What it cannot be
    built of is its own to say.
    """
    with suppress(UserError):
        for row in collect(Run(place) for place in sorted(kept)).rows:
            with suppress(UserError):
                kept[row.run.folder].per_query(row.key, (*LABELS, *RANKED_BY))


def _small_parquet(frame: Any) -> bytes:
    """A frame in few bytes: ids differ from their neighbours in their last letters, and nobody needs statistics."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    words = (pa.string(), pa.large_string())
    ids = [field.name for field in table.schema if field.type in words]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", compression_level=_LEVEL, write_statistics=False, store_schema=False,
        use_dictionary=[name for name in table.column_names if name not in ids],
        column_encoding=dict.fromkeys(ids, "DELTA_BYTE_ARRAY"),
    ) as writer:  # fmt: skip
        writer.write_table(table)
        writer.add_key_value_metadata({"schema_version": "1"})
    content: bytes = sink.getvalue().to_pybytes()
    return content
