"""GMCaps: which tracks exist, and how each is made from its number alone.

A track is a function of (domain, split, index): its truth, its notes, its sound and its captions follow from
SHA-256 seeds, so any part of the corpus can be rebuilt anywhere, in any order.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets.gmcaps.attributes import BASSES, DRUMS, GENRES, INSTRUMENTS, KEYS, MODES, MOODS, TEMPOS, Attributes
from bench.datasets.gmcaps.compose import Score, compose
from bench.datasets.gmcaps.laws import attribute_law, sample_attributes, sample_satisfying
from bench.datasets.gmcaps.render import render, rendering_named
from bench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from bench.datasets.gmcaps.captions import CaptionText

__all__ = [
    "DOMAINS", "FORMAT", "Domain", "Track", "caption_count", "captions", "compose_and_render", "domain_named", "mix",
    "score", "track", "tracks", "tracks_satisfying", "truth_frame", "twin",
]  # fmt: skip

#: Part of every seed: a change of composition or rendering that alters audio counts it up.
FORMAT = 1

_VALUES: dict[str, Sequence[Any]] = {
    "genre": GENRES,
    "mood": MOODS,
    "lead": tuple(INSTRUMENTS),
    "bass": (*BASSES, None),
    "drums": DRUMS,
    "key": KEYS,
    "mode": MODES,
}
#: Song Describer's number of tracks with one to five captions.
_SD_CAPTIONS = (476, 127, 57, 25, 21)


@dataclass(frozen=True)
class Domain:
    """One of the corpus's sets, or any other combination of the dials (see `mix`).

    Attributes:
        name: Name within seeds and track ids.
        law: Attribute law.
        rendering: Rendering.
        style: Caption style, or None where tracks have no captions.
        seconds: Length of a track.
        sections: 2 where tracks change texture half-way.
        sizes: Split -> number of tracks.
    """

    name: str
    law: str
    rendering: str
    style: str | None
    seconds: float
    sections: int
    sizes: Mapping[str, int] = field(hash=False)


DOMAINS: dict[str, Domain] = {
    d.name: d
    for d in (
        Domain("web", "web", "web", "web", 16.0, 1, {"train": 6000}),
        Domain("pc", "pc", "pc", "library", 16.0, 1, {"train": 6000, "validation": 500, "test": 5500}),
        Domain("sd", "sd", "sd", "describer", 32.0, 2, {"test": 706}),
        Domain("mc", "mc", "mc", "musiccaps", 10.0, 1, {"test": 5521}),
        Domain("jam", "sd", "sd", None, 16.0, 1, {"train": 2000}),
    )
}


@dataclass(frozen=True)
class Track:
    """One track of the corpus: everything about it follows from these fields.

    Attributes:
        track_id: For example `gmcaps-pc-test-00017`.
        domain: The dials that it is made with.
        split: Split of the domain.
        index: Number within the split.
        attributes: The truth.
        seed: Seed of notes, sound and captions.
    """

    track_id: str
    domain: Domain
    split: str
    index: int
    attributes: Attributes
    seed: int


def _nearest(given: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"


def _seed(*names: object) -> int:
    """A 63-bit seed from names; distinct names give distinct seeds but for an accident of 2^-63."""
    digest = hashlib.sha256("/".join(["gmcaps", str(FORMAT), *map(str, names)]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def domain_named(name: str) -> Domain:
    """The named domain; `gmcaps/sd` and `sd` are the same.

    Raises:
        UserError: no domain has that name.
    """
    short = name.removeprefix("gmcaps/")
    if short not in DOMAINS:
        raise UserError(f"unknown domain {name!r}; {_nearest(short, DOMAINS)}")
    return DOMAINS[short]


def mix(*, law: str, rendering: str, style: str | None, seconds: float = 16.0, size: int = 1000) -> Domain:
    """A domain with any combination of the three dials, for factorial studies of domain shift.

    Tracks of two mixes that differ in rendering or style alone are the same pieces.

    Raises:
        UserError: unknown law or rendering.
    """
    attribute_law(law)
    rendering_named(rendering)
    return Domain(f"mix-{law}", law, rendering, style, seconds, 1, {"test": size})


def track(domain: Domain | str, split: str, index: int) -> Track:
    """One track by its number.

    Raises:
        UserError: unknown domain or split, or an index beyond its size.
    """
    domain = domain_named(domain) if isinstance(domain, str) else domain
    if split not in domain.sizes:
        raise UserError(f"domain {domain.name!r} has no split {split!r}; {_nearest(split, domain.sizes)}")
    if not 0 <= index < domain.sizes[split]:
        raise UserError(f"{domain.name}/{split} has {domain.sizes[split]} tracks; there is no index {index}")
    seed = _seed(domain.name, split, index)
    attributes = sample_attributes(domain.law, np.random.default_rng([seed, 0]))
    return Track(f"gmcaps-{domain.name}-{split}-{index:05d}", domain, split, index, attributes, seed)


def tracks(domain: Domain | str, split: str) -> list[Track]:
    """All tracks of a split, in order.

    Raises:
        UserError: unknown domain or split.
    """
    domain = domain_named(domain) if isinstance(domain, str) else domain
    if split not in domain.sizes:
        raise UserError(f"domain {domain.name!r} has no split {split!r}; {_nearest(split, domain.sizes)}")
    return [track(domain, split, index) for index in range(domain.sizes[split])]


def score(track: Track) -> Score:
    """The notes of a track."""
    domain = track.domain
    return compose(track.attributes, seconds=domain.seconds, seed=_sub(track, 1), sections=domain.sections)


def _sub(track: Track, purpose: int) -> int:
    """Seed of one purpose of a track: 1 notes, 2 sound, 3 captions."""
    return _seed("track", track.seed, purpose)


def compose_and_render(track: Track, *, rendering: str | None = None, sample_rate: int = 16000) -> np.ndarray:
    """The audio of a track.

    Args:
        track: The track.
        rendering: A rendering other than its domain's.
        sample_rate: In Hz.

    Returns:
        (round(seconds * sample_rate),) float32 mono.

    Raises:
        UserError: unknown rendering, or the synthesizer is not installed.
    """
    name = rendering or track.domain.rendering
    return render(score(track), rendering=name, seed=_sub(track, 2), sample_rate=sample_rate)


def caption_count(track: Track) -> int:
    """How many captions a track has: one to five in SD (as in Song Describer), one elsewhere."""
    if track.domain.name != "sd" or track.split not in track.domain.sizes:
        return 1
    order = np.random.default_rng(_seed("sd", "caption counts")).permutation(sum(_SD_CAPTIONS))
    return int(np.searchsorted(np.cumsum(_SD_CAPTIONS), order[track.index], side="right")) + 1


def captions(track: Track, style: str | None = None, *, variant: int = 0) -> list[CaptionText]:
    """The captions of a track.

    Args:
        track: The track.
        style: A caption style other than its domain's.
        variant: 0 for the corpus's own captions; each further number gives other wordings, for training.

    Returns:
        As many as `caption_count` says; none where neither the domain nor the caller names a style.
    """
    from bench.datasets.gmcaps.captions import write_caption

    style = style or track.domain.style
    if style is None:
        return []
    rng = np.random.default_rng(_seed("captions", _sub(track, 3), style, variant))
    return [write_caption(track.attributes, style, rng) for _ in range(caption_count(track))]


def twin(track: Track, attribute: str, value: Any) -> Track:
    """The same piece with exactly one attribute changed.

    Args:
        track: The piece.
        attribute: A field of `Attributes`.
        value: Its new value; a list or tuple of instruments for `accompaniment`, beats a minute for `bpm`.

    Raises:
        UserError: unknown attribute or value, a value that the track has already, or one that contradicts another.
    """
    names = [f.name for f in fields(Attributes)]
    if attribute not in names:
        raise UserError(f"unknown attribute {attribute!r}; {_nearest(attribute, names)}")
    value = _checked(track.attributes, attribute, tuple(value) if isinstance(value, list) else value)
    if value == getattr(track.attributes, attribute):
        raise UserError(f"{track.track_id} has {attribute} {value!r} already; a twin needs another value")
    changed = replace(track.attributes, **{attribute: value})
    word = "+".join(value) if isinstance(value, tuple) else value
    return replace(track, track_id=f"{track.track_id}~{attribute}={word}", attributes=changed)


def _checked(attributes: Attributes, attribute: str, value: Any) -> Any:
    """The value, if the track can have it.

    Raises:
        UserError: it cannot.
    """
    if attribute == "bpm":
        low, high = TEMPOS["slow"][0], TEMPOS["fast"][1]
        if not isinstance(value, int) or not low <= value <= high:
            raise UserError(f"bpm {value!r} is out of range; give a whole number from {low} to {high}")
        return value
    if attribute == "accompaniment":
        if not isinstance(value, tuple) or len(value) > 3 or len(set(value)) < len(value):
            raise UserError(f"accompaniment {value!r} is not a list of at most three different instruments")
        for name in value:
            _known("accompaniment", name, tuple(INSTRUMENTS))
        if attributes.lead in value:
            raise UserError(f"{attributes.lead!r} is the lead; it cannot accompany itself")
        # in the order of the vocabulary, as the laws draw it
        return tuple(name for name in INSTRUMENTS if name in value)
    _known(attribute, value, _VALUES[attribute])
    if attribute == "lead" and value in attributes.accompaniment:
        raise UserError(f"{value!r} is in the accompaniment; choose another lead, or change the accompaniment first")
    return value


def _known(attribute: str, value: Any, values: Sequence[Any]) -> None:
    if value not in values:
        raise UserError(f"unknown {attribute} {value!r}; {_nearest(str(value), [str(v) for v in values])}")


def tracks_satisfying(stated: Sequence[Mapping[str, Any]], law: str, n: int, seed: int) -> list[Track]:
    """New tracks of which every stated predicate is true: samples of the true distribution of a caption.

    Args:
        stated: Predicates in their JSON form.
        law: Attribute law; the tracks are rendered like the domain of that name.
        n: How many.
        seed: Different seeds give different tracks; none coincides with a track of a split.

    Raises:
        UserError: unknown law, or statements that no track can satisfy.
    """
    attribute_law(law)
    domain = DOMAINS[law]
    name = _seed("satisfying", law, seed, json.dumps([dict(s) for s in stated], sort_keys=True))
    drawn = sample_satisfying(stated, law, n, np.random.default_rng([name, 0]))
    return [
        Track(f"gmcaps-{law}-given-{name:016x}-{i:05d}", domain, "given", i, attributes, _seed("given", name, i))
        for i, attributes in enumerate(drawn)
    ]


def truth_frame(tracks: Iterable[Track]) -> pd.DataFrame:
    """Truth of tracks as a table: track_id, then the fields of `Attributes` (`accompaniment` holds lists)."""
    import pandas as pd

    names = [f.name for f in fields(Attributes)]
    rows = [{"track_id": t.track_id, **t.attributes.row()} for t in tracks]
    # as objects, or pandas would turn a missing bass, which is a value here, into an unknown
    frame = pd.DataFrame(rows, columns=["track_id", *names], dtype=object)
    return frame.astype({"bpm": "int64"})
