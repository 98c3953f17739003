"""Twins for negatives and refinements: one attribute changed, and the statement's truth with it."""

from dataclasses import fields

import numpy as np
import pytest

from bench.datasets.gmcaps import corpus
from bench.datasets.gmcaps.attributes import Attributes
from bench.datasets.gmcaps.twins import twin_with, twin_without, where_key
from bench.datasets.predicates import Predicate

TRACKS = [corpus.track("sd", "test", i) for i in range(24)]
STATEMENTS = {
    "genre": (Predicate("genre", in_=("rock", "pop", "jazz")),),
    "guitar": (Predicate("instrument", in_=("acoustic guitar", "electric guitar", "distorted guitar")),),
    "drums": (Predicate("drums", not_in=("none",)),),
    "fast": (Predicate("bpm", min=120),),
    "slow word": (Predicate("tempo", in_=("slow",)),),
    "c major": (Predicate("key", in_=("C",)), Predicate("mode", in_=("major",))),
}


def holds(track, where):
    truth = corpus.truth_frame([track])
    return all(bool(p.holds(truth)[0]) for p in where)


def changed(a, b):
    return [f.name for f in fields(Attributes) if getattr(a.attributes, f.name) != getattr(b.attributes, f.name)]


@pytest.mark.parametrize("name", STATEMENTS)
@pytest.mark.parametrize("make", [twin_without, twin_with])
def test_a_twin_differs_in_one_attribute_and_in_the_truth_of_the_statement(name, make):
    where = STATEMENTS[name]
    made = 0
    for track in TRACKS:
        twin = make(track, where)
        if holds(track, where) is (make is twin_with):
            assert twin is None
        elif twin is not None:
            made += 1
            assert len(changed(track, twin)) == 1
            assert holds(twin, where) is (make is twin_with)
            assert twin.seed == track.seed
    assert made or (name, make) == ("c major", twin_with)


def test_a_guitar_in_lead_and_accompaniment_cannot_go_by_one_change():
    both = [
        t for t in (corpus.track("sd", "test", i) for i in range(706))
        if "guitar" in t.attributes.lead and any("guitar" in a for a in t.attributes.accompaniment)
    ]  # fmt: skip
    assert both
    assert all(twin_without(track, STATEMENTS["guitar"]) is None for track in both)


def test_the_choice_of_a_twin_is_its_seeds_and_not_always_the_same_value():
    rocks = [t for t in TRACKS if t.attributes.genre == "rock"]
    where = (Predicate("genre", in_=("rock",)),)
    assert [twin_without(t, where) for t in rocks] == [twin_without(t, where) for t in rocks]
    assert len({twin_without(t, where).attributes.genre for t in rocks}) > 1
    assert any(twin_without(t, where, seed=1) != twin_without(t, where) for t in rocks)


def test_equal_statements_have_equal_keys():
    given = {"attribute": "bpm", "min": 120}
    assert where_key([given]) == where_key([Predicate.parse(given)])
    assert where_key([given]) != where_key([{"attribute": "bpm", "min": 121}])


def test_a_full_accompaniment_makes_room():
    full = next(t for t in TRACKS if len(t.attributes.accompaniment) == 3)
    missing = next(n for n in ("banjo", "sitar", "harp", "choir") if n not in full.attributes.instruments)
    twin = twin_with(full, (Predicate("instrument", in_=(missing,)),))
    assert twin is not None
    assert missing in twin.attributes.accompaniment
    assert len(twin.attributes.accompaniment) == 3
    assert np.isin(missing, twin.attributes.instruments)
