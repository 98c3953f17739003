"""Statistics of a set of captions, to be held against those of the public caption sets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

__all__ = ["REAL_STATISTICS", "CaptionStatistics", "caption_statistics"]

#: Words for the vocabulary. With it the real files give 2667 (Song Describer) and 5430 (MusicCaps).
WORD = re.compile(r"[a-z]+")
#: A caption with a negation holds one of these words or a contraction of "not".
NEGATION = re.compile(r"\b(?:no|not|without|never|none|nor|neither|lacks?|lacking|absence)\b|n['’]t\b", re.IGNORECASE)
#: A named key: letter and mode after "in", "key" or "key of".
KEY = re.compile(r"\b(?:[Ii]n|[Kk]ey(?: of|:)?) [A-G](?:#|b|[ -](?:flat|sharp))?[ -](?:[Mm]ajor|[Mm]inor)\b")
#: A tempo figure.
BPM = re.compile(r"\d ?bpm\b|\bbpm\b", re.IGNORECASE)


@dataclass(frozen=True)
class CaptionStatistics:
    """Register of a caption set. Shares are in percent of captions; `distinct` of different texts."""

    n: int
    median_words: float
    vocabulary: int
    negation: float
    key: float
    bpm: float
    distinct: float


#: Figures of the real files as PROTOCOL.md, section 1, gives them: Song Describer (Zenodo 10072001,
#: song_describer.csv, 1106 captions) and MusicCaps (musiccaps-public.csv, 5521 captions); `distinct` was counted there.
REAL_STATISTICS: dict[str, CaptionStatistics] = {
    "describer": CaptionStatistics(1106, 17.0, 2667, 5.2, 0.0, 0.5, 100.0),
    "musiccaps": CaptionStatistics(5521, 46.0, 5430, 10.8, 0.0, 0.0, 100.0),
}


def caption_statistics(texts: Iterable[str]) -> CaptionStatistics:
    """Count what PROTOCOL.md asks of captions.

    Args:
        texts: captions. Words are divided by white space for the length, and are runs of the letters a to z
            after lower-casing for the vocabulary.

    Raises:
        ValueError: no captions.
    """
    captions = list(texts)
    if not captions:
        raise ValueError("no captions to describe")
    n = len(captions)
    vocabulary: set[str] = set()
    for caption in captions:
        vocabulary.update(WORD.findall(caption.lower()))

    def share(pattern: re.Pattern[str]) -> float:
        return 100.0 * sum(pattern.search(caption) is not None for caption in captions) / n

    return CaptionStatistics(
        n=n,
        median_words=float(median(len(caption.split()) for caption in captions)),
        vocabulary=len(vocabulary),
        negation=share(NEGATION),
        key=share(KEY),
        bpm=share(BPM),
        distinct=100.0 * len(set(captions)) / n,
    )
