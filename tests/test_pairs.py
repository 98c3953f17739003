"""Which (query, negative) pairs are worth asking."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.datasets.predicates import Predicate
from bench.pairs import Negative, choose_pairs, leaves_open, negated_mask
from bench.protocols import Dataset


def negative(*where, name="n"):
    return Negative(name, "genre", "word", "text", "other", tuple(Predicate.parse(w) for w in where))


JAZZ = negative({"attribute": "genre", "in": ["jazz"]})
GUITAR = negative({"attribute": "instrument", "in": ["acoustic guitar", "electric guitar"]})
MINOR = negative({"attribute": "key", "in": ["A"]}, {"attribute": "mode", "in": ["minor"]})
FAST = negative({"attribute": "bpm", "min": 120})


@pytest.mark.parametrize(
    ("stated", "asked", "is_open"),
    [
        ([{"attribute": "mood", "in": ["sad"]}], JAZZ, True),
        ([{"attribute": "genre", "in": ["rock"]}], JAZZ, False),
        ([{"attribute": "lead", "in": ["piano"]}], GUITAR, True),
        ([{"attribute": "lead", "in": ["electric guitar"]}], GUITAR, False),
        ([{"attribute": "accompaniment", "in": ["acoustic guitar"]}], GUITAR, False),
        ([{"attribute": "instrument", "not_in": ["electric guitar"]}], GUITAR, False),
        ([{"attribute": "mode", "in": ["major"]}], MINOR, False),
        ([{"attribute": "tempo", "in": ["slow"]}], FAST, False),
        ([], FAST, True),
    ],
)
def test_a_caption_leaves_open_what_it_does_not_speak_of(stated, asked, is_open):
    assert leaves_open(stated, asked) is is_open


def test_all_predicates_of_a_negative_hold_together():
    truth = pd.DataFrame({"key": ["A", "A", "C"], "mode": ["minor", "major", "minor"]})
    np.testing.assert_array_equal(negated_mask(MINOR, truth), [True, False, False])


@pytest.fixture
def dataset():
    genres = ["jazz"] * 10 + ["rock"] * 30
    ids = tuple(f"t{i}" for i in range(40))
    truth = pd.DataFrame({"track_id": ids, "genre": genres})
    captions = pd.DataFrame(
        {
            "caption_id": ids,
            "track_id": ids,
            "text": ids,
            "stated": [[{"attribute": "genre", "in": ["rock"]}], *[[] for _ in range(39)]],
        }
    )
    return Dataset("toy", ids, captions, truth, "f")


def test_half_of_the_targets_have_the_value_and_the_rest_lack_it(dataset):
    top = np.tile(np.arange(5, 15), (40, 1))  # half of every top 10 is jazz
    pairs = choose_pairs(dataset, [JAZZ], top, np.arange(40), per_negative=8)
    assert len(pairs.caption) == 8
    assert pairs.has.sum() == 4
    assert 0 not in pairs.caption  # states a genre
    np.testing.assert_array_equal(pairs.has, pairs.caption < 10)


def test_queries_without_the_value_in_their_results_are_left_out(dataset):
    top = np.tile(np.arange(20, 30), (40, 1))
    top[7] = np.arange(10)
    pairs = choose_pairs(dataset, [JAZZ], top, np.arange(40), per_negative=4)
    np.testing.assert_array_equal(pairs.caption, [7])


def test_too_few_of_one_kind_are_filled_with_the_other(dataset):
    top = np.tile(np.arange(10), (28, 1))
    pairs = choose_pairs(dataset, [JAZZ], top, np.arange(12, 40), per_negative=6)
    assert len(pairs.caption) == 6
    assert not pairs.has.any()
