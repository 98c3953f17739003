"""Z^align as a retriever: what its maps are fitted on, what it asks of its base, and what a run makes of it."""

from __future__ import annotations

import hashlib
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from baselines.aligned import HELD_OUT, Aligned, folds_of
from baselines.alignment import fit_map, moments_of
from bench import bundle, registry
from bench.errors import NotApplicable, UserError
from bench.gallery import Gallery
from bench.metrics.frechet import frechet_distance
from bench.metrics.measured import Lazy
from bench.protocols import Dataset, QuerySet, Retriever, Sampling, SetRetriever
from bench.queries import QuerySource
from bench.store import Cache
from bench.tasks import Reference, RetrievalTask, SpreadSettings

DIM, TRACKS = 6, 80


class Noisy:
    """A base that generates: latents far from the gallery's, that depend on the text and the seed."""

    name, version, deterministic = "noisy", 3, False
    asked: ClassVar[list[tuple[str, ...]]] = []

    def __init__(self, space, weights=None, device="cpu"):
        self.space, self.weights, self.device = space, weights, device

    def bundle_files(self):
        return ()

    def digest(self):
        return f"noisy-{self.weights}"

    def query(self, prompts, sampling):
        Noisy.asked.append(tuple(prompts))
        out = []
        for text in prompts:
            number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
            rng = np.random.default_rng(number)
            own = 3 + rng.normal(size=DIM) * np.arange(1, DIM + 1)
            out.append(own + 0.1 * np.random.default_rng([number, sampling.seed]).normal(size=(sampling.samples, DIM)))
        return np.array(out, dtype=np.float32)


class Sure(Noisy):
    """A base without noise, which takes no weights."""

    name, deterministic = "sure", True

    def __init__(self, space):
        super().__init__(space)

    def query(self, prompts, sampling):
        return super().query(prompts, Sampling(samples=1))


class ToySpace:
    name, dim = "toy", DIM

    def digest(self):
        return "space"

    encoder_digest = digest


@pytest.fixture
def bases():
    Noisy.asked = []
    with registry.retrievers.temporary("noisy", Noisy), registry.retrievers.temporary("sure", Sure):
        yield


@pytest.fixture
def gallery():
    rng = np.random.default_rng(0)
    return rng.normal(size=(TRACKS, DIM)) @ rng.normal(size=(DIM, DIM)) - 1


@pytest.fixture
def asked(gallery):
    """Two captions for every other track."""
    tracks = [f"t{n}" for n in range(TRACKS)] + [f"t{n}" for n in range(0, TRACKS, 2)]
    return QuerySet([f"caption {n} of {track}" for n, track in enumerate(tracks)], tracks, gallery)


SAMPLING = Sampling(samples=3)


def aligned(**options):
    return Aligned(ToySpace(), weights="w", base="noisy", epsilon=0.0, **options)


def plain(asked):
    return Noisy(ToySpace()).query(asked.prompts, SAMPLING)


def run(retriever, asked, sampling=SAMPLING):
    return retriever.query_set(asked, sampling, retriever.base.query)


# --- what a map is fitted on ---


def test_folds_keep_tracks_together_and_are_of_equal_size():
    tracks = [f"t{n}" for n in range(50)] * 2
    fold = folds_of(tracks, 5)
    np.testing.assert_array_equal(fold[:50], fold[50:])
    assert np.bincount(fold).tolist() == [20] * 5
    shuffled = np.random.default_rng(1).permutation(len(tracks))
    np.testing.assert_array_equal(folds_of([tracks[i] for i in shuffled], 5), fold[shuffled])


def test_cross_fitting_is_a_map_from_the_other_folds(bases, asked, gallery):
    latents, out = plain(asked), run(aligned(folds=4), asked)
    fold, means = folds_of(asked.clusters, 4), latents.mean(1, dtype=np.float64)
    for number in range(4):
        there = fit_map("ot", moments_of(means[fold != number]), moments_of(gallery), epsilon=0)
        np.testing.assert_allclose(out[fold == number], there(latents[fold == number]), rtol=1e-5, atol=1e-5)


def test_a_query_has_no_part_in_its_own_map(bases, asked):
    """Another text for one track's captions changes every map but the one of its own fold."""
    changed = QuerySet(
        [t if c != "t4" else f"other {t}" for t, c in zip(asked.prompts, asked.clusters, strict=True)],
        asked.clusters, asked.gallery,
    )  # fmt: skip
    one, two = run(aligned(), asked), run(aligned(), changed)
    fold = folds_of(asked.clusters, 5)
    own = fold == fold[asked.clusters.index("t4")]
    untouched = own & (np.array(asked.clusters) != "t4")
    assert untouched.any()
    np.testing.assert_array_equal(one[untouched], two[untouched])
    assert (np.abs(one[~own] - two[~own]).max((1, 2)) > 1e-4).all()


