"""`bench baseline save` and `bench gate`: exit codes, files, and bad input."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from ruamel.yaml import YAML

N = 200
WORKFLOW = Path(__file__).parents[2] / "docs" / "ci" / "github-actions.yml"


@pytest.fixture
def ranks() -> np.ndarray:
    return np.ceil(np.exp(np.random.default_rng(0).uniform(0, 6, N)))


@pytest.fixture
def runs(write_run: Callable, tmp_path: Path, ranks: np.ndarray) -> dict[str, Path]:
    """A run to take as a baseline, the same again, one that lost much, and one that lost a little."""
    rng = np.random.default_rng(1)
    candidates = {"base": ranks, "same": ranks, "broken": rng.integers(1, 500, N)}
    candidates["worse"] = np.where(rng.random(N) < 0.1, 400, ranks)
    return {name: write_run(tmp_path / name, [{"ranks": r}]) for name, r in candidates.items()}


@pytest.fixture
def baseline(bench: Callable, runs: dict[str, Path], tmp_path: Path) -> Path:
    file = tmp_path / "baselines" / "retrieval.json"
    done = bench("baseline", "save", runs["base"], "--out", file)
    assert done.code == 0, done.err
    assert f"{file}: 1 cells of retrieval (quick)" in done.out
    return file


@pytest.mark.parametrize(("name", "code"), [("same", 0), ("broken", 1), ("worse", 3)])
def test_the_answer_is_the_exit_code(
    bench: Callable, runs: dict[str, Path], baseline: Path, tmp_path: Path, name: str, code: int
) -> None:
    junit, markdown = tmp_path / "out" / "gate.xml", tmp_path / "out" / "gate.md"
    done = bench("gate", "--baseline", baseline, "--candidate", runs[name], "--junit", junit, "--markdown", markdown)
    assert done.code == code, done.err
    answer = {0: "no regression", 1: "regression", 3: "inconclusive"}[code]
    assert f"{answer} (exit {code})" in done.out
    assert f"{answer} (exit {code})" in markdown.read_text()
    suite = ElementTree.parse(junit).getroot()
    assert int(suite.get("tests", "")) == 3
    assert (int(suite.get("failures", "")) > 0) == (code == 1)
    assert "would decide" in done.out or code != 3


def test_inconclusive_fails_only_in_junit(
    bench: Callable, runs: dict[str, Path], baseline: Path, tmp_path: Path
) -> None:
    arguments = ("gate", "--baseline", baseline, "--candidate", runs["worse"], "--junit", tmp_path / "gate.xml")
    assert bench(*arguments, "--inconclusive", "fail").code == 3
    suite = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert int(suite.get("failures", "")) > 0
    assert suite.get("skipped") == "0"


def test_margins_decide(bench: Callable, runs: dict[str, Path], baseline: Path) -> None:
    arguments = ("gate", "--baseline", baseline, "--candidate", runs["worse"], "--metric", "R@10", "--format", "json")
    wide = bench(*arguments, "--margin", "R@10=20")
    assert wide.code == 0, wide.err
    tight = bench(*arguments, "--margin", "R@10=0.1")
    assert tight.code in (1, 3)
    (one,) = json.loads(tight.out)["judged"]
    assert (one["margin"], one["margin_given"]) == (0.1, True)
    assert json.loads(wide.out)["judged"][0]["change"] == one["change"]


def test_another_name(bench: Callable, write_run: Callable, tmp_path: Path, baseline: Path, ranks: np.ndarray) -> None:
    folder = write_run(tmp_path / "mine", [{"ranks": ranks, "retriever": "my-encoder"}])
    arguments = ("gate", "--baseline", baseline, "--candidate", folder)
    refused = bench(*arguments)
    assert refused.code == 2
    assert "--as gdr-clap=NAME" in refused.err
    assert bench(*arguments, "--as", "gdr-clap=my-encoder").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--margin", "R@10"), "write it as R@10=1.0"),
        (("--margin", "R@10=much"), "'much' is no number"),
        (("--margin", "R@10=0"), "a margin is above 0"),
        (("--margin", "R@10=1e400"), "--margin R@10=inf is not finite"),
        (("--junit", "."), "--junit .: is a folder; name a file in it, such as gate.xml"),
        (("--markdown", "."), "--markdown .: is a folder; name a file in it, such as gate.md"),
        (("--junit", "same.xml", "--markdown", "./same.xml"), "--junit and --markdown name the same file"),
        (("--junit", "/proc/none/gate.xml"), "/proc/none/gate.xml: cannot be written"),
        (("--margin", "R@10=1", "--margin", "R@10=2"), "given twice"),
        (("--as", "gdr-clap"), "write it as gdr-clap=my-encoder"),
        (("--inconclusive", "maybe"), "choose one of fail, pass"),
        (("--format", "xml"), "choose one of table, md, json"),
    ],
)
def test_bad_options(
    bench: Callable, runs: dict[str, Path], baseline: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = bench("gate", "--baseline", baseline, "--candidate", runs["same"], *arguments)
    assert done.code == 2
    assert message in done.err


def test_files_that_are_not_there(bench: Callable, runs: dict[str, Path], baseline: Path, tmp_path: Path) -> None:
    missing = bench("gate", "--baseline", tmp_path / "no.json", "--candidate", runs["same"])
    assert missing.code == 2
    assert "bench baseline save RUN --out" in missing.err
    assert bench("gate", "--baseline", baseline, "--candidate", tmp_path / "no").code == 2
    assert bench("baseline", "save", tmp_path / "no", "--out", tmp_path / "x.json").code == 2
    assert not (tmp_path / "x.json").exists()
    folder = bench("baseline", "save", runs["same"], "--out", tmp_path)
    assert folder.code == 2
    assert f"--out {tmp_path}: is a folder; name a file in it, such as {tmp_path / 'baseline.json'}" in folder.err
    assert bench("baseline", "save", runs["same"], "--out", "/proc/none/b.json").code == 2
    read = bench("gate", "--baseline", tmp_path, "--candidate", runs["same"])
    assert read.code == 2
    assert "is a folder; name the JSON file" in read.err


def test_a_baseline_is_not_written_over(bench: Callable, runs: dict[str, Path], baseline: Path) -> None:
    content = baseline.read_bytes()
    done = bench("gate", "--baseline", baseline, "--candidate", runs["same"], "--markdown", baseline)
    assert done.code == 2
    assert "--baseline and --markdown name the same file" in done.err
    assert baseline.read_bytes() == content


@pytest.fixture
def workflow() -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(WORKFLOW)


@pytest.mark.parametrize(("name", "code"), [("same", 0), ("broken", 1)])
def test_the_gate_of_the_workflow_in_the_docs_runs(
    bench: Callable, workflow: dict[str, Any], runs: dict[str, Path], baseline: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, name: str, code: int,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    runs[name].rename(tmp_path / "results")
    assert str(baseline.relative_to(tmp_path)) == workflow["env"]["BASELINE"]
    steps = {step["name"]: step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step}
    filled = Template(steps["Gate"]).substitute(workflow["env"])
    program, *arguments = shlex.split(filled)
    assert (program, arguments[0]) == ("bench", "gate")
    done = bench(*arguments)
    assert done.code == code, done.err
    shown = steps["Show the answer"].split()
    assert Path(shown[3]).read_text().startswith("### Retrieval gate")
    assert ElementTree.parse("gate/junit.xml").getroot().get("tests") == "3"
    # A retriever of another name, which the file's comment shows how to give.
    renamed = bench(*arguments, "--as", "gdr-clap=my-encoder")
    assert renamed.code == 2
    assert "has no retriever 'my-encoder'" in renamed.err


def test_the_run_and_the_baseline_of_the_workflow_have_options_that_exist(
    bench: Callable, workflow: dict[str, Any]
) -> None:
    steps = {step["name"]: step["run"] for step in workflow["jobs"]["gate"]["steps"] if "run" in step}
    lines = [Template(steps["Run the suite"]).substitute(workflow["env"])]
    lines += re.findall(r"^#   (bench .*)$", WORKFLOW.read_text(), re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        _, *arguments = shlex.split(line)
        options = {word for word in arguments if word.startswith("--")}
        verb = arguments[: 2 if arguments[0] == "baseline" else 1]
        told = bench(*verb, "--help").out
        assert all(re.search(rf"{option}\b", told) for option in options), (line, told)
