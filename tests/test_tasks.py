"""The two experiments on a corpus of six tracks: oracle, labels, pairs, and what modifiers are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.datasets.predicates import Predicate
from bench.gallery import Gallery
from bench.metrics.control import kept_at_k, oracle_kept_at_k
from bench.metrics.measured import Lazy
from bench.pairs import Negative, PairSet
from bench.plan import Plan
from bench.protocols import Dataset, Sampling
from bench.queries import QuerySource
from bench.store import Cache
from bench.suite import load_suite
from bench.tasks import (
    NegationTask,
    Reference,
    RetrievalTask,
    SpreadSettings,
    TruthMasks,
    gallery_of,
    oracle_mid_ranks,
)

GENRES = ["rock", "rock", "jazz", "jazz", "folk", "rock"] * 4
MOODS = ["sad", "happy", "sad", "sad", "happy", "sad"] * 4
BPMS = [90, 100, 110, 120, 130, 140] * 4
TRACKS = tuple(f"t{i}" for i in range(24))
TRUTH = pd.DataFrame({"track_id": TRACKS, "genre": GENRES, "mood": MOODS, "bpm": BPMS})
ROCK, SAD = {"attribute": "genre", "in": ["rock"]}, {"attribute": "mood", "in": ["sad"]}
FAST = {"attribute": "bpm", "min": 115}
STATED = [[ROCK], [SAD], [ROCK, SAD], []] * 6
DIM = 16


@pytest.fixture
def dataset():
    captions = pd.DataFrame(
        {
            "caption_id": [f"c{i}" for i in range(24)],
            "track_id": list(reversed(TRACKS)),
            "text": [f"caption {i}" for i in range(24)],
            "stated": STATED,
        }
    )
    return Dataset("toy", TRACKS, captions, TRUTH, "fingerprint")


@pytest.fixture
def gallery():
    return Gallery(TRACKS, np.random.default_rng(0).normal(size=(24, DIM)).astype(np.float32))


class Toy:
    """A retriever whose latents are drawn from the text, the seed and the guidance."""

    name, version, deterministic = "toy", 1, False

    def digest(self):
        return "toy"

    def query(self, prompts, sampling):
        out = []
        for text in prompts:
            rng = np.random.default_rng([*text.encode(), sampling.seed, int(100 * sampling.guidance)])
            out.append(rng.normal(size=(sampling.samples, DIM)))
        return np.array(out, dtype=np.float32)


class ToySpace:
    name, dim = "toy", DIM

    def encoder_digest(self):
        return "encoder"

    def text(self, texts):
        pooled = np.array([np.random.default_rng([*t.encode()]).normal(size=DIM) for t in texts], dtype=np.float32)
        from bench.protocols import TextLatents

        return TextLatents(pooled[:, None], np.ones((len(texts), 1), dtype=bool), pooled)


def references(jam):
    return Lazy({"jam": lambda: Reference(lambda: jam)})


@pytest.fixture
def source(tmp_path):
    return QuerySource(Toy(), ToySpace(), Cache(tmp_path / "cache"))


# --- the oracle -------------------------------------------------------------------------------------------------------


def test_oracle_ranks_by_hand():
    masks = TruthMasks(TRUTH.iloc[:6])
    # rock: tracks 0, 1, 5 tie at the top (ranks 1..3, mid 2); the others tie below (4..6, mid 5).
    ranks = oracle_mid_ranks([[ROCK]] * 3, np.array([0, 5, 2]), masks)
    np.testing.assert_array_equal(ranks, [2, 2, 5])
    # rock and sad: 0 and 5 have both (mid 1.5); 1, 2, 3 one of them (mid 4); 4 none.
    ranks = oracle_mid_ranks([[ROCK, SAD]] * 6, np.arange(6), masks)
    np.testing.assert_array_equal(ranks, [1.5, 4, 4, 4, 6, 1.5])


def test_a_caption_that_states_nothing_leaves_the_oracle_at_chance():
    ranks = oracle_mid_ranks([[]] * 6, np.arange(6), TruthMasks(TRUTH.iloc[:6]))
    np.testing.assert_array_equal(ranks, np.full(6, 3.5))


def test_oracle_ranks_of_a_whole_corpus_average_to_the_middle():
    ranks = oracle_mid_ranks([[ROCK, FAST]] * 24, np.arange(24), TruthMasks(TRUTH))
    assert ranks.mean() == pytest.approx(12.5)


def test_a_predicate_is_evaluated_once(monkeypatch):
    calls = []
    holds = Predicate.holds
    monkeypatch.setattr(Predicate, "holds", lambda self, truth: calls.append(1) or holds(self, truth))
    masks = TruthMasks(TRUTH)
    first, second = masks(ROCK), masks(dict(ROCK))
    assert len(calls) == 1
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, TRUTH["genre"] == "rock")


# --- retrieval --------------------------------------------------------------------------------------------------------


def test_every_caption_asks_for_its_own_track(dataset, gallery, source):
    task = RetrievalTask(dataset, gallery, source, Sampling(samples=2), queries=1000)
    assert list(task.labels["relevant_id"]) == list(dataset.captions["track_id"])
    assert [TRACKS[i] for i in task.relevant] == list(task.labels["relevant_id"])
    measured = task.measure(None, None, None)
    assert measured.latents.shape == (24, 2, DIM)
    scores = measured.vectors @ gallery.unit.T
    own = scores[np.arange(24), task.relevant][:, None]
    np.testing.assert_array_equal(measured.ranks, 1 + (scores > own).sum(1))
    np.testing.assert_array_equal(measured.top, np.argsort(-scores, axis=1, kind="stable")[:, :10])


def test_fewer_queries_are_a_fixed_part_of_the_captions(dataset, gallery, source):
    few = [RetrievalTask(dataset, gallery, source, Sampling(seed=seed), queries=7).labels for seed in (0, 1)]
    pd.testing.assert_frame_equal(*few)
    assert len(few[0]) == 7
    assert set(few[0]["query_id"]) <= set(dataset.captions["caption_id"])


# --- negation ---------------------------------------------------------------------------------------------------------


def negative(name, *where):
    return Negative(name, "genre", "word", f"no {name}", f"other {name}", tuple(Predicate.parse(w) for w in where))


NEGATIVES = [negative("rock", ROCK), negative("fast", FAST)]


@pytest.fixture
def task(dataset, gallery, source):
    pairs = PairSet(np.array([1, 3, 0, 2]), np.array([0, 0, 1, 1]), np.array([False, True, True, False]))
    jam = np.random.default_rng(1).normal(size=(40, DIM))
    return NegationTask(
        dataset,
        gallery,
        source,
        NEGATIVES,
        pairs,
        Sampling(samples=3),
        SpreadSettings(4, 2),
        references(jam),
        lambda name: None,
    )


def test_the_rows_of_a_negation_task_line_up(task, dataset):
    labels = task.labels
    assert list(labels["query_id"]) == ["c1|rock", "c3|rock", "c0|fast", "c2|fast"]
    assert list(labels["negative_id"]) == ["rock", "rock", "fast", "fast"]
    assert list(labels["cluster_id"]) == list(labels["relevant_id"]) == [TRACKS[23 - i] for i in (1, 3, 0, 2)]
    assert task.context.prompts == ["caption 1", "caption 3", "caption 0", "caption 2"]
    assert [edit.text for edit in task.context.edits] == ["no rock", "no rock", "no fast", "no fast"]
    assert [edit.irrelevant for edit in task.context.edits][2] == "other fast"
    np.testing.assert_array_equal(task.negated[1], TRUTH["genre"] == "rock")
    np.testing.assert_array_equal(task.negated[2], TRUTH["bpm"] >= 115)


def test_kept_is_relative_to_what_the_oracle_keeps(task):
    measured = task.measure(None, None, None, False)
    # Rows state: sad; nothing; rock (not the negated attribute's family); rock and sad.
    masks = TruthMasks(TRUTH)
    stated = [[masks(SAD)], [], [masks(ROCK)], [masks(ROCK), masks(SAD)]]
    expected = kept_at_k(measured.top, stated) / oracle_kept_at_k(stated, task.negated, 10)
    np.testing.assert_allclose(measured.kept, expected)
    assert np.isnan(measured.kept[1])
    # By hand: 12 of 24 are rock; 4 rock tracks are fast, so 8 are left for 10 places.
    assert oracle_kept_at_k(stated, task.negated, 10)[2] == pytest.approx(0.8)


def test_a_statement_about_the_negated_attribute_is_not_kept(dataset, gallery, source):
    pairs = PairSet(np.array([0, 2]), np.array([0, 0]), np.array([True, True]))  # rock; rock and sad; no rock
    jam = np.ones((4, DIM))
    task = NegationTask(
        dataset, gallery, source, NEGATIVES, pairs, Sampling(), SpreadSettings(), references(jam), lambda name: None
    )  # fmt: skip
    kept = task.measure(None, None, None, False).kept
    assert np.isnan(kept[0])
    assert np.isfinite(kept[1])


def test_what_a_modified_query_is_held_against(task):
    class Stronger:
        def guidance_before(self, strength, default):
            return 1 + strength

        def apply(self, context, strength):
            return context.query(context.prompts, 9.0)

    measured = task.measure(Stronger(), 4.0, None, with_spread=True)
    plain = task.measure(None, None, 5.0, with_spread=False)
    np.testing.assert_array_equal(measured.before_top, plain.top)
    np.testing.assert_array_equal(measured.top, task.measure(None, None, 9.0, False).top)
    assert measured.spread.samples.shape == (2, 4, DIM)
    np.testing.assert_array_equal(measured.spread.rows, [0, 3])
    # More samples of the same queries.
    np.testing.assert_array_equal(measured.spread.samples[0, :3], measured.latents[0])
    assert plain.spread is None


def test_an_unmodified_query_removes_nothing(task):
    measured = task.measure(None, None, None, False)
    np.testing.assert_array_equal(measured.before_top, measured.top)


def test_targets_of_the_similarities(task, gallery):
    targets = task.targets
    assert set(targets) == {"ZA+", "gen+", "ZT+", "gen-", "ZT-", "ZA-"}
    assert all(target.shape == (4, DIM) for target in targets.values())
    np.testing.assert_array_equal(targets["ZA+"], gallery.raw[task.relevant])
    np.testing.assert_array_equal(targets["gen-"][0], targets["gen-"][1])  # the same negative
    np.testing.assert_allclose(targets["ZA-"][0], gallery.unit[TRUTH["genre"] == "rock"].mean(0), atol=1e-6)


def test_pairs_are_chosen_with_other_noise_than_they_are_measured_with(dataset, gallery, source):
    asked = []
    query = source.retriever.query
    source.retriever.query = lambda prompts, sampling: asked.append(sampling.seed) or query(prompts, sampling)
    chosen = NegationTask.choose(
        dataset, gallery, source, NEGATIVES, Sampling(seed=1000), candidates=24, per_negative=4
    )  # fmt: skip
    assert asked == [1000]
    assert len(chosen.caption) == len(chosen.negative) == len(chosen.has) > 0
    own = np.array([23 - row for row in chosen.caption])
    has = [(TRUTH["genre"] == "rock").to_numpy(), (TRUTH["bpm"] >= 115).to_numpy()]
    np.testing.assert_array_equal(chosen.has, [has[n][t] for n, t in zip(chosen.negative, own, strict=True)])


def test_a_gallery_must_have_a_latent_for_every_track(dataset):
    class Short:
        gallery = "toy"

    class Space:
        name = "short"

        def pooled(self, split):
            return np.ones((23, DIM), dtype=np.float32)

    with pytest.raises(ValueError, match="24 tracks in toy, but 23 latents in short"):
        gallery_of(dataset, Short(), Space())


# --- replicates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "same"), [("retrieval", True), ("negative-prompting", False)])
def test_replicates_of_a_retrieval_suite_ask_the_queries_of_their_rivals(name, same):
    plan = Plan(load_suite(name, preset="full"))
    assert (plan.settings("gdr-clap-s1") == plan.settings("gdr-clap")) is same
