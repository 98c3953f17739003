"""A suite as a list of cells: what is computed, cached, resumed and reported one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.metrics.measured import Metric
from bench.protocols import SetRetriever
from bench.queries import Origin, base_name, plugin_of
from bench.space import BundledSpace
from bench.store import content_key

if TYPE_CHECKING:
    from bench.suite import RetrieverRef, Settings, Suite

__all__ = ["Cell", "MetricFinder", "Plan"]

#: Raised when what a cell's numbers mean changes without any component's version changing.
CELL_VERSION = 4
#: The same for cells of edits of real tracks alone.
TRACK_EDITS_VERSION = 2


@dataclass(frozen=True)
class Cell:
    """One (dataset × space × retriever × modifier × seed) of a suite."""

    key: str
    dataset: str
    """Role or name in the suite, such as `sd`."""
    dataset_name: str
    space: str
    retriever: str
    """Instance id, such as `gdr-clap`."""
    modifier: str
    options: Mapping[str, Any]
    """Resolved options of the modifier."""
    strength: float | None
    guidance: float | None
    """Guidance of an unmodified cell; None where the modifier sets it."""
    is_default: bool
    """An unmodified cell at the suite's own guidance."""
    with_spread: bool
    seed: int
    replicate: bool
    params: Mapping[str, Any] = field(default_factory=dict)
    """What summary.json prints: only what applies."""
    metrics: tuple[str, ...] = ()

    @property
    def facets(self) -> dict[str, Any]:
        """What a claim's selector may name besides the modifier's options."""
        return {
            "dataset": self.dataset, "space": self.space, "retriever": self.retriever, "modifier": self.modifier,
            "seed": self.seed,
        }  # fmt: skip

    @property
    def group(self) -> tuple[str, str, int]:
        """Cells of a group share dataset, retriever and seed."""
        return self.dataset, self.retriever, self.seed


