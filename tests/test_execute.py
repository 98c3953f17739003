"""A run from beginning to end: its files, its repeatability, what is computed again and what is not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bench.cli import main
from bench.execute import RunOptions, run_suite
from bench.suite import load_suite

CELL_KEYS = {
    "key", "dataset", "data_fingerprint", "space", "encoder_digest", "retriever", "modifier", "params", "seed",
    "n_queries", "n_gallery", "protocol", "nfe", "metrics",
}  # fmt: skip


def summary_of(run):
    return (run / "summary.json").read_bytes()


def leaves(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


# --- what a run leaves ------------------------------------------------------------------------------------------------


def test_the_files_of_a_run(small_run):
    run, _ = small_run
    names = {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()}
    assert names >= {"summary.json", "provenance.json", "suite.resolved.yaml", "report.md", "report.html"}
    cells = json.loads(summary_of(run))["cells"]
    assert cells
    for cell in cells:
        assert {f"cells/{cell['key']}.json", f"per_query/{cell['key']}.parquet"} <= names
    assert any(name.startswith("figures/") for name in names)
    assert not [name for name in names if ":" in name]
    assert run.parent.name == "small"
    assert re.fullmatch(r"[0-9a-f]{12}", run.name)


def test_the_summary_says_what_the_contract_promises(small_run):
    run, _ = small_run
    summary = json.loads(summary_of(run), parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    assert summary.keys() >= {"schema_version", "suite", "profile", "preset", "cells", "metric_info", "claims"}
    for cell in summary["cells"]:
        assert cell.keys() >= CELL_KEYS
        assert cell["metrics"].keys() == summary["metric_info"].keys()
        for key, entry in cell["metrics"].items():
            assert set(entry) == {"value", "ci", "n", "why_null"}
            assert (entry["value"] is None) == (entry["why_null"] is not None), (key, entry)
            if entry["ci"] is not None:
                low, high = summary["metric_info"][key]["range"]
                assert low is None or entry["ci"][0] >= low
                assert high is None or entry["ci"][1] <= high
                assert entry["ci"][0] <= entry["ci"][1]
    for info in summary["metric_info"].values():
        assert info.keys() >= {"higher_is_better", "unit", "range", "level"}
    for claim in summary["claims"]:
        assert claim.keys() >= {"id", "text", "source", "verdict", "effect", "ci", "p", "margin", "stability"}
        assert claim["verdict"] in ("supported", "contradicted", "inconclusive")
        assert set(claim["stability"]) == {"gdr-clap", "gdr-clap-s1"}


def test_the_summary_does_not_say_where_or_when(small_run):
    run, _ = small_run
    words = [str(leaf) for leaf in leaves(json.loads(summary_of(run)))]
    packages = json.loads((run / "provenance.json").read_text())["packages"]
    forbidden = {socket.gethostname(), str(run), str(run.parents[2]), *packages.values()}
    for word in words:
        assert word not in forbidden
        assert not word.startswith(("/", "\\"))
        assert not re.search(r"\d{4}-\d\d-\d\dT", word)
    assert not {"host", "seconds", "started", "threads", "device", "packages"} & set(words)


def test_provenance_says_where_and_when(small_run):
    run, _ = small_run
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["run_id"] == run.name
    assert provenance.keys() >= {
        "started",
        "seconds",
        "phases",
        "cell_seconds",
        "threads",
        "device",
        "host",
        "packages",
    }
    assert set(provenance["cell_seconds"]) == {cell["key"] for cell in json.loads(summary_of(run))["cells"]}


def test_values_per_query(small_run):
    run, _ = small_run
    summary = json.loads(summary_of(run))
    per_query = {key for key, info in summary["metric_info"].items() if info["level"] == "query"}
    for cell in summary["cells"]:
        file = run / "per_query" / f"{cell['key']}.parquet"
        assert pq.read_schema(file).metadata[b"schema_version"] == b"1"
        frame = pd.read_parquet(file)
        assert len(frame) == cell["n_queries"]
        assert {"query_id", "cluster_id", "relevant_id", "negative_id", "rank", "top_10"} <= set(frame.columns)
        assert (frame[sorted(per_query)].dtypes == "float64").all()
        assert set(frame["top_10"].map(len)) == {10}
        assert frame["rank"].between(1, cell["n_gallery"]).all()
        assert frame["query_id"].is_unique
        for key in per_query - {"MedR"}:
            value = cell["metrics"][key]["value"]
            assert value is None or value == pytest.approx(frame[key].mean()), key


# --- the same numbers again -------------------------------------------------------------------------------------------


def test_the_summary_is_the_same_from_the_cache(small_run, run_small, no_report, tmp_path, monkeypatch):
    run, cache = small_run
    for name in ("query", "query_negative"):
        monkeypatch.setattr(f"gdr.retriever.GDR.{name}", lambda *a, **k: pytest.fail("computed again"))
    again = run_small(tmp_path / "elsewhere", cache)
    assert again != run
    assert again.name == run.name
    assert summary_of(again) == summary_of(run)


def test_the_summary_is_the_same_from_an_empty_cache(small_run, run_small, no_report, tmp_path):
    again = run_small(tmp_path / "out", tmp_path / "cache")
    assert summary_of(again) == summary_of(small_run[0])


def test_fresh_computes_everything_again_and_finds_the_same(small_run, run_small, no_report, tmp_path, monkeypatch):
    run, cache = small_run
    shutil.copytree(cache, tmp_path / "cache")
    calls = record_calls(monkeypatch)
    again = run_small(tmp_path / "out", tmp_path / "cache", fresh=True)
    assert summary_of(again) == summary_of(run)
    assert calls
    assert len(calls) == len(set(calls))  # once for all cells that share it


def test_a_killed_run_goes_on_where_it_stopped(small_run, small_suite, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "bench", "run", str(small_suite), "--out", str(out), "--threads", "1", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while process.poll() is None and len(list(out.glob("small/*/cells/*.json"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run was over before it could be killed"
    (run,) = out.glob("small/*")
    assert not (run / "summary.json").exists()
    before = {file.name: file.stat().st_mtime_ns for file in (run / "cells").glob("*.json")}
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    assert summary_of(run) == summary_of(small_run[0])
    assert {name: (run / "cells" / name).stat().st_mtime_ns for name in before} == before
    assert not [file for file in run.rglob(".*") if file.is_file() and file.name != ".report"]


def record_calls(monkeypatch):
    """What the retriever is asked from now on: (prompts, negatives, guidance, samples, seed, weights)."""
    from gdr.retriever import GDR

    calls = []
    query, query_negative = GDR.query, GDR.query_negative

    def asked(self, prompts, sampling):
        calls.append((tuple(prompts), sampling, self.weights))
        return query(self, prompts, sampling)

    def asked_negative(self, prompts, negatives, w, sampling):
        calls.append((tuple(prompts), tuple(negatives), w, sampling, self.weights))
        return query_negative(self, prompts, negatives, w, sampling)

    monkeypatch.setattr(GDR, "query", asked)
    monkeypatch.setattr(GDR, "query_negative", asked_negative)
    return calls


@pytest.mark.parametrize("cells", [1, 4, 11])
def test_an_interrupted_run_asks_nothing_twice(small_run, run_small, no_report, tmp_path, monkeypatch, cells):
    calls = record_calls(monkeypatch)

    def stop(done, total, what):
        if done == cells:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_small(tmp_path / "out", tmp_path / "cache", tick=stop)
    first = list(calls)
    calls.clear()
    run = run_small(tmp_path / "out", tmp_path / "cache")
    assert first
    assert calls
    assert not set(first) & set(calls)
    assert summary_of(run) == summary_of(small_run[0])


def test_cells_are_told_one_by_one(run_small, small_run, no_report, tmp_path):
    told = []
    run = run_small(tmp_path / "out", small_run[1], tick=lambda done, total, what: told.append((done, total, what)))
    cells = len(json.loads(summary_of(run))["cells"])
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][:2] == (cells, cells) or told[-1][0] == cells
    assert any("negative-prompting" in what for _, _, what in told)


DAMAGE = [b"", b"\x93NUMPY\x01\x00v\x00", b'{"key": "cut sho', b"PAR1 no"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_made_again(small_run, run_small, no_report, tmp_path, damage):
    run, cache = small_run
    shutil.copytree(cache, tmp_path / "cache")
    shutil.copytree(run.parents[1], tmp_path / "out")
    copied = tmp_path / "out" / run.parent.name / run.name
    hurt = [*(tmp_path / "cache").rglob("*.*"), *(copied / "cells").iterdir(), *(copied / "per_query").iterdir()]
    files = [file for file in hurt if file.is_file()]
    assert {file.suffix for file in files} == {".npy", ".json", ".parquet"}
    for file in files[:: len(DAMAGE)]:
        file.write_bytes(damage)
    (copied / "summary.json").unlink()
    assert summary_of(run_small(tmp_path / "out", tmp_path / "cache")) == summary_of(run)


def test_a_cached_cell_takes_the_names_of_the_suite_that_asks(small_run, write_suite, run_small, no_report, tmp_path):
    """The same weights under another id share the cache, and are still reported under their own id."""
    keys = {"name": "named", "replicates": [], "claims": [], "modifiers": [], "metrics": ["R@10"], "presets": {}}
    settings = {"sampler": "ddim-2", "samples": 1, "queries": 5, "candidates": 20}
    seen = {}
    for own in ("gdr-clap", "mine"):
        retriever = {"name": "gdr", "id": own, "space": "clap", "weights": "gdr-clap"}
        suite = write_suite(tmp_path / own, retrievers=[retriever], settings=settings, **keys)
        run = run_small(tmp_path / "out", tmp_path / "cache", suite=suite)
        (cell,) = json.loads(summary_of(run))["cells"]
        assert cell["retriever"] == own
        seen[own] = cell["key"]
    assert seen["mine"] == seen["gdr-clap"]


def test_a_finished_run_is_read_without_torch(small_run, small_suite, python):
    run, cache = small_run
    code = (
        "import sys; from bench.cli import main; "
        f"code = main(['run', {str(small_suite)!r}, '--out', {str(run.parents[1])!r}, '--threads', '1', '--quiet']); "
        "sys.exit(code or 3 * ('torch' in sys.modules))"
    )
    done = python("-c", code, BENCH_CACHE_DIR=cache)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(run.name)


def test_a_run_opens_no_socket(run_small, small_run, no_report, tmp_path, monkeypatch):
    def refuse(*arguments, **keys):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    run = run_small(tmp_path / "out", tmp_path / "cache")
    assert summary_of(run) == summary_of(small_run[0])


def test_another_seed_is_another_run(small_run, run_small, no_report, tmp_path):
    run = run_small(tmp_path / "out", tmp_path / "cache", seeds=[7], replicates=[])
    other = json.loads(summary_of(run))
    assert run.name != small_run[0].name
    assert {cell["seed"] for cell in other["cells"]} == {7}
    assert not {c["key"] for c in other["cells"]} & {c["key"] for c in json.loads(summary_of(small_run[0]))["cells"]}


# --- what cannot be run -----------------------------------------------------------------------------------------------


@pytest.fixture
def copied_bundle(bundle_ready, tmp_path, monkeypatch):
    """A copy of the bundle's folder, in use."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for file in bundle_ready.iterdir():
        if file.is_file() and file.suffix != ".py":
            (folder / file.name).symlink_to(file)
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(folder))
    return folder


