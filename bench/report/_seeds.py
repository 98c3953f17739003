"""The page on how stable the claims of a suite are over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.report._format import interval, rounded
from bench.report._table import Entry, Table, text
from bench.report._untrusted import escape
from bench.report.load import Run, Value
from bench.store import write_atomic

__all__ = ["build_seeds", "seeds_blocks", "stability_sentence"]


def _claim(run: Run, name: str) -> dict[str, Any] | None:
    return next((claim for claim in run.claims if claim["id"] == name), None)


def _verdicts(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Verdicts by claim, of the claims that every run has."""
    found = {claim["id"]: [_claim(run, claim["id"]) for run in runs] for claim in runs[0].claims}
    return {name: [claim["verdict"] for claim in own if claim] for name, own in found.items() if all(own)}


def stability_sentence(runs: Sequence[Run]) -> str:
    """How many claims keep their verdict over all seeds, and which do not."""
    verdicts = _verdicts(runs)
    moving = {name: found for name, found in verdicts.items() if len(set(found)) > 1}
    sentence = f"{len(verdicts) - len(moving)} of {len(verdicts)} claims keep their verdict over {len(runs)} seeds"
    told = [f"{name}: {_counted(found)}" for name, found in moving.items()]
    return f"{sentence}; the others: {'; '.join(told)}." if moving else f"{sentence}."


def _counted(verdicts: Sequence[str]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).most_common())


def seeds_blocks(runs: Sequence[Run]) -> list[str]:
    """Markdown on runs of one suite and preset over seeds: how stable the verdicts are, and each effect."""
    rows = []
    for name in _verdicts(runs):
        entries: list[Entry] = [text(name)]
        for run in runs:
            own = _claim(run, name)
            assert own is not None
            low, high = own["ci"] or (None, None)
            value = Value(own["effect"], low, high)
            effect = "n/a" if value.value is None else f"{rounded(value.value, '')} {interval(value, '')}"
            entries.append(text(f"{own['verdict']}: {effect}"))
        rows.append(tuple(entries))
    columns = ("claim", *(f"seed {run.seed}" for run in runs))
    return [
        f"Preset {runs[0].preset}. A seed sets the noise of every query, and of the choice of pairs. "
        f"{stability_sentence(runs)}",
        Table("seeds", "Verdict and effect by seed", columns, tuple(rows)).markdown(),
    ]


def build_seeds(folders: Sequence[Path], out_md: Path) -> Path:
    """Write the page that compares runs of one suite and preset over seeds.

    Args:
        folders: run folders, one a seed.
        out_md: the page.
    """
    runs = [Run(folder) for folder in folders]
    title = escape(str(runs[0].summary.get("title") or runs[0].suite))
    write_atomic(out_md, "\n\n".join([f"# Stability over seeds: {title}", *seeds_blocks(runs)]) + "\n")
    return out_md
