"""Attribute laws: coverage, conditioning, and what the dials are for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from bench.datasets.gmcaps import laws
from bench.datasets.gmcaps.attributes import GENRES, Attributes
from bench.datasets.gmcaps.laws import LAWS, ConditionedLaw, sample_attributes, sample_satisfying
from bench.datasets.predicates import Predicate
from bench.errors import UserError

STATED = [
    [{"attribute": "genre", "in": ["jazz"]}, {"attribute": "lead", "in": ["sitar"]}],
    [{"attribute": "instrument", "in": ["violin", "cello"]}, {"attribute": "instrument", "not_in": ["piano", "organ"]}],
    [{"attribute": "accompaniment", "in": ["harp"]}, {"attribute": "tempo", "in": ["slow"]}],
    [{"attribute": "bpm", "min": 115, "max": 118}, {"attribute": "drums", "not_in": ["none"]}],
    [{"attribute": "bass", "in": [None]}, {"attribute": "mode", "in": ["minor"]}, {"attribute": "key", "in": ["F#"]}],
    [{"attribute": "instrument", "in": [name]} for name in ("harp", "choir", "sitar", "banjo")],
]


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log2(p)).sum(axis=-1)


@pytest.mark.parametrize("law", LAWS)
def test_every_value_is_possible_in_every_law(law: str) -> None:
    tables = laws._tables(LAWS[law])
    for name in ("genre", "mood", "lead", "bass", "drums", "key", "mode", "bpm"):
        table = getattr(tables, name)
        assert (table > 0).all(), name
        np.testing.assert_allclose(table.sum(axis=-1), 1.0)
    np.testing.assert_allclose(tables.sets.sum(axis=-1), 1.0)
    # each instrument but the lead may accompany
    np.testing.assert_array_equal((tables.sets @ laws._membership() > 0).all(axis=0), ~np.eye(29, dtype=bool))


@pytest.mark.parametrize("law", LAWS)
def test_mood_and_lead_are_far_from_determined_by_genre(law: str) -> None:
    tables = laws._tables(LAWS[law])
    assert 2.8 < tables.genre @ _entropy(tables.lead) < 4.0
    assert tables.genre @ _entropy(tables.mood) > 2.4
    # and yet the genre tells something
    assert _entropy(tables.genre @ tables.lead) - tables.genre @ _entropy(tables.lead) > 0.5


def test_draws_follow_the_tables() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_attributes("pc", rng) for _ in range(4000)]
    counts = Counter(a.genre for a in drawn)
    tables = laws._tables(LAWS["pc"])
    expected = tables.genre * len(drawn)
    statistic = sum((counts[g] - e) ** 2 / e for g, e in zip(GENRES, expected, strict=True))
    assert statistic < 40  # chi square, 15 degrees of freedom: p = 0.0005
    jazz = [a.drums for a in drawn if a.genre == "jazz"]
    assert Counter(jazz).most_common(1)[0][0] == "brushes"


def test_draws_are_consistent_and_repeatable() -> None:
    first = [sample_attributes("mc", np.random.default_rng(i)) for i in range(200)]
    assert first == [sample_attributes("mc", np.random.default_rng(i)) for i in range(200)]
    for a in first:
        assert a.lead not in a.accompaniment
        assert len(set(a.accompaniment)) == len(a.accompaniment) <= 3
        assert 45 <= a.bpm <= 200


@pytest.mark.parametrize("stated", STATED)
def test_conditioned_draws_satisfy_every_statement(stated: list[dict]) -> None:
    drawn = sample_satisfying(stated, "sd", 64, np.random.default_rng(1))
    truth = pd.DataFrame([a.row() for a in drawn])
    truth["bass"] = pd.Series([a.bass for a in drawn], dtype=object)
    for item in stated:
        assert Predicate.parse(item).holds(truth).all(), item


def test_conditioning_agrees_with_rejection() -> None:
    stated = [{"attribute": "instrument", "in": ["piano"]}, {"attribute": "instrument", "not_in": ["strings"]}]

    def accepts(a: Attributes) -> bool:
        return "piano" in a.instruments and "strings" not in a.instruments

    rng = np.random.default_rng(2)
    plain = [sample_attributes("web", rng) for _ in range(6000)]
    kept = [a for a in plain if accepts(a)]
    law = ConditionedLaw(LAWS["web"], stated)
    assert abs(len(kept) / len(plain) - law.probability) < 4 * np.sqrt(law.probability / len(plain))
    drawn = [law.sample(rng) for _ in range(3000)]
    for attribute in ("genre", "lead", "mood"):
        p, q = (Counter(getattr(a, attribute) for a in some) for some in (kept, drawn))
        distance = sum(abs(p[v] / len(kept) - q[v] / len(drawn)) for v in p | q) / 2
        assert distance < 0.09, attribute


def test_impossible_statements_and_unknown_laws_are_refused() -> None:
    with pytest.raises(UserError, match="no track can satisfy"):
        ConditionedLaw(LAWS["pc"], [{"attribute": "genre", "in": ["jazz"]}, {"attribute": "genre", "not_in": ["jazz"]}])
    with pytest.raises(UserError, match="web, pc, sd, mc"):
        sample_attributes("library", np.random.default_rng(0))
