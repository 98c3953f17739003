"""Standard output whose reader has gone, or that was closed from the start: the exit code is that of the work done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.cli import _app
from bench.comparison import one_run
from bench.gate import save_baseline

N = 60


@pytest.fixture(scope="module")
def folder(write_run: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, the same again, one that was ruined, and a baseline of the first."""
    root = tmp_path_factory.mktemp("closed")
    ranks = np.ceil(np.exp(np.random.default_rng(0).uniform(0, 4, N)))
    for name, own in {"base": ranks, "same": ranks, "broken": np.full(N, 400.0)}.items():
        write_run(root / name, [{"ranks": own}])
    save_baseline(one_run(root / "base"), root / "baseline.json")
    return root


def gone(*arguments: str | Path, stderr_too: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m bench ARGUMENTS` whose output nobody reads: the pipe's other end is closed before it starts."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "-m", "bench", *map(str, arguments)], stdout=writer,
            stderr=writer if stderr_too else subprocess.PIPE, text=True, timeout=120, check=False,
            env={**os.environ, **variables},
        )  # fmt: skip
    finally:
        os.close(writer)


def gating(folder: Path, candidate: str, *options: str | Path) -> list[str | Path]:
    return ["gate", "--baseline", folder / "baseline.json", "--candidate", folder / candidate, *options]


@pytest.mark.parametrize(("candidate", "code"), [("same", 0), ("broken", 1)])
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("form", ["table", "md", "json"])
def test_the_gates_exit_code_is_its_answer(
    folder: Path, tmp_path: Path, form: str, unbuffered: str, candidate: str, code: int
) -> None:
    files = ("--junit", tmp_path / "gate.xml", "--markdown", tmp_path / "gate.md")
    done = gone(*gating(folder, candidate, "--format", form, *files), PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (code, "")
    assert f"(exit {code})" in (tmp_path / "gate.md").read_text()
    assert f"(exit {code})" in (tmp_path / "gate.xml").read_text()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("form", ["table", "csv"])
def test_another_verb_has_done_its_work(folder: Path, form: str, unbuffered: str) -> None:
    done = gone("compare", folder / "base", folder / "broken", "--format", form, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, "")


def test_head_ends_a_comparison_quietly(folder: Path) -> None:
    line = f"'{sys.executable}' -m bench compare base broken | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(_app.__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "B = broken against A = base" in done.stdout


@pytest.mark.parametrize("form", ["table", "json"])
@pytest.mark.parametrize(("candidate", "code"), [("same", 0), ("broken", 1), ("missing", 2)])
def test_no_standard_output_at_all(folder: Path, form: str, candidate: str, code: int) -> None:
    command = [sys.executable, "-m", "bench", *map(str, gating(folder, candidate, "--format", form))]
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", *command], stderr=subprocess.PIPE, text=True, timeout=120, check=False
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert (done.stderr == "") == (code < 2)
    if form == "table":
        return
    silent = subprocess.run(["bash", "-c", '"$@" >&- 2>&-', "bash", *command], timeout=120, check=False)
    assert silent.returncode == code


def test_a_message_that_nobody_reads_changes_no_code(folder: Path) -> None:
    assert gone(*gating(folder, "missing"), stderr_too=True).returncode == 2
    assert gone(*gating(folder, "broken"), stderr_too=True).returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("form", ["table", "json"])
def test_an_answer_that_could_not_be_written_is_told(folder: Path, form: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bench", *map(str, gating(folder, "broken", "--format", form))], stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "warning: standard output: [Errno 28] No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_work_goes_on_when_nobody_reads() -> None:
    """As `bench run FOLDER | head -1` does after its first suite."""
    code = (
        "import sys\n"
        "from bench.cli._app import guarded, show_while_read\n"
        "def suites():\n"
        "    for name in 'abc':\n"
        "        show_while_read(lambda: print(name, flush=True))\n"
        "        sys.stderr.write(name)\n"
        "    return 0\n"
        "sys.exit(guarded(suites))\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "abc")
