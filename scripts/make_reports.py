"""Build reports/ from nothing but the bundle: every suite in both presets, other retrievers, seeds; pages; leaderboard.

Usage: python scripts/make_reports.py [--preset quick|full|both] [--jobs N] [--only SUITE ...] [--out reports]
       python scripts/make_reports.py --pages [--out reports]

Runs are started as `bench run` with one thread each, so that their numbers do not depend on how many run at a time.
Then one query of each retriever is timed, with nothing beside it.
What is in results/ and the cache is found again: stopped, the same command goes on. A run that fails does not stop the
others; the pages are built from those that did not, and the exit code is 1. Used by `make reports`.

With --pages nothing is run: the pages are built again from reports/data, after a change of how they look.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench import resources
from bench._suite_yaml import read_yaml
from bench.errors import UserError
from bench.latency import FILE as LATENCY
from bench.leaderboard import build_leaderboard
from bench.report.index import build_index
from bench.report.load import Run, find_runs
from bench.report.schemas import write_schema


class Job(NamedTuple):
    """One run: a suite, a preset, and what is set beside it."""

    suite: str
    preset: str
    settings: tuple[str, ...] = ()
    seed: int | None = None

    @property
    def name(self) -> str:
        seed = () if self.seed is None else (f"seed={self.seed}",)
        return " ".join((self.suite, self.preset, *self.settings, *seed))


# --- the plan: what is published --------------------------------------------------------------------------------------

#: Suites of these groups, each in every preset asked for.
GROUPS = ("default", "tuning")
PRESETS = ("quick", "full")
#: Suite -> other main retrievers that it is run on in the quick preset, a page each.
OTHER_RETRIEVERS = {
    "negative-prompting": ("gdr-muscall", "gdr-clap-t5", "gdr-mule-t5", "gdr-clap-long", "gdr-clap-small"),
    "inversion": ("gdr-muscall", "gdr-clap-long"),
}
#: Suite -> noise seeds beside the suite's own, in the quick preset; training seeds are not repeated in them.
SEEDS = {"negative-prompting": (1, 2, 3, 4)}
SEED_SETTINGS = ("replicates=[]",)
#: Folder of the leaderboard, beside the pages.
LEADERBOARD = "leaderboard"


def plan(presets: Sequence[str] = PRESETS, only: Sequence[str] = ()) -> list[Job]:
    """The runs to publish, quick ones first, so that a mistake shows early.

    Args:
        presets: of the runs.
        only: names of suites; default all of `GROUPS`.

    Raises:
        SystemExit: `only` names a suite that there is not.
    """
    known = resources.suite_names()
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise SystemExit(f"unknown suite {', '.join(unknown)} (known: {', '.join(known)})")
    suites = [name for name in known if (name in only if only else _group(name) in GROUPS)]
    jobs = []
    for preset in presets:
        jobs += [Job(suite, preset) for suite in suites]
    if "quick" in presets:
        for suite in suites:
            jobs += [Job(suite, "quick", (f"retriever={other}",)) for other in OTHER_RETRIEVERS.get(suite, ())]
            jobs += [Job(suite, "quick", SEED_SETTINGS, seed) for seed in SEEDS.get(suite, ())]
    return jobs


def _group(suite: str) -> str:
    return str(read_yaml(resources.suite_path(suite)).data.get("group"))


# --- running it -------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of a job: the run's folder, or why there is none."""

    job: Job
    folder: Path | None
    why: str = ""


def bench_command(job: Job, results: Path) -> list[str]:
    """The command line of a job; it prints the run's folder."""
    command = [sys.executable, "-m", "bench", "run", job.suite, "--preset", job.preset, "--threads", "1"]
    command += ["--out", str(results), "--quiet"]
    for setting in job.settings:
        command += ["--set", setting]
    return command if job.seed is None else [*command, "--seed", str(job.seed)]


