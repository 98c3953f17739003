"""Fréchet distance between two sets of vectors (FAD, FTD), of their means and unbiased covariances.

    Squared form (Dowson & Landau 1982; FAD, arXiv 1812.08466):

        ‖μ_x − μ_y‖² + tr C_x + tr C_y − 2 tr (C_x^½ C_y C_x^½)^½

The last trace is the nuclear norm of a product of factors, A_y F with C_x = F Fᵀ and C_y = A_yᵀ A_y: real by
construction, so no complex matrix root is taken. It comes from the smallest Gram matrix that has it, and from singular
values where the squares in a Gram matrix would cost more than 1e-6 of the distance. Vectors are used as given, never
normalised; everything is float64.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.metrics._arrays import finite_array, same_width

__all__ = ["FrechetReference", "SmallSampleWarning", "frechet_distance", "per_item_frechet"]

#: Bound of the cross term's error, relative to the distance, above which singular values replace the Gram matrix. The
#: error itself is a twentieth of the bound or less, since errors of both signs cancel.
_TOLERANCE = 2.5e-6
#: Entries of the largest array that per_item_frechet makes at a time (64 MiB of float64).
_CHUNK = 1 << 23


class SmallSampleWarning(UserWarning):
    """A covariance of n ≤ d vectors: it lacks rank, and the Fréchet distance is biased far upwards."""


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
    count: int | None = None
    """Number of vectors that the moments are of; None where only the moments are known."""

    @classmethod
    def fit(cls, x: Any) -> FrechetReference:
        """Moments of a set.

        Args:
            x: (n, d) vectors, n ≥ 2; n well above d, or the covariance says little.

        Raises:
            ValueError: fewer than 2 vectors, or entries that are not finite.
        """
        mean, centred = _centre(x, "reference")
        return cls.from_moments(mean, centred.T @ centred, len(centred))

    @classmethod
    def from_moments(cls, mean: Any, cov: Any, count: int | None = None) -> FrechetReference:
        """A reference from its mean (d,) and covariance (d, d), of `count` vectors if that is known.

        Raises:
            ValueError: shapes that do not fit, or a covariance that is not symmetric and positive semi-definite.

        Example:
            >>> FrechetReference.from_moments([0.0], [[4.0]]).distance(FrechetReference.from_moments([3.0], [[1.0]]))
            10.0
        """
        mu, c = finite_array(mean, "mean", 1), finite_array(cov, "cov", 2)
        if c.shape != (len(mu), len(mu)):
            raise ValueError(f"mean has {len(mu)} entries, so cov must be square of that side; it is {c.shape}")
        _check_range(float(np.abs(np.diag(c)).sum()), "cov")
        if not np.allclose(c, c.T, rtol=1e-6, atol=1e-9 * np.abs(c).max(initial=0.0)):
            raise ValueError("cov is not symmetric")
        values, vectors = np.linalg.eigh((c + c.T) / 2)
        noise = len(mu) * np.finfo(np.float64).eps * values[-1]
        if values[0] < -1e-6 * max(values[-1], np.finfo(np.float64).tiny):
            raise ValueError(f"cov has a negative eigenvalue ({values[0]:.3g}); it is no covariance")
        # Directions of rounding noise would each add the root of that noise to the trace.
        keep = values > max(noise, 0.0)
        return cls(mu, c, vectors[:, keep] * np.sqrt(values[keep]), count)

    def distance(self, y: Any) -> float:
        """Fréchet distance of a set (m, d), m ≥ 2, or of another reference, to this one; 0 or more.

        Warns:
            SmallSampleWarning: one of the sets has no more vectors than dimensions.

        Raises:
            ValueError: fewer than 2 vectors, another dimension, or entries that are not finite.
        """
        if isinstance(y, FrechetReference):
            mean, rows, count = y.mean, y.factor.T, y.count
        else:
            mean, rows = _centre(y, "y")
            count = len(rows)
        same_width(self.mean, mean, "the reference and y")
        _warn_if_small({"the reference": self.count, "y": count}, len(self.mean))
        return _combine(self.mean - mean, _thin(rows), self.factor)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the moments, and the number of vectors if known, to a safetensors file, atomically."""
        from safetensors.numpy import save_file

        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        tensors = {"mean": self.mean, "cov": self.cov}
        if self.count is not None:
            tensors["count"] = np.array([self.count])
        try:
            save_file(tensors, partial, metadata={"schema_version": "1"})
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
            count = int(tensors["count"][0]) if "count" in tensors else None
            return cls.from_moments(tensors["mean"], tensors["cov"], count)
        except (SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path}: not a Fréchet reference with 'mean' and 'cov' ({error}); {again}") from error


