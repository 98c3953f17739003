"""A cell's key: whatever decides its numbers changes it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bench import registry, resources
from bench.execute import RunOptions, run_suite
from bench.plan import Plan
from bench.space import BundledSpace
from bench.suite import load_suite

SUITE = """
schema_version: 1
name: keys
title: What a key depends on
datasets: [{name: gmcaps/sd, id: sd, tracks: 20}]
spaces: [clap]
retrievers:
  - {name: gdr, id: gdr-clap, space: clap, weights: gdr-clap}
modifiers:
  - {name: text-interpolation, strength: [0.5, 0.7], variant: difference}
prompts: prompts.yaml
selection: {seed: 7}
settings: {guidance: 3, sampler: ddim-2, samples: 2, queries: 10, candidates: 60}
metrics: [R@10, "kept@10"]
seeds: [0]
claims:
  - id: c
    text: A claim.
    source: ours
    metric: R@10
    a: {modifier: text-interpolation, strength: 0.5}
    b: {modifier: none}
    expect: a > b
    margin: 0
"""


def keys_of(folder: Path, suite: str = SUITE, *, prompts: str, device: str = "cpu") -> dict[str, str]:
    """Modifier -> key of its cell."""
    (folder / "suite.yaml").write_text(suite)
    (folder / "prompts.yaml").write_text(prompts)
    return {cell.modifier: cell.key for cell in Plan(load_suite(folder / "suite.yaml"), device).cells}


@pytest.fixture
def prompts() -> str:
    """One negative of the packaged file."""
    yaml, text = YAML(typ="safe", pure=True), StringIO()
    packaged = yaml.load(resources.suites_dir() / "prompts" / "negative_prompting.yaml")
    yaml.dump({**packaged, "negatives": packaged["negatives"][:1]}, text)
    return text.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("guidance: 3", "guidance: 2"),
        ("sampler: ddim-2", "sampler: ddim-3"),
        ("samples: 2", "samples: 3"),
        ("queries: 10", "queries: 11"),
        ("candidates: 60", "candidates: 61"),
        ("seeds: [0]", "seeds: [1]"),
        ("seed: 7", "seed: 8"),
        ("tracks: 20", "tracks: 21"),
        ("name: gmcaps/sd", "name: gmcaps/mc"),
        ("weights: gdr-clap", "weights: gdr-clap-s1"),
        ("metrics: [R@10,", "metrics: [R@5, R@10,"),
    ],
)
def test_what_decides_a_number_changes_every_key(old, new, prompts, tmp_path):
    assert old in SUITE
    before, after = keys_of(tmp_path, prompts=prompts), keys_of(tmp_path, SUITE.replace(old, new), prompts=prompts)
    assert set(before) == set(after)
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize(
    ("old", "new"), [("strength: [0.5, 0.7]", "strength: [0.5, 0.8]"), ("variant: difference", "variant: subtract")]
)
def test_what_decides_one_modifier_changes_its_key_alone(old, new, prompts, tmp_path):
    before, after = keys_of(tmp_path, prompts=prompts), keys_of(tmp_path, SUITE.replace(old, new), prompts=prompts)
    assert before["none"] == after["none"]
    assert before["text-interpolation"] != after["text-interpolation"]


def test_another_text_of_a_prompt_changes_every_key(prompts, tmp_path):
    changed = prompts.replace("text: ", "text: really ", 1)
    assert changed != prompts
    before, after = keys_of(tmp_path, prompts=prompts), keys_of(tmp_path, prompts=changed)
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: keys", "name: other"),
        ("title: What", "title: All that"),
        ("id: gdr-clap,", "id: mine,"),
        ("id: sd,", "id: set,"),
        ("text: A claim.", "text: Another."),
        ("margin: 0", "margin: 1"),
    ],
)
def test_what_decides_no_number_changes_no_key(old, new, prompts, tmp_path):
    assert old in SUITE
    assert keys_of(tmp_path, prompts=prompts) == keys_of(tmp_path, SUITE.replace(old, new), prompts=prompts)


def test_the_device_changes_no_key(prompts, tmp_path):
    assert keys_of(tmp_path, prompts=prompts) == keys_of(tmp_path, prompts=prompts, device="cuda")


Change = Callable[[pytest.MonkeyPatch], None]


def part_changes() -> dict[str, Change]:
    """Changes of a part's content, version or origin, each by the name of what changed."""
    gdr = registry.retrievers.get("gdr")
    interpolation = registry.modifiers.get("text-interpolation")
    dataset = registry.datasets.get("gmcaps/sd")
    clap = registry.encoders.get("mini-clap")
    recall = registry.metrics.get("R@k")
    return {
        "weights": lambda m: m.setattr(gdr, "digest", lambda self: "0" * 64),
        "version of the retriever": lambda m: m.setattr(gdr, "version", 10**6),
        "version of the dataset": lambda m: m.setattr(dataset, "version", 10**6),
        "content of the dataset": lambda m: m.setattr(dataset, "digest", lambda self: "0" * 64),
        "content of the space": lambda m: m.setattr(BundledSpace, "digest", lambda self: "0" * 64),
        "version of the modifier": lambda m: m.setattr(interpolation, "version", 10**6, raising=False),
        "version of the encoder": lambda m: m.setattr(clap, "version", 10**6),
        "digest of the encoder": lambda m: m.setattr(clap, "digest", lambda self: "0" * 64),
        "version of a metric": lambda m: m.setattr(
            registry.metrics,
            "get",
            lambda name, get=registry.metrics.get: replace(recall, version=2) if name == "R@k" else get(name),
        ),
        "plugin of a retriever": lambda m: m.setattr(registry.retrievers, "distribution", lambda name: "plugin==2"),
        "plugin of an encoder": lambda m: m.setattr(registry.encoders, "distribution", lambda name: "plugin==2"),
        "plugin of a metric": lambda m: m.setattr(registry.metrics, "distribution", lambda name: "plugin==2"),
    }


