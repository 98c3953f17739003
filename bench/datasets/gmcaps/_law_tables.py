"""What tends to go with what: the tables behind the attribute laws.

Lists are ordered from the most to the least likely; values that a list leaves out stay possible (see `laws`).
"""

from __future__ import annotations

__all__ = ["GENRE_HABITS", "GENRE_WEIGHTS", "MOOD_HABITS", "GenreHabits", "MoodHabits"]

from typing import NamedTuple


class GenreHabits(NamedTuple):
    """Habits of one genre.

    `bass` weighs (acoustic, electric, synth, none); `drums` follows `DRUMS`; `sizes` weighs 0 to 3
    accompanying instruments; `bpm` is centre and spread; `minor` the log odds of the minor mode.
    """

    moods: str
    leads: str
    accompaniment: str
    bass: tuple[float, float, float, float]
    drums: tuple[float, float, float, float, float]
    sizes: tuple[float, float, float, float]
    bpm: tuple[float, float]
    minor: float
    keys: str


class MoodHabits(NamedTuple):
    """Habits of one mood: a factor on the tempo, log odds of minor, a factor on the weight of having no drums."""

    tempo: float
    minor: float
    no_drums: float


GENRE_HABITS: dict[str, GenreHabits] = {
    "rock": GenreHabits(
        "energetic,happy,tense,dark,romantic",
        "electric guitar,distorted guitar,organ,harmonica,synth lead,piano,violin",
        "electric guitar,distorted guitar,organ,piano,acoustic guitar,strings,synth pad",
        (1, 16, 2, 1), (1, 16, 1, 3, 1), (1, 4, 5, 2), (120, 22), 0.0, "E,A,D,G",
    ),
    "pop": GenreHabits(
        "happy,romantic,energetic,dreamy,sad,calm",
        "piano,synth lead,electric guitar,electric piano,flute,vibraphone,acoustic guitar",
        "synth pad,piano,acoustic guitar,electric piano,strings,electric guitar,choir",
        (1, 10, 8, 1), (2, 9, 1, 9, 1), (1, 4, 5, 3), (112, 20), -0.5, "C,G,D,F",
    ),
    "jazz": GenreHabits(
        "romantic,calm,happy,energetic,dreamy",
        "saxophone,trumpet,piano,vibraphone,clarinet,trombone,flute",
        "piano,electric guitar,vibraphone,brass section,organ,trombone,electric piano",
        (18, 3, 1, 2), (4, 7, 12, 1, 2), (1, 5, 5, 2), (128, 36), -0.2, "Bb,F,Eb,C",
    ),
    "blues": GenreHabits(
        "sad,dark,calm,romantic,energetic",
        "electric guitar,harmonica,organ,piano,acoustic guitar,saxophone,distorted guitar",
        "electric guitar,organ,piano,acoustic guitar,harmonica,brass section,accordion",
        (8, 14, 1, 2), (4, 12, 7, 1, 1), (2, 5, 4, 2), (88, 22), -0.3, "E,A,G,Bb",
    ),
    "folk": GenreHabits(
        "calm,sad,happy,romantic,dreamy",
        "acoustic guitar,violin,flute,banjo,accordion,harmonica,harp,pan flute",
        "acoustic guitar,banjo,harp,accordion,cello,violin,flute",
        (9, 3, 1, 10), (14, 4, 5, 1, 4), (3, 6, 4, 2), (104, 22), -0.2, "G,D,A,C",
    ),
    "country": GenreHabits(
        "happy,sad,energetic,romantic,calm",
        "acoustic guitar,banjo,violin,electric guitar,harmonica,piano,accordion",
        "acoustic guitar,banjo,electric guitar,piano,violin,organ,accordion",
        (8, 12, 1, 2), (3, 14, 6, 1, 1), (1, 5, 5, 2), (118, 24), -0.9, "G,D,A,E",
    ),
    "classical": GenreHabits(
        "calm,romantic,sad,tense,dark,dreamy,happy",
        "piano,violin,flute,cello,harpsichord,clarinet,harp,trumpet",
        "strings,piano,cello,harp,violin,choir,clarinet,harpsichord",
        (8, 1, 1, 10), (22, 2, 1, 1, 1), (4, 5, 5, 3), (96, 32), 0.1, "C,D,Eb,G",
    ),
    "house": GenreHabits(
        "energetic,happy,dreamy,calm,dark",
        "synth lead,piano,organ,electric piano,saxophone,marimba,vibraphone",
        "synth pad,electric piano,organ,strings,piano,synth lead,marimba",
        (1, 3, 18, 1), (1, 2, 1, 20, 2), (1, 4, 5, 2), (124, 8), 0.4, "A,G,F,C",
    ),
    "techno": GenreHabits(
        "energetic,dark,tense,dreamy",
        "synth lead,synth pad,organ,marimba,electric piano,steel drums",
        "synth pad,synth lead,strings,organ,choir,marimba",
        (1, 1, 18, 2), (1, 1, 1, 22, 2), (2, 5, 4, 2), (134, 10), 0.8, "A,E,F,F#",
    ),
    "hip hop": GenreHabits(
        "dark,calm,energetic,tense,dreamy,sad",
        "electric piano,piano,synth lead,flute,vibraphone,sitar,harp,strings",
        "electric piano,synth pad,strings,piano,electric guitar,vibraphone,choir",
        (2, 5, 14, 2), (1, 6, 1, 16, 1), (2, 5, 4, 2), (90, 12), 0.7, "C,F,Bb,G",
    ),
    "reggae": GenreHabits(
        "happy,calm,romantic,energetic",
        "organ,electric guitar,trombone,harmonica,saxophone,steel drums,flute",
        "electric guitar,organ,piano,brass section,trombone,acoustic guitar,steel drums",
        (1, 16, 3, 1), (1, 15, 1, 3, 4), (1, 5, 5, 2), (76, 14), 0.0, "G,A,D,C",
    ),
    "funk": GenreHabits(
        "energetic,happy,tense,romantic",
        "electric guitar,organ,saxophone,trumpet,synth lead,electric piano,brass section",
        "electric guitar,brass section,electric piano,organ,synth lead,trombone,piano",
        (1, 15, 5, 1), (1, 16, 1, 4, 2), (1, 4, 5, 3), (104, 12), 0.4, "E,D,Bb,A",
    ),
    "metal": GenreHabits(
        "dark,energetic,tense,sad",
        "distorted guitar,electric guitar,synth lead,violin,organ,choir",
        "distorted guitar,electric guitar,choir,strings,organ,synth pad",
        (1, 18, 2, 1), (1, 20, 1, 2, 1), (1, 5, 5, 2), (148, 28), 1.2, "E,D,B,C",
    ),
    "latin": GenreHabits(
        "happy,energetic,romantic,calm,tense",
        "trumpet,acoustic guitar,flute,piano,accordion,brass section,marimba,steel drums",
        "piano,acoustic guitar,brass section,marimba,trombone,accordion,flute",
        (12, 7, 1, 2), (1, 3, 1, 1, 18), (1, 4, 5, 3), (112, 26), 0.3, "A,D,G,C",
    ),
    "ambient": GenreHabits(
        "dreamy,calm,dark,sad,romantic,tense",
        "synth pad,choir,strings,vibraphone,pan flute,harp,music box,piano,electric piano",
        "synth pad,strings,choir,harp,piano,electric piano,music box,vibraphone",
        (2, 2, 6, 12), (18, 1, 2, 4, 1), (1, 4, 6, 4), (68, 14), 0.1, "C,D,F,A",
    ),
    "disco": GenreHabits(
        "happy,energetic,romantic,dreamy",
        "strings,synth lead,electric guitar,brass section,saxophone,piano,flute",
        "strings,electric guitar,brass section,electric piano,piano,organ,synth pad",
        (1, 15, 6, 1), (1, 13, 1, 9, 3), (1, 4, 5, 3), (119, 9), 0.1, "A,D,G,F",
    ),
}  # fmt: skip

