"""Attribute laws: from which distribution the truth of a track is drawn.

A law is one of the three dials of domain shift (attribute law, rendering, caption style). It is a small
graphical model whose tables are explicit,

    P(genre) P(mood|genre) P(lead|genre) P(accompaniment|genre, lead) P(bass|genre) P(drums|genre, mood)
    P(key|genre) P(mode|genre, mood) P(bpm|genre, mood),

so that tracks which satisfy a caption's statements are drawn exactly, without rejection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from bench.datasets.gmcaps._law_tables import GENRE_HABITS, GENRE_WEIGHTS, MOOD_HABITS
from bench.datasets.gmcaps.attributes import (
    BASSES,
    DRUMS,
    GENRES,
    INSTRUMENTS,
    KEYS,
    MODES,
    MOODS,
    TEMPOS,
    Attributes,
)
from bench.datasets.predicates import Predicate
from bench.errors import UserError

__all__ = ["LAWS", "AttributeLaw", "ConditionedLaw", "attribute_law", "sample_attributes", "sample_satisfying"]

_LEADS = tuple(INSTRUMENTS)
_BASSES: tuple[str | None, ...] = (*BASSES, None)
_BPMS = np.arange(TEMPOS["slow"][0], TEMPOS["fast"][1] + 1)
_SETS = [s for size in range(4) for s in combinations(range(len(_LEADS)), size)]
_SET_SIZES = np.array([len(s) for s in _SETS])


@dataclass(frozen=True)
class AttributeLaw:
    """The dials of a law.

    Attributes:
        name: Name of the law.
        genre_weights: Relative frequency of each genre, in the order of `GENRES`.
        sharpness: Exponent on the habits of a genre; above 1 its most likely values gain.
        looseness: Share of instruments and moods drawn with no regard to the genre.
        crowding: Exponent on the number of accompanying instruments; above 0 textures are fuller.
    """

    name: str
    genre_weights: tuple[float, ...]
    sharpness: float
    looseness: float
    crowding: float = 0.0


LAWS: dict[str, AttributeLaw] = {
    law.name: law
    for law in (
        AttributeLaw("web", GENRE_WEIGHTS["web"], sharpness=0.9, looseness=0.20),
        AttributeLaw("pc", GENRE_WEIGHTS["pc"], sharpness=1.1, looseness=0.12),
        AttributeLaw("sd", GENRE_WEIGHTS["sd"], sharpness=1.0, looseness=0.16, crowding=0.1),
        AttributeLaw("mc", GENRE_WEIGHTS["mc"], sharpness=0.8, looseness=0.24, crowding=-0.15),
    )
}


def attribute_law(name: str) -> AttributeLaw:
    """The named law.

    Raises:
        UserError: no law has that name.
    """
    if name not in LAWS:
        raise UserError(f"unknown attribute law {name!r}; use one of {', '.join(LAWS)}")
    return LAWS[name]


def _normal(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=-1, keepdims=True)


def _ranked(names: str, vocabulary: Sequence[str], law: AttributeLaw, floor: float) -> np.ndarray:
    """Probabilities over a vocabulary: weights fall with rank, mixed with a uniform share `floor`."""
    weights = np.zeros(len(vocabulary))
    for rank, name in enumerate(names.split(",")):
        weights[vocabulary.index(name)] = (1.0 / (1.0 + 0.4 * rank)) ** law.sharpness
    return (1.0 - floor) * _normal(weights) + floor / len(vocabulary)


def _sigmoid(x: float) -> float:
    return float(1.0 / (1.0 + np.exp(-x)))


@dataclass(frozen=True)
class _Tables:
    """Probabilities of one law; the first axis is the genre, a second the mood where there is one."""

    genre: np.ndarray
    mood: np.ndarray
    lead: np.ndarray
    sets: np.ndarray
    bass: np.ndarray
    drums: np.ndarray
    key: np.ndarray
    mode: np.ndarray
    bpm: np.ndarray


@lru_cache(maxsize=8)
def _membership() -> np.ndarray:
    """(sets, instruments) bool: which instruments each possible accompaniment holds."""
    table = np.zeros((len(_SETS), len(_LEADS)), dtype=bool)
    for row, members in enumerate(_SETS):
        table[row, list(members)] = True
    return table


def _set_probabilities(weights: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(leads, sets): P(accompaniment | lead): a size first, then a set in proportion to its product of weights."""
    product = np.array([np.prod(weights[list(s)]) for s in _SETS])
    out = np.where(_membership().T, 0.0, product)
    for size, share in enumerate(sizes):
        columns = size == _SET_SIZES
        out[:, columns] *= share / out[:, columns].sum(axis=1, keepdims=True)
    return out


