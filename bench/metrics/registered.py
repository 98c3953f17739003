"""The built-in metrics of queries and lists by key, as the `bench.metrics` entry points name them."""

from __future__ import annotations

import re

import numpy as np

from bench.metrics.clap_score import clap_score
from bench.metrics.control import gained_at_k, overlap_at_k, removal_at_k, share_at_k, twin_wins
from bench.metrics.geometry import hubness, modality_gap
from bench.metrics.measured import Measured, Metric

__all__ = [
    "CLAP", "GAINED", "HUBNESS", "KEPT", "MAP", "MEDR", "MODALITY_GAP", "MRR", "NDCG", "NEGATED_SHARE", "NMEDR",
    "OVERLAP", "RECALL", "RECALL_NEGATED", "RECALL_NORMALISED", "REMOVAL", "TWIN_ACCURACY", "WANTED_SHARE",
]  # fmt: skip


def _where(values: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Values with NaN where a query does not count."""
    return values.astype(np.float64) if counts is None else np.where(counts, values, np.nan)


def _recall(m: Measured, key: re.Match[str]) -> np.ndarray:
    return _where(100.0 * (m.ranks <= int(key["k"])), m.lacks)


def _recall_negated(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.lacks is not None
    return _where(100.0 * (m.ranks <= int(key["k"])), ~m.lacks)


def _average_precision(m: Measured, key: re.Match[str]) -> np.ndarray:
    # With one relevant item average precision is the reciprocal rank, cut at k.
    return _where(100.0 * (m.ranks <= int(key["k"])) / m.ranks, m.lacks)


def _ndcg(m: Measured, key: re.Match[str]) -> np.ndarray:
    return _where(100.0 * (m.ranks <= int(key["k"])) / np.log2(1.0 + m.ranks), m.lacks)


def _top(m: Measured, key: re.Match[str]) -> np.ndarray:
    return m.top[:, : int(key["k"])]


def _before(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.before_top is not None
    return m.before_top[:, : int(key["k"])]


def _kept(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.kept is not None
    return m.kept


def _clap(m: Measured, key: re.Match[str]) -> np.ndarray:
    queries = m.first_sample if key["one"] else m.raw
    targets = np.asarray(m.targets[key["target"]], dtype=np.float64)
    out = np.full(m.n, np.nan)
    known = ~np.isnan(targets).any(axis=1)
    out[known] = clap_score(queries[known], targets[known])
    return out


def _no_target(m: Measured, key: re.Match[str]) -> str | None:
    return m.targets.why_missing(key["target"])


def _no_text(m: Measured, key: re.Match[str]) -> str | None:
    return m.targets.why_missing("ZT+")


def _gap(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    assert m.gallery is not None
    return modality_gap(m.targets["ZT+"][rows], m.gallery)


def _hubness(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    found = hubness(m.top[rows][:, : int(key["k"])], m.n_gallery)
    return float(found.skewness if key["what"] == "Hubness" else found.never_retrieved)


def _twin_accuracy(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.twins is not None
    return twin_wins(m.vectors, m.targets["ZA+"], m.twins)


def _needs_negatives(m: Measured, key: re.Match[str]) -> str | None:
    return None if m.negated is not None else "this experiment has no negatives"


def _needs_wanted(m: Measured, key: re.Match[str]) -> str | None:
    return None if m.wanted is not None else "this experiment has no refinements with a truth"


def _needs_kept(m: Measured, key: re.Match[str]) -> str | None:
    return None if m.kept is not None else "this experiment changes no query"


def _needs_before(m: Measured, key: re.Match[str]) -> str | None:
    return None if m.before_top is not None else "this experiment changes no query"


RECALL = Metric(
    "R@k", r"R@(?P<k>[1-9]\d*)", "%", True, (0, 100), "share of queries whose track ranks in the top k",
    per_query=_recall, needs=("ranks",),
)  # fmt: skip
RECALL_NEGATED = Metric(
    "R@k(neg)", r"R@(?P<k>[1-9]\d*)\(neg\)", "%", False, (0, 100), "R@k of targets that have the negated value",
    per_query=_recall_negated, needs=("ranks", "negatives", "truth"),
    why_null=lambda m, key: None if m.lacks is not None else "this experiment has no negatives",
)  # fmt: skip
RECALL_NORMALISED = Metric(
    "R@k(norm)", r"R@(?P<k>10)\(norm\)", "%", True, (None, None), "(R@k - chance) / (oracle - chance)",
    per_query=_recall, aggregate="oracle-normalised", needs=("ranks", "truth"),
    why_null=lambda m, key: None if m.oracle_ranks is not None else "the dataset has no truth for an oracle",
)  # fmt: skip
MEDR = Metric(
    "MedR", r"MedR", "rank", False, (1, None), "median rank",
    per_query=lambda m, key: _where(m.ranks, m.lacks), aggregate="median", needs=("ranks",),
)  # fmt: skip
NMEDR = Metric(
    "NMedR", r"NMedR", "%", False, (0, 100), "100 MedR / N, the paper's MedR (%)",
    per_query=lambda m, key: _where(100.0 * m.ranks / m.n_gallery, m.lacks), aggregate="median", needs=("ranks",),
)  # fmt: skip
MRR = Metric(
    "MRR", r"MRR", "%", True, (0, 100), "mean reciprocal rank",
    per_query=lambda m, key: _where(100.0 / m.ranks, m.lacks), needs=("ranks",),
)  # fmt: skip
MAP = Metric(
    "mAP@k", r"mAP@(?P<k>[1-9]\d*)", "%", True, (0, 100), "mean average precision in the top k (trec_eval's map_cut)",
    per_query=_average_precision, needs=("ranks",),
)  # fmt: skip
NDCG = Metric(
    "nDCG@k", r"nDCG@(?P<k>[1-9]\d*)", "%", True, (0, 100), "discounted cumulative gain in the top k over the ideal",
    per_query=_ndcg, needs=("ranks",),
)  # fmt: skip
CLAP = Metric(
    "CLAP(target)",
    r"CLAP\((?P<target>ZA\+|gen\+|ZT\+|gen-|ZT-|ZA-|gen:new|ZT:new|ZT:added|ZT:removed)(?P<one>,K=1)?\)",
    "cosine", None, (-1, 1),
    "mean cosine to: the target track, the unmodified query, the prompt's text; the negative's generated latent, its "
    "text, the mean real latent with the negated value (Table 6); the refined prompt's (Figures 4, 5)",
    per_query=_clap, needs=("queries", "targets"), why_null=_no_target,
)  # fmt: skip
NEGATED_SHARE = Metric(
    "negated_share@k", r"negated_share@(?P<k>[1-9]|10)", "share", False, (0, 1),
    "share of the top k that has the negated value, by the truth",
    per_query=lambda m, key: share_at_k(_top(m, key), m.negated), needs=("top", "negatives", "truth"),
    why_null=_needs_negatives,
)  # fmt: skip
REMOVAL = Metric(
    "removal@k", r"removal@(?P<k>[1-9]|10)", "share", True, (-1, 1), "negated share before minus after",
    per_query=lambda m, key: removal_at_k(_before(m, key), _top(m, key), m.negated),
    needs=("before", "top", "negatives", "truth"),
    why_null=_needs_negatives,
)  # fmt: skip
WANTED_SHARE = Metric(
    "wanted_share@k", r"wanted_share@(?P<k>[1-9]|10)", "share", True, (0, 1),
    "share of the top k that has what a refinement asks for, by the truth",
    per_query=lambda m, key: share_at_k(_top(m, key), m.wanted), needs=("top", "refinements", "truth"),
    why_null=_needs_wanted,
)  # fmt: skip
GAINED = Metric(
    "gained@k", r"gained@(?P<k>[1-9]|10)", "share", True, (-1, 1), "wanted share after minus before",
    per_query=lambda m, key: gained_at_k(_before(m, key), _top(m, key), m.wanted),
    needs=("before", "top", "refinements", "truth"),
    why_null=_needs_wanted,
)  # fmt: skip
TWIN_ACCURACY = Metric(
    "twin_accuracy", r"twin_accuracy", "share", True, (0, 1),
    "share of pairs in which the piece without the negated value is nearer to the query than its twin with it",
    per_query=_twin_accuracy, needs=("negatives", "twins"),
    why_null=lambda m, key: None if m.twins is not None else "no twins of this dataset in this space",
)  # fmt: skip
KEPT = Metric(
    "kept@10", r"kept@10", "share", True, (0, None),
    "share of the top 10 with what the query states, relative to an oracle's",
    per_query=_kept, needs=("top", "truth"), why_null=_needs_kept,
)  # fmt: skip
OVERLAP = Metric(
    "overlap@k", r"overlap@(?P<k>[1-9]|10)", "share", None, (0, 1), "share of the top k kept from the unmodified query",
    per_query=lambda m, key: overlap_at_k(_top(m, key), _before(m, key)), why_null=_needs_before,
    needs=("before", "top"),
)  # fmt: skip
HUBNESS = Metric(
    "Hubness@k", r"(?P<what>Hubness|Never)@(?P<k>[1-9]|10)", "skewness or %", False, (None, None),
    "skewness of how often each track is among the top k; Never: percent of the gallery never retrieved",
    statistic=_hubness, needs=("top",),
)  # fmt: skip
MODALITY_GAP = Metric(
    "ModalityGap", r"ModalityGap", "distance", None, (0, 2),
    "distance of the centroids of unit text and audio vectors", reference="arXiv 2203.02053",
    statistic=_gap, needs=("text",), why_null=_no_text,
)  # fmt: skip
