"""validate, run (before it runs), ls, doctor and cache, by what they print and return."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import registry, resources
from bench.errors import UserError


@pytest.fixture
def suite_folder(tmp_path: Path) -> Path:
    """A copy of the packaged suites, to make mistakes in."""
    folder = tmp_path / "suites"
    (folder / "prompts").mkdir(parents=True)
    for file in resources.suites_dir().glob("*.yaml"):
        (folder / file.name).write_text(file.read_text())
    for file in (resources.suites_dir() / "prompts").glob("*.yaml"):
        (folder / "prompts" / file.name).write_text(file.read_text())
    return folder


# --- validate -------------------------------------------------------------------------------------------------------


def test_validate_accepts_every_packaged_suite(bench: Callable, bundle_dir: Path) -> None:
    done = bench("validate", *resources.suite_names())
    assert done.code == 0, done.err
    assert done.out.count(": ok (") == len(resources.suite_names())


def test_validate_takes_a_folder(bench: Callable, bundle_dir: Path, suite_folder: Path) -> None:
    assert bench("validate", suite_folder).out.count(": ok (") == len(resources.suite_names())


def test_validate_tells_of_a_missing_and_of_a_damaged_bundle_file(bench: Callable, bundle_dir: Path) -> None:
    (bundle_dir / "gdr-clap.safetensors").unlink()
    (bundle_dir / "tokenizer.json").write_text("damaged")
    done = bench("validate", "negative-prompting")
    assert done.code == 2
    assert f"{bundle_dir / 'gdr-clap.safetensors'}: bundle file is missing" in done.err
    assert f"{bundle_dir / 'tokenizer.json'}: bundle file does not match its digest" in done.err
    assert "make bundle" in done.err


def test_validate_tells_of_a_bundle_without_manifest(bench: Callable, bundle_dir: Path, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(tmp_path / "nothing"))
    done = bench("validate", "negative-prompting")
    assert done.code == 2
    assert "manifest is missing" in done.err


def test_validate_tells_all_mistakes_of_all_suites(bench: Callable, bundle_dir: Path, suite_folder: Path) -> None:
    for name in ("negative_prompting.yaml", "retrieval.yaml"):
        file = suite_folder / name
        file.write_text(file.read_text().replace("title:", "titel:"))
    done = bench("validate", suite_folder)
    assert done.code == 2
    assert done.err.count("titel: unknown key; did you mean 'title'?") == 2


def test_validate_tells_of_an_empty_prompt(bench: Callable, bundle_dir: Path, suite_folder: Path) -> None:
    file = suite_folder / "prompts" / "negative_prompting.yaml"
    file.write_text(file.read_text().replace('text: "jazz"', 'text: ""'))
    done = bench("validate", suite_folder / "negative_prompting.yaml")
    assert done.code == 2
    assert "negatives[1].text: must not be empty" in done.err
    assert "prompts/negative_prompting.yaml:" in done.err


def test_validate_takes_overrides(bench: Callable, bundle_dir: Path) -> None:
    done = bench("validate", "negative-prompting", "--set", "samples=0")
    assert done.code == 2
    assert "--set settings.samples: must be at least 1, is 0" in done.err


def test_validate_loads_no_weights(bundle_dir: Path) -> None:
    script = (
        "import sys; from bench.cli import main; code = main(['validate', 'negative-prompting', 'retrieval'])\n"
        "bad = {'torch', 'transformers'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 0, done.stderr


# --- run, before anything is computed -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_mistake_in_a_suite_stops_the_command(command: str, bench: Callable, bundle_dir: Path, suite_folder: Path,
                                                tmp_path: Path) -> None:  # fmt: skip
    file = suite_folder / "negative_prompting.yaml"
    text = file.read_text()
    file.write_text(text.replace("strength: [0,", "strenght: [0,", 1))
    line = 1 + text[: text.index("strength: [0,")].count("\n")
    extra = ["--out", tmp_path / "out"] if command == "run" else []
    done = bench(command, file, *extra)
    assert done.code == 2
    assert f"{file}:{line}: modifiers[0].strenght: unknown key; did you mean 'strength'?" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["a file", "below a file", "read-only"])
def test_an_out_that_cannot_be_written_is_named(kind: str, bench: Callable, bundle_dir: Path, tmp_path: Path) -> None:
    base = tmp_path / "taken"
    if kind == "read-only":
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        base.mkdir()
        base.chmod(stat.S_IREAD | stat.S_IEXEC)
        out = base / "out"
    else:
        base.write_text("mine")
        out = base if kind == "a file" else base / "out"
    done = bench("run", "negative-prompting", "--out", out)
    assert done.code == 2
    assert str(out) in done.err
    assert "--out" in done.err
    assert "Traceback" not in done.err
    if kind != "read-only":
        assert base.read_text() == "mine"


def test_a_missing_bundle_file_stops_a_run_before_anything_is_written(
    bench: Callable, bundle_dir: Path, tmp_path: Path
) -> None:
    (bundle_dir / "mini-clap.safetensors").unlink()
    done = bench("run", "negative-prompting", "--out", tmp_path / "out")
    assert done.code == 2
    assert "mini-clap.safetensors: bundle file is missing" in done.err
    assert list((tmp_path / "out").rglob("*")) == []


NEEDY = """\
schema_version: 1
name: needy
title: A suite that needs much
requires: [extra:no-such-extra, dataset:song-describer]
datasets: [sd]
spaces: [clap]
retrievers: [{name: contrastive, id: clap}]
metrics: [R@10]
"""


def test_unmet_requirements_skip_in_a_folder_and_fail_when_named(bench: Callable, bundle_dir: Path, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "needy.yaml").write_text(NEEDY)
    done = bench("run", folder, "--out", tmp_path / "out")
    assert done.code == 0
    assert done.out.startswith("needy: skipped: needs extra no-such-extra")
    assert "BENCH_DATA_DIR" in done.out
    done = bench("run", folder / "needy.yaml", "--out", tmp_path / "out")
    assert done.code == 2
    assert "suite 'needy' needs extra no-such-extra" in done.err
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data" / "song-describer").mkdir(parents=True)
    assert "song-describer" not in bench("run", folder).out


def test_a_folder_runs_the_default_group_only(bench: Callable, bundle_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "needy.yaml").write_text(NEEDY.replace("title:", "group: slow\ntitle:"))
    assert bench("run", folder).out == ""
    assert "skipped" in bench("run", folder, "--all").out


def test_an_empty_folder_is_an_error(bench: Callable, tmp_path: Path) -> None:
    done = bench("run", tmp_path)
    assert done.code == 2
    assert "no suite" in done.err


# --- ls, doctor, cache, report --------------------------------------------------------------------------------------


def test_ls_lists_every_part_with_its_description(bench: Callable) -> None:
    for kind, parts in registry.KINDS.items():
        done = bench("ls", kind)
        assert done.code == 0
        lines = done.out.splitlines()[1 if kind == "metrics" else 0 :]
        for name, line in zip(parts.names(), lines, strict=True):
            assert line.split()[0] == name.split()[0]
            assert parts.describe(name) in line
    everything = bench("ls").out
    assert all(f"{kind}\n" in everything for kind in [*registry.KINDS, "suites"])
    assert all(name in bench("ls", "suites").out for name in resources.suite_names())


def test_ls_metrics_says_what_each_metric_declares(bench: Callable) -> None:
    from bench.metrics.measured import Metric

    head, *lines = bench("ls", "metrics").out.splitlines()
    assert head.split() == ["key", "better", "unit", "range", "level", "needs", "description"]
    starts = [head.index(name) for name in head.split()]
    told = 0
    for name, line in zip(registry.metrics.names(), lines, strict=True):
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        try:
            metric = registry.metrics.get(name)
        except UserError:
            continue
        assert isinstance(metric, Metric)
        assert cells[0] == name
        assert cells[1] == {True: "↑", False: "↓", None: "–"}[metric.higher_is_better]
        assert (cells[2], cells[4]) == (metric.unit, metric.level)
        assert all(f"{end:g}" in cells[3] for end in metric.range if end is not None)
        assert cells[5] == (",".join(metric.needs) or "–")
        assert metric.description in cells[6]
        assert metric.reference in cells[6]
        told += 1
    assert told > 5


PLUGIN = '''
from bench.metrics.measured import Metric

RANGE = (0, 1)
MINE = Metric(
    "mine@k", r"mine@(?P<k>[1-9])", "share", None, (-0.5, None), "how much of it is mine",
    None, lambda m, key, rows: 0.0, needs=("ranks", "truth"), reference="arXiv 0000.00000",
)
COMPUTED = Metric("computed", r"computed", "share", False, RANGE, "of a range that is no literal", lambda m, key: None)


class Odd(Metric):
    """A metric of a class of its own."""
'''


@pytest.mark.parametrize(
    ("name", "attribute", "expected"),
    [
        ("mine@k", "MINE", ["–", "share", "≥ -0.5", "set", "ranks,truth", "how much of it is mine (arXiv 0000.00000)"]),
        ("computed", "COMPUTED", ["↓", "share", "any", "query", "–", "of a range that is no literal"]),
        ("odd", "Odd", ["?", "?", "any", "?", "–", "A metric of a class of its own."]),
    ],
)
def test_ls_reads_a_plugin_without_importing_it(
    name: str, attribute: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    from bench.cli import ls

    (tmp_path / "a_plugin_of_a_test.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint(name, f"a_plugin_of_a_test:{attribute}", "bench.metrics")
    monkeypatch.setitem(registry.metrics._entries, name, [entry])
    assert list(ls._metric(name)) == [name, *expected]
    assert "a_plugin_of_a_test" not in sys.modules


def test_ls_imports_no_part() -> None:
    script = (
        "import sys; from bench.cli import main; main(['ls'])\n"
        "bad = {'torch', 'numpy', 'pandas', 'gdr', 'baselines'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_doctor_tells_what_is_there(bench: Callable, bundle_dir: Path) -> None:
    done = bench("doctor")
    assert done.code == 0
    for word in ("gdr-bench", "python", "device", "threads", "cache", "digests OK", "torch"):
        assert word in done.out


def test_doctor_tells_of_a_damaged_bundle(bench: Callable, bundle_dir: Path) -> None:
    (bundle_dir / "tokenizer.json").write_text("damaged")
    done = bench("doctor")
    assert done.code == 2
    assert "1 bad" in done.out
    assert "tokenizer.json: bundle file does not match" in done.out


def test_report_needs_a_finished_run(bench: Callable, tmp_path: Path) -> None:
    done = bench("report", tmp_path)
    assert done.code == 2
    assert f"{tmp_path}: holds no results" in done.err