class MetricFinder:
    """Metric key -> the registered family that answers to it; each is imported once."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {name: registry.metrics.get(name) for name in registry.metrics.names()}

    def __call__(self, key: str) -> Metric:
        return self._families[self.registered(key)]

    def registered(self, key: str) -> str:
        """Name under which the family is registered."""
        return next(name for name, family in self._families.items() if family.match(key))


class Plan:
    """The cells of a suite and the parts they are made of; loads no weights and no data."""

    def __init__(self, suite: Suite, device: str = "cpu") -> None:
        self.suite = suite
        self.device = device
        self.spaces: dict[str, BundledSpace] = {}

    # --- parts ---

    @cached_property
    def find_metric(self) -> MetricFinder:
        return MetricFinder()

    def space(self, encoder: str) -> BundledSpace:
        if encoder not in self.spaces:
            self.spaces[encoder] = BundledSpace(registry.encoders.get(encoder)())
        return self.spaces[encoder]

    def _ref(self, retriever: str) -> RetrieverRef:
        return next(ref for ref in (*self.suite.retrievers, *self.suite.replicates) if ref.id == retriever)

    def encoder(self, retriever: str) -> str:
        """Registry name of the encoder in whose space a retriever's queries lie."""
        return self._ref(retriever).space

    @cached_property
    def datasets(self) -> dict[str, Any]:
        """Dataset id -> registered source."""
        return {ref.id: registry.datasets.get(ref.name)() for ref in self.suite.datasets}

    @cached_property
    def retrievers(self) -> dict[str, Any]:
        """Retriever id -> retriever, unloaded."""
        made = {}
        for ref in [*self.suite.retrievers, *self.suite.replicates]:
            kind = registry.retrievers.get(ref.name)
            accepted = registry.retrievers.options(ref.name) or frozenset({"weights"})
            options = dict(ref.options)
            if "device" in accepted:
                options["device"] = self.device
            if ref.weights is not None:
                options["weights"] = ref.weights
            made[ref.id] = kind(self.space(ref.space), **options)
        return made

    # --- cells ---

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell, group by group; the unmodified ones of a group first."""
        return list(self._cells())

    def _cells(self) -> Iterator[Cell]:
        replicates = {ref.id for ref in self.suite.replicates}
        claimed = self._claimed_strengths()
        for dataset in self.suite.datasets:
            for ref in [*self.suite.retrievers, *self.suite.replicates]:
                for seed in self.suite.seeds:
                    replicate = ref.id in replicates
                    for name, options, strength, guidance, primary in self._grid(ref.id):
                        if replicate and name != "none" and strength not in claimed.get(name, ()):
                            continue
                        yield self._cell(dataset, ref, seed, name, options, strength, guidance, primary, replicate)

    def _claimed_strengths(self) -> dict[str, set[float | None]]:
        """Modifier -> strengths that the claims need: all a replicate computes."""
        swept: dict[str, set[float | None]] = {}
        for row in self.suite.modifiers:
            swept.setdefault(row.name, set()).update(row.strengths)
        needed: dict[str, set[float | None]] = {}
        for claim in self.suite.claims:
            for selector in [claim.a, *(claim.b or [])]:
                name = selector.get("modifier", "none")
                named = {float(selector["strength"])} if "strength" in selector else swept.get(name, set()) - {0.0}
                needed.setdefault(name, set()).update(named)
        return needed

    def _grid(self, retriever: str) -> list[tuple[str, dict[str, Any], float | None, float | None, bool]]:
        """(modifier, options, strength, guidance, primary) of one retriever, the unmodified ones first."""
        settings = self.settings(retriever)
        rows: list[tuple[str, dict[str, Any], float | None, float | None, bool]] = []
        guidances = {settings.guidance}
        for row in self.suite.modifiers:
            modifier = registry.modifiers.get(row.name)(**row.options)
            for strength in row.strengths:
                primary = strength is None or strength == row.primary
                rows.append((row.name, modifier.options, strength, None, primary))
                guidances.add(modifier.guidance_before(strength, settings.guidance))
        if self.retrievers[retriever].deterministic or not self.suite.modifiers:
            guidances = {settings.guidance}
        rows[:0] = [("none", {}, None, g, g == settings.guidance) for g in sorted(guidances)]
        return rows

    def _cell(
        self, dataset: Any, ref: Any, seed: int, name: str, options: dict[str, Any], strength: float | None,
        guidance: float | None, primary: bool, replicate: bool,
    ) -> Cell:  # fmt: skip
        suite, retriever = self.suite, self.retrievers[ref.id]
        source = self.datasets[dataset.id]
        settings = self.settings(ref.id)
        params: dict[str, Any] = dict(options)
        if strength is not None:
            params["strength"] = strength
        if not retriever.deterministic:
            params.update(sampler=settings.sampler, samples=settings.samples)
            if guidance is not None:
                params["guidance"] = guidance
        metrics = tuple(suite.metrics)
        described = {
            "version": CELL_VERSION,
            "dataset": {"name": dataset.name, "options": dict(dataset.options), "digest": source.digest()},
            "dataset_version": source.version,
            "space": {"name": self.space(ref.space).name, "digest": self.space(ref.space).digest()},
            "retriever": {"name": ref.name, "digest": retriever.digest(), "version": retriever.version},
            "modifier": {"name": name, "version": getattr(registry.modifiers.get(name), "version", 1)},
            "params": params,
            "spread": [settings.diversity_samples, settings.diversity_queries] if primary else None,
            "seed": seed,
            "queries": settings.queries,
            "task": self.task_description(ref.id),
            "metrics": metrics,
            "plugins": [
                registry.retrievers.distribution(ref.name), registry.modifiers.distribution(name),
                registry.datasets.distribution(dataset.name), *self._further_plugins(ref),
            ],
            **self._metric_versions(),
            **self._renamed(ref.space),
        }  # fmt: skip
        return Cell(
            key=content_key(described), dataset=dataset.id, dataset_name=dataset.name, space=self.space(ref.space).name,
            retriever=ref.id, modifier=name, options=options, strength=strength, guidance=guidance,
            is_default=name == "none" and guidance == settings.guidance, with_spread=primary, seed=seed,
            replicate=replicate, params=params, metrics=metrics,
        )  # fmt: skip

    def _further_plugins(self, ref: RetrieverRef) -> list[str]:
        """`encoder`, `base` or metric key, and `name==version` of its plugin; built-ins have no entry."""
        brought = {
            "encoder": registry.encoders.distribution(ref.space),
            "base": self._plugin_of_base(ref),
            **{key: registry.metrics.distribution(self.find_metric.registered(key)) for key in self.suite.metrics},
        }
        return [f"{part} {plugin}" for part, plugin in brought.items() if plugin]

    def _plugin_of_base(self, ref: RetrieverRef) -> str | None:
        """Plugin of what a retriever is built on; None where that is built in, or nothing."""
        retriever = self.retrievers[ref.id]
        return plugin_of(base_name(retriever)) if isinstance(retriever, SetRetriever) else None

    def _renamed(self, encoder: str) -> dict[str, str]:
        """The encoder's registry name, where its class is called otherwise: two parts may share a class's name."""
        return {} if self.space(encoder).name == encoder else {"encoder": encoder}

    def _metric_versions(self) -> dict[str, Any]:
        """Versions of the metrics that are not in their first one; without any, nothing is added to a key."""
        versions = {key: self.find_metric(key).version for key in self.suite.metrics}
        later = {key: version for key, version in versions.items() if version != 1}
        return {"metric_versions": later} if later else {}

    def settings(self, retriever: str) -> Settings:
        """Settings of a retriever's cells: the preset's, or for a replicate of a control suite the suite's own.

        In a retrieval suite a replicate is held against other retrievers, so it needs the same queries as they. What a
        row says of its own sampling comes last.
        """
        ref = self._ref(retriever)
        own = ref in self.suite.replicates and self.suite.prompt_set is not None
        return replace(self.suite.replicate_settings if own else self.suite.settings, **ref.sampling)

    def task_description(self, retriever: str) -> dict[str, Any] | None:
        """What decides the queries of a control suite beside the dataset; None for a retrieval suite."""
        if self.suite.prompt_set is None:
            return None
        described = {} if not self.suite.prompt_set.track_edits else {"version": TRACK_EDITS_VERSION}
        return {
            **described,
            "prompts": self.suite.prompt_set.model_dump(mode="json", by_alias=True),
            "selection": self.suite.selection.model_dump(mode="json"),
            "candidates": self.settings(retriever).candidates,
            "guidance": self.settings(retriever).guidance,
            **(self._choice_of_pairs(retriever) if self.suite.prompt_set.negatives else {}),
        }

    def _choice_of_pairs(self, retriever: str) -> dict[str, Any]:
        """What the pairs of a suite of negatives are chosen by: the main retriever, sampled as the row's settings say.

        So a row that draws nothing itself still depends on how its pairs were drawn.
        """
        main, settings = self.suite.retrievers[0], self.settings(retriever)
        part = self.retrievers[main.id]
        return {
            "chosen_with": {"sampler": settings.sampler, "samples": settings.samples},
            "chosen_by": {
                "name": main.name, "digest": part.digest(), "version": part.version,
                "encoder": [main.space, self.space(main.space).encoder_digest()],
                "plugins": [
                    registry.retrievers.distribution(main.name), self._plugin_of_base(main),
                    registry.encoders.distribution(main.space),
                ],
            },
        }  # fmt: skip

    def origin(self, retriever: str) -> Origin:
        """Registry names behind a row."""
        ref = self._ref(retriever)
        return Origin(ref.name, ref.space)

    def bundle_files(self) -> set[str]:
        """Every bundle file that the run will read."""
        files: set[str] = set()
        for part in [*self.datasets.values(), *self.retrievers.values()]:
            files.update(part.files() if hasattr(part, "files") else part.bundle_files())
        for space in self.spaces.values():
            files.update(space.bundle_files())
        return files

    def digests(self) -> dict[str, str]:
        """Digest of every part, for the run's id and provenance."""
        return {
            **{f"retriever {name}": part.digest() for name, part in self.retrievers.items()},
            **{f"space {name}": space.digest() for name, space in self.spaces.items()},
            **{f"dataset {name}": source.digest() for name, source in self.datasets.items()},
        }


def nfe(cell: Cell, modifier: Any, steps: int, deterministic: bool, given: bool = False) -> int:
    """Network evaluations for one sample of one query; `given`: the unmodified query is a real track, not generated."""
    if deterministic:
        return 0
    if cell.modifier == "none":
        return 0 if given else steps * (1 if cell.guidance == 1 else 2)
    total = modifier.evaluations(cell.strength, steps)
    return total - 2 * steps if given and getattr(modifier, "from_query", True) else total


def group_cells(cells: Sequence[Cell]) -> dict[tuple[str, str, int], list[Cell]]:
    """Cells by (dataset, retriever, seed), in the plan's order."""
    groups: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    return groups
