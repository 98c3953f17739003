"""Gating a candidate run against a committed baseline: regression, none, or inconclusive."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench import stats
from bench.comparison.cells import checked, options, same_fingerprints, table, told_apart
from bench.comparison.paired import paired_difference
from bench.comparison.values import Info, column, from_ranks, is_of_ranks
from bench.errors import UserError
from bench.gate.baseline import Baseline, BaselineCell, Queries, gateable, load_baseline, save_baseline
from bench.gate.decide import ALPHA, Decision, decide, default_margin, exit_code
from bench.gate.losses import NO_TAIL, Stake, Tail, stake, tail
from bench.report.load import Run
from bench.stats import finite

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Baseline", "Decision", "GateResult", "Judged", "gate", "load_baseline", "save_baseline"]


class Judged(NamedTuple):
    """One cell and metric of a gate."""

    label: str
    retriever: str
    """The candidate's name of it."""
    dataset: str
    metric: str
    info: Info
    baseline: float
    candidate: float
    change: stats.Estimate
    """Candidate minus baseline in the better direction."""
    n: int
    n_clusters: int
    margin: float
    margin_given: bool
    decision: Decision


@dataclass(frozen=True)
class GateResult:
    """The answer of a gate."""

    baseline: str
    baseline_sha256: str
    candidate: str
    suite: str
    preset: str
    judged: tuple[Judged, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        return exit_code([one.decision.verdict for one in self.judged])

    def document(self) -> dict[str, Any]:
        """What is written as JSON: no NaN, no infinity."""
        rows = []
        for one in self.judged:
            d = one.decision
            rows.append(
                {
                    "cell": one.label, "dataset": one.dataset, "retriever": one.retriever, "metric": one.metric,
                    "unit": one.info.unit, "higher_is_better": one.info.higher_is_better, "baseline": one.baseline,
                    "candidate": one.candidate, "change": one.change.value, "se": finite(one.change.se),
                    "df": one.change.df, "lo": finite(d.lo), "hi": finite(d.hi), "level_lo": d.level_lo,
                    "level_hi": d.level_hi, "n": one.n, "n_clusters": one.n_clusters, "margin": one.margin,
                    "margin_given": one.margin_given, "verdict": d.verdict, "queries_needed": d.queries,
                }
            )  # fmt: skip
        return {
            "schema_version": 1, "baseline": self.baseline, "baseline_sha256": self.baseline_sha256,
            "candidate": self.candidate, "suite": self.suite, "preset": self.preset, "alpha": ALPHA,
            "exit_code": self.exit_code, "judged": rows, "notes": list(self.notes),
        }  # fmt: skip


class _Test(NamedTuple):
    cell: BaselineCell
    retriever: str
    metric: str
    info: Info
    before: np.ndarray
    after: np.ndarray
    margin: float
    given: bool
    at_stake: Stake
    same: bool
    """Every rank of the cell is that of the baseline: nothing changed, and so nothing can have been overlooked."""

    @property
    def gain(self) -> np.ndarray:
        """(n,) candidate minus baseline in the better direction."""
        return (self.before - self.after) if self.info.higher_is_better is False else (self.after - self.before)

    @property
    def tail(self) -> Tail:
        gain = self.gain
        if self.same and not np.nansum(np.abs(gain)):
            return NO_TAIL
        return tail(gain, self.at_stake, self.cell.queries.first, self.cell.queries.second)


def gate(
    baseline: Baseline,
    run: Run,
    *,
    margins: Mapping[str, float] | None = None,
    metrics: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
    retrievers: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
) -> GateResult:
    """Hold a candidate against a baseline.

    Args:
        baseline: what `load_baseline` read.
        run: the candidate.
        margins: metric -> loss that is accepted, in its unit; others get `default_margin`.
        metrics: keys to gate; None for those that the baseline names.
        renamed: the baseline's retriever -> the candidate's.
        retrievers, datasets: those of the baseline to gate; None for all.

    Raises:
        UserError: bad input: different data, a cell, query or metric that is missing, a margin that is not above 0.
    """
    given, names = dict(margins or {}), dict(renamed or {})
    infos = _metrics(baseline, run, metrics)
    for name in (*names, *(retrievers or ())):
        checked("retriever", name, {cell.retriever for cell in baseline.cells}, baseline.file)
    for name in datasets or ():
        checked("dataset", name, {cell.dataset for cell in baseline.cells}, baseline.file)
    _check_margins(given, infos)
    if baseline.preset != run.preset:
        raise UserError(
            f"{baseline.file} is of preset {baseline.preset!r}, {run.folder} of {run.preset!r}; run the candidate with "
            f"--preset {baseline.preset}"
        )
    cells = [cell for cell in baseline.cells if not retrievers or cell.retriever in retrievers]
    cells = [cell for cell in cells if not datasets or cell.dataset in datasets]
    if not cells:
        raise UserError(f"{baseline.file}: has no cell of those retrievers on those datasets; name others")
    same_fingerprints([cell.fields for cell in cells], run.summary["cells"], (str(baseline.file), str(run.folder)))
    tests = [test for cell in cells for test in _tests(baseline, run, cell, names, infos, given)]
    return _judged(baseline, run, _with_margins(baseline, tests))


def _metrics(baseline: Baseline, run: Run, metrics: Sequence[str] | None) -> dict[str, Info]:
    if not metrics:
        return dict(baseline.metrics)
    return {key: baseline.metrics.get(key) or gateable(run, key) for key in metrics}


def _check_margins(given: Mapping[str, float], infos: Mapping[str, Info]) -> None:
    for key, margin in given.items():
        if key not in infos:
            raise UserError(f"--margin {key}: {key!r} is not gated here; gated: {', '.join(infos)} (see --metric)")
        if not np.isfinite(margin):
            raise UserError(
                f"--margin {key}={margin:g} is not finite; name the loss that you accept, such as --margin {key}=1.0"
            )
        if not margin > 0:
            raise UserError(
                f"--margin {key}={margin:g}: a margin is above 0, since no number of queries shows that nothing at all "
                f"was lost; name the loss that you accept, such as --margin {key}=1.0"
            )


def _tests(
    baseline: Baseline, run: Run, cell: BaselineCell, names: Mapping[str, str], infos: Mapping[str, Info],
    given: Mapping[str, float],
) -> list[_Test]:  # fmt: skip
    retriever = names.get(cell.retriever, cell.retriever)
    other = _candidate_cell(run, cell, retriever)
    frame = table(run, other)
    missing = [name for name in cell.queries.ids if name not in frame.index]
    if missing:
        raise UserError(
            f"{run.folder}: {cell.label}: {len(missing)} of the baseline's {len(cell.queries.ids)} queries are not "
            f"asked (the first is {missing[0]!r}); run the candidate with the baseline's settings"
        )
    frame = frame.loc[list(cell.queries.ids)]
    same = "rank" in frame and np.array_equal(frame["rank"].to_numpy(dtype=np.float64), cell.ranks, equal_nan=True)
    found = []
    for key, known in infos.items():
        before = _before(baseline, cell, key)
        after = _after(frame, cell, key)
        lost = np.isnan(after) & ~np.isnan(before)
        if lost.any():
            why = run.value(other, key).why or "not measured in this run"
            raise UserError(
                f"{run.folder}: {cell.label}: the candidate has no {key} for {int(lost.sum())} queries for which the "
                f"baseline has it ({why}); run it again, or gate others by --metric"
            )
        bounds = run.metric_info.get(key, {}).get("range") or (None, None)
        at_stake = stake(key, known, before, after, cell.fields["n_gallery"], bounds)
        margin = given.get(key, np.nan)
        found.append(_Test(cell, retriever, key, known, before, after, margin, key in given, at_stake, same))
    return found


def _before(baseline: Baseline, cell: BaselineCell, key: str) -> np.ndarray:
    """The baseline's values.

    Raises:
        UserError: the file has none of this metric, or no query of the cell has one.
    """
    found = cell.values(key)
    if found is None:
        raise UserError(
            f"{baseline.file}: has no values of {key!r}; save it again: bench baseline save RUN --metric {key}"
        )
    if np.isnan(found).all():
        raise UserError(
            f"{baseline.file}: no query has a value of {key} in {cell.label}; gate other metrics by --metric, or save "
            "a baseline without the cell"
        )
    return found


def _after(frame: pd.DataFrame, cell: BaselineCell, key: str) -> np.ndarray:
    """The candidate's values, made as the baseline's were; NaN where there are none."""
    n_gallery = cell.fields["n_gallery"]
    if is_of_ranks(key) and key not in cell.stored:
        ranks = frame["rank"].to_numpy(dtype=np.float64) if "rank" in frame else np.full(len(frame), np.nan)
        return from_ranks(key, ranks, n_gallery, cell.queries.counts)
    found = column(frame, key, n_gallery)
    return np.full(len(frame), np.nan) if found is None else found


def _candidate_cell(run: Run, cell: BaselineCell, retriever: str) -> dict[str, Any]:
    named = {other["retriever"] for other in run.summary["cells"]}
    if retriever not in named:
        raise UserError(
            f"{run.folder}: has no retriever {retriever!r}, which the baseline has ({cell.label}); it has "
            f"{', '.join(sorted(named))}: name one by --as {cell.retriever}=NAME, or gate others by --retriever"
        )
    wanted = _place(cell.dataset, retriever, cell.fields["modifier"], cell.fields["seed"], cell.options)
    found = [
        other for other in run.summary["cells"]
        if wanted == _place(other["dataset"], other["retriever"], other["modifier"], other["seed"], options(run, other))
    ]  # fmt: skip
    if not found:
        raise UserError(
            f"{run.folder}: lacks a cell of the baseline: {cell.label}"
            f"{f' (as {retriever})' if retriever != cell.retriever else ''}; run the candidate with the baseline's "
            "datasets and seeds, or save a baseline without the cell"
        )
    if len(found) > 1:
        raise UserError(f"{run.folder}: {cell.label}: {told_apart(found)}")
    for field in ("n_gallery", "protocol"):
        if found[0].get(field) != cell.fields[field]:
            raise UserError(
                f"{run.folder}: {cell.label}: {field} is {found[0].get(field)}, the baseline's is "
                f"{cell.fields[field]}; run the candidate with the baseline's settings"
            )
    return found[0]


def _place(dataset: str, retriever: str, modifier: str, seed: int, params: Mapping[str, Any]) -> str:
    return json.dumps([dataset, retriever, modifier, seed, params], sort_keys=True)


def _with_margins(baseline: Baseline, tests: Sequence[_Test]) -> list[_Test]:
    """The tests, default margins filled in from the baseline's values."""
    out = []
    for test in tests:
        margin = test.margin
        if not test.given:
            margin = default_margin(test.before, test.cell.queries.first, test.cell.queries.second, len(tests))
            if not margin > 0:
                why, more = "does not vary over the baseline's queries", ""
                if np.isnan(margin):
                    why = "has an error that is not known: the baseline's queries are of one track or negative"
                    more = "save one of more queries, or "
                raise UserError(
                    f"{baseline.file}: {test.cell.label}: {test.metric} {why}, so no margin follows from it; "
                    f"{more}name one: --margin {test.metric}=1.0"
                )
        out.append(test._replace(margin=margin))
    return out


def _judged(baseline: Baseline, run: Run, tests: Sequence[_Test]) -> GateResult:
    rows = []
    for test in tests:
        gain, queries = test.gain, test.cell.queries
        complete = ~np.isnan(gain)
        rows.append((paired_difference(gain, queries.first, queries.second), int(complete.sum()),
                     _groups(queries, complete), complete))  # fmt: skip
    decisions = decide(
        [row[0] for row in rows], [test.margin for test in tests], [row[1] for row in rows],
        [test.tail for test in tests],
    )  # fmt: skip
    judged = tuple(
        Judged(
            test.cell.label, test.retriever, test.cell.dataset, test.metric, test.info,
            float(test.before[complete].mean()), float(test.after[complete].mean()),
            change, n, groups, test.margin, test.given, decision,
        )
        for test, (change, n, groups, complete), decision in zip(tests, rows, decisions, strict=True)
    )  # fmt: skip
    notes = []
    if baseline.suite != run.suite:
        notes.append(f"the baseline is of suite {baseline.suite}, the candidate of {run.suite}")
    renamed = {test.cell.retriever: test.retriever for test in tests if test.cell.retriever != test.retriever}
    notes += [f"{new} stands for the baseline's {old}" for old, new in renamed.items()]
    return GateResult(str(baseline.file), baseline.sha256, str(run.folder), run.suite, run.preset, judged, tuple(notes))


def _groups(queries: Queries, complete: np.ndarray) -> int:
    """Clusters of the queries that count; where two groupings cross, of the smaller one."""
    groupings = [labels for labels in (queries.first, queries.second) if labels is not None]
    return min(len(np.unique(labels[complete])) for labels in groupings)