def run_job(job: Job, command: Sequence[str]) -> Outcome:
    """Run one command; its last printed line is the run's folder."""
    start = time.monotonic()
    print(f"start  {job.name}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - start
    said = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode == 0 and said and (Path(said[-1]) / "summary.json").is_file():
        print(f"done   {job.name}: {said[-1]} ({seconds:.0f} s)", flush=True)
        return Outcome(job, Path(said[-1]))
    lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it printed no folder of results"]
    print(f"FAILED {job.name} after {seconds:.0f} s, exit code {done.returncode}: {lines[-1]}", flush=True)
    return Outcome(job, None, lines[-1])


def run_jobs(jobs: Sequence[Job], at_once: int, command: Callable[[Job], Sequence[str]]) -> list[Outcome]:
    """Run jobs, several at a time; one that fails does not stop the others."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        return list(pool.map(lambda job: run_job(job, command(job)), jobs))


def time_queries(outcomes: Sequence[Outcome], say: Callable[[str], None] = print) -> None:
    """Time one query of each retriever, run after run with nothing beside it; what was timed before stays."""
    for outcome in outcomes:
        if outcome.folder is None or outcome.job.settings or (outcome.folder / LATENCY).is_file():
            continue
        command = [sys.executable, "-m", "bench", "latency", str(outcome.folder), "--threads", "1"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            say(f"not timed {outcome.job.name}: {(done.stderr.splitlines() or ['no reason given'])[-1]}")


# --- publishing it ----------------------------------------------------------------------------------------------------


def publish(outcomes: Sequence[Outcome], out: Path) -> Path:
    """Build the pages and the leaderboard beside `out`, then put them in its place.

    Args:
        outcomes: of the jobs; what was published before of other suites and presets stays.
        out: `reports/`; made anew, so it must be empty, or what an earlier call made.

    Raises:
        SystemExit: `out` holds something else.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / "index.md").is_file():
        raise SystemExit(f"{out}: holds something else than reports (no index.md); name another folder with --out")
    earlier = [Run(folder) for folder in find_runs(out / "data")] if (out / "data").is_dir() else []
    tried = {(outcome.job.suite, outcome.job.preset) for outcome in outcomes}
    kept = [run.folder for run in earlier if (run.suite, run.preset) not in tried]
    folders = [outcome.folder for outcome in outcomes if outcome.folder is not None]
    fresh = out.with_name(f"{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    build_index([*folders, *kept], fresh, keep=fresh / "data", leaderboard=LEADERBOARD)
    if not _leaderboard(fresh):
        build_index(fresh / "data", fresh)  # without the link
    write_schema(fresh / "schema.json")
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)
    return out / "index.md"


def _leaderboard(out: Path) -> bool:
    """The leaderboard of what the pages are built from; where it cannot be built the pages stand without it."""
    try:
        build_leaderboard(out / "data", out / LEADERBOARD)
    except UserError as error:
        print(f"no leaderboard: {error}", file=sys.stderr)
        return False
    return True


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--preset", choices=(*PRESETS, "both"), default="both")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="runs at a time, a thread each")
    parser.add_argument("--only", nargs="+", default=[], metavar="SUITE")
    parser.add_argument("--pages", action="store_true", help="run nothing, build the pages again from their data")
    parser.add_argument("--list", action="store_true", help="print the runs and stop")
    args = parser.parse_args(argv)
    if args.pages:
        if not (args.out / "data").is_dir():
            raise SystemExit(f"{args.out}: holds no data of published pages; run without --pages")
        print(publish([], args.out))
        return 0
    jobs = plan(PRESETS if args.preset == "both" else (args.preset,), args.only)
    if args.list:
        print("\n".join(job.name for job in jobs))
        return 0
    outcomes = run_jobs(jobs, args.jobs, lambda job: bench_command(job, args.results))
    time_queries(outcomes)
    if any(outcome.folder for outcome in outcomes):
        print(publish(outcomes, args.out))
    failed = [outcome for outcome in outcomes if outcome.folder is None]
    for outcome in failed:
        print(f"failed: {outcome.job.name}: {outcome.why}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
