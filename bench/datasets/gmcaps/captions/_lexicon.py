"""Open-class word pools: the lemma lists, their inflected forms, and a Zipf-like draw.

The order of a pool, and so which of its words are frequent, differs from style to style.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from itertools import accumulate

import numpy as np

from bench.datasets.gmcaps.captions import _words_nouns as nouns
from bench.datasets.gmcaps.captions import _words_people as people
from bench.datasets.gmcaps.captions import _words_qualities as qualities

__all__ = ["Pool", "adverb", "build_pools", "gerund", "past", "plural", "third_person"]

_IRREGULAR_PLURALS = {
    "child": "children", "goose": "geese", "mouse": "mice", "deer": "deer", "moose": "moose", "shrimp": "shrimp",
    "squid": "squid", "die": "dice", "calf": "calves", "leaf": "leaves", "wolf": "wolves", "thief": "thieves",
    "elf": "elves", "scarf": "scarves", "hoof": "hooves", "shelf": "shelves", "bookshelf": "bookshelves",
    "cactus": "cacti", "series": "series", "oasis": "oases", "volcano": "volcanoes", "midwife": "midwives",
    "superhero": "superheroes", "penknife": "penknives", "passer-by": "passers-by",
}  # fmt: skip

_IRREGULAR_PARTICIPLES = {"bind": "bound", "split": "split", "drive": "driven", "steer": "steered", "knit": "knitted"}
#: Adjectives of the word list that may take -ly.
_HAS_ADVERB = (
    r"^\w+(ic|ous|ful|ive|ent|ant|al|able|ible|ate|ar|ure|id|ect|ise|ong|oud|ud|ch|ark|ense|ete|ough|ight|ound)$"
)


def plural(noun: str) -> str:
    """Plural of one of this package's nouns."""
    if noun in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[noun]
    if noun.endswith("man"):
        return noun[:-3] + "men"
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return noun + ("zes" if noun == "quiz" else "es")
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"


def third_person(verb: str) -> str:
    """Third person singular of a regular verb."""
    return "goes" if verb == "go" else plural(verb) if verb.endswith(("y", "s", "x", "z", "ch", "sh")) else verb + "s"


def gerund(verb: str) -> str:
    """The -ing form of a regular verb."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")):
        return verb[:-1] + "ing"
    if verb in ("propel", "underpin") or re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        return verb + verb[-1] + "ing"
    return verb + "ing"


def past(verb: str) -> str:
    """Past participle of one of this package's transitive verbs."""
    if verb in _IRREGULAR_PARTICIPLES:
        return _IRREGULAR_PARTICIPLES[verb]
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    return verb + "d" if verb.endswith("e") else gerund(verb)[:-3] + "ed"


def adverb(adjective: str) -> str:
    """The -ly adverb of an adjective that is one word without a participle's ending."""
    if adjective.endswith("ic"):
        return adjective + "ally"
    if re.search(r"[^aeiou]le$", adjective):
        return adjective[:-1] + "y"
    if adjective.endswith("y"):
        return adjective[:-1] + "ily"
    return adjective + ("y" if adjective.endswith("ll") else "ly")


class Pool:
    """Words drawn with probability proportional to 1 / (rank + offset)."""

    __slots__ = ("_bounds", "words")

    def __init__(self, words: Iterable[str], order_seed: int, offset: float) -> None:
        listed = list(dict.fromkeys(words))
        order = np.random.default_rng(order_seed).permutation(len(listed))
        self.words = tuple(listed[i] for i in order)
        weights = list(accumulate(1.0 / (rank + offset) for rank in range(1, len(listed) + 1)))
        self._bounds = [weight / weights[-1] for weight in weights]

    @property
    def bounds(self) -> list[float]:
        """Cumulative probabilities, ending in 1."""
        return self._bounds


def build_pools(style: str, reserved: frozenset[str], offset: float, extra: Mapping[str, str]) -> dict[str, Pool]:
    """The pools of one style.

    Args:
        style: decides which words of a pool are frequent.
        reserved: words that name an attribute in this style; an open-class word must not be one of them.
        offset: of the Zipf law; the larger, the flatter.
        extra: further pools of the style itself, words or phrases divided by `|`.
    """
    singular = {
        "thing": _split(nouns.THINGS), "animal": _split(nouns.ANIMALS), "place": _split(people.PLACES),
        "person": _split(people.PEOPLE), "format": _split(nouns.FORMATS), "part": _split(nouns.PARTS),
    }  # fmt: skip
    verbs, transitives = _split(qualities.VERBS), _split(qualities.TRANSITIVES)
    derived = [adverb(word) for word in _split(qualities.ADJECTIVES) if re.search(_HAS_ADVERB, word)]
    lists: dict[str, list[str]] = {
        **singular,
        **{name + "s": [plural(word) for word in words] for name, words in singular.items() if name != "person"},
        "people": [plural(word) for word in singular["person"]],
        "food": _split(nouns.FOODS), "topic": _split(nouns.TOPICS), "abstract": _split(nouns.ABSTRACTS),
        "material": _split(nouns.MATERIALS), "doing": _split(people.ACTIVITIES), "city": _split(people.CITIES),
        "time": _split(people.TIMES), "season": _split(people.SEASONS), "weather": _split(people.WEATHERS),
        "adj": _split(qualities.ADJECTIVES), "adv": [*_split(qualities.ADVERBS), *derived],
        "colour": _split(qualities.COLOURS),
        "era": _split(qualities.ERAS), "verdict": _split(qualities.VERDICTS),
        "verbs": [third_person(verb) for verb in verbs], "verbing": [gerund(verb) for verb in verbs],
        "doneto": [past(verb) for verb in transitives],
        "doto": [third_person(verb) for verb in transitives], "doingto": [gerund(verb) for verb in transitives],
    }  # fmt: skip
    made: dict[str, Pool] = {}
    for name, words in lists.items():
        open_class = [word for word in words if reserved.isdisjoint(_tokens(word))]
        made[name] = Pool(open_class, _order_seed(style, name), offset)
    for name, text in extra.items():
        words = [word.strip() for word in text.split("|")]
        made[name] = Pool(words, _order_seed(style, name), offset=2.0)
    return made


def _order_seed(style: str, pool: str) -> int:
    return zlib.crc32(f"{style}/{pool}".encode())


def _split(text: str) -> list[str]:
    kept = ("yo-", "old-", "avant-", "multi-")
    return [word if word.startswith(kept) else word.replace("-", " ") for word in text.split()]


def _tokens(phrase: str) -> list[str]:
    return re.findall(r"[a-z]+", phrase.lower())
