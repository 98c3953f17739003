"""The built-in metrics by key, as the `bench.metrics` entry points name them."""

from __future__ import annotations

import re

import numpy as np

from bench.metrics.clap_score import clap_score
from bench.metrics.control import overlap_at_k, share_at_k
from bench.metrics.diversity import intra_vendi, mean_intra_cosine, vendi_score
from bench.metrics.measured import Measured, Metric

__all__ = [
    "CLAP", "FAD", "KEPT", "MEDR", "MICS", "MINVS", "MRR", "NEGATED_SHARE", "NMEDR", "OVERLAP", "RECALL",
    "RECALL_NEGATED", "RECALL_NORMALISED", "REMOVAL", "VENDI",
]  # fmt: skip


def _where(values: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Values with NaN where a query does not count."""
    return values.astype(np.float64) if counts is None else np.where(counts, values, np.nan)


def _recall(m: Measured, key: re.Match[str]) -> np.ndarray:
    return _where(100.0 * (m.ranks <= int(key["k"])), m.lacks)


def _recall_negated(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.lacks is not None
    return _where(100.0 * (m.ranks <= int(key["k"])), ~m.lacks)


def _share(m: Measured, top: np.ndarray, k: int) -> np.ndarray:
    assert m.negated is not None
    return share_at_k(top[:, :k], m.negated)


def _removal(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.before_top is not None
    return _share(m, m.before_top, int(key["k"])) - _share(m, m.top, int(key["k"]))


def _kept(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.kept is not None
    return m.kept


def _overlap(m: Measured, key: re.Match[str]) -> np.ndarray:
    assert m.before_top is not None
    k = int(key["k"])
    return overlap_at_k(m.top[:, :k], m.before_top[:, :k])


def _frechet(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    raw = m.raw[rows]
    if key["unit"]:
        return m.references[f"{key['ref']}:unit"].distance(raw / np.linalg.norm(raw, axis=1, keepdims=True))
    return m.references[key["ref"]].distance(raw)


def _spread(values: np.ndarray, m: Measured) -> np.ndarray:
    """Values of the diversity queries in their rows, NaN elsewhere."""
    out = np.full(m.n, np.nan)
    out[m.diversity_rows] = values
    return out


def _no_diversity(m: Measured) -> str | None:
    return None if m.diversity is not None else m.why_no_diversity


def _mics(m: Measured, key: re.Match[str]) -> np.ndarray:
    return np.full(m.n, np.nan) if m.diversity is None else _spread(mean_intra_cosine(m.diversity), m)


def _minvs(m: Measured, key: re.Match[str]) -> np.ndarray:
    return np.full(m.n, np.nan) if m.diversity is None else _spread(intra_vendi(m.diversity), m)


def _vendi(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    score = float(vendi_score(m.raw[rows]))
    return 100.0 * score / min(len(rows), m.raw.shape[1]) if key["percent"] else score


RECALL = Metric(
    "R@k", r"R@(?P<k>[1-9]\d*)", "%", True, (0, 100), "share of queries whose track ranks in the top k",
    per_query=_recall,
)  # fmt: skip
RECALL_NEGATED = Metric(
    "R@k(neg)", r"R@(?P<k>[1-9]\d*)\(neg\)", "%", False, (0, 100), "R@k of targets that have the negated value",
    per_query=_recall_negated,
)  # fmt: skip
RECALL_NORMALISED = Metric(
    "R@k(norm)", r"R@(?P<k>10)\(norm\)", "%", True, (None, None), "(R@k - chance) / (oracle - chance)",
    per_query=_recall, aggregate="oracle-normalised",
)  # fmt: skip
MEDR = Metric(
    "MedR", r"MedR", "rank", False, (1, None), "median rank",
    per_query=lambda m, key: _where(m.ranks, m.lacks), aggregate="median",
)  # fmt: skip
NMEDR = Metric(
    "NMedR", r"NMedR", "%", False, (0, 100), "100 MedR / N, the paper's MedR (%)",
    per_query=lambda m, key: _where(100.0 * m.ranks / m.n_gallery, m.lacks), aggregate="median",
)  # fmt: skip
MRR = Metric(
    "MRR", r"MRR", "%", True, (0, 100), "mean reciprocal rank",
    per_query=lambda m, key: _where(100.0 / m.ranks, m.lacks),
)  # fmt: skip
CLAP = Metric(
    "CLAP(target)", r"CLAP\((?P<target>ZA\+|gen\+|ZT\+|gen-|ZT-|ZA-)\)", "cosine", None, (-1, 1),
    "mean cosine to: the target track, the unmodified query, the prompt's text; the negative's generated latent, its "
    "text, the mean real latent with the negated value (Table 6)",
    per_query=lambda m, key: clap_score(m.raw, m.targets[key["target"]]),
)  # fmt: skip
FAD = Metric(
    "FAD(reference)", r"FAD(?P<unit>unit)?\((?P<ref>jam)\)", "distance", False, (0, None),
    "Fréchet distance of time means to the reference set; raw, or on unit vectors (FADunit)", statistic=_frechet,
)  # fmt: skip
MICS = Metric(
    "MICS", r"MICS", "cosine", None, (-1, 1), "mean intra-sample cosine of a prompt's samples",
    per_query=_mics, why_null=_no_diversity,
)  # fmt: skip
MINVS = Metric(
    "MINVS", r"MINVS", "samples", None, (1, None), "mean Vendi score of a prompt's samples, in [1, K]",
    per_query=_minvs, why_null=_no_diversity,
)  # fmt: skip
VENDI = Metric(
    "Vendi", r"Vendi(?P<percent>%)?", "items", None, (1, None), "Vendi score of the whole set, the paper's NVendi",
    statistic=_vendi,
)  # fmt: skip
NEGATED_SHARE = Metric(
    "negated_share@k", r"negated_share@(?P<k>[1-9]|10)", "share", False, (0, 1),
    "share of the top k that has the negated value, by the truth",
    per_query=lambda m, key: _share(m, m.top, int(key["k"])),
)  # fmt: skip
REMOVAL = Metric(
    "removal@k", r"removal@(?P<k>[1-9]|10)", "share", True, (-1, 1), "negated share before minus after",
    per_query=_removal,
)  # fmt: skip
KEPT = Metric(
    "kept@10", r"kept@10", "share", True, (0, None),
    "share of the top 10 with what the query states, relative to an oracle's", per_query=_kept,
)  # fmt: skip
OVERLAP = Metric(
    "overlap@k", r"overlap@(?P<k>[1-9]|10)", "share", None, (0, 1), "share of the top k kept from the unmodified query",
    per_query=_overlap,
)  # fmt: skip
