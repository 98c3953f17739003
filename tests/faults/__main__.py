"""`make faults`: disturb runs, feed corrupted inputs, and print the counts.

Exit code 1 if anything was lost, left another result, or ended in a traceback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from corpus.inputs import faults as corrupted
from faults import harness
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def main() -> int:
    options = argparse.ArgumentParser(prog="make faults")
    options.add_argument("--kills", type=int, default=200, help="SIGKILLs that meet the NumPy run")
    options.add_argument("--gdr-kills", type=int, default=10, help="SIGKILLs that meet a run with a GDR")
    options.add_argument("--turns", type=int, default=5, help="turns at which each failpoint fires")
    options.add_argument("--seed", type=int, default=0, help="of the instants")
    chosen = options.parse_args()
    start = time.monotonic()
    counted = _disturbed(chosen)
    tried = corrupted()
    table = Table("", "runs", "killed", "said why", "resumed", "tracebacks", "wrong codes", "losses", "other files")
    for name, c in counted.items():
        row = (c.disturbed, c.killed, c.failed, c.resumed, c.tracebacks, c.wrong_codes, c.losses, c.differences)
        table.add_row(name, *map(str, row))
    console = Console(width=120)
    console.print(table)
    print(
        f"corrupted inputs: {tried.inputs} tried, {tried.tracebacks} tracebacks, {tried.wrong_codes} wrong exit codes, "
        f"{len(tried.other)} other faults"
    )
    print(f"{time.monotonic() - start:.0f} s")
    problems = [*(problem for c in counted.values() for problem in c.problems), *tried.other]
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    sound = all(c.clean for c in counted.values()) and not (tried.tracebacks or tried.wrong_codes)
    return 0 if sound and not problems else 1


def _disturbed(chosen: argparse.Namespace) -> dict[str, harness.Counts]:
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with harness.nurseries() as made, Progress(*columns, console=Console(stderr=True)) as bar:
        known = harness.reference(made[0])
        faults = harness.failpoint_faults(known, chosen.turns)
        task = bar.add_task("failpoints", total=len(faults))
        counted = {"failpoints": harness.all_disturbed(made, known, faults, lambda: bar.advance(task))}
        kills = bar.add_task("kills", total=chosen.kills)
        counted["kills"] = harness.killed(made, known, chosen.kills, chosen.seed, lambda: bar.advance(kills))
        bar.update(kills, completed=counted["kills"].killed)
        task = bar.add_task("kills of a GDR", total=chosen.gdr_kills)
        with tempfile.TemporaryDirectory(prefix="gdr-bench-faults-") as folder:
            counted["kills of a GDR"] = harness.gdr_kills(
                Path(folder), chosen.gdr_kills, chosen.seed, lambda: bar.advance(task)
            )
    return counted


if __name__ == "__main__":
    raise SystemExit(main())
