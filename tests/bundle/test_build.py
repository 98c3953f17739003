"""Building the bundle: what is made again and what is not."""

from __future__ import annotations

import importlib
import inspect
import json

import numpy as np
import pandas as pd
import pytest

from bench import bundle
from bench.bundle import build as build_module
from bench.bundle.build import build, load_recipe, part_fingerprint
from bench.encoders.mini import load_tokenizer
from bench.errors import UserError

MADE = []

RECIPE = """
parts:
  one: {make: "MODULE:make_file", text: hello}
  two: {make: "MODULE:make_file", needs: [one], text: world}
  apart: {make: "MODULE:make_file", text: alone}
"""


def make_file(context, *, text):
    """A part for these tests: a file with its text, and one in the work folder."""
    MADE.append(context.part)
    context.bundle_file(f"{context.part}.txt").write_text(text)
    context.work_file(f"{context.part}.work").write_text(text)
    context.report(1, 1, "done")
    return {"files": [f"{context.part}.txt"], "work_files": [f"{context.part}.work"], "info": {"letters": len(text)}}


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """(recipe file, build): parts are made by `make_file` of this module; MADE lists them."""
    monkeypatch.setattr(build_module, "maker_of", lambda entry: make_file)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    MADE.clear()

    def run(only=None):
        MADE.clear()
        build(only, out=tmp_path / "out", work=tmp_path / "work", threads=1, recipe_file=recipe)
        return list(MADE)

    return recipe, run


def test_everything_is_made_once(workshop, tmp_path):
    _, run = workshop
    assert run() == ["one", "two", "apart"]
    assert run() == []
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"]["one.txt"] == {
        "sha256": bundle.sha256_file(tmp_path / "out" / "one.txt"), "bytes": 5, "part": "one",
    }  # fmt: skip
    assert manifest["parts"]["two"]["info"] == {"letters": 5}
    assert manifest["parts"]["two"]["recipe"]["text"] == "world"
    assert manifest["total"]["bytes"] == 15


def test_a_part_brings_what_it_needs(workshop):
    _, run = workshop
    assert run(["two"]) == ["one", "two"]
    assert run(["apart"]) == ["apart"]
    assert run() == []


def test_a_changed_entry_is_made_again_with_what_needs_it(workshop):
    recipe, run = workshop
    run()
    recipe.write_text(RECIPE.replace("hello", "other"))
    assert run() == ["one", "two"]


@pytest.mark.parametrize("change", [lambda file: file.unlink(), lambda file: file.write_text("hurt!")])
def test_a_damaged_output_is_made_again(workshop, tmp_path, change):
    _, run = workshop
    run()
    change(tmp_path / "out" / "two.txt")
    assert run() == ["two"]
    assert (tmp_path / "out" / "two.txt").read_text() == "world"


def test_a_missing_work_file_is_made_again(workshop, tmp_path):
    _, run = workshop
    run()
    (tmp_path / "work" / "one.work").unlink()
    assert "one" in run()


def test_a_part_that_fails_leaves_the_others_made(workshop, tmp_path, monkeypatch):
    _, run = workshop
    maker = make_file

    def failing(context, *, text):
        if context.part == "two":
            raise RuntimeError("no")
        return maker(context, text=text)

    monkeypatch.setattr(build_module, "maker_of", lambda entry: failing)
    with pytest.raises(RuntimeError):
        run()
    monkeypatch.setattr(build_module, "maker_of", lambda entry: make_file)
    assert run() == ["two", "apart"]


def test_an_unknown_part_is_named(workshop):
    _, run = workshop
    with pytest.raises(UserError, match=r"no part 'three' .*known: one, two, apart"):
        run(["three"])


def test_fingerprints_depend_on_the_entry_and_its_needs_only():
    recipe = {"a": {"make": "m", "x": 1}, "b": {"make": "m", "needs": ["a"]}, "c": {"make": "m"}}
    before = {name: part_fingerprint(name, recipe) for name in recipe}
    changed = {**recipe, "a": {"make": "m", "x": 2}}
    after = {name: part_fingerprint(name, changed) for name in changed}
    assert after["a"] != before["a"]
    assert after["b"] != before["b"]
    assert after["c"] == before["c"]
    assert part_fingerprint("c", {**recipe, "c": {"make": "m", "version": 2}}) != before["c"]


def test_the_recipe_names_makers_that_take_what_it_gives():
    recipe = load_recipe()
    seen = set()
    for name, entry in recipe.items():
        module, _, attribute = entry["make"].partition(":")
        maker = getattr(importlib.import_module(module), attribute)
        given = {key: value for key, value in entry.items() if key not in ("make", "needs", "version")}
        inspect.signature(maker).bind(None, **given)
        assert set(entry.get("needs", ())) <= seen, name  # needs come first
        seen.add(name)


def test_a_recipe_says_all_that_its_parts_read():
    """A part that reads another part's file lists it under `needs`, so that a change there reaches it."""
    for name, entry in load_recipe().items():
        needs = set(entry.get("needs", ()))
        if "encoder" in entry:
            assert entry["encoder"] in needs, name
        if "validation" in entry:
            assert {f"latents-{entry['encoder']}", "data"} <= needs, name


TINY = """
parts:
  mel-pc-train: {make: "bench.bundle.parts:make_mel", dataset: pc, split: train, limit: 3}
  data:
    make: "bench.bundle.parts:make_data"
    evaluation: [sd-test]
    training: [pc-train]
    captions_per_track: 2
    limit: 8
  tokenizer: {make: "bench.bundle.parts:make_tokenizer", needs: [data], captions: [pc-train], vocabulary: 300}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    (folder / "recipe.yaml").write_text(TINY)
    build(None, out=folder / "out", work=folder / "work", threads=1, recipe_file=folder / "recipe.yaml")
    return folder


@pytest.mark.slow
def test_log_mels_are_those_of_the_rendered_tracks(built):
    from bench.datasets.gmcaps import corpus

    mel = np.load(built / "work" / "mel-pc-train.npy")
    assert mel.dtype == np.float16
    assert mel.shape[:2] == (3, 64)
    seconds = len(corpus.compose_and_render(corpus.track("pc", "train", 0))) / 16000
    assert mel.shape[2] == 32 * int(seconds)
    assert np.isfinite(mel).all()
    assert mel.astype(np.float32).std(axis=(1, 2)).min() > 0.1


@pytest.mark.slow
def test_truth_and_captions_of_a_tiny_corpus(built):
    from bench.datasets.gmcaps import corpus

    truth = pd.read_parquet(built / "out" / "truth-sd-test.parquet")
    captions = pd.read_parquet(built / "out" / "captions-sd-test.parquet")
    assert len(truth) == 8
    assert set(captions["track_id"]) == set(truth["track_id"])
    assert captions["caption_id"].is_unique
    texts = json.loads((built / "work" / "captions-pc-train.json").read_text())
    assert [len(group) for group in texts] == [2] * 8
    own = corpus.track("pc", "train", 3)
    assert texts[3] == [corpus.captions(own, variant=v)[0].text for v in range(2)]
    assert not set(captions["text"]) & {text for group in texts for text in group}


@pytest.mark.slow
def test_the_tokenizer_gives_texts_back(built):
    tokenizer = load_tokenizer(built / "out" / "tokenizer.json", 96)
    text = "a calm piano track, quite naïve"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.get_vocab_size() <= 300
