"""From values per query to a summary: what is averaged, what counts, and why there is no number."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.evaluate import evaluate, oracle_normalised_mean, per_query_frame
from bench.metrics import registered_sets
from bench.metrics.measured import Measured, Metric, Spread
from bench.plan import MetricFinder

N, GALLERY, DIM = 40, 200, 8


def measured(**changes):
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(N, 3, DIM)).astype(np.float32)
    vectors = latents.mean(1)
    given = {
        "latents": latents,
        "vectors": vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        "ranks": rng.integers(1, 60, N).astype(float),
        "n_gallery": GALLERY,
        "top": np.stack([rng.permutation(GALLERY)[:10] for _ in range(N)]),
    }
    return Measured(**{**given, **changes})


def labels(negatives=False):
    frame = pd.DataFrame({"query_id": [f"q{i}" for i in range(N)], "cluster_id": [f"t{i // 2}" for i in range(N)]})
    return frame.assign(negative_id=[f"n{i % 8}" for i in range(N)]) if negatives else frame


def summary(m, *keys, negatives=False, metrics=None):
    metrics = metrics or {key: MetricFinder()(key) for key in keys}
    frame = per_query_frame(m, metrics, labels(negatives), [f"t{i}" for i in range(GALLERY)])
    return evaluate(m, metrics, frame), frame


def of_values(values, **keys):
    """A metric that is given, not computed."""
    return {"x": Metric("x", "x", "x", True, keys.pop("range", (None, None)), "", lambda m, key: values, **keys)}


def test_a_mean_of_the_queries():
    m = measured()
    values, frame = summary(m, "R@10", "MRR")
    assert values["R@10"]["value"] == pytest.approx(100 * (m.ranks <= 10).mean())
    assert values["MRR"]["value"] == pytest.approx((100 / m.ranks).mean())
    assert values["R@10"]["n"] == N
    assert set(frame["R@10"]) <= {0.0, 100.0}
    low, high = values["R@10"]["ci"]
    assert 0 <= low < values["R@10"]["value"] < high <= 100


def test_the_top_is_given_as_track_ids():
    m = measured()
    _, frame = summary(m, "R@10")
    assert frame["top_10"].iloc[3] == [f"t{i}" for i in m.top[3]]


def test_the_median_of_ranks():
    m = measured(ranks=np.arange(1.0, N + 1))
    values, _ = summary(m, "MedR", "NMedR")
    assert values["MedR"]["value"] == 20.5
    assert values["NMedR"]["value"] == pytest.approx(100 * 20.5 / GALLERY)
    low, high = values["MedR"]["ci"]
    assert low < 20.5 < high


def test_only_queries_whose_target_lacks_the_value_are_recalled():
    lacks = np.arange(N) % 2 == 0
    m = measured(ranks=np.where(lacks, 1.0, 100.0), lacks=lacks)
    values, frame = summary(m, "R@10", "R@10(neg)", "MedR", negatives=True)
    assert (values["R@10"]["value"], values["R@10"]["n"]) == (100, N // 2)
    assert (values["R@10(neg)"]["value"], values["R@10(neg)"]["n"]) == (0, N // 2)
    assert values["MedR"]["value"] == 1
    assert frame["R@10"].isna().sum() == N // 2


def test_where_no_query_counts_there_is_a_reason():
    values, _ = summary(measured(lacks=np.zeros(N, dtype=bool)), "R@10", "MedR", negatives=True)
    for key in ("R@10", "MedR"):
        assert values[key] == {"value": None, "ci": None, "n": 0, "why_null": "no query to which it applies"}


def test_spread_that_was_not_measured_has_a_reason():
    values, _ = summary(measured(why_no_spread="another strength"), "MICS", "MINVS")
    assert values["MICS"] == {"value": None, "ci": None, "n": 0, "why_null": "another strength"}


def test_spread_is_averaged_over_the_queries_it_was_measured_on():
    rng = np.random.default_rng(1)
    m = measured(spread=Spread(np.array([0, 7, 9]), lambda: rng.normal(size=(3, 5, DIM))))
    values, frame = summary(m, "MICS", "MINVS")
    assert values["MICS"]["n"] == 3
    assert list(np.flatnonzero(frame["MICS"].notna())) == [0, 7, 9]
    assert 1 <= values["MINVS"]["value"] <= 5


def test_recall_is_normalised_by_chance_and_by_the_oracle():
    # Half of the queries are hits; an oracle would find three quarters; chance is 10 of 200.
    m = measured(ranks=np.where(np.arange(N) < 20, 1.0, 99.0), oracle_ranks=np.where(np.arange(N) < 30, 5.0, 60.0))
    values, frame = summary(m, "R@10(norm)")
    assert values["R@10(norm)"]["value"] == pytest.approx(100 * (50 - 5) / (75 - 5))
    assert frame["oracleR@10"].mean() == 75
    assert oracle_normalised_mean(np.array([[50.0, 75.0], [5.0, 75.0], [75.0, 75.0]]), GALLERY) == pytest.approx(
        [100 * 45 / 70, 0, 100]
    )


def test_chance_is_certain_in_a_gallery_of_ten():
    with np.errstate(divide="ignore", invalid="ignore"):
        assert not np.isfinite(oracle_normalised_mean(np.array([100.0, 100.0]), 8))


@pytest.mark.parametrize(("low", "high"), [(0, 100), (None, 100), (0, None), (None, None)])
def test_an_interval_stays_in_the_metrics_range(low, high):
    hits = np.zeros(N)
    hits[0] = 100
    for values, bound, end in ((hits, low, 0), (100 - hits, high, 1)):
        entry = summary(measured(), metrics=of_values(values, range=(low, high)))[0]["x"]
        wide = summary(measured(), metrics=of_values(values))[0]["x"]
        assert wide["ci"][end] < 0 or wide["ci"][end] > 100
        assert entry["ci"][end] == (wide["ci"][end] if bound is None else bound)
        assert entry["value"] == wide["value"]


def test_missing_values_do_not_count_as_zero():
    values = np.where(np.arange(N) < 10, 3.0, np.nan)
    entry = summary(measured(), metrics=of_values(values))[0]["x"]
    assert (entry["value"], entry["n"]) == (3.0, 10)


def test_one_cluster_has_a_value_and_no_interval():
    values = np.where(np.arange(N) < 2, 3.0, np.nan)  # both of track t0
    entry = summary(measured(), metrics=of_values(values))[0]["x"]
    assert (entry["value"], entry["ci"], entry["why_null"]) == (3.0, None, None)


def test_a_number_that_is_not_finite_is_no_number():
    with np.errstate(invalid="ignore"):
        entry = summary(measured(), metrics=of_values(np.full(N, np.inf)))[0]["x"]
    assert entry["value"] is None
    assert entry["why_null"]


def test_a_summary_can_be_written_as_json():
    values, _ = summary(measured(lacks=np.zeros(N, dtype=bool)), "R@1", "MedR", "MICS", "Vendi", negatives=True)
    json.dumps(values, allow_nan=False)


def test_a_statistic_of_a_set_is_that_of_all_rows():
    m = measured()
    values, frame = summary(m, "Vendi")
    match = registered_sets.VENDI.match("Vendi")
    assert values["Vendi"]["value"] == pytest.approx(registered_sets.VENDI.statistic(m, match, np.arange(N)))
    assert values["Vendi"]["n"] == N
    assert "Vendi" not in frame


def test_queries_that_share_a_negative_are_not_independent():
    """Equal values within each negative: the interval must be that of 8 values, not of 40."""
    of_negative = np.random.default_rng(2).normal(size=8)[np.arange(N) % 8]
    alone = summary(measured(), metrics=of_values(of_negative))[0]["x"]
    crossed = summary(measured(), metrics=of_values(of_negative), negatives=True)[0]["x"]
    width = [np.ptp(entry["ci"]) for entry in (alone, crossed)]
    assert crossed["value"] == alone["value"]
    assert width[1] > 1.5 * width[0]


def of_few(value, estimate=None, n_queries=1, n_gallery=GALLERY):
    """A set metric of few queries: its summary."""
    rng = np.random.default_rng(0)
    few = measured(latents=rng.normal(size=(n_queries, 1, DIM)), n_gallery=n_gallery)
    few = replace(
        few, vectors=few.vectors[:n_queries], ranks=few.ranks[:n_queries], top=few.top[:n_queries] % n_gallery
    )
    metric = {"x": Metric("x", "x", "x", True, (None, None), "", statistic=value, estimate=estimate)}
    frame = per_query_frame(few, metric, labels().iloc[:n_queries], [f"t{i}" for i in range(n_gallery)])
    return evaluate(few, metric, frame)["x"]


def needs_two(m, key, rows):
    if len(rows) < 2:
        raise ValueError("a covariance needs 2 or more")
    return float(len(rows))


def test_a_set_metric_of_one_query_has_no_value_and_says_why():
    for found in (of_few(needs_two), of_few(needs_two, estimate=lambda m, key, clusters: needs_two(m, key, clusters))):
        assert (found["value"], found["ci"], found["n"]) == (None, None, 1)
        assert found["why_null"] == "too few: 1 queries, 200 tracks (a covariance needs 2 or more)"


def test_a_set_metric_of_two_queries_has_a_value_and_no_interval():
    assert of_few(needs_two, n_queries=2) == {"value": 2.0, "ci": None, "n": 2, "why_null": None}
    assert of_few(needs_two, n_queries=6)["ci"] is not None


def test_a_metric_that_fails_on_a_large_set_is_a_bug():
    def fails(m, key, rows):
        raise ValueError("of an algorithm")

    assert of_few(fails, n_queries=N, n_gallery=5)["value"] is None
    with pytest.raises(ValueError, match="of an algorithm"):
        of_few(fails, n_queries=N)
