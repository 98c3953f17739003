"""The built-in metrics of sets and samples by key: distances to a reference, diversity, and the truth of a caption."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np

from bench.metrics.coverage import precision_recall_density_coverage
from bench.metrics.diversity import intra_vendi, mean_intra_cosine, vendi_percent, vendi_score
from bench.metrics.fad_infinity import fad_infinity
from bench.metrics.frechet import SmallSampleWarning
from bench.metrics.kernel import mmd2_by_group
from bench.metrics.measured import Measured, Metric

__all__ = [
    "CMMD", "COVERAGE", "FAD", "FAD_INF", "FTD", "KAD", "MICS", "MICS_DIFF", "MINVS", "MINVS_DIFF", "REAL_FAD", "VENDI",
    "VENDI_PERCENT",
]  # fmt: skip

DETERMINISTIC = "n/a (deterministic)"


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _queries(m: Measured, key: re.Match[str], rows: np.ndarray) -> np.ndarray:
    """(n, d) query latents, raw: the mean of all samples, or the first sample alone where the key says K=1."""
    return (m.first_sample if key["one"] else m.raw)[rows]


def _quiet(distance: Callable[[np.ndarray], float], rows: np.ndarray) -> float:
    """A Fréchet distance without the warning of a small set: a suite prints n, and FADinf beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallSampleWarning)
        return float(distance(rows))


def _no_reference(m: Measured, key: re.Match[str]) -> str | None:
    return m.references.why_missing(key["ref"])


def _no_fad(m: Measured, key: re.Match[str]) -> str | None:
    if key["unit"] and key["ref"] == "train":
        return "of the training set only the moments of raw vectors are kept"
    return _no_reference(m, key)


def _no_text(m: Measured, key: re.Match[str]) -> str | None:
    return m.references.why_missing(key["ref"]) or m.targets.why_missing("ZT+")