def frechet_distance(x: Any, y: Any) -> float:
    """Fréchet distance between two sets of vectors.

    Args:
        x: (n, d) vectors, n ≥ 2.
        y: (m, d) vectors, m ≥ 2.

    Returns:
        The (squared) distance, 0 or more; symmetric.

    Warns:
        SmallSampleWarning: n ≤ d or m ≤ d. The number is given, but says little: see
            `bench.metrics.fad_infinity`, or `bench.metrics.kernel`, whose distance has no such bias.

    Raises:
        ValueError: fewer than 2 vectors, dimensions that differ, or entries that are not finite.

    Example:
        >>> round(frechet_distance([[0.0], [2.0]], [[10.0], [12.0]]), 6)
        100.0
    """
    mean_x, rows_x = _centre(x, "x")
    mean_y, rows_y = _centre(y, "y")
    same_width(rows_x, rows_y, "x and y")
    _warn_if_small({"x": len(rows_x), "y": len(rows_y)}, rows_x.shape[1])
    return _combine(mean_x - mean_y, _thin(rows_y), _thin(rows_x).T)


def per_item_frechet(items: Any, reference: FrechetReference) -> np.ndarray:
    """Fréchet distance of each item's own frames to a reference ("per-song FAD", arXiv 2311.01616).

    An item has far fewer frames than dimensions, so every distance is biased upwards, the more the fewer frames:
    compare items of equal length, by their order rather than by their size.

    Args:
        items: (n, T, d) frames, or a sequence of n arrays (T_i, d), T_i ≥ 2.
        reference: fitted on frames of the same space.

    Returns:
        (n,) distances, 0 or more.

    Raises:
        ValueError: an item with fewer than 2 frames, of another dimension, or with entries that are not finite; it
            is named by its index.

    Example:
        >>> reference = FrechetReference.from_moments([0.0, 0.0], np.diag([2.0, 0.0]))
        >>> per_item_frechet([[[0.0, 0.0], [2.0, 0.0]], [[-1.0, 3.0], [1.0, 3.0], [0.0, 3.0]]], reference).round(6)
        array([1.      , 9.171573])
    """
    frames = [_item(item, index, len(reference.mean)) for index, item in enumerate(items)]
    out = np.empty(len(frames))
    lengths = np.array([len(item) for item in frames], dtype=int)
    for length in np.unique(lengths):
        # Items of one length share one product with the factor.
        same = np.flatnonzero(lengths == length)
        step = max(1, _CHUNK // (length * len(reference.mean)))
        for start in range(0, len(same), step):
            part = same[start : start + step]
            out[part] = _distances(np.stack([frames[i] for i in part]), reference)
    return out


def _item(item: Any, index: int, width: int) -> np.ndarray:
    rows = finite_array(item, f"item {index}", 2)
    if len(rows) < 2:
        raise ValueError(f"item {index} has {len(rows)} frames; a covariance needs 2 or more")
    if rows.shape[1] != width:
        raise ValueError(f"item {index} has frames of {rows.shape[1]} entries, the reference {width}")
    return rows


def _distances(items: np.ndarray, reference: FrechetReference) -> np.ndarray:
    """Distances (n,) of items of equal length (n, T, d)."""
    n, length, width = items.shape
    mean = items.mean(axis=1)
    rows = (items - mean[:, None]) / np.sqrt(length - 1)
    with np.errstate(over="ignore"):
        own = np.einsum("nij,nij->n", rows, rows)
    for variance in own:
        _check_range(float(variance), "an item")
    product = (rows.reshape(-1, width) @ reference.factor).reshape(n, length, -1)
    transposed = np.swapaxes(product, 1, 2)
    gram = product @ transposed if length <= product.shape[2] else transposed @ product
    trace = np.sum(reference.factor**2) + own
    shift = mean - reference.mean
    # Only the last step, which may have to go back to singular values, is taken item by item.
    values = np.linalg.eigvalsh(gram) if gram.size else np.zeros((n, 0))
    return np.array([
        _from_spectrum(shift[i], float(trace[i]), values[i], product[i]) for i in range(n)
    ])  # fmt: skip


def _centre(x: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and rows A (n, d) with AᵀA the unbiased covariance."""
    rows = finite_array(x, name, 2)
    if len(rows) < 2:
        raise ValueError(f"{name} has {len(rows)} vectors; a covariance needs 2 or more")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = rows.mean(axis=0)
        rows = rows - mean
        rows /= np.sqrt(len(rows) - 1)
        _check_range(float(np.einsum("ij,ij->", rows, rows)), name)
    return mean, rows


def _warn_if_small(counts: dict[str, int | None], width: int) -> None:
    small = [f"{name} has {count}" for name, count in counts.items() if count is not None and count <= width]
    if small:
        warnings.warn(
            f"{' and '.join(small)} vectors in {width} dimensions: the covariance lacks rank and the Fréchet distance "
            "is biased upwards; use more vectors, a kernel distance, or fad_infinity",
            SmallSampleWarning,
            stacklevel=3,
        )


def _thin(rows: np.ndarray) -> np.ndarray:
    """At most d rows with the same Gram matrix AᵀA, by the least work; n ≤ d vectors are their own thin factor."""
    if len(rows) <= rows.shape[1]:
        return rows
    try:
        return np.linalg.cholesky(rows.T @ rows).T
    except np.linalg.LinAlgError:  # constant columns, duplicates: some directions have no variance
        return np.asarray(np.linalg.qr(rows, mode="r"))


def _combine(shift: np.ndarray, rows: np.ndarray, factor: np.ndarray) -> float:
    """The distance from the mean shift and the factors A (n, d) and F (d, r) of both covariances."""
    product = rows @ factor
    gram = product @ product.T if len(product) <= product.shape[1] else product.T @ product
    values = np.linalg.eigvalsh(gram) if gram.size else np.zeros(0)
    return _from_spectrum(shift, float(np.vdot(rows, rows) + np.vdot(factor, factor)), values, product)


def _from_spectrum(shift: np.ndarray, trace: float, values: np.ndarray, product: np.ndarray) -> float:
    """The distance, given both traces in one and the eigenvalues of a Gram matrix of the product of factors."""
    roots = np.sqrt(np.maximum(values, 0.0))
    apart = float(shift @ shift) + trace
    total = apart - 2.0 * float(roots.sum())
    # Rounding moves a squared value by about `noise`, so its root by noise/√value, at most by √noise.
    noise = 8 * np.finfo(np.float64).eps * float(np.max(values, initial=0.0))
    error = float(np.sum(noise / (roots + np.sqrt(noise)))) if noise > 0 else 0.0
    if error > _TOLERANCE * total:
        total = apart - 2.0 * float(np.linalg.svd(product, compute_uv=False).sum())
    # Rounding may leave equal sets a hair below 0.
    return max(0.0, total)


def _check_range(trace: float, name: str) -> None:
    """Raise ValueError where fourth powers of the entries would overflow, or vanish and leave no cross term."""
    if not (trace == 0 or 1e-150 < trace < 1e150):
        raise ValueError(f"{name} has a total variance of {trace:.3g}, outside 1e-150..1e150; rescale both sets alike")
