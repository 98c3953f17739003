"""The dispatcher: verb -> module, loaded only when it is asked for; and the one place where errors end.

`bench --help` reads the first line of each verb's file and imports none of them.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import hashlib
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from bench.errors import BenchError, UserError

__all__ = ["VERBS", "answered", "guarded", "main", "show_while_read", "verbs"]

VERBS = (
    "run", "validate", "ls", "report", "leaderboard", "compare", "gate", "baseline", "latency", "encode", "score",
    "data", "cache", "doctor",
)  # fmt: skip

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FAILED = {
    errno.EIO: "check the disk",
    errno.ESTALE: "the folder lies on a server that went away; mount it again",
    errno.ETIMEDOUT: "the disk or its server does not answer; check it",
    errno.ENOTCONN: "the folder lies on a server that went away; mount it again",
    errno.ENXIO: "the device is gone; check it",
    errno.ENODEV: "the device is gone; check it",
    errno.EFBIG: "the disk or `ulimit -f` takes no file of this size; choose another folder or raise the limit",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "the system has no more open files to give; close other programs",
    errno.ENOMEM: "free some memory",
    errno.ENOLCK: "the system has no more locks to give; close other programs",
}
"""The environment failed, not this program: the next step for each."""
_LINES, _WIDEST = 100, 1500
"""Of a message: a validated folder of suites may have many lines, and a path may be long."""
_UNUSABLE = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
_DEVICE_LOST = ("OutOfMemoryError", "AcceleratorError")


def verbs() -> dict[str, str]:
    """Verbs that exist, in order, with the first line of their file."""
    folder = Path(__file__).parent
    found = {}
    for name in VERBS:
        file = folder / f"{name}.py"
        if file.is_file():
            text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            found[name] = text.partition("\n")[0].removeprefix(f"`bench {name}`").lstrip(":, ")
    return found


def _help() -> str:
    known = verbs()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {text[:1].upper()}{text[1:]}" for name, text in known.items()]
    return "\n".join(
        [
            "Usage: bench VERB [OPTIONS] [ARGUMENTS]",
            "",
            "Compare ways of turning text into a query for music retrieval.",
            "",
            "Verbs:",
            *lines,
            "",
            "Options:",
            "  --help     This text; `bench VERB --help` tells about one verb.",
            "  --version  The version.",
            "",
            "Start with: bench run negative-prompting",
        ]
    )


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        from bench import __version__

        print(f"gdr-bench {__version__}")
        return 0
    verb, *rest = arguments
    known = verbs()
    if verb not in known:
        from bench.registry import nearest

        close = nearest(verb, list(known))
        hint = f"did you mean {close!r}?" if close else f"verbs: {', '.join(known)}"
        raise UserError(f"unknown verb {verb!r}; {hint} (bench --help)")
    module = importlib.import_module(f"bench.cli.{verb}")
    return run_typer(module.app, rest, f"bench {verb}")


def run_typer(app: Any, arguments: Sequence[str], program: str) -> int:
    """Run a typer app; returns the exit code, and raises what the command raised."""
    import typer

    command = typer.main.get_command(app)
    try:
        code = command.main(args=list(arguments), prog_name=program, standalone_mode=False)
    except Exception as error:
        # Typer brings its own copy of click in some versions and the real one in others, so classes cannot be named.
        if hasattr(error, "format_message"):
            raise UserError(f"{error.format_message()} (see `{program} --help`)") from None
        if type(error).__name__ == "Abort":
            raise KeyboardInterrupt from None
        if type(error).__name__ != "Exit":
            raise
        code = getattr(error, "exit_code", 0)
    except SystemExit as stop:
        if not _reader_left(stop):
            raise
        raise BrokenPipeError from None
    if code == EXIT_INTERRUPTED:  # some versions turn an interrupt into this code, and say nothing
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _reader_left(stop: BaseException) -> bool:
    """Whether it stands for a closed pipe: click and rich turn one into an exit with code 1, which says regression."""
    cause = stop if isinstance(stop, OSError) else stop.__context__
    return isinstance(cause, OSError) and cause.errno in (None, errno.EPIPE)


def answered(code: int, show: Callable[[], None]) -> int:
    """Show an answer that is known: what happens to standard output does not change its exit code."""
    try:
        show_while_read(show)
    except OSError as error:
        _silence(sys.stdout)
        _say(f"warning: standard output: {_one_line(error)}; the answer is there in part or not at all")
    return code


def show_while_read(show: Callable[[], None]) -> None:
    """Show something; once the reader has gone, nothing is shown any more, and the work goes on."""
    try:
        show()
        sys.stdout.flush()
    except (OSError, SystemExit) as error:
        if not _reader_left(error):
            raise
        _silence(sys.stdout)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code (CONTRACT.md, "Command line")."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(arguments))


def guarded(action: Callable[[], int]) -> int:
    """Run an action; every failure becomes one message on stderr and an exit code, never a traceback."""
    _open_closed_streams()
    code = 0
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BenchError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; what was finished is kept, run the same command again to go on", EXIT_INTERRUPTED)
    except BrokenPipeError:
        _silence(sys.stdout)
        return code
    except MemoryError:
        return _fail("out of memory; what was finished is kept, try --set samples=1 or fewer queries", 4)
    except OSError as error:
        return _operating_system(error)
    except Exception as error:
        if type(error).__name__ in _DEVICE_LOST:
            return _fail(f"the device failed: {_one_line(error)}; what was finished is kept, try --device cpu", 4)
        return _bug(error)


def _silence(stream: TextIO) -> None:
    """The reader has gone: without this Python complains once more, and exits with 120, when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no number
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _open_closed_streams() -> None:
    """Started with `>&-` there is no stream at all: what is printed goes nowhere, and no file gets its number."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _operating_system(error: OSError) -> int:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return _fail(
            f"{place}{error.strerror}; what was finished is kept, free some space and run the same command again", 4
        )
    if error.errno in _FAILED:
        step = f"{_FAILED[error.errno]} and run the same command again"
        return _fail(f"{place}{error.strerror}; what was finished is kept, {step}", 4)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _fail(f"{place}{error.strerror}; choose a folder that you may write, such as --out DIR", 2)
    if error.errno in _UNUSABLE:
        return _fail(f"{place}{error.strerror}; give another path or a shorter name", 2)
    return _bug(error)


def _fail(message: str, code: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    _say(f"error: {_readable(message)}")
    return code


def _say(line: str) -> None:
    """A line on stderr; one that nobody can read changes no exit code."""
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed, by the reader or by whoever started this
        _silence(sys.stderr)


def _readable(message: str) -> str:
    """A message that a terminal can show: a name in it comes from a file, and may be a megabyte of control codes."""
    lines = [
        line if len(line) <= _WIDEST else f"{line[: _WIDEST - 300]} […] {line[-300:]}" for line in message.splitlines()
    ]
    more = [f"[… and {len(lines) - _LINES} lines more]"] if len(lines) > _LINES else []
    shown = (
        "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line) for line in lines[:_LINES]
    )
    return "\n".join([*shown, *more])


def _bug(error: BaseException) -> int:
    """Say what went wrong and where its traceback is; what fails meanwhile must not become a second bug."""
    where = "(and the traceback could not be saved)"
    for folder in (_crash_folder, _temporary_folder):
        with contextlib.suppress(Exception):
            where = f"traceback saved in {_save_traceback(error, folder())}"
            break
    return _fail(f"internal error, a bug in gdr-bench: {type(error).__name__}: {_one_line(error)}; {where}", EXIT_BUG)


def _save_traceback(error: BaseException, folder: Path) -> Path:
    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    file = folder / f"bench-crash-{hashlib.sha256(text).hexdigest()[:8]}.txt"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)
    return file


def _crash_folder() -> Path:
    """Beside the cache. The bug may be one of the settings, so this may raise anything."""
    from bench.settings import read_settings

    return read_settings().cache_dir / "crashes"


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir())


def _one_line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:200]
    except Exception:
        return "(without words)"
