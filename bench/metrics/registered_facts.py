"""Built-in metrics of a dataset itself (Table 1): its size, and how its captions are written.

They are counts of the whole dataset, not estimates from the queries that are asked: they have no interval, and every
retriever of a dataset has the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from bench.metrics.measured import Measured, Metric

__all__ = ["CAPTIONS", "HOURS", "SHARE", "STATED", "TRACKS", "VOCABULARY", "WORDS"]

SECONDS_AN_HOUR = 3600.0

_Statistic = Callable[[Measured, re.Match[str], np.ndarray], float]
_Estimate = Callable[[Measured, re.Match[str], np.ndarray], tuple[float, float, float]]


def _count(name: str) -> _Statistic:
    return lambda m, key, rows: float(m.facts[name])


def _hours(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return float(m.facts["seconds"]) / SECONDS_AN_HOUR


def _words(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return float(np.median(m.facts["words"]))


def _share(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return 100.0 * float(np.mean(m.facts[key["what"].lower()]))


def _stated(m: Measured, key: re.Match[str], rows: np.ndarray) -> float:
    return float(np.mean(m.facts["attributes"]))


def _exactly(statistic: _Statistic) -> _Estimate:
    """A value without an interval: what is counted out has no sampling error."""
    return lambda m, key, clusters: (statistic(m, key, np.arange(m.n)), np.nan, np.nan)


def _needs(*names: str) -> Callable[[Measured, re.Match[str]], str | None]:
    """Why a metric has no value: the experiment tells nothing of its dataset, or the dataset lacks a fact."""

    def why(m: Measured, key: re.Match[str]) -> str | None:
        if not m.facts and not m.facts.missing:
            return "this experiment says nothing of its dataset"
        return next((reason for name in names if (reason := m.facts.why_missing(name))), None)

    return why


TRACKS = Metric(
    "Tracks", r"Tracks", "tracks", None, (0, None), "tracks of the dataset (Table 1)",
    statistic=_count("tracks"), estimate=_exactly(_count("tracks")), why_null=_needs("tracks"), needs=("dataset",),
)  # fmt: skip
CAPTIONS = Metric(
    "Captions", r"Captions", "captions", None, (0, None), "captions of the dataset (Table 1)",
    statistic=_count("captions"), estimate=_exactly(_count("captions")), why_null=_needs("captions"),
    needs=("dataset",),
)  # fmt: skip
HOURS = Metric(
    "Hours", r"Hours", "hours", None, (0, None), "length of all tracks of the dataset (Table 1)",
    statistic=_hours, estimate=_exactly(_hours), why_null=_needs("seconds"), needs=("dataset",),
)  # fmt: skip
WORDS = Metric(
    "Words", r"Words", "words", None, (0, None), "median number of words of the dataset's captions",
    statistic=_words, estimate=_exactly(_words), why_null=_needs("words"), needs=("dataset",),
)  # fmt: skip
VOCABULARY = Metric(
    "Vocabulary", r"Vocabulary", "words", None, (0, None),
    "different words of the dataset's captions: runs of the letters a to z, in lower case",
    statistic=_count("vocabulary"), estimate=_exactly(_count("vocabulary")), why_null=_needs("vocabulary"),
    needs=("dataset",),
)  # fmt: skip
SHARE = Metric(
    "Negation%", r"(?P<what>Negation|Key|Bpm)%", "%", None, (0, 100),
    "share of the dataset's captions with a negation; with a named key; with a bpm figure",
    statistic=_share, estimate=_exactly(_share), why_null=_needs("negation"), needs=("dataset",),
)  # fmt: skip
STATED = Metric(
    "Stated", r"Stated", "attributes", None, (0, None), "mean number of different attributes that a caption states",
    statistic=_stated, estimate=_exactly(_stated), why_null=_needs("attributes"), needs=("dataset",),
)  # fmt: skip
