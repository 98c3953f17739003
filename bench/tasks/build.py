"""From a cell of a plan to the task behind it: dataset, gallery, retriever, prompts, and what cells share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.metrics.measured import Lazy
from bench.protocols import Sampling
from bench.queries import QuerySource
from bench.tasks.common import SpreadSettings, gallery_of, given_captions, references_of, true_tracks, twins_of
from bench.tasks.editing import EditTask
from bench.tasks.negation import NegationTask
from bench.tasks.retrieval import RetrievalTask
from bench.tasks.track_editing import TrackEditTask, real_edits

if TYPE_CHECKING:
    from bench.plan import Cell, Plan
    from bench.store import Cache
    from bench.suite import Suite

__all__ = ["Task", "TaskBuilder"]

Task = RetrievalTask | NegationTask | EditTask | TrackEditTask


def _modifier_like(name: str) -> Any:
    """A modifier with its default options, for one that is built on another."""
    return registry.modifiers.get(name)()


class TaskBuilder:
    """Builds tasks; what several of them share (galleries, references, chosen pairs) is made once.

    Args:
        suite: what is run.
        plan: its parts.
        cache: where query latents are kept.
        busy: called with a short description before something is computed.
        phase: times what is done inside it.
    """

    def __init__(
        self, suite: Suite, plan: Plan, cache: Cache, busy: Callable[[str], None] | None = None,
        phase: Callable[[str], AbstractContextManager[Any]] = nullcontext,
    ) -> None:  # fmt: skip
        self.suite, self.plan, self.cache, self.busy, self.phase = suite, plan, cache, busy, phase
        self._shared: dict[str, Any] = {}

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def build(self, cell: Cell) -> Task:
        """The task of a cell: by the kind of the suite's prompts, or its captions where it has none."""
        prompts = self.suite.prompt_set
        if prompts is None:
            return self._retrieval(cell)
        if prompts.track_edits:
            return self._track_editing(cell)
        return self._editing(cell) if prompts.refinements else self._negation(cell)

    # --- kinds of task ---

    def _retrieval(self, cell: Cell) -> RetrievalTask:
        dataset, gallery, space = self._dataset(cell)
        settings = self.plan.settings(cell.retriever)
        given = given_captions(self.plan.datasets[cell.dataset])
        return RetrievalTask(
            dataset, gallery, self._source(cell.retriever), self._sampling(cell), settings.queries,
            self._spread(cell), self._references(cell), true_tracks(given, space), given,
        )  # fmt: skip

    def _editing(self, cell: Cell) -> EditTask:
        assert self.suite.prompt_set is not None
        dataset, gallery, _ = self._dataset(cell)
        return EditTask(
            dataset, gallery, self._source(cell.retriever), self.suite.prompt_set.refinements, self._sampling(cell),
            self._spread(cell), self._references(cell), _modifier_like,
        )  # fmt: skip

    def _track_editing(self, cell: Cell) -> TrackEditTask:
        assert self.suite.prompt_set is not None
        dataset, gallery, space = self._dataset(cell)
        edits = self._once(
            f"edits|{cell.dataset}|{cell.space}", lambda: real_edits(self.plan.datasets[cell.dataset], space)
        )
        return TrackEditTask(
            dataset, gallery, self._source(cell.retriever), edits, self.suite.prompt_set.track_edits,
            self._sampling(cell), self.plan.settings(cell.retriever).queries, self._references(cell), _modifier_like,
        )  # fmt: skip

    def _negation(self, cell: Cell) -> NegationTask:
        assert self.suite.prompt_set is not None
        dataset, gallery, space = self._dataset(cell)
        negatives = self.suite.prompt_set.to_negatives()
        settings = self.plan.settings(cell.retriever)

        def choose() -> Any:
            selection = self.suite.selection
            chosen_with = Sampling(settings.sampler, settings.guidance, settings.samples, selection.seed + cell.seed)
            return NegationTask.choose(
                dataset, gallery, self._source(self.suite.retrievers[0].id), negatives, chosen_with,
                candidates=settings.candidates, per_negative=max(1, settings.queries // len(negatives)),
            )  # fmt: skip

        pairs = self._once(f"pairs|{cell.dataset}|{cell.seed}|{settings}", choose)
        return NegationTask(
            dataset, gallery, self._source(cell.retriever), negatives, pairs, self._sampling(cell), self._spread(cell),
            self._references(cell), _modifier_like, twins_of(self.plan.datasets[cell.dataset], space),
        )  # fmt: skip

    # --- what they are made of ---

    def _source(self, retriever: str) -> QuerySource:
        part = self.plan.retrievers[retriever]
        origin = self.plan.origin(retriever)
        return QuerySource(part, part.space, self.cache, self.busy, self.phase, origin)

    def _sampling(self, cell: Cell) -> Sampling:
        settings = self.plan.settings(cell.retriever)
        return Sampling(settings.sampler, settings.guidance, settings.samples, cell.seed)

    def _spread(self, cell: Cell) -> SpreadSettings:
        settings = self.plan.settings(cell.retriever)
        return SpreadSettings(settings.diversity_samples, settings.diversity_queries)

    def _dataset(self, cell: Cell) -> tuple[Any, Any, Any]:
        """Dataset, gallery and space of a cell."""

        def load() -> tuple[Any, Any, Any]:
            ref = next(r for r in self.suite.datasets if r.id == cell.dataset)
            source = self.plan.datasets[cell.dataset]
            dataset = source.load(**ref.options)
            space = self.plan.space(self.plan.encoder(cell.retriever))
            return dataset, gallery_of(dataset, source, space), space

        return self._once(f"{cell.dataset}|{cell.space}", load)

    def _references(self, cell: Cell) -> Lazy:
        """Reference sets of a dataset in a space; what is fitted on them is shared by all cells."""

        def make() -> Lazy:
            _, gallery, space = self._dataset(cell)
            return references_of(space, gallery)

        return self._once(f"references|{cell.dataset}|{cell.space}", make)
