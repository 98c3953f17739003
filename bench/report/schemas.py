"""Schemas of the JSON files of a run: models that say every key, and the JSON Schema that is published from them.

`python -m bench.report.schemas > reports/schema.json` writes it. A key that is not here is refused, so that no file
gets one that is not described; docs/results.md says what the keys mean.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from bench.report._record import STRICT
from bench.report._schema_baseline import Baseline

__all__ = ["FILES", "Baseline", "CellFile", "Provenance", "Summary", "json_schema", "write_schema"]

Interval = tuple[float, float] | None
Share = Annotated[float, Field(ge=0, le=1)]
Verdict = Literal["supported", "contradicted", "inconclusive"]


class _Record(BaseModel):
    model_config = STRICT


class MetricValue(_Record):
    """One metric of one cell."""

    value: float | None
    """The estimate, in full precision and in the metric's unit; null where there is none."""
    ci: Interval
    """95 % interval; null where it cannot be estimated."""
    n: Annotated[int, Field(ge=0)]
    """Queries (or tracks, or captions) that the value is of."""
    why_null: str | None
    """Why there is no value; null where there is one."""


class Cell(_Record):
    """One dataset, space, retriever, modifier with its parameters, and seed."""

    key: str
    """Hash of all that decides the cell's numbers; names its two files."""
    dataset: str
    """The dataset's role in the suite; `dataset_name` is what the registry knows it by."""
    dataset_name: str
    data_fingerprint: str
    """SHA-256 of tracks and captions: numbers on different data never stand in one table."""
    space: str
    encoder_digest: str
    retriever: str
    modifier: str
    """`none` where the query is not modified."""
    params: dict[str, Any]
    """Options of the modifier, `strength`, and how queries were drawn (`sampler`, `samples`, `guidance`)."""
    seed: int
    n_queries: Annotated[int, Field(ge=0)]
    n_gallery: Annotated[int, Field(ge=1)]
    protocol: str
    """How ranks count: `track`, the gallery has each track once and the target is the query's own."""
    nfe: Annotated[int, Field(ge=0)] | None
    """Network evaluations of one sample of one query."""
    replicate: bool = False
    """Whether the retriever is another training seed, which shows stability and stands in no table."""
    metrics: dict[str, MetricValue]


class Host(_Record):
    """The machine, without its name."""

    platform: str
    python: str
    machine: str
    processor: str = ""
    """Model of the processor; empty where the system does not say, and in older files."""
    cores: Annotated[int, Field(ge=1)] | None = None
    """Physical ones that the process may use; null in older files."""
    memory_bytes: Annotated[int, Field(ge=0)] | None = None
    """Of the machine; null where the system does not say."""
    gpu: str | None = None
    """Name of the GPU that was used; null where none was."""


class Made(_Record):
    """How one cell was computed, whichever process it was that did."""

    commit: str | None
    """Of the checkout that the package ran from; null outside one."""
    dirty: bool | None
    packages: dict[str, str] | None = None
    """In provenance.json only where they are not those of the file."""
    threads: Annotated[int, Field(ge=1)]
    device: str
    host: Host | None = None
    """In provenance.json only where it is not that of the file."""
    seconds: Annotated[float, Field(ge=0)]
    """That the computation took."""
    when: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    """That it began (UTC)."""


class CellFile(Cell):
    """cells/KEY.json: a cell of the summary, with what its metrics score on real tracks."""

    schema_version: Literal[1] = 1
    """Absent in runs of before it was written; these are of version 1."""
    checksum: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the rest of this file, as canonical JSON, and of the values per query; absent in older runs."""
    made: Made | None = None
    """How it was computed. Of no checksum: the same cell has another one elsewhere. Absent in older runs."""
    floors: dict[str, float] = {}
    """Set metrics of the queries' own tracks: what real music scores at this n."""


class MetricInfo(_Record):
    """What a metric is."""

    higher_is_better: bool | None
    unit: str
    range: tuple[float | None, float | None]
    level: Literal["query", "set"]
    """Whether there is a value for each query, or one for all of them together."""
    floor: float | None = None
    """What real music scores at this n, for distances to a reference set."""


class Point(_Record):
    """One strength of a family, on the frontier of removal (or gain) and of what is kept."""

    strength: float | None
    removal: float
    removal_ci: Interval
    kept: float
    kept_ci: Interval


class Area(_Record):
    """Area under a family's frontier."""

    value: float | None
    ci: Interval


class Family(_Record):
    """The strengths of one modifier with one set of options."""

    dataset: str
    space: str
    retriever: str
    modifier: str
    params: dict[str, Any]
    seed: int
    points: list[Point]
    area: Area


