"""What a metric declares, and the metric of one key, whose repr is that key."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bench.metrics.measured import Measured, Metric


def family(**changes):
    given = {
        "name": "R@k", "pattern": r"R@(?P<k>[1-9]\d*)", "unit": "%", "higher_is_better": True, "range": (0, 100),
        "description": "hits", "per_query": lambda m, key: 100.0 * (m.ranks <= int(key["k"])), "needs": ("ranks",),
    }  # fmt: skip
    return Metric(**{**given, **changes})


def measured(ranks):
    n = len(ranks)
    return Measured(np.ones((n, 1, 2)), np.ones((n, 2)), np.asarray(ranks, dtype=float), 50, np.zeros((n, 10), int))


def test_the_repr_of_a_bound_metric_is_its_key():
    bound = family().bind("R@10")
    assert repr(bound) == str(bound) == bound.key == "R@10"
    assert repr(family()) == "R@k"
    assert {bound: 1}[bound] == 1
    assert repr([family().bind("R@1"), bound]) == "[R@1, R@10]"


def test_a_bound_metric_declares_what_its_family_does():
    bound = family().bind("R@10")
    assert bound.info() == {"higher_is_better": True, "unit": "%", "range": [0, 100], "level": "query"}
    assert (bound.needs, bound.level) == (("ranks",), "query")


def test_a_bound_metric_computes_its_own_key():
    m = measured([1, 4, 11])
    assert family().bind("R@10").values(m).tolist() == [100, 100, 0]
    assert family().bind("R@1").values(m).tolist() == [100, 0, 0]
    total = family(per_query=None, statistic=lambda m, key, rows: float(m.ranks[rows].sum() * int(key["k"])))
    assert total.bind("R@3").of_set(m, np.array([0, 2])) == 36


def test_bound_metrics_are_equal_by_family_and_key():
    one = family()
    assert one.bind("R@10") == one.bind("R@10") != one.bind("R@5")
    assert one.bind("R@10") != family(name="other").bind("R@10")


@pytest.mark.parametrize("key", ["R@0", "R@", "R@10(neg)", "", "xR@10"])
def test_a_key_of_another_family_is_refused(key):
    with pytest.raises(ValueError, match=re.escape(f"does not answer to {key!r}")):
        family().bind(key)


def test_values_and_sets_are_not_mixed_up():
    m = measured([1])
    with pytest.raises(ValueError, match="R@1 is a metric of queries"):
        family().bind("R@1").of_set(m, np.array([0]))
    with pytest.raises(ValueError, match="R@1 is a metric of a set"):
        family(per_query=None, statistic=lambda m, key, rows: 0.0).bind("R@1").values(m)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"per_query": None}, "give either per_query or statistic"),
        ({"statistic": lambda m, key, rows: 0.0}, "give either per_query or statistic"),
        ({"range": (100, 0)}, "the range .100, 0. is empty"),
        ({"range": (1, 1)}, "is empty"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        family(**changes)
