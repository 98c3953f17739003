"""A gate's answer as text: the terminal, Markdown for a pull request, JUnit XML for a build server, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from bench.comparison.output import console, print_table
from bench.comparison.values import is_share_of_hits
from bench.gate import GateResult, Judged
from bench.gate.decide import ALPHA, POWER
from bench.report._format import rounded
from bench.report._table import Table, text
from bench.report._untrusted import escape

__all__ = ["as_json", "as_junit", "as_markdown", "headline", "print_gate"]

_ANSWER = {0: "no regression", 1: "regression", 3: "inconclusive"}
_ORDER = ("regression", "inconclusive", "none")
_ARROW = {True: " ↑", False: " ↓", None: ""}
#: Queries beyond which a number says no more than "very many".
MANY = 1_000_000
#: Tests without a regression that stand in the open in Markdown; more are folded.
OPEN = 12
#: Queries whose hits a margin should be.
FEW = 10
#: XML 1.0 has no place for these, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def headline(result: GateResult) -> str:
    """The answer in one line."""
    verdicts = [one.decision.verdict for one in result.judged]
    counted = ", ".join(f"{verdicts.count(name)} {name}" for name in _ORDER if name in verdicts)
    return f"{_ANSWER[result.exit_code]} (exit {result.exit_code}): {counted} of {len(verdicts)} tests"


def print_gate(result: GateResult) -> None:
    """Table, notes and the answer on standard output."""
    from rich.text import Text

    out = console()
    print_table(out, _table(result, _sorted(result)))
    for note in _notes(result):
        out.print(Text(f"note: {note}"), soft_wrap=True)
    style = {0: "bold green", 1: "bold red", 3: "bold yellow"}[result.exit_code]
    out.print(Text(headline(result), style=style), soft_wrap=True)


def as_json(result: GateResult) -> str:
    """`GateResult.document` as JSON: sorted, so that equal input gives equal bytes."""
    return json.dumps(result.document(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(result: GateResult) -> str:
    """A comment for a pull request: the answer, what needs looking at, the rest folded where it is long, the notes."""
    rows = _sorted(result)
    open_, folded = rows, []
    if len(rows) > OPEN:
        open_ = [one for one in rows if one.decision.verdict != "none"]
        folded = [one for one in rows if one.decision.verdict == "none"]
    parts = [f"### Retrieval gate: {headline(result)}"]
    if open_:
        parts.append(_table(result, open_).markdown())
    if folded:
        rest = _table(result, folded).markdown()
        parts.append(f"<details><summary>{len(folded)} tests without a regression</summary>\n\n{rest}\n\n</details>")
    parts.append("\n".join(f"- {escape(note)}" for note in _notes(result)))
    return "\n\n".join(parts) + "\n"


def as_junit(result: GateResult, inconclusive_fails: bool = False) -> str:
    """JUnit XML: a test case a cell and metric; a regression is a failure, an inconclusive one skipped (or a failure).

    Args:
        result: of the gate.
        inconclusive_fails: write inconclusive tests as failures.
    """
    suite = ElementTree.Element("testsuite", name="bench gate")
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("baseline", result.baseline), ("baseline_sha256", result.baseline_sha256),
                        ("candidate", result.candidate), ("answer", headline(result))):  # fmt: skip
        ElementTree.SubElement(properties, "property", name=name, value=_clean(value))
    counts = {"failure": 0, "skipped": 0}
    for one in result.judged:
        case = ElementTree.SubElement(suite, "testcase", classname=_clean(one.label), name=_clean(one.metric))
        verdict = one.decision.verdict
        if verdict != "none":
            kind = "failure" if verdict == "regression" or inconclusive_fails else "skipped"
            counts[kind] += 1
            said = _clean(f"{verdict}: {_said(one)}")
            ElementTree.SubElement(case, kind, message=said).text = said  # some servers show one, some the other
        else:
            ElementTree.SubElement(case, "system-out").text = _clean(_said(one))
    suite.set("tests", str(len(result.judged)))
    suite.set("failures", str(counts["failure"]))
    suite.set("skipped", str(counts["skipped"]))
    suite.set("errors", "0")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _sorted(result: GateResult) -> list[Judged]:
    return sorted(result.judged, key=lambda one: _ORDER.index(one.decision.verdict))


def _table(result: GateResult, rows: Sequence[Judged]) -> Table:
    title = f"{result.candidate} against {result.baseline} ({result.suite}, {result.preset})"
    shown = []
    for one in rows:
        d, unit = one.decision, one.info.unit
        margin = _figure(one.margin, unit) + ("" if one.margin_given else "*")
        shown.append(
            (
                text(one.label), text(f"{one.metric}{_ARROW[one.info.higher_is_better]}"),
                text(_figure(one.baseline, unit)), text(_figure(one.candidate, unit)),
                text(f"{_figure(one.change.value, unit, sign=True)} {_ends(one)}".strip()), text(margin),
                text(d.verdict), text(_needed(one)),
            )
        )  # fmt: skip
    columns = ("cell", "metric", "baseline", "candidate", "change [ends]", "margin", "verdict", "queries")
    return Table("gate", title, columns, tuple(shown))


def _needed(one: Judged) -> str:
    """Queries that were asked, and how many would decide an inconclusive test."""
    if one.decision.verdict != "inconclusive":
        return str(one.n)
    if one.n_clusters < 2:
        return f"{one.n}; the error is not known from one track or negative: ask more"
    needed = one.decision.queries
    if needed is None:
        return f"{one.n}; no number would decide"
    return f"{one.n}; about {needed:,} would decide" if needed <= MANY else f"{one.n}; over {MANY:,} would decide"


def _said(one: Judged) -> str:
    unit = one.info.unit
    return (
        f"{_figure(one.baseline, unit)} -> {_figure(one.candidate, unit)}, change "
        f"{_figure(one.change.value, unit, sign=True)} {_ends(one)}, margin {_figure(one.margin, unit)} ({unit}), "
        f"queries: {_needed(one)}"
    )


def _ends(one: Judged) -> str:
    d, unit = one.decision, one.info.unit
    return f"[{_figure(d.lo, unit)}, {_figure(d.hi, unit)}]" if d.lo == d.lo else ""


def _figure(value: float, unit: str, sign: bool = False) -> str:
    """One digit more than reports print: margins are small."""
    shown = f"{value:.2f}" if unit == "%" else rounded(value, unit)
    if float(shown) == 0:
        shown = shown.lstrip("-")
    return f"+{shown}" if sign and float(shown) > 0 else shown


def _notes(result: GateResult) -> list[str]:
    notes = [
        "change: candidate minus baseline in the better direction, paired by query, clustered by track (and negative); "
        f"regression: the upper end lies below minus the margin; none: the lower end lies above it; ends at Holm's "
        f"level of each test (one test: {100 * (1 - ALPHA):g} %), the lower one further out where few queries changed, "
        f"so the chance of any false regression among the {len(result.judged)} tests stays below {100 * ALPHA / 2:g} "
        "%, and that of any false none too",
    ]
    if any(not one.margin_given for one in result.judged):
        notes.append(
            f"* default margin: the loss that a gate of {len(result.judged)} tests finds with {100 * POWER:g} % power, "
            "from the baseline's own variance; name others by --margin"
        )
    if any(one.decision.queries for one in result.judged):
        notes.append("queries that would decide: with 80 % power, if the change stayed what it is")
    few = [one for one in result.judged if _few(one)]
    if few:
        notes.append(
            f"the margin is less than {FEW} queries with a hit ({_named(few)}): none is told there only where next to "
            "nothing changed; ask more queries, or accept a larger loss"
        )
    blind = [one for one in result.judged if _blind(one)]
    if blind:
        notes.append(
            f"two margins are more than there is to lose ({_named(blind)}): a regression there can hardly be told; ask "
            "more queries (--preset full), gate fewer cells (--retriever) or go by logRank"
        )
    return [*notes, *result.notes]


def _named(some: Sequence[Judged]) -> str:
    return "; ".join(f"{one.metric} of {one.label}" for one in some[:3]) + ("; …" if len(some) > 3 else "")


def _few(one: Judged) -> bool:
    """So few hits are the margin that losing all of them may be chance."""
    return is_share_of_hits(one.metric) and one.margin * one.n / 100 < FEW


def _blind(one: Judged) -> bool:
    """A loss of two margins, which the gate is made to find, would take the metric below 0."""
    return one.info.unit == "%" and one.info.higher_is_better is True and 2 * one.margin > one.baseline


def _clean(value: str) -> str:
    return _NOT_XML.sub("�", value)
