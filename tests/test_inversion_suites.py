"""The suites of inversion as users run them, on a few queries and with a tiny sampler."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from bench import resources
from bench.execute import RunOptions, run_suite
from bench.suite import load_suite

YAML_SAFE = YAML(typ="safe", pure=True)
FEW = ("quality-07", "subject-00", "detail-00", "subject-08")
OVERRIDES = {"sampler": "ddim-4", "samples": 1, "replicates": []}


@pytest.fixture(scope="module")
def run(bundle_ready, tmp_path_factory):
    """Run a packaged suite with keys replaced and, for refinements, only a few of them: -> (summary, folder)."""
    folder = tmp_path_factory.mktemp("inversion")

    def call(name, label, **keys):
        document = {**YAML_SAFE.load(resources.suite_path(name)), **keys}
        prompts = YAML_SAFE.load(resources.suites_dir() / document["prompts"])
        if "refinements" in prompts:
            prompts["refinements"] = [r for r in prompts["refinements"] if r["id"] in FEW]
        own = folder / label
        own.mkdir()
        YAML_SAFE.dump(prompts, own / "prompts.yaml")
        YAML_SAFE.dump({**document, "prompts": "prompts.yaml"}, own / "suite.yaml")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bench.report.build.build_report", lambda folder: folder)
            suite = load_suite(own / "suite.yaml", overrides=OVERRIDES)
            found = run_suite(suite, RunOptions(own / "out", folder / "cache"), None)
        return json.loads((found / "summary.json").read_text()), found

    return call


@pytest.fixture(scope="module")
def trajectory(run):
    modifiers = [
        {"name": "ddim-inversion", "strength": [0.02, 0.4, 1], "primary": 0.4},
        {"name": "ddim-inversion", "guidance_edit": 1, "strength": 0.4},
        {"name": "ddim-inversion", "guidance_edit": 5, "strength": 0.4},
    ]
    return run("inversion-trajectory", "trajectory", modifiers=modifiers)


@pytest.fixture(scope="module")
def tracks(run):
    modifiers = [
        {"name": "ddim-inversion", "guidance_inversion": 0, "strength": [0.02, 0.4], "primary": 0.4},
        {"name": "ddim-inversion", "guidance_inversion": 0, "guidance_edit": 1, "strength": 0.02},
        {"name": "sdedit", "strength": 0.4},
        {"name": "slerp", "toward": "edit", "strength": [0.1, 0.5], "primary": 0.1},
        {"name": "text-interpolation", "variant": "add", "strength": 0.25},
        {"name": "regeneration", "noise": "new"},
        {"name": "regeneration", "noise": "same"},
    ]
    return run("track-edits", "tracks", modifiers=modifiers, settings={"guidance": 3, "queries": 36}, presets={})


def cells(summary, modifier="none", **params):
    return [
        cell for cell in summary["cells"]
        if cell["modifier"] == modifier and all(cell["params"].get(key) == value for key, value in params.items())
    ]  # fmt: skip


def values(cell, key):
    return cell["metrics"][key]["value"]


# --- as they are packaged ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["quick", "full"])
@pytest.mark.parametrize("name", ["inversion", "inversion-trajectory", "track-edits"])
def test_the_packaged_suites_are_valid_and_sweep_the_papers_depth(name, preset):
    suite = load_suite(name, preset=preset)
    inversions = [row for row in suite.modifiers if row.name == "ddim-inversion"]
    assert 0.4 in inversions[0].strengths
    assert len({claim.id for claim in suite.claims}) == len(suite.claims) > 0


def test_figure_4_is_swept_finely_and_has_one_example():
    suite = load_suite("inversion-trajectory")
    assert len(suite.prompt_set.refinements) == 50
    (example,) = [r for r in suite.prompt_set.refinements if r.figure4]
    assert "guitar" in example.prompt
    assert example.added
    assert example.removed
    assert len(suite.modifiers[0].strengths) >= 12
    assert {"CLAP(gen+)", "CLAP(gen:new)", "CLAP(ZT+)", "CLAP(ZT:new)", "CLAP(ZT:added)", "CLAP(ZT:removed)"} <= set(
        suite.metrics
    )


def test_figure_5_has_its_five_pairs():
    suite = load_suite("inversion")
    assert {"CLAP(ZA+)", "CLAP(gen+)", "CLAP(gen:new)", "CLAP(ZT+)", "CLAP(ZT:new)"} <= set(suite.metrics)


# --- the trajectory ---------------------------------------------------------------------------------------------------


def test_a_query_leaves_the_first_prompt_with_every_further_step(trajectory):
    summary, _ = trajectory
    sweep = sorted(
        (c for c in cells(summary, "ddim-inversion") if "guidance_edit" not in c["params"]),
        key=lambda c: c["params"]["strength"],
    )
    closeness = [values(cell, "CLAP(gen+)") for cell in [*cells(summary), *sweep]]
    assert closeness[0] == pytest.approx(1.0, abs=1e-6)
    assert closeness[1] > 0.9, "one step of fifty stays where it was"
    assert all(later < earlier for earlier, later in itertools.pairwise(closeness))
    for between in ("gen", "ZT"):
        assert values(sweep[-1], f"CLAPshift({between})") > values(cells(summary)[0], f"CLAPshift({between})")


def test_shifts_are_differences_of_the_scores_beside_them(trajectory):
    summary, folder = trajectory
    for cell in summary["cells"]:
        rows = pd.read_parquet(folder / "per_query" / f"{cell['key']}.parquet")
        assert set(rows["query_id"]) == set(FEW)
        for between, (to, away) in {"gen": ("gen:new", "gen+"), "ZT": ("ZT:new", "ZT+")}.items():
            np.testing.assert_allclose(
                rows[f"CLAPshift({between})"], rows[f"CLAP({to})"] - rows[f"CLAP({away})"], atol=1e-9
            )
        assert rows.set_index("query_id")["CLAPshift(words)"].isna().to_dict() == {
            name: name.startswith("detail") for name in FEW
        }, "only a detail takes no words away"


def test_guidance_of_the_way_back_is_an_option_and_counts_its_passes(trajectory):
    summary, _ = trajectory
    weak, strong = (cells(summary, "ddim-inversion", guidance_edit=g)[0] for g in (1, 5))
    (usual,) = [c for c in cells(summary, "ddim-inversion", strength=0.4) if "guidance_edit" not in c["params"]]
    assert values(weak, "CLAP(gen+)") > values(usual, "CLAP(gen+)") > values(strong, "CLAP(gen+)")
    assert weak["nfe"] == 8 + 20 * 2
    assert usual["nfe"] == strong["nfe"] == 8 + 20 * 3


def test_every_claim_of_the_trajectory_is_judged(trajectory):
    summary, _ = trajectory
    for claim in summary["claims"]:
        assert claim["verdict"] in ("supported", "contradicted", "inconclusive")
        assert claim["effect"] is not None, claim["why"]


# --- edits of tracks --------------------------------------------------------------------------------------------------


def test_no_value_is_null_without_a_reason(trajectory, tracks):
    for summary, _ in (trajectory, tracks):
        for cell in summary["cells"]:
            assert all(m["value"] is not None or m["why_null"] for m in cell["metrics"].values())


def test_a_track_unchanged_finds_its_twin_but_stays_on_its_own_side(tracks):
    summary, _ = tracks
    (base,) = cells(summary)
    assert values(base, "R@10") > 60
    assert values(base, "edit_accuracy") < 0.5
    assert values(base, "gained@10") == 0
    assert values(base, "CLAP(gen+)") == pytest.approx(1.0, abs=1e-6)
    assert base["n_queries"] == 36


def test_one_step_stays_at_the_track_and_twenty_do_not(tracks):
    summary, _ = tracks
    (careful,) = cells(summary, "ddim-inversion", guidance_edit=1)
    near, far = (cells(summary, "ddim-inversion", strength=s, guidance_inversion=0) for s in (0.02, 0.4))
    (near,) = [c for c in near if "guidance_edit" not in c["params"]]
    assert values(careful, "CLAP(gen+)") > 0.97
    assert values(careful, "CLAP(gen+)") > values(near, "CLAP(gen+)") > values(far[0], "CLAP(gen+)")


def test_the_text_alone_knows_nothing_of_the_track(tracks):
    summary, _ = tracks
    (alone,) = cells(summary, "regeneration", noise="new")
    assert values(alone, "R@10") < values(cells(summary)[0], "R@10") / 2
    assert values(alone, "CLAP(gen+)") < 0.5


def test_noise_of_its_own_is_not_applicable_to_a_track(tracks):
    summary, _ = tracks
    (cell,) = cells(summary, "regeneration", noise="same")
    assert {m["why_null"] for m in cell["metrics"].values()} == {
        "n/a: a real track was not generated, so there is no noise of its own to generate from"
    }


def test_network_evaluations_leave_out_the_generation_that_a_track_does_not_need(tracks):
    summary, _ = tracks
    assert cells(summary)[0]["nfe"] == 0
    assert cells(summary, "regeneration", noise="new")[0]["nfe"] == 8
    assert cells(summary, "slerp", strength=0.1)[0]["nfe"] == 8
    assert cells(summary, "text-interpolation")[0]["nfe"] == 0
    assert [c["nfe"] for c in cells(summary, "ddim-inversion", strength=0.4)] == [20 * 3]


def test_rows_name_twin_instrument_and_phrasing(tracks):
    summary, folder = tracks
    rows = pd.read_parquet(folder / "per_query" / f"{cells(summary)[0]['key']}.parquet")
    assert rows["negative_id"].value_counts().to_dict() == dict.fromkeys(rows["negative_id"].unique(), 3)
    for _, row in rows.iterrows():
        assert row["relevant_id"].startswith(f"{row['cluster_id']}~")
        assert row["negative_id"] in row["relevant_id"]
        assert row["cluster_id"] not in set(row["top_10"])
    assert rows["phrasing"].nunique() == 3
