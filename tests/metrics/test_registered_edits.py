"""Metrics of edits: hand numbers, an oracle, rows that do not count, and reasons where there is no value."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.measured import Lazy, Measured
from bench.metrics.registered_edits import CLAP_SHIFT, EDIT_ACCURACY


def measured(vectors, **targets):
    given = np.asarray(vectors, dtype=np.float64)
    made = {name.replace("_plus", "+").replace("__", ":"): np.asarray(rows, float) for name, rows in targets.items()}
    return Measured(
        latents=given[:, None], vectors=given / np.linalg.norm(given, axis=1, keepdims=True), ranks=np.ones(len(given)),
        n_gallery=3, top=np.zeros((len(given), 1), dtype=int),
        targets=Lazy({name: lambda rows=rows: rows for name, rows in made.items()}, {"ZT:new": "deaf to text"}),
    )  # fmt: skip


def value(metric, key, m):
    match = metric.match(key)
    why = metric.why_null(m, match)
    assert why is None, why
    return metric.per_query(m, match)


def test_a_shift_by_hand():
    m = measured([[1, 0], [0, 2], [1, 1]], gen__new=[[0, 1]] * 3, gen_plus=[[5, 0]] * 3)
    np.testing.assert_allclose(value(CLAP_SHIFT, "CLAPshift(gen)", m), [-1, 1, 0], atol=1e-12)


@pytest.mark.parametrize("key", ["CLAPshift(gen)", "CLAPshift(words)"])
def test_a_shift_is_the_difference_of_two_cosines(key):
    rng = np.random.default_rng(0)
    q, to, away = rng.normal(size=(3, 20, 8))
    names = ("gen__new", "gen_plus") if "gen" in key else ("ZT__added", "ZT__removed")
    found = value(CLAP_SHIFT, key, measured(q, **dict(zip(names, (to, away), strict=True))))
    for row in range(20):
        cosines = [q[row] @ t[row] / np.linalg.norm(q[row]) / np.linalg.norm(t[row]) for t in (to, away)]
        assert found[row] == pytest.approx(cosines[0] - cosines[1])
    turned = value(CLAP_SHIFT, key, measured(q, **dict(zip(names, (away, to), strict=True))))
    np.testing.assert_allclose(found, -turned)


def test_a_query_without_one_of_the_ends_does_not_count():
    m = measured([[1, 0], [1, 0]], ZT__added=[[1, 0], [1, 0]], ZT__removed=[[0, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(value(CLAP_SHIFT, "CLAPshift(words)", m), [1, np.nan])


def test_what_is_missing_says_why():
    m = measured([[1, 0]], ZT_plus=[[1, 0]], ZA_plus=[[1, 0]])
    assert CLAP_SHIFT.why_null(m, CLAP_SHIFT.match("CLAPshift(ZT)")) == "deaf to text"
    assert "gen:new" in CLAP_SHIFT.why_null(m, CLAP_SHIFT.match("CLAPshift(gen)"))
    assert "original" in EDIT_ACCURACY.why_null(m, EDIT_ACCURACY.match("edit_accuracy"))
    assert CLAP_SHIFT.match("CLAPshift(ZA)") is None


def test_an_edit_is_right_where_the_twin_is_nearer_than_the_original():
    m = measured([[1, 0], [0, 1], [1, 1]], ZA_plus=[[9, 1]] * 3, original=[[1, 9]] * 3)
    np.testing.assert_array_equal(value(EDIT_ACCURACY, "edit_accuracy", m), [1, 0, 0.5])