def remove(file):
    file.unlink()


def damage(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["gdr-clap.safetensors", "mini-clap.safetensors", "truth-sd-test.parquet"])
@pytest.mark.parametrize("hurt", [remove, damage])
def test_a_bundle_file_that_is_not_whole_is_named(copied_bundle, small_suite, tmp_path, capsys, name, hurt):
    hurt(copied_bundle / name)
    code = main(["run", str(small_suite), "--out", str(tmp_path / "out"), "--threads", "1"])
    error = capsys.readouterr().err
    assert code == 2
    assert str(copied_bundle / name) in error
    assert "make bundle" in error
    assert "Traceback" not in error
    assert not list((tmp_path / "out").rglob("*.json"))


def test_a_file_that_the_suite_does_not_need_may_be_missing(copied_bundle, run_small, small_run, no_report, tmp_path):
    (copied_bundle / "ridge-clap.safetensors").unlink()
    assert summary_of(run_small(tmp_path / "out", small_run[1])) == summary_of(small_run[0])


def test_a_bundle_without_its_manifest_is_named(copied_bundle, small_suite, tmp_path, capsys):
    (copied_bundle / "manifest.json").unlink()
    assert main(["run", str(small_suite), "--out", str(tmp_path / "out")]) == 2
    assert "manifest.json" in capsys.readouterr().err


@pytest.mark.parametrize("blocked", ["out", "cache"])
def test_a_file_in_the_way_of_a_folder(small_suite, tmp_path, monkeypatch, capsys, blocked):
    (tmp_path / blocked).write_text("here first")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    code = main(["run", str(small_suite), "--out", str(tmp_path / "out"), "--threads", "1"])
    error = capsys.readouterr().err
    assert code == 2
    assert str(tmp_path / blocked) in error
    assert ("--out" if blocked == "out" else "BENCH_CACHE_DIR") in error
    assert (tmp_path / blocked).read_text() == "here first"
    assert not list(tmp_path.rglob("*.json"))


def test_a_run_writes_below_out_and_the_cache_only(small_suite, small_run, no_report, tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    run_suite(load_suite(small_suite), RunOptions(tmp_path / "out", tmp_path / "cache"))
    assert not list(work.iterdir())
    assert {entry.name for entry in tmp_path.iterdir()} == {"work", "out", "cache"}
