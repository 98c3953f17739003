"""Statistics by coverage simulation, by slow oracles, and against scipy; never by frozen numbers."""

from __future__ import annotations

import doctest
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench import _stats_clustered, _stats_resampling, stats

SIMULATIONS = 500


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2024)


def coverage(draw: Callable[[np.random.Generator], stats.Interval], truth: float) -> float:
    """Share of simulated intervals that hold the truth, in percent."""
    rng = np.random.default_rng(99)
    inside = 0
    for _ in range(SIMULATIONS):
        lo, hi = draw(rng)
        inside += lo <= truth <= hi
    return 100.0 * inside / SIMULATIONS


def clustered(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Values around 0 in clusters of one to five rows that share an effect."""
    codes = np.repeat(np.arange(count), rng.integers(1, 6, count))
    return rng.normal(size=count)[codes] + rng.normal(size=len(codes)), codes


def crossed(
    rng: np.random.Generator, first: int = 40, second: int = 60, share: float = 0.4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values around 0 with an effect of each row label and each column label; only some pairs are observed."""
    i, j = np.nonzero(rng.random((first, second)) < share)
    values = 0.6 * rng.normal(size=first)[i] + 0.6 * rng.normal(size=second)[j] + rng.normal(size=len(i))
    return values, i, j


@pytest.mark.parametrize("module", [_stats_clustered, _stats_resampling])
def test_examples_in_docstrings(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


# --- coverage --------------------------------------------------------------------------------------------------------


def test_bootstrap_covers() -> None:
    def draw(rng: np.random.Generator) -> stats.Interval:
        values, codes = clustered(rng, 80)
        return stats.bootstrap_ci(values, codes, n_resamples=600, seed=int(rng.integers(2**31)))

    assert 91 <= coverage(draw, 0.0) <= 98


def test_bootstrap_of_few_clusters_covers() -> None:
    def draw(rng: np.random.Generator) -> stats.Interval:
        values, codes = clustered(rng, 12)
        return stats.bootstrap_ci(values, codes)

    assert 91 <= coverage(draw, 0.0) <= 98


def test_bootstrap_that_ignores_clusters_would_not_cover() -> None:
    def draw(rng: np.random.Generator) -> stats.Interval:
        values = np.repeat(rng.normal(size=80), 5)
        return stats.bootstrap_ci(values, n_resamples=300)

    assert coverage(draw, 0.0) < 75


def test_two_way_covers_and_one_way_would_not() -> None:
    def draw(rng: np.random.Generator) -> stats.Interval:
        return stats.interval(stats.two_way_clustered(*crossed(rng)))

    def one_way(rng: np.random.Generator) -> stats.Interval:
        values, _, second = crossed(rng)
        return stats.interval(stats.two_way_clustered(values, second))

    assert 91 <= coverage(draw, 0.0) <= 98
    assert coverage(one_way, 0.0) < 85


def test_clustered_delta_covers_a_ratio() -> None:
    def draw(rng: np.random.Generator) -> stats.Interval:
        above, i, j = crossed(rng)
        below = 5 + 0.5 * above + 0.5 * rng.normal(size=len(i))
        columns = np.column_stack([3 + above, below])
        columns[rng.random(columns.shape) < 0.05] = np.nan
        return stats.interval(stats.clustered_delta(lambda m: m[..., 0] / m[..., 1], columns, i, j))

    assert 91 <= coverage(draw, 0.6) <= 98


def test_jackknife_covers_a_statistic_of_a_set() -> None:
    def draw(rng: np.random.Generator) -> stats.Interval:
        values, codes = clustered(rng, 200)
        return stats.jackknife_ci(lambda x: np.log(np.var(x)), values, codes, seed=int(rng.integers(2**31)))

    assert 91 <= coverage(draw, np.log(2.0)) <= 98


def test_median_rank_covers() -> None:
    def draw(rng: np.random.Generator) -> stats.Interval:
        values, codes = clustered(rng, 120)
        ranks = 1 + np.exp(3 + values)  # the median of e^x is e to the median
        return stats.median_rank_ci(ranks, codes, n_resamples=400, seed=int(rng.integers(2**31)))

    assert 91 <= coverage(draw, 1 + np.exp(3.0)) <= 98


# --- verdicts have their nominal error rates -----------------------------------------------------------------------


def verdict_rates(effect: float, margin: float, expect: str) -> dict[str, float]:
    rng = np.random.default_rng(5)
    bound = margin if expect == ">" else -margin
    found = []
    for _ in range(SIMULATIONS):
        values, first, second = crossed(rng, share=0.3)
        estimate = stats.two_way_clustered(values + effect, first, second)
        p = stats.holm([stats.p_value(estimate, bound)])[0]
        found.append(stats.verdict(stats.interval(estimate), p, margin, expect=expect))  # type: ignore[arg-type]
    return {name: float(np.mean([f == name for f in found])) for name in ("supported", "contradicted", "inconclusive")}


@pytest.mark.parametrize("expect", [">", "<"])
def test_verdicts_on_planted_effects(expect: str) -> None:
    margin = 0.8  # about six standard errors
    sign = 1 if expect == ">" else -1
    nothing, half, one, two = (verdict_rates(sign * m * margin, margin, expect) for m in (0, 0.5, 1, 2))
    assert nothing["supported"] == half["supported"] == two["contradicted"] == 0
    assert nothing["contradicted"] > 0.95
    assert half["contradicted"] > 0.6
    # At the bound either verdict is an error, and each takes half of the level.
    assert one["supported"] < 0.05
    assert one["contradicted"] < 0.05
    assert 0.01 < one["supported"] + one["contradicted"] < 0.09
    assert two["supported"] > 0.95


def test_holm_keeps_the_family_error() -> None:
    rng = np.random.default_rng(8)
    false = naive = 0
    for _ in range(SIMULATIONS):
        values = rng.normal(size=(40, 15))
        rows = np.arange(40)
        p = [stats.p_value(stats.two_way_clustered(column, rows)) for column in values.T]
        false += stats.holm(p).min() < 0.05
        naive += min(p) < 0.05
    assert false / SIMULATIONS < 0.085
    assert naive / SIMULATIONS > 0.4


# --- against other ways to the same number ---------------------------------------------------------------------------


def test_rows_of_their_own_give_student_t(rng: np.random.Generator) -> None:
    values = rng.normal(size=17) + 0.4
    estimate = stats.two_way_clustered(values, np.arange(17))
    other = scipy_stats.ttest_1samp(values, 0.3)
    assert stats.p_value(estimate, 0.3) == pytest.approx(other.pvalue)
    np.testing.assert_allclose(stats.interval(estimate), other.confidence_interval(0.95))
    np.testing.assert_allclose(stats.bootstrap_ci(values), other.confidence_interval(0.95))
    np.testing.assert_allclose(stats.interval(estimate, 0.8), other.confidence_interval(0.8))


def slow_two_way(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    n, e = len(values), values - values.mean()

    def part(same: Callable[[int, int], bool], count: int) -> float:
        total = sum(e[a] * e[b] for a in range(n) for b in range(n) if same(a, b))
        return count / (count - 1) * total / n**2

    one = part(lambda a, b: first[a] == first[b], len(set(first)))
    two = part(lambda a, b: second[a] == second[b], len(set(second)))
    pairs = list(zip(first, second, strict=True))
    both = part(lambda a, b: pairs[a] == pairs[b], len(set(pairs)))
    return max(one, two, one + two - both)


def test_two_way_equals_the_double_loop(rng: np.random.Generator) -> None:
    for _ in range(5):
        first, second = rng.integers(0, 6, 50), rng.choice(["a", "b", "c", "d"], 50)  # pairs repeat
        values = rng.normal(size=50) + first
        estimate = stats.two_way_clustered(values, first, second)
        assert estimate.value == pytest.approx(values.mean())
        assert estimate.se == pytest.approx(np.sqrt(slow_two_way(values, first, second)))
        assert estimate.df == 3
        swapped = stats.two_way_clustered(values, second, first)
        assert swapped.se == pytest.approx(estimate.se)


def test_missing_rows_do_not_count(rng: np.random.Generator) -> None:
    values, first, second = crossed(rng, 8, 9)
    gone = rng.random(len(values)) < 0.3
    with_nan = np.where(gone, np.nan, values)
    expected = stats.two_way_clustered(values[~gone], first[~gone], second[~gone])
    assert stats.two_way_clustered(with_nan, first, second) == expected
    assert stats.clustered_delta(lambda m: m[..., 0], with_nan[:, None], first, second) == pytest.approx(expected)
    np.testing.assert_allclose(stats.bootstrap_ci(with_nan, first), stats.bootstrap_ci(values[~gone], first[~gone]))
    ranks = np.abs(with_nan) + 1
    assert stats.median_rank_ci(ranks, first) == stats.median_rank_ci(ranks[~gone], first[~gone])


def test_delta_of_a_linear_statistic_is_the_clustered_mean(rng: np.random.Generator) -> None:
    a, first, second = crossed(rng)
    b = rng.normal(size=len(a))
    delta = stats.clustered_delta(lambda m: 2 * m[..., 0] - m[..., 1], np.column_stack([a, b]), first, second)
    assert delta == pytest.approx(stats.two_way_clustered(2 * a - b, first, second))


def test_delta_of_a_ratio_is_the_textbook_formula(rng: np.random.Generator) -> None:
    a, first, second = crossed(rng)
    b = 4 + rng.normal(size=len(a))
    delta = stats.clustered_delta(lambda m: m[..., 0] / m[..., 1], np.column_stack([a, b]), first, second)
    ratio = a.mean() / b.mean()
    linear = stats.two_way_clustered((a - ratio * b) / b.mean(), first, second)
    assert delta.value == pytest.approx(ratio)
    assert delta.se == pytest.approx(linear.se, rel=1e-3)


def test_bootstrap_shares_resamples_between_columns(rng: np.random.Generator) -> None:
    values, codes = clustered(rng, 50)
    ci = stats.bootstrap_ci(np.column_stack([values, values + 3, 2 * values]), codes, n_resamples=500)
    np.testing.assert_allclose(np.asarray(ci.lo), [ci.lo[0], ci.lo[0] + 3, 2 * ci.lo[0]])  # type: ignore[index]
    np.testing.assert_allclose(stats.bootstrap_ci(values, codes, n_resamples=500), [ci.lo[0], ci.hi[0]])  # type: ignore[index]
    assert stats.bootstrap_ci(values, codes, seed=1) != stats.bootstrap_ci(values, codes, seed=2)
    assert stats.bootstrap_ci(values, codes, seed=1) == stats.bootstrap_ci(values, codes, seed=1)


def test_bootstrap_width_is_that_of_scipy(rng: np.random.Generator) -> None:
    values = rng.exponential(size=200)
    other = scipy_stats.bootstrap((values,), np.mean, method="percentile", random_state=0).confidence_interval
    ours = stats.bootstrap_ci(values)
    np.testing.assert_allclose(ours, other, atol=0.02)
    # The spread does not shrink with the number of resamples.
    more = stats.bootstrap_ci(values, n_resamples=40_000)
    assert more.hi - more.lo == pytest.approx(ours.hi - ours.lo, rel=0.05)


def test_median_rank_ci_is_that_of_naive_resampling(rng: np.random.Generator) -> None:
    ranks = np.round(rng.exponential(30, 151)) + 1  # many ties
    codes = rng.integers(0, 60, 151)
    naive = []
    members = [ranks[codes == g] for g in np.unique(codes)]
    for _ in range(3000):
        naive.append(np.median(np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])))
    ours = stats.median_rank_ci(ranks, codes)
    np.testing.assert_allclose(ours, np.quantile(naive, [0.025, 0.975]), atol=1.01)
    assert ours.lo <= np.median(ranks) <= ours.hi
    assert stats.median_rank_ci(np.full(40, 7.5)) == (7.5, 7.5)


def test_jackknife_of_a_mean(rng: np.random.Generator) -> None:
    values = rng.normal(size=60)
    estimate = stats.jackknife_estimate(np.mean, values, groups=60)
    assert estimate == pytest.approx((values.mean(), values.std(ddof=1) / np.sqrt(60), 59))
    # Equal groups: the textbook formula.
    codes = np.arange(60) // 3
    without = [np.delete(values, np.flatnonzero(codes == g)).mean() for g in range(20)]
    expected = np.sqrt(19 / 20 * np.sum((without - np.mean(without)) ** 2))
    assert stats.jackknife_estimate(np.mean, values, codes).se == pytest.approx(expected)


def test_jackknife_keeps_clusters_whole_and_takes_tuples(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 30, 200)
    seen = []

    def statistic(x: np.ndarray, owner: np.ndarray) -> float:
        assert len(x) == len(owner)
        seen.append(set(owner))
        return float(x.mean())

    estimate = stats.jackknife_estimate(statistic, (rng.normal(size=200), codes), codes, groups=7)
    assert estimate.df == 6
    everyone = seen[0]
    left_out = [everyone - rest for rest in seen[1:]]
    assert sum(len(out) for out in left_out) == len(everyone)
    assert set().union(*left_out) == everyone
    with pytest.raises(ValueError, match="equal numbers"):
        stats.jackknife_estimate(statistic, (np.ones(3), np.ones(4)))


def test_permutation_equals_scipy(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=9) + 0.5, rng.normal(size=9)
    other = scipy_stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True
    )
    assert stats.paired_permutation(a, b) == pytest.approx(other.pvalue)
    big_a, big_b = np.tile(a, 6), np.tile(b, 6)
    clusters = np.tile(np.arange(9), 6)
    assert stats.paired_permutation(big_a, big_b, clusters) == pytest.approx(other.pvalue)
    assert stats.paired_permutation(big_a, big_b) < other.pvalue
    assert stats.paired_permutation(big_a, big_a) == 1.0
    assert stats.paired_permutation(np.ones(50), np.zeros(50), n=99) == 0.01


