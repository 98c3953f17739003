"""The key of cached query vectors: whatever decides them changes it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.protocols import Editing, QuerySet, Sampling
from bench.queries import Origin, QuerySource
from bench.store import content_key

SAMPLING = Sampling("ddim-2", 3.0, 2, 0)
EDITING = Editing("inversion", 0.4)
ORIGIN = Origin("gdr", "mini-clap")
START = np.zeros((2, 1, 2), np.float32)


class Toy:
    """Answers everything with zeros."""

    name, version, deterministic = "gdr", 1, False

    def digest(self):
        return "weights"

    def query(self, prompts, sampling):
        return np.zeros((len(prompts), sampling.samples, 2), np.float32)

    def query_negative(self, prompts, negatives, w, sampling):
        return self.query(prompts, sampling)

    def query_edited(self, prompts, edited, editing, sampling, start=None):
        return self.query(prompts, sampling)


class ToySpace:
    name, dim = "mini-clap", 2

    def encoder_digest(self):
        return "encoder"

    def text(self, texts):
        class Encoded:
            pooled = np.zeros((len(texts), 2), np.float32)

        return Encoded


class Keys:
    """A cache that keeps nothing but the key that it was asked for."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def array(self, described: dict[str, Any], compute: Callable[[], np.ndarray], waiting: Any = None) -> np.ndarray:
        self.seen.append(content_key(described))
        return compute()


ASKED: dict[str, Callable[[QuerySource], Any]] = {
    "query": lambda s: s.query(["a", "b"], SAMPLING),
    "negative": lambda s: s.query_negative(["a", "b"], ["c", "c"], 1.0, SAMPLING),
    "edited": lambda s: s.query_edited(["a", "b"], ["c", "d"], EDITING, SAMPLING),
    "text": lambda s: s.text(["a", "b"]),
}


def key_of(ask: Callable[[QuerySource], Any], origin: Origin | None = ORIGIN, retriever: type = Toy) -> str:
    keys = Keys()
    ask(QuerySource(retriever(), ToySpace(), keys, origin=origin))
    (key,) = keys.seen
    return key


@pytest.mark.parametrize("kind", sorted(ASKED))
def test_names_of_built_ins_add_nothing(kind):
    """So that what a cache held before names were in the key is still found."""
    assert key_of(ASKED[kind]) == key_of(ASKED[kind], origin=None)


def test_kinds_of_queries_have_keys_of_their_own():
    assert len({key_of(ask) for ask in ASKED.values()}) == len(ASKED)


ASKED_OTHERWISE: dict[str, tuple[str, Callable[[QuerySource], Any]]] = {
    "prompts": ("query", lambda s: s.query(["a", "c"], SAMPLING)),
    "order": ("query", lambda s: s.query(["b", "a"], SAMPLING)),
    **{
        f"{field} of {kind}": (kind, lambda s, ask=ask, sampling=sampling: ask(s, sampling))
        for field, sampling in {
            "sampler": replace(SAMPLING, sampler="ddim-3"),
            "samples": replace(SAMPLING, samples=3),
            "seed": replace(SAMPLING, seed=1),
        }.items()
        for kind, ask in {
            "query": lambda s, sampling: s.query(["a", "b"], sampling),
            "negative": lambda s, sampling: s.query_negative(["a", "b"], ["c", "c"], 1.0, sampling),
            "edited": lambda s, sampling: s.query_edited(["a", "b"], ["c", "d"], EDITING, sampling),
        }.items()
    },
    "guidance": ("query", lambda s: s.query(["a", "b"], replace(SAMPLING, guidance=2.0))),
    "negatives": ("negative", lambda s: s.query_negative(["a", "b"], ["c", "d"], 1.0, SAMPLING)),
    "strength": ("negative", lambda s: s.query_negative(["a", "b"], ["c", "c"], 2.0, SAMPLING)),
    "edited prompts": ("edited", lambda s: s.query_edited(["a", "b"], ["c", "c"], EDITING, SAMPLING)),
    "depth": ("edited", lambda s: s.query_edited(["a", "b"], ["c", "d"], replace(EDITING, depth=0.5), SAMPLING)),
    "method": ("edited", lambda s: s.query_edited(["a", "b"], ["c", "d"], replace(EDITING, method="sdedit"), SAMPLING)),
    "start": ("edited", lambda s: s.query_edited(["a", "b"], ["c", "d"], EDITING, SAMPLING, START)),
    "texts": ("text", lambda s: s.text(["a", "c"])),
}


@pytest.mark.parametrize("what", sorted(ASKED_OTHERWISE))
def test_what_is_asked_changes_the_key(what):
    kind, ask = ASKED_OTHERWISE[what]
    assert key_of(ask) != key_of(ASKED[kind])


@pytest.mark.parametrize("kind", ["query", "negative", "edited"])
def test_a_retriever_that_changes(kind, monkeypatch):
    """Its version, its digest, its plugin; and another part whose class has the same name."""
    before, ask = key_of(ASKED[kind]), ASKED[kind]
    seen = {
        before,
        key_of(ask, retriever=type("Later", (Toy,), {"version": 2})),
        key_of(ask, retriever=type("Other", (Toy,), {"digest": lambda self: "other"})),
        key_of(ask, origin=ORIGIN._replace(retriever="of-a-subclass")),
    }
    for release in ("plugin==1", "plugin==2"):
        monkeypatch.setattr(registry.retrievers, "distribution", lambda name, release=release: release)
        seen.add(key_of(ask))
    assert len(seen) == 6


@pytest.mark.parametrize("kind", sorted(ASKED))
def test_an_encoder_that_changes(kind, monkeypatch):
    ask = ASKED[kind]
    seen = {key_of(ask), key_of(ask, origin=ORIGIN._replace(encoder="mini-muscall"))}
    for release in ("plugin==1", "plugin==2"):
        monkeypatch.setattr(registry.encoders, "distribution", lambda name, release=release: release)
        seen.add(key_of(ask))
    monkeypatch.setattr(ToySpace, "encoder_digest", lambda self: "other")
    seen.add(key_of(ask))
    assert len(seen) == 5


def test_a_deterministic_retriever_is_not_asked_again_for_another_seed():
    fixed = type("Fixed", (Toy,), {"deterministic": True})
    again = key_of(lambda s: s.query(["a", "b"], replace(SAMPLING, seed=1)), retriever=fixed)
    assert again == key_of(ASKED["query"], retriever=fixed)


def test_what_is_built_on_another_asks_it_under_the_key_of_its_own():
    class OnToy(Toy):
        name, base, base_name = "aligned", Toy(), "noisy"

        def query_set(self, asked, sampling, ask):
            return ask(asked.prompts, sampling)

    asked = QuerySet(["a", "b"], ["t", "u"], None)
    through = key_of(lambda s: s.query_set(asked, SAMPLING), Origin("aligned", "mini-clap"), OnToy)
    assert through == key_of(ASKED["query"], Origin("noisy", "mini-clap"))
    assert through != key_of(ASKED["query"])
