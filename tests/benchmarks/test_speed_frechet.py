"""Fréchet distance to a fitted reference, beside SciPy's matrix square root and the least work there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

from bench.metrics.frechet import FrechetReference, per_item_frechet

N, D = 5000, 512


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray]:
    """Two sets of N vectors whose spectrum falls by two orders, as that of pooled embeddings does."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(D, D)) * np.geomspace(1.0, 0.1, D) / np.sqrt(D)
    return rng.normal(size=(N, D)) @ mix, 1.1 * rng.normal(size=(N, D)) @ mix + 0.01


def by_square_root(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> float:
    own = np.cov(x, rowvar=False)
    shift = x.mean(axis=0) - mean
    return float(shift @ shift + np.trace(own) + np.trace(cov) - 2 * np.trace(sqrtm(own @ cov)).real)


def test_distance_to_a_reference(contest: Any, sets: tuple[np.ndarray, np.ndarray]) -> None:
    y, x = sets
    work = f"Fréchet distance to a reference, n={N}, d={D}"
    reference = FrechetReference.fit(y)
    centred = x - x.mean(axis=0)
    expected = by_square_root(x, reference.mean, reference.cov)
    relative = abs(reference.distance(x) / expected - 1)
    contest.check(work, "equal to sqrtm within 1e-6", f"{relative:.1e}", relative <= 1e-6)
    contest.race(
        work,
        lambda: reference.distance(x),
        {
            "covariance and sqrtm": contest.faster(4, lambda: by_square_root(x, reference.mean, reference.cov)),
            "one covariance product and eigvalsh": contest.within(2.5, lambda: np.linalg.eigvalsh(centred.T @ centred)),
        },
        rounds=7,
    )


def test_per_item(contest: Any, sets: tuple[np.ndarray, np.ndarray]) -> None:
    y, x = sets
    work = f"Fréchet distance of 100 items of 50 frames, d={D}"
    reference, items = FrechetReference.fit(y), x.reshape(100, 50, D)
    expected = by_square_root(items[0], reference.mean, reference.cov)
    relative = abs(per_item_frechet(items[:1], reference)[0] / expected - 1)
    contest.check(work, "equal to sqrtm within 1e-6", f"{relative:.1e}", relative <= 1e-6)

    def ten_by_square_root() -> None:
        for item in items[:10]:
            by_square_root(item, reference.mean, reference.cov)

    # Ten of the hundred, so that the round stays short: ours does ten times its work.
    contest.race(
        work,
        lambda: per_item_frechet(items, reference),
        {"covariance and sqrtm of 10 of them": contest.faster(4, ten_by_square_root)},
        rounds=2,
        warmup=False,
    )
