"""CLAP score against scipy's cosine distance and hand numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from bench.metrics.clap_score import clap_score


def test_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    q, t = rng.normal(size=(30, 12)), rng.normal(size=(30, 12)) * 40
    expected = [1 - cosine(a, b) for a, b in zip(q, t, strict=True)]
    np.testing.assert_allclose(clap_score(q, t), expected, atol=1e-12)
    np.testing.assert_allclose(clap_score(q * 1e-200, t * 1e150), expected, atol=1e-12)


def test_hand_numbers_and_range() -> None:
    np.testing.assert_allclose(clap_score([[1.0, 0.0]] * 3, [[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), [1, 0, -1])
    x = np.random.default_rng(1).normal(size=(500, 7))
    assert clap_score(x, x).max() <= 1.0
    assert clap_score(np.empty((0, 4)), np.empty((0, 4))).shape == (0,)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"targets: 1 vectors are zero .* row \(1,\)"):
        clap_score([[1.0], [1.0]], [[1.0], [0.0]])
    with pytest.raises(ValueError, match="in pairs"):
        clap_score([[1.0], [1.0]], [[1.0]])
    with pytest.raises(ValueError, match="NaN"):
        clap_score([[np.nan]], [[1.0]])
