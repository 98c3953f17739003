"""The caption grammar: truth of what is stated, register, variety, and the distance between the styles."""

from __future__ import annotations

import re
import time
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from bench.datasets.gmcaps.attributes import BASSES, DRUMS, GENRES, INSTRUMENTS, KEYS, MODES, MOODS, Attributes
from bench.datasets.gmcaps.captions import STYLES, CaptionText, skeleton_of, skeletons, surface_forms, write_caption
from bench.datasets.gmcaps.captions._grammar import Template
from bench.datasets.gmcaps.captions._lexicon import adverb, gerund, past, plural
from bench.datasets.gmcaps.captions._statistics import (
    NEGATION,
    REAL_STATISTICS,
    CaptionStatistics,
    caption_statistics,
)
from bench.datasets.predicates import Predicate
from bench.errors import UserError

SIZES = {"web": 6000, "library": 6000, "describer": 6000, "musiccaps": 5521}


def random_attributes(rng: np.random.Generator) -> Attributes:
    """Uniform over the vocabulary, independent of any attribute law."""
    order = [str(name) for name in rng.permutation(list(INSTRUMENTS))]
    return Attributes(
        genre=str(rng.choice(GENRES)),
        mood=str(rng.choice(MOODS)),
        lead=order[0],
        accompaniment=tuple(order[1 : 1 + rng.integers(0, 4)]),
        bass=(None, *BASSES)[rng.integers(len(BASSES) + 1)],
        drums=str(rng.choice(DRUMS)),
        key=str(rng.choice(KEYS)),
        mode=str(rng.choice(MODES)),
        bpm=int(rng.integers(45, 201)),
    )


@cache
def corpus(style: str) -> tuple[tuple[Attributes, ...], tuple[CaptionText, ...]]:
    rng = np.random.default_rng(20240)
    tracks = tuple(random_attributes(rng) for _ in range(SIZES[style]))
    return tracks, tuple(write_caption(track, style, np.random.default_rng([7, i])) for i, track in enumerate(tracks))


@cache
def statistics(style: str, n: int) -> CaptionStatistics:
    return caption_statistics(caption.text for caption in corpus(style)[1][:n])


@pytest.mark.parametrize("style", STYLES)
def test_all_that_is_stated_is_true(style: str) -> None:
    tracks, captions = corpus(style)
    truth = pd.DataFrame([track.row() for track in tracks[:1000]])
    for i, caption in enumerate(captions[:1000]):
        row = truth.iloc[[i]]
        for stated in caption.stated:
            assert Predicate.parse(stated).holds(row)[0], (caption.text, stated, tracks[i])


@pytest.mark.parametrize("style", STYLES)
def test_genre_mood_or_lead_is_always_stated(style: str) -> None:
    for caption in corpus(style)[1]:
        assert {p["attribute"] for p in caption.stated if "in" in p} & {"genre", "mood", "lead"}, caption.text


@pytest.mark.parametrize("style", STYLES)
def test_stated_values_are_worded_in_the_text(style: str) -> None:
    forms = surface_forms(style)
    for caption in corpus(style)[1][:1500]:
        for predicate in caption.stated:
            if (
                predicate["attribute"] in ("genre", "mood", "tempo", "mode", "bass")
                and len(predicate.get("in", ())) == 1
            ):
                if predicate["attribute"] == "mode" and re.search(
                    r"\b[A-G](#|b| sharp| flat)? (major|minor)", caption.text, re.I
                ):
                    continue
                wordings = forms[predicate["attribute"]][predicate["in"][0]]
                assert any(form.lower() in caption.text.lower() for form in wordings), (caption.text, predicate)


@pytest.mark.parametrize("style", STYLES)
def test_a_negation_in_the_text_is_a_negation_in_the_truth(style: str) -> None:
    for caption in corpus(style)[1]:
        negated = any("not_in" in p or p.get("in") == ["none"] for p in caption.stated)
        assert bool(NEGATION.search(caption.text)) == negated, caption.text


def test_a_denied_word_covers_all_that_a_listener_would_call_so() -> None:
    tracks, captions = corpus("musiccaps")
    denied = [
        (track, set(predicate["not_in"]))
        for track, caption in zip(tracks, captions, strict=True)
        for predicate in caption.stated
        if predicate["attribute"] == "instrument" and "not_in" in predicate
    ]
    assert len(denied) > 100
    for track, absent in denied:
        assert absent.isdisjoint(track.instruments)
        assert "piano" not in absent or "electric piano" in absent
        assert "electric guitar" not in absent or "distorted guitar" in absent


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_same_caption(style: str) -> None:
    track = random_attributes(np.random.default_rng(1))
    first, again, other = (write_caption(track, style, np.random.default_rng(s)) for s in (5, 5, 6))
    assert first == again
    assert first.text != other.text


def test_unknown_style_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"haiku.*web, library, describer, musiccaps"):
        write_caption(random_attributes(np.random.default_rng(0)), "haiku", np.random.default_rng(0))