@pytest.mark.parametrize("what", sorted(part_changes()))
def test_a_part_that_changes(what, prompts, tmp_path, monkeypatch):
    before = keys_of(tmp_path, prompts=prompts)
    part_changes()[what](monkeypatch)
    after = keys_of(tmp_path, prompts=prompts)
    assert before["text-interpolation"] != after["text-interpolation"]
    assert (before["none"] == after["none"]) == (what == "version of the modifier")


WITH_A_TEACHER = SUITE.replace("modifiers:", "  - {name: contrastive, id: clap, space: clap}\nmodifiers:", 1)


def keys_of_the_teacher(folder: Path, suite: str, *, prompts: str) -> set[str]:
    """Keys of a row that draws nothing itself, beside a main retriever that does."""
    (folder / "suite.yaml").write_text(suite)
    (folder / "prompts.yaml").write_text(prompts)
    return {cell.key for cell in Plan(load_suite(folder / "suite.yaml")).cells if cell.retriever == "clap"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sampler: ddim-2", "sampler: ddim-3"),
        ("samples: 2", "samples: 3"),
        ("guidance: 3", "guidance: 2"),
        ("candidates: 60", "candidates: 61"),
        ("seed: 7", "seed: 8"),
        ("weights: gdr-clap", "weights: gdr-clap-s1"),
        ("space: clap}\nmodifiers:", "space: clap, sampling: {samples: 5}}\nmodifiers:"),
    ],
)
def test_how_pairs_are_chosen_changes_the_keys_of_a_row_that_draws_nothing(old, new, prompts, tmp_path):
    assert old in WITH_A_TEACHER
    before = keys_of_the_teacher(tmp_path, WITH_A_TEACHER, prompts=prompts)
    after = keys_of_the_teacher(tmp_path, WITH_A_TEACHER.replace(old, new), prompts=prompts)
    assert len(before) == len(after) == 3
    assert not before & after


def chooser_changes() -> dict[str, Change]:
    """Changes of the main retriever alone."""
    gdr = registry.retrievers.get("gdr")
    return {
        "version": lambda m: m.setattr(gdr, "version", 10**6),
        "digest": lambda m: m.setattr(gdr, "digest", lambda self: "0" * 64),
        "plugin": lambda m: m.setattr(
            registry.retrievers, "distribution", lambda name: "plugin==2" if name == "gdr" else None
        ),
    }


@pytest.mark.parametrize("what", sorted(chooser_changes()))
def test_who_chooses_the_pairs_changes_the_keys_of_every_row(what, prompts, tmp_path, monkeypatch):
    before = keys_of_the_teacher(tmp_path, WITH_A_TEACHER, prompts=prompts)
    chooser_changes()[what](monkeypatch)
    assert not before & keys_of_the_teacher(tmp_path, WITH_A_TEACHER, prompts=prompts)


def test_a_base_from_a_plugin_changes_the_key_of_what_is_built_on_it(tmp_path, monkeypatch):
    (tmp_path / "suite.yaml").write_text(SUITE_OF_A_TEACHER.replace("{name: contrastive, id: clap}", ALIGNED))
    (before,) = Plan(load_suite(tmp_path / "suite.yaml")).cells
    monkeypatch.setattr(
        registry.retrievers, "distribution", lambda name: "plugin==2" if name == "contrastive" else None
    )
    (after,) = Plan(load_suite(tmp_path / "suite.yaml")).cells
    assert before.key != after.key


def test_threads_change_no_key_and_no_folder(bundle_ready, tmp_path):
    (tmp_path / "suite.yaml").write_text(SUITE_OF_A_TEACHER)
    suite = load_suite(tmp_path / "suite.yaml")
    one = RunOptions(tmp_path / "out", tmp_path / "cache")
    first: Any = run_suite(suite, one)
    entries = {file.name: file.stat().st_ino for file in (tmp_path / "cache" / "cells").rglob("*.json")}
    assert run_suite(suite, replace(one, threads=2)) == first
    assert {file.name: file.stat().st_ino for file in (tmp_path / "cache" / "cells").rglob("*.json")} == entries


SUITE_OF_A_TEACHER = """
schema_version: 1
name: keys
title: A teacher
datasets: [{name: gmcaps/sd, id: sd, tracks: 20}]
spaces: [clap]
retrievers: [{name: contrastive, id: clap}]
settings: {queries: 20}
metrics: [R@10]
"""

ALIGNED = "{name: aligned, id: clap-ot}"