@pytest.mark.parametrize("method", ["mean", "coral", "ot", "placebo"])
def test_queries_come_near_to_the_gallery(bases, asked, gallery, method):
    before, after = (frechet_distance(x.mean(1), gallery) for x in (plain(asked), run(aligned(method=method), asked)))
    assert after < (0.9 if method == "mean" else 0.1) * before


def test_held_out_prompts_are_fitted_on_instead(bases, asked, gallery, held_out):
    out = run(aligned(source="held-out"), asked)
    assert Noisy.asked == [tuple(asked.prompts), tuple(held_out)]
    means = Noisy(ToySpace()).query(held_out, SAMPLING).mean(1, dtype=np.float64)
    there = fit_map("ot", moments_of(means), moments_of(gallery), epsilon=0)
    np.testing.assert_allclose(out, there(plain(asked)), rtol=1e-5, atol=1e-5)


def test_the_encoders_training_set_can_be_the_target(bases, asked):
    class WithMoments(ToySpace):
        def extra(self, kind, name):
            assert kind == "moments"
            return {"audio-mean": np.full(DIM, 7.0), "audio-cov": np.diag(np.arange(1.0, DIM + 1))}[name]

    retriever = Aligned(WithMoments(), base="sure", target="train", epsilon=0)
    means = run(retriever, asked).mean(1)
    np.testing.assert_allclose(means.mean(0), 7.0, atol=0.5)
    np.testing.assert_allclose(np.diag(np.cov(means.T)), np.arange(1.0, DIM + 1), rtol=0.3)
    # No gallery is needed then.
    np.testing.assert_allclose(retriever.query(asked.prompts, SAMPLING).mean((0, 1)), 7.0, atol=0.5)


@pytest.fixture
def held_out(tmp_path, monkeypatch):
    """A bundle with sixty held-out captions."""
    import json

    texts = [f"held out {n}" for n in range(60)]
    folder = tmp_path / "bundle"
    folder.mkdir()
    file = folder / f"captions-{HELD_OUT}.parquet"
    pd.DataFrame({"track": np.arange(60), "text": texts}).to_parquet(file)
    manifest = {"files": {file.name: {"sha256": bundle.sha256_file(file)}}, "parts": {}}
    (folder / bundle.MANIFEST).write_text(json.dumps(manifest))
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(folder))
    return texts


# --- as a retriever ---


def test_it_is_a_retriever_of_sets_and_as_sure_as_its_base(bases):
    made = aligned()
    assert isinstance(made, Retriever)
    assert isinstance(made, SetRetriever)
    assert not made.deterministic
    assert Aligned(ToySpace(), base="sure").deterministic
    assert made.base.weights == "w"
    assert aligned(device="cuda").base.device == "cuda"
    assert aligned(device="cuda").digest() == made.digest()


def test_the_digest_tells_every_option_and_the_base_apart(bases, held_out):
    made = [
        aligned(), aligned(method="coral"), aligned(folds=3), aligned(source="held-out"),
        Aligned(ToySpace(), weights="w", base="noisy", epsilon=0.5), Aligned(ToySpace(), weights="v", base="noisy"),
        Aligned(ToySpace(), base="sure"),
    ]  # fmt: skip
    assert len({each.digest() for each in made}) == len(made)
    assert aligned().digest() == aligned().digest()
    newer = aligned()
    newer.base.version = 4
    assert newer.digest() != aligned().digest()


def test_it_names_the_files_that_it_reads(bases):
    assert aligned().bundle_files() == ()
    assert aligned(source="held-out", target="train").bundle_files() == (
        "captions-pc-validation.parquet", "moments-toy.safetensors",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "zca"}, r"method 'zca' is unknown; choose mean or coral or ot or placebo"),
        ({"source": "same"}, r"source 'same' is unknown; choose cross-fitted or held-out"),
        ({"target": "sd"}, r"target 'sd' is unknown; choose eval or train"),
        ({"folds": 1}, r"folds must be a whole number of 2 or more, got 1"),
        ({"epsilon": -0.5}, r"epsilon must be a number of 0 or more, got -0.5"),
        ({"epsilon": float("nan")}, r"epsilon must be a number of 0 or more"),
        ({"base": "sure", "weights": "w"}, r"base 'sure' takes no option 'weights'; remove it"),
        ({"base": "noisy", "text": "minilm"}, r"base 'noisy' takes no option 'text'; remove it"),
        ({"base": "aligned"}, r"base 'aligned' is itself fitted on a set of queries"),
        ({"base": "nosiy"}, r"unknown retriever 'nosiy'; did you mean 'noisy'"),
        ({"base": "gdr"}, r"base 'gdr' needs `weights`; name them beside it"),
    ],
)
def test_wrong_options_are_named(bases, options, message):
    with pytest.raises(UserError, match=message):
        Aligned(ToySpace(), **options)


