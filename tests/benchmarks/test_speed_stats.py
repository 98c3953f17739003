"""Bootstrap intervals beside scipy's and a plain loop: 1 106 queries of 706 tracks, 12 systems, 10 000 resamples."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from bench import stats

RESAMPLES = 10_000
#: Of those that were tried (20, 100, 200, 500, 2000, all) scipy is fastest with these.
SCIPY_BATCH = 200


def ratio(sums: np.ndarray, sizes: np.ndarray, axis: int = -1) -> np.ndarray:
    return sums.sum(axis=axis) / sizes.sum(axis=axis)


def test_bootstrap_interval(contest: Any) -> None:
    rng = np.random.default_rng(0)
    codes = np.concatenate([np.arange(706), rng.integers(0, 706, 400)])
    values = (rng.random((1106, 12)) < np.linspace(0.05, 0.6, 12)).astype(float)
    sums = np.stack([np.bincount(codes, column) for column in values.T], axis=1)
    sizes = np.bincount(codes).astype(float)

    def by_scipy() -> np.ndarray:
        ends = [
            scipy_stats.bootstrap(
                (column, sizes), ratio, paired=True, vectorized=True, method="percentile", n_resamples=RESAMPLES,
                batch=SCIPY_BATCH, random_state=np.random.default_rng(0),
            ).confidence_interval
            for column in np.ascontiguousarray(sums.T)
        ]  # fmt: skip
        return np.array(ends).T

    def by_loop() -> np.ndarray:
        generator, means = np.random.default_rng(0), np.empty((RESAMPLES, 12))
        for row in means:
            drawn = generator.integers(0, 706, 706)
            row[:] = sums.take(drawn, axis=0).sum(axis=0) / sizes.take(drawn).sum()
        return np.quantile(means, [0.025, 0.975], axis=0)

    work = "bootstrap, 12 columns"
    ours = np.array(stats.bootstrap_ci(values, codes))
    for name, theirs in (("scipy.stats.bootstrap", by_scipy()), ("a loop", by_loop())):
        error = float((np.abs(ours - theirs) / (ours[1] - ours[0])).max())
        contest.check(work, f"ends of {name} within 4 % of the width", f"{100 * error:.1f} %", error < 0.04)
    contest.race(
        work,
        lambda: stats.bootstrap_ci(values, codes),
        {
            "scipy.stats.bootstrap by column": contest.faster(15, by_scipy),
            "a NumPy loop over resamples": contest.faster(3, by_loop),
        },
        rounds=7,
        warmup=False,
    )


def test_median_rank_interval(contest: Any) -> None:
    rng = np.random.default_rng(0)
    ranks = np.ceil(np.exp(rng.normal(5, 2, 5500)))
    codes = rng.integers(0, 700, 5500)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(700))
    members = np.split(ranks[order], starts[1:])

    def by_loop() -> np.ndarray:
        generator = np.random.default_rng(0)
        medians = [np.median(np.concatenate([members[g] for g in generator.integers(0, 700, 700)])) for _ in range(500)]
        return np.quantile(medians, [0.025, 0.975])

    # The loop does a twentieth of the resamples.
    contest.race(
        "median rank, 5 500 queries",
        lambda: stats.median_rank_ci(ranks, codes),
        {"a loop of 500 resamples": contest.faster(1, by_loop)},
        rounds=3,
    )
