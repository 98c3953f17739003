"""Time of one query: what is timed and what is not, and what latency.json says of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import jsonschema
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from bench import hardware, latency, registry
from bench.encoders.mini import MiniEncoder
from bench.errors import NotApplicable, UserError
from bench.latency import WARM_UP, cuda_clock, measure_query, measure_ranking, measure_run, prompts_of, write_latency
from bench.protocols import Dataset, QuerySet, Sampling
from bench.report.schemas import Latency, json_schema
from bench.store.sums import SUMS, damaged_files, write_sums

DIM = 128
PROMPTS = [f"prompt {i}" for i in range(WARM_UP + 9)]
SETTINGS = {"guidance": 3.0, "sampler": "dpm++2m-10", "samples": 2, "queries": 10}


class Sleepy:
    """A retriever that takes as long as it is told, and longer the first time; it remembers what it was asked."""

    name = "sleepy"
    version = 1
    deterministic = False
    asked: ClassVar[list[tuple[list[str], Sampling]]] = []

    def __init__(self, space: Any = None, seconds: float = 0.0, first: float = 0.0, why: str = "") -> None:
        self.space, self.seconds, self.first, self.why = space, seconds, first, why
        self.calls = 0

    def bundle_files(self) -> tuple[str, ...]:
        return ()

    def digest(self) -> str:
        return "d"

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        self.asked.append((list(prompts), sampling))
        if self.why:
            raise NotApplicable(self.why)
        self.calls += 1
        time.sleep(self.first if self.calls <= WARM_UP and self.first else self.seconds)
        rows = np.arange(len(prompts) * sampling.samples * DIM, dtype=np.float32) + len(prompts[0])
        return rows.reshape(len(prompts), sampling.samples, DIM)


class OfSets(Sleepy):
    """One that answers whole sets."""

    base = Sleepy()

    def query_set(self, asked: QuerySet, sampling: Sampling, ask: Any) -> np.ndarray:
        raise AssertionError("not to be asked")


@pytest.fixture(autouse=True)
def parts() -> Iterator[None]:
    """Retrievers `sleepy` and `of-sets`, which nobody has asked yet."""
    Sleepy.asked.clear()
    with registry.retrievers.temporary("sleepy", Sleepy), registry.retrievers.temporary("of-sets", OfSets):
        yield


# --- one query --------------------------------------------------------------------------------------------------------


def test_a_known_time_is_measured_and_the_warm_up_does_not_count() -> None:
    found, _ = measure_query(Sleepy(seconds=0.02, first=0.3), PROMPTS, Sampling())
    assert found.n == 9
    assert 0.02 <= found.p10 <= found.median <= found.p90
    assert found.median < 0.05
    assert found.p90 < 0.3


def test_percentiles_are_those_of_the_timed_calls_and_nothing_is_rounded() -> None:
    given = [100.0] * WARM_UP + [i / 3e6 for i in range(1, 10)]
    seconds = iter(given)

    def clock(action: Callable[[], Any]) -> float:
        action()
        return next(seconds)

    found, _ = measure_query(Sleepy(), PROMPTS, Sampling(), clock)
    assert found.median == 5 / 3e6
    assert (found.p10, found.p90) == pytest.approx((1.8 / 3e6, 8.2 / 3e6), rel=1e-12)


def test_prompts_are_asked_one_at_a_time_and_once() -> None:
    _, vectors = measure_query(Sleepy(), PROMPTS, Sampling(samples=4, guidance=2.0))
    assert [texts for texts, _ in Sleepy.asked] == [[prompt] for prompt in PROMPTS]
    assert {(sampling.samples, sampling.guidance) for _, sampling in Sleepy.asked} == {(4, 2.0)}
    assert vectors.shape == (9, DIM)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    with pytest.raises(ValueError, match="twice"):
        measure_query(Sleepy(), [*PROMPTS, PROMPTS[0]], Sampling())
    with pytest.raises(ValueError, match="none is left"):
        measure_query(Sleepy(), PROMPTS[:WARM_UP], Sampling())


def test_the_search_is_timed_one_query_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def search(queries: np.ndarray, gallery: np.ndarray, k: int) -> np.ndarray:
        asked.append((queries.shape, len(gallery), k))
        time.sleep(0.1 if len(asked) <= WARM_UP else 0.01)
        return np.zeros((1, k))

    monkeypatch.setattr(latency, "top_k", search)
    found = measure_ranking(np.eye(5, DIM), np.eye(30, DIM))
    assert found.n == 5
    assert asked == [((1, DIM), 30, 10)] * (WARM_UP + 5)
    assert 0.01 <= found.median < 0.1


def test_a_gpu_is_idle_before_and_after_what_is_timed() -> None:
    """With a library in the place of torch: what a GPU itself makes of it is not tested here."""
    said: list[str] = []

    class Event:
        made = 0

        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            Event.made += 1
            self.name = f"event {Event.made}"

        def record(self) -> None:
            said.append(self.name)

        def elapsed_time(self, other: Event) -> float:
            said.append(f"{self.name} to {other.name}")
            return 12.5

    class On:
        def __init__(self, device: str) -> None:
            self.device = device

        def __enter__(self) -> None:
            said.append(f"on {self.device}")

        def __exit__(self, *_: object) -> None:
            said.append("off")

    cuda = SimpleNamespace(Event=Event, device=On, synchronize=lambda: said.append("wait"))
    clock = cuda_clock(SimpleNamespace(cuda=cuda, device=str), "cuda:1")
    assert clock(lambda: said.append("query")) == 0.0125
    assert said == ["on cuda:1", "wait", "event 1", "query", "event 2", "wait", "event 1 to event 2", "off"]


def test_the_same_different_captions_every_time() -> None:
    frame = pd.DataFrame({"text": [f"caption {i // 2}" for i in range(20)]})
    dataset = Dataset("toy", (), frame, None, "f")
    found = prompts_of(dataset, 8)
    assert len(set(found)) == 8
    assert found == prompts_of(dataset, 8)
    with pytest.raises(UserError, match=r"'toy' has 10 different captions, 11 are needed .*lower --queries"):
        prompts_of(dataset, 11)


# --- a run ------------------------------------------------------------------------------------------------------------


def _cell(retriever: str, dataset: str = "sd", **fields: Any) -> dict[str, Any]:
    return {
        "key": f"{retriever}-{dataset}-{len(fields)}", "dataset": dataset, "space": "mini-clap", "retriever": retriever,
        "modifier": "none", "params": {"guidance": 3.0, "samples": 2}, "seed": 0, "n_queries": 10, "n_gallery": 706,
        "nfe": 20, "replicate": False, "metrics": {}, "data_fingerprint": "f", "encoder_digest": "e",
        "dataset_name": f"gmcaps/{dataset}", "protocol": "track", **fields,
    }  # fmt: skip


def _ref(name: str, kind: str = "sleepy", **fields: Any) -> dict[str, Any]:
    return {"id": name, "name": kind, "space": "mini-clap", "weights": None, "options": {}, "sampling": {}, **fields}


@pytest.fixture
def make_run(tmp_path: Path, bundle_ready: Path) -> Callable[..., Path]:
    """`make(retrievers, cells, **resolved)`: a run on two sets of 706 tracks."""

    def make(retrievers: Sequence[dict[str, Any]], cells: Sequence[dict[str, Any]], **resolved: Any) -> Path:
        folder = tmp_path / "results" / "mine" / "one"
        folder.mkdir(parents=True)
        summary = {"schema_version": 1, "suite": "mine", "preset": "quick", "cells": list(cells), "metric_info": {}}
        (folder / "summary.json").write_text(json.dumps(summary))
        said = {
            "name": "mine", "title": "Mine", "group": "default", "profile": "mini", "preset": "quick",
            "datasets": [{"id": "sd", "name": "gmcaps/sd", "options": {}},
                         {"id": "mc", "name": "gmcaps/mc", "options": {"tracks": 706}}],
            "spaces": {"clap": "mini-clap"}, "retrievers": list(retrievers), "replicates": [], "seeds": [7],
            "prompts": None, "settings": SETTINGS, "replicate_settings": SETTINGS, **resolved,
        }  # fmt: skip
        with (folder / "suite.resolved.yaml").open("w") as file:
            YAML(typ="safe", pure=True).dump(said, file)
        return folder

    return make


def test_a_retriever_is_asked_once_for_all_datasets_and_not_from_the_cache(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = make_run([_ref("slow", options={"seconds": 0.01})], [_cell("slow"), _cell("slow", "mc")])
    for times in (1, 2):  # nor from what the first time left
        write_latency(run, queries=4)
        assert len(Sleepy.asked) == times * (WARM_UP + 4)
    assert not (tmp_path / "cache").exists()
    assert {sampling for _, sampling in Sleepy.asked} == {Sampling("dpm++2m-10", 3.0, 2, 7)}
    cells = json.loads((run / "latency.json").read_text())["cells"]
    one, other = cells["slow-sd-0"], cells["slow-mc-0"]
    assert one["query"] == other["query"]
    assert one["query"]["median"] >= 0.01
    assert one["ranking"] != other["ranking"]
    assert 0 < one["ranking"]["median"] < 0.01


def test_no_retriever_finds_a_text_encoded_by_an_earlier_one(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[list[str]] = []
    real = MiniEncoder.encode_text

    def encode(self: MiniEncoder, texts: Sequence[str], batch_size: int = 256) -> Any:
        encoded.append(list(texts))
        return real(self, texts, batch_size)

    monkeypatch.setattr(MiniEncoder, "encode_text", encode)
    run = make_run([_ref(name, "contrastive") for name in ("one", "two")], [_cell("one"), _cell("two")])
    measure_run(run, queries=4)
    assert len(encoded) == 2 * (WARM_UP + 4)
    assert {len(texts) for texts in encoded} == {1}
    assert encoded[: WARM_UP + 4] == encoded[WARM_UP + 4 :], "all are asked the same captions"


def test_which_cells_are_timed_and_under_which_sampling(make_run: Callable[..., Path]) -> None:
    rows = [_ref("plain"), _ref("weak", sampling={"guidance": 1.0, "samples": 5})]
    cells = [
        _cell("plain"), _cell("plain", params={"guidance": 1.5}, key="guidance"),
        _cell("plain", modifier="slerp", key="slerp"), _cell("weak", params={"guidance": 1.0, "samples": 5}, nfe=10),
        _cell("other", replicate=True),
    ]  # fmt: skip
    found = measure_run(make_run(rows, cells, replicates=[_ref("other")]), queries=2)["cells"]
    assert {key: (cell["nfe"], cell["samples"]) for key, cell in found.items()} == {
        "plain-sd-0": (20, 2), "weak-sd-2": (10, 5),
    }  # fmt: skip
    assert {(sampling.guidance, sampling.samples) for _, sampling in Sleepy.asked} == {(3.0, 2), (1.0, 5)}


def test_what_has_no_time_says_why(make_run: Callable[..., Path]) -> None:
    rows = [_ref("set", "of-sets"), _ref("mute", options={"why": "has no text tower"}), _ref("changed"), _ref("same")]
    run = make_run(rows, [_cell(row["id"]) for row in rows])
    digests = {"retriever changed": "another", "retriever same": "d"}
    (run / "provenance.json").write_text(json.dumps({"digests": digests}))
    found = measure_run(run, queries=2)
    why = {cell["retriever"]: cell["why_null"] for cell in found["cells"].values()}
    assert why == {
        "set": latency.OF_SETS, "mute": "has no text tower", "changed": latency.OTHER_WEIGHTS, "same": None,
    }  # fmt: skip
    for cell in found["cells"].values():
        assert (cell["query"] is None) == (cell["ranking"] is None) == (cell["retriever"] != "same")
    _check(found)


def test_edits_of_real_tracks_begin_with_no_text(make_run: Callable[..., Path]) -> None:
    run = make_run([_ref("plain")], [_cell("plain", nfe=0)], prompts={"track_edits": [{"id": "p", "text": "with"}]})
    (cell,) = measure_run(run, queries=2)["cells"].values()
    assert cell["why_null"] == latency.GIVEN
    assert not Sleepy.asked


def _check(document: dict[str, Any]) -> None:
    """By the model, and by the published schema."""
    Latency.model_validate_json(json.dumps(document))
    schema = json_schema()
    own = {"$ref": "#/$defs/Latency", "$defs": schema["$defs"]}
    jsonschema.Draft202012Validator(own).validate(document)


def test_the_file_says_where_and_with_what_it_was_measured(make_run: Callable[..., Path]) -> None:
    run = make_run([_ref("plain")], [_cell("plain")])
    (run / "latency.json").write_text("what was there before")
    said: list[str] = []
    file = write_latency(run, queries=2, threads=1, tick=said.append)
    document = json.loads(file.read_text())
    _check(document)
    assert said == ["plain"]
    assert (document["threads"], document["device"], document["clock"]) == (1, "cpu", "perf_counter")
    assert document["prompts"] == "gmcaps/sd"
    assert document["packages"]["numpy"] == np.__version__
    assert document["host"]["processor"] == hardware.processor()
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_the_runs_checksums_leave_it_alone(make_run: Callable[..., Path]) -> None:
    run = make_run([_ref("plain")], [_cell("plain")])
    write_latency(run, queries=2)
    write_sums(run)
    assert "latency.json" not in (run / SUMS).read_text()
    write_latency(run, queries=2)
    assert damaged_files(run) == []


def test_a_run_that_cannot_be_timed_is_refused(make_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"summary\.json: no such file; name a run's folder"):
        measure_run(tmp_path)
    run = make_run([_ref("plain")], [_cell("plain")])
    with pytest.raises(UserError, match="lower --queries"):
        measure_run(run, queries=100_000)
    resolved = run / "suite.resolved.yaml"
    resolved.write_text(resolved.read_text().replace("id: plain", "id: other"))
    with pytest.raises(UserError, match=r"has no retriever 'plain', but summary\.json has"):
        measure_run(run)
    resolved.write_text("name: mine\n")
    with pytest.raises(UserError, match=r"suite\.resolved\.yaml: is not a resolved suite \(KeyError"):
        measure_run(run)
    resolved.unlink()
    with pytest.raises(UserError, match=r"suite\.resolved\.yaml: is missing"):
        measure_run(run)
    assert not (run / "latency.json").exists()
