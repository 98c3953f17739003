"""Modality gap and hubness: hand numbers, scipy's skewness, and lists drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from bench.metrics.geometry import Hubness, hubness, modality_gap


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(12)


def test_gap_by_loop_and_invariances(rng: np.random.Generator) -> None:
    t, a = rng.normal(size=(30, 5)) + 1, rng.normal(size=(20, 5))
    mean_t = sum(v / np.sqrt(v @ v) for v in t) / 30
    mean_a = sum(v / np.sqrt(v @ v) for v in a) / 20
    base = modality_gap(t, a)
    assert base == pytest.approx(np.sqrt(sum((mean_t - mean_a) ** 2)))
    assert modality_gap(a, t) == pytest.approx(base)
    assert modality_gap(t[::-1] * rng.uniform(1e-3, 1e3, (30, 1)), a) == pytest.approx(base)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert modality_gap(t @ turn, a @ turn) == pytest.approx(base)
    assert modality_gap(np.repeat(t, 3, axis=0), a) == pytest.approx(base)


def test_gap_limits(rng: np.random.Generator) -> None:
    t = rng.normal(size=(40, 6))
    assert modality_gap(t, 5 * t) == pytest.approx(0.0, abs=1e-12)
    assert modality_gap([[1.0, 0.0]], [[-7.0, 0.0]]) == pytest.approx(2.0)
    # Two samples of one distribution on the sphere: E gap² = 1/n + 1/m.
    squares = [modality_gap(*rng.normal(size=(2, 50, 6))) ** 2 for _ in range(300)]
    assert np.mean(squares) == pytest.approx(2 / 50, rel=0.15)


@pytest.mark.parametrize(
    ("text", "audio", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), "rows of 2 and 4"),
        (np.ones((0, 2)), np.ones((3, 2)), "text is empty"),
        (np.ones((3, 2)), np.ones((0, 2)), "audio is empty"),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), np.ones((3, 2)), "text: 1 vectors are zero"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "audio: 6 of 6 entries"),
        (np.ones(3), np.ones((3, 2)), "2 axes"),
    ],
)
def test_gap_bad_input(text: np.ndarray, audio: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        modality_gap(text, audio)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 8), st.integers(0, 30))
def test_hubness_is_the_skewness_of_a_count(seed: int, queries: int, k: int, more: int) -> None:
    rng = np.random.default_rng(seed)
    n = k + more
    weight = rng.random(n) ** 4 + 1e-6
    top = np.stack([rng.choice(n, k, replace=False, p=weight / weight.sum()) for _ in range(queries)])
    counts = np.array([sum(item in row for row in top.tolist()) for item in range(n)])
    found = hubness(top, n)
    expected = skew(counts) if np.ptp(counts) else 0.0
    assert found.skewness == pytest.approx(expected, abs=1e-9)
    assert found.never_retrieved == pytest.approx(100 * np.mean(counts == 0))
    assert found.max_occurrence == counts.max()
    shuffled = rng.permuted(top[rng.permutation(queries)], axis=1)
    assert hubness(rng.permutation(n)[shuffled], n) == pytest.approx(found)  # order and names do not matter


def test_hubness_limits() -> None:
    assert hubness([[0, 1], [2, 3]], 4) == Hubness(0.0, 0.0, 1)  # all equally often
    assert hubness([[0, 1, 2]] * 7, 3) == Hubness(0.0, 0.0, 7)
    # One item in every list, of a gallery of N: skewness (N − 2)/√(N − 1).
    assert hubness([[4]] * 20, 101) == pytest.approx((99 / 10, 100 * 100 / 101, 20))


def test_a_constant_scorer_is_a_hub_and_chance_is_not(rng: np.random.Generator) -> None:
    chance = hubness(np.stack([rng.choice(500, 10, replace=False) for _ in range(1000)]), 500)
    # N_k is near Poisson(20): skewness 1/√20.
    assert chance.skewness == pytest.approx(20**-0.5, abs=0.25)
    assert chance.never_retrieved == 0.0
    constant = hubness(np.tile(np.arange(10), (1000, 1)), 500)
    assert constant.skewness > 5
    assert constant.never_retrieved == pytest.approx(98.0)


@pytest.mark.parametrize(
    ("top", "n", "message"),
    [
        ([[0, 5]], 5, r"items 0\.\.5, outside the gallery of 5"),
        ([[-1, 2]], 5, r"items -1\.\.2"),
        ([[0.0, 1.0]], 5, "type float64"),
        ([0, 1], 5, "gallery indices are needed"),
        (np.zeros((0, 3), int), 5, "gallery indices are needed"),
        ([[0, 1], [2, 2], [3, 3]], 5, "2 lists hold an item twice, the first in row 1"),
    ],
)
def test_hubness_bad_input(top: Any, n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hubness(top, n)
