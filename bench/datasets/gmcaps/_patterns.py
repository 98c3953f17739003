"""What a genre and a mood sound like: the tables that composition reads.

Rhythms are strings of sixteen steps, one bar of 4/4: `.` rest, `x` note, `X` accent. Drum voices are
`k` kick, `s` snare, `c` closed hat, `o` open hat, `r` ride, `t` tom, `p` clap or rim; a percussion kit maps the
same voices to congas, bongos, shaker and bell.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GENRE_STYLES", "MOOD_STYLES", "RANGES", "ROLES", "GenreStyle", "MoodStyle"]


class GenreStyle(NamedTuple):
    """How a genre plays.

    Attributes:
        drums: Voice and rhythm of each drum line.
        bass: Rhythm of the bass.
        bass_tones: Which chord tone each bass note takes, in turn: `r` root, `5` fifth, `8` octave, `3` third,
            `w` walks to the next root.
        comp: Rhythm of the chords.
        comp_length: Length of a chord in steps.
        comp_kind: `block`, `strum`, `power`, `alberti`, `boom`, `montuno`, `pad` or `stab`.
        melody: Weight of a melody note on each step, as digits 0 to 9.
        swing: Share of a beat (eighths) or of an eighth (sixteenths) that its first half takes; 0.5 is straight.
        swing_unit: Steps in a swung pair: 4 for eighths, 2 for sixteenths.
        chord: `triad`, `seventh`, `dominant`, `power` or `open`.
        bars_per_chord: How long a chord lasts.
        progressions: Chord roots as scale degrees (1 to 7).
        comp_register: Middle of the chords (MIDI pitch).
        bass_low: Lowest bass note's octave, as the MIDI pitch of its C.
        melody_register: Shift of the melody, in semitones.
    """

    drums: dict[str, str]
    bass: str
    bass_tones: str
    comp: str
    comp_length: float
    comp_kind: str
    melody: str
    swing: float
    swing_unit: int
    chord: str
    bars_per_chord: float
    progressions: tuple[str, ...]
    comp_register: int = 60
    bass_low: int = 36
    melody_register: int = 0


class MoodStyle(NamedTuple):
    """How a mood bends what the genre plays.

    Attributes:
        register: Shift of melody and chords, in semitones.
        velocity: Added to every velocity.
        density: Factor on how many notes the melody plays.
        length: Factor on note lengths.
        comp_density: Share of the genre's chord strokes that are kept.
        leap: Typical melodic step, in scale degrees.
        slope: Drift of a phrase over a bar, in scale degrees.
        colour: Added to chords: `none`, `sixth`, `ninth`, `major7`, `minor2`, `diminished`, `octave`.
        figure: What the melody does between its notes: `none`, `repeat`, `thirds`, `arpeggio`, `octaves`, `sigh`,
            `pentatonic` or `neighbour`.
        spread: Delay between a chord's notes, in steps.
    """

    register: int
    velocity: int
    density: float
    length: float
    comp_density: float
    leap: float
    slope: float
    colour: str
    figure: str
    spread: float


GENRE_STYLES: dict[str, GenreStyle] = {
    "rock": GenreStyle(
        {"k": "X.....x.X.x.....", "s": "....X.......X...", "c": "x.x.x.x.x.x.x.x."},
        "x.x.x.x.x.x.x.x.", "rrrrrrrr", "X..x..x.X..x..x.", 2.5, "power", "9040602490406035",
        0.5, 4, "tenth", 1, ("1474", "1654", "1745", "1541"), 55, 36,
    ),
    "pop": GenreStyle(
        {"k": "X.......X.x.....", "s": "....X.......X...", "p": "....x.......x...", "c": "x.x.x.x.x.x.x.x."},
        "x..x..x.x..x..x.", "rrr5rrr5", "X...x...X...x...", 4, "block", "9030704580407040",
        0.5, 4, "triad", 1, ("1564", "6415", "1645", "4156"), 62, 36,
    ),
    "jazz": GenreStyle(
        {"r": "X...x.x.X...x.x.", "c": "....x.......x...", "k": "x.......x.......", "s": "......x........x"},
        "x...x...x...x...", "r35w", "..x...x.....x...", 1.5, "block", "6040504760504057",
        0.66, 4, "seventh", 0.5, ("2511", "1625", "3625", "1425"), 60, 36,
    ),
    "blues": GenreStyle(
        {"k": "X.......X.....x.", "s": "....X.......X...", "r": "x.x.x.x.x.x.x.x."},
        "x.x.x.x.x.x.x.x.", "rr55w58w", "x.x.x.x.x.x.x.x.", 1.5, "boom", "7000603580205040",
        0.67, 4, "dominant", 1, ("1411", "4411", "5415", "1145"), 55, 36, -2,
    ),
    "folk": GenreStyle(
        {"k": "x.......x.......", "p": "....x.......x...", "c": "..x...x...x...x."},
        "x.......x.......", "r5", "X...x.xx..x.x.x.", 3, "strum", "9020603080206040",
        0.5, 4, "triad", 1, ("1454", "1541", "1645", "1151"), 60, 36,
    ),
    "country": GenreStyle(
        {"k": "X.......X.......", "s": "....x..x....x..x", "c": "..x...x...x...x."},
        "x.......x.......", "r5", "x...X...x...X...", 1.5, "boom", "8040604080406240",
        0.55, 4, "triad", 1, ("1145", "1415", "1451", "1544"), 62, 36, 2,
    ),
    "classical": GenreStyle(
        {"k": "X...............", "t": "........x...x.x."},
        "x.......x.......", "r5", "x.x.x.x.x.x.x.x.", 2, "alberti", "9040505080405060",
        0.5, 4, "triad", 1, ("1451", "1625", "1514", "1251"), 62, 36, 4,
    ),
    "house": GenreStyle(
        {"k": "X...X...X...X...", "p": "....X.......X...", "o": "..X...X...X...X.", "c": "x.xxx.xxx.xxx.xx"},
        "..x...x...x...x.", "rrr8", "x..x..x...x..x..", 1.5, "stab", "6004006000600400",
        0.5, 4, "seventh", 1, ("1616", "6451", "1474", "2626"), 64, 36,
    ),
    "techno": GenreStyle(
        {"k": "X...X...X...X...", "o": "..X...X...X...X.", "c": "xxxxxxxxxxxxxxxx", "p": "....x.......x..x"},
        ".xxx.xxx.xxx.xxx", "rrrrrrrrrrr8", "X..X..X..X..X.X.", 0.8, "stab", "6060660606066060",
        0.5, 4, "open", 2, ("1111", "1122", "1717", "1616"), 57, 36,
    ),
    "hip hop": GenreStyle(
        {"k": "X......x..X.....", "s": "....X.......X...", "c": "x.x.x.xxx.x.x.x."},
        "X......x..x.....", "rr5", "X.......x.....x.", 5, "block", "5003006020400500",
        0.6, 2, "seventh", 1, ("1646", "1414", "6262", "1171"), 60, 31,
    ),
    "reggae": GenreStyle(
        {"k": "........X.......", "s": "........x.......", "c": "x.x.x.x.x.x.x.x.", "p": "........x......x"},
        "x..x..x...x.x...", "r35853", "....X.......X...", 0.9, "stab", "4040306040406030",
        0.58, 4, "triad", 1, ("1414", "1514", "2512", "1645"), 64, 31,
    ),
    "funk": GenreStyle(
        {"k": "X..x......x..x..", "s": "....X..x.x..X..x", "c": "xxxxxxxxxxxxxxxx"},
        "X..x..x.x..x..xx", "r8r7r8r5", "..xx.x..x.xx.x.x", 0.6, "stab", "6025036204260362",
        0.54, 2, "dominant", 2, ("1111", "1414", "1144", "2525"), 62, 36,
    ),
    "metal": GenreStyle(
        {"k": "XxxXxxXxXxxXxxXx", "s": "....X.......X...", "r": "x...x...x...x..."},
        "x.xxx.xxx.xxx.xx", "rrrrrrrr", "x.xxx.xxx.xxx.xx", 0.9, "power", "7070707270707077",
        0.5, 4, "power", 1, ("1612", "1671", "1216", "1157"), 44, 28, -3,
    ),
    "latin": GenreStyle(
        {"k": "x..x..x.x..x..x.", "s": "......x.....x.xx", "c": "x.xxx.xxx.xxx.xx", "p": "x..x...x..x.x..."},
        "...x..x....x..x.", "5rr8", "x.xx.xx.x.xx.xx.", 1.2, "montuno", "6005060460050605",
        0.5, 4, "triad", 1, ("1454", "1515", "2515", "1145"), 67, 36, 2,
    ),
    "ambient": GenreStyle(
        {"k": "x...............", "o": "........x......."},
        "x...............", "r", "x...............", 30, "pad", "7000000060000000",
        0.5, 4, "open", 2, ("1416", "6141", "1545", "1314"), 60, 36, 3,
    ),
    "disco": GenreStyle(
        {"k": "X...X...X...X...", "s": "....X.......X...", "o": "..X...X...X...X.", "c": "x.x.x.x.x.x.x.x."},
        "x.x.x.x.x.x.x.x.", "r8r8r8r8", "..x.x.xx..x.x.xx", 0.8, "stab", "8030603680306040",
        0.5, 4, "seventh", 1, ("1625", "6251", "1453", "4361"), 66, 33, 2,
    ),
}  # fmt: skip

MOOD_STYLES: dict[str, MoodStyle] = {
    "happy": MoodStyle(5, 6, 1.15, 0.45, 1.0, 1.2, 1.0, "sixth", "pentatonic", 0.0),
    "sad": MoodStyle(-4, -16, 0.55, 1.5, 0.7, 0.8, -4.0, "none", "sigh", 0.1),
    "calm": MoodStyle(0, -26, 0.35, 1.7, 0.45, 1.0, 0.0, "none", "none", 0.2),
    "energetic": MoodStyle(3, 22, 1.9, 0.75, 1.0, 2.0, 1.5, "octave", "octaves", 0.0),
    "dark": MoodStyle(-12, 2, 0.7, 1.2, 0.8, 0.7, -1.0, "minor2", "neighbour", 0.0),
    "romantic": MoodStyle(1, -8, 0.75, 1.35, 0.7, 2.6, 2.0, "sixth", "thirds", 0.25),
    "dreamy": MoodStyle(10, -18, 0.6, 2.2, 0.55, 1.8, 1.0, "ninth", "arpeggio", 0.5),
    "tense": MoodStyle(-1, 12, 1.1, 0.35, 0.9, 0.6, 2.0, "diminished", "repeat", 0.0),
}

#: Instrument -> lowest and highest pitch that it plays here.
RANGES: dict[str, tuple[int, int]] = {
    "piano": (36, 96), "electric piano": (36, 91), "harpsichord": (40, 86), "music box": (67, 103),
    "vibraphone": (53, 89), "marimba": (45, 91), "organ": (40, 89), "accordion": (48, 88), "harmonica": (55, 91),
    "acoustic guitar": (40, 81), "electric guitar": (40, 84), "distorted guitar": (38, 84), "violin": (55, 96),
    "cello": (36, 72), "strings": (43, 91), "harp": (40, 96), "choir": (48, 81), "trumpet": (54, 84),
    "trombone": (40, 70), "brass section": (46, 79), "saxophone": (49, 81), "clarinet": (50, 89),
    "flute": (60, 96), "pan flute": (58, 94), "synth lead": (45, 91), "synth pad": (43, 86),
    "sitar": (48, 77), "banjo": (50, 84), "steel drums": (55, 86),
}  # fmt: skip

#: What an instrument does best when it accompanies: play chords, hold chords, or play a line.
ROLES: dict[str, str] = {
    **dict.fromkeys(
        ("piano", "electric piano", "harpsichord", "music box", "vibraphone", "marimba", "accordion", "harp",
         "acoustic guitar", "electric guitar", "distorted guitar", "sitar", "banjo", "steel drums"),
        "chords",
    ),
    **dict.fromkeys(("organ", "strings", "choir", "brass section", "synth pad"), "pad"),
    **dict.fromkeys(
        ("harmonica", "violin", "cello", "trumpet", "trombone", "saxophone", "clarinet", "flute", "pan flute",
         "synth lead"),
        "line",
    ),
}  # fmt: skip
