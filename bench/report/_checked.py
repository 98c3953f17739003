"""What is checked of a run's files before anything reads them: a folder may come from another machine, or be damaged.

The models of `bench.report.schemas` say what a summary holds. Runs of before a key was written lack it, so of the keys
only those are asked for that every reader needs; what is there must be of its type.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench._json import inside, read_json
from bench.cells import is_checked
from bench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_cell", "columns_of", "read_resolved", "read_summary", "read_values", "values_file"]

AGAIN = "run the suite again"
SUMMARY_VERSION = 1
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: Keys without which no page, comparison or board can be made.
NEEDED = frozenset({
    "suite", "preset", "key", "dataset", "data_fingerprint", "space", "retriever", "modifier", "params", "seed",
    "n_gallery", "metrics", "value", "id", "verdict", "effect", "points", "area", "accuracy", "chance", "removal",
    "kept", "strength",
})  # fmt: skip
MOST_TOLD = 5
MAX_VALUES = 50_000_000
"""In one column of a per-query file: a column of one repeated value takes a few bytes, whatever its length."""
MAX_COUNT = 2**53

_NUMBERS = ("strength", "guidance")
_TEXTS = ("query_id", "relevant_id", "cluster_id", "negative_id", "target_set", "category")


def read_summary(folder: Path) -> dict[str, Any]:
    """summary.json of a run's folder.

    Raises:
        UserError: it is not there, is a link to elsewhere, or is not what a summary is; with file and key.
    """
    file = folder / "summary.json"
    if not file.is_file():
        raise UserError(f"{file}: no such file; name a run's folder, such as results/SUITE/RUN-ID")
    _refuse_link(file, folder)
    summary = read_json(file, AGAIN)
    if not isinstance(summary, dict) or not isinstance(summary.get("cells"), list):
        raise UserError(f"{file}: has no list of cells, so it is not a run's summary; {AGAIN}")
    version = summary.get("schema_version")
    if version != SUMMARY_VERSION:
        raise UserError(f"{file}: schema_version is {version!r}, this version reads {SUMMARY_VERSION}; {AGAIN}")
    problems = _problems(summary)
    if problems:
        more = f" (and {len(problems) - MOST_TOLD} more)" if len(problems) > MOST_TOLD else ""
        raise UserError(f"{file}: {'; '.join(problems[:MOST_TOLD])}{more}; {AGAIN}")
    return summary


def _problems(summary: dict[str, Any]) -> list[str]:
    from pydantic import ValidationError

    from bench.report.schemas import Summary

    # Halves of surrogate pairs are no JSON for the model; names that hold one are cleaned where they are shown.
    text = json.dumps(summary, ensure_ascii=False).encode("utf-8", "replace")
    found = []
    try:
        Summary.model_validate_json(text)
    except ValidationError as failure:
        for error in failure.errors(include_url=False, include_input=False):
            key = str(error["loc"][-1]) if error["loc"] else ""
            is_spare = error["type"] == "missing" and key not in NEEDED and not key.isdigit()  # a place in a pair
            if error["type"] == "extra_forbidden" or is_spare:
                continue
            said = "is missing" if error["type"] == "missing" else error["msg"]
            found.append(f"{_dotted(error['loc'])}: {said[:1].lower()}{said[1:]}")
    cells = [] if found else summary["cells"]
    return found + [f"cells[{place}].{problem}" for place, cell in enumerate(cells) for problem in _cell_problems(cell)]


def _cell_problems(cell: Mapping[str, Any]) -> list[str]:
    """What the types do not say: names of files, and numbers that are computed with."""
    found = []
    if not KEY.fullmatch(cell["key"]):
        found.append(f"key: {_short(cell['key'])} cannot name a file (letters, digits, '.', '_' and '-')")
    found += [f"{name}: is too large" for name in ("n_gallery", "n_queries") if cell.get(name, 0) > MAX_COUNT]
    params = cell["params"]
    for name in _NUMBERS:
        value = params.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            found.append(f"params.{name}: must be a number, is {_short(value)}")
    samples = params.get("samples", 1)
    if isinstance(samples, bool) or not isinstance(samples, int) or not 0 < samples < MAX_COUNT:
        found.append(f"params.samples: must be a whole number from 1, is {_short(samples)}")
    return found


def read_resolved(folder: Path) -> dict[str, Any]:
    """suite.resolved.yaml of a run's folder; empty where there is none.

    Raises:
        UserError: it is a link to elsewhere, no YAML mapping, or a key of it is of another type.
    """
    file = folder / "suite.resolved.yaml"
    if not file.is_file():
        return {}
    from bench._suite_yaml import read_plain_yaml

    _refuse_link(file, folder)
    found = read_plain_yaml(file)
    for key in ("datasets", "retrievers", "replicates", "modifiers", "claims"):
        value = found.get(key) or []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise UserError(f"{file}: {key}: must be a list of mappings; {AGAIN}")
    if not isinstance(found.get("settings") or {}, dict):
        raise UserError(f"{file}: settings: must be a mapping; {AGAIN}")
    guidance = (found.get("settings") or {}).get("guidance", 0)
    if isinstance(guidance, bool) or not isinstance(guidance, (int, float)):
        raise UserError(f"{file}: settings.guidance: must be a number, is {_short(guidance)}; {AGAIN}")
    return found


def values_file(folder: Path, key: str) -> Path:
    """The per-query file of a cell.

    Raises:
        UserError: it is missing, or lies elsewhere.
    """
    file = folder / "per_query" / f"{key}.parquet"
    if not KEY.fullmatch(key):
        raise UserError(f"{folder / 'summary.json'}: key: {_short(key)} cannot name a file; {AGAIN}")
    if not file.is_file():
        raise UserError(f"{file}: is missing; {AGAIN} (what is there is taken from the cache)")
    _refuse_link(file, folder)
    return file


def check_cell(folder: Path, key: str) -> None:
    """Hold a cell's two files against the checksum in the first; nothing where there is none, as in older runs.

    Raises:
        UserError: they differ from what was written, or are another cell's.
    """
    file = folder / "cells" / f"{key}.json"
    if not file.is_file():
        return  # what is kept of a run for published pages has no such files
    _refuse_link(file, folder)
    entry = read_json(file, AGAIN)
    if isinstance(entry, dict) and "checksum" not in entry:
        return
    table = values_file(folder, key).read_bytes()
    if not isinstance(entry, dict) or entry.get("key") != key or not is_checked(entry, table):
        raise UserError(
            f"{folder / 'per_query' / key}.parquet: it or {file} is damaged or was edited: their checksum is another; "
            "run the suite again, which makes them anew from the cache"
        )


def columns_of(file: Path, metrics: Iterable[str] = ()) -> list[str]:
    """Names of the columns of a per-query file.

    Args:
        file: see `values_file`.
        metrics: columns that must be numbers, where they are there.

    Raises:
        UserError: it is damaged, holds far too much, or a column is of another type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import types

    try:
        with pq.ParquetFile(file) as stored:
            schema, about = stored.schema_arrow, stored.metadata
            groups = [about.row_group(i) for i in range(about.num_row_groups)]
            counts: Counter[str] = Counter()
            for part in (group.column(j) for group in groups for j in range(group.num_columns)):
                counts[part.path_in_schema] += part.num_values
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, pa.lib.ArrowException) as error:
        raise UserError(f"{file}: cannot be read ({_line(error)}); {AGAIN}") from error
    if max([about.num_rows, *counts.values()], default=0) > MAX_VALUES:
        raise UserError(f"{file}: holds more than {MAX_VALUES} values in a column; {AGAIN}")
    twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{file}: column {twice!r} stands there twice; {AGAIN}")
    numeric = {"rank", *metrics}
    for name, kind in zip(schema.names, schema.types, strict=True):
        own = kind.value_type if types.is_dictionary(kind) else kind
        is_number = types.is_integer(own) or types.is_floating(own) or types.is_boolean(own) or types.is_null(own)
        is_text = types.is_string(own) or types.is_large_string(own) or types.is_integer(own)
        if name in numeric and not is_number:
            raise UserError(f"{file}: column {name!r} holds {kind}, not numbers; {AGAIN}")
        if name in _TEXTS and not (is_text or types.is_null(own)):
            raise UserError(f"{file}: column {name!r} holds {kind}, not text; {AGAIN}")
        if name == "top_10" and not (types.is_list(own) or types.is_large_list(own)):
            raise UserError(f"{file}: column {name!r} holds {kind}, not lists; {AGAIN}")
    return list(schema.names)


def read_values(file: Path, columns: list[str]) -> pd.DataFrame:
    """Columns of a per-query file, which `columns_of` has checked.

    Raises:
        UserError: it is damaged.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(file, columns=columns)
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, pa.lib.ArrowException) as error:
        raise UserError(f"{file}: cannot be read ({_line(error)}); {AGAIN}") from error


def _refuse_link(file: Path, folder: Path) -> None:
    if not inside(file, folder):
        raise UserError(f"{file}: is a link that leads out of the run's folder; put the file itself there")


def _dotted(path: Iterable[str | int]) -> str:
    text = ""
    for step in path:
        shown = _short(step) if isinstance(step, str) and not step.isprintable() else str(step)[:60]
        text += f"[{shown}]" if isinstance(step, int) else f".{shown}" if text else shown
    return text


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
