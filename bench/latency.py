"""Time of one query: what a user waits for from a prompt to the vector that is searched with. No cache is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bench import bundle
from bench.errors import BundleError, NotApplicable, UserError
from bench.gallery import Gallery, query_vectors
from bench.hardware import host
from bench.metrics.retrieval import top_k
from bench.plan import Plan
from bench.protocols import Dataset, Retriever, Sampling, SetRetriever
from bench.provenance import package_versions
from bench.report.load import Run
from bench.settings import limited_threads
from bench.store import ensure_writable, write_atomic
from bench.suite import DatasetRef, RetrieverRef, Selection, Settings, Suite
from bench.tasks.common import TOP, gallery_of

__all__ = [
    "FILE", "QUERIES", "Clock", "Times", "clock_of", "cuda_clock", "measure_query", "measure_ranking", "measure_run",
    "prompts_of", "timed_cells", "wall_clock", "write_latency",
]  # fmt: skip

FILE = "latency.json"
SCHEMA_VERSION = 1
QUERIES = 20
WARM_UP = 3
"""Queries asked first that do not count: they load weights, and tables that all later queries share."""

OF_SETS = "it is fitted on all queries of an evaluation together, so that one query alone has no time"
GIVEN = "the unmodified query is a real track: nothing is made of a text"
OTHER_WEIGHTS = "its weights here are not those that the run measured; run the suite again"

Clock = Callable[[Callable[[], Any]], float]
"""Calls an action once; the seconds that it took."""

T = TypeVar("T")
R = TypeVar("R")


class Times(NamedTuple):
    """Seconds of n calls, one at a time; nothing is rounded."""

    median: float
    p10: float
    p90: float
    n: int


# --- clocks -----------------------------------------------------------------------------------------------------------


def wall_clock(action: Callable[[], Any]) -> float:
    """Seconds of an action by the processor's clock."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def cuda_clock(torch: Any, device: str) -> Clock:
    """A clock of CUDA events: from an idle GPU to the end of all that the action has put on its queue.

    The GPU is idle when the first event is put there, so work of the processor between the two events counts as well.

    Args:
        torch: the library.
        device: the GPU, such as `cuda` or `cuda:1`.
    """

    def clock(action: Callable[[], Any]) -> float:
        with torch.cuda.device(torch.device(device)):
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            before.record()
            action()
            after.record()
            torch.cuda.synchronize()
            return float(before.elapsed_time(after)) / 1000.0  # events count milliseconds

    return clock


def _mps_clock(torch: Any) -> Clock:
    def clock(action: Callable[[], Any]) -> float:
        torch.mps.synchronize()

        def whole() -> None:
            action()
            torch.mps.synchronize()

        return wall_clock(whole)

    return clock


def clock_of(device: str) -> tuple[str, Clock]:
    """Name of the clock for a torch device, and the clock."""
    kind = device.partition(":")[0]
    if kind == "cpu":
        return "perf_counter", wall_clock
    import torch

    return ("cuda events", cuda_clock(torch, device)) if kind == "cuda" else ("perf_counter", _mps_clock(torch))


# --- what is timed ----------------------------------------------------------------------------------------------------


def _each(action: Callable[[T], R], items: Sequence[T], clock: Clock, warm_up: int) -> tuple[Times, list[R]]:
    """Times of an action on each item but the first `warm_up`, which are done as well; and what it gave for those."""
    if len(items) <= warm_up:
        raise ValueError(f"{len(items)} items, of which {warm_up} warm up: none is left to time")
    seconds, results = [], list[R]()
    for item in items:
        seconds.append(clock(lambda item=item: results.append(action(item))))  # type: ignore[misc]
    p10, median, p90 = np.percentile(seconds[warm_up:], (10, 50, 90))
    return Times(float(median), float(p10), float(p90), len(items) - warm_up), results[warm_up:]


def measure_query(
    retriever: Retriever, prompts: Sequence[str], sampling: Sampling, clock: Clock = wall_clock, warm_up: int = WARM_UP
) -> tuple[Times, np.ndarray]:
    """Time of one query: a prompt in, the mean of its K samples at unit length out.

    Args:
        retriever: asked itself, past the cache of a run.
        prompts: texts that all differ and that this retriever was not asked before, for encoders keep what they have
            encoded; the first `warm_up` do not count.
        sampling: how latents are drawn.
        clock: see `clock_of`.
        warm_up: queries before those that are timed.

    Returns:
        Times, and the vectors of the timed queries (n, d).

    Raises:
        ValueError: a prompt is there twice, or none is left to time.
        NotApplicable: the retriever cannot answer a single query.
    """
    if len(set(prompts)) < len(prompts):
        raise ValueError("a prompt is there twice: its second time would be that of a memory")
    times, vectors = _each(lambda text: query_vectors(retriever.query([text], sampling)), prompts, clock, warm_up)
    return times, np.concatenate(vectors)


