"""Query latents on demand: each is computed once for all cells that share it, and kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bench import registry
from bench.errors import NotApplicable
from bench.protocols import (
    Edit,
    Editing,
    EditingRetriever,
    GenerativeRetriever,
    QuerySet,
    Retriever,
    Sampling,
    SetRetriever,
    Space,
)
from bench.store import Cache

__all__ = ["Origin", "QueryContext", "QuerySource", "base_name", "plugin_of"]


class Origin(NamedTuple):
    """Registry names behind a retriever: two parts may share a class's name, and a plugin may be upgraded."""

    retriever: str
    encoder: str


def base_name(retriever: SetRetriever) -> str:
    """Registry name of the retriever that another is built on; its class's name where it does not tell."""
    return getattr(retriever, "base_name", retriever.base.name)


def plugin_of(retriever: str) -> str | None:
    """`name==version` of the plugin that brings a retriever; None for a built-in, and for what is not registered."""
    return registry.retrievers.distribution(retriever) if retriever in registry.retrievers else None


@dataclass
class QuerySource:
    """A retriever behind the cache; equal texts are asked once.

    Attributes:
        busy: called with a short description before something is computed (not when it is read).
        phase: context manager of a name: times what is done inside (`bench.provenance.Phases`).
        origin: what the parts are registered as; None where they are not.
    """

    retriever: Retriever
    space: Space
    cache: Cache
    busy: Callable[[str], None] | None = None
    phase: Callable[[str], AbstractContextManager[Any]] = nullcontext
    origin: Origin | None = None

    def _described(self, sampling: Sampling, **content: Any) -> dict[str, Any]:
        described = {
            "retriever": self.origin.retriever if self.origin else self.retriever.name,
            "version": self.retriever.version,
            "digest": self.retriever.digest(),
            **self._encoder(),
            **content,
        }
        plugin = plugin_of(self.origin.retriever) if self.origin else None
        if plugin:  # built-ins have none, so that their keys stay what they were
            described["plugin"] = plugin
        if not self.retriever.deterministic:
            described["sampling"] = asdict(sampling)
        return described

    def _encoder(self) -> dict[str, Any]:
        """What is asked of the encoder; its name and plugin only where its digest and its class do not tell them."""
        described = {"space": self.space.encoder_digest()}
        if self.origin is None:
            return described
        if self.origin.encoder != self.space.name:
            described["encoder"] = self.origin.encoder
        plugin = registry.encoders.distribution(self.origin.encoder)
        return {**described, "encoder_plugin": plugin} if plugin else described

    def _computing(self, what: str, compute: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            if self.busy:
                self.busy(what)
            with self.phase("query"):
                return compute()

        return run

    def _cached(self, described: dict[str, Any], what: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """An array from the cache; says what it computes, and when it waits for another process that does."""
        waiting = partial(self.busy, "waiting for another process") if self.busy else None
        with self.phase("cache"):
            return self.cache.array(described, self._computing(what, compute), waiting)

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Query latents of prompts: (P, K, d).

        Raises:
            NotApplicable: the retriever answers whole sets of queries (see `query_set`).
        """
        if self.of_sets:
            raise NotApplicable(f"retriever {self.retriever.name!r} is fitted on whole sets of queries")
        texts = list(dict.fromkeys(prompts))
        described = self._described(sampling, kind="query", prompts=texts)
        what = f"{len(texts)} queries, guidance {sampling.guidance:g}"
        latents = self._cached(described, what, lambda: self.retriever.query(texts, sampling))
        place = {text: row for row, text in enumerate(texts)}
        return latents[[place[prompt] for prompt in prompts]]

    @property
    def of_sets(self) -> bool:
        """Whether a query depends on the others asked with it."""
        return isinstance(self.retriever, SetRetriever)

    def query_set(self, asked: QuerySet, sampling: Sampling) -> np.ndarray:
        """Query latents of a whole evaluation: (P, K, d).

        A retriever that does not look at the set is asked as ever. One that does is given the queries of its base from
        the cache, under the key that they have in every other suite; what it makes of them is not kept.
        """
        if not isinstance(self.retriever, SetRetriever):
            return self.query(asked.prompts, sampling)
        origin = self.origin and self.origin._replace(retriever=base_name(self.retriever))
        base = replace(self, retriever=self.retriever.base, origin=origin)
        with self.phase("query"):
            return self.retriever.query_set(asked, sampling, base.query)

    def query_negative(
        self, prompts: Sequence[str], negatives: Sequence[str], w: float, sampling: Sampling
    ) -> np.ndarray:
        """Query latents under eq. 2: (P, K, d).

        Raises:
            NotApplicable: the retriever cannot take a negative prompt.
        """
        retriever = self.retriever
        if not isinstance(retriever, GenerativeRetriever):
            raise NotApplicable(f"retriever {retriever.name!r} does not generate, so it cannot take a negative prompt")
        pairs = list(dict.fromkeys(zip(prompts, negatives, strict=True)))
        sampling = replace(sampling, guidance=1.0 + w)  # eq. 2 sets the scale; the suite's guidance plays no part
        described = self._described(sampling, kind="negative", pairs=pairs, w=w)

        def compute() -> np.ndarray:
            positive, negative = zip(*pairs, strict=True)
            return retriever.query_negative(positive, negative, w, sampling)

        latents = self._cached(described, f"{len(pairs)} negative prompts, w {w:g}", compute)
        place = {pair: row for row, pair in enumerate(pairs)}
        return latents[[place[pair] for pair in zip(prompts, negatives, strict=True)]]

    def query_edited(
        self,
        prompts: Sequence[str],
        edited: Sequence[str],
        editing: Editing,
        sampling: Sampling,
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        """Query latents moved from one prompt to another: (P, K, d).

        Args:
            start: (P, T, d) latent frames to start from; None starts from what the prompts generate.

        Raises:
            NotApplicable: the retriever's queries cannot be edited.
        """
        retriever = self.retriever
        if not isinstance(retriever, EditingRetriever):
            raise NotApplicable(f"retriever {retriever.name!r} does not denoise, so nothing can be inverted")
        content: dict[str, Any] = {"prompts": list(prompts), "edited": list(edited), "editing": asdict(editing)}
        if start is not None:
            content["start"] = hashlib.sha256(np.ascontiguousarray(start).tobytes()).hexdigest()
        described = self._described(sampling, kind="edited", **content)
        what = f"{len(prompts)} edits, {editing.method} {editing.depth:g}"
        return self._cached(described, what, lambda: retriever.query_edited(prompts, edited, editing, sampling, start))

    def text(self, texts: Sequence[str]) -> np.ndarray:
        """Unit text vectors Z_T: (P, d)."""
        unique = list(dict.fromkeys(texts))
        described = {"kind": "text", **self._encoder(), "texts": unique}

        def encode() -> np.ndarray:
            with self.phase("encode"):
                return self.space.text(unique).pooled

        with self.phase("cache"):
            vectors = self.cache.array(described, encode)
        place = {text: row for row, text in enumerate(unique)}
        return vectors[[place[text] for text in texts]]


class QueryContext:
    """What a modifier sees of a run: the prompts, what to do to them, and the latents they lead to."""

    def __init__(
        self,
        source: QuerySource,
        prompts: Sequence[str],
        edits: Sequence[Edit],
        sampling: Sampling,
        modifiers: Callable[[str], Any],
        start: np.ndarray | None = None,
    ) -> None:
        self.source = source
        self.prompts = list(prompts)
        self.edits = list(edits)
        self.sampling = sampling
        self._modifiers = modifiers
        self._start = start

    def query(self, prompts: Sequence[str], guidance: float | None = None) -> np.ndarray:
        chosen = self.sampling if guidance is None else replace(self.sampling, guidance=guidance)
        return self.source.query(prompts, chosen)

    def query_negative(self, prompts: Sequence[str], negatives: Sequence[str], w: float) -> np.ndarray:
        return self.source.query_negative(prompts, negatives, w, self.sampling)

    def query_edited(self, editing: Editing) -> np.ndarray:
        edited = [edit.text for edit in self.edits]
        return self.source.query_edited(self.prompts, edited, editing, self.sampling, self._start)

    def text(self, texts: Sequence[str]) -> np.ndarray:
        return self.source.text(texts)

    def modified(self, modifier: str, strength: float) -> np.ndarray:
        return self._modifiers(modifier).apply(self, strength)

    def under(self, modifier: Any, strength: float | None, guidance: float | None) -> np.ndarray:
        """Latents under a modifier; of the plain prompts at `guidance` where there is none."""
        if modifier is None:
            return self.query(self.prompts, guidance)
        with self.source.phase("modify"):
            latents: np.ndarray = modifier.apply(self, strength)
        return latents

    def subset(self, rows: np.ndarray, samples: int) -> QueryContext:
        """The same for some of the prompts, with another number of samples."""
        return QueryContext(
            self.source,
            [self.prompts[i] for i in rows],
            [self.edits[i] for i in rows],
            replace(self.sampling, samples=samples),
            self._modifiers,
            None if self._start is None else self._start[rows],
        )
