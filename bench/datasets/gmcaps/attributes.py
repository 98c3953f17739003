"""The vocabulary of GMCaps truth: what a track of the embedded corpus can be.

Every track is composed from one `Attributes`, so that what a query asks for can be checked
against what was really rendered, and not only against another model's similarity.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "BASSES", "DRUMS", "GENRES", "INSTRUMENTS", "INSTRUMENT_FAMILIES", "KEYS", "MODES", "MOODS", "TEMPOS",
    "Attributes", "tempo_class",
]  # fmt: skip

GENRES = (
    "rock", "pop", "jazz", "blues", "folk", "country", "classical", "house", "techno", "hip hop",
    "reggae", "funk", "metal", "latin", "ambient", "disco",
)  # fmt: skip

MOODS = ("happy", "sad", "calm", "energetic", "dark", "romantic", "dreamy", "tense")

#: Instrument -> General MIDI programs (0-based) that may play it; which of them is a matter of rendering.
INSTRUMENTS: dict[str, tuple[int, ...]] = {
    "piano": (0, 1),
    "electric piano": (4, 5),
    "harpsichord": (6,),
    "music box": (10,),
    "vibraphone": (11,),
    "marimba": (12,),
    "organ": (16, 18, 19),
    "accordion": (21,),
    "harmonica": (22,),
    "acoustic guitar": (24, 25),
    "electric guitar": (26, 27),
    "distorted guitar": (29, 30),
    "violin": (40,),
    "cello": (42,),
    "strings": (48, 49),
    "harp": (46,),
    "choir": (52, 53),
    "trumpet": (56,),
    "trombone": (57,),
    "brass section": (61,),
    "saxophone": (66, 64),
    "clarinet": (71,),
    "flute": (73,),
    "pan flute": (75,),
    "synth lead": (80, 81),
    "synth pad": (89, 90),
    "sitar": (104,),
    "banjo": (105,),
    "steel drums": (114,),
}

#: Words that stand for several instruments; "no guitar" is a statement about the family.
INSTRUMENT_FAMILIES: dict[str, tuple[str, ...]] = {
    "guitar": ("acoustic guitar", "electric guitar", "distorted guitar"),
    "keyboard": ("piano", "electric piano", "harpsichord", "organ"),
    "brass": ("trumpet", "trombone", "brass section"),
    "woodwind": ("saxophone", "clarinet", "flute", "pan flute"),
    "bowed strings": ("violin", "cello", "strings"),
    "synthesizer": ("synth lead", "synth pad"),
    "mallets": ("vibraphone", "marimba", "music box", "steel drums"),
}

BASSES: dict[str, tuple[int, ...]] = {
    "acoustic bass": (32,),
    "electric bass": (33, 34),
    "synth bass": (38, 39),
}

DRUMS = ("none", "acoustic", "brushes", "electronic", "latin percussion")

KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = ("major", "minor")

#: Tempo word -> lowest and highest beats a minute, both included.
TEMPOS: dict[str, tuple[int, int]] = {"slow": (45, 84), "medium": (85, 119), "fast": (120, 200)}


def tempo_class(bpm: int) -> str:
    """Word for a tempo in beats a minute: `slow`, `medium` or `fast`."""
    return next(name for name, (low, high) in TEMPOS.items() if low <= bpm <= high)


@dataclass(frozen=True)
class Attributes:
    """What is true of one track.

    `accompaniment` holds 0 to 3 further pitched instruments (never the lead); `bass` is a key of
    `BASSES` or None; `drums` one of `DRUMS`.
    """

    genre: str
    mood: str
    lead: str
    accompaniment: tuple[str, ...]
    bass: str | None
    drums: str
    key: str
    mode: str
    bpm: int

    @property
    def tempo(self) -> str:
        return tempo_class(self.bpm)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Lead first, then the accompaniment."""
        return (self.lead, *self.accompaniment)

    def row(self) -> dict[str, Any]:
        """The truth as a flat row (JSON and Parquet friendly)."""
        return {**asdict(self), "accompaniment": list(self.accompaniment)}