def measure_ranking(vectors: np.ndarray, unit: np.ndarray, warm_up: int = WARM_UP) -> Times:
    """Time of the search itself: the ten nearest of a gallery to one query vector, always on the processor.

    Args:
        vectors: (n, d) query vectors; the first also warm up.
        unit: (N, d) tracks at unit length, which are prepared once and not for each query.
        warm_up: searches before those that are timed.
    """
    rows = [vectors[i % len(vectors)][None] for i in range(-warm_up, len(vectors))]
    return _each(lambda row: top_k(row, unit, min(TOP, len(unit))), rows, wall_clock, warm_up)[0]


def prompts_of(dataset: Dataset, count: int) -> list[str]:
    """Different captions of a dataset, in an order that is always the same.

    Raises:
        UserError: it has fewer than `count`.
    """
    texts = list(dict.fromkeys(dataset.captions["text"]))
    if len(texts) < count:
        raise UserError(
            f"dataset {dataset.name!r} has {len(texts)} different captions, {count} are needed "
            f"({WARM_UP} to warm up); lower --queries"
        )
    return [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:count]]


# --- a run ------------------------------------------------------------------------------------------------------------


def measure_run(
    run_dir: str | Path, *, queries: int = QUERIES, device: str = "cpu", threads: int = 1,
    tick: Callable[[str], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Time the retrievers of a run on this machine.

    Every retriever is asked the same captions, those of the suite's first dataset, under the sampling of its cells. A
    time belongs to a retriever and its sampling; the cells of all datasets share it. What depends on the dataset, the
    search in its gallery, is timed by itself.

    Args:
        run_dir: `results/<suite>/<run-id>`.
        queries: timed for each retriever.
        device: torch device of retrievers that take one; text encoders run on the processor.
        threads: of torch, BLAS and OpenMP. Where torch is loaded already, what it was started with is the most.
        tick: called with a retriever's id before it is timed.

    Returns:
        The content of latency.json (`bench.report.schemas.Latency`).

    Raises:
        UserError: no run there, a run whose suite was not kept, or a dataset of too few captions.
    """
    run = Run(run_dir)
    suite = _suite(run)
    with limited_threads(threads):
        timing = _Timing(run, suite, device, queries, tick or (lambda _: None))
        cells = {cell["key"]: timing.entry(cell) for cell in timing.cells}
    return {
        "schema_version": SCHEMA_VERSION,
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "prompts": suite.datasets[0].name,
        "warm_up": WARM_UP,
        "threads": threads,
        "device": _device_name(device),
        "clock": timing.clock_name,
        "host": host(device),
        "packages": package_versions(),
        "cells": cells,
    }  # fmt: skip


def write_latency(run_dir: str | Path, **options: Any) -> Path:
    """Time a run's retrievers (`measure_run`) and write latency.json into its folder; an earlier one is replaced."""
    folder = Run(run_dir).folder
    ensure_writable(folder, "a copy of the run")
    document = measure_run(folder, **options)
    write_atomic(folder / FILE, json.dumps(document, indent=1, allow_nan=False) + "\n")
    return folder / FILE


def timed_cells(run: Run, settings: Callable[[str], Settings]) -> Iterator[dict[str, Any]]:
    """Unmodified cells at the guidance of their own row, without those of other training seeds.

    Args:
        run: the run.
        settings: retriever id -> what its row sets.
    """
    for cell in run.summary["cells"]:
        if cell["modifier"] == "none" and not cell.get("replicate"):
            own = settings(cell["retriever"]).guidance
            if cell["params"].get("guidance", own) == own:
                yield cell


class _Timing:
    """One measurement of a run: what was timed already is shared by the cells that follow."""

    def __init__(self, run: Run, suite: Suite, device: str, queries: int, tick: Callable[[str], None]) -> None:
        self.run, self.suite, self.device, self.tick = run, suite, device, tick
        self.plan = Plan(suite, device)
        problems = bundle.check(sorted(self.plan.bundle_files()))
        if problems:
            raise BundleError("\n".join(problems))
        self.clock_name, self._clock = clock_of(device)
        self._prompts = prompts_of(self._dataset(suite.datasets[0].id), WARM_UP + queries)
        self._digests = _digests(run)
        self._asked: dict[str, tuple[Times, np.ndarray] | str] = {}
        self._ranked: dict[tuple[str, str], Times] = {}

    @property
    def cells(self) -> list[dict[str, Any]]:
        return list(timed_cells(self.run, self.plan.settings))

    def entry(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        """What latency.json says of a cell."""
        name = cell["retriever"]
        if name not in self._asked:
            self.tick(name)
            self._asked[name] = self._ask(name)
        found = self._asked[name]
        why = found if isinstance(found, str) else None
        times, ranking = (None, None) if isinstance(found, str) else (found[0], self._rank(cell, found[1]))
        return {
            "retriever": name, "dataset": cell["dataset"], "space": cell["space"], "n_gallery": cell["n_gallery"],
            "nfe": cell["nfe"], "samples": cell["params"].get("samples", 1),
            "query": times and times._asdict(), "ranking": ranking and ranking._asdict(), "why_null": why,
        }  # fmt: skip

    def _ask(self, name: str) -> tuple[Times, np.ndarray] | str:
        """Times and vectors of a retriever, or why it has none."""
        # A plan of its own: in a shared one a text encoder would remember what an earlier retriever asked.
        retriever = Plan(self.suite, self.device).retrievers[name]
        if self._digests.get(f"retriever {name}", retriever.digest()) != retriever.digest():
            return OTHER_WEIGHTS
        if isinstance(retriever, SetRetriever):
            return OF_SETS
        if (self.run.resolved.get("prompts") or {}).get("track_edits"):
            return GIVEN
        settings = self.plan.settings(name)
        sampling = Sampling(settings.sampler, settings.guidance, settings.samples, self.suite.seeds[0])
        try:
            return measure_query(retriever, self._prompts, sampling, self._clock)
        except NotApplicable as reason:
            return str(reason)

    def _rank(self, cell: Mapping[str, Any], vectors: np.ndarray) -> Times:
        key = cell["dataset"], cell["space"]
        if key not in self._ranked:
            dataset, space = self._dataset(cell["dataset"]), self.plan.space(self.plan.encoder(cell["retriever"]))
            gallery: Gallery = gallery_of(dataset, self.plan.datasets[cell["dataset"]], space)
            self._ranked[key] = measure_ranking(vectors, gallery.unit)
        return self._ranked[key]

    def _dataset(self, name: str) -> Dataset:
        ref = next(ref for ref in self.suite.datasets if ref.id == name)
        loaded: Dataset = self.plan.datasets[name].load(**ref.options)
        return loaded


def _suite(run: Run) -> Suite:
    """The part of a run's suite that makes its retrievers: no modifiers, prompts, metrics or claims."""
    file = run.folder / "suite.resolved.yaml"
    if not run.resolved:
        raise UserError(f"{file}: is missing, so that the run's retrievers are not known; run the suite again")
    said = run.resolved
    refs = partial(_refs, RetrieverRef)
    try:
        suite = Suite(
            file=file, name=said["name"], title=said["title"], group=said["group"], requires=(),
            profile=said["profile"], preset=said["preset"], datasets=_refs(DatasetRef, said["datasets"]),
            spaces=said["spaces"], retrievers=refs(said["retrievers"]), replicates=refs(said["replicates"]),
            prompt_set=None, modifiers=(), metrics=(), seeds=tuple(said["seeds"]), selection=Selection(), claims=(),
            settings=Settings(**said["settings"]), replicate_settings=Settings(**said["replicate_settings"]),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise UserError(f"{file}: is not a resolved suite ({error!r}); run the suite again") from error
    for kind, named in (("dataset", suite.datasets), ("retriever", (*suite.retrievers, *suite.replicates))):
        missing = {cell[kind] for cell in run.summary["cells"]} - {ref.id for ref in named}
        if missing:
            raise UserError(f"{file}: has no {kind} {min(missing)!r}, but summary.json has; run the suite again")
    return suite


def _refs(kind: Callable[..., T], entries: Sequence[Mapping[str, Any]]) -> tuple[T, ...]:
    return tuple(kind(**entry) for entry in entries)


def _digests(run: Run) -> dict[str, str]:
    """Digests of the parts that the run measured; empty where its provenance was not kept."""
    try:
        found = json.loads((run.folder / "provenance.json").read_text(encoding="utf-8"))
        return dict(found.get("digests") or {})
    except (OSError, ValueError, AttributeError):
        return {}


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"