def test_too_few_queries_for_a_covariance_are_no_result(bases, asked, gallery):
    few = QuerySet(asked.prompts[:7], asked.clusters[:7], gallery)
    with pytest.raises(NotApplicable, match="'ot' in 6 dimensions is fitted on 7 queries of other tracks or"):
        run(aligned(), few)
    with pytest.raises(NotApplicable, match="7 tracks or more, here are 3"):
        run(aligned(), QuerySet(asked.prompts, asked.clusters, gallery[:3]))
    assert np.isfinite(run(aligned(method="mean"), few)).all()


def test_without_a_gallery_there_is_nothing_to_move_onto(bases, asked):
    with pytest.raises(NotApplicable, match="needs a retrieval suite"):
        aligned().query(asked.prompts, SAMPLING)


# --- in a run ---


@pytest.fixture
def task(asked, gallery, tmp_path):
    """(options) -> a retrieval task over every caption; the cache is shared."""
    captions = pd.DataFrame(
        {"caption_id": [f"c{n}" for n in range(len(asked.prompts))], "track_id": asked.clusters, "text": asked.prompts}
    )
    tracks = tuple(f"t{n}" for n in range(TRACKS))
    dataset = Dataset("toy", tracks, captions, None, "fingerprint")
    references = Lazy({"jam": lambda: Reference(lambda: gallery), "eval": lambda: Reference(lambda: gallery)})

    def make(retriever):
        source = QuerySource(retriever, ToySpace(), Cache(tmp_path / "cache"))
        return RetrievalTask(
            dataset, Gallery(tracks, gallery), source, SAMPLING, 10_000, SpreadSettings(2, 4), references
        )

    return make


def test_the_queries_of_the_base_come_from_the_cache_of_any_suite(bases, task):
    """Once the base was searched by itself, no row of the alignment asks it again; nor does one ask after another."""
    task(Noisy(ToySpace(), "w")).measure(None, None, None)
    assert len(Noisy.asked) == 1
    for method in ("mean", "coral", "ot", "placebo"):
        task(aligned(method=method)).measure(None, None, None)
    assert len(Noisy.asked) == 1
    task(Aligned(ToySpace(), weights="other", base="noisy")).measure(None, None, None)
    assert len(Noisy.asked) == 2


def test_held_out_queries_are_cached_too(bases, task, held_out):
    for _ in range(2):
        task(aligned(source="held-out")).measure(None, None, None)
    assert len(Noisy.asked) == 2


def test_a_task_passes_tracks_and_gallery(bases, task, asked):
    measured = task(aligned()).measure(None, None, None)
    np.testing.assert_array_equal(measured.latents, run(aligned(), asked))
    assert not measured.deterministic


def test_spread_is_not_measured_on_a_part_of_a_set(bases, task):
    metrics = {key: registry.metrics.get(key) for key in ("MICS", "cMMD(true)")}
    measured = task(aligned()).measure(None, None, None)
    for key, metric in metrics.items():
        assert "fitted on all queries" in metric.why_null(measured, metric.match(key))
    assert task(Noisy(ToySpace(), "w")).measure(None, None, None).spread is not None


def test_a_part_of_its_queries_cannot_be_asked_of_a_source(bases, tmp_path):
    source = QuerySource(aligned(), ToySpace(), Cache(tmp_path / "cache"))
    with pytest.raises(NotApplicable, match="whole sets of queries"):
        source.query(["one"], SAMPLING)


def test_a_deterministic_base_has_one_aligned_query(bases, asked):
    retriever = Aligned(ToySpace(), base="sure", epsilon=0)
    one, two = (run(retriever, asked, Sampling(samples=5, seed=seed)) for seed in (0, 1))
    assert one.shape == (len(asked.prompts), 1, DIM)
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.float32


def test_the_suites_rows_can_be_planned(bundle_ready):
    """Every row of the alignment suite is made, and the bases are those of the retrieval suite."""
    from bench.plan import Plan
    from bench.suite import load_suite

    plan, other = Plan(load_suite("alignment")), Plan(load_suite("retrieval"))
    bases = {name: part.base for name, part in plan.retrievers.items() if isinstance(part, SetRetriever)}
    assert set(bases) >= {"gdr-clap-ot", "gdr-clap-placebo", "clap-ot", "gdr-muscall-ot", "muscall-ot"}
    for name, base in bases.items():
        named = {key: part for key, part in other.retrievers.items() if name.startswith(key) and part.name == base.name}
        same = named[max(named, key=len)]
        assert base.digest() == same.digest()
    chosen = ("guidance", "sampler", "samples", "queries")
    for preset in ("quick", "full"):
        ours, theirs = (load_suite(name, preset=preset).settings for name in ("alignment", "retrieval"))
        assert [getattr(ours, key) for key in chosen] == [getattr(theirs, key) for key in chosen]