class Claim(_Record):
    """A checkable statement of the suite, and its verdict."""

    id: str
    text: str
    source: str
    """The table, figure or section of the paper that states it, or `ours`."""
    metric: str
    expect: str
    compare: str
    at: str | None
    predictor: str | None = None
    """What the metric is correlated with, where the claim is about a trend over cells."""
    margin: float
    verdict: Verdict
    effect: float | None
    ci: tuple[float | None, float | None] | None
    """95 % interval; a null bound: the data do not bound the effect on that side."""
    p: float | None
    p_holm: float | None = None
    """Corrected for all claims of the suite (Holm)."""
    why: str | None = None
    """Why the claim could not be judged, or what it rests on."""
    stability: dict[str, Verdict] = {}
    """Verdict by training seed: the main retriever's, then its replicates'."""


class Probe(_Record):
    """How well a linear probe reads an attribute from pooled latents."""

    accuracy: Share
    """Balanced accuracy."""
    chance: Share


class Summary(_Record):
    """summary.json: what was measured. No time, host, path or version: the same everywhere."""

    schema_version: Literal[1]
    suite: str
    title: str = ""
    profile: str
    preset: str
    cells: list[Cell]
    metric_info: dict[str, MetricInfo]
    families: list[Family] = []
    claims: list[Claim] = []
    space_probes: dict[str, dict[str, dict[str, Probe]]] = {}
    """Space -> domain -> attribute."""
    not_encoded: list[str] = []
    """Attributes that a probe cannot read from the first retriever's space."""


class Git(_Record):
    """The checkout that the package ran from; nulls outside one."""

    commit: str | None
    dirty: bool | None


class Provenance(_Record):
    """provenance.json: how the last run of this folder came about, and how each of its cells did."""

    schema_version: Literal[1]
    run_id: str
    """The folder's name: a hash of the resolved suite and of all digests."""
    started: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    seconds: Annotated[float, Field(ge=0)]
    phases: dict[str, float]
    """Seconds by phase, without those of phases inside it."""
    cell_seconds: dict[str, float]
    """Seconds by cell; a few milliseconds where it came from the cache."""
    threads: Annotated[int, Field(ge=1)]
    device: str
    host: Host
    packages: dict[str, str]
    git: Git
    cells: dict[str, Made | None] = {}
    """By the cell's key: how it was made, perhaps by an earlier run or another one; null where that was not kept."""
    seeds: list[int] = []
    """Of the noise, as the suite lists them."""
    data_fingerprints: dict[str, str] = {}
    """Dataset of the summary's cells -> SHA-256 of its tracks and captions."""
    digests: dict[str, Any]
    """SHA-256 of the parts: datasets, encoders, weights."""
    damaged: list[str] = []
    """Files of the run and of the cache that did not match their checksum and were made again."""


Seconds = Annotated[float, Field(ge=0)]


class Times(_Record):
    """Seconds of calls that were made one at a time, in full precision."""

    median: Seconds
    p10: Seconds
    p90: Seconds
    n: Annotated[int, Field(ge=1)]


class CellLatency(_Record):
    """Time of one query of an unmodified cell; that of `query` is shared by the cells of a retriever."""

    retriever: str
    dataset: str
    space: str
    n_gallery: Annotated[int, Field(ge=1)]
    nfe: Annotated[int, Field(ge=0)] | None
    samples: Annotated[int, Field(ge=1)]
    query: Times | None
    """From a prompt to the mean of its samples at unit length."""
    ranking: Times | None
    """The search for the ten nearest tracks, which comes on top."""
    why_null: str | None
    """Why the retriever has no time; null where it has one."""


class TimedHost(Host):
    """The machine that took the times."""

    processor: str
    """Model of the processor; empty where the system does not say."""


class Latency(_Record):
    """latency.json: what one query takes, as `bench latency` measured it."""

    schema_version: Literal[1]
    measured: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    prompts: str
    """Dataset whose captions were asked."""
    warm_up: Annotated[int, Field(ge=0)]
    """Queries that were asked first and do not count."""
    threads: Annotated[int, Field(ge=1)]
    device: str
    clock: str
    """`perf_counter`, or `cuda events`."""
    host: TimedHost
    packages: dict[str, str]
    cells: dict[str, CellLatency]
    """By the cell's key."""


FILES: dict[str, type[BaseModel]] = {
    "summary.json": Summary,
    "provenance.json": Provenance,
    "cells/KEY.json": CellFile,
    "latency.json": Latency,
    "a baseline": Baseline,
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the files: one of them under each of the names of `FILES`' models in `$defs`."""
    from pydantic.json_schema import models_json_schema

    refs, schema = models_json_schema([(model, "validation") for model in FILES.values()])
    named = {file: refs[model, "validation"]["$ref"] for file, model in FILES.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Files of gdr-bench, schema version 1",
        "description": ", ".join(f"{file}: {ref}" for file, ref in named.items()),
        "anyOf": [{"$ref": ref} for ref in named.values()],
        "$defs": schema["$defs"],
    }


def write_schema(file: Path) -> Path:
    """Write the JSON Schema, as `python -m bench.report.schemas` prints it."""
    from bench.store import write_atomic

    write_atomic(file, _text())
    return file


def _text() -> str:
    return json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":  # python -m bench.report.schemas > reports/schema.json
    print(_text(), end="")
