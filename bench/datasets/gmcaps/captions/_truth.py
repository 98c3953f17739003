"""Attribute slots: how a style words a true value, and which predicate the wording states."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.datasets.gmcaps.attributes import (
    BASSES,
    DRUMS,
    GENRES,
    INSTRUMENT_FAMILIES,
    INSTRUMENTS,
    MODES,
    MOODS,
    TEMPOS,
    Attributes,
)  # fmt: skip

__all__ = ["SLOT_MASKS", "Draws", "Forms", "Speaker", "missing_mask"]

GENRE, MOOD, LEAD, ACC, BASS, DRUM, TEMPO, MODE, KEY, BPM = (1 << i for i in range(10))

#: Slot -> what it states, as bits; a caption states nothing twice. The x-slots name something untrue, to be negated.
SLOT_MASKS = {
    "genre": GENRE, "mood": MOOD, "lead": LEAD, "acc": ACC, "ins": LEAD | ACC, "bass": BASS, "drums": DRUM,
    "tempo": TEMPO, "mode": MODE, "key": KEY | MODE, "bpm": BPM, "xthing": 0, "xgenre": 0, "xmood": 0, "xtempo": 0,
}  # fmt: skip

VALUES: dict[str, tuple[str, ...]] = {
    "genre": GENRES, "mood": MOODS, "instrument": tuple(INSTRUMENTS), "bass": tuple(BASSES), "drums": DRUMS[1:],
    "tempo": tuple(TEMPOS), "mode": MODES,
}  # fmt: skip

#: Wordings of what a track can be said to lack; a family needs all its members absent.
ABSENT_WORDS: dict[str, str] = {
    "guitar": "guitars | guitar | guitar parts", "brass": "brass | horns | brass instruments",
    "woodwind": "woodwinds | woodwind | wind instruments", "synthesizer": "synths | synthesizers | synth sounds",
    "bowed strings": "bowed strings | string section", "choir": "choir | vocals | voices",
    "piano": "piano | piano part", "organ": "organ", "accordion": "accordion", "harmonica": "harmonica",
    "saxophone": "saxophone | sax", "flute": "flute", "banjo": "banjo", "sitar": "sitar", "violin": "violin | fiddle",
    "trumpet": "trumpet", "harp": "harp", "electric guitar": "electric guitar | electric guitars",
    "distorted guitar": "distorted guitars | guitar distortion",
    "drums": "drums | drum kit | drum track", "bass": "bass | bass line | bass part",
}  # fmt: skip

#: Where a listener would take the word for more than the instrument of that name.
_WIDER = {
    "piano": ("piano", "electric piano"), "flute": ("flute", "pan flute"), "violin": ("violin", "strings"),
    "electric guitar": ("electric guitar", "distorted guitar"),
}  # fmt: skip

_SPELLED = {"#": " sharp", "b": " flat"}


class Draws:
    """Uniform numbers taken from a Generator in blocks, since single draws are slow."""

    __slots__ = ("_at", "_block", "_rng")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: list[float] = rng.random(64).tolist()
        self._at = 0

    def unit(self) -> float:
        if self._at == len(self._block):
            self._block = self._rng.random(64).tolist()
            self._at = 0
        self._at += 1
        return self._block[self._at - 1]

    def index(self, n: int) -> int:
        return int(self.unit() * n)

    def weighted(self, bounds: list[float]) -> int:
        """Index into cumulative probabilities that end in 1."""
        return min(bisect_right(bounds, self.unit()), len(bounds) - 1)


@dataclass(frozen=True)
class Forms:
    """Surface forms of one style: attribute -> value -> wordings; and of instrument families."""

    values: Mapping[str, Mapping[str, tuple[str, ...]]]
    families: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, blocks: Mapping[str, str]) -> Forms:
        """Read `value: form | form` lines.

        Raises:
            ValueError: a value is unknown or has no form, or one form stands for two values of an attribute.
        """
        values = {attribute: _parse_block(blocks[attribute]) for attribute in VALUES}
        for attribute, table in values.items():
            if set(table) != set(VALUES[attribute]):
                wrong = sorted(set(table) ^ set(VALUES[attribute]))
                raise ValueError(f"forms of {attribute}: missing or unknown value {wrong[0]!r}")
            owners: dict[str, str] = {}
            for value, forms in table.items():
                for form in forms:
                    if owners.setdefault(form.lower(), value) != value:
                        raise ValueError(
                            f"form {form!r} of {attribute} stands for {owners[form.lower()]!r} and {value!r}"
                        )
        return cls(values, _parse_block(blocks.get("family", "")))

    def words(self) -> frozenset[str]:
        """All lower-cased words that occur in a form."""
        tables = [*self.values.values(), self.families]
        return frozenset(
            word
            for table in tables
            for forms in table.values()
            for form in forms
            for word in re.findall("[a-z]+", form.lower())
        )


class Speaker:
    """Words the attributes of one track in one style, and notes what has been stated."""

    __slots__ = ("attributes", "draws", "family_share", "forms", "stated")

    def __init__(self, attributes: Attributes, forms: Forms, family_share: float, draws: Draws) -> None:
        self.attributes = attributes
        self.forms = forms
        self.family_share = family_share
        self.draws = draws
        self.stated: list[dict[str, Any]] = []

    def say(self, slot: str) -> str:
        """Text for an attribute slot; its predicate joins `stated`."""
        a = self.attributes
        if slot in ("genre", "mood", "tempo", "drums", "mode", "bass"):
            value = getattr(a, slot)
            self.stated.append({"attribute": slot, "in": [value]})
            return self._form(slot, value)
        if slot == "lead":
            return self._instrument("lead", a.lead)
        if slot == "acc":
            return self._listed("accompaniment", a.accompaniment)
        if slot == "ins":
            return self._listed("instrument", a.instruments)
        if slot == "key":
            return self._key()
        if slot == "bpm":
            return self._bpm()
        return self._untrue(slot)

    def _form(self, attribute: str, value: str) -> str:
        forms = self.forms.values[attribute][value]
        return forms[self.draws.index(len(forms))]

    def _instrument(self, attribute: str, value: str, *, family: bool = True) -> str:
        if family and self.draws.unit() < self.family_share:
            for name, forms in self.forms.families.items():
                members = INSTRUMENT_FAMILIES[name]
                if value in members:
                    self.stated.append({"attribute": attribute, "in": list(members)})
                    return forms[self.draws.index(len(forms))]
        self.stated.append({"attribute": attribute, "in": [value]})
        return self._form("instrument", value)

    def _listed(self, attribute: str, values: tuple[str, ...]) -> str:
        """Some of the instruments, in random order: `a`, `a and b` or `a, b and c`."""
        rest = list(values)
        chosen = [rest.pop(self.draws.index(len(rest))) for _ in range(1 + self.draws.index(len(rest)))]
        # Only the first may go by its family's name, or "guitar and guitars" could come out.
        said = [self._instrument(attribute, value, family=place == 0) for place, value in enumerate(chosen)]
        return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"

    def _key(self) -> str:
        a = self.attributes
        self.stated.append({"attribute": "key", "in": [a.key]})
        self.stated.append({"attribute": "mode", "in": [a.mode]})
        accidental = a.key[1:]
        name = a.key[0] + (_SPELLED[accidental] if accidental and self.draws.unit() < 0.4 else accidental)
        return f"{name} {a.mode}"

    def _bpm(self) -> str:
        bpm = self.attributes.bpm
        told = 5 * round(bpm / 5) if self.draws.unit() < 0.5 else bpm
        self.stated.append({"attribute": "bpm", "min": told - 2, "max": told + 2})
        return f"{told} BPM" if self.draws.unit() < 0.3 else f"{told} bpm"

    def _untrue(self, slot: str) -> str:
        if slot == "xthing":
            return self._absent()
        attribute = slot[1:]
        truth = getattr(self.attributes, attribute)
        others = [value for value in VALUES[attribute] if value != truth]
        if attribute == "tempo":
            others = {"slow": ["fast"], "fast": ["slow"]}.get(truth, others)
        value = others[self.draws.index(len(others))]
        self.stated.append({"attribute": attribute, "not_in": [value]})
        return self._form(attribute, value)

    def _absent(self) -> str:
        """A thing that the track has not, in words that fit after "no" and "without"."""
        a = self.attributes
        if a.drums == "none" and "steel drums" not in a.instruments and self.draws.unit() < 0.5:
            thing, predicate = "drums", {"attribute": "drums", "in": ["none"]}
        elif a.bass is None and self.draws.unit() < 0.3:
            thing, predicate = "bass", {"attribute": "bass", "not_in": list(BASSES)}
        else:
            present = set(a.instruments)
            names = [n for n in ABSENT_WORDS if n not in ("drums", "bass") and present.isdisjoint(_members(n))]
            thing = names[int(len(names) * self.draws.unit() ** 2)]
            predicate = {"attribute": "instrument", "not_in": list(_members(thing))}
        self.stated.append(predicate)
        words = ABSENT_WORDS[thing].split(" | ")
        return words[self.draws.index(len(words))]


def missing_mask(attributes: Attributes) -> int:
    """Bits of what cannot be stated of a track because it is not there."""
    missing = 0 if attributes.accompaniment else ACC
    missing |= 0 if attributes.bass is not None else BASS
    return missing | (DRUM if attributes.drums == "none" else 0)


def _members(name: str) -> tuple[str, ...]:
    """Instruments that must be absent for a denial in this word."""
    return INSTRUMENT_FAMILIES[name] if name in INSTRUMENT_FAMILIES else _WIDER.get(name, (name,))


def _parse_block(block: str) -> dict[str, tuple[str, ...]]:
    lines = [line.split(":", 1) for line in block.strip().splitlines() if line.strip()]
    return {value.strip(): tuple(form.strip() for form in forms.split("|")) for value, forms in lines}
