"""Metrics of a dataset itself: counts by hand, the same whatever is asked, and a reason for what is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.datasets.gmcaps.captions._statistics import caption_statistics
from bench.evaluate import evaluate, per_query_frame
from bench.metrics.measured import Lazy, Measured
from bench.plan import MetricFinder
from bench.protocols import Dataset
from bench.tasks._facts import facts_of

GENRE, FAST = {"attribute": "genre", "in": ["jazz"]}, {"attribute": "bpm", "min": 115}
SLOW = {"attribute": "bpm", "max": 90}
CAPTIONS = [
    ("a", "No drums, in A minor.", [GENRE, FAST, SLOW]),
    ("a", "a slow tune", []),
    ("b", "a slow tune", [GENRE]),
    ("c", "it isn't fast: 90 bpm", [GENRE, FAST]),
]
TRACKS = ("a", "b", "c", "unasked")
KEYS = ("Tracks", "Captions", "Hours", "Words", "Vocabulary", "Negation%", "Key%", "Bpm%", "Stated")
BY_HAND = {
    "Tracks": 4, "Captions": 4, "Hours": 4 * 900 / 3600, "Words": 4, "Vocabulary": 12, "Negation%": 50, "Key%": 25,
    "Bpm%": 25, "Stated": (2 + 0 + 1 + 2) / 4,
}  # fmt: skip


def dataset(truth=True, seconds=900.0, captions=CAPTIONS):
    frame = pd.DataFrame(captions, columns=["track_id", "text", "stated"])
    frame.insert(0, "caption_id", [f"c{i}" for i in range(len(frame))])
    known = pd.DataFrame({"track_id": TRACKS}) if truth else None
    return Dataset("toy", TRACKS, frame, known, "f", seconds)


def values(facts, queries=3, keys=KEYS):
    """What is said of a cell in which some queries were asked."""
    rng = np.random.default_rng(queries)
    latents = rng.normal(size=(queries, 1, 5)).astype(np.float32)
    measured = Measured(
        latents=latents, vectors=latents[:, 0], ranks=rng.integers(1, 5, queries).astype(float), n_gallery=4,
        top=np.zeros((queries, 4), dtype=int), facts=facts,
    )  # fmt: skip
    metrics = {key: MetricFinder()(key) for key in keys}
    labels = pd.DataFrame({"query_id": range(queries), "cluster_id": range(queries)})
    return evaluate(measured, metrics, per_query_frame(measured, metrics, labels, TRACKS))


@pytest.mark.parametrize("key", KEYS)
def test_counts_by_hand(key):
    assert values(facts_of(dataset()))[key]["value"] == pytest.approx(BY_HAND[key])


def test_captions_are_read_as_the_statistics_of_the_corpus_read_them():
    texts = [f"{word} {text}" for word in ("calm", "without a bass", "120 bpm") for _, text, _ in CAPTIONS]
    found = values(facts_of(dataset(captions=[("a", text, []) for text in texts])))
    expected = caption_statistics(texts)
    assert found["Words"]["value"] == expected.median_words
    assert found["Vocabulary"]["value"] == expected.vocabulary
    assert found["Negation%"]["value"] == pytest.approx(expected.negation)
    assert found["Key%"]["value"] == pytest.approx(expected.key)
    assert found["Bpm%"]["value"] == pytest.approx(expected.bpm)


def test_facts_do_not_depend_on_what_is_asked_and_have_no_interval():
    few, many = values(facts_of(dataset()), queries=2), values(facts_of(dataset()), queries=50)
    for key in KEYS:
        assert few[key]["value"] == many[key]["value"]
        assert few[key]["ci"] is None
        assert few[key]["why_null"] is None


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        ({"seconds": None}, "Hours", "toy does not say how long its tracks are"),
        ({"truth": False}, "Stated", "toy does not know what its captions state"),
    ],
)
def test_what_a_dataset_does_not_know_has_a_reason(changes, key, why):
    found = values(facts_of(dataset(**changes)))
    assert found[key] == {"value": None, "ci": None, "n": 0, "why_null": why}
    assert all(entry["value"] is not None for other, entry in found.items() if other != key)


def test_an_experiment_without_facts_says_so():
    for entry in values(Lazy()).values():
        assert entry["value"] is None
        assert entry["why_null"] == "this experiment says nothing of its dataset"
