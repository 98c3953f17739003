"""Editing of real tracks: "similar to this track, but with an electric guitar" (PROTOCOL.md 6; section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import bundle
from bench.errors import NotApplicable, UserError
from bench.gallery import Gallery, query_vectors
from bench.metrics.control import oracle_kept_at_k
from bench.metrics.measured import Lazy, Measured
from bench.prompts import EditPhrasing
from bench.protocols import Dataset, Edit, Editing, Sampling, Space
from bench.queries import QueryContext, QuerySource
from bench.tasks._truth import TruthMasks
from bench.tasks.common import TOP, floors, relative_kept, with_text
from bench.tasks.editing import edit_targets

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RealEdits", "TrackContext", "TrackEditTask", "real_edits", "twin_truth"]

#: What an edit of an instrument must leave as it is; the truth of a track says each.
STAYS = ("genre", "mood", "lead", "drums", "key", "mode")


@dataclass(frozen=True)
class RealEdits:
    """Edits of real tracks, each with its exact twin: the same piece with one more instrument."""

    table: pd.DataFrame
    """Columns track_id, instrument, twin_id, row (of `twins`), original (row of `frames`); one row an edit."""
    twins: np.ndarray
    """(m, d) raw latents of the twins, pooled over the whole track."""
    frames: np.ndarray
    """(o, T, d) raw latent frames of the original tracks, from their beginning."""

    def chosen(self, queries: int) -> pd.DataFrame:
        """The first `queries` edits of a fixed order that takes the instruments in turn."""
        turn = self.table.groupby("instrument", sort=False).cumcount()
        order = turn.to_numpy().argsort(kind="stable")
        return self.table.iloc[order[:queries]].reset_index(drop=True)


class TrackContext(QueryContext):
    """What modifiers see where the query is a track: its latents stand for what the prompts would generate.

    Args:
        source, edits, sampling, modifiers: as for `QueryContext`.
        captions: what is said of each track, for a modifier that inverts under it.
        frames: (P, T, d) raw latent frames of the tracks.
    """

    def __init__(
        self,
        source: QuerySource,
        captions: Sequence[str],
        edits: Sequence[Edit],
        sampling: Sampling,
        modifiers: Any,
        frames: np.ndarray,
    ) -> None:
        super().__init__(source, captions, edits, sampling, modifiers, frames)
        self._frames = np.asarray(frames, dtype=np.float32)

    def query(self, prompts: Sequence[str], guidance: float | None = None) -> np.ndarray:
        """The tracks' own latents where their captions are asked for, else what the texts generate."""
        if list(prompts) != self.prompts:
            return super().query(prompts, guidance)
        return np.repeat(self._frames.mean(1)[:, None], self.sampling.samples, axis=1)

    def query_negative(self, prompts: Sequence[str], negatives: Sequence[str], w: float) -> np.ndarray:
        """Not for tracks.

        Raises:
            NotApplicable: always.
        """
        raise NotApplicable("a negative prompt steers a generation, and a real track was not generated")

    def query_edited(self, editing: Editing) -> np.ndarray:
        """The tracks moved to the edits' texts.

        Raises:
            NotApplicable: the edit needs the noise that a query was generated from.
        """
        if editing.method == "regeneration":
            raise NotApplicable("a real track was not generated, so there is no noise of its own to generate from")
        if editing.method != "inversion":
            return super().query_edited(editing)
        # No noise enters an inversion that starts from a track: its samples are all the same, and one is computed.
        edited, single = [edit.text for edit in self.edits], replace(self.sampling, samples=1)
        latents = self.source.query_edited(self.prompts, edited, editing, single, self._frames)
        return np.repeat(latents, self.sampling.samples, axis=1)

    def subset(self, rows: np.ndarray, samples: int) -> TrackContext:
        return TrackContext(
            self.source, [self.prompts[i] for i in rows], [self.edits[i] for i in rows],
            replace(self.sampling, samples=samples), self._modifiers, self._frames[rows],
        )  # fmt: skip


