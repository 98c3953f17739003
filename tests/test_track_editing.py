"""Edits of real tracks: whose twin is looked for among what, what modifiers are given, and the bundle's own edits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench import registry
from bench.datasets.predicates import Predicate
from bench.errors import NotApplicable, UserError
from bench.gallery import Gallery
from bench.metrics.measured import Lazy
from bench.prompts import EditPhrasing, load_prompts
from bench.protocols import Dataset, Editing, Sampling
from bench.queries import QuerySource
from bench.store import Cache
from bench.tasks import RealEdits, TrackEditTask
from bench.tasks.track_editing import real_edits, twin_truth

DIM, FRAMES, TRACKS = 8, 4, tuple(f"t{i}" for i in range(12))
HAS = [["piano"], ["flute"], ["piano", "harp"], []] * 3
TRUTH = pd.DataFrame(
    {
        "track_id": TRACKS, "genre": ["rock", "jazz"] * 6, "mood": ["sad"] * 12, "lead": ["violin"] * 12,
        "accompaniment": [np.array(a, dtype=object) for a in HAS], "drums": ["none"] * 12, "key": ["C"] * 12,
        "mode": ["major"] * 12, "bpm": [100] * 12,
    }
)  # fmt: skip
EDITS = pd.DataFrame(
    [
        ("t0", "flute", "t0~accompaniment=piano+flute", 0, 0),
        ("t3", "flute", "t3~accompaniment=flute", 1, 1),
        ("t0", "harp", "t0~accompaniment=piano+harp", 2, 0),
        ("t4", "harp", "t4~accompaniment=piano+harp", 3, 2),
    ],
    columns=["track_id", "instrument", "twin_id", "row", "original"],
)
PHRASINGS = (
    EditPhrasing(id="with", text="with {instrument}"),
    EditPhrasing(id="both", text="{caption} with {instrument}"),
)


class Toy:
    """A retriever whose latents are drawn from text and seed; edits add a constant, and are counted."""

    name, version, deterministic = "toy", 1, False

    def __init__(self):
        self.asked = []

    def digest(self):
        return "toy"

    def query(self, prompts, sampling):
        drawn = [np.random.default_rng([sampling.seed, *text.encode()]).normal(size=DIM) for text in prompts]
        return np.repeat(np.array(drawn, dtype=np.float32)[:, None], sampling.samples, axis=1)

    def query_edited(self, prompts, edited, editing, sampling, start=None):
        self.asked.append((editing, sampling.samples, tuple(prompts), tuple(edited)))
        return np.repeat(start.mean(1)[:, None] + editing.depth, sampling.samples, axis=1).astype(np.float32)


class Space:
    """A space of which only the names are asked."""

    name, dim, has_text = "toy", DIM, False

    def digest(self):
        return "space"

    encoder_digest = digest


@pytest.fixture
def dataset():
    captions = pd.DataFrame(
        {
            "caption_id": [f"c{i}" for i in range(13)],
            "track_id": [*TRACKS, "t0"],
            "text": [f"Caption {i}." for i in range(13)],
            "stated": [[]] * 13,
        }
    )
    return Dataset("toy", TRACKS, captions, TRUTH, "fingerprint")


@pytest.fixture
def make(dataset, tmp_path):
    """(queries) -> the task, and the retriever behind it."""

    def build(queries=4, samples=2):
        rng = np.random.default_rng(3)
        raw = rng.normal(size=(12, DIM)).astype(np.float32)
        edits = RealEdits(EDITS, rng.normal(size=(4, DIM)), rng.normal(size=(3, FRAMES, DIM)))
        toy = Toy()
        source = QuerySource(toy, Space(), Cache(tmp_path / "cache"))
        task = TrackEditTask(
            dataset, Gallery(TRACKS, raw), source, edits, PHRASINGS, Sampling(samples=samples), queries, Lazy(),
            lambda name: registry.modifiers.get(name)(),
        )  # fmt: skip
        return task, toy

    return build


def modifier(name, **options):
    return registry.modifiers.get(name)(**options)


# --- which edits, and what they say -----------------------------------------------------------------------------------


def test_few_edits_take_the_instruments_in_turn(make):
    task, _ = make(queries=2)
    assert list(task.labels["query_id"]) == ["t0|flute", "t0|harp"]
    assert [edit.text for edit in task.context.edits] == ["with flute", "with harp"]


def test_a_phrasing_may_repeat_the_tracks_first_caption(make):
    task, _ = make()
    labels = task.labels.set_index("query_id")
    assert labels.loc["t4|harp", "phrasing"] == "both"
    assert task.context.edits[list(labels.index).index("t4|harp")].text == "Caption 4 with harp"
    assert list(labels["cluster_id"]) == [name.split("|")[0] for name in labels.index]
    assert list(labels["negative_id"]) == [name.split("|")[1] for name in labels.index]


@pytest.mark.parametrize("text", ["no place for it", "{instrument} in {key}", "{instrument", "{} and {instrument}"])
def test_a_template_names_the_instrument_and_nothing_unknown(text, tmp_path):
    file = tmp_path / "prompts.yaml"
    file.write_text(f"schema_version: 1\ntrack_edits:\n  - {{id: a, text: '{text}'}}\n")
    with pytest.raises(UserError, match=r"prompts.yaml:3.*\{instrument\}"):
        load_prompts(file)


def test_a_phrasing_is_listed_once_and_kinds_do_not_mix(tmp_path):
    file = tmp_path / "prompts.yaml"
    one = "  - {id: a, text: 'with {instrument}'}\n"
    file.write_text(f"schema_version: 1\ntrack_edits:\n{one}{one}")
    with pytest.raises(UserError, match="'a' is used twice"):
        load_prompts(file)
    file.write_text("schema_version: 1\n")
    with pytest.raises(UserError, match="track_edits"):
        load_prompts(file)


# --- the ranking ------------------------------------------------------------------------------------------------------


def test_the_tracks_themselves_are_the_unmodified_queries(make):
    task, toy = make(samples=3)
    measured = task.measure(None, None, None, True)
    frames = task.context._start
    np.testing.assert_allclose(measured.latents, np.repeat(frames.mean(1)[:, None], 3, axis=1), rtol=1e-6)
    np.testing.assert_allclose(task.targets["gen+"], frames.mean(1), rtol=1e-6)
    assert toy.asked == []


def test_ranks_and_lists_leave_the_querys_own_track_out(make):
    task, _ = make()
    measured = task.measure(None, None, None, False)
    assert measured.n_gallery == 15
    scores = measured.vectors.astype(float) @ task.gallery.unit.astype(float).T
    for row, (own, twin) in enumerate(zip(task.original, task.relevant, strict=True)):
        others = np.delete(np.arange(16), own)
        order = others[np.argsort(-scores[row, others], kind="stable")]
        assert measured.ranks[row] == 1 + list(order).index(twin)
        np.testing.assert_array_equal(measured.top[row], order[:10])


def test_a_twin_that_equals_its_track_is_not_held_back_by_it(make):
    task, _ = make()
    task.gallery.raw[task.relevant] = task.gallery.raw[task.original]  # two ties a query: the track, and sibling twins
    vectors = task.gallery.unit[task.original]
    ranks = task._ranks(vectors)
    siblings = [(task.original == own).sum() - 1 for own in task.original]
    np.testing.assert_allclose(ranks, 1 + np.array(siblings) / 2)


def test_what_is_wanted_is_read_from_tracks_and_twins(make):
    task, _ = make()
    twins = [["piano", "flute"], ["flute"], ["piano", "harp"], ["piano", "harp"]]
    expected = [{i for i, has in enumerate([*HAS, *twins]) if name in has} for name in task.edits["instrument"]]
    assert [set(np.flatnonzero(row)) for row in task.wanted] == expected
    measured = task.measure(None, None, None, False)
    assert np.nanmin(measured.kept) >= 0


def test_a_dataset_without_a_track_of_the_edits_is_refused(make):
    with pytest.raises(UserError, match="no twin of one of the dataset's tracks"):
        twin_truth(TRUTH.iloc[:3], EDITS)
    with pytest.raises(UserError, match="no twin"):
        twin_truth(TRUTH, EDITS.assign(twin_id=EDITS["track_id"] + "~genre=jazz"))


# --- modifiers --------------------------------------------------------------------------------------------------------


def test_an_inversion_is_computed_once_for_all_samples(make):
    task, toy = make(samples=3)
    measured = task.measure(modifier("ddim-inversion", guidance_inversion=0, guidance_edit=1), 0.5, None, True)
    ((editing, samples, prompts, edited),) = toy.asked
    assert samples == 1
    assert editing == Editing("inversion", 0.5, guidance_inversion=0, guidance=1)
    assert edited == tuple(edit.text for edit in task.context.edits)
    assert prompts[0] == "Caption 0."
    assert measured.latents.shape == (4, 3, DIM)
    assert (measured.latents == measured.latents[:, :1]).all()


def test_sdedit_draws_every_sample(make):
    task, toy = make(samples=3)
    task.measure(modifier("sdedit"), 0.5, None, True)
    assert toy.asked[0][1] == 3


def test_text_alone_and_slerp_use_what_the_edit_generates(make):
    task, _ = make()
    alone = task.measure(modifier("regeneration", noise="new"), None, None, True)
    np.testing.assert_array_equal(alone.latents, task.context.query([edit.text for edit in task.context.edits]))
    turned = task.measure(modifier("slerp", toward="edit"), 1.0, None, True)
    np.testing.assert_allclose(turned.vectors, alone.vectors, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "strength"), [("regeneration", {"noise": "same"}, None), ("negative-prompting", {}, 1.0)]
)
def test_what_needs_a_generated_query_does_not_apply(make, name, options, strength):
    task, _ = make()
    with pytest.raises(NotApplicable, match="real track"):
        task.measure(modifier(name, **options), strength, None, True)


def test_a_part_of_the_queries_is_the_same_as_in_the_whole(make):
    task, _ = make()
    part = task.context.subset(np.array([2, 0]), 1)
    np.testing.assert_array_equal(part.query(part.prompts)[:, 0], task.context.query(task.context.prompts)[[2, 0], 0])


# --- the bundle's edits -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled(bundle_ready):
    from bench.space import BundledSpace

    source = registry.datasets.get("gmcaps/sd")()
    return real_edits(source, BundledSpace(registry.encoders.get("mini-clap")())), source.load().truth


def test_every_twin_has_its_instrument_and_no_original_does(bundled):
    edits, truth = bundled
    whole = twin_truth(truth, edits.table)
    twins = whole.iloc[len(truth) :].reset_index(drop=True)
    originals = truth.set_index("track_id").loc[edits.table["track_id"]].reset_index()
    for instrument, rows in edits.table.groupby("instrument").groups.items():
        has = Predicate("instrument", in_=(instrument,))
        assert has.holds(twins.iloc[edits.table["row"][rows]]).all()
        assert not has.holds(originals.iloc[rows]).any()
    same = [name for name in truth.columns if name not in ("track_id", "accompaniment")]
    pd.testing.assert_frame_equal(twins[same], originals[same])
    assert len(edits.twins) == len(edits.table) == 300
    assert edits.frames.shape == (edits.table["track_id"].nunique(), 16, 128)


def test_the_truth_of_a_twin_is_that_of_the_track_it_was_rendered_from(bundled):
    from bench.datasets.gmcaps import corpus
    from bench.datasets.gmcaps.twins import twin_with

    edits, truth = bundled
    ours = twin_truth(truth, edits.table).iloc[len(truth) :].reset_index(drop=True)
    for _, edit in edits.table.iloc[::60].iterrows():
        track = corpus.track("sd", "test", int(edit["track_id"].rsplit("-", 1)[1]))
        twin = twin_with(track, (Predicate("instrument", in_=(edit["instrument"],)),))
        assert twin is not None
        assert twin.track_id == edit["twin_id"]
        expected = corpus.truth_frame([twin]).iloc[0]
        assert list(expected["accompaniment"]) == list(ours["accompaniment"][edit["row"]])


def test_frames_are_those_of_the_gallerys_tracks(bundled):
    from bench.space import BundledSpace

    edits, truth = bundled
    pooled = BundledSpace(registry.encoders.get("mini-clap")()).pooled("sd-test").astype(float)
    index = {track: row for row, track in enumerate(truth["track_id"])}
    first = edits.table.drop_duplicates("original")
    own = edits.frames[first["original"]].astype(float).mean(1)
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    nearest = (own @ unit.T).argmax(1)
    # The frames are the first half of a track, so a near relative may come before the whole of it, but rarely.
    assert np.mean(nearest == [index[track] for track in first["track_id"]]) > 0.95


def test_another_space_has_no_edits(bundle_ready):
    from bench.space import BundledSpace

    with pytest.raises(UserError, match=r"spaces: \[clap\]"):
        real_edits(registry.datasets.get("gmcaps/sd")(), BundledSpace(registry.encoders.get("mini-muscall")()))
