"""Twins: the same piece with one attribute changed so that a statement is no longer true, or becomes true."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.datasets.gmcaps import corpus
from bench.datasets.gmcaps.attributes import BASSES, DRUMS, GENRES, INSTRUMENTS, KEYS, MODES, MOODS, TEMPOS
from bench.datasets.gmcaps.corpus import Track
from bench.datasets.predicates import Predicate

__all__ = ["twin_with", "twin_without", "where_key"]

_BPM = range(TEMPOS["slow"][0], TEMPOS["fast"][1] + 1)
_CHOICES: dict[str, Sequence[Any]] = {
    "genre": GENRES, "mood": MOODS, "drums": DRUMS, "key": KEYS, "mode": MODES, "bass": (*BASSES, None), "bpm": _BPM,
}  # fmt: skip


def where_key(where: Sequence[Predicate] | Sequence[Mapping[str, Any]]) -> str:
    """What a negative forbids as one string: equal for negatives that forbid the same."""
    return json.dumps([p.to_json() if isinstance(p, Predicate) else dict(p) for p in where], sort_keys=True)


def _holds(track: Track, where: Sequence[Predicate]) -> bool:
    truth = corpus.truth_frame([track])
    return all(bool(predicate.holds(truth)[0]) for predicate in where)


def _changes(track: Track, predicate: Predicate, wanted: bool) -> list[tuple[str, Any]]:
    """Single changes of an attribute that could make a predicate true (or false)."""
    if predicate.attribute in ("instrument", "lead", "accompaniment"):
        return _instrument_changes(track, predicate, wanted)
    attribute = "bpm" if predicate.attribute == "tempo" else predicate.attribute
    return [(attribute, value) for value in _CHOICES[attribute] if value != getattr(track.attributes, attribute)]


def _instrument_changes(track: Track, predicate: Predicate, wanted: bool) -> list[tuple[str, Any]]:
    lead, accompaniment = track.attributes.lead, track.attributes.accompaniment
    named = set(predicate.in_ or predicate.not_in)
    changes: list[tuple[str, Any]] = []
    if wanted:
        # Add one of the instruments beside the others, or in place of the last where no room is left.
        kept = accompaniment if len(accompaniment) < 3 else accompaniment[:-1]
        changes += [("accompaniment", (*kept, name)) for name in sorted(named - {lead, *accompaniment})]
        return changes
    without = tuple(name for name in accompaniment if name not in named)
    if without != accompaniment:
        changes.append(("accompaniment", without))
    changes += [("lead", name) for name in INSTRUMENTS if name not in {lead, *accompaniment, *named}]
    return changes


def _twin(track: Track, where: Sequence[Predicate], wanted: bool, seed: int) -> Track | None:
    rng = np.random.default_rng([track.seed, seed])
    for predicate in where:
        changes = _changes(track, predicate, wanted)
        for place in rng.permutation(len(changes))[:64]:
            candidate = corpus.twin(track, *changes[place])
            if _holds(candidate, where) is wanted:
                return candidate
    return None


def twin_without(track: Track, where: Sequence[Predicate], seed: int = 0) -> Track | None:
    """The same piece without what `where` says: one attribute changed, at random among those that do it.

    Args:
        track: a track of which all of `where` is true.
        where: predicates that hold together.
        seed: of the choice.

    Returns:
        The twin; None where no single change does it (a guitar both in the lead and beside it), or where the track
        lacks the value already.
    """
    return _twin(track, where, False, seed) if _holds(track, where) else None


def twin_with(track: Track, where: Sequence[Predicate], seed: int = 0) -> Track | None:
    """The same piece with what `where` says: one attribute changed; None where no single change does it.

    Args:
        track: a track of which `where` is not true.
        where: predicates that hold together.
        seed: of the choice.
    """
    return None if _holds(track, where) else _twin(track, where, True, seed)
