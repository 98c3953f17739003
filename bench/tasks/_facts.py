"""What Table 1 says of a dataset: how much of it there is, and how its captions are written."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np

from bench.datasets.gmcaps.captions import _statistics as patterns
from bench.metrics.measured import Lazy
from bench.protocols import Dataset

__all__ = ["facts_of"]


def facts_of(dataset: Dataset) -> Lazy:
    """Facts of the whole dataset, whatever part of its captions is asked; each is counted when a metric wants it.

    Returns:
        `tracks`, `captions`, `vocabulary` (counts), `seconds` (of audio, all tracks), and an entry a caption of
        `words` (count), `negation`, `key`, `bpm` (whether it names one), `attributes` (count of those it states).
        Lengths and statements that the dataset does not know are missing, with the reason.
    """
    texts = [str(text) for text in dataset.captions["text"]]
    tracks, seconds = len(dataset.track_ids), dataset.seconds
    makers: dict[str, Callable[[], object]] = {
        "tracks": lambda: tracks,
        "captions": lambda: len(texts),
        "words": lambda: np.array([len(text.split()) for text in texts], dtype=float),
        "vocabulary": lambda: len({word for text in texts for word in patterns.WORD.findall(text.lower())}),
        "negation": partial(_mentions, texts, patterns.NEGATION),
        "key": partial(_mentions, texts, patterns.KEY),
        "bpm": partial(_mentions, texts, patterns.BPM),
    }
    missing = {}
    if seconds is None:
        missing["seconds"] = f"{dataset.name} does not say how long its tracks are"
    else:
        makers["seconds"] = lambda: tracks * seconds
    if dataset.truth is None:
        missing["attributes"] = f"{dataset.name} does not know what its captions state"
    else:
        stated = dataset.captions["stated"]
        makers["attributes"] = lambda: np.array([len({one["attribute"] for one in own}) for own in stated], dtype=float)
    return Lazy(makers, missing)


def _mentions(texts: list[str], pattern: re.Pattern[str]) -> np.ndarray:
    return np.array([pattern.search(text) is not None for text in texts], dtype=bool)
