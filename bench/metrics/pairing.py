"""What is searched for what: captions and tracks as queries and gallery, under the protocols of Song Describer.

Papers on the same captions report figures that do not compare, for the gallery differs (FACTS.md 3.1). A protocol is a
choice of rows on both sides and of what counts as found; a `Pairing` says which, and prints its size.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

__all__ = ["Direction", "Pairing", "Protocol", "pair_captions"]

Protocol = Literal["track", "strict_rows", "valid"]
Direction = Literal["text-to-audio", "audio-to-text"]


@dataclass(frozen=True)
class Pairing:
    """Queries, gallery, and the gallery items that are relevant to each query."""

    queries: np.ndarray
    """(Q,) int64 rows of the query side: captions for text-to-audio, tracks for audio-to-text."""
    gallery: np.ndarray
    """(N,) int64 rows of the side that is searched: tracks for text-to-audio, captions for audio-to-text."""
    relevant: list[np.ndarray]
    """Q int64 arrays of positions in `gallery`; the best of them counts. Empty: a query that can only miss."""
    clusters: np.ndarray
    """(Q,) track id of each query: queries of one track are not independent, so resample tracks."""
    protocol: Protocol
    direction: Direction

    @property
    def n_gallery(self) -> int:
        """Number of items searched, N."""
        return len(self.gallery)

    @property
    def n_unanswerable(self) -> int:
        """Number of queries without a relevant item."""
        return sum(len(items) == 0 for items in self.relevant)

    def chance(self, k: int) -> float:
        """Expected R@k of a random order of the gallery, in percent.

        A query with r relevant items among N is found with probability 1 − C(N − r, k) / C(N, k): k / N for one.

        Args:
            k: cut, 1 or more.

        Raises:
            ValueError: k below 1, or no queries.

        Example:
            >>> pair_captions(["a", "b", "b"], ["a", "b"]).chance(1)
            50.0
        """
        if not k >= 1:
            raise ValueError(f"k = {k}; it must be 1 or more")
        if len(self.queries) == 0:
            raise ValueError("no queries: there is no chance level")
        sizes, counts = np.unique([len(items) for items in self.relevant], return_counts=True)
        cut = min(k, self.n_gallery)
        missed = []
        for size in sizes:
            taken = np.arange(size)
            missed.append(np.prod(np.maximum(self.n_gallery - cut - taken, 0) / (self.n_gallery - taken)))
        return float(100.0 * (1.0 - np.average(missed, weights=counts)))


def pair_captions(
    caption_tracks: Sequence[Any] | np.ndarray,
    track_ids: Sequence[Any] | np.ndarray,
    *,
    protocol: Protocol = "track",
    direction: Direction = "text-to-audio",
    valid: Sequence[bool] | np.ndarray | None = None,
) -> Pairing:
    """Queries, gallery and relevant items of captions and tracks.

    Protocols, with Song Describer's sizes (Manco et al. 2023):

    - "track": every caption against every unique track, 1106 × 706. From audio to text, a hit is any caption of the
      track; a track without captions is a query that can only miss, and stays in the gallery of text-to-audio.
    - "strict_rows": one row a caption on both sides, 1106 × 1106, and only the own row counts; a track that several
      captions describe is in the gallery as often, and its copies tie. Tracks without captions are left out.
    - "valid": as "track", but only the captions marked valid, and the tracks that have one, 746 × 547.

    Args:
        caption_tracks: (C,) track id of each caption.
        track_ids: (T,) ids of the tracks, each once, in the order of their vectors.
        protocol: one of the three.
        direction: what searches for what.
        valid: (C,) bool, the captions of the valid subset; needed by the protocol "valid" and ignored by the others.

    Returns:
        Rows index `caption_tracks` (captions) and `track_ids` (tracks).

    Raises:
        ValueError: an unknown protocol or direction, a track id given twice, captions of an unknown track, `valid`
            absent, of another length or not bool, nothing left to search.

    Example:
        >>> pairing = pair_captions(["b", "a", "b"], ["a", "b", "c"], direction="audio-to-text")
        >>> [items.tolist() for items in pairing.relevant], pairing.n_gallery
        ([[1], [0, 2], []], 3)
    """
    _check_word(protocol, get_args(Protocol), "protocol")
    _check_word(direction, get_args(Direction), "direction")
    ids = _ids(track_ids)
    owner = _owners(_ids(caption_tracks), ids)
    captions = np.arange(len(owner))
    tracks = np.arange(len(ids))
    if protocol == "valid":
        captions = captions[_valid_mask(valid, len(owner))]
        tracks = np.unique(owner[captions])
    if protocol == "strict_rows":
        tracks = owner
        relevant = list(np.arange(len(owner))[:, None])
    else:
        position = np.full(len(ids), -1)
        position[tracks] = np.arange(len(tracks))
        own = position[owner[captions]]
        relevant = list(own[:, None]) if direction == "text-to-audio" else _members(own, len(tracks))
    queries, gallery = (captions, tracks) if direction == "text-to-audio" else (tracks, captions)
    if len(gallery) == 0 or len(queries) == 0:
        raise ValueError(
            f"protocol {protocol!r} leaves {len(captions)} captions and {len(tracks)} tracks: nothing to search"
        )
    track_of_query = owner[queries] if direction == "text-to-audio" else queries
    clusters = _id_array(ids)[track_of_query]
    return Pairing(queries, gallery, relevant, clusters, protocol, direction)


def _check_word(word: str, known: tuple[str, ...], name: str) -> None:
    if word not in known:
        near = difflib.get_close_matches(str(word), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown {name} {word!r}; {hint}known: {', '.join(known)}")


def _ids(values: Sequence[Any] | np.ndarray) -> list[Hashable]:
    """Ids as plain values, so that NumPy's and Python's are the same."""
    return np.asarray(values).tolist() if isinstance(values, np.ndarray) else list(values)


def _owners(caption_tracks: list[Hashable], track_ids: list[Hashable]) -> np.ndarray:
    """(C,) row of each caption's track."""
    row: dict[Hashable, int] = {}
    repeated = [i for i, name in enumerate(track_ids) if row.setdefault(name, i) != i]
    if repeated:
        raise ValueError(
            f"track_ids: {len(repeated)} ids are repeated, the first is {track_ids[repeated[0]]!r} at entry "
            f"{repeated[0]}; every track is given once"
        )
    unknown = [i for i, name in enumerate(caption_tracks) if name not in row]
    if unknown:
        name = caption_tracks[unknown[0]]
        twin = next((t for t in track_ids if str(t) == str(name)), None)
        hint = "" if twin is None else f" (track_ids has {twin!r}: convert one of them)"
        raise ValueError(
            f"caption_tracks: {len(unknown)} of {len(caption_tracks)} captions are of tracks not in track_ids, the "
            f"first is {name!r} at entry {unknown[0]}{hint}"
        )
    return np.array([row[name] for name in caption_tracks], dtype=np.int64)


def _valid_mask(valid: Sequence[bool] | np.ndarray | None, n_captions: int) -> np.ndarray:
    if valid is None:
        raise ValueError("protocol 'valid' needs valid=: a bool for each caption (Song Describer: is_valid_subset)")
    mask = np.asarray(valid)
    if mask.shape != (n_captions,):
        raise ValueError(f"valid has shape {mask.shape}; {n_captions} captions need one bool each")
    wrong = [i for i, value in enumerate(mask.tolist()) if not isinstance(value, bool)]
    if wrong:
        raise ValueError(
            f"valid must hold True and False only; {len(wrong)} of {n_captions} entries are not, the first is "
            f"{mask.tolist()[wrong[0]]!r} at entry {wrong[0]}"
        )
    return mask.astype(bool)


def _members(groups: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Positions of the members of each group, ascending; empty for a group without."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.cumsum(np.bincount(groups, minlength=n_groups))[:-1])


def _id_array(ids: list[Hashable]) -> np.ndarray:
    """Ids as an array, of objects where they are not of one kind (NumPy would turn them all into text)."""
    if len({type(name) for name in ids}) == 1 and isinstance(ids[0], int | str):
        return np.array(ids)
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    return array