def _fad(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    reference, raw = m.references[key["ref"]], _queries(m, key, rows)
    if key["unit"]:
        return _quiet(reference.frechet_unit.distance, _unit(raw))
    return _quiet(reference.frechet.distance, raw)


def _fad_infinity(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return fad_infinity(m.raw[rows], m.references[key["ref"]].frechet, level=None).value


def _fad_infinity_interval(m: Measured, key: re.Match[str], clusters: np.ndarray) -> tuple[float, float, float]:
    found = fad_infinity(m.raw, m.references[key["ref"]].frechet, clusters=clusters)
    return found.value, float(found.ci.lo), float(found.ci.hi)


def _real_fad(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return _quiet(m.references[key["ref"]].frechet.distance, np.asarray(m.targets["ZA+"], np.float64)[rows])


def _ftd(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return _quiet(m.references[key["ref"]].frechet_text.distance, np.asarray(m.targets["ZT+"], np.float64)[rows])


def _kad(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return float(m.references[key["ref"]].kernel.distance(_queries(m, key, rows)))


def _coverage(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    found = precision_recall_density_coverage(m.references[key["ref"]].raw, m.raw[rows])
    return float(getattr(found, key["what"].lower()))


def _spread(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Values of some queries in their rows, NaN elsewhere."""
    out = np.full(n, np.nan)
    out[rows] = values
    return out


def _no_spread(m: Measured, key: re.Match[str]) -> str | None:
    if m.deterministic:
        return DETERMINISTIC
    return None if m.spread is not None else m.why_no_spread


def _of_spread(m: Measured, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    if m.spread is None or m.deterministic:
        return np.full(m.n, np.nan)
    return _spread(measure(m.spread.samples), m.spread.rows, m.n)


def _vendi(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return float(vendi_score(m.raw[rows]))


def _vendi_percent(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return vendi_percent(m.raw[rows])


def _no_truth(m: Measured, key: re.Match[str]) -> str | None:
    return m.true_samples.why_missing("tracks")


def _no_true_spread(m: Measured, key: re.Match[str]) -> str | None:
    return DETERMINISTIC if m.deterministic else _no_truth(m, key)


def _conditional_mmd(m: Measured, key: re.Match[str]) -> np.ndarray:
    if _no_truth(m, key):
        return np.full(m.n, np.nan)
    true = m.true_samples
    # A deterministic query is a point mass: two equal samples say that to the unbiased estimate exactly.
    samples = np.repeat(true["queries"], 2, axis=1) if m.deterministic else true["queries"]
    values = mmd2_by_group(samples, true["tracks"], true["bandwidth"])
    return _spread(values, true["rows"], m.n)


def _beyond_truth(m: Measured, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What a measure of spread gives for the samples, minus what it gives for as many true tracks."""
    if m.deterministic or m.true_samples.why_missing("tracks"):
        return np.full(m.n, np.nan)
    samples, tracks = m.true_samples["queries"], m.true_samples["tracks"]
    return _spread(measure(samples) - measure(tracks[:, : samples.shape[1]]), m.true_samples["rows"], m.n)


FAD = Metric(
    "FAD(reference)", r"FAD(?P<unit>unit)?\((?P<ref>jam|eval|train)(?P<one>,K=1)?\)", "distance", False, (0, None),
    "Fréchet distance of time means to the reference set; raw, or on unit vectors (FADunit); of one sample (K=1)",
    reference="arXiv 1812.08466", statistic=_fad, needs=("queries", "reference"), why_null=_no_fad,
)  # fmt: skip
FAD_INF = Metric(
    "FADinf(reference)", r"FADinf\((?P<ref>jam|eval)\)", "distance", False, (None, None),
    "FAD extrapolated to an endless set of queries",
    reference="arXiv 2311.01616", statistic=_fad_infinity, estimate=_fad_infinity_interval,
    needs=("queries", "reference"), why_null=_no_reference,
)  # fmt: skip
REAL_FAD = Metric(
    "FADreal(reference)", r"FADreal\((?P<ref>train|jam)\)", "distance", None, (0, None),
    "Fréchet distance of the target tracks themselves to the reference: how far the evaluation set lies (Table 3)",
    statistic=_real_fad, needs=("targets", "reference"), why_null=_no_reference,
)  # fmt: skip
FTD = Metric(
    "FTD(reference)", r"FTD\((?P<ref>train)\)", "distance", None, (0, None),
    "Fréchet distance of the prompts' text vectors to those of the space's training captions (Table 3)",
    statistic=_ftd, needs=("text", "reference"), why_null=_no_text,
)  # fmt: skip
KAD = Metric(
    "KAD(reference)", r"KAD\((?P<ref>jam|eval)(?P<one>,K=1)?\)", "distance", False, (None, None),
    "100 times the unbiased squared MMD with a Gaussian kernel of the reference's median distance",
    reference="arXiv 2502.15602", statistic=_kad, needs=("queries", "reference"), why_null=_no_reference,
)  # fmt: skip
COVERAGE = Metric(
    "Coverage(reference)", r"(?P<what>Precision|Recall|Density|Coverage)\((?P<ref>jam|eval)\)",
    "share", True, (0, None),
    "k-nearest-neighbour precision, recall, density, coverage, k = 5",
    reference="arXiv 1904.06991, 2002.09797", statistic=_coverage,
    needs=("queries", "reference"), why_null=_no_reference,
)  # fmt: skip
MICS = Metric(
    "MICS", r"MICS", "cosine", None, (-1, 1), "mean intra-sample cosine of a prompt's samples",
    per_query=lambda m, key: _of_spread(m, mean_intra_cosine), needs=("samples",), why_null=_no_spread,
)  # fmt: skip
MINVS = Metric(
    "MINVS", r"MINVS", "samples", None, (1, None), "mean Vendi score of a prompt's samples, in [1, K]",
    per_query=lambda m, key: _of_spread(m, intra_vendi), needs=("samples",), why_null=_no_spread,
)  # fmt: skip
VENDI = Metric(
    "Vendi", r"Vendi", "items", None, (1, None), "Vendi score of the whole set, the paper's NVendi",
    reference="arXiv 2210.02410", statistic=_vendi, needs=("queries",),
)  # fmt: skip
VENDI_PERCENT = Metric(
    "Vendi%", r"Vendi%", "%", None, (0, 100),
    "100 Vendi / min(n, d): Vendi score over the most that n vectors can reach",
    statistic=_vendi_percent, needs=("queries",), reference="arXiv 2210.02410",
)  # fmt: skip
CMMD = Metric(
    "cMMD(true)", r"cMMD\(true\)", "distance", False, (None, None),
    "squared MMD between a caption's samples and tracks that truly satisfy it (PROTOCOL.md 4)",
    per_query=_conditional_mmd, needs=("true samples",), why_null=_no_truth,
)  # fmt: skip
MICS_DIFF = Metric(
    "MICSdiff(true)", r"MICSdiff\(true\)", "cosine", None, (-2, 2),
    "MICS of a caption's samples minus MICS of as many tracks that truly satisfy it; 0 is the right spread",
    per_query=lambda m, key: _beyond_truth(m, mean_intra_cosine), needs=("true samples", "samples"),
    why_null=_no_true_spread,
)  # fmt: skip
MINVS_DIFF = Metric(
    "MINVSdiff(true)", r"MINVSdiff\(true\)", "samples", None, (None, None),
    "MINVS of a caption's samples minus that of as many tracks that truly satisfy it; 0 is the right spread",
    per_query=lambda m, key: _beyond_truth(m, intra_vendi), needs=("true samples", "samples"),
    why_null=_no_true_spread,
)  # fmt: skip
