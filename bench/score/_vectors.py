"""Scores of arrays: query vectors against gallery vectors, and a set of queries against a reference set."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from bench import stats
from bench._npy import load_array
from bench.errors import UserError
from bench.metrics._arrays import finite_array, same_width, unit_rows
from bench.metrics.diversity import vendi_percent, vendi_score
from bench.metrics.frechet import FrechetReference
from bench.metrics.kernel import KernelReference
from bench.metrics.retrieval import Ties, relevant_ranks_all, top_k
from bench.registry import nearest
from bench.score._metrics import Scores, entry, no_value
from bench.score._ranked import Ranked, none_relevant
from bench.trec import PairValues, write_run

__all__ = ["Similarity", "judged", "load_vectors", "rank_arrays", "save_run", "score_set", "set_metrics"]

Similarity = Literal["cosine", "dot"]
SIMILARITIES = ("cosine", "dot")


def load_vectors(path: str | Path) -> np.ndarray:
    """Vectors of a .npy file (n, d), mapped and not read; pickled objects are refused.

    Raises:
        UserError: no such file, not a .npy file, not numbers in two axes.
    """
    array = load_array(path)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.size == 0:
        raise UserError(f"{path}: holds {array.dtype} of shape {array.shape}; one row of numbers a vector is needed")
    return array


def judged(
    pairs: PairValues, query_ids: Sequence[str] | None, item_ids: Sequence[str] | None, sizes: tuple[int, int]
) -> PairValues:
    """Qrels in which place i of queries and items is row i of the arrays; queries that are not judged are there too.

    Args:
        pairs: qrels, whose ids are those given here; where none are given, and in columns `query_index` and
            `item_index`, they are row numbers from 0.
        query_ids: ids of the rows of the queries, or None.
        item_ids: ids of the rows of the gallery, or None.
        sizes: number of queries and of gallery items.

    Raises:
        UserError: a pair that names no row, with file and line; another number of ids than of rows.
    """
    sides = []
    for kind, column, ids, used, codes, size in (
        ("query", pairs.columns[0], query_ids, pairs.query_ids, pairs.query, sizes[0]),
        ("item", pairs.columns[1], item_ids, pairs.item_ids, pairs.item, sizes[1]),
    ):
        if ids is not None and len(ids) != size:
            raise UserError(f"{len(ids)} {kind} ids for {size} vectors; give one id a row, in their order")
        by_row = ids is None or column.endswith("_index")
        names = tuple(map(str, range(size))) if ids is None else tuple(ids)
        places = {name: place for place, name in enumerate(map(str, range(size)) if by_row else names)}
        rows = np.array([places.get(name, -1) for name in used])
        if (rows < 0).any():
            at = int(np.argmax(rows[codes] < 0))
            known = f"rows 0..{size - 1}" if by_row else f"the ids given (--{kind}-ids)"
            raise UserError(f"{pairs.source}:{pairs.line[at]}: {kind} {used[codes[at]]!r} is not among {known}")
        sides.append((names, rows[codes]))
    (queries, query), (items, item) = sides
    return PairValues(pairs.source, queries, items, query, item, pairs.value, pairs.line)


def rank_arrays(queries: Any, gallery: Any, relevant: PairValues, *, similarity: Similarity = "cosine") -> Ranked:
    """Ranks of the relevant items when the whole gallery is ranked for each query.

    Args:
        queries: (Q, d) vectors.
        gallery: (N, d) vectors.
        relevant: `judged` pairs of their rows; a relevance above 0 is relevant.
        similarity: "cosine", or "dot" of the rows as given.

    Raises:
        ValueError: another similarity, shapes that do not fit, entries that are not finite, a zero vector (cosine).
    """
    q, g = _prepared(queries, gallery, similarity)
    if (len(q), len(g)) != (len(relevant.query_ids), len(relevant.item_ids)):
        raise ValueError(f"{len(q)} queries and {len(g)} items, but relevant is about others; see `judged`")
    chosen = np.flatnonzero(relevant.value > 0)
    chosen = chosen[np.argsort(relevant.query[chosen], kind="stable")]
    row, item = relevant.query[chosen], relevant.item[chosen]
    asked, sizes = np.unique(row, return_counts=True)
    groups = np.split(item, np.cumsum(sizes)[:-1])
    lowest, highest = np.empty((2, len(row)))
    if len(row):
        for out, ties in ((lowest, "min"), (highest, "max")):
            out[:] = np.concatenate(relevant_ranks_all(q[asked], g, groups, ties=cast("Ties", ties)))
    depth = np.full(len(q), len(g))
    ranked = Ranked(
        relevant.query_ids, row, lowest, highest - lowest + 1, relevant.value[chosen], depth, len(g)
    )  # fmt: skip
    return Ranked(**{**vars(ranked), "notes": tuple(none_relevant(ranked))})


def save_run(
    path: str | Path, queries: Any, gallery: Any, query_ids: Sequence[str], item_ids: Sequence[str], *,
    depth: int = 1000, similarity: Similarity = "cosine", tag: str = "gdr-bench",
) -> None:  # fmt: skip
    """Write the top of every query as a TREC run, with float64 scores.

    Args:
        path: the file.
        queries: (Q, d) vectors.
        gallery: (N, d) vectors.
        query_ids: (Q,) ids.
        item_ids: (N,) ids.
        depth: how many items a query; all where the gallery has fewer.
        similarity: as for `rank_arrays`.
        tag: name of the system.

    Raises:
        ValueError: depth < 1, and as for `rank_arrays`.
        UserError: an id that cannot stand in a TREC file.
    """
    if depth < 1:
        raise ValueError(f"depth = {depth}; it must be 1 or more")
    q, g = _prepared(queries, gallery, similarity)
    top = top_k(q, g, min(depth, len(g)))
    # Row by row as the ranks are: items with equal vectors get equal scores.
    scores = (np.multiply(g[places], q[row], dtype=np.float64).sum(axis=1) for row, places in enumerate(top))
    write_run(path, query_ids, ([item_ids[place] for place in places] for places in top), scores, tag)


class _SetFamily(NamedTuple):
    unit: str
    higher_is_better: bool | None
    range: tuple[float | None, float | None]
    fit: Callable[[np.ndarray], Callable[[np.ndarray], float]] | None
    """reference -> distance of a set to it; None where no reference is needed."""
    alone: Callable[[np.ndarray], float] | None = None


def _unit_distance(reference: np.ndarray) -> Callable[[np.ndarray], float]:
    fitted = FrechetReference.fit(unit_rows(reference, "the reference"))
    return lambda x: fitted.distance(unit_rows(x, "queries"))


_SETS = {
    "FAD(ref)": _SetFamily("distance", False, (0, None), lambda r: FrechetReference.fit(r).distance),
    "FADunit(ref)": _SetFamily("distance", False, (0, None), _unit_distance),
    "KAD(ref)": _SetFamily("distance", False, (None, None), lambda r: KernelReference.fit(r).distance),
    "Vendi": _SetFamily("items", None, (1, None), None, lambda x: float(vendi_score(x))),
    "Vendi%": _SetFamily("%", None, (0, 100), None, lambda x: float(vendi_percent(x))),
}


def set_metrics() -> list[str]:
    """Keys of the metrics of a set of queries; `ref` is the reference that is given."""
    return list(_SETS)


def score_set(
    queries: Any, reference: Any = None, metrics: Sequence[str] | None = None, *, clusters: Any = None
) -> Scores:
    """Metrics of a set of generated queries, with delete-a-group jackknife intervals; vectors are taken as given.

    Args:
        queries: (n, d) vectors.
        reference: (m, d) vectors that FAD and KAD compare with; None: these have no value.
        metrics: keys of `set_metrics`; None: all but FADunit and Vendi%.
        clusters: (n,) labels of queries that belong together.

    Raises:
        ValueError: shapes that do not fit, entries that are not finite.
        UserError: a key that is not known.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> score_set(x, metrics=["Vendi"]).metrics["Vendi"]["n"]
        200
    """
    keys = list(dict.fromkeys(metrics if metrics is not None else ("FAD(ref)", "KAD(ref)", "Vendi")))
    for key in keys:
        if key not in _SETS:
            close = nearest(key, set_metrics())
            raise UserError(
                f"unknown metric {key!r}; " + (f"did you mean {close!r}?" if close else f"known: {', '.join(_SETS)}")
            )
    x = finite_array(queries, "queries", 2)
    ref = None if reference is None else finite_array(reference, "reference", 2)
    if ref is not None:
        same_width(x, ref, "queries and reference")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        found = {key: _of_set(_SETS[key], x, ref, clusters) for key in keys}
    info = {
        key: {"higher_is_better": f.higher_is_better, "unit": f.unit, "range": list(f.range), "level": "set"}
        for key, f in ((key, _SETS[key]) for key in keys)
    }
    # The jackknife repeats a warning with other numbers; the first is about the whole set.
    said = {type(warning.message): str(warning.message) for warning in reversed(caught)}
    count = len(x) if clusters is None else len(set(clusters))
    return Scores(len(x), None, count, "mid", None, found, info, notes=tuple(said.values()))


def _of_set(family: _SetFamily, x: np.ndarray, ref: np.ndarray | None, clusters: Any) -> dict[str, Any]:
    statistic = family.alone
    try:
        if family.fit is not None:
            if ref is None:
                return no_value("it needs a reference set (--reference)", len(x))
            statistic = family.fit(ref)
        assert statistic is not None
        estimate = stats.jackknife_estimate(statistic, x, clusters)
    except ValueError as error:
        return no_value(str(error), len(x))
    return entry(float(estimate.value), stats.interval(estimate), len(x), family.range)


def _prepared(queries: Any, gallery: Any, similarity: str) -> tuple[np.ndarray, np.ndarray]:
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity = {similarity!r}; it must be 'cosine' or 'dot'")
    q, g = finite_array(queries, "queries", 2, None), finite_array(gallery, "gallery", 2, None)
    same_width(q, g, "queries and gallery")
    return (unit_rows(q, "queries"), unit_rows(g, "gallery")) if similarity == "cosine" else (q, g)
