"""`bench run`: run a suite, or every suite of a folder, and print what came out."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import _options as options
from bench.cli._app import show_while_read
from bench.errors import BenchError, UserError
from bench.settings import Settings, read_settings

__all__ = ["app"]

app = typer.Typer(add_completion=False)
LOG_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class _Request:
    settings: Settings
    device: str
    profile: str
    preset: str
    overrides: dict[str, Any]
    fresh: bool
    verbosity: int


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A suite file, the name of a suite, or a folder of suites.")],
    out: options.OutOption = None,
    profile: options.ProfileOption = "mini",
    preset: options.PresetOption = "quick",
    seed: Annotated[int | None, typer.Option("--seed", help="Noise seed, instead of the suite's.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Threads (default: physical cores).")] = None,
    device: options.DeviceOption = "auto",
    set_: options.SetOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute everything again.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="In a folder: suites of every group.")] = False,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv says most.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the folder of the results.")] = False,
) -> int:
    """Run a suite; the same command finds the same folder and goes on where it stopped."""
    settings = read_settings(out=out, threads=threads, device=device)
    _limit_threads(settings.threads)
    chosen = options.overrides(set_, seed)
    request = _Request(
        settings, settings.device, profile, preset, chosen, fresh, -1 if quiet else verbose
    )  # fmt: skip
    files = options.suite_files(suite)
    if not Path(suite).is_dir():
        _run_one(files[0], request)
        return 0
    return _run_folder(files, request, all_)


def _limit_threads(count: int) -> None:
    """Set thread counts before the libraries that read them are loaded."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)


def _run_folder(files: list[Path], request: _Request, every_group: bool) -> int:
    """Run each suite; one that fails does not stop the others. Returns the first exit code that is not 0."""
    from bench._requires import unmet
    from bench.suite import load_suite

    code = 0
    for file in files:
        try:
            suite = load_suite(file, profile=request.profile, preset=request.preset, overrides=request.overrides)
            if suite.group != "default" and not every_group:
                continue
            missing = unmet(suite.requires, request.settings, request.device)
            if missing:
                print(f"{suite.name}: skipped: needs {', '.join(missing)}")
                continue
            _execute(suite, request)
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
            code = code or error.exit_code
    return code


def _run_one(file: Path, request: _Request) -> None:
    from bench._requires import unmet
    from bench.suite import load_suite

    suite = load_suite(file, profile=request.profile, preset=request.preset, overrides=request.overrides)
    missing = unmet(suite.requires, request.settings, request.device)
    if missing:
        raise UserError(f"suite {suite.name!r} needs {', '.join(missing)}")
    _execute(suite, request)


def _execute(suite: Any, request: _Request) -> None:
    from bench.execute import RunOptions, run_suite

    run_options = RunOptions(
        out=request.settings.out, cache_dir=request.settings.cache_dir, threads=request.settings.threads,
        device=request.device, fresh=request.fresh,
    )  # fmt: skip
    damaged: list[str] = []
    with _progress(suite.name, request.verbosity) as tick:
        folder = run_suite(suite, run_options, tick, damaged.extend)
    _tell_damage(damaged, folder)
    show_while_read(lambda: _show(folder, request.verbosity))


def _show(folder: Path, verbosity: int) -> None:
    if verbosity >= 0:
        from bench.report.terminal import print_report

        print_report(folder)
    print(folder)


def _tell_damage(damaged: list[str], folder: Path) -> None:
    """Say on stderr what was damaged on disk and has been made again."""
    if damaged:
        shown = ", ".join(damaged[:3]) + (f" and {len(damaged) - 3} more" if len(damaged) > 3 else "")
        print(f"warning: damaged and made again: {shown} (all in {folder / 'provenance.json'})", file=sys.stderr)


@contextmanager
def _progress(name: str, verbosity: int) -> Iterator[Callable[[int, int, str], None] | None]:
    """A bar on a terminal; a line every ten seconds where -v asks for it; nothing when quiet."""
    if verbosity < 0:
        yield None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn(name),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)
    else:
        last = [-LOG_EVERY_SECONDS]

        def log(done: int, total: int, text: str) -> None:
            now = time.monotonic()
            if verbosity > 1 or (verbosity == 1 and now - last[0] >= LOG_EVERY_SECONDS):
                last[0] = now
                print(f"{name} {done}/{total} {text}", file=sys.stderr, flush=True)

        yield log
