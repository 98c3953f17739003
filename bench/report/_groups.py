"""The cells of a run that stand in one table: one dataset, space, retriever and seed; and the arms compared in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report._format import dataset_label, primary, retriever_label
from bench.report.load import Run, Value, same_data

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PAPER_ARMS", "Arm", "Group", "Slice", "groups", "metric_like", "options", "slices"]

Cell = Mapping[str, Any]
#: Parameters that are no option of a modifier.
NOT_OPTIONS = frozenset({"strength", "sampler", "samples", "guidance"})


class Arm(NamedTuple):
    """A column of the paper's Table 6: its label, its key in tables.yaml, and the modifier as the paper writes it."""

    label: str
    paper: str
    modifier: str
    options: Mapping[str, Any]


PAPER_ARMS = (
    Arm("unmodified", "base", "none", {}),
    Arm("NP", "NP", "negative-prompting", {}),
    Arm("Δ_T", "dT", "text-interpolation", {"variant": "difference", "vectors": "raw"}),
    Arm("Δ_A", "dA", "audio-interpolation", {"vectors": "raw"}),
    Arm("PNP", "PNP", "prefix-negation", {"form": "append"}),
)


def options(cell: Cell) -> dict[str, Any]:
    """A cell's options of the modifier, without strength and sampling."""
    return {name: value for name, value in cell["params"].items() if name not in NOT_OPTIONS}


@dataclass(frozen=True)
class Group:
    """Cells of one dataset, space, retriever and seed of a run."""

    run: Run
    dataset: str
    space: str
    retriever: str
    seed: int
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        return f"{retriever_label(self.retriever)} on {dataset_label(self.dataset)}"

    @property
    def unmodified(self) -> Cell | None:
        """The cell of the unmodified query at the suite's own guidance."""
        return next((cell for cell in self.cells if self.run.is_unmodified(cell)), None)

    def families(self) -> list[list[Cell]]:
        """Modified cells by modifier and options, each by strength, in the run's order."""
        found: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            if cell["modifier"] != "none":
                found.setdefault((cell["modifier"], repr(sorted(options(cell).items()))), []).append(cell)
        return [sorted(members, key=lambda c: c["params"].get("strength") or 0.0) for members in found.values()]

    def primary_of(self, members: Sequence[Cell]) -> Cell:
        """The cell of a family at which methods are compared."""
        strengths = [c["params"]["strength"] for c in members if c["params"].get("strength") is not None]
        wanted = self.primary_strength(members[0]["modifier"], options(members[0]), strengths)
        return next(c for c in members if c["params"].get("strength") == wanted)

    def primary_strength(self, modifier: str, given: Mapping[str, Any], strengths: list[float]) -> float | None:
        """The strength that the suite names as primary, else the agreed one, else the middle of the sweep."""
        named = self.run.primary(modifier, given)
        return named if named in strengths else primary(modifier, strengths)

    def arm(self, arm: Arm) -> Cell | None:
        """The cell of a column of Table 6, or None if the run has none."""
        if arm.modifier == "none":
            return self.unmodified
        for members in self.families():
            if members[0]["modifier"] == arm.modifier and options(members[0]) == dict(arm.options):
                return self.primary_of(members)
        return None

    def point(self, cell: Cell) -> Mapping[str, Any] | None:
        """The point of a cell on its family's removal-kept frontier."""
        family = self.frontier(cell)
        points = family["points"][1:] if family else []
        return next((p for p in points if p["strength"] == cell["params"].get("strength")), None)

    def frontier(self, cell: Cell) -> Mapping[str, Any] | None:
        """The family of `families` in summary.json that a cell belongs to."""
        wanted = (cell["modifier"], options(cell))
        return next((f for f in self.frontiers() if (f["modifier"], f["params"]) == wanted), None)

    def frontiers(self) -> list[Mapping[str, Any]]:
        own = (self.dataset, self.space, self.retriever, self.seed)
        families = self.run.summary.get("families", [])
        return [f for f in families if (f["dataset"], f["space"], f["retriever"], f["seed"]) == own]


def groups(run: Run) -> list[Group]:
    """The groups of a run in its order; replicates (other training seeds) are left out.

    Raises:
        UserError: cells of one dataset were measured on different data.
    """
    found: dict[tuple[str, str, str, int], list[Cell]] = {}
    for cell in run.summary["cells"]:
        if not cell.get("replicate"):
            key = (cell["dataset"], cell["space"], cell["retriever"], cell["seed"])
            found.setdefault(key, []).append(cell)
    same_data([cell for cells in found.values() for cell in cells], str(run.folder))
    return [Group(run, *key, tuple(cells)) for key, cells in found.items()]


def metric_like(run: Run, prefix: str) -> str:
    """The run's metric of a family, such as `FAD(jam)` for `FAD(`; the prefix itself where there is none."""
    return next((key for key in run.metric_info if key.startswith(prefix)), prefix.rstrip("("))


# --- means over part of the pairs -------------------------------------------------------------------------------------


class Slice(NamedTuple):
    """Means of one method over the pairs of one category or phrasing."""

    part: str
    label: str
    values: Mapping[str, Value]
    n: int
    negatives: int


def slices(group: Group, column: str, parts: Sequence[str], metrics: Sequence[str]) -> list[Slice]:
    """Means over the pairs of each part, for each column of Table 6; intervals are clustered by negative.

    Args:
        group: of a negation suite.
        column: `category` or `phrasing`.
        parts: values of the column, in order; those without pairs are left out.
        metrics: keys of query-level metrics; those that the run has not are left out.
    """
    out = []
    for arm in PAPER_ARMS:
        cell = group.arm(arm)
        if cell is None:
            continue
        frame = group.run.per_query(cell["key"], (column, "negative_id", *metrics))
        for part in parts:
            rows = frame[frame[column] == part]
            if len(rows):
                negatives = rows["negative_id"].to_numpy()
                values = {m: _mean(rows[m].to_numpy(float), negatives) for m in metrics if m in rows}
                out.append(Slice(part, arm.label, values, len(rows), len(set(negatives))))
    return out


def _mean(values: np.ndarray, clusters: np.ndarray) -> Value:
    """Mean of the values that apply, with an interval over clusters."""
    import numpy as np

    from bench import stats

    present = ~np.isnan(values)
    n = int(present.sum())
    if n == 0:
        return Value(None, n=0, why="no query to which it applies")
    values, clusters = values[present], clusters[present]
    if len(np.unique(clusters)) < 2:
        return Value(float(values.mean()), n=n)
    estimate = stats.clustered_delta(lambda means: means[..., 0], values[:, None], clusters)
    bounds = stats.interval(estimate)
    return Value(float(estimate.value), float(bounds.lo), float(bounds.hi), n)