@lru_cache(maxsize=16)
def _tables(law: AttributeLaw) -> _Tables:
    columns: dict[str, list[Any]] = {name: [] for name in _Tables.__dataclass_fields__ if name != "genre"}
    for genre in GENRES:
        habits = GENRE_HABITS[genre]
        columns["mood"].append(_ranked(habits.moods, MOODS, law, law.looseness + 0.15))
        columns["lead"].append(_ranked(habits.leads, _LEADS, law, law.looseness))
        sizes = _normal(np.array(habits.sizes) * np.exp(law.crowding * np.arange(4)))
        columns["sets"].append(_set_probabilities(_ranked(habits.accompaniment, _LEADS, law, law.looseness), sizes))
        columns["bass"].append(_normal(np.array(habits.bass, dtype=float) ** law.sharpness))
        columns["key"].append(_ranked(habits.keys, KEYS, law, 0.65))
        drums = np.array(habits.drums, dtype=float) ** law.sharpness
        no_drums = np.array([[MOOD_HABITS[m].no_drums] + [1.0] * (len(DRUMS) - 1) for m in MOODS])
        columns["drums"].append(_normal(drums * no_drums))
        minor = [_sigmoid(habits.minor + MOOD_HABITS[m].minor) for m in MOODS]
        columns["mode"].append(np.array([[1.0 - p, p] for p in minor]))
        centres = np.array([habits.bpm[0] * MOOD_HABITS[m].tempo for m in MOODS])[:, None]
        bell = _normal(np.exp(-0.5 * ((_BPMS - centres) / habits.bpm[1]) ** 2))
        columns["bpm"].append(0.92 * bell + 0.08 / len(_BPMS))
    return _Tables(_normal(np.array(law.genre_weights)), **{name: np.array(c) for name, c in columns.items()})


class ConditionedLaw:
    """A law given some statements about the track: draws are exact and never rejected.

    Args:
        law: The law before conditioning.
        stated: Predicates over the truth (see `bench.datasets.predicates`), all of which must hold.

    Raises:
        UserError: no track can satisfy the statements.
    """

    def __init__(self, law: AttributeLaw, stated: Iterable[Mapping[str, Any]] = ()) -> None:
        predicates = [Predicate.parse(item) for item in stated]
        base = _tables(law)
        values: dict[str, Sequence[Any]] = {
            "genre": GENRES, "mood": MOODS, "lead": _LEADS, "bass": _BASSES,
            "drums": DRUMS, "key": KEYS, "mode": MODES,
        }  # fmt: skip
        masked = {name: getattr(base, name) * _mask(name, v, predicates) for name, v in values.items()}
        masked["bpm"] = base.bpm * _bpm_mask(predicates)
        # P(accompaniment fits | genre, lead) enters the law of the lead, so that no draw ends in a dead end
        self._sets = _set_mask(predicates)
        fits = np.einsum("gls,ls->gl", base.sets, self._sets) if predicates else np.ones_like(base.lead)
        masked["lead"] = masked["lead"] * fits
        joint = masked["genre"][:, None] * masked["mood"]
        for name in ("lead", "bass", "key"):
            joint = joint * masked[name].sum(axis=-1)[:, None]
        for name in ("drums", "mode", "bpm"):
            joint = joint * masked[name].sum(axis=-1)
        #: Probability that a track of the unconditioned law satisfies every statement.
        self.probability = float(joint.sum())
        if self.probability <= 0.0:
            raise UserError(f"no track can satisfy {[p.to_json() for p in predicates]}; drop one of the statements")
        self._joint = np.cumsum(joint.ravel())
        self._cumulative = {
            name: np.cumsum(masked[name], axis=-1) for name in ("lead", "bass", "drums", "key", "mode", "bpm")
        }
        self._base = base

    def sample(self, rng: np.random.Generator) -> Attributes:
        """Draw one track's attributes; always nine uniforms, whatever the statements."""
        u = rng.random(9)
        genre, mood = divmod(_pick(self._joint, u[0]), len(MOODS))
        c = self._cumulative
        lead = _pick(c["lead"][genre], u[2])
        members = _pick(np.cumsum(self._base.sets[genre, lead] * self._sets[lead]), u[3])
        return Attributes(
            genre=GENRES[genre],
            mood=MOODS[mood],
            lead=_LEADS[lead],
            accompaniment=tuple(_LEADS[i] for i in _SETS[members]),
            bass=_BASSES[_pick(c["bass"][genre], u[4])],
            drums=DRUMS[_pick(c["drums"][genre, mood], u[5])],
            key=KEYS[_pick(c["key"][genre], u[6])],
            mode=MODES[_pick(c["mode"][genre, mood], u[7])],
            bpm=int(_BPMS[_pick(c["bpm"][genre, mood], u[8])]),
        )


