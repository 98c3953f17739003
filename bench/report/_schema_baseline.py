"""The schema of a baseline: the ranks of a run that a gate holds others against (docs/gate.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from bench.report._record import STRICT

__all__ = ["Baseline"]


class _Record(BaseModel):
    model_config = STRICT


class BaselineMetric(_Record):
    """What is known of a metric that is gated."""

    higher_is_better: bool | None
    unit: str
    level: str


class BaselineQueries(_Record):
    """Queries that were asked together; lists of one length."""

    query_id: list[str]
    track: list[int]
    """Number of the track that a query is about: those of one track are not independent."""
    negative: list[int] | None
    """Number of the negative; null where there are none."""
    not_counted: list[int] | None
    """Places of queries that do not count in R@k; null where all do."""


class BaselineCell(_Record):
    """Ranks of one cell."""

    dataset: str
    data_fingerprint: str
    space: str
    encoder_digest: str | None
    retriever: str
    modifier: str
    seed: int
    n_gallery: Annotated[int, Field(ge=1)]
    protocol: str | None
    key: str
    """Of the run's cell."""
    params: dict[str, Any]
    options: dict[str, Any]
    """Of the parameters those that tell it from other cells."""
    label: str
    per_query_sha256: str
    """Of the file that the ranks were read from."""
    queries: str
    """Which of the file's queries."""
    ranks: list[float | Literal["inf", "nan"] | None]
    """By query; `inf` for one without a relevant item, `nan` for one without a rank (null for both in older files)."""
    values: dict[str, list[float | None]]
    """Metrics that do not follow from ranks: by query, null where there is none."""


class BaselineSource(_Record):
    """The run that a baseline was saved from."""

    run: str
    summary_sha256: str


class Baseline(_Record):
    """What `bench baseline save` writes, and `bench gate` holds a candidate against."""

    schema_version: Literal[1]
    kind: Literal["gdr-bench baseline"]
    written_by: str
    about: str
    suite: str
    profile: str | None
    preset: str
    metrics: dict[str, BaselineMetric]
    source: BaselineSource
    queries: dict[str, BaselineQueries]
    cells: list[BaselineCell]
    sha256: str
    """Of the rest of the file."""
