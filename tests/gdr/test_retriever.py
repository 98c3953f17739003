"""GDR as a retriever, on the bundle's weights: what its query latents depend on, and what they do not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bench import registry
from bench.protocols import GenerativeRetriever, Retriever, Sampling
from bench.queries import QueryContext, QuerySource
from bench.space import BundledSpace
from bench.store import Cache
from gdr.retriever import GDR

PROMPTS = ["a calm piano piece", "fast metal with distorted guitars, recorded live in a hall", "hip hop", "slow blues"]
SAMPLING = Sampling("ddim-2", 3.0, 3, 0)


@pytest.fixture(scope="module")
def gdr(bundle_ready):
    return GDR(BundledSpace(registry.encoders.get("mini-clap")()), "gdr-clap")


@pytest.fixture(scope="module")
def latents(gdr):
    return gdr.query(PROMPTS, SAMPLING)


def test_it_keeps_the_protocols(gdr):
    assert isinstance(gdr, Retriever)
    assert isinstance(gdr, GenerativeRetriever)
    assert gdr.deterministic is False


def test_latents_are_time_means_a_sample(latents, gdr):
    assert latents.shape == (len(PROMPTS), 3, gdr.space.dim)
    assert latents.dtype == np.float32
    assert np.isfinite(latents).all()


def test_asking_twice_gives_the_same(gdr, latents):
    np.testing.assert_array_equal(gdr.query(PROMPTS, SAMPLING), latents)


def test_a_query_does_not_depend_on_the_others(gdr, latents, monkeypatch):
    for row, prompt in enumerate(PROMPTS):
        np.testing.assert_allclose(gdr.query([prompt], SAMPLING)[0], latents[row], atol=1e-5)
    order = [2, 0, 3, 1, 0]
    np.testing.assert_allclose(gdr.query([PROMPTS[i] for i in order], SAMPLING), latents[order], atol=1e-5)
    monkeypatch.setattr(GDR, "batch", 3)
    np.testing.assert_allclose(gdr.query(PROMPTS, SAMPLING), latents, atol=1e-5)


def test_a_negated_query_does_not_depend_on_the_others(gdr):
    negatives = ["jazz", "a rock song", "jazz", "guitar"]
    together = gdr.query_negative(PROMPTS, negatives, 2.0, SAMPLING)
    for row, (prompt, negative) in enumerate(zip(PROMPTS, negatives, strict=True)):
        alone = gdr.query_negative([prompt], [negative], 2.0, SAMPLING)
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_more_samples_extend_the_earlier_ones(gdr, latents):
    more = gdr.query(PROMPTS, replace(SAMPLING, samples=5))
    np.testing.assert_allclose(more[:, :3], latents, atol=1e-5)


def test_samples_differ_and_so_do_seeds(gdr, latents):
    assert np.abs(latents[:, 0] - latents[:, 1]).max() > 1e-4
    assert np.abs(gdr.query(PROMPTS, replace(SAMPLING, seed=1)) - latents).max() > 1e-4


def test_at_strength_zero_the_negative_does_not_matter(gdr):
    """Eq. 2 at w = 0 is the conditional branch alone: guidance 1."""
    plain = gdr.query(PROMPTS, replace(SAMPLING, guidance=1.0))
    for negatives in (["jazz"] * 4, PROMPTS[::-1]):
        np.testing.assert_allclose(gdr.query_negative(PROMPTS, negatives, 0.0, SAMPLING), plain, atol=1e-5)


def test_a_prompt_as_its_own_negative_changes_nothing(gdr):
    """(1 + w) G − w G = G."""
    plain = gdr.query(PROMPTS, replace(SAMPLING, guidance=1.0))
    np.testing.assert_allclose(gdr.query_negative(PROMPTS, PROMPTS, 2.0, SAMPLING), plain, atol=1e-4)


def test_what_cannot_be_asked(gdr):
    with pytest.raises(ValueError, match="4 prompts, but 1 negatives"):
        gdr.query_negative(PROMPTS, ["jazz"], 2.0, SAMPLING)
    with pytest.raises(ValueError, match="w >= 0"):
        gdr.query_negative(PROMPTS, PROMPTS, -1.0, SAMPLING)


def test_no_prompts_give_no_rows(gdr):
    assert gdr.query([], SAMPLING).shape == (0, 3, gdr.space.dim)


def test_digests_tell_weights_and_frames_apart(gdr):
    space = gdr.space
    weights, lengths = ("gdr-clap", "gdr-clap-s1"), (None, 16, 32)
    assert len({GDR(space, name, frames).digest() for name in weights for frames in lengths}) == 6
    assert gdr.digest() == GDR(space, "gdr-clap").digest() == GDR(space, "gdr-clap", device="other").digest()


def test_a_saved_and_loaded_model_gives_the_same_queries(gdr, latents, tmp_path, monkeypatch):
    """Through save_model, a bundle of its own, and back."""
    from bench import bundle
    from gdr.storage import save_model

    model, scaler, *_ = gdr._model
    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = json.loads(json.dumps(bundle.manifest()))
    for name in manifest["files"]:
        (folder / name).symlink_to(bundle.path(name))
    metadata = {"config": json.dumps(model.config.to_dict())}
    save_model(folder / "again.safetensors", model, scaler, metadata, precision="float32")
    manifest["files"]["again.safetensors"] = {"sha256": bundle.sha256_file(folder / "again.safetensors")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(folder))
    again = GDR(BundledSpace(registry.encoders.get("mini-clap")()), "again")
    np.testing.assert_array_equal(again.query(PROMPTS, SAMPLING), latents)


# --- behind the cache -------------------------------------------------------------------------------------------------


def context(gdr, folder, prompts):
    return QueryContext(QuerySource(gdr, gdr.space, Cache(folder)), prompts, [], SAMPLING, lambda name: None)


def test_the_cache_gives_each_prompt_its_own_latents(gdr, latents, tmp_path):
    order = [3, 3, 1, 0]
    prompts = [PROMPTS[i] for i in order]
    for _ in range(2):  # computed, then read
        found = context(gdr, tmp_path, prompts).query(prompts)
        np.testing.assert_allclose(found, latents[order], atol=1e-5)


def test_guidance_samples_and_seed_have_entries_of_their_own(gdr, tmp_path, monkeypatch):
    calls = []
    query = GDR.query
    monkeypatch.setattr(GDR, "query", lambda self, p, s: calls.append(s) or query(self, p, s))
    source = QuerySource(gdr, gdr.space, Cache(tmp_path))
    asked = [SAMPLING, replace(SAMPLING, guidance=1.0), replace(SAMPLING, samples=2), replace(SAMPLING, seed=4),
             replace(SAMPLING, sampler="ddim-3")]  # fmt: skip
    for sampling in [*asked, *asked]:
        source.query(PROMPTS[:1], sampling)
    assert calls == asked


def test_the_suites_guidance_plays_no_part_in_a_negative_prompt(gdr, tmp_path, monkeypatch):
    calls = []
    ask = GDR.query_negative
    monkeypatch.setattr(GDR, "query_negative", lambda self, *a: calls.append(a) or ask(self, *a))
    source = QuerySource(gdr, gdr.space, Cache(tmp_path))
    found = [source.query_negative(PROMPTS[:1], ["jazz"], 2.0, replace(SAMPLING, guidance=g)) for g in (1.0, 3.0)]
    assert len(calls) == 1
    np.testing.assert_array_equal(*found)