def test_permutation_p_is_uniform_under_the_null() -> None:
    rng = np.random.default_rng(4)
    p = [stats.paired_permutation(*rng.normal(size=(2, 25)), n=199, seed=i) for i in range(300)]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(stats.holm([0.01, 0.02, 0.03, 0.04]), [0.04, 0.06, 0.06, 0.06])
    np.testing.assert_allclose(stats.holm([0.9, 0.8, 0.001]), [1, 1, 0.003])
    np.testing.assert_array_equal(stats.holm([None, float("nan"), 0.5]), [np.nan, np.nan, 0.5])
    assert stats.holm([]).shape == (0,)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        stats.holm([1.2])


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
    ],
)
def test_verdict_table(ends: tuple[float, float], p: float | None, margin: float, expect: str, said: str) -> None:
    assert stats.verdict(stats.Interval(*ends), p, margin, expect=expect) == said  # type: ignore[arg-type]


# --- degenerate sizes ------------------------------------------------------------------------------------------------


def test_too_little_data_has_no_interval() -> None:
    one = stats.two_way_clustered([1.0, 2.0], ["a", "a"], ["x", "y"])
    assert one.value == 1.5
    assert np.isnan([one.se, *stats.interval(one), stats.p_value(one)]).all()
    none = stats.two_way_clustered([np.nan], [0])
    assert np.isnan([none.value, none.se]).all()
    assert np.isnan(stats.clustered_delta(lambda m: m[..., 0], [[np.nan, 1.0]] * 3, [0, 1, 2]).value)
    assert np.isnan(stats.bootstrap_ci([3.0])).all()
    single = stats.jackknife_estimate(np.mean, [1.0, 2.0], clusters=["a", "a"])
    assert single.value == 1.5
    assert np.isnan(single.se)


def test_constant_values_have_no_error() -> None:
    estimate = stats.two_way_clustered(np.full(20, 0.25), np.arange(20) % 4, np.arange(20) % 5)
    assert estimate.se == 0
    assert stats.p_value(estimate, 0.25) == 1
    assert stats.p_value(estimate, 0.0) == 0
    assert stats.bootstrap_ci(np.full((50, 2), 0.25)).lo == pytest.approx([0.25, 0.25])


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="3 rows, but cluster labels of shape"):
        stats.two_way_clustered([1.0, 2.0, 3.0], [0, 1])
    with pytest.raises(ValueError, match="2 rows, but cluster labels"):
        stats.bootstrap_ci([1.0, 2.0], [0])
    with pytest.raises(ValueError, match="in pairs"):
        stats.paired_permutation([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="ranks have shape"):
        stats.median_rank_ci([])
    with pytest.raises(ValueError, match="level = 95"):
        stats.interval(stats.Estimate(0.0, 1.0, 5), level=95)
    with pytest.raises(ValueError, match="expect ="):
        stats.verdict(stats.Interval(0, 1), 0.5, expect="=")  # type: ignore[arg-type]
