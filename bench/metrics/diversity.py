"""Diversity: Vendi scores of a set, and the spread of the samples of one prompt (FACTS.md 3.3).

All functions normalise their rows: the similarity is the cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from bench.metrics._arrays import finite_array, unit_rows

__all__ = ["intra_vendi", "mean_intra_cosine", "vendi_percent", "vendi_score"]


@overload
def vendi_score(x: Any, q: float = 1) -> float: ...


@overload
def vendi_score(x: Any, q: Sequence[float]) -> np.ndarray: ...


def vendi_score(x: Any, q: float | Sequence[float] = 1) -> float | np.ndarray:
    """Vendi score: the effective number of distinct items, exp of the Rényi entropy of order q (arXiv 2210.02410).

    The eigenvalues of K/n, K the cosine matrix, come from the smaller of the n×n and d×d sides; all orders share them.

    Args:
        x: (n, d) vectors.
        q: order ≥ 0; 1 is Shannon's, infinity counts the dominant direction only. A sequence gives an array.

    Returns:
        The score, in [1, min(n, d)].

    Raises:
        ValueError: an empty set, entries that are not finite, vectors of zeros, a negative order.

    Example:
        >>> round(vendi_score([[1.0, 0.0], [0.0, 3.0]]), 6)
        2.0
    """
    rows = finite_array(x, "x", 2)
    if len(rows) == 0:
        raise ValueError("x is empty: diversity needs at least one vector")
    spectrum = _spectra(unit_rows(rows, "x")[None])
    if np.ndim(q) == 0:
        return float(_effective_number(spectrum, float(q))[0])  # type: ignore[arg-type]
    return np.array([_effective_number(spectrum, float(order))[0] for order in q])  # type: ignore[union-attr]


def vendi_percent(x: Any, q: float = 1) -> float:
    """Vendi score in percent of the most that n vectors of d entries can have: 100 · Vendi / min(n, d).

    Example:
        >>> round(vendi_percent([[1.0, 0.0], [0.0, 3.0]]), 6)
        100.0
    """
    rows = finite_array(x, "x", 2)
    return 100.0 * vendi_score(rows, q) / min(rows.shape)


def mean_intra_cosine(samples: Any) -> np.ndarray:
    """MICS of each prompt: mean cosine between two different samples of the prompt.

    Args:
        samples: (P, K, d) vectors, K ≥ 2 samples for each of P prompts.

    Returns:
        (P,) means, in [-1/(K-1), 1]; 1 means that all samples are the same.

    Raises:
        ValueError: K < 2, entries that are not finite, vectors of zeros.

    Example:
        >>> mean_intra_cosine([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [2.0, 2.0]]]).round(6)
        array([0., 1.])
    """
    unit = _samples(samples, least=2)
    k = unit.shape[1]
    # The squared length of the sum holds every pair twice, and every sample with itself once.
    return (np.sum(unit.sum(axis=1) ** 2, axis=-1) - k) / (k * (k - 1))


def intra_vendi(samples: Any, q: float = 1) -> np.ndarray:
    """Vendi score of the samples of each prompt (their mean over prompts is MINVS), all prompts in one batch.

    Args:
        samples: (P, K, d) vectors, K samples for each of P prompts.
        q: order, as in `vendi_score`.

    Returns:
        (P,) scores in [1, min(K, d)].

    Raises:
        ValueError: entries that are not finite, vectors of zeros, a negative order.

    Example:
        >>> intra_vendi([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [2.0, 2.0]]]).round(6)
        array([2., 1.])
    """
    return _effective_number(_spectra(_samples(samples, least=1)), q)


def _samples(samples: Any, least: int) -> np.ndarray:
    array = finite_array(samples, "samples", 3)
    if array.shape[1] < least:
        raise ValueError(f"samples have shape {array.shape}: {least} or more samples a prompt are needed")
    return unit_rows(array, "samples")


def _spectra(unit: np.ndarray) -> np.ndarray:
    """Eigenvalues of K/n for each set of unit rows (P, n, d): (P, min(n, d)), rounding noise set to 0."""
    transposed = np.swapaxes(unit, 1, 2)
    n, d = unit.shape[1:]
    gram = unit @ transposed if n <= d else transposed @ unit
    values = np.linalg.eigvalsh(gram / n)
    noise = max(n, d) * np.finfo(np.float64).eps * values[:, -1:]
    return np.where(values > noise, values, 0.0)


def _effective_number(spectra: np.ndarray, q: float) -> np.ndarray:
    """Exponential of the Rényi entropy of order q of each row of probabilities."""
    if not q >= 0:
        raise ValueError(f"q = {q}; the order must be 0 or more")
    if np.isinf(q):
        return 1.0 / spectra.max(axis=1)
    if q == 0:
        return np.count_nonzero(spectra, axis=1).astype(np.float64)
    if q == 1:
        logs = np.log(spectra, out=np.zeros_like(spectra), where=spectra > 0)
        return np.exp(-np.sum(spectra * logs, axis=1))
    return np.sum(spectra**q, axis=1) ** (1.0 / (1.0 - q))
