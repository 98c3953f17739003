"""Cells on disk: what is not what was written is not used, whatever it is."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from bench.cells import CellStore
from bench.store import Cache

KEY, OTHER = "a" * 20, "b" * 20
FRAME = pd.DataFrame({"query_id": ["q0", "q1"], "rank": [1.0, 2.0]})
ENTRY = {"key": KEY, "metrics": {"MRR": {"value": 75.0}}}


@pytest.fixture
def store(tmp_path):
    return CellStore(tmp_path / "run", Cache(tmp_path / "cache"), 1)


def files_of(store, key):
    return store.folder / "cells" / f"{key}.json", store.folder / "per_query" / f"{key}.parquet"


def test_a_cell_is_found_in_both_places(store):
    kept = store.keep(KEY, ENTRY, FRAME, {"dataset": "sd"})
    for found in (store.of_run(KEY), store.of_cache(KEY, {"dataset": "sd"})):
        assert found[0] == kept[0] == {**ENTRY, "dataset": "sd"}
        pd.testing.assert_frame_equal(found[1], FRAME)
    assert store.damaged == []


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", "1", '"text"', "{}", '{"a": NaN}', "[" * 100_000, '{"a":' * 100_000, "\xff", '{"checksum": []}'],
)
def test_a_json_file_that_holds_something_else_is_damage(store, content):
    store.keep(KEY, ENTRY, FRAME, {})
    files_of(store, KEY)[0].write_bytes(content.encode("latin-1"))
    assert store.of_run(KEY) is None
    assert store.damaged == [f"cells/{KEY}"]


def test_numbers_that_are_none_are_damage(store):
    """The checksum cannot be made of them."""
    store.keep(KEY, ENTRY, FRAME, {})
    file = files_of(store, KEY)[0]
    file.write_text(json.dumps({**json.loads(file.read_text()), "metrics": float("nan")}))
    assert store.of_run(KEY) is None


def test_every_bit_of_a_table_is_covered_before_it_is_parsed(store, monkeypatch):
    store.keep(KEY, ENTRY, FRAME, {})
    monkeypatch.setattr(pd, "read_parquet", lambda *a, **k: pytest.fail("was parsed"))
    file = files_of(store, KEY)[1]
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        hurt = bytearray(whole)
        hurt[place] ^= 1 << place % 8
        file.write_bytes(hurt)
        assert store.of_run(KEY) is None


def test_another_cells_files_do_not_pass_for_this_one(store):
    store.keep(KEY, ENTRY, FRAME, {})
    store.keep(OTHER, {**ENTRY, "key": OTHER}, FRAME * 2, {})
    for own, other in zip(files_of(store, KEY), files_of(store, OTHER), strict=True):
        shutil.copy(other, own)
    assert store.of_run(KEY) is None
    assert store.damaged == [f"cells/{KEY}"]


def test_another_cells_entries_of_the_cache_do_not_pass_for_this_one(store):
    store.keep(KEY, ENTRY, FRAME, {})
    store.keep(OTHER, {**ENTRY, "key": OTHER}, FRAME * 2, {})
    for suffix in ("json", "parquet"):
        shutil.copy(
            store.cache.root / "cells" / "bb" / f"{OTHER}.{suffix}",
            store.cache.root / "cells" / "aa" / f"{KEY}.{suffix}",
        )
    assert store.of_cache(KEY, {}) is None
    assert store.cache.damaged == [f"cells/aa/{KEY}.json", f"cells/aa/{KEY}.parquet"]


def test_halves_of_two_computations_are_no_cell(store, monkeypatch, tmp_path):
    """Computed anew, and stopped between the table and the entry: both are whole, and do not belong together."""
    store.keep(KEY, ENTRY, FRAME, {})
    write = store.cache.write

    def stopped(kind, key, suffix, content):
        if suffix == ".json":
            raise KeyboardInterrupt
        write(kind, key, suffix, content)

    monkeypatch.setattr(store.cache, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        store.keep(KEY, ENTRY, FRAME.assign(rank=[9.0, 9.0]), {})
    again = CellStore(tmp_path / "other", Cache(tmp_path / "cache"), 1)
    assert again.of_cache(KEY, {}) is None
    assert again.cache.verify() == []
