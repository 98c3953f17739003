"""Fréchet distance against scipy's matrix square root, hand numbers, and sets too small for their dimension."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from bench.errors import UserError
from bench.metrics.frechet import FrechetReference, SmallSampleWarning, frechet_distance, per_item_frechet

# Most sets here are small on purpose; the tests of the warning itself ask for it.
pytestmark = pytest.mark.filterwarnings("ignore::bench.metrics.frechet.SmallSampleWarning")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def slow(x: np.ndarray, y: np.ndarray) -> float:
    cx, cy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = sqrtm(cx @ cy)
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(cx + cy - 2 * np.real(root)))


def correlated(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 6), (60, 400, 20), (50, 60, 49)])
def test_equals_the_matrix_square_root(rng: np.random.Generator, n: int, m: int, d: int) -> None:
    x, y = correlated(rng, n, d), correlated(rng, m, d)
    assert frechet_distance(x, y) == pytest.approx(slow(x, y), rel=1e-6)
    assert FrechetReference.fit(x).distance(y) == pytest.approx(slow(x, y), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(5, 7, 40), (30, 4, 40), (2, 2, 3), (8, 300, 40)])
def test_rank_deficient_sets(rng: np.random.Generator, n: int, m: int, d: int) -> None:
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1
    # The cross term is the nuclear norm of the product of centred rows; a second way to it, by singular values.
    a, b = (x - x.mean(0)) / np.sqrt(n - 1), (y - y.mean(0)) / np.sqrt(m - 1)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.sum(a**2) + np.sum(b**2) - 2 * cross
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    assert FrechetReference.fit(x).distance(y) == pytest.approx(expected, rel=1e-6)


def test_gaussians_with_known_moments() -> None:
    reference = FrechetReference.from_moments([0.0, 0.0], np.diag([1.0, 4.0]))
    other = FrechetReference.from_moments([3.0, 4.0], np.diag([9.0, 4.0]))
    assert reference.distance(other) == pytest.approx(25 + (3 - 1) ** 2)
    assert frechet_distance([[-1.0], [1.0]], [[-2.0], [2.0]]) == pytest.approx(2.0)  # (sd 2√2 − sd √2)²


def test_equal_sets_are_at_zero_and_never_below(rng: np.random.Generator) -> None:
    for n, d in [(500, 8), (10, 50), (2, 64)]:
        x = rng.normal(size=(n, d)) * 1e3
        for value in (frechet_distance(x, x), FrechetReference.fit(x).distance(x[::-1])):
            assert 0 <= value < 1e-4 * np.var(x)
    assert frechet_distance(np.ones((4, 3)), np.ones((4, 3))) == 0.0
    assert FrechetReference.fit(np.ones((9, 3))).distance(np.zeros((9, 3))) == pytest.approx(3.0)


def test_symmetry_order_rotation_and_scale(rng: np.random.Generator) -> None:
    x, y = correlated(rng, 80, 12), correlated(rng, 90, 12)
    base = frechet_distance(x, y)
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    assert frechet_distance(y, x) == pytest.approx(base)
    assert frechet_distance(x[rng.permutation(80)], y) == pytest.approx(base)
    assert frechet_distance(x @ rotation + 5, y @ rotation + 5) == pytest.approx(base)
    assert frechet_distance(10 * x, 10 * y) == pytest.approx(100 * base)  # vectors are not normalised


def test_float32_input_is_computed_in_float64(rng: np.random.Generator) -> None:
    x, y = (rng.normal(size=(200, 16)).astype(np.float32) + 1000 for _ in range(2))
    assert frechet_distance(x, y) == frechet_distance(x.astype(np.float64), y.astype(np.float64))


def test_saved_reference_gives_the_same_number(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = rng.normal(size=(30, 9)), rng.normal(size=(40, 9))
    reference = FrechetReference.fit(x)
    reference.save(tmp_path / "jam.safetensors")
    assert FrechetReference.load(tmp_path / "jam.safetensors").distance(y) == reference.distance(y)
    assert [p.name for p in tmp_path.iterdir()] == ["jam.safetensors"]


def test_files_that_are_no_reference(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors: no such file"):
        FrechetReference.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(UserError, match="not a Fréchet reference"):
        FrechetReference.load(tmp_path / "text.safetensors")


def test_bad_input_is_named(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 3))
    with pytest.raises(ValueError, match="y has 1 vectors; a covariance needs 2"):
        FrechetReference.fit(x).distance(x[:1])
    with pytest.raises(ValueError, match="rows of 3 and 2"):
        frechet_distance(x, x[:, :2])
    with pytest.raises(ValueError, match="NaN or infinite"):
        frechet_distance(x, x * np.nan)
    with pytest.raises(ValueError, match="square of that side"):
        FrechetReference.from_moments(np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="not symmetric"):
        FrechetReference.from_moments(np.zeros(2), [[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(ValueError, match="negative eigenvalue"):
        FrechetReference.from_moments(np.zeros(2), np.diag([1.0, -1.0]))


def by_singular_values(x: np.ndarray, y: np.ndarray) -> float:
    """Second oracle, which needs no rank: the cross term as the nuclear norm of a product of thin factors."""
    a, b = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (x, y))
    if len(b) > b.shape[1]:
        b = np.linalg.qr(b, mode="r")
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.sum(a**2) + np.sum(b**2) - 2 * cross)


def awkward(rng: np.random.Generator, n: int, d: int, kind: str) -> np.ndarray:
    x = rng.normal(size=(n, d)) + rng.normal(size=d)
    if kind == "duplicates":
        x = x[rng.integers(0, max(2, n // 3), n)]
    elif kind == "constant columns":
        x[:, : (d + 1) // 2] = rng.normal(size=(d + 1) // 2)
    elif kind == "steep":
        x *= np.geomspace(1, 1e-7, d)
    elif kind == "equal":
        x[:] = x[0]
    return x


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(2, 60), st.integers(2, 60), st.integers(1, 40)),
    kinds=st.tuples(*[st.sampled_from(["plain", "duplicates", "constant columns", "steep", "equal"])] * 2),
    exponent=st.integers(-30, 30),
)
def test_any_shape_kind_and_scale(
    seed: int, shape: tuple[int, int, int], kinds: tuple[str, str], exponent: int
) -> None:
    rng = np.random.default_rng(seed)
    n, m, d = shape
    x, y = awkward(rng, n, d, kinds[0]), awkward(rng, m, d, kinds[1])
    expected, factor = max(0.0, by_singular_values(x, y)), 10.0**exponent
    tolerance = 1e-6 * expected + 1e-12 * (np.var(x) + np.var(y)) * d + 1e-13
    values = [
        frechet_distance(x, y),
        frechet_distance(y, x),
        FrechetReference.fit(x).distance(y),
        FrechetReference.fit(y).distance(FrechetReference.fit(x)),
        frechet_distance(x * factor, y * factor) / factor**2,
    ]
    for value in values:
        assert isinstance(value, float)
        assert value >= 0
    # A reference keeps its covariance, which holds a direction's variance to 1e-16 of the largest.
    loose = tolerance + 3e-7 * (np.var(x) + np.var(y)) * d * np.sqrt(d)
    for value, within in zip(values, [tolerance, tolerance, loose, loose, tolerance], strict=True):
        assert value == pytest.approx(expected, abs=within)


def test_constant_shift_and_repeated_rows(rng: np.random.Generator) -> None:
    x = rng.normal(size=(100, 6))
    assert frechet_distance(x, x + 2.0) == pytest.approx(24.0)
    assert frechet_distance(np.ones((30, 6)), np.ones((30, 6)) * 3) == pytest.approx(24.0)
    # Doubling a set changes its unbiased covariance by a known factor only: (2n/(2n − 1)) / (n/(n − 1)).
    factor = (200 / 199) / (100 / 99)
    expected = np.trace(np.cov(x, rowvar=False)) * (1 - np.sqrt(factor)) ** 2
    assert frechet_distance(x, np.repeat(x, 2, axis=0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("n", "m", "who"), [(8, 30, "x has 8 v"), (30, 4, "y has 4 v"), (5, 6, "x has 5 and y has 6")])
def test_small_sets_give_a_number_and_a_warning(rng: np.random.Generator, n: int, m: int, who: str) -> None:
    x, y = rng.normal(size=(n, 8)), rng.normal(size=(m, 8))
    with pytest.warns(SmallSampleWarning, match=f"{who}.*lacks rank.*biased upwards") as caught:
        assert frechet_distance(x, y) > 0
    assert [w.filename for w in caught] == [__file__]  # it points at the caller
    with pytest.warns(SmallSampleWarning, match="in 8 dimensions"):
        FrechetReference.fit(x).distance(y)


def test_sets_above_their_dimension_are_quiet(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(9, 8)), rng.normal(size=(20, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(x, y)
        FrechetReference.fit(y).distance(x)
        FrechetReference.fit(x[:5])  # to fit is no claim yet
        FrechetReference.from_moments(np.zeros(8), np.eye(8)).distance(x)  # the count is unknown


def test_the_bias_that_the_warning_speaks_of(rng: np.random.Generator) -> None:
    reference = FrechetReference.from_moments(np.zeros(20), np.eye(20))
    few, many = (np.mean([reference.distance(rng.normal(size=(n, 20))) for _ in range(40)]) for n in (15, 200))
    assert few > 5 * many > 0


def test_saved_reference_keeps_its_count(rng: np.random.Generator, tmp_path: Path) -> None:
    x = rng.normal(size=(6, 9))
    FrechetReference.fit(x).save(tmp_path / "small.safetensors")
    loaded = FrechetReference.load(tmp_path / "small.safetensors")
    assert loaded.count == 6
    with pytest.warns(SmallSampleWarning, match="the reference has 6"):
        loaded.distance(rng.normal(size=(30, 9)))
    FrechetReference.from_moments(np.zeros(2), np.eye(2)).save(tmp_path / "moments.safetensors")
    assert FrechetReference.load(tmp_path / "moments.safetensors").count is None


@pytest.mark.parametrize("reference_size", [12, 300])
def test_per_item_is_the_distance_item_by_item(rng: np.random.Generator, reference_size: int) -> None:
    reference = FrechetReference.fit(correlated(rng, reference_size, 24))
    items = [correlated(rng, t, 24) for t in (2, 7, 30, 7, 24, 2)] + [np.ones((5, 24)), np.repeat(np.eye(24)[:2], 9, 0)]
    expected = [reference.distance(item) for item in items]
    np.testing.assert_allclose(per_item_frechet(items, reference), expected, rtol=1e-6)
    order = rng.permutation(len(items))
    np.testing.assert_allclose(per_item_frechet([items[i] for i in order], reference), np.array(expected)[order])
    stacked = rng.normal(size=(9, 4, 24))
    np.testing.assert_allclose(per_item_frechet(stacked, reference), [reference.distance(item) for item in stacked])


def test_per_item_in_chunks_and_of_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, items = FrechetReference.fit(rng.normal(size=(50, 6))), rng.normal(size=(11, 5, 6))
    whole = per_item_frechet(items, reference)
    monkeypatch.setattr("bench.metrics.frechet._CHUNK", 60)
    np.testing.assert_allclose(per_item_frechet(items, reference), whole)
    assert per_item_frechet([], reference).shape == (0,)


def test_per_item_finds_the_odd_one(rng: np.random.Generator) -> None:
    reference = FrechetReference.fit(rng.normal(size=(400, 16)))
    items = rng.normal(size=(20, 10, 16))
    items[13] += 1.5
    assert per_item_frechet(items, reference).argmax() == 13


def _one_frame(items: list[np.ndarray]) -> None:
    items[2] = items[2][:1]


def _narrow(items: list[np.ndarray]) -> None:
    items[1] = items[1][:, :2]


def _nan(items: list[np.ndarray]) -> None:
    items[1][3, 2] = np.nan


def _flat(items: list[np.ndarray]) -> None:
    items[0] = items[0][0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_one_frame, "item 2 has 1 frames; a covariance needs 2"),
        (_narrow, "item 1 has frames of 2 entries, the reference 4"),
        (_nan, r"item 1: 1 of 20 entries are NaN or infinite, the first at \(3, 2\)"),
        (_flat, r"item 0 has shape \(4,\); 2 axes"),
    ],
)
def test_per_item_names_a_bad_item(
    rng: np.random.Generator, spoil: Callable[[list[np.ndarray]], None], message: str
) -> None:
    items = [rng.normal(size=(5, 4)) for _ in range(3)]
    spoil(items)
    with pytest.raises(ValueError, match=message):
        per_item_frechet(items, FrechetReference.fit(rng.normal(size=(9, 4))))


@pytest.mark.parametrize("scale", [1e200, 1e-100])
def test_scales_that_no_square_holds_are_refused(rng: np.random.Generator, scale: float) -> None:
    x = rng.normal(size=(9, 3))
    with pytest.raises(ValueError, match=r"total variance.*rescale"):
        frechet_distance(x * scale, x)
    with pytest.raises(ValueError, match=r"total variance.*rescale"):
        FrechetReference.fit(x * scale)
    with pytest.raises(ValueError, match="an item has a total variance"):
        per_item_frechet([x * scale], FrechetReference.fit(x))
