"""Scores of many queries against a large gallery, counted tile by tile and exact in float64.

A float32 product decides every pair that is further from the threshold than its rounding error can reach; the few
pairs in between are computed again in float64, pair by pair. The counts are therefore those of the float64 scores,
whatever the tiles, and the Q×N score matrix is never kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from bench.metrics._arrays import finite_array, same_width

__all__ = ["Vectors", "checked_vectors", "count_rivals", "dot64", "score_bound", "score_chunks"]

#: Bytes that one entry of a tile of scores needs at its peak: the float32 score, two masks, and what near ties take.
BYTES_PER_SCORE = 12
#: Rows and columns of the largest tile of scores, one product.
TILE = (1408, 8192)
#: Rows of a tile that are compared at a time.
STRIP = 128
#: Smallest relative error allowed for in a float32 product, whatever the length of the rows.
NEAR = 1e-5
#: Share of a tile within rounding error above which it is scored in float64 as a whole.
DENSE = 1 / 16
#: Lengths of gallery rows between which float32 neither overflows nor loses digits.
SAFE_LENGTHS = (1e-15, 1e15)


class Vectors(NamedTuple):
    """Queries and gallery, checked."""

    q: np.ndarray
    """(Q, d) as given: float16, float32 or float64."""
    g: np.ndarray
    """(N, d)"""
    q_length: np.ndarray
    """(Q,) float64 lengths of the rows, within 1 %."""
    g_length: np.ndarray
    """(N,)"""


def checked_vectors(queries: Any, gallery: Any) -> Vectors:
    """Queries (Q, d) and gallery (N, d) with the lengths of their rows; no copy of contiguous floating arrays.

    Raises:
        ValueError: entries that are not finite, shapes that do not fit, an empty gallery, scores beyond float64.
    """
    q, q_length = _finite_rows(queries, "queries")
    g, g_length = _finite_rows(gallery, "gallery")
    if len(g) == 0:
        raise ValueError("the gallery is empty")
    same_width(q, g, "queries and gallery")
    largest = float(q_length.max(initial=0.0)), float(g_length.max())
    if largest[0] * largest[1] > 1e307:
        raise ValueError(
            f"queries and gallery have rows as long as {largest[0]:.3g} and {largest[1]:.3g}: their products overflow "
            "float64; scale one of them"
        )
    return Vectors(q, g, q_length, g_length)


def dot64(q: np.ndarray, g: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Float64 dot products of listed pairs; each depends on its two rows alone, not on its place in the list."""
    out = np.empty(len(rows))
    step = max(1, 2**17 // max(1, q.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        product = q[rows[part]].astype(np.float64)
        product *= g[cols[part]]
        out[part] = product.sum(axis=1)
    return out


def count_rivals(v: Vectors, rows: np.ndarray, own: np.ndarray, memory_mb: int) -> tuple[np.ndarray, np.ndarray]:
    """How many gallery items score above, and how many exactly at, each threshold.

    Args:
        v: the vectors.
        rows: (P,) query of each threshold, ascending.
        own: (P,) float64 thresholds, as `dot64` gives them.
        memory_mb: budget for scores, in MiB; the smallest tile is used where it is too small for one.

    Returns:
        Two (P,) int64 counts, by float64 score; an item whose own score is the threshold is among the second.
    """
    # A query of zeros ties with the whole gallery: nothing to compute.
    live = np.flatnonzero(v.q_length[rows] > 0)
    n_rows, n_cols = _tile_shape(memory_mb, len(live), len(v.g))
    counter = _Counter(v, len(rows), (n_rows, n_cols))
    counter.equal[v.q_length[rows] == 0] = len(v.g)
    held = max(1, memory_mb * 2**20 // 4 // (4 * max(1, v.q.shape[1])) // n_rows) * n_rows
    for start in range(0, len(live), held):
        members = live[start : start + held]
        parts = [members[at : at + n_rows] for at in range(0, len(members), n_rows)]
        blocks = [_block(v, _Thresholds(part, rows[part], own[part])) for part in parts]
        for first in range(0, len(v.g), n_cols):
            tile = _tile(v, first, n_cols)
            for block in blocks:
                counter.count(block, tile)
    return counter.greater, counter.equal


def score_bound(v: Vectors) -> np.ndarray:
    """(Q,) how far a score of `score_chunks` can lie from the float64 score."""
    longest = v.g_length.max()
    return _rounding(v) * v.q_length * longest + _underflow(v, 1.0 + v.q_length + longest)


def score_chunks(v: Vectors, memory_mb: int) -> Iterator[tuple[int, np.ndarray]]:
    """Scores of consecutive queries: (first query, (rows, N) float64 if the vectors' lengths need it, else float32)."""
    kind = np.float32 if _safe(v.q_length) and _safe(v.g_length) else np.float64
    step = max(1, memory_mb * 2**20 // (BYTES_PER_SCORE * np.dtype(kind).itemsize // 4 * len(v.g)))
    for start in range(0, len(v.q), step):
        part = v.q[start : start + step].astype(kind, copy=False)
        scores = np.empty((len(part), len(v.g)), dtype=kind)
        for first in range(0, len(v.g), TILE[1]):
            stop = first + TILE[1]
            np.matmul(part, v.g[first:stop].astype(kind, copy=False).T, out=scores[:, first:stop])
        yield start, scores


class _Tile(NamedTuple):
    """Consecutive gallery rows, scaled by a power of two into float32's range."""

    first: int
    rows: np.ndarray
    scale: float
    longest: float


class _Thresholds(NamedTuple):
    """Thresholds: which they are, the query of each, and the score."""

    members: np.ndarray
    queries: np.ndarray
    own: np.ndarray

    def part(self, part: slice) -> _Thresholds:
        return _Thresholds(*(field[part] for field in self))


class _Block(NamedTuple):
    """Thresholds that are scored in one product, and their queries, each once and scaled to unit length."""

    thresholds: _Thresholds
    scaled: np.ndarray
    """Thresholds over the lengths of their queries."""
    unit: np.ndarray
    spread: np.ndarray
    """Row of `unit` of each threshold."""


class _Counter:
    """The running counts of every threshold, and the memory for one tile of scores."""

    def __init__(self, v: Vectors, n_thresholds: int, tile: tuple[int, int]) -> None:
        self.v = v
        self.greater = np.zeros(n_thresholds, dtype=np.int64)
        self.equal = np.zeros(n_thresholds, dtype=np.int64)
        # Held, for fresh pages for every tile cost more than the comparisons.
        self._scores = np.empty(tile[0] * tile[1], dtype=np.float32)
        self._masks = np.empty((2, min(STRIP, tile[0]) * tile[1]), dtype=bool)

    def count(self, block: _Block, tile: _Tile) -> None:
        """Count a tile of gallery rows for a block of thresholds."""
        shape = len(block.unit), len(tile.rows)
        scores = np.matmul(block.unit, tile.rows.T, out=_reshaped(self._scores, shape))
        bound = _rounding(self.v) * tile.longest + _underflow(self.v, 2.0 + tile.longest)
        middle = block.scaled * tile.scale
        high = np.nextafter((middle + bound).astype(np.float32), np.float32(np.inf))[:, None]
        low = np.nextafter((middle - bound).astype(np.float32), np.float32(-np.inf))[:, None]
        alone = len(block.unit) == len(block.spread)
        # A few rows at a time, so that the second comparison finds the scores in the cache.
        for start in range(0, len(block.spread), STRIP):
            part = slice(start, start + STRIP)
            strip = scores[part] if alone else scores[block.spread[part]]
            self._compare(block.thresholds.part(part), tile, strip, low[part], high[part])

    def _compare(self, some: _Thresholds, tile: _Tile, scores: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Count scores above `high`, and settle those from `low` to `high`."""
        above = np.greater(scores, high, out=_reshaped(self._masks[0], scores.shape))
        near = np.greater_equal(scores, low, out=_reshaped(self._masks[1], scores.shape))
        near ^= above
        if np.count_nonzero(near) > DENSE * near.size:
            self._score_in_float64(some, tile)
            return
        # Row by row: NumPy's count along an axis would widen every mask entry to an integer first.
        self.greater[some.members] += [np.count_nonzero(row) for row in above]
        at, col = np.divmod(np.flatnonzero(near), near.shape[1])
        self._settle(some, at, tile.first + col, None)

    def _settle(self, some: _Thresholds, at: np.ndarray, cols: np.ndarray, weights: np.ndarray | None) -> None:
        """Decide pairs (threshold `at`, gallery item) by their own float64 product; `weights` are gallery items."""
        delta = dot64(self.v.q, self.v.g, some.queries[at], cols) - some.own[at]
        for counts, mask in ((self.greater, delta > 0), (self.equal, delta == 0)):
            weight = None if weights is None else weights[mask]
            found = np.bincount(at[mask], weight, minlength=len(some.members))
            counts[some.members] += found.astype(np.int64)

    def _score_in_float64(self, some: _Thresholds, tile: _Tile) -> None:
        """Count a tile in which most scores are near the thresholds, as a collapsed encoder's are."""
        items, weights = _distinct_rows(self.v.g[tile.first : tile.first + len(tile.rows)])
        q = self.v.q[some.queries].astype(np.float64)
        lengths = self.v.q_length[some.queries] * (tile.longest / tile.scale)
        bound = _rounding(self.v, np.float64) * lengths + _underflow(self.v, 1.0, np.float64)
        step = max(1, 2**20 // max(1, q.shape[1]))
        for start in range(0, len(items), step):
            cols, weight = tile.first + items[start : start + step], weights[start : start + step]
            scores = q @ self.v.g[cols].astype(np.float64).T
            above = scores > (some.own + bound)[:, None]
            self.greater[some.members] += (above @ weight).astype(np.int64)
            at, col = np.nonzero(~above & (scores >= (some.own - bound)[:, None]))
            self._settle(some, at, cols[col], weight[col])


def _reshaped(memory: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return memory[: shape[0] * shape[1]].reshape(shape)


def _tile_shape(memory_mb: int, n_thresholds: int, n_gallery: int) -> tuple[int, int]:
    """Rows and columns of equal tiles of scores that half the budget holds."""
    cells = memory_mb * 2**20 // 2 // BYTES_PER_SCORE
    n_rows = min(TILE[0], max(16, int(np.sqrt(cells / 4))))
    n_cols = min(TILE[1], max(64, cells // n_rows))
    return _even(n_thresholds, n_rows), _even(n_gallery, n_cols)


def _even(n: int, most: int) -> int:
    """Size of the fewest parts of n that have at most `most` members each, about equal."""
    return max(1, -(-n // max(1, -(-n // most))))


def _block(v: Vectors, thresholds: _Thresholds) -> _Block:
    distinct, spread = np.unique(thresholds.queries, return_inverse=True)
    unit = (v.q[distinct] / v.q_length[distinct, None]).astype(np.float32)
    return _Block(thresholds, thresholds.own / v.q_length[thresholds.queries], unit, spread)


def _tile(v: Vectors, first: int, n_cols: int) -> _Tile:
    rows, longest = v.g[first : first + n_cols], float(v.g_length[first : first + n_cols].max())
    if longest == 0 or _safe(longest):
        return _Tile(first, rows.astype(np.float32, copy=False), 1.0, longest)
    # Clipped, for the power of two that the smallest float64 would need is not finite.
    scale = 2.0 ** min(1000, max(-1000, -int(np.frexp(longest)[1])))
    return _Tile(first, (rows.astype(np.float64) * scale).astype(np.float32), scale, longest * scale)


def _safe(lengths: Any) -> bool:
    low, high = SAFE_LENGTHS
    return bool(np.all((np.asarray(lengths) == 0) | (np.asarray(lengths) > low) & (np.asarray(lengths) < high)))


def _rounding(v: Vectors, kind: type = np.float32) -> float:
    """Bound on the error of a product of rows, relative to their lengths.

    A sum of d products in any order is off by at most d·u·|q|·|g| (Higham 2002, equation 3.5, u half the spacing at
    1); casting the rows and their lengths to 1 % add a little.
    """
    least = NEAR if kind is np.float32 else 0.0
    return float(max(least, 1.05 * (v.q.shape[1] + 8) * np.finfo(kind).eps / 2))


def _underflow(v: Vectors, lengths: Any, kind: type = np.float32) -> Any:
    """Bound on what a product loses by entries and products too small for the type; lengths is 1 + |q| + |g|."""
    return 4.0 * v.q.shape[1] * lengths * float(np.finfo(kind).tiny)


def _distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of one row of each kind, and how many of each there are."""
    at = np.arange(len(rows))
    key = dot64(rows, np.sin(1.0 + np.arange(rows.shape[1]))[None], at, np.zeros_like(at))
    _, first, inverse, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    if len(first) < len(rows) and np.array_equal(rows, rows[first[inverse]]):
        return first, counts.astype(np.float64)
    return at, np.ones(len(rows))


def _finite_rows(values: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A contiguous floating array of 2 axes and the lengths of its rows, in steps that need little memory."""
    array = np.asarray(values)
    if array.dtype not in (np.float16, np.float32, np.float64):
        array = finite_array(array, name, 2)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; 2 axes are needed")
    array = np.ascontiguousarray(array)
    lengths = np.empty(len(array))
    step = max(1, 2**20 // max(1, array.shape[1]))
    for start in range(0, len(array), step):
        lengths[start : start + step] = _row_lengths(array[start : start + step])
    if not np.isfinite(lengths).all():
        finite_array(array, name, 2, None)
        raise ValueError(f"{name} has rows whose length is beyond float64; scale them")
    return array, lengths


def _row_lengths(rows: np.ndarray) -> np.ndarray:
    """Lengths of rows, float64, infinite or NaN where an entry is."""
    if rows.dtype == np.float16:
        rows = rows.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows).astype(np.float64)
        lengths = np.sqrt(squares)
        # Squares that left the range of the type: again, scaled by the largest entry.
        odd = ~((squares > 1e-30) & (squares < 1e30))
        if odd.any():
            exact = rows[odd].astype(np.float64)
            largest = np.abs(exact).max(axis=1, initial=0.0)
            scaled = exact / np.where(largest > 0, largest, 1.0)[:, None]
            lengths[odd] = largest * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return lengths
