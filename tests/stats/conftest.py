"""Simulated data of the tests of statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Clustered = Callable[..., tuple[np.ndarray, np.ndarray]]
Crossed = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2024)


@pytest.fixture(scope="session")
def clustered() -> Clustered:
    """(rng, clusters, most) -> values around 0 in clusters of one to `most` rows that share an effect, and labels."""

    def draw(rng: np.random.Generator, count: int, most: int = 5) -> tuple[np.ndarray, np.ndarray]:
        codes = np.repeat(np.arange(count), rng.integers(1, most + 1, count))
        return rng.normal(size=count)[codes] + rng.normal(size=len(codes)), codes

    return draw


@pytest.fixture(scope="session")
def crossed() -> Crossed:
    """(rng, rows, columns, share, effects) -> values around 0 with row and column effects, of the pairs observed."""

    def draw(
        rng: np.random.Generator, first: int = 40, second: int = 60, share: float = 0.4, effects: float = 0.6
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        i, j = np.nonzero(rng.random((first, second)) < share)
        noise = rng.normal(size=len(i))
        return effects * (rng.normal(size=first)[i] + rng.normal(size=second)[j]) + noise, i, j

    return draw
