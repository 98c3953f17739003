"""The corpus: sizes, seeds, captions, twins, and how near test tracks come to training tracks."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from bench.datasets.gmcaps import corpus
from bench.datasets.gmcaps.attributes import Attributes
from bench.datasets.gmcaps.corpus import (
    DOMAINS,
    caption_count,
    captions,
    compose_and_render,
    mix,
    score,
    track,
    tracks,
    tracks_satisfying,
    truth_frame,
    twin,
)
from bench.datasets.predicates import Predicate
from bench.errors import UserError


def test_sizes_are_those_of_the_protocol() -> None:
    assert {(d.name, s): n for d in DOMAINS.values() for s, n in d.sizes.items()} == {
        ("web", "train"): 6000, ("pc", "train"): 6000, ("pc", "validation"): 500, ("pc", "test"): 5500,
        ("sd", "test"): 706, ("mc", "test"): 5521, ("jam", "train"): 2000,
    }  # fmt: skip
    assert {d.name: d.seconds for d in DOMAINS.values()} == {"web": 16, "pc": 16, "sd": 32, "mc": 10, "jam": 16}


def test_seeds_of_the_whole_corpus_are_distinct() -> None:
    seeds = [corpus._seed(d.name, split, i) for d in DOMAINS.values() for split, n in d.sizes.items() for i in range(n)]
    assert len(set(seeds)) == len(seeds) == sum(sum(d.sizes.values()) for d in DOMAINS.values())


def test_a_track_is_a_function_of_its_number() -> None:
    made = track("gmcaps/pc", "test", 17)
    assert made == track("pc", "test", 17)
    assert (made.track_id, made.domain, made.split, made.index) == ("gmcaps-pc-test-00017", DOMAINS["pc"], "test", 17)
    # fixed by the format: a change here means that every published latent must be made anew
    assert made.seed == 7629791753251314746
    assert len(tracks("pc", "validation")) == 500
    assert hash(track("sd", "test", 0)) == hash(track("sd", "test", 0))


def test_caption_counts_are_song_describers() -> None:
    counts = [caption_count(t) for t in tracks("sd", "test")]
    assert [counts.count(n) for n in range(1, 6)] == [476, 127, 57, 25, 21]
    assert sum(counts) == 1106
    assert {caption_count(track(d, s, 0)) for d, s in (("pc", "test"), ("mc", "test"))} == {1}


def test_captions_are_repeatable_and_true() -> None:
    pytest.importorskip("bench.datasets.gmcaps.captions")
    for made in tracks("sd", "test")[:40]:
        own = captions(made)
        assert own == captions(made)
        assert len(own) == caption_count(made)
        truth = truth_frame([made])
        for caption in own:
            assert all(Predicate.parse(s).holds(truth).all() for s in caption.stated)
    several = next(t for t in tracks("sd", "test") if caption_count(t) == 5)
    assert len({c.text for c in captions(several)}) > 1
    assert captions(several, variant=1) != captions(several)
    assert captions(track("jam", "train", 0)) == []
    assert len(captions(track("jam", "train", 0), style="describer")) == 1


def test_audio_of_each_domain_has_its_length() -> None:
    pytest.importorskip("tinysoundfont")
    for domain in DOMAINS.values():
        sound = compose_and_render(track(domain, next(iter(domain.sizes)), 0))
        assert sound.shape == (round(domain.seconds * 16000),)
        assert np.isfinite(sound).all()


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("genre", "metal"), ("mood", "sad"), ("lead", "sitar"), ("bpm", 151), ("bass", None), ("drums", "brushes"),
     ("key", "F#"), ("accompaniment", ["harp", "piano"])],
)  # fmt: skip
def test_a_twin_differs_in_one_attribute(attribute: str, value: object) -> None:
    original = next(
        t for t in tracks("pc", "validation")
        if {"sitar", "harp", "piano"}.isdisjoint(t.attributes.instruments) and t.attributes.bass
        and t.attributes.genre != "metal" and t.attributes.mood != "sad" and t.attributes.drums == "acoustic"
        and t.attributes.key != "F#"
    )  # fmt: skip
    other = twin(original, attribute, value)
    before, after = original.attributes.row(), other.attributes.row()
    changed = [name for name in before if before[name] != after[name]]
    assert changed == [attribute]
    assert (other.seed, other.domain) == (original.seed, original.domain)
    assert other.track_id != original.track_id
    assert score(other) != score(original)


def test_inconsistent_twins_are_refused() -> None:
    made = next(t for t in tracks("pc", "validation") if t.attributes.accompaniment)
    first = made.attributes.accompaniment[0]
    for attribute, value, message in (
        ("lead", first, "is in the accompaniment"),
        ("accompaniment", [made.attributes.lead], "cannot accompany itself"),
        ("bpm", 300, "45 to 200"),
        ("genre", "jaz", "did you mean 'jazz'"),
        ("moood", "sad", "did you mean 'mood'"),
        ("genre", made.attributes.genre, "already"),
        ("lead", None, "unknown lead"),
    ):
        with pytest.raises(UserError, match=message):
            twin(made, attribute, value)


def test_tracks_that_satisfy_a_caption() -> None:
    stated = [{"attribute": "genre", "in": ["jazz"]}, {"attribute": "instrument", "in": ["trumpet"]}]
    made = tracks_satisfying(stated, "sd", 64, seed=0)
    truth = truth_frame(made)
    assert all(Predicate.parse(s).holds(truth).all() for s in stated)
    assert len({t.seed for t in made}) == 64
    assert len(set(truth["mood"])) > 3
    assert made == tracks_satisfying(stated, "sd", 64, seed=0)
    assert {t.seed for t in made}.isdisjoint(t.seed for t in tracks_satisfying(stated, "sd", 64, seed=1))
    assert made[0].domain is DOMAINS["sd"]
    if pytest.importorskip("bench.datasets.gmcaps.captions"):
        assert len(captions(made[0])) == 1


def test_mixes_vary_one_dial_at_a_time() -> None:
    a = track(mix(law="pc", rendering="pc", style="library"), "test", 3)
    b = track(mix(law="pc", rendering="mc", style="web"), "test", 3)
    assert a.attributes == b.attributes
    assert score(a) == score(b)
    assert track(mix(law="mc", rendering="pc", style=None), "test", 3).attributes != a.attributes
    with pytest.raises(UserError, match="unknown rendering"):
        mix(law="pc", rendering="cd", style=None)


def test_truth_frame_keeps_what_is_missing() -> None:
    made = tracks("pc", "validation")[:60]
    frame = truth_frame(made)
    assert list(frame.columns) == ["track_id", *(f.name for f in fields(Attributes))]
    assert isinstance(frame["accompaniment"].iloc[0], list)
    assert frame["bpm"].dtype == np.int64
    silent = [t.attributes.bass is None for t in made]
    assert any(silent)
    assert [b is None for b in frame["bass"]] == silent
    np.testing.assert_array_equal(Predicate("bass", in_=(None,)).holds(frame), silent)  # type: ignore[arg-type]
    assert truth_frame([]).shape == (0, 10)
    assert isinstance(frame, pd.DataFrame)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'web'"):
        track("gmcaps/wep", "train", 0)
    with pytest.raises(UserError, match="did you mean 'test'"):
        track("pc", "tests", 0)
    with pytest.raises(UserError, match="there is no index 706"):
        track("sd", "test", 706)


@pytest.mark.slow
def test_test_tracks_are_no_nearer_to_training_than_to_each_other() -> None:
    pytest.importorskip("tinysoundfont")

    def features(split: str, start: int) -> np.ndarray:
        rows = []
        for i in range(start, start + 60):
            sound = compose_and_render(track("pc", split, i))
            frames = sound[: len(sound) // 512 * 512].reshape(-1, 512) * np.hanning(512).astype(np.float32)
            power = np.log(np.abs(np.fft.rfft(frames, axis=1))[:, 1:].reshape(len(frames), 64, 4).mean(2) + 1e-4)
            rows.append(np.concatenate([power.mean(0), power.std(0), np.abs(np.diff(power, axis=0)).mean(0)]))
        return np.array(rows)

    train, test = features("train", 0), features("test", 0)
    mean, scale = train.mean(0), train.std(0)
    train, test = ((x - mean) / scale for x in (train, test))
    train /= np.linalg.norm(train, axis=1, keepdims=True)
    test /= np.linalg.norm(test, axis=1, keepdims=True)
    across = (test @ train.T).max(axis=1)
    within = (test @ test.T - 2 * np.eye(len(test))).max(axis=1)
    assert across.max() < 0.99
    assert abs(np.median(across) - np.median(within)) < 0.08
