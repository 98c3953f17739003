"""The built-in metrics of edits: how far a query went over to its new prompt, and on which side of a change it is."""

from __future__ import annotations

import re

import numpy as np

from bench.metrics.clap_score import clap_score
from bench.metrics.control import twin_wins
from bench.metrics.measured import Measured, Metric

__all__ = ["CLAP_SHIFT", "EDIT_ACCURACY"]

#: What a shift goes to and from, by what stands in the key.
ENDS = {"gen": ("gen:new", "gen+"), "ZT": ("ZT:new", "ZT+"), "words": ("ZT:added", "ZT:removed")}


def _shift(m: Measured, key: re.Match[str]) -> np.ndarray:
    to, away = (np.asarray(m.targets[name], dtype=np.float64) for name in ENDS[key["between"]])
    out = np.full(m.n, np.nan)
    known = ~(np.isnan(to) | np.isnan(away)).any(axis=1)
    out[known] = clap_score(m.raw[known], to[known]) - clap_score(m.raw[known], away[known])
    return out


def _no_end(m: Measured, key: re.Match[str]) -> str | None:
    missing = [m.targets.why_missing(name) for name in ENDS[key["between"]]]
    return next((why for why in missing if why is not None), None)


def _edit_accuracy(m: Measured, key: re.Match[str]) -> np.ndarray:
    return twin_wins(m.vectors, m.targets["original"], m.targets["ZA+"])


CLAP_SHIFT = Metric(
    "CLAPshift(between)", r"CLAPshift\((?P<between>gen|ZT|words)\)", "cosine", None, (-2, 2),
    "cosine to the refined prompt's side minus cosine to the first one's: what they generate, their texts, or the "
    "words added and removed (Figure 4)",
    per_query=_shift, needs=("queries", "targets"), why_null=_no_end,
)  # fmt: skip
EDIT_ACCURACY = Metric(
    "edit_accuracy", r"edit_accuracy", "share", True, (0, 1),
    "share of queries nearer to the track with the change than to the track without it; the two differ in that alone",
    per_query=_edit_accuracy, needs=("queries", "targets"),
    why_null=lambda m, key: m.targets.why_missing("original") or m.targets.why_missing("ZA+"),
)  # fmt: skip
