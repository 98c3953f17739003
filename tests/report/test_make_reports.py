"""The script that runs everything and publishes it: its plan, what it does when a run fails, what it replaces."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench import resources
from bench.report import _page

Make = Callable[..., Any]
SCRIPT = Path(__file__).parents[2] / "scripts" / "make_reports.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reports", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page, "save_figure", lambda *_: None)
    monkeypatch.setattr(_page, "html_page", lambda *_, **__: "")


def test_the_plan_has_every_default_suite_in_both_presets_once(script: ModuleType) -> None:
    jobs = script.plan()
    assert len(set(jobs)) == len(jobs)
    plain_jobs = {(job.suite, job.preset) for job in jobs if not job.settings and job.seed is None}
    assert {("negative-prompting", "quick"), ("negative-prompting", "full"), ("retrieval", "full")} <= plain_jobs
    assert {suite for suite, _ in plain_jobs} <= set(resources.suite_names())
    other = [
        job.settings for job in jobs if job.suite == "negative-prompting" and job.preset == "quick" and job.settings
    ]
    assert ("retriever=gdr-muscall",) in other
    assert sorted(job.seed for job in jobs if job.seed is not None) == [1, 2, 3, 4]


def test_a_plan_of_one_suite_and_of_one_that_is_not_there(script: ModuleType) -> None:
    assert [job.name for job in script.plan(["full"], ["retrieval"])] == ["retrieval full"]
    with pytest.raises(SystemExit, match="unknown suite retreival"):
        script.plan(only=["retreival"])


def test_a_job_is_a_bench_run(script: ModuleType) -> None:
    command = script.bench_command(script.Job("retrieval", "full", ("queries=3",), 2), Path("out"))
    assert command[1:] == [
        "-m", "bench", "run", "retrieval", "--preset", "full", "--threads", "1", "--out", "out", "--quiet",
        "--set", "queries=3", "--seed", "2",
    ]  # fmt: skip


def _printing(folder: Path) -> list[str]:
    return [sys.executable, "-c", f"print('noise'); print({str(folder)!r})"]


def _failing(text: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; print({text!r}, file=sys.stderr); sys.exit(2)"]


def test_a_run_that_fails_does_not_stop_the_others(
    script: ModuleType, suite_folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = suite_folder("retrieval", ("R@10",))
    made.add("gdr-clap")
    folder = made.write(tmp_path)
    jobs = [script.Job(name, "quick") for name in ("retrieval", "inversion", "datasets")]
    commands = {
        "retrieval": _printing(folder), "inversion": _failing("error: no such bundle"),
        "datasets": [sys.executable, "-c", "print('nowhere')"],
    }  # fmt: skip
    outcomes = script.run_jobs(jobs, 2, lambda job: commands[job.suite])
    assert [outcome.folder for outcome in outcomes] == [folder, None, None]
    assert outcomes[1].why == "error: no such bundle"
    assert "FAILED inversion quick" in capsys.readouterr().out


def test_the_exit_code_says_that_a_run_failed(
    script: ModuleType, suite_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = suite_folder("retrieval", ("R@10",))
    made.add("gdr-clap")
    folder = made.write(tmp_path / "results")
    flags = ["--only", "retrieval", "--preset", "quick", "--out", str(tmp_path / "reports"), "--jobs", "1"]
    monkeypatch.setattr(script, "bench_command", lambda job, results: _printing(folder))
    assert script.main(flags) == 0
    assert (tmp_path / "reports" / "retrieval.md").is_file()
    monkeypatch.setattr(script, "bench_command", lambda job, results: _failing("error: disk"))
    assert script.main(flags) == 1
    assert "failed: retrieval quick: error: disk" in capsys.readouterr().err
    assert (tmp_path / "reports" / "retrieval.md").is_file(), "what was published stays if nothing could be run"


def _outcome(script: ModuleType, make: Make, results: Path, suite: str, preset: str, main: str = "gdr-clap") -> Any:
    made = make(suite, ("R@10",), preset)
    made.add(main)
    return script.Outcome(script.Job(suite, preset), made.write(results))


def test_publishing_replaces_what_was_run_and_keeps_the_rest(
    script: ModuleType, suite_folder: Make, tmp_path: Path
) -> None:
    out = tmp_path / "reports"
    first = [_outcome(script, suite_folder, tmp_path / "a", suite, "full") for suite in ("retrieval", "inversion")]
    script.publish(first, out)
    (out / "stale.md").write_text("old")
    script.publish([_outcome(script, suite_folder, tmp_path / "b", "retrieval", "full", "gdr-muscall")], out)
    names = {path.name for path in out.glob("*.md")}
    assert {"inversion.md", "retrieval-gdr-muscall.md", "claims.md", "index.md"} >= names - {"claims.md"}
    assert {"inversion.md", "retrieval-gdr-muscall.md"} <= names
    assert not {"stale.md", "retrieval.md"} & names
    assert not out.with_name("reports.new").exists()


def test_pages_alone_are_built_from_what_was_kept(script: ModuleType, suite_folder: Make, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    script.publish([_outcome(script, suite_folder, tmp_path / "a", "retrieval", "full")], out)
    shutil.rmtree(tmp_path / "a")
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    (out / "retrieval.md").write_text("older")
    (out / "stale.md").write_text("old")
    assert script.main(["--pages", "--out", str(out)]) == 0
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    with pytest.raises(SystemExit, match="no data of published pages"):
        script.main(["--pages", "--out", str(tmp_path / "nothing")])


def test_the_leaderboard_of_what_is_published_leads_to_its_pages(
    script: ModuleType, suite_folder: Make, tmp_path: Path
) -> None:
    out = tmp_path / "reports"
    first = [_outcome(script, suite_folder, tmp_path / "a", suite, "full") for suite in ("retrieval", "inversion")]
    script.publish(first[:1], out)
    (out / "leaderboard" / "stale.html").write_text("old")
    assert not (out / "inversion.html").exists()
    # What was published before is still ranked, from its kept columns alone.
    shutil.rmtree(tmp_path / "a" / "retrieval")
    script.publish([first[1], _outcome(script, suite_folder, tmp_path / "b", "mine", "full", "gdr-muscall")], out)
    board = out / "leaderboard"
    assert {file.name for file in board.iterdir()} == {"index.html", "leaderboard.csv", "leaderboard.md"}
    for suffix, pattern in ((".html", r'<a href="([^"]+)"'), (".md", r"\]\(<([^>]+)>\)")):
        text = (board / f"{'index' if suffix == '.html' else 'leaderboard'}{suffix}").read_text()
        found = {link for link in re.findall(pattern, text) if not link.startswith("#")}
        assert len(found) == 2
        assert all(link.endswith(suffix) and (board / link).is_file() for link in found)


def test_pages_are_published_without_a_leaderboard_where_there_is_none(
    script: ModuleType, suite_folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = suite_folder("datasets", ("Tracks",))
    made.add("clap")
    script.publish([script.Outcome(script.Job("datasets", "quick"), made.write(tmp_path / "a"))], tmp_path / "reports")
    assert (tmp_path / "reports" / "datasets.md").is_file()
    assert not (tmp_path / "reports" / "leaderboard").exists()
    assert "no leaderboard: no run measured plain retrieval" in capsys.readouterr().err


def test_publishing_refuses_a_folder_of_something_else(script: ModuleType, suite_folder: Make, tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "letter.txt").write_text("dear")
    with pytest.raises(SystemExit, match="name another folder"):
        script.publish([_outcome(script, suite_folder, tmp_path / "a", "retrieval", "quick")], out)
    assert (out / "letter.txt").read_text() == "dear"


def test_queries_are_timed_once_and_a_run_that_cannot_be_is_told(
    script: ModuleType, suite_folder: Make, tmp_path: Path
) -> None:
    timed = _outcome(script, suite_folder, tmp_path / "a", "retrieval", "full")
    (timed.folder / "latency.json").write_text("before")
    other = timed._replace(job=script.Job("retrieval", "quick", ("retriever=gdr-clap",)), folder=tmp_path / "nowhere")
    cannot = timed._replace(job=script.Job("inversion", "full"), folder=tmp_path / "none")
    said: list[str] = []
    script.time_queries([timed, other, cannot, timed._replace(folder=None)], said.append)
    assert (timed.folder / "latency.json").read_text() == "before"
    (told,) = said
    assert told.startswith("not timed inversion full: error: ")
