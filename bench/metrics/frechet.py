"""Fréchet distance between two sets of vectors (FAD, FTD), of their means and unbiased covariances.

    Squared form, FACTS.md 3.2:  ‖μ_x − μ_y‖² + tr C_x + tr C_y − 2 tr (C_x^½ C_y C_x^½)^½

The last trace is the nuclear norm of a product of factors, A_y F with C_x = F Fᵀ and C_y = A_yᵀ A_y: real by
construction, so no complex matrix root is taken. Vectors are used as given, never normalised; everything is float64.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.metrics._arrays import finite_array, same_width

__all__ = ["FrechetReference", "frechet_distance"]


@dataclass(frozen=True, eq=False)
class FrechetReference:
    """A reference set, reduced to its moments and factored once.

    Example:
        >>> reference = FrechetReference.fit([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> round(reference.distance([[3.0, 0.0], [5.0, 0.0], [3.0, 2.0], [5.0, 2.0]]), 6)
        9.0
    """

    mean: np.ndarray
    """(d,) mean."""
    cov: np.ndarray
    """(d, d) unbiased covariance."""
    factor: np.ndarray
    """(d, r) F with F Fᵀ = cov, r its rank."""

    @classmethod
    def fit(cls, x: Any) -> FrechetReference:
        """Moments of a set.

        Args:
            x: (n, d) vectors, n ≥ 2; n well above d, or the covariance says little.

        Raises:
            ValueError: fewer than 2 vectors, or entries that are not finite.
        """
        mean, centred = _centre(x, "reference")
        return cls.from_moments(mean, centred.T @ centred)

    @classmethod
    def from_moments(cls, mean: Any, cov: Any) -> FrechetReference:
        """A reference from its mean (d,) and covariance (d, d).

        Raises:
            ValueError: shapes that do not fit, or a covariance that is not symmetric and positive semi-definite.
        """
        mu, c = finite_array(mean, "mean", 1), finite_array(cov, "cov", 2)
        if c.shape != (len(mu), len(mu)):
            raise ValueError(f"mean has {len(mu)} entries, so cov must be square of that side; it is {c.shape}")
        if not np.allclose(c, c.T, rtol=1e-6, atol=1e-9 * np.abs(c).max(initial=0.0)):
            raise ValueError("cov is not symmetric")
        values, vectors = np.linalg.eigh((c + c.T) / 2)
        noise = len(mu) * np.finfo(np.float64).eps * values[-1]
        if values[0] < -1e-6 * max(values[-1], np.finfo(np.float64).tiny):
            raise ValueError(f"cov has a negative eigenvalue ({values[0]:.3g}); it is no covariance")
        # Directions of rounding noise would each add the root of that noise to the trace.
        keep = values > max(noise, 0.0)
        return cls(mu, c, vectors[:, keep] * np.sqrt(values[keep]))

    def distance(self, y: Any) -> float:
        """Fréchet distance of a set (m, d), m ≥ 2, or of another reference, to this one; 0 or more.

        Raises:
            ValueError: fewer than 2 vectors, another dimension, or entries that are not finite.
        """
        if isinstance(y, FrechetReference):
            mean, rows = y.mean, y.factor.T
        else:
            mean, rows = _centre(y, "y")
        same_width(self.mean, mean, "the reference and y")
        return _combine(self.mean - mean, np.sum(self.factor**2), np.sum(rows**2), rows @ self.factor)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the moments to a safetensors file, atomically."""
        from safetensors.numpy import save_file

        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            save_file({"mean": self.mean, "cov": self.cov}, partial, metadata={"schema_version": "1"})
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FrechetReference:
        """Read what `save` wrote.

        Raises:
            UserError: there is no such file, or it holds no Fréchet reference.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        again = "write it with FrechetReference.fit(vectors).save(path)"
        if not Path(path).is_file():
            raise UserError(f"{path}: no such file; {again}")
        try:
            tensors = load_file(path)
            return cls.from_moments(tensors["mean"], tensors["cov"])
        except (SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path}: not a Fréchet reference with 'mean' and 'cov' ({error}); {again}") from error


def frechet_distance(x: Any, y: Any) -> float:
    """Fréchet distance between two sets of vectors.

    Args:
        x: (n, d) vectors, n ≥ 2.
        y: (m, d) vectors, m ≥ 2.

    Returns:
        The (squared) distance, 0 or more; symmetric.

    Raises:
        ValueError: fewer than 2 vectors, dimensions that differ, or entries that are not finite.

    Example:
        >>> round(frechet_distance([[0.0], [2.0]], [[10.0], [12.0]]), 6)
        100.0
    """
    mean_x, rows_x = _centre(x, "x")
    mean_y, rows_y = _centre(y, "y")
    same_width(rows_x, rows_y, "x and y")
    if min(len(rows_x), len(rows_y)) > rows_x.shape[1]:
        return FrechetReference.from_moments(mean_x, rows_x.T @ rows_x).distance(y)
    # A set smaller than the dimension is its own thin factor: no d×d matrix is needed.
    return _combine(mean_x - mean_y, np.sum(rows_x**2), np.sum(rows_y**2), rows_y @ rows_x.T)


def _centre(x: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and rows A (n, d) with AᵀA the unbiased covariance."""
    rows = finite_array(x, name, 2)
    if len(rows) < 2:
        raise ValueError(f"{name} has {len(rows)} vectors; a covariance needs 2 or more")
    mean = rows.mean(axis=0)
    return mean, (rows - mean) / np.sqrt(len(rows) - 1)


def _combine(shift: np.ndarray, trace_x: float, trace_y: float, product: np.ndarray) -> float:
    """The distance from the mean shift, both traces and the product of factors whose nuclear norm is the cross term."""
    rows, columns = product.shape
    gram = product @ product.T if rows <= columns else product.T @ product
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)).sum() if gram.size else 0.0
    # Rounding may leave equal sets a hair below 0.
    return max(0.0, float(shift @ shift + trace_x + trace_y - 2.0 * cross))