class TrackEditTask:
    """Real tracks as queries; every modifier is asked to find the same piece with one more instrument.

    The gallery is the dataset's, with the twins of all edits. A query's own track is taken out of its ranking, as the
    user has it already; the other tracks stay, and so do the twins of the same track with other instruments, which are
    the nearest rivals. All methods hear the same frames of the track.

    Args:
        dataset: tracks, captions (the first of each track says what it is) and truth.
        gallery: the dataset's.
        source: of generated queries.
        edits: the tracks, the instruments and the twins.
        phrasings: templates of the edits' texts, dealt out in turn.
        sampling: how texts are generated from, and the guidance of the edit.
        queries: how many edits are asked.
        references: reference sets of set metrics.
        modifiers: makes a modifier by name.
    """

    given = True
    """The unmodified query costs no generation."""

    def __init__(
        self,
        dataset: Dataset,
        gallery: Gallery,
        source: QuerySource,
        edits: RealEdits,
        phrasings: Sequence[EditPhrasing],
        sampling: Sampling,
        queries: int,
        references: Lazy,
        modifiers: Any,
    ) -> None:
        assert dataset.truth is not None
        self.dataset, self.references = dataset, references
        ids = list(edits.table.sort_values("row")["twin_id"])
        self.gallery = Gallery((*dataset.track_ids, *ids), np.concatenate([gallery.raw, edits.twins]))
        self.masks = TruthMasks(twin_truth(dataset.truth, edits.table))
        self.edits = edits.chosen(queries)
        index = dataset.track_index()
        self.original = np.array([index[track] for track in self.edits["track_id"]])
        self.relevant = len(dataset.track_ids) + self.edits["row"].to_numpy()
        self.phrasings = _dealt(self.edits, phrasings)
        first = dataset.captions.drop_duplicates("track_id").set_index("track_id")["text"]
        captions = [first[track] for track in self.edits["track_id"]]
        texts = [
            phrasing.text.format(instrument=instrument, caption=caption.rstrip(". "))
            for phrasing, instrument, caption in zip(self.phrasings, self.edits["instrument"], captions, strict=True)
        ]
        frames = edits.frames[self.edits["original"].to_numpy()]
        self.context = TrackContext(source, captions, [Edit(t) for t in texts], sampling, modifiers, frames)

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Tracks and instruments are crossed, so both are clusters."""
        frame = self.edits[["track_id", "twin_id", "instrument"]].rename(
            columns={"track_id": "cluster_id", "twin_id": "relevant_id", "instrument": "negative_id"}
        )
        return frame.assign(
            query_id=[f"{t}|{i}" for t, i in zip(frame["cluster_id"], frame["negative_id"], strict=True)],
            phrasing=[phrasing.id for phrasing in self.phrasings],
        )

    @cached_property
    def wanted(self) -> np.ndarray:
        """(n, N) bool: tracks and twins with the instrument that the edit asks for."""
        return np.stack([self.masks({"attribute": "instrument", "in": [i]}) for i in self.edits["instrument"]])

    @cached_property
    def _stated(self) -> list[list[np.ndarray]]:
        """What is true of each original and is to stay."""
        truth = self.masks.truth
        stated = []
        for row in self.original:
            bpm = float(truth["bpm"].iloc[row])
            masks = [self.masks({"attribute": name, "in": [truth[name].iloc[row]]}) for name in STAYS]
            stated.append([*masks, self.masks({"attribute": "bpm", "min": 0.9 * bpm, "max": 1.1 * bpm})])
        return stated

    @cached_property
    def _oracle_kept(self) -> np.ndarray:
        return oracle_kept_at_k(self._stated, ~self.wanted, TOP)

    @cached_property
    def targets(self) -> Lazy:
        """What CLAP scores compare with: the twin, the track as it was heard, and the texts of track and edit."""
        context = self.context
        makers = {
            "ZA+": lambda: self.gallery.raw[self.relevant],
            "original": lambda: self.gallery.raw[self.original],
            **edit_targets(context),
            "ZT:added": lambda: context.text(list(self.edits["instrument"])),
        }
        return with_text(makers, context.source.space)

    @cached_property
    def floors(self) -> dict[str, float]:
        """Fréchet distance of the twins that are looked for to each reference: what real music scores at this n."""
        return floors(self.gallery.raw[self.relevant], self.references)

    def measure(self, modifier: Any, strength: float | None, guidance: float | None, with_spread: bool) -> Measured:
        """Apply a modifier, or take the tracks as they are where `modifier` is None."""
        latents = self.context.under(modifier, strength, guidance)
        vectors = query_vectors(latents)
        top = self._top(vectors)
        return Measured(
            latents=latents,
            vectors=vectors,
            ranks=self._ranks(vectors),
            n_gallery=len(self.gallery.track_ids) - 1,
            top=top,
            deterministic=self.context.source.retriever.deterministic,
            gallery=self.gallery.raw,
            targets=self.targets,
            wanted=self.wanted,
            before_top=self._before_top,
            kept=relative_kept(top, self._stated, self._oracle_kept),
            references=self.references,
            why_no_spread="a real track is one query, not several samples",
        )

    def _ranks(self, vectors: np.ndarray) -> np.ndarray:
        """Mid-rank of each twin among all but the query's own track."""
        unit = self.gallery.unit.astype(np.float64)
        own, twin = (np.einsum("nd,nd->n", vectors, unit[rows]) for rows in (self.original, self.relevant))
        return self.gallery.ranks(vectors, self.relevant) - np.where(own > twin, 1.0, np.where(own == twin, 0.5, 0.0))

    def _top(self, vectors: np.ndarray) -> np.ndarray:
        """(n, 10) nearest, without the query's own track."""
        top = self.gallery.top(vectors, TOP + 1)
        others = top != self.original[:, None]
        others[others.all(1), -1] = False  # its own track is not among them: the last one goes
        return top[others].reshape(len(top), TOP)

    @cached_property
    def _before_top(self) -> np.ndarray:
        return self._top(query_vectors(self.context.query(self.context.prompts)))


