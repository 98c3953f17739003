"""The suites of domain shift and of the datasets, on 20 tracks each: every cell, every claim, no report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench import registry
from bench.datasets.gmcaps.captions._statistics import caption_statistics
from bench.execute import RunOptions, run_suite
from bench.suite import load_suite

TRACKS = 20
STYLES = ("library", "describer")


def run(name: str, folder: Path) -> tuple[dict[str, Any], Path]:
    """Run a suite as it is committed, but on the first tracks of its datasets and with two steps."""
    whole = load_suite(name)
    datasets = [{"name": ref.name, "id": ref.id, **ref.options, "tracks": TRACKS} for ref in whole.datasets]
    overrides = {"datasets": datasets, "queries": TRACKS, "sampler": "ddim-2", "samples": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.report.build.build_report", lambda done: done)
        done = run_suite(load_suite(name, overrides=overrides), RunOptions(folder / "out", folder / "cache"))
    return json.loads((done / "summary.json").read_text()), done


@pytest.fixture(scope="module")
def shifted(bundle_ready, tmp_path_factory):
    return run("domain-shift", tmp_path_factory.mktemp("shift"))


@pytest.fixture(scope="module")
def described(bundle_ready, tmp_path_factory):
    return run("datasets", tmp_path_factory.mktemp("datasets"))


def cell_of(summary, dataset, retriever):
    return next(c for c in summary["cells"] if (c["dataset"], c["retriever"]) == (dataset, retriever))


def value(summary, dataset, retriever, key):
    return cell_of(summary, dataset, retriever)["metrics"][key]["value"]


def frame(run, dataset, retriever):
    summary, folder = run
    return pd.read_parquet(folder / "per_query" / f"{cell_of(summary, dataset, retriever)['key']}.parquet")


def assert_complete(summary: dict[str, Any], suite: str) -> None:
    for cell in summary["cells"]:
        assert cell["n_gallery"] == TRACKS
        for key, entry in cell["metrics"].items():
            assert (entry["value"] is None) == (entry["why_null"] is not None), (cell["dataset"], key)
    assert [claim["id"] for claim in summary["claims"]] == [claim.id for claim in load_suite(suite).claims]
    for claim in summary["claims"]:
        assert claim["effect"] is not None, claim["id"]


# --- the three dials --------------------------------------------------------------------------------------------------


def test_every_cell_has_values_and_every_claim_an_effect(shifted):
    summary, _ = shifted
    assert_complete(summary, "domain-shift")
    assert len(summary["cells"]) == 8 * 7
    assert all(entry["value"] is not None for cell in summary["cells"] for entry in cell["metrics"].values())
    for claim in summary["claims"]:
        assert set(claim["stability"]) == {"gdr-clap", "gdr-clap-s1", "gdr-clap-s2"}


def test_cells_of_one_law_are_compared_track_by_track_and_laws_are_not(shifted):
    base = frame(shifted, "mix-pc-pc-library", "clap")["cluster_id"]
    for other in ("mix-pc-sd-library", "mix-pc-pc-describer", "mix-pc-sd-describer"):
        assert list(frame(shifted, other, "clap")["cluster_id"]) == list(base)
    assert not set(frame(shifted, "mix-sd-pc-library", "clap")["cluster_id"]) & set(base)


@pytest.mark.parametrize("law", ["pc", "sd"])
def test_each_dial_moves_what_it_should_and_nothing_else(shifted, law):
    summary, _ = shifted
    real = {
        (rendering, style): value(summary, f"mix-{law}-{rendering}-{style}", "clap", "FADreal(jam)")
        for rendering in ("pc", "sd") for style in STYLES
    }  # fmt: skip
    assert real["pc", "library"] == real["pc", "describer"]  # a caption does not change the sound
    assert real["pc", "library"] > real["sd", "library"]  # JAM sounds as SD
    for style in STYLES:  # the sound does not change what captions state, nor what an oracle makes of it
        one, other = (frame(shifted, f"mix-{law}-{rendering}-{style}", "gdr-clap") for rendering in ("pc", "sd"))
        assert list(one["oracleR@10"]) == list(other["oracleR@10"])
        assert list(one["rank"]) != list(other["rank"])


def test_a_drop_is_the_difference_of_the_two_cells(shifted):
    summary, _ = shifted
    effects = {claim["id"]: claim["effect"] for claim in summary["claims"]}

    def at(dataset, retriever):
        return value(summary, dataset, retriever, "R@10(norm)")

    for name, dataset in (
        ("style", "mix-pc-pc-describer"),
        ("rendering", "mix-pc-sd-library"),
        ("law", "mix-sd-pc-library"),
    ):
        drops = {
            who: at(dataset, retriever) - at("mix-pc-pc-library", retriever)
            for who, retriever in (("gdr", "gdr-clap"), ("clap", "clap"), ("muscall", "muscall"))
        }
        for who, drop in drops.items():
            assert effects[f"{name}-costs-{who}"] == pytest.approx(drop)
        assert effects[f"adaptation-shrinks-with-{name}"] == pytest.approx(drops["gdr"] - drops["clap"])
    cells = [cell for cell in summary["cells"] if cell["retriever"] == "gdr-muscall"]
    for name, key in (("text", "FTD(train)"), ("audio", "FADreal(train)")):
        points = np.array([[cell["metrics"][k]["value"] for k in (key, "R@10(norm)")] for cell in cells])
        assert effects[f"{name}-shift-is-inherited"] == pytest.approx(np.corrcoef(points.T)[0, 1])
    style, rendering = effects["style-costs-gdr"], effects["rendering-costs-gdr"]
    assert effects["style-costs-gdr-more-than-rendering"] == pytest.approx(style - rendering)


# --- the datasets -----------------------------------------------------------------------------------------------------


def test_facts_are_those_of_the_dataset_whoever_asks(described):
    summary, _ = described
    assert_complete(summary, "datasets")
    for name, seconds in (("pc", 16), ("sd", 32), ("mc", 10)):
        texts = registry.datasets.get(f"gmcaps/{name}")().load(tracks=TRACKS).captions["text"]
        made = caption_statistics(texts)
        for retriever in ("clap", "muscall", "ridge-clap"):
            assert value(summary, name, retriever, "Tracks") == TRACKS
            assert value(summary, name, retriever, "Captions") == made.n >= TRACKS
            assert value(summary, name, retriever, "Hours") == pytest.approx(TRACKS * seconds / 3600)
            assert value(summary, name, retriever, "Words") == made.median_words
            assert value(summary, name, retriever, "Vocabulary") == made.vocabulary
            assert value(summary, name, retriever, "Negation%") == pytest.approx(made.negation)
            assert value(summary, name, retriever, "Stated") > 0


def test_a_claim_on_a_fact_is_judged_by_its_band(described):
    """Twenty captions cannot hold as many different words as a thousand: the verdict follows the data."""
    summary, _ = described
    verdicts = {claim["id"]: claim["verdict"] for claim in summary["claims"]}
    assert verdicts["sd-vocabulary-as-song-describer"] == "contradicted"
    assert verdicts["mc-captions-as-long-as-musiccaps"] == "supported"


def test_the_probes_of_the_spaces_are_told(described):
    assert {"mini-clap", "mini-muscall"} <= set(described[0]["space_probes"])
