"""From query latents to numbers: values per query, and each metric's mean, interval and reason where there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import stats
from bench.metrics.measured import Measured, Metric
from bench.metrics.retrieval import oracle_normalised

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "clusters_of", "evaluate", "not_applicable", "not_applicable_frame", "oracle_normalised_mean", "per_query_frame",
]  # fmt: skip

JACKKNIFE_GROUPS = 20
FEW = 20
"""Queries, or tracks searched, below which a metric of the whole set may have no value or no interval."""
HIT = 100.0


def per_query_frame(
    measured: Measured, metrics: Mapping[str, Metric], labels: pd.DataFrame, track_ids: Sequence[str]
) -> pd.DataFrame:
    """One row a query: labels, rank, a float64 column per query-level metric, and the top-10 track ids."""
    frame = labels.copy()
    frame["rank"] = measured.ranks
    for key, metric in metrics.items():
        if metric.per_query:
            match = _match(metric, key)
            known = metric.why_null(measured, match) is None
            frame[key] = metric.per_query(measured, match).astype(np.float64) if known else np.nan
    if measured.oracle_ranks is not None:
        frame["oracleR@10"] = HIT * (measured.oracle_ranks <= 10)
    ids = np.asarray(track_ids, dtype=object)
    frame["top_10"] = [list(row) for row in ids[measured.top]]
    return frame


def not_applicable_frame(metrics: Mapping[str, Metric], labels: pd.DataFrame) -> pd.DataFrame:
    """The rows of a cell that cannot exist: its queries, and no values."""
    frame = labels.assign(rank=np.nan, **{key: np.nan for key, metric in metrics.items() if metric.per_query})
    frame["top_10"] = [[] for _ in range(len(frame))]
    return frame


def not_applicable(metrics: Mapping[str, Metric], why: str) -> dict[str, dict[str, Any]]:
    """The summary of a cell that cannot exist, such as text interpolation in an audio-only space."""
    return {key: {"value": None, "ci": None, "n": 0, "why_null": f"n/a: {why}"} for key in metrics}


def _match(metric: Metric, key: str) -> re.Match[str]:
    match = metric.match(key)
    assert match is not None, key
    return match


def oracle_normalised_mean(means: np.ndarray, n_gallery: int) -> np.ndarray:
    """(R@10 − chance) / (oracle − chance) in percent, from means (…, 2) of R@10 and of the oracle's."""
    chance = HIT * min(1.0, 10 / n_gallery)
    return np.asarray(oracle_normalised(means[..., 0], chance, means[..., 1]))


def evaluate(measured: Measured, metrics: Mapping[str, Metric], frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Summary of every metric of a cell: value, 95 % interval, n, and why it is null.

    Intervals are clustered by track and, where queries are crossed with negatives, by negative too; metrics of a set
    get a delete-a-group jackknife (PROTOCOL.md 8).
    """
    first, second = clusters_of(frame)
    out = {}
    for key, metric in metrics.items():
        why = metric.why_null(measured, _match(metric, key))
        if why is None and metric.statistic:
            out[key] = _set_metric(measured, metric, key, first)
        elif why is None:
            out[key] = _query_metric(measured, metric, frame, key, first, second)
        else:
            out[key] = {"value": None, "ci": None, "n": 0, "why_null": why}
    return out


def clusters_of(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
    """Groupings within which queries are dependent: tracks, and negatives where queries are crossed with them."""
    tracks = frame["cluster_id"].to_numpy()
    return (frame["negative_id"].to_numpy(), tracks) if "negative_id" in frame else (tracks, None)


def _query_metric(
    measured: Measured, metric: Metric, frame: pd.DataFrame, key: str, first: np.ndarray, second: np.ndarray | None
) -> dict[str, Any]:
    values = frame[key].to_numpy()
    present = ~np.isnan(values)
    n = int(present.sum())
    if n == 0:
        return {"value": None, "ci": None, "n": 0, "why_null": "no query to which it applies"}
    if metric.aggregate == "median":
        clusters = frame["cluster_id"].to_numpy()[present]
        interval = stats.median_rank_ci(values[present], clusters)
        return _entry(float(np.median(values[present])), interval, n)
    if metric.aggregate == "oracle-normalised":
        columns = np.column_stack([values, frame["oracleR@10"].to_numpy()])
        estimate = stats.clustered_delta(
            lambda m: oracle_normalised_mean(m, measured.n_gallery), columns, first, second
        )
    elif second is None:
        estimate = stats.clustered_delta(lambda m: m[..., 0], values[:, None], first)
    else:
        estimate = stats.two_way_clustered(values, first, second)
    return _entry(estimate.value, stats.interval(estimate), n, metric.range)


def _set_metric(measured: Measured, metric: Metric, key: str, clusters: np.ndarray) -> dict[str, Any]:
    match, statistic = _match(metric, key), metric.statistic
    assert statistic is not None
    if min(measured.n, measured.n_gallery) < FEW:
        return _set_metric_of_few(measured, metric, match, clusters)
    if metric.estimate is not None:
        value, low, high = metric.estimate(measured, match, clusters)
        return _entry(value, stats.Interval(low, high), measured.n, metric.range)
    rows = np.arange(measured.n)
    estimate = stats.jackknife_estimate(
        lambda subset: statistic(measured, match, subset), rows, clusters=clusters, groups=JACKKNIFE_GROUPS
    )
    return _entry(estimate.value, stats.interval(estimate), measured.n, metric.range)


def _set_metric_of_few(
    measured: Measured, metric: Metric, match: re.Match[str], clusters: np.ndarray
) -> dict[str, Any]:
    """A metric of a set of few: some have no value then (a covariance of one query), others no interval.

    A metric says so by a ValueError, and its words are the reason. In a larger set that would be a bug.
    """
    statistic = metric.statistic
    assert statistic is not None
    rows = np.arange(measured.n)
    low = high = np.nan
    try:
        if metric.estimate is not None:
            value, low, high = metric.estimate(measured, match, clusters)
        else:
            value = statistic(measured, match, rows)
    except ValueError as reason:
        why = f"too few: {measured.n} queries, {measured.n_gallery} tracks ({reason})"
        return {"value": None, "ci": None, "n": measured.n, "why_null": why}
    if metric.estimate is None:
        with suppress(ValueError):  # leaving some out leaves too few
            estimate = stats.jackknife_estimate(
                lambda subset: statistic(measured, match, subset), rows, clusters=clusters, groups=JACKKNIFE_GROUPS
            )
            interval = stats.interval(estimate)
            low, high = float(interval.lo), float(interval.hi)
    return _entry(value, stats.Interval(low, high), measured.n, metric.range)


def _entry(
    value: float, interval: stats.Interval, n: int, bounds: tuple[float | None, float | None] = (None, None)
) -> dict[str, Any]:
    """A summary entry; an interval never reaches beyond the metric's range."""
    if not np.isfinite(value):
        return {"value": None, "ci": None, "n": n, "why_null": "not a finite number"}
    low, high = float(interval.lo), float(interval.hi)
    if not (np.isfinite(low) and np.isfinite(high)):
        return {"value": float(value), "ci": None, "n": n, "why_null": None}
    if bounds[0] is not None:
        low = max(low, bounds[0])
    if bounds[1] is not None:
        high = min(high, bounds[1])
    return {"value": float(value), "ci": [low, high], "n": n, "why_null": None}