MOOD_HABITS: dict[str, MoodHabits] = {
    "happy": MoodHabits(1.05, -1.1, 0.6),
    "sad": MoodHabits(0.86, 1.0, 1.8),
    "calm": MoodHabits(0.86, -0.4, 2.2),
    "energetic": MoodHabits(1.15, 0.0, 0.3),
    "dark": MoodHabits(0.97, 1.1, 1.2),
    "romantic": MoodHabits(0.90, -0.3, 1.4),
    "dreamy": MoodHabits(0.90, 0.0, 1.8),
    "tense": MoodHabits(1.04, 0.8, 0.8),
}

#: Law -> relative frequency of each genre, in the order of `GENRES`.
GENRE_WEIGHTS: dict[str, tuple[float, ...]] = {
    #       rock pop  jazz blues folk cntry class house tech  hip  reg  funk metal latin amb  disco
    "web": (9.0, 9.0, 5.0, 4.0, 5.0, 5.0, 6.0, 7.0, 6.0, 8.0, 5.0, 4.0, 5.0, 6.0, 6.0, 4.0),
    "pc": (6.0, 9.0, 5.0, 4.0, 5.5, 4.0, 9.0, 7.0, 5.5, 6.5, 4.0, 5.0, 4.0, 5.5, 10.0, 5.0),
    "sd": (11.0, 8.0, 5.0, 4.0, 7.0, 3.5, 7.0, 6.5, 8.0, 6.0, 4.5, 4.0, 5.5, 4.5, 9.0, 3.0),
    "mc": (9.0, 6.5, 6.0, 6.0, 6.5, 6.0, 6.0, 5.0, 6.0, 7.0, 6.0, 4.5, 5.5, 9.0, 5.0, 4.0),
}
