"""Holm's correction and the verdict: by hand, as properties, and their errors under planted effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import stats

P_VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(stats.holm([0.01, 0.02, 0.03, 0.04]), [0.04, 0.06, 0.06, 0.06])
    np.testing.assert_allclose(stats.holm([0.9, 0.8, 0.001]), [1, 1, 0.003])
    np.testing.assert_array_equal(stats.holm([None, float("nan"), 0.5]), [np.nan, np.nan, 0.5])
    assert stats.holm([]).shape == (0,)


@given(P_VALUES, st.floats(0.01, 0.2))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float | None], alpha: float) -> None:
    adjusted = stats.holm(p_values)
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    rejected: set[int] = set()
    for step, (p, i) in enumerate(tested):
        if p * (len(tested) - step) > alpha:
            break
        rejected.add(i)
    assert {i for i in range(len(p_values)) if adjusted[i] <= alpha} == rejected
    assert all(np.isnan(adjusted[i]) == (p is None) for i, p in enumerate(p_values))
    reverse = stats.holm(p_values[::-1])
    np.testing.assert_array_equal(reverse[::-1], adjusted)


@pytest.mark.parametrize(
    ("ends", "p", "margin", "expect", "said"),
    [
        ((0.03, 0.05), 0.01, 0.02, ">", "supported"),
        ((0.03, 0.05), 0.06, 0.02, ">", "inconclusive"),
        ((0.03, 0.05), None, 0.02, ">", "inconclusive"),
        ((0.03, 0.05), np.nan, 0.02, ">", "inconclusive"),
        ((0.02, 0.05), 0.01, 0.02, ">", "inconclusive"),  # the end touches the bound
        ((0.0, 0.01), 0.01, 0.02, ">", "contradicted"),  # an effect, but smaller than claimed
        ((-0.05, -0.03), 0.01, 0.02, "<", "supported"),
        ((-0.05, -0.01), 0.01, 0.02, "<", "inconclusive"),
        ((-0.01, 0.01), 0.01, 0.02, "<", "contradicted"),
        ((np.nan, np.nan), 0.01, 0.02, "<", "inconclusive"),
        ((0.03, np.inf), 0.01, 0.02, ">", "supported"),
    ],
)
def test_verdict_table(ends: tuple[float, float], p: float | None, margin: float, expect: Any, said: str) -> None:
    assert stats.verdict(stats.Interval(*ends), p, margin, expect=expect) == said


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_verdict_on_b_less_than_a_is_that_on_a_greater_than_b(lo: float, width: float, p: float, margin: float) -> None:
    turned = stats.verdict(stats.Interval(-lo - width, -lo), p, margin, expect="<")
    assert turned == stats.verdict(stats.Interval(lo, lo + width), p, margin)


MARGIN = 0.8
EFFECTS = {"none": 0.0, "half a margin": 0.4, "the margin": 0.8, "two margins": 1.6}


@pytest.mark.slow
@pytest.mark.parametrize("expect", [">", "<"])
@pytest.mark.parametrize("name", EFFECTS)
def test_planted_effects_get_their_verdicts(name: str, expect: Any, crossed: Callable) -> None:
    rng = np.random.default_rng(8)
    sign, said = 1.0 if expect == ">" else -1.0, []
    for _ in range(2000):
        values, i, j = crossed(rng, 20, 40)
        estimate = stats.two_way_clustered(values + sign * EFFECTS[name], i, j)
        p = stats.holm([stats.p_value(estimate, sign * MARGIN)])[0]
        said.append(stats.verdict(stats.interval(estimate), p, MARGIN, expect=expect))
    share = {verdict: said.count(verdict) / len(said) for verdict in ("supported", "contradicted")}
    if name == "the margin":
        # The bound itself: either verdict is an error, each of half the level.
        assert 0.015 < share["supported"] < 0.035
        assert 0.015 < share["contradicted"] < 0.035
    elif name == "two margins":
        assert share["supported"] > 0.9
        assert share["contradicted"] < 0.001
    else:
        assert share["supported"] < 0.01
        assert share["contradicted"] > (0.9 if name == "none" else 0.3)


@pytest.mark.slow
def test_holm_keeps_the_chance_of_any_false_verdict(crossed: Callable) -> None:
    rng = np.random.default_rng(9)
    any_false = {False: 0, True: 0}
    for _ in range(2000):
        estimates = [stats.two_way_clustered(*crossed(rng, 20, 30)) for _ in range(5)]
        p = np.array([stats.p_value(estimate) for estimate in estimates])
        for corrected, used in ((False, p), (True, stats.holm(p))):
            said = [stats.verdict(stats.interval(e), q) for e, q in zip(estimates, used, strict=True)]
            any_false[corrected] += any(verdict != "inconclusive" for verdict in said)
    assert any_false[True] / 2000 < 0.06
    assert any_false[False] / 2000 > 0.15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.holm([0.5, 1.2, -0.1]), r"2 p values lie outside \[0, 1\], the first at 1: 1.2"),
        (lambda: stats.verdict(stats.Interval(0, 1), 0.5, expect="="), "expect = '='"),  # type: ignore[arg-type]
        (lambda: stats.verdict(stats.Interval(0, 1), 0.5, margin=-0.1), "margin = -0.1"),
        (lambda: stats.verdict(stats.Interval(0, 1), 0.5, margin=float("nan")), "margin = nan"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