@pytest.mark.parametrize("style", ["describer", "musiccaps"])
def test_register_is_that_of_the_real_captions(style: str) -> None:
    real = REAL_STATISTICS[style]
    made = statistics(style, real.n)
    assert made.median_words == pytest.approx(real.median_words, rel=0.25)
    assert made.vocabulary == pytest.approx(real.vocabulary, rel=0.25)
    # Rare events are counted over all captions: 0.5 % of 1106 are five.
    made = statistics(style, SIZES[style])
    assert made.negation == pytest.approx(real.negation, rel=0.25)
    assert made.key == 0
    assert made.bpm == pytest.approx(real.bpm, rel=0.25)


@pytest.mark.parametrize(("style", "words", "key"), [("web", (12, 16), 5.0), ("library", (25, 30), 10.0)])
def test_register_of_the_professional_styles(style: str, words: tuple[int, int], key: float) -> None:
    made = statistics(style, SIZES[style])
    assert words[0] <= made.median_words <= words[1]
    assert 5.0 <= made.negation <= 10.0
    assert made.key == pytest.approx(key, rel=0.25)
    assert made.bpm == pytest.approx(8.0, rel=0.25)
    assert made.vocabulary >= 2000


@pytest.mark.parametrize("style", STYLES)
def test_captions_are_distinct_and_varied(style: str) -> None:
    assert statistics(style, SIZES[style]).distinct >= 99.0
    occurring = {skeleton for caption in corpus(style)[1] for skeleton in caption.skeleton.split(" || ")}
    assert occurring <= set(skeletons(style))
    assert len(occurring) >= 40


@pytest.mark.parametrize(
    ("style", "low", "high"), [("web", 3, 5), ("library", 4, 6), ("describer", 2, 4), ("musiccaps", 5, 8)]
)
def test_a_caption_states_some_of_the_attributes(style: str, low: int, high: int) -> None:
    counts = [len({p["attribute"] for p in caption.stated}) for caption in corpus(style)[1]]
    assert np.mean([low <= count <= high for count in counts]) > 0.8


@pytest.mark.parametrize("style", STYLES)
def test_a_form_never_stands_for_two_values(style: str) -> None:
    for attribute, table in surface_forms(style).items():
        forms = [form.lower() for wordings in table.values() for form in wordings]
        assert len(forms) == len(set(forms)), attribute
        assert all(len(wordings) >= 3 for wordings in table.values()), attribute


def test_styles_share_about_a_third_of_their_forms() -> None:
    sets = {
        style: {(a, v, f.lower()) for a, table in surface_forms(style).items() for v, fs in table.items() for f in fs}
        for style in STYLES
    }
    for one, other in combinations(STYLES, 2):
        shared = len(sets[one] & sets[other]) / min(len(sets[one]), len(sets[other]))
        assert 0.2 <= shared <= 0.5, (one, other, shared)


@pytest.mark.parametrize("style", STYLES)
def test_articles_agree(style: str) -> None:
    for caption in corpus(style)[1]:
        assert not re.search(r"\b[Aa] [aeio](?!ne\b|urop)", caption.text), caption.text
        assert not re.search(r"\b[Aa]n [^aeiouhAEIOUH\W]", caption.text), caption.text
        assert "  " not in caption.text
        assert "{" not in caption.text


def test_writing_is_fast() -> None:
    tracks = corpus("musiccaps")[0][:1000]
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for track in tracks:
        write_caption(track, "musiccaps", rng)
    assert len(tracks) / (time.perf_counter() - start) > 3000


def test_skeleton_masks_attributes_and_open_words() -> None:
    assert skeleton_of("a {mood} {piece} with {lead}") == "a * _ with *"


def test_a_template_may_not_state_a_thing_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        Template.parse("{lead} and {ins}")


def test_inflection() -> None:
    assert [plural(w) for w in ("city", "fox", "child", "postman", "day", "thief")] == [
        "cities", "foxes", "children", "postmen", "days", "thieves",
    ]  # fmt: skip
    assert [gerund(w) for w in ("weave", "hum", "linger", "flow", "propel")] == [
        "weaving", "humming", "lingering", "flowing", "propelling",
    ]  # fmt: skip
    assert [past(w) for w in ("carry", "guide", "trace", "tempt", "nudge")] == [
        "carried", "guided", "traced", "tempted", "nudged",
    ]  # fmt: skip
    assert [adverb(w) for w in ("poetic", "simple", "dull", "elegant")] == [
        "poetically",
        "simply",
        "dully",
        "elegantly",
    ]


def test_statistics_by_hand() -> None:
    made = caption_statistics(["No drums, in A minor.", "a slow tune", "a slow tune", "it isn't fast: 90 bpm"])
    assert made == CaptionStatistics(4, 4.0, 12, 50.0, 25.0, 25.0, 75.0)
    with pytest.raises(ValueError, match="no captions"):
        caption_statistics([])
