"""The page on how stable the claims of a suite are over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.report._format import interval, rounded
from bench.report._table import Entry, Table, escape, text
from bench.report.load import Run, Value
from bench.store import write_atomic

__all__ = ["build_seeds", "stability_sentence"]


def _verdicts(runs: Sequence[Run]) -> dict[str, list[str]]:
    return {
        claim["id"]: [run.summary["claims"][place]["verdict"] for run in runs]
        for place, claim in enumerate(runs[0].summary["claims"])
    }


def stability_sentence(runs: Sequence[Run]) -> str:
    """How many claims keep their verdict over all seeds, and which do not."""
    verdicts = _verdicts(runs)
    moving = {name: found for name, found in verdicts.items() if len(set(found)) > 1}
    sentence = f"{len(verdicts) - len(moving)} of {len(verdicts)} claims keep their verdict over {len(runs)} seeds"
    told = [f"{name}: {_counted(found)}" for name, found in moving.items()]
    return f"{sentence}; the others: {'; '.join(told)}." if moving else f"{sentence}."


def _counted(verdicts: Sequence[str]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).most_common())


def build_seeds(folders: Sequence[Path], out_md: Path) -> Path:
    """Write the page that compares runs of one suite and preset over seeds.

    Args:
        folders: run folders, one a seed.
        out_md: the page.
    """
    runs = [Run(folder) for folder in folders]
    seeds = [str(run.summary["cells"][0]["seed"]) for run in runs]
    rows = []
    for place, claim in enumerate(runs[0].summary["claims"]):
        entries: list[Entry] = [text(claim["id"])]
        for run in runs:
            own = run.summary["claims"][place]
            low, high = own["ci"] or (None, None)
            value = Value(own["effect"], low, high)
            effect = "n/a" if value.value is None else f"{rounded(value.value, '')} {interval(value, '')}"
            entries.append(text(f"{own['verdict']}: {effect}"))
        rows.append(tuple(entries))
    table = Table("seeds", "Verdict and effect by seed", ("claim", *(f"seed {s}" for s in seeds)), tuple(rows))
    title = escape(str(runs[0].summary.get("title") or runs[0].suite))
    blocks = [
        f"# Stability over seeds: {title}",
        f"Preset {runs[0].summary['preset']}. A seed sets the noise of every query, and of the choice of pairs. "
        f"{stability_sentence(runs)}",
        table.markdown(),
    ]
    write_atomic(out_md, "\n\n".join(blocks) + "\n")
    return out_md
