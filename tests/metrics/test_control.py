"""Control by the truth: shares, the oracle against shuffled sorting, frontier geometry by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import control as c


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_share_by_loop(rng: np.random.Generator) -> None:
    top = np.stack([rng.permutation(40)[:10] for _ in range(8)])
    one, many = rng.random(40) < 0.3, rng.random((8, 40)) < 0.3
    np.testing.assert_allclose(c.share_at_k(top, one), [sum(one[j] for j in row) / 10 for row in top])
    np.testing.assert_allclose(c.share_at_k(top, many), [m[row].sum() / 10 for m, row in zip(many, top, strict=True)])
    np.testing.assert_array_equal(c.share_at_k(top, np.ones(40, bool)), 1.0)


def test_kept_by_loop_and_nan_where_nothing_is_stated(rng: np.random.Generator) -> None:
    masks = [rng.random(30) < 0.5 for _ in range(4)]
    top = np.stack([rng.permutation(30)[:10] for _ in range(3)])
    stated = [[masks[0]], [], masks]
    kept = c.kept_at_k(top, stated)
    assert kept[0] == pytest.approx(masks[0][top[0]].mean())
    assert np.isnan(kept[1])
    assert kept[2] == pytest.approx(np.mean([[m[j] for j in top[2]] for m in masks]))
    assert np.isnan(c.oracle_kept_at_k(stated, np.zeros(30, bool))[1])


def test_oracle_is_the_mean_over_shuffled_sorts(rng: np.random.Generator) -> None:
    stated = [rng.random(25) < p for p in (0.3, 0.5, 0.2)]
    negated = rng.random(25) < 0.4
    total = np.zeros(25)
    for _ in range(3000):
        order = np.lexsort((rng.random(25), -np.sum(stated, axis=0), negated))
        total[order[:10]] += 1
    np.testing.assert_allclose(c.oracle_top_k(stated, negated, 10), total / 3000, atol=0.05)
    kept = np.mean([(total / 3000)[m].sum() / 10 for m in stated])
    assert c.oracle_kept_at_k([stated], negated[None], 10)[0] == pytest.approx(kept, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15))
def test_oracle_weights_are_probabilities_and_obey_first(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    stated = [rng.random(15) < 0.5 for _ in range(rng.integers(0, 4))]
    negated = rng.random(15) < rng.random()
    weights = c.oracle_top_k(stated, negated, k)
    assert weights.sum() == pytest.approx(k)
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert weights[~negated].sum() == pytest.approx(min(k, (~negated).sum()))


def test_kept_relative_to_the_oracle(rng: np.random.Generator) -> None:
    stated = [[np.array([1, 1, 0, 0], bool)], [np.array([1, 1, 0, 0], bool)], [np.array([1, 0, 0, 0], bool)], []]
    negated = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    top = np.array([[1, 2], [2, 3], [1, 2], [0, 1]])
    # The oracle keeps 1 of 2, then 2 of 2; in row 3 only the negated item has what is stated.
    np.testing.assert_array_equal(c.kept_relative_to_oracle(top, stated, negated), [1.0, 0.0, np.nan, np.nan])
    assert c.kept_relative_to_oracle(np.array([[0, 1]]), stated[:1], negated[:1])[0] == 2.0  # by disobeying


def test_overlap() -> None:
    np.testing.assert_allclose(c.overlap_at_k([[1, 2, 3], [4, 5, 6]], [[3, 2, 1], [4, 7, 8]]), [1, 1 / 3])


def test_frontier_by_hand() -> None:
    assert c.frontier_area([0.0, 1.0], [1.0, 1.0]) == 1.0  # removes all, keeps all
    assert c.frontier_area([0.0, 1.0], [1.0, 0.0]) == 0.5
    assert c.frontier_area([0.0], [1.0]) == 0.0  # removes nothing
    assert c.frontier_area([0.0, 0.4], [1.0, 0.5]) == pytest.approx(0.3)  # nothing beyond .4
    # A dominated point (less removed, less kept) only flattens the way to the better one.
    assert c.frontier_area([0.0, 0.2, 0.5], [0.8, 0.1, 0.8]) == pytest.approx(0.4)
    assert c.frontier_area([0.0, -0.3, 1.7], [1.0, 0.2, 1.0]) == pytest.approx(1.0)
    assert np.isnan(c.frontier_area([0.0, np.nan], [1.0, 0.4]))
    assert np.isnan(c.frontier_area([0.0, 0.5], [1.0, np.nan]))


def test_frontier_equals_a_fine_staircase(rng: np.random.Generator) -> None:
    for _ in range(20):
        x, y = np.append(0.0, rng.uniform(-0.1, 1, 6)), rng.uniform(0, 1, 7)
        clipped = np.clip(x, 0, 1)
        order = np.lexsort((y, clipped))
        envelope = [max(y[clipped >= clipped[i]]) for i in order]
        grid = np.linspace(0, 1, 20001)
        heights = np.interp(grid, clipped[order], envelope)
        # np.interp takes the first of equal removals where the line comes from the left: those have no width.
        heights[grid > clipped.max()] = 0
        assert c.frontier_area(x, y) == pytest.approx(heights.mean(), abs=2e-3)


def test_frontier_order_does_not_matter_and_axes_are_kept(rng: np.random.Generator) -> None:
    x, y = rng.uniform(0, 1, (3, 4, 6)), rng.uniform(0, 1, (3, 4, 6))
    x[..., 0] = 0
    areas = c.frontier_area(x, y)
    assert areas.shape == (3, 4)
    assert areas[1, 2] == c.frontier_area(x[1, 2], y[1, 2])
    order = rng.permutation(6)
    np.testing.assert_allclose(c.frontier_area(x[..., order], y[..., order]), areas)


def test_more_points_never_lower_the_envelope_at_the_same_removals(rng: np.random.Generator) -> None:
    x, y = np.array([0.0, 0.3, 0.6]), np.array([0.9, 0.7, 0.4])
    better = c.frontier_area(np.append(x, 0.6), np.append(y, 0.65))
    assert better > c.frontier_area(x, y)
    assert c.frontier_area(x, y + 0.1) > c.frontier_area(x, y)


def test_at_removal_by_hand() -> None:
    x, y = [0.0, 0.4, 0.3, 0.8], [1.0, 0.6, 0.5, 0.0]
    found = c.at_removal(x, y, [0.0, 0.2, 0.35, 0.8, 0.81, -0.1])
    # .35 is passed three times; the weakest strength that gets there counts.
    np.testing.assert_allclose(found, [1.0, 0.8, 0.65, 0.0, np.nan, np.nan])
    assert np.isnan(c.at_removal([0.0], [1.0], 0.5))
    assert c.at_removal([0.0], [1.0], 0.0) == 1.0
    assert c.at_removal([0.0, 0.0, 1.0], [3.0, 4.0, 5.0], 0.0) == 3.0
    assert np.isnan(c.at_removal([0.0, np.nan, 1.0], [3.0, 4.0, 5.0], 0.5))


def test_at_removal_over_leading_axes(rng: np.random.Generator) -> None:
    x, y = np.sort(rng.uniform(0, 1, (50, 5)), axis=1), rng.normal(size=(50, 5))
    target = rng.uniform(0, 1, 50)
    expected = [np.interp(t, a, b, np.nan, np.nan) for a, b, t in zip(x, y, target, strict=True)]
    np.testing.assert_allclose(c.at_removal(x, y, target), expected)
    assert c.at_removal(x, y, 0.5).shape == (50,)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"items 0\.\.7, outside the gallery of 5"):
        c.share_at_k([[0, 7]], np.ones(5, bool))
    with pytest.raises(ValueError, match=r"outside the gallery"):
        c.kept_at_k([[0, 7]], [[np.ones(5, bool)]])
    with pytest.raises(ValueError, match="gallery indices"):
        c.share_at_k([[0.0, 1.0]], np.ones(5, bool))
    with pytest.raises(ValueError, match="2 queries, but stated has 1"):
        c.kept_at_k([[0], [1]], [[]])
    with pytest.raises(ValueError, match="k = 6"):
        c.oracle_top_k([], np.zeros(5, bool), 6)
    with pytest.raises(ValueError, match="cannot be compared"):
        c.overlap_at_k([[0, 1]], [[0]])
    with pytest.raises(ValueError, match="as many removals"):
        c.frontier_area([0.0, 1.0], [1.0])


@pytest.mark.parametrize("shared", [True, False])
def test_gained_and_removed_by_loop(rng: np.random.Generator, shared: bool) -> None:
    before, after = (np.stack([rng.permutation(40)[:10] for _ in range(8)]) for _ in range(2))
    holds = rng.random(40) < 0.3 if shared else rng.random((8, 40)) < 0.3
    rows = [holds] * 8 if shared else list(holds)
    loop = np.array([
        sum(h[j] for j in a) / 10 - sum(h[j] for j in b) / 10 for a, b, h in zip(after, before, rows, strict=True)
    ])  # fmt: skip
    np.testing.assert_allclose(c.gained_at_k(before, after, holds), loop)
    np.testing.assert_allclose(c.removal_at_k(before, after, holds), -loop)
    # What is gained of a value is lost of its opposite, and what changes nothing gains nothing.
    np.testing.assert_allclose(c.gained_at_k(before, after, ~holds), -loop)
    np.testing.assert_array_equal(c.gained_at_k(before, rng.permuted(before, axis=1), holds), 0.0)
    np.testing.assert_allclose(c.gained_at_k(after, before, holds), -loop)
    assert (loop <= 1 - c.share_at_k(before, holds) + 1e-12).all()


def test_gain_of_a_constant_list_is_chance_minus_before(rng: np.random.Generator) -> None:
    holds = rng.random(2000) < 0.25
    before = np.stack([rng.choice(2000, 10, replace=False) for _ in range(400)])
    after = np.stack([rng.choice(2000, 10, replace=False) for _ in range(400)])
    assert abs(c.gained_at_k(before, after, holds).mean()) < 4 * np.sqrt(2 * 0.25 * 0.75 / 4000)


@pytest.mark.parametrize("measure", [c.gained_at_k, c.removal_at_k])
def test_gained_and_removed_bad_input(measure: Callable[..., np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"lists of shape \(1, 2\) and \(1, 1\) cannot be compared"):
        measure([[0, 1]], [[0]], np.ones(3, bool))
    with pytest.raises(ValueError, match=r"outside the gallery of 3"):
        measure([[0, 1]], [[0, 3]], np.ones(3, bool))
    with pytest.raises(ValueError, match=r"holds has shape \(2, 3\)"):
        measure([[0, 1]], [[0, 1]], np.ones((2, 3), bool))


def test_twin_wins_by_hand():
    queries = [[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [2.0, 0.0]]
    having = [[0.0, 1.0], [3.0, 0.1], [1.0, 0.0], [1.0, 0.0]]
    without = [[1.0, 0.2], [0.0, 1.0], [0.0, 1.0], [np.nan, np.nan]]
    np.testing.assert_array_equal(c.twin_wins(queries, having, without), [1.0, 0.0, 0.5, np.nan])


def test_twin_wins_of_a_query_that_does_not_care_are_at_chance():
    rng = np.random.default_rng(0)
    won = c.twin_wins(rng.normal(size=(2000, 8)), rng.normal(size=(2000, 8)), rng.normal(size=(2000, 8)))
    assert 0.46 < won.mean() < 0.54
