"""Run a suite: plan, then cell by cell, then claims and summary; resumable, one atomic write a cell.

Processes that run one suite at once share its cells: one that another is computing is left for last.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import bundle, registry
from bench.cells import CellStore
from bench.claims import Arm, CellData, family_frontier, judge_claims
from bench.errors import BundleError, NotApplicable
from bench.evaluate import evaluate, not_applicable, not_applicable_frame, per_query_frame
from bench.metrics.measured import Measured, Metric
from bench.plan import Cell, Plan, group_cells, nfe
from bench.provenance import Origin, Phases, provenance
from bench.run_folder import close_folder, make_report, open_folder
from bench.run_log import RunLog
from bench.settings import limited_threads
from bench.store import Cache, content_key, ensure_writable
from bench.store.sums import put

if TYPE_CHECKING:
    import pandas as pd

    from bench.suite import Suite
    from bench.tasks.build import Task, TaskBuilder

__all__ = ["RunOptions", "run_suite"]

SUMMARY_VERSION = 1
NEAR_CHANCE = 1.5  # a probe below this multiple of chance, and less than 5 points above it, encodes nothing useful


@dataclass(frozen=True)
class RunOptions:
    """How and where a suite is run; none of it changes a number, except through `threads` in the last digits."""

    out: Path
    cache_dir: Path
    threads: int = 1
    device: str = "cpu"
    fresh: bool = False


@dataclass
class _Progress:
    """Tells a listener how far the run is."""

    total: int
    tick: Callable[[int, int, str], None] | None
    done: int = 0
    label: str = ""

    def cell(self, label: str) -> None:
        self.label = label
        self._tell(label)

    def finished(self) -> None:
        self.done += 1
        self._tell(self.label)

    def busy(self, what: str) -> None:
        self._tell(f"{self.label}: {what}")

    def _tell(self, text: str) -> None:
        if self.tick:
            self.tick(self.done, self.total, text)


@dataclass
class _Group:
    """Cells that share dataset, retriever and seed; the task behind them is built only when one must be computed."""

    run: _Run
    cells: Sequence[Cell]

    @cached_property
    def task(self) -> Task:
        with self.run.phases.phase("dataset"):
            return self.run.tasks.build(self.cells[0])

    def measure(self, cell: Cell) -> Measured:
        modifier = None if cell.modifier == "none" else self.run.modifier(cell)
        task = self.task
        with self.run.phases.phase("rank"):  # what lies inside, such as queries, has phases of its own
            return task.measure(modifier, cell.strength, cell.guidance, cell.with_spread)


class _Run:
    """One run of a suite into one folder."""

    def __init__(
        self,
        suite: Suite,
        options: RunOptions,
        tick: Callable[[int, int, str], None] | None = None,
        tell: Callable[[list[str]], None] | None = None,
    ) -> None:
        self.suite, self.options, self.tell = suite, options, tell
        self.plan = Plan(suite, options.device)
        self.cache = Cache(options.cache_dir, options.fresh)
        self.store = CellStore(self.folder, self.cache, SUMMARY_VERSION)
        self.metrics: dict[str, Metric] = {key: self.plan.find_metric(key) for key in suite.metrics}
        self.phases, self.origin = Phases(), Origin(options.threads, options.device)
        self.progress = _Progress(len(self.plan.cells), tick)

    @cached_property
    def log(self) -> RunLog:
        return RunLog(self.folder)

    @cached_property
    def tasks(self) -> TaskBuilder:
        """Built when a cell must be computed: a run from the cache needs none of it."""
        from bench.tasks.build import TaskBuilder

        return TaskBuilder(self.suite, self.plan, self.cache, self.progress.busy, self.phases.phase)

    @cached_property
    def run_id(self) -> str:
        return content_key({"suite": self.suite.resolved(), "digests": self.plan.digests()})[:12]

    @cached_property
    def folder(self) -> Path:
        return self.options.out / self.suite.name.replace("-", "_") / self.run_id

    def modifier(self, cell: Cell) -> Any:
        return registry.modifiers.get(cell.modifier)(**cell.options)

    # --- cells -----------------------------------------------------------------------------------------------------

    def execute(self) -> Path:
        ensure_writable(self.options.out, "--out")
        ensure_writable(self.options.cache_dir, "BENCH_CACHE_DIR")
        with self.phases.phase("check"):
            problems = bundle.check(sorted(self.plan.bundle_files()))
        if problems:
            raise BundleError("\n".join(problems))
        ensure_writable(self.folder, "--out")
        suite, options = self.suite, self.options
        with self.log.of(
            f"{suite.name}, preset {suite.preset}, {len(self.plan.cells)} cells, threads {options.threads}, device "
            f"{options.device}{', fresh' if options.fresh else ''}"
        ):
            with self.phases.phase("check"):
                self._open()
            data, entries = self._cells()
            with self.phases.phase("claims"):
                judged = self._cached_json("claims", self._names(), lambda: self._judge(data))
            self._write_summary(entries, judged)
            with self.phases.phase("report"):
                make_report(self.folder, self.progress.busy)
            self._close(entries)
        return self.folder

    def _open(self) -> None:
        self.store.damaged += open_folder(self.folder)
        self.cache.remove_leftovers()
        self._write_resolved()

    def _close(self, entries: list[dict[str, Any]]) -> None:
        said = provenance(self, entries)
        close_folder(self.folder, said)
        for name in said["damaged"]:
            self.log.add(f"damaged and made again: {name}")
        if self.tell and said["damaged"]:
            self.tell(said["damaged"])

    def _cells(self) -> tuple[list[CellData], list[dict[str, Any]]]:
        """Every cell, in the plan's order: those first that no other process is computing."""
        planned = [
            (cell, group) for cells in group_cells(self.plan.cells).values()
            for group in [_Group(self, cells)] for cell in cells
        ]  # fmt: skip
        found: dict[int, tuple[CellData, dict[str, Any]]] = {}
        for wait in (False, True):
            for place, (cell, group) in enumerate(planned):
                if place in found:
                    continue
                self.progress.cell(_label(cell))
                with self.phases.cell(cell.key), self.phases.phase("cells"):
                    result = self._cell(cell, group, wait)
                if result is not None:
                    found[place] = _cell_data(cell, *result, group), result[0]
                    self.progress.finished()
        return [found[place][0] for place in sorted(found)], [found[place][1] for place in sorted(found)]

    def _cell(self, cell: Cell, group: _Group, wait: bool) -> tuple[dict[str, Any], pd.DataFrame] | None:
        """A cell from the run's folder, else from the cache, else computed; always left in both.

        None if another process is computing it and `wait` is off.
        """
        names = {"dataset": cell.dataset, "retriever": cell.retriever, "replicate": cell.replicate}
        if not self.options.fresh:
            found = self.store.of_run(cell.key) or self.store.of_cache(cell.key, names)
            if found is not None:
                return found
        waiting = partial(self.progress.busy, "waiting for another process")
        with self.cache.lock(cell.key, wait, waiting) as held:
            if not held:
                return None
            # Another process may have finished it while this one waited.
            found = None if self.options.fresh else self.store.of_cache(cell.key, names)
            if found is not None:
                return found
            before, began = self.log.seconds(), time.time()
            entry, frame = self._compute(cell, group)
            kept = self.store.keep(cell.key, entry, frame, names, self.origin.made(began))
            self.log.add(f"computed {cell.key} in {self.log.seconds() - before:.2f} s: {_label(cell)}")
            return kept

    def _compute(self, cell: Cell, group: _Group) -> tuple[dict[str, Any], pd.DataFrame]:
        task = group.task
        n_gallery = len(task.gallery.track_ids)
        try:
            measured = group.measure(cell)
            n_gallery = measured.n_gallery  # a task may rank among fewer: an edit's own track is left out
            with self.phases.phase("metrics"):
                frame = per_query_frame(measured, self.metrics, task.labels, task.gallery.track_ids)
                values = evaluate(measured, self.metrics, frame)
        except NotApplicable as reason:
            frame = not_applicable_frame(self.metrics, task.labels)
            values = not_applicable(self.metrics, str(reason))
        with self.phases.phase("metrics"):
            floors = getattr(task, "floors", {})
        part = self.plan.retrievers[cell.retriever]
        steps = int(self.plan.settings(cell.retriever).sampler.rsplit("-", 1)[1])
        modifier = None if cell.modifier == "none" else self.modifier(cell)
        entry = {
            "key": cell.key, "dataset": cell.dataset, "dataset_name": cell.dataset_name,
            "data_fingerprint": task.dataset.fingerprint, "space": cell.space,
            "encoder_digest": self.plan.space(self.plan.encoder(cell.retriever)).digest(), "retriever": cell.retriever,
            "modifier": cell.modifier, "params": dict(cell.params), "seed": cell.seed, "n_queries": len(frame),
            "n_gallery": n_gallery, "protocol": "track",
            "nfe": nfe(cell, modifier, steps, part.deterministic, getattr(task, "given", False)),
            "replicate": cell.replicate, "metrics": values, "floors": floors,
        }  # fmt: skip
        return entry, frame

    # --- claims and summary ----------------------------------------------------------------------------------------

    def _cached_json(self, kind: str, keys: list[Any], compute: Callable[[], Any]) -> Any:
        described = {"kind": kind, "cells": keys, "claims": [c.model_dump(mode="json") for c in self.suite.claims]}
        key = content_key({**described, "version": 1})
        stored = None if self.options.fresh else self.cache.read(kind, key, ".json")
        try:
            return json.loads(stored or b"")
        except (ValueError, RecursionError):  # not there, or damaged
            content = json.dumps(compute(), sort_keys=True, allow_nan=False).encode()
        self.cache.write(kind, key, ".json", content)
        return json.loads(content)

    def _names(self) -> list[Any]:
        """What a verdict depends on besides the claims: the cells, and what the suite calls their parts."""
        return [[cell.key, cell.dataset, cell.retriever, cell.replicate] for cell in self.plan.cells]

    def _judge(self, data: list[CellData]) -> dict[str, Any]:
        main, seed = self.suite.retrievers[0].id, self.suite.seeds[0]
        judged = {}
        for name, stands_for in self._families_of_seeds().items():
            own = [d for d in data if d.cell.seed == seed and (d.cell.retriever == name or not self.suite.prompt_set)]
            judged[name] = judge_claims(self.suite.claims, own, name, self.plan.find_metric, stands_for)
        for position, claim in enumerate(judged[main]):
            claim["stability"] = {name: verdicts[position]["verdict"] for name, verdicts in judged.items()}
        return {"claims": judged[main], "families": list(self._families(data, main, seed))}

    def _families_of_seeds(self) -> dict[str, dict[str, str]]:
        """Main retriever and its replicates -> what takes the place of each row that a claim names.

        The replicate `gdr-clap-s1` of `gdr-clap` stands for it, and `gdr-clap-s1-ot`, if there is one, for
        `gdr-clap-ot`: what is built on the main retriever has the main retriever's name in front.
        """
        main = self.suite.retrievers[0]
        known = {ref.id for ref in self.suite.replicates}
        found: dict[str, dict[str, str]] = {main.id: {}}
        for replicate in (ref for ref in self.suite.replicates if ref.name == main.name):
            built = [ref.id for ref in self.suite.retrievers if ref.id.startswith(main.id)]
            twins = {name: replicate.id + name.removeprefix(main.id) for name in built}
            found[replicate.id] = {name: twin for name, twin in twins.items() if twin in known}
        return found

    def _families(self, data: list[CellData], retriever: str, seed: int) -> Iterator[dict[str, Any]]:
        """The removal–kept frontier of every modifier that was swept."""
        negation = {"kept@10", "removal@10", "negated_share@10"} <= self.metrics.keys()
        editing = {"CLAP(gen+)", "gained@10", "wanted_share@10"} <= self.metrics.keys()
        if not negation and not editing:
            return
        own = [d for d in data if d.cell.retriever == retriever and d.cell.seed == seed]
        swept: dict[str, list[CellData]] = {}
        for d in own:
            if d.cell.modifier != "none":
                swept.setdefault(json.dumps([d.cell.dataset, d.cell.modifier, dict(d.cell.options)]), []).append(d)
        for members in swept.values():
            cell = members[0].cell
            base = next(d for d in own if d.cell.is_default and d.cell.dataset == cell.dataset)
            drawn = family_frontier(Arm(tuple(members), base))
            if drawn["area"]["value"] is None:
                continue  # nothing was there to remove, or nothing stated to keep
            yield {
                "dataset": cell.dataset, "space": cell.space, "retriever": retriever, "modifier": cell.modifier,
                "params": dict(cell.options), "seed": seed, **drawn,
            }  # fmt: skip

    def _write_resolved(self) -> None:
        from ruamel.yaml import YAML

        text = io.StringIO()
        YAML(typ="safe", pure=True).dump(self.suite.resolved(), text)
        put(self.folder, {"suite.resolved.yaml": text.getvalue().encode()})

    def _write_summary(self, entries: list[dict[str, Any]], judged: Mapping[str, Any]) -> None:
        info = {key: metric.info() for key, metric in self.metrics.items()}
        for entry in entries:
            for key, value in entry.pop("floors", {}).items():
                if key in info:
                    info[key].setdefault("floor", value)
        probes = {name: self.plan.space(name).probes() for name in self.suite.spaces.values()}
        summary = {
            "schema_version": SUMMARY_VERSION, "suite": self.suite.name, "title": self.suite.title,
            "profile": self.suite.profile, "preset": self.suite.preset, "cells": entries, "metric_info": info,
            "families": judged["families"], "claims": judged["claims"], "space_probes": probes,
            "not_encoded": self._not_encoded(probes),
        }  # fmt: skip
        text = json.dumps(summary, indent=1, sort_keys=True, allow_nan=False) + "\n"
        put(self.folder, {"summary.json": text.encode()})

    def _not_encoded(self, probes: Mapping[str, Any]) -> list[str]:
        """Attributes that a probe cannot read from the first retriever's space (PROTOCOL.md 2)."""
        own = probes[self.plan.space(self.suite.retrievers[0].space).name].get("sd", {})
        return sorted(
            name for name, probe in own.items()
            if probe["accuracy"] < NEAR_CHANCE * probe["chance"] and probe["accuracy"] - probe["chance"] < 0.05
        )  # fmt: skip