def _dealt(edits: pd.DataFrame, phrasings: Sequence[EditPhrasing]) -> list[EditPhrasing]:
    """A phrasing for each edit: in turn within each instrument, so that every instrument has every phrasing."""
    turn = edits.groupby("instrument", sort=False).cumcount()
    return [phrasings[at % len(phrasings)] for at in turn]


def twin_truth(truth: pd.DataFrame, edits: pd.DataFrame) -> pd.DataFrame:
    """The truth of a gallery with twins: the dataset's rows, then one a twin in the order of `row`.

    A twin's id says what was changed of its track, as `TRACK~accompaniment=organ+flute` (gmcaps.corpus.twin).

    Raises:
        UserError: an id that says something else.
    """
    import pandas as pd

    ordered = edits.sort_values("row")
    changed = [name.partition("~accompaniment=") for name in ordered["twin_id"]]
    known = set(truth["track_id"])
    for name, (track, _, instruments) in zip(ordered["twin_id"], changed, strict=True):
        if not instruments or track not in known:
            raise UserError(f"{name!r} is no twin of one of the dataset's tracks; run the suite on all of its tracks")
    twins = truth.set_index("track_id", drop=False).loc[ordered["track_id"]].reset_index(drop=True)
    twins["track_id"] = list(ordered["twin_id"])
    lists = [np.array(instruments.split("+"), dtype=object) for _, _, instruments in changed]
    twins["accompaniment"] = pd.Series(lists, index=twins.index, dtype=object)
    return pd.concat([truth, twins], ignore_index=True)


def real_edits(source: Any, space: Space) -> RealEdits:
    """The edits of a dataset's tracks, from the bundle.

    Args:
        source: a registered dataset.
        space: where the latents lie.

    Raises:
        UserError: the bundle has none of this dataset in this space.
    """
    import pandas as pd

    table = f"edits-{source.gallery}.parquet"
    if not (bundle.has(table) and space.has_extra("edits")):
        raise UserError(
            f"the bundle has no edits of real tracks of {source.name} in the space {space.name}: "
            "run the suite on `datasets: [sd]` and `spaces: [clap]`"
        )
    frame = pd.read_parquet(bundle.path(table))
    return RealEdits(frame, space.extra("edits", "twins").astype(np.float64), space.extra("edits", "frames"))
