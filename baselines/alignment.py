"""Affine maps that move a set of vectors onto the mean and covariance of another (section 4.1.1, Z^align).

Every map is z' = μ_t + A (z − μ_s); only A differs:

- `mean`: A = I, the shift alone (distribution normalisation, arXiv 2302.11084, has this part).
- `coral`: A = C_t^½ C_s^−½, whitening and colouring (arXiv 1511.05547).
- `ot`: A = C_s^−½ (C_s^½ C_t C_s^½)^½ C_s^−½, the Gaussian optimal transport: of all maps to these moments the one
  that moves vectors least in the mean square.
- `placebo`: A = C^½ R C^−½ A_ot with a random rotation R, where C = A_ot C_s A_ot is the covariance that `ot`
  reaches. So it reaches the same moments, and the same Fréchet distance, but what a vector says about its prompt is
  turned away: a gain that it shares is no gain of alignment. R turns the leading directions of C, which hold 99 % of
  its variance, and leaves the others: generated queries vary in far fewer directions than the space has, and the rest
  of a whitened query is noise, which a rotation of all directions would put in the place of the query.

All is float64. A covariance counts with `epsilon` times its mean eigenvalue on the diagonal, since the latents of an
encoder have directions of nearly no variance, and whitening would blow up their noise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bench.errors import UserError

__all__ = [
    "METHODS", "PLACEBO_SHARE", "AffineMap", "Moments", "fit_map", "moments_of", "random_rotation", "symmetric_root",
]  # fmt: skip

METHODS = ("mean", "coral", "ot", "placebo")
PLACEBO_SHARE = 0.99
"""Share of the variance in the directions that the placebo turns."""


class Moments(NamedTuple):
    """First and second moments of a set of vectors."""

    mean: np.ndarray
    """(d,)"""
    cov: np.ndarray
    """(d, d) unbiased."""


class AffineMap(NamedTuple):
    """z -> target + A (z − source), row by row."""

    source: np.ndarray
    """(d,) mean that is taken off."""
    matrix: np.ndarray | None
    """(d, d) A; None is the identity."""
    target: np.ndarray
    """(d,) mean that is put on."""

    def __call__(self, vectors: Any) -> np.ndarray:
        """(…, d) vectors mapped, float64."""
        centred = np.asarray(vectors, dtype=np.float64) - self.source
        return self.target + (centred if self.matrix is None else centred @ self.matrix.T)


def moments_of(rows: Any) -> Moments:
    """Mean and unbiased covariance of rows (n, d).

    Raises:
        ValueError: fewer than 2 rows, or not a matrix.

    Example:
        >>> moments_of([[0.0, 0.0], [2.0, 0.0]]).cov.tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"moments need a matrix of 2 rows or more, got shape {rows.shape}")
    mean = rows.mean(0)
    centred = rows - mean
    return Moments(mean, centred.T @ centred / (len(rows) - 1))


def symmetric_root(cov: np.ndarray, power: float = 0.5) -> np.ndarray:
    """A power of a symmetric positive semi-definite matrix (d, d); directions without variance stay at 0.

    Example:
        >>> symmetric_root(np.diag([4.0, 0.0]), -0.5).tolist()
        [[0.5, 0.0], [0.0, 0.0]]
    """
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    kept = values > len(cov) * np.finfo(np.float64).eps * values[-1]
    powers = np.zeros_like(values)
    powers[kept] = values[kept] ** power
    return np.asarray((vectors * powers) @ vectors.T)


def random_rotation(dim: int, seed: int) -> np.ndarray:
    """An orthogonal matrix (d, d), uniform over all of them (Haar)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
    # Without the signs QR favours some matrices over others (Mezzadri 2007).
    return np.asarray(q * np.sign(np.diag(r)))


def fit_map(method: str, source: Moments, target: Moments, epsilon: float = 1e-3, seed: int = 0) -> AffineMap:
    """The map from the moments of one set to those of another.

    Args:
        method: one of `METHODS`.
        source, target: moments of dimension d.
        epsilon: added to a covariance's diagonal, as a share of its mean eigenvalue (tr C / d).
        seed: of the placebo's rotation.

    Raises:
        UserError: an unknown method.
        ValueError: dimensions that differ, or a negative epsilon.
    """
    if method not in METHODS:
        raise UserError(f"method: unknown alignment {method!r}; choose {', '.join(METHODS)}")
    if source.mean.shape != target.mean.shape:
        raise ValueError(f"moments of {len(source.mean)} and {len(target.mean)} dimensions")
    if epsilon < 0:
        raise ValueError(f"epsilon must be 0 or more, got {epsilon}")
    matrix = None if method == "mean" else _matrix(method, source.cov, target.cov, epsilon, seed)
    return AffineMap(np.asarray(source.mean, np.float64), matrix, np.asarray(target.mean, np.float64))


def _loaded(cov: np.ndarray, epsilon: float) -> np.ndarray:
    """A covariance with `epsilon` of its mean eigenvalue on the diagonal."""
    cov = np.asarray(cov, dtype=np.float64)
    return cov + epsilon * np.trace(cov) / len(cov) * np.eye(len(cov))


def _matrix(method: str, source: np.ndarray, target: np.ndarray, epsilon: float, seed: int) -> np.ndarray:
    """A of every map but the shift."""
    loaded, wanted = _loaded(source, epsilon), _loaded(target, epsilon)
    whitened = symmetric_root(loaded, -0.5)
    if method == "coral":
        return symmetric_root(wanted) @ whitened
    root = symmetric_root(loaded)
    transport = whitened @ symmetric_root(root @ wanted @ root) @ whitened
    return transport if method == "ot" else _turn(transport @ source @ transport.T, seed) @ transport


def _turn(cov: np.ndarray, seed: int) -> np.ndarray:
    """A linear map (d, d) that keeps a covariance and turns its leading directions at random."""
    values, vectors = np.linalg.eigh(cov)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    leading = int(np.searchsorted(np.cumsum(values), PLACEBO_SHARE * values.sum())) + 1
    leading = min(max(leading, 2), int(np.count_nonzero(values)))
    scale, frame = np.sqrt(values[:leading]), vectors[:, :leading]
    turned = scale[:, None] * random_rotation(leading, seed) / scale
    return np.asarray(np.eye(len(cov)) + frame @ (turned - np.eye(leading)) @ frame.T)
