"""The corpus of bad inputs: what there is, how a case is run, and what is wrong with the way it ended.

`make faults` builds every case in a temporary folder, runs it and prints counts.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from corpus import arrays, baselines, manifests, runs, schema, text, yaml_files
from corpus.case import DONE, Case, Recipe

__all__ = ["Counts", "Outcome", "build", "cases", "faults", "problems", "recipes", "run_case", "sound"]

#: Processor time of one command; a machine that is busy with other things takes longer by the clock.
SECONDS = 5.0
MEMORY = 4 << 30
WRITTEN = 64 << 20
#: Letters of a message; a terminal shows about fifty lines of a hundred.
MESSAGE = 12_000
MODULES = (yaml_files, schema, arrays, text, runs, baselines, manifests)
#: What a command may make in its folder: results and cache are told to lie there.
OWN = ("results", "cache", "out", "home")


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float
    """Of the processor."""
    made: tuple[str, ...]
    """Files that were made, changed or removed in the case's folder, beside `OWN`."""


class Counts(NamedTuple):
    """What `faults` found."""

    inputs: int
    tracebacks: int
    """Commands that ended with a traceback, or as an internal error."""
    wrong_codes: int
    other: tuple[str, ...]
    """What else is wrong, one line a case: a message that does not say where, time, files left behind."""


def recipes() -> list[Recipe]:
    """Every bad input there is; nothing is written."""
    return [recipe for module in MODULES for recipe in module.RECIPES]


def sound() -> list[Recipe]:
    """Whole inputs of the same kinds, which the same commands accept: the controls of the corpus."""
    return [recipe for module in MODULES for recipe in getattr(module, "SOUND", [])]


def build(recipe: Recipe, folder: Path) -> Case:
    """Write the files of a case into a folder, which is made."""
    folder.mkdir(parents=True)
    given = recipe.build(folder)
    return Case(
        recipe.name, recipe.kind, given.argv, recipe.code, given.mention, folder, recipe.apart, given.call
    )  # fmt: skip


def cases(folder: Path) -> list[Case]:
    """Write the whole corpus, a folder a case.

    Args:
        folder: of the corpus; is made.
    """
    found = enumerate(recipes())
    return [build(recipe, folder / f"{place:03d}-{_slug(recipe.name)}") for place, recipe in found]


def run_case(case: Case) -> Outcome:
    """Run a case's command in its folder, here or in a process of its own."""
    before = _listing(case.folder)
    code, out, err, seconds = _apart(case) if case.apart else _here(case)
    after = _listing(case.folder)
    made = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return Outcome(code, out, err, seconds, tuple(made))


def problems(case: Case, outcome: Outcome) -> list[str]:
    """What is wrong with the way a case ended; empty where all is well."""
    code, out, err, seconds, made = outcome
    found = []
    if _is_traceback(outcome):
        found.append(f"a traceback or internal error: {err[-300:]}")
    if code != case.code:
        found.append(f"exit code {code}, not {case.code}: {err[:300]}")
    if seconds > SECONDS:
        found.append(f"took {seconds:.1f} s of the processor")
    found += [f"{name} was made or changed" for name in made]
    if case.code == DONE:
        return found
    if len(re.findall(r"^error: ", err, re.MULTILINE)) != 1 or not err.startswith("error: "):
        found.append(f"not one message: {err[:300]!r}")
    if len(err) > MESSAGE:
        found.append(f"a message of {len(err)} letters")
    if any(not letter.isprintable() and letter != "\n" for letter in err):
        found.append(f"a message with letters that cannot be printed: {err[:300]!r}")
    if "hunter2" in out + err:
        found.append(f"a secret was read: {(out + err)[:300]!r}")
    found += [f"{words!r} is not in the message: {err[:400]!r}" for words in case.mention if words not in err]
    return found


def faults(folder: Path | None = None) -> Counts:
    """Build and run the whole corpus.

    Args:
        folder: where the files are written; None: a temporary one, which is removed.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="bench-corpus-") as temporary:
            return faults(Path(temporary) / "corpus")
    ended = [(case, run_case(case)) for case in cases(folder)]
    other = []
    for case, outcome in ended:
        if not _is_traceback(outcome) and outcome.code == case.code:
            other += [f"{case.name}: {problem}" for problem in problems(case, outcome)]
    return Counts(
        len(ended),
        sum(_is_traceback(outcome) for _, outcome in ended),
        sum(outcome.code != case.code for case, outcome in ended),
        tuple(other),
    )


def _is_traceback(outcome: Outcome) -> bool:
    return any(words in outcome.err for words in ("Traceback", "internal error")) or outcome.code == 70


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Files and folders of a case, with size and time; links are not followed."""
    found = {}
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in OWN]
        for name in (*folders, *names):
            file = Path(place, name)
            about = file.lstat()
            found[str(file.relative_to(folder))] = (about.st_size, 0 if name in folders else about.st_mtime_ns)
    return found


# --- running ----------------------------------------------------------------------------------------------------------


def _variables(folder: Path) -> dict[str, str]:
    own = {"BENCH_OUT": "results", "BENCH_CACHE_DIR": "cache", "HOME": "home"}
    if (folder / "bundle").is_dir():
        own["BENCH_BUNDLE_DIR"] = "bundle"
    return {
        **{name: str(folder / place) for name, place in own.items()},
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        "HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "200",
    }  # fmt: skip


@contextlib.contextmanager
def _inside(case: Case) -> Iterator[None]:
    """Work in the case's folder, with its variables; both are put back."""
    kept, place = dict(os.environ), Path.cwd()
    try:
        os.environ.update(_variables(case.folder))
        os.chdir(case.folder)
        yield
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(kept)


def _here(case: Case) -> tuple[int, str, str, float]:
    from bench.cli import main
    from bench.cli._app import guarded

    def called() -> int:
        assert case.call is not None
        case.call()
        return DONE

    out, err = io.StringIO(), io.StringIO()
    begin = time.process_time()
    with _inside(case), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = main(case.argv) if case.call is None else guarded(called)
    return code, out.getvalue(), err.getvalue(), time.process_time() - begin


def _apart(case: Case) -> tuple[int, str, str, float]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))

    # The start of Python and its libraries is not the input's.
    script = "import sys, time; from bench.cli import main; import numpy, bench.score\n" \
             "begin = time.process_time(); code = main(sys.argv[1:])\n" \
             "print(time.process_time() - begin, file=sys.stderr); sys.exit(code)"  # fmt: skip
    command = [sys.executable, "-W", "ignore", "-c", script, *case.argv]
    with _inside(case):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=120, preexec_fn=limit, check=False, errors="replace"
            )
        except subprocess.TimeoutExpired:
            return 124, "", "it did not end within two minutes", 120.0
    *lines, last = done.stderr.splitlines() or [""]
    try:
        return done.returncode, done.stdout, "".join(f"{line}\n" for line in lines), float(last)
    except ValueError:
        return done.returncode, done.stdout, done.stderr, 0.0
