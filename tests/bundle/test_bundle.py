"""The bundle in use: whole, small, and nothing in it that a run should compute."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench import bundle, registry
from bench.bundle.build import load_recipe
from bench.errors import BundleError
from bench.latent_storage import unpack_rows

TRAINED = ("mini-", "gdr-")


@pytest.fixture(scope="module")
def manifest(bundle_ready):
    return bundle.manifest()


def test_every_file_is_there_and_whole(manifest, bundle_ready):
    for name, entry in manifest["files"].items():
        content = (bundle_ready / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], name
        assert len(content) == entry["bytes"], name
        assert entry["part"] in manifest["parts"], name
    assert bundle.check() == []


def test_it_is_small_enough_for_a_repository(manifest):
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    assert total == manifest["total"]["bytes"]
    assert total < 45e6


def test_nothing_lies_beside_the_files_of_the_manifest(manifest, bundle_ready):
    data = {".safetensors", ".parquet", ".json", ".npy", ".npz", ".pt", ".bin", ".pkl"}
    there = {file.name for file in bundle_ready.rglob("*") if file.suffix in data}
    assert there == {*manifest["files"], "manifest.json"}


def test_it_holds_no_query_latents_and_no_results(manifest, bundle_ready):
    gallery = {f"{registry.datasets.get(name)().gallery}" for name in registry.datasets.names()}
    for name in manifest["files"]:
        assert not name.startswith(("query", "summary", "per_query", "cells", "results"))
        if name.startswith("latents-"):
            assert set(unpack_rows(load_file(bundle_ready / name))) <= gallery


def test_latents_fit_their_tracks(manifest, bundle_ready):
    import pandas as pd

    for name in manifest["files"]:
        if not name.startswith("latents-"):
            continue
        for split, latents in unpack_rows(load_file(bundle_ready / name)).items():
            assert np.isfinite(latents).all()
            assert (np.linalg.norm(latents, axis=1) <= 1 + 1e-2).all()  # means of unit frames
            if f"truth-{split}.parquet" in manifest["files"]:
                assert len(latents) == len(pd.read_parquet(bundle_ready / f"truth-{split}.parquet"))


def test_every_part_says_how_it_was_made(manifest):
    for name, part in manifest["parts"].items():
        assert part["recipe"]["make"], name
        assert part["seconds"] >= 0
        assert part["fingerprint"]
        if name.startswith(TRAINED):
            assert isinstance(part["recipe"]["config"]["seed"], int), name
    assert sum(part["seconds"] for part in manifest["parts"].values()) == pytest.approx(manifest["total"]["seconds"])


def test_replicates_differ_in_their_seed_only(manifest):
    recipes = [manifest["parts"][name]["recipe"] for name in ("gdr-clap", "gdr-clap-s1", "gdr-clap-s2")]
    seeds = [recipe["config"].pop("seed") for recipe in json.loads(json.dumps(recipes))]
    assert len(set(seeds)) == 3
    plain = [{**r, "config": {**r["config"], "seed": None}} for r in recipes]
    assert plain[0] == plain[1] == plain[2]
    assert len({manifest["files"][f"gdr-clap{s}.safetensors"]["sha256"] for s in ("", "-s1", "-s2")}) == 3


def test_the_parts_are_those_of_the_recipe(manifest):
    assert set(load_recipe()) == set(manifest["parts"])


# --- checks on a folder of our own ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    content = {"a.bin": b"one", "b.bin": b"two"}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    files = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "part": "p"}
        for name, data in content.items()
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files, "parts": {}}))
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(tmp_path))
    return tmp_path


def test_a_whole_folder_has_no_problems(folder):
    assert bundle.check() == []
    assert bundle.path("a.bin") == folder / "a.bin"


def test_a_missing_file_is_named_with_what_to_do(folder):
    (folder / "a.bin").unlink()
    (problem,) = bundle.check()
    assert problem.startswith(f"{folder / 'a.bin'}: ")
    assert "missing" in problem
    assert "make bundle" in problem


def test_a_damaged_file_is_named_with_what_to_do(folder):
    (folder / "b.bin").write_bytes(b"twO")
    (problem,) = bundle.check()
    assert problem.startswith(f"{folder / 'b.bin'}: ")
    assert "digest" in problem
    with pytest.raises(BundleError, match=r"b\.bin"):
        bundle.path("b.bin")
    assert bundle.path("a.bin").exists()


def test_only_the_files_asked_for_are_checked(folder):
    (folder / "b.bin").unlink()
    assert bundle.check(["a.bin"]) == []


def test_a_file_that_is_not_in_the_manifest(folder):
    (folder / "c.bin").write_bytes(b"three")
    with pytest.raises(BundleError, match=r"no file 'c\.bin' in the bundle; did you mean '[ab]\.bin'"):
        bundle.path("c.bin")


def test_a_damaged_manifest_is_named(folder):
    (folder / "manifest.json").write_text('{"files": ')
    with pytest.raises(BundleError, match=r"manifest\.json: the bundle's manifest is damaged"):
        bundle.check()


def test_digests_are_read_from_the_manifest_alone(folder):
    (folder / "a.bin").unlink()
    assert bundle.digest("a.bin") == hashlib.sha256(b"one").hexdigest()
    assert bundle.combined_digest(["a.bin", "b.bin"]) != bundle.combined_digest(["b.bin", "a.bin"])


@pytest.mark.slow
def test_tracks_made_again_have_the_latents_of_the_bundle(bundle_ready, monkeypatch):
    from bench.bundle.verify import verify_latents
    from bench.datasets.gmcaps import corpus

    kept = len(registry.datasets.get("gmcaps/sd")().load().track_ids)
    tracks = corpus.tracks
    monkeypatch.setattr(corpus, "tracks", lambda *split: tracks(*split)[:kept])  # a miniature bundle has fewer
    found = verify_latents("gmcaps/sd", 8)
    assert len(found) == 8
    assert all(cosine >= 0.999 for _, cosine in found), found