def _pick(cumulative: np.ndarray, u: float) -> int:
    """Index drawn from unnormalised cumulative weights; never one of weight zero."""
    return int(np.searchsorted(cumulative, u * cumulative[-1], side="right"))


def _mask(name: str, values: Sequence[Any], predicates: Sequence[Predicate]) -> np.ndarray:
    keep = np.ones(len(values), dtype=bool)
    for p in predicates:
        if p.attribute == name and p.in_:
            keep &= np.array([v in p.in_ for v in values])
        if p.attribute == name and p.not_in:
            keep &= np.array([v not in p.not_in for v in values])
    return keep


def _bpm_mask(predicates: Sequence[Predicate]) -> np.ndarray:
    keep = np.ones(len(_BPMS), dtype=bool)
    words = np.array([next(w for w, (low, high) in TEMPOS.items() if low <= bpm <= high) for bpm in _BPMS])
    for p in predicates:
        if p.attribute == "tempo":
            keep &= np.isin(words, p.in_) if p.in_ else ~np.isin(words, p.not_in)
        if p.min is not None:
            keep &= p.min <= _BPMS
        if p.max is not None:
            keep &= p.max >= _BPMS
    return keep


def _set_mask(predicates: Sequence[Predicate]) -> np.ndarray:
    """(leads, sets) bool: which accompaniments satisfy the statements about instruments, for each lead."""
    keep: np.ndarray = np.ones((len(_LEADS), len(_SETS)), dtype=bool)
    for p in predicates:
        if p.attribute not in ("instrument", "accompaniment"):
            continue
        for names, wanted in ((p.in_, True), (p.not_in, False)):
            if not names:
                continue
            chosen = np.array([name in names for name in _LEADS])
            has = np.asarray(_membership()[:, chosen].any(axis=1))[None, :]
            if p.attribute == "instrument":
                has = has | chosen[:, None]
            keep &= has if wanted else ~has
    return keep


@lru_cache(maxsize=8)
def _plain(law: AttributeLaw) -> ConditionedLaw:
    return ConditionedLaw(law)


def sample_attributes(law: str, rng: np.random.Generator) -> Attributes:
    """Draw the truth of one track from a named law."""
    return _plain(attribute_law(law)).sample(rng)


def sample_satisfying(
    stated: Iterable[Mapping[str, Any]], law: str, n: int, rng: np.random.Generator
) -> list[Attributes]:
    """Draw `n` tracks from a named law, given that every stated predicate holds.

    Raises:
        UserError: unknown law, or no track can satisfy the statements.
    """
    conditioned = ConditionedLaw(attribute_law(law), stated)
    return [conditioned.sample(rng) for _ in range(n)]
