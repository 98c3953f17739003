"""Metrics of ranked queries with clustered intervals, and paired differences of two systems."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bench import stats
from bench.errors import UserError
from bench.metrics.retrieval import Ties
from bench.registry import nearest
from bench.score._ranked import Placed, Ranked, counted

__all__ = ["Scores", "compare", "default_metrics", "entry", "known_metrics", "no_value", "score"]

N_RESAMPLES = 10_000


class _Family(NamedTuple):
    """A family of keys; `tests` hold it to what the registered metric of the same key declares."""

    pattern: str
    unit: str
    higher_is_better: bool
    range: tuple[float | None, float | None]
    values: Callable[[Ranked, Placed, int], np.ndarray]


def _average_precision(ranked: Ranked, placed: Placed, k: int) -> np.ndarray:
    """Values (Q,) whose mean is `mean_average_precision_at_k` (trec_eval's map_cut)."""
    precision = np.where(placed.rank <= k, np.minimum(1.0, placed.place / placed.rank), 0.0)
    return 100.0 * _over(_sums(ranked, precision), ranked.relevant())


def _ndcg(ranked: Ranked, placed: Placed, k: int) -> np.ndarray:
    """Values (Q,) whose mean is `ndcg_at_k` (trec_eval's ndcg_cut): linear gains, over those of the best order."""
    found = np.where(placed.rank <= k, placed.gain / np.log2(1.0 + placed.rank), 0.0)
    order = np.lexsort((-ranked.gain, ranked.row))
    place = counted(np.diff(ranked.row, prepend=-1) != 0)
    ideal = np.where(place <= k, ranked.gain[order] / np.log2(1.0 + place), 0.0)
    return 100.0 * np.minimum(1.0, _over(_sums(ranked, found), _sums(ranked, ideal)))


def _sums(ranked: Ranked, parts: np.ndarray) -> np.ndarray:
    """Sums (Q,) of what the relevant pairs, in the order of queries, contribute."""
    return np.bincount(ranked.row, weights=parts, minlength=ranked.n_queries)


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; 0 where nothing is relevant."""
    return part / np.where(whole > 0, whole, np.inf)


_K = r"@(?P<k>[1-9]\d*)"
_FAMILIES = {
    "R@k": _Family("R" + _K, "%", True, (0, 100), lambda r, p, k: 100.0 * (p.first <= k)),
    "MRR": _Family("MRR", "%", True, (0, 100), lambda r, p, k: 100.0 / p.first),
    "mAP@k": _Family("mAP" + _K, "%", True, (0, 100), _average_precision),
    "nDCG@k": _Family("nDCG" + _K, "%", True, (0, 100), _ndcg),
    "MedR": _Family("MedR", "rank", False, (1, None), lambda r, p, k: p.first),
    "NMedR": _Family("NMedR", "%", False, (0, 100), lambda r, p, k: 100.0 * p.first / (r.n_gallery or np.nan)),
}
_MEDIANS = ("MedR", "NMedR")


@dataclass(frozen=True)
class Scores:
    """Metrics of one system, as `summary.json` holds those of a cell, and what they were computed from."""

    n_queries: int
    n_gallery: int | None
    n_clusters: int
    ties: str
    tie_rate: float | None
    """Share of queries whose first relevant item ties with another item, in percent; None without a ranking."""
    metrics: dict[str, dict[str, Any]]
    """key -> value, ci ([lo, hi] or None), n, why_null."""
    metric_info: dict[str, dict[str, Any]]
    chance: dict[str, float | None] = field(default_factory=dict)
    """What a random order gets, where that is known."""
    notes: tuple[str, ...] = ()
    comparison: dict[str, dict[str, Any]] | None = None
    """key -> a, b, difference (a − b), ci, p, p_holm, n, why_null."""

    def document(self) -> dict[str, Any]:
        """What is written as JSON: no NaN, no infinity."""
        return {
            "schema_version": 1, "n_queries": self.n_queries, "n_gallery": self.n_gallery,
            "n_clusters": self.n_clusters, "ties": self.ties, "tie_rate": self.tie_rate, "metrics": self.metrics,
            "metric_info": self.metric_info, "chance": self.chance, "notes": list(self.notes),
            "comparison": self.comparison,
        }  # fmt: skip


class _Column(NamedTuple):
    """Values of one metric, or why there are none."""

    values: np.ndarray
    why: str | None


def known_metrics() -> list[str]:
    """Keys that can be asked for, numbers standing for any."""
    return ["R@1", "R@5", "R@10", "MRR", "mAP@10", "nDCG@10", "MedR", "NMedR"]


def default_metrics(n_gallery: int | None) -> list[str]:
    """What is computed where nothing is asked for; NMedR needs the number of items searched."""
    return [key for key in known_metrics() if key != "NMedR" or n_gallery is not None]


def score(ranked: Ranked, metrics: Sequence[str] | None = None, *, clusters: Any = None, ties: Ties = "mid") -> Scores:
    """Metrics of a ranked system, with 95 % intervals.

    Means get a bootstrap of clusters, medians one of their ranks. A metric at k has no value where a query lists fewer
    than k items and not all that is relevant; MedR has none where most queries miss.

    Args:
        ranked: `rank_run` or `rank_arrays`.
        metrics: keys such as `R@10`; None takes `default_metrics`.
        clusters: (Q,) labels of queries that belong together, such as captions of one track; None: each its own.
        ties: what a rank is among equal scores.

    Raises:
        UserError: a key that is not known.

    Example:
        >>> ranked = Ranked(("q1", "q2"), np.array([0, 1]), np.array([1.0, 4.0]), np.ones(2), np.ones(2),
        ...                 np.array([9, 9]), 9)
        >>> scores = score(ranked, ["R@1", "MRR"])
        >>> scores.metrics["MRR"]["value"], round(scores.chance["R@1"], 1)
        (62.5, 11.1)
    """
    keys = default_metrics(ranked.n_gallery) if metrics is None else _checked(metrics)
    columns = _columns(ranked, keys, ties)
    found, notes = {}, list(ranked.notes)
    for key, column in columns.items():
        if column.why is not None:
            found[key] = no_value(column.why, ranked.n_queries)
        elif key in _MEDIANS:
            found[key] = _median(ranked, key, column.values, clusters)
            if found[key]["ci"] is None and np.isinf(column.values).any():
                notes.append(f"{key} has no interval: with so many misses it has no upper end")
        else:
            ends = stats.bootstrap_ci(column.values, clusters, N_RESAMPLES)
            found[key] = entry(float(column.values.mean()), ends, ranked.n_queries, _family(key).range)
    return Scores(
        ranked.n_queries, ranked.n_gallery, ranked.n_queries if clusters is None else len(set(clusters)), ties,
        ranked.tie_rate(), found, {key: _info(key) for key in keys}, {key: _chance(key, ranked) for key in keys},
        tuple(notes),
    )  # fmt: skip


def compare(
    a: Ranked, b: Ranked, metrics: Iterable[str], *, clusters: Any = None, ties: Ties = "mid"
) -> dict[str, dict[str, Any]]:
    """Paired differences a − b of two systems on the same queries.

    Args:
        a: one system.
        b: the other, with the same queries in the same order.
        metrics: keys.
        clusters: (Q,) labels, as for `score`.
        ties: as for `score`.

    Returns:
        key -> both values, the difference, its 95 % interval (bootstrap of clusters), p of a permutation test that
        swaps whole clusters, and p after Holm's correction over the metrics. Medians have a difference only.

    Raises:
        ValueError: the systems' queries differ.
        UserError: a key that is not known.
    """
    if a.query_ids != b.query_ids:
        raise ValueError("the two systems have different queries")
    keys = _checked(list(metrics))
    first, second = _columns(a, keys, ties), _columns(b, keys, ties)
    found = {key: _difference(key, first[key], second[key], clusters) for key in keys}
    adjusted = stats.holm([found[key]["p"] for key in keys])
    for key, p in zip(keys, adjusted.tolist(), strict=True):
        found[key]["p_holm"] = None if np.isnan(p) else p
    return found


def entry(
    value: float, ends: stats.Interval, n: int, bounds: tuple[float | None, float | None] = (None, None)
) -> dict[str, Any]:
    """A metric's entry of summary.json; an interval stays within the metric's range, and is null if not finite."""
    lo, hi = float(ends.lo), float(ends.hi)
    ci = None
    if np.isfinite(lo) and np.isfinite(hi):
        low, high = bounds
        ci = [lo if low is None else max(lo, float(low)), hi if high is None else min(hi, float(high))]
    return {"value": value, "ci": ci, "n": n, "why_null": None}


def no_value(why: str, n: int) -> dict[str, Any]:
    """The entry of a metric without a value."""
    return {"value": None, "ci": None, "n": n, "why_null": why}


def _checked(keys: Sequence[str]) -> list[str]:
    if not keys:
        raise UserError(f"no metrics are asked for; known: {', '.join(known_metrics())}")
    for key in keys:
        if not any(re.fullmatch(family.pattern, key) for family in _FAMILIES.values()):
            close = nearest(key, known_metrics())
            hint = f"did you mean {close!r}?" if close else f"known: {', '.join(known_metrics())} (any k from 1)"
            raise UserError(f"unknown metric {key!r}; {hint}")
    return list(dict.fromkeys(keys))


def _family(key: str) -> _Family:
    return next(family for family in _FAMILIES.values() if re.fullmatch(family.pattern, key))


def _info(key: str) -> dict[str, Any]:
    family = _family(key)
    return {
        "higher_is_better": family.higher_is_better, "unit": family.unit, "range": list(family.range), "level": "query"
    }  # fmt: skip


def _columns(ranked: Ranked, keys: Sequence[str], ties: Ties) -> dict[str, _Column]:
    placed = ranked.placed(ties)
    found = {}
    for key in keys:
        family = _family(key)
        match = re.fullmatch(family.pattern, key)
        k = int(match["k"]) if match and "k" in match.groupdict() else 0
        why = _why_null(ranked, placed, key, k)
        found[key] = _Column(family.values(ranked, placed, k), why)
    return found


def _why_null(ranked: Ranked, placed: Placed, key: str, k: int) -> str | None:
    if key == "NMedR" and ranked.n_gallery is None:
        return "the number of items searched is not known (--gallery N)"
    if key in _MEDIANS:
        missed = np.isinf(placed.first)
        if np.isinf(np.median(placed.first)):
            return f"the relevant item of {int(missed.sum())} of {len(missed)} queries is not in the run"
        return None
    short = ranked.cut_short(k) if k else np.zeros(ranked.n_queries, dtype=bool)
    if key.startswith("R@"):
        short &= placed.first > k
    if short.any():
        return (
            f"{int(short.sum())} queries list fewer than {k} items and not all that is relevant "
            f"(the first is {ranked.query_ids[int(np.argmax(short))]!r}); list at least {k}"
        )
    return None


def _median(ranked: Ranked, key: str, values: np.ndarray, clusters: Any) -> dict[str, Any]:
    ends = stats.median_rank_ci(values, clusters, N_RESAMPLES)
    if ranked.n_gallery is not None and np.isinf(ends.hi):
        # No rank lies beyond the gallery.
        ends = stats.Interval(ends.lo, 100.0 if key == "NMedR" else float(ranked.n_gallery))
    return entry(float(np.median(values)), ends, ranked.n_queries, _family(key).range)


def _chance(key: str, ranked: Ranked) -> float | None:
    """Expected value of a random order of the gallery: of R@k for any number of relevant items, of the rest for one."""
    n, sizes = ranked.n_gallery, ranked.relevant()
    if n is None or (sizes > n).any():
        return None
    if key.startswith("R@"):
        k = min(int(key[2:]), n)
        # All k draws miss: Π (n − r − i) / (n − i).
        draws = np.arange(k)
        left = np.maximum(n - np.unique(sizes)[:, None] - draws, 0)
        missed = dict(zip(np.unique(sizes).tolist(), np.prod(left / (n - draws), axis=1).tolist(), strict=True))
        return float(100.0 * np.mean([1.0 - missed[size] for size in sizes.tolist()]))
    if key not in ("MRR", "MedR", "NMedR") or (sizes != 1).any():
        return None
    if key == "MRR":
        return float(100.0 * np.sum(1.0 / np.arange(1, n + 1)) / n)
    return (n + 1) / 2 if key == "MedR" else 50.0 * (n + 1) / n


def _difference(key: str, a: _Column, b: _Column, clusters: Any) -> dict[str, Any]:
    n = len(a.values)
    out: dict[str, Any] = {"a": None, "b": None, "difference": None, "ci": None, "p": None, "p_holm": None, "n": n}
    average = np.median if key in _MEDIANS else np.mean
    for name, column in (("a", a), ("b", b)):
        if column.why is None:
            out[name] = float(average(column.values))
    if a.why is not None or b.why is not None:
        return {**out, "why_null": a.why or b.why}
    out["difference"] = out["a"] - out["b"]
    if key in _MEDIANS:
        return {**out, "why_null": "medians have no paired test: compare R@k or MRR"}
    ends = stats.bootstrap_ci(a.values - b.values, clusters, N_RESAMPLES)
    out["ci"] = entry(0.0, ends, n)["ci"]
    out["p"] = stats.paired_permutation(a.values, b.values, clusters)
    return {**out, "why_null": None}
