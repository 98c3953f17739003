"""The bootstrap of clusters against naive resampling and scipy, and its counts against the multinomial law."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench import _stats_resampling, stats
from bench._stats_resampling import resampled_counts


def expanded(level: float, count: int) -> float:
    """Level of the plain interval that has the tails of Hesterberg's expanded one."""
    t = scipy_stats.t.ppf((1 + level) / 2, count - 1)
    return float(2 * scipy_stats.norm.cdf(np.sqrt(count / (count - 1)) * t) - 1)


def naive(statistic: Callable, values: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ends of the expanded interval from resampled clusters, put together row by row."""
    members = [values[codes == g] for g in np.unique(codes)]
    count = len(members)
    drawn = [statistic(np.concatenate([members[g] for g in rng.integers(0, count, count)])) for _ in range(4000)]
    tail = (1 - expanded(0.95, count)) / 2
    return np.quantile(drawn, [tail, 1 - tail])


def counts(count: int, n_resamples: int, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(resampled_counts(count, n_resamples, seed)))


# --- the counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "n_resamples"), [(2, 20_000), (3, 20_000), (4, 40_000)])
def test_counts_of_few_clusters_follow_the_multinomial_law(count: int, n_resamples: int) -> None:
    seen, frequency = np.unique(counts(count, n_resamples).astype(int), axis=0, return_counts=True)
    assert (seen.sum(axis=1) == count).all()
    expected = [factorial(count) / np.prod([factorial(k) for k in row]) / count**count for row in seen]
    assert sum(expected) == pytest.approx(1)  # every outcome occurs
    assert scipy_stats.chisquare(frequency, n_resamples * np.array(expected)).pvalue > 0.001


@pytest.mark.parametrize("count", [30, 64, 706])
def test_counts_of_many_clusters_follow_the_binomial_law(count: int) -> None:
    drawn = counts(count, 2_000_000 // count)
    assert (drawn.sum(axis=1) == count).all()
    frequency = np.bincount(drawn.astype(int).ravel(), minlength=9)
    law = scipy_stats.binom(count, 1 / count)
    expected = drawn.size * np.append(law.pmf(np.arange(8)), law.sf(7))
    observed = np.append(frequency[:8], frequency[8:].sum())
    # Counts of a row depend on each other a little, which makes the statistic smaller, not larger.
    assert scipy_stats.chisquare(observed, expected).pvalue > 0.001
    # Clusters are alike: their totals are multinomial too.
    assert scipy_stats.chisquare(drawn.sum(axis=0)).pvalue > 0.001
    assert np.cov(drawn[:, 0], drawn[:, -1])[0, 1] == pytest.approx(-1 / count, abs=5 / np.sqrt(len(drawn)))


def test_rows_drawn_anew_are_frequent_enough_to_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without spare draws about half of the rows go beyond the total in the first pass.
    monkeypatch.setattr(_stats_resampling, "SPARE", 0.0)
    drawn = counts(50, 40_000)
    assert (drawn.sum(axis=1) == 50).all()
    assert drawn.var() == pytest.approx(1 - 1 / 50, rel=0.01)
    third = scipy_stats.binom(50, 1 / 50).stats("s") * (1 - 1 / 50) ** 1.5
    assert np.mean((drawn - 1) ** 3) == pytest.approx(float(third), rel=0.03)


@pytest.mark.parametrize("count", [1, 7, 50, 705])
def test_chunks_do_not_change_the_counts(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counts(count, 300)
    for entries in (1, 10_000):
        monkeypatch.setattr(_stats_resampling, "ENTRIES", entries)
        np.testing.assert_array_equal(counts(count, 300), whole)
    np.testing.assert_array_equal(counts(count, 100), whole[:100])
    assert count == 1 or not np.array_equal(counts(count, 300, seed=1), whole)


# --- means ------------------------------------------------------------------------------------------------------------


def test_interval_is_that_of_naive_resampling(rng: np.random.Generator, clustered: Callable) -> None:
    values, codes = clustered(rng, 60)
    ours = stats.bootstrap_ci(values, codes)
    np.testing.assert_allclose(ours, naive(np.mean, values, codes, rng), atol=0.04 * (ours.hi - ours.lo))


@pytest.mark.parametrize(("ours", "theirs"), [("percentile", "percentile"), ("bca", "BCa")])
def test_interval_is_that_of_scipy(ours: Any, theirs: str, rng: np.random.Generator, clustered: Callable) -> None:
    values = rng.exponential(size=200)
    level = expanded(0.9, 200)
    other = scipy_stats.bootstrap((values,), np.mean, method=theirs, confidence_level=level, rng=rng)
    found = stats.bootstrap_ci(values, level=0.9, method=ours)
    np.testing.assert_allclose(found, other.confidence_interval, atol=0.03 * (found.hi - found.lo))
    # Clusters: scipy resamples pairs of sum and size.
    values, codes = clustered(rng, 90)
    values = np.exp(values)
    sums, sizes = np.bincount(codes, values), np.bincount(codes)
    other = scipy_stats.bootstrap(
        (sums, sizes),
        lambda s, n, axis=-1: s.sum(axis) / n.sum(axis),
        paired=True, method=theirs, confidence_level=expanded(0.95, 90), rng=rng,
    )  # fmt: skip
    found = stats.bootstrap_ci(values, codes, method=ours)
    np.testing.assert_allclose(found, other.confidence_interval, atol=0.03 * (found.hi - found.lo))


def test_bca_tails_are_those_of_efron_by_hand(rng: np.random.Generator) -> None:
    shifts, left_out = np.sort(rng.exponential(size=(999, 2)) - 0.6, axis=0), rng.exponential(size=(40, 2)) / 40
    tails = _stats_resampling._bca_tails(shifts, left_out, np.array([[0.02, 0.03], [0.98, 0.97]]))
    norm = scipy_stats.norm
    for column in range(2):
        bias = norm.ppf(np.mean(shifts[:, column] < 0))
        away = left_out[:, column].mean() - left_out[:, column]
        skew = sum(away**3) / sum(away**2) ** 1.5 / 6
        for tail, found in zip(([0.02, 0.98], [0.03, 0.97])[column], tails[:, column], strict=True):
            moved = bias + norm.ppf(tail)
            assert found == pytest.approx(norm.cdf(bias + moved / (1 - skew * moved)))


def test_bca_of_skewed_values_moves_to_the_long_tail(rng: np.random.Generator) -> None:
    values = rng.exponential(size=60)
    plain, corrected = stats.bootstrap_ci(values), stats.bootstrap_ci(values, method="bca")
    assert corrected.lo > plain.lo
    assert corrected.hi > plain.hi
    mirrored = stats.bootstrap_ci(-values, method="bca")
    np.testing.assert_allclose([-mirrored.hi, -mirrored.lo], corrected, rtol=1e-9)


def test_bca_falls_back_to_percentiles() -> None:
    rare = np.zeros(200)
    rare[0] = 1.0
    # One resample, or resamples that all lie on one side: no correction can be told.
    for resamples in (1, 2):
        assert stats.bootstrap_ci(rare, n_resamples=resamples, method="bca", seed=3) == stats.bootstrap_ci(
            rare, n_resamples=resamples, seed=3
        )
    constant = np.full(50, 0.3)
    assert stats.bootstrap_ci(constant, method="bca") == pytest.approx((0.3, 0.3))


def test_columns_share_resamples(rng: np.random.Generator, clustered: Callable) -> None:
    values, codes = clustered(rng, 50)
    ci = stats.bootstrap_ci(np.column_stack([values, values + 3, 2 * values]), codes, n_resamples=500)
    lo = np.asarray(ci.lo)
    np.testing.assert_allclose(lo, [lo[0], lo[0] + 3, 2 * lo[0]])
    np.testing.assert_allclose(stats.bootstrap_ci(values, codes, n_resamples=500), [lo[0], np.asarray(ci.hi)[0]])
    assert stats.bootstrap_ci(values, codes, seed=1) != stats.bootstrap_ci(values, codes, seed=2)
    assert stats.bootstrap_ci(values, codes, seed=1) == stats.bootstrap_ci(values, codes, seed=1)


def test_width_does_not_shrink_with_resamples(rng: np.random.Generator) -> None:
    values = rng.exponential(size=200)
    few, many = stats.bootstrap_ci(values), stats.bootstrap_ci(values, n_resamples=40_000)
    assert many.hi - many.lo == pytest.approx(few.hi - few.lo, rel=0.05)


def test_few_clusters_get_the_t_interval(rng: np.random.Generator, clustered: Callable) -> None:
    for method in ("percentile", "bca"):
        values, codes = clustered(rng, 29)
        expected = stats.interval(stats.two_way_clustered(values, codes), 0.9)
        assert stats.bootstrap_ci(values, codes, level=0.9, method=method) == pytest.approx(expected)  # type: ignore[arg-type]
    # With gaps a column's own clusters are counted.
    values, codes = clustered(rng, 40)
    sparse = np.where(codes < 12, values, np.nan)
    ci = stats.bootstrap_ci(np.column_stack([values, sparse]), codes)
    expected = stats.interval(stats.two_way_clustered(sparse, codes))
    assert (np.asarray(ci.lo)[1], np.asarray(ci.hi)[1]) == pytest.approx(expected)
    assert (np.asarray(ci.lo)[0], np.asarray(ci.hi)[0]) == pytest.approx(stats.bootstrap_ci(values, codes))


def test_interval_does_not_jump_at_thirty_clusters(rng: np.random.Generator) -> None:
    values = rng.normal(size=30)
    bootstrap, t = stats.bootstrap_ci(values), stats.interval(stats.two_way_clustered(values, np.arange(30)))
    assert bootstrap.hi - bootstrap.lo == pytest.approx(t.hi - t.lo, rel=0.06)


def test_gaps_do_not_count(rng: np.random.Generator, clustered: Callable) -> None:
    values, codes = clustered(rng, 60)
    gone = (rng.random(len(values)) < 0.3) | (codes < 5)
    with_nan = np.where(gone, np.nan, values)
    for method in ("percentile", "bca"):
        np.testing.assert_allclose(
            stats.bootstrap_ci(with_nan, codes, method=method),  # type: ignore[arg-type]
            stats.bootstrap_ci(values[~gone], codes[~gone], method=method),  # type: ignore[arg-type]
        )
    # Columns with different gaps: the ratio of each column's own sums and numbers of values.
    table = np.column_stack([np.where(rng.random(len(values)) < 0.2, np.nan, values) for _ in range(2)])
    both = stats.bootstrap_ci(table, codes)
    for column in range(2):
        alone = naive(np.nanmean, table[:, column], codes, rng)
        np.testing.assert_allclose([np.asarray(end)[column] for end in both], alone, atol=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from(["percentile", "bca"]))
def test_order_copies_shift_and_scale_do_not_matter(seed: int, rare: bool, method: Any) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 45, 150)
    values = (rng.random(150) < 0.05).astype(float) if rare else np.round(rng.normal(size=150), 1)

    def ends(v: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.array(stats.bootstrap_ci(v, c, n_resamples=400, method=method))

    expected = ends(values, codes)
    order = rng.permutation(150)
    np.testing.assert_allclose(ends(values[order], codes[order]), expected, atol=1e-12)
    np.testing.assert_allclose(ends(*np.tile([values, codes], 3)), expected, atol=1e-12)
    np.testing.assert_allclose(ends(2.0 * values - 40.0, codes), 2.0 * expected - 40.0, atol=1e-10)
    if method == "percentile":
        np.testing.assert_allclose(ends(-values, codes), -expected[::-1], atol=1e-12)


def test_large_offsets_lose_no_digits(rng: np.random.Generator) -> None:
    values = rng.normal(size=100).round(3)
    near, far = np.array(stats.bootstrap_ci(values)), np.array(stats.bootstrap_ci(values + 1e9))
    np.testing.assert_allclose(far - 1e9, near, atol=1e-6)


def test_degenerate_sizes() -> None:
    assert np.isnan(stats.bootstrap_ci([3.0])).all()
    assert np.isnan(stats.bootstrap_ci([1.0, 2.0, 3.0], ["a", "a", "a"])).all()
    assert np.isnan(stats.bootstrap_ci([np.nan, np.nan])).all()
    mixed = stats.bootstrap_ci([[1.0, np.nan]] * 40)
    np.testing.assert_array_equal(mixed.lo, [1.0, np.nan])
    two = stats.bootstrap_ci([0.0, 1.0])
    assert two == pytest.approx(scipy_stats.t.interval(0.95, 1, 0.5, 0.5))
    assert stats.bootstrap_ci(np.full((50, 2), 0.25)).lo == pytest.approx([0.25, 0.25])
    assert stats.bootstrap_ci([True, False] * 30).lo > 0.2
    assert isinstance(stats.bootstrap_ci(np.arange(40.0)).lo, float)


def test_a_statistic_of_a_set_is_sent_to_the_jackknife() -> None:
    with pytest.raises(TypeError, match=r"FAD, KAD, Vendi\) take jackknife_ci"):
        stats.bootstrap_ci(np.std, np.arange(10.0))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.0, 2.0], [0]), {}, r"2 rows, but cluster labels of shape \(1,\)"),
        (([],), {}, r"values have shape \(0,\)"),
        ((np.zeros((3, 0)),), {}, r"values have shape \(3, 0\)"),
        ((np.zeros((2, 2, 2)),), {}, r"values have shape \(2, 2, 2\)"),
        (([1.0, np.inf, -np.inf],), {}, "2 infinite values, the first in row 1"),
        (([1.0, 2.0], [0.0, np.nan]), {}, "1 cluster labels are missing, the first in row 1"),
        (([1.0, 2.0],), {"n_resamples": 0}, "n_resamples = 0"),
        (([1.0, 2.0],), {"level": 95}, "level = 95"),
        (([1.0, 2.0],), {"method": "basic"}, "method = 'basic'"),
    ],
)
def test_bad_input_is_named(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stats.bootstrap_ci(*arguments, **options)


# --- median ranks -----------------------------------------------------------------------------------------------------


def test_median_is_that_of_naive_resampling(rng: np.random.Generator) -> None:
    ranks = np.round(rng.exponential(300, 151)) + 1
    codes = rng.integers(0, 60, 151)
    ours = stats.median_rank_ci(ranks, codes)
    np.testing.assert_allclose(ours, naive(np.median, ranks, codes, rng), rtol=0.05)
    assert ours.lo <= np.median(ranks) <= ours.hi


def test_median_of_each_resample_is_exact(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    for n, top in ((9, 3), (40, 1000), (41, 5)):
        ranks = np.sort(rng.integers(1, top + 1, n).astype(float))
        ranks[-(n // 3) :] = np.inf
        owner = rng.permutation(np.arange(n) % (n // 2))
        slow = [
            np.median(np.repeat(ranks, row[owner].astype(int)))
            for chunk in resampled_counts(n // 2, 200, 5)
            for row in chunk
        ]
        for window in (6.0, 0.3, 0.0):  # a narrow window leaves most medians to the second look
            monkeypatch.setattr(_stats_resampling, "WINDOW", window)
            np.testing.assert_array_equal(_stats_resampling._medians(ranks, owner, n // 2, 200, 5), slow)


def test_median_with_misses() -> None:
    ranks = np.concatenate([np.arange(1.0, 60.0), np.full(41, np.inf)])
    ci = stats.median_rank_ci(ranks)
    assert np.isfinite(ci.lo)
    assert ci.hi == np.inf
    assert stats.median_rank_ci(np.where(np.isinf(ranks), 1e9, ranks)).lo == ci.lo
    assert stats.median_rank_ci(np.full(40, np.inf)) == (np.inf, np.inf)


def test_median_of_ties_and_few_rows(rng: np.random.Generator) -> None:
    assert stats.median_rank_ci(np.full(40, 7.5)) == (7.5, 7.5)
    assert np.isnan(stats.median_rank_ci([4.0])).all()
    assert np.isnan(stats.median_rank_ci([1.0, 4.0], ["a", "a"])).all()
    ci = stats.median_rank_ci([1.0, 3.0])
    assert (ci.lo, ci.hi) == (1.0, 3.0)
    ranks, codes = rng.integers(1, 50, 90).astype(float), rng.integers(0, 30, 90)
    gone = rng.random(90) < 0.3
    with_nan = np.where(gone, np.nan, ranks)
    assert stats.median_rank_ci(with_nan, codes) == stats.median_rank_ci(ranks[~gone], codes[~gone])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_median_of_reordered_copied_and_stretched_ranks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranks, codes = rng.integers(1, 30, 80).astype(float), rng.integers(0, 25, 80)
    expected = stats.median_rank_ci(ranks, codes, n_resamples=300)
    order = rng.permutation(80)
    assert stats.median_rank_ci(ranks[order], codes[order], n_resamples=300) == expected
    assert stats.median_rank_ci(*np.tile([ranks, codes], 2), n_resamples=300) == expected
    scaled = stats.median_rank_ci(ranks * 4, codes, n_resamples=300)
    assert scaled == pytest.approx((expected.lo * 4, expected.hi * 4))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([],), {}, "ranks have shape"),
        (([np.nan],), {}, "and 0 values"),
        (([[1.0]],), {}, r"ranks have shape \(1, 1\)"),
        (([1.0, -2.0, -np.inf],), {}, "2 negative ranks, the first in row 1"),
        (([1.0, 2.0], [0]), {}, "2 rows, but cluster labels"),
        (([1.0, 2.0],), {"level": 0}, "level = 0"),
        (([1.0, 2.0],), {"n_resamples": -1}, "n_resamples = -1"),
    ],
)
def test_bad_ranks_are_named(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stats.median_rank_ci(*arguments, **options)
