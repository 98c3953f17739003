"""The files of a run against their published schema, and a run of schema version 1 that must stay readable."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

import bench
from bench.gate import save_baseline
from bench.report.build import build_report
from bench.report.load import Run
from bench.report.schemas import FILES, Baseline, CellFile, Provenance, Summary, json_schema, write_schema

ROOT = Path(__file__).parents[2]
HISTORIC = sorted((ROOT / "tests" / "historic_results").iterdir())


def _files(run: Path) -> Iterator[tuple[type[BaseModel], str]]:
    """Model and content of each JSON file of a run."""
    yield Summary, (run / "summary.json").read_text()
    yield Provenance, (run / "provenance.json").read_text()
    for file in sorted((run / "cells").glob("*.json")):
        yield CellFile, file.read_text()


def _check(run: Path) -> None:
    """By the models, and by the JSON Schema as others would use it."""
    schema = json_schema()
    checked = 0
    for model, text in _files(run):
        model.model_validate_json(text)
        own = {"$schema": schema["$schema"], "$ref": f"#/$defs/{model.__name__}", "$defs": schema["$defs"]}
        jsonschema.Draft202012Validator(own).validate(json.loads(text))
        checked += 1
    assert checked == 2 + len(json.loads((run / "summary.json").read_text())["cells"])


# --- a run of today ---------------------------------------------------------------------------------------------------


def test_a_real_run_follows_the_schema(small_run: tuple[Path, Path]) -> None:
    _check(small_run[0])


def test_every_file_of_a_run_says_its_version(small_run: tuple[Path, Path]) -> None:
    run, _ = small_run
    seen = set()
    for file in sorted(run.rglob("*")):
        if file.suffix == ".json":
            assert json.loads(file.read_text())["schema_version"] == 1, file
        elif file.suffix == ".yaml":
            assert YAML(typ="safe", pure=True).load(file)["schema_version"] == 1, file
        elif file.suffix == ".parquet":
            assert pq.read_schema(file).metadata[b"schema_version"] == b"1", file
        seen.add(file.suffix)
    assert {".json", ".yaml", ".parquet"} <= seen


def test_a_cells_file_is_the_summarys_cell_and_its_floors(small_run: tuple[Path, Path]) -> None:
    run, _ = small_run
    for cell in json.loads((run / "summary.json").read_text())["cells"]:
        own = json.loads((run / "cells" / f"{cell['key']}.json").read_text())
        of_the_file = ("schema_version", "checksum", "floors", "made")
        assert {name: value for name, value in own.items() if name not in of_the_file} == cell


# --- the schema -------------------------------------------------------------------------------------------------------


def test_the_committed_schema_is_current(tmp_path: Path) -> None:
    stored = (ROOT / "reports" / "schema.json").read_text()
    assert stored == write_schema(tmp_path / "schema.json").read_text(), (
        "run: python -m bench.report.schemas > reports/schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(json.loads(stored))


BASELINES = sorted((ROOT / "tests" / "historic_baselines").iterdir())


@pytest.mark.parametrize("run", HISTORIC, ids=lambda folder: folder.name)
def test_a_baseline_follows_the_schema(run: Path, tmp_path: Path) -> None:
    save_baseline(Run(run), tmp_path / "new.json", metrics=["R@10", "logRank"], every=True)
    schema = json_schema()
    own = {"$schema": schema["$schema"], "$ref": "#/$defs/Baseline", "$defs": schema["$defs"]}
    for file in (tmp_path / "new.json", *BASELINES):
        Baseline.model_validate_json(file.read_text())
        jsonschema.Draft202012Validator(own).validate(json.loads(file.read_text()))


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        for name in path[:-1]:
            document = document[name]
        del document[path[-1]]

    return edit


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a key that is not described": lambda s: s.update(finished=True),
    "a key of a cell that is not described": lambda s: s["cells"][0].update(extra=1),
    "another version": lambda s: s.update(schema_version=2),
    "no version": _drop("schema_version"),
    "no cells": _drop("cells"),
    "a number as text": lambda s: s["cells"][0]["metrics"]["R@10"].update(value="0.5"),
    "an interval of one number": lambda s: s["cells"][0]["metrics"]["R@10"].update(ci=[0.5]),
    "a verdict that is none": lambda s: s["claims"][0].update(verdict="true"),
    "a share above one": lambda s: s["space_probes"]["mini-clap"]["sd"]["genre"].update(accuracy=1.5),
    "no gallery": lambda s: s["cells"][0].update(n_gallery=0),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_refused_by_model_and_by_schema(name: str) -> None:
    summary = json.loads((HISTORIC[0] / "summary.json").read_text())
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.validate(summary)
    broken = copy.deepcopy(summary)
    BROKEN[name](broken)
    with pytest.raises(ValidationError):
        Summary.model_validate_json(json.dumps(broken))
    assert not validator.is_valid(broken)


def test_no_number_is_not_a_number() -> None:
    summary = json.loads((HISTORIC[0] / "summary.json").read_text())
    summary["cells"][0]["metrics"]["R@10"]["value"] = float("nan")
    with pytest.raises(ValidationError, match="finite"):
        Summary.model_validate_json(json.dumps(summary))


def _fields(model: type[BaseModel]) -> set[str]:
    """Names of the fields of a model and of all models in it."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return {name for part in parts for name in part.get("properties", {})}


def test_the_documentation_names_every_key() -> None:
    text = "".join((ROOT / "docs" / name).read_text() for name in ("results.md", "gate.md"))
    named = set(re.findall(r"`([A-Za-z_0-9]+)`", text))
    wanted = set().union(*map(_fields, FILES.values()))
    assert len(wanted) > 50
    assert wanted - named == set()


# --- runs of earlier versions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", HISTORIC, ids=lambda folder: folder.name)
def test_an_old_run_is_read_and_reported(folder: Path, tmp_path: Path) -> None:
    run = shutil.copytree(folder, tmp_path / folder.name)
    _check(run)
    result = bench.load(run)
    frame = result.to_pandas()
    summary = json.loads((folder / "summary.json").read_text())
    assert len(frame) == sum(len(cell["metrics"]) for cell in summary["cells"])
    page = build_report(run)
    text = page.read_text()
    assert text.startswith(f"# {summary['title']}\n")
    for claim in summary["claims"]:
        assert claim["id"] in text
    if not (summary["families"] or Run(run).prompts):
        assert "Retrieval on SD" in text
        return
    (modified,) = Run(run).cells(modifier="negative-prompting", strength=2)
    assert f"{modified['metrics']['negated_share@10']['value']:.2f} [" in text
    # The tracks are shown while the dataset is the one that was measured; later the page says that it is not.
    html = page.with_suffix(".html").read_text()
    assert "Prompts: what each finds before and after" in html
    assert ('class="found"' in html) != ("another one here than the one that was measured" in html)


def test_a_cells_file_of_before_its_version_was_written_is_of_version_one() -> None:
    file = next((HISTORIC[0] / "cells").glob("*.json"))
    cell = json.loads(file.read_text())
    del cell["schema_version"]
    assert CellFile.model_validate_json(json.dumps(cell)).schema_version == 1