def _cell_data(cell: Cell, entry: Mapping[str, Any], frame: pd.DataFrame, group: _Group) -> CellData:
    """A cell as claims see it, with the reasons of its metrics that have no value."""
    reasons = {key: value["why_null"] for key, value in entry["metrics"].items() if value["value"] is None}
    return CellData(cell, frame, entry["n_gallery"], partial(group.measure, cell), reasons)


def _label(cell: Cell) -> str:
    options = " ".join(f"{v}" for v in cell.options.values())
    strength = "" if cell.strength is None else f" {cell.strength:g}"
    given = cell.params.get("guidance") if cell.modifier == "none" else None
    guidance = "" if given is None else f" guidance {given:g}"
    return " ".join(f"{cell.dataset} {cell.retriever} {cell.modifier} {options}{strength}{guidance}".split())


def run_suite(
    suite: Suite,
    options: RunOptions,
    tick: Callable[[int, int, str], None] | None = None,
    tell: Callable[[list[str]], None] | None = None,
) -> Path:
    """Run a suite and return the folder of its results.

    Args:
        suite: a validated suite (`bench.suite.load_suite`).
        options: where and how.
        tick: called with (cells done, cells in all, what is being done).
        tell: called at the end with the files that were damaged and have been made again, if there are any.

    Raises:
        UserError: a part, a bundle file or a folder is not usable; nothing is left half-written.
    """
    with limited_threads(options.threads):
        return _Run(suite, options, tick, tell).execute()
