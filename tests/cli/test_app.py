"""The dispatcher: help without heavy imports, exit codes, and that no failure shows a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import _app
from bench.errors import EnvironmentFailure, UserError

HEAVY = ("torch", "transformers", "diffusers", "pandas", "numpy", "pydantic")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from bench.cli import main; code = main(['--help'])\n"
        f"bad = set({HEAVY!r}) & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "validate" in done.stdout


def test_help_takes_at_most_half_a_second() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bench", "--help"], check=True, capture_output=True, timeout=60)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) <= 0.5


@pytest.mark.parametrize("verb", list(_app.verbs()))
def test_every_verb_has_a_line_in_help_and_a_help_of_its_own(verb: str, bench: Callable) -> None:
    assert len(_app.verbs()[verb]) > 20
    done = bench(verb, "--help")
    assert done.code == 0
    assert f"bench {verb}" in done.out


@pytest.mark.parametrize("verb", ["run", "validate"])
def test_help_of_a_verb_brings_no_torch(verb: str) -> None:
    script = (
        f"import sys; from bench.cli import main; main(['{verb}', '--help'])\n"
        "bad = {'torch', 'transformers', 'pandas'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_version_and_no_arguments(bench: Callable) -> None:
    assert bench("--version").out.startswith("gdr-bench ")
    assert "Usage" in bench().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "unknown verb 'rnu'; did you mean 'run'?"),
        (["zzzz"], "verbs: run"),
        (["run"], "suite"),
        (["run", "negative-prompting", "--presett", "quick"], "--preset"),
        (["run", "negative-prompting", "--seed", "x"], "--seed"),
        (["run", "negativ-prompting"], "did you mean 'negative-prompting'?"),
        (["run", "negative-prompting", "--set", "samples"], "KEY=VALUE"),
        (["run", "negative-prompting", "--threads", "0"], "--threads 0: must be at least 1"),
        (["run", "negative-prompting", "--threads", "999999999999"], "--threads 999999999999: must be at most 1024"),
        (["run", "negative-prompting", "--device", "tpu"], "--device tpu: choose one of"),
        (["run", "negative-prompting", "--preset", "fast"], "it has: quick, full"),
        (["report", "nowhere"], "nowhere: no such folder"),
        (["ls", "modifers"], "did you mean 'modifiers'?"),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(arguments: list[str], words: str, bench: Callable) -> None:
    done = bench(*arguments)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_threads_from_the_environment_are_checked(bench: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_THREADS", "many")
    done = bench("run", "negative-prompting")
    assert done.code == 2
    assert "BENCH_THREADS=many" in done.err


@pytest.mark.parametrize("verb", [["cache"], ["doctor"], ["run", "negative-prompting"]])
def test_a_superscript_is_no_number_of_threads(
    verb: list[str], bench: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_THREADS", "²")
    done = bench(*verb)
    assert done.code == 2
    assert done.err.startswith("error: BENCH_THREADS=²: must be a whole number")


def _raise(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


ENVIRONMENT = [
    errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENXIO, errno.EMFILE, errno.ENFILE, errno.EFBIG,
    errno.ENOMEM,
]  # fmt: skip


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("wrong"), 2),
        (EnvironmentFailure("full"), 4),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 4),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 2),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), 2),
        *((OSError(number, os.strerror(number), "/x/y"), 4) for number in ENVIRONMENT),
        (MemoryError(), 4),
        (OutOfMemoryError("CUDA out of memory"), 4),
        (ZeroDivisionError("division by zero"), 70),
        (BrokenPipeError(), 0),
    ],
)
def test_every_failure_has_its_exit_code_and_no_traceback(
    error: BaseException, code: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_app, "_silence", lambda stream: None)
    assert _app.guarded(_raise(error)) == code
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert len(err.splitlines()) == (0 if code == 0 else 1)
    if isinstance(error, OSError) and error.filename:
        assert "/x/y" in err


def test_a_bug_saves_its_traceback_and_says_where(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _app.guarded(_raise(ZeroDivisionError("of a test"))) == 70
    err = capfd.readouterr().err
    saved = Path(err.rsplit(" ", 1)[1].strip())
    assert saved.parent == tmp_path / "cache" / "crashes"
    assert "ZeroDivisionError: of a test" in saved.read_text()


class Speechless(Exception):
    """Its words cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("error", [ZeroDivisionError("of a test"), ValueError("\ud800"), Speechless()])
def test_no_failure_while_a_bug_is_told_becomes_a_second_one(
    error: Exception, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Path:
        raise RuntimeError("the settings are the bug")

    monkeypatch.setattr("bench.settings.read_settings", broken)
    assert _app.guarded(_raise(error)) == 70
    err = capfd.readouterr().err
    assert type(error).__name__ in err
    assert "Traceback" not in err
    saved = Path(err.rsplit(" ", 1)[1].strip())
    assert type(error).__name__ in saved.read_text()
    saved.unlink()
    monkeypatch.setattr(_app, "_temporary_folder", broken)
    assert _app.guarded(_raise(error)) == 70
    assert "could not be saved" in capfd.readouterr().err


def test_a_closed_pipe_is_quiet() -> None:
    line = f"{sys.executable} -m bench ls | head -c 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def test_module_and_console_script_are_the_same_program() -> None:
    script = Path(sys.executable).parent / "bench"
    if not script.exists():
        pytest.skip("no console script beside this Python")
    texts = [
        subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60).stdout
        for command in ([script], [sys.executable, "-m", "bench"])
    ]
    assert texts[0] == texts[1]
