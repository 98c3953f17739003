"""Claims on the pages: a run's own, with what explains those that did not hold, and all of them on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report import tables
from bench.report._page import Page
from bench.report._table import Entry, Table, text
from bench.report._untrusted import code, escape
from bench.report.load import Run
from bench.report.notes import Note, find_note

__all__ = ["claims_section", "every_claim", "tally"]

VERDICTS = ("supported", "contradicted", "inconclusive")
_RULE = (
    "Supported or contradicted only if the whole interval lies beyond or short of the margin, after Holm's "
    "correction over all claims of the run; else inconclusive."
)


def claims_section(page: Page, run: Run, notes: Sequence[Note], heading: str = "## Claims") -> None:
    """A run's claims, and a sentence on each that did not hold."""
    if not run.claims:
        return
    page.add(heading, _RULE)
    page.table(tables.claims_table(run))
    open_claims = [claim for claim in run.claims if claim["verdict"] != "supported"]
    if not any(claim["verdict"] == "contradicted" for claim in open_claims):
        page.add("No claim is contradicted in this run.")
    if open_claims:
        page.add("\n".join(f"- {_sentence(run, claim)} {_explained(run, claim, notes)}" for claim in open_claims))


def _sentence(run: Run, claim: Mapping[str, Any]) -> str:
    """What was not confirmed, by what, and whose statement it was."""
    effect = tables.effect_entry(run, claim).text
    source = str(claim.get("source", "ours"))
    whose = "our claim" if source == "ours" else f"the paper's claim ({escape(source)})"
    margin = claim.get("margin")
    beyond = (
        "" if margin is None else f" by more than {margin:g}" if "=" not in claim["expect"] else f" within {margin:g}"
    )
    return (
        f"{str(claim['verdict']).capitalize()}: {whose} {code(claim['id'])}. {escape(claim['text'])} "
        f"Measured effect on {escape(claim['metric'])}: {escape(effect)}; expected {escape(claim['expect'])}{beyond}."
    )


def _explained(run: Run, claim: Mapping[str, Any], notes: Sequence[Note]) -> str:
    note = find_note(notes, run.suite, claim, run.preset, run.main)
    if note is None:
        return "No note for this verdict."
    return f"Tried: {escape(note.tried)} What explains it: {escape(note.explains)}"


def tally(run: Run) -> str:
    """How many claims have each verdict, such as `5 supported, 1 contradicted`."""
    verdicts = [claim["verdict"] for claim in run.claims]
    counts = [f"{verdicts.count(v)} {v}" for v in dict.fromkeys([*VERDICTS, *verdicts]) if v in verdicts]
    return ", ".join(counts) or "no claims"


def every_claim(runs: Mapping[str, Run]) -> Table:
    """Every claim of the chosen runs.

    Args:
        runs: name of the page -> its run.
    """
    rows: list[tuple[Entry, ...]] = []
    columns: tuple[str, ...] = ()
    for name, run in runs.items():
        own = tables.claims_table(run)
        columns = ("suite", "preset", *own.columns)
        rows.extend((text(name, page=f"{name}.md"), text(run.preset), *row) for row in own.rows)
    return Table("claims", "Claims of all suites", columns, tuple(rows))
