"""An encoder of the user's own, from a folder of weights to the gate's exit code, through the command line."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bench import bundle, registry
from bench.cli import main
from bench.errors import UserError
from bench.execute import RunOptions, run_suite
from bench.plan import Plan
from bench.report.load import Run
from bench.space import BundledSpace
from bench.suite import load_suite

SCRIPT = Path(__file__).parents[1] / "scripts" / "gate_worse_encoder.py"
NAME = "mini-clap.safetensors"
TEXTS = ["calm piano", "fast metal with distorted guitar"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gate_worse_encoder", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def suite(script: ModuleType) -> str:
    return script.SUITE.format(queries=150, datasets="{name: gmcaps/sd, id: sd, tracks: 80}")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module")
def answers(bundle_ready: Path, script: ModuleType, suite: str, out: Path) -> dict[float, object]:
    """Noise -> what the gate said: the text tower as it is, and one that noise has ruined."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE_DIR", str(out / "cache"))
        patch.setattr("bench.report.build.build_report", lambda folder: folder)
        return {one.noise: one for one in script.answers(out, suite, [0.0, 3.0], 1, ["R@10=2"], 1)}


def test_the_unchanged_tower_passes_and_a_ruined_one_does_not(answers: dict) -> None:
    assert (answers[0.0].default["exit_code"], answers[0.0].stated["exit_code"]) == (0, 0)
    assert all(row["change"] == 0 for row in answers[0.0].default["judged"])
    assert (answers[3.0].default["exit_code"], answers[3.0].stated["exit_code"]) == (1, 1)
    worst = {row["metric"]: row for row in answers[3.0].default["judged"]}
    assert worst["logRank"]["verdict"] == "regression"
    assert worst["R@10"]["candidate"] < worst["R@10"]["baseline"]


def test_the_table_has_every_candidate_and_the_exit_codes(answers: dict, script: ModuleType) -> None:
    lines = script.table(list(answers.values()), ["R@10=2"]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    assert [(row[0], row[2], row[-2], row[-1]) for row in cells[2:]] == [("0", "sd", "0", "0"), ("3", "sd", "1", "1")]


def test_noise_is_on_the_text_towers_matrices_alone(answers: dict, out: Path) -> None:
    from safetensors.numpy import load_file

    bundled = load_file(bundle.path(NAME))
    same, noisy = (load_file(out / "encoders" / name / NAME) for name in ("noise-0-0", "noise-3-0"))
    for name, value in bundled.items():
        np.testing.assert_array_equal(same[name], value)
        changed = name.startswith("text.") and value.ndim >= 2
        assert np.array_equal(noisy[name], value) is not changed, name
    before, after = (state["text.head.weight"].astype(float) for state in (bundled, noisy))
    assert np.std(after - before) / np.sqrt(np.mean(before**2)) == pytest.approx(3, rel=0.03)


# --- cells and queries of other weights -------------------------------------------------------------------------------


@pytest.fixture
def weights(bundle_ready: Path, script: ModuleType, tmp_path: Path) -> Callable[[str, int], Path]:
    def write(name: str, seed: int) -> Path:
        script.write_noisy(tmp_path / name, 1.0, seed)
        return tmp_path / name

    return write


@pytest.fixture
def planned(suite: str, tmp_path: Path) -> Callable[[Path | None], Plan]:
    def make(folder: Path | None) -> Plan:
        file = tmp_path / "suite.yaml"
        file.write_text(suite)
        return Plan(load_suite(file, overrides={"retrievers.0.weights": str(folder)} if folder else {}))

    return make


def test_other_weights_are_other_cells_whatever_the_folder_is_called(weights, planned, tmp_path: Path) -> None:
    one, two = weights("one", 1), weights("two", 2)
    copy = shutil.copytree(one, tmp_path / "copy")
    of_bundle, of_one, of_two, of_copy = ([cell.key for cell in planned(f).cells] for f in (None, one, two, copy))
    assert of_one == of_copy
    assert len({*of_bundle, *of_one, *of_two}) == 3
    shutil.copy(bundle.path("tokenizer.json"), copy)
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text() + "\n")
    assert [cell.key for cell in planned(copy).cells] != of_one


def test_weights_that_change_in_their_folder_are_asked_again(weights, planned, tmp_path: Path, no_report) -> None:
    def ranks(folder: Path | None) -> np.ndarray:
        run = Run(run_suite(planned(folder).suite, RunOptions(tmp_path / "out", tmp_path / "cache")))
        return run.per_query(run.summary["cells"][0]["key"])["rank"].to_numpy()

    def arrays() -> int:
        return len(list((tmp_path / "cache" / "arrays").rglob("*.npy")))

    first = ranks(weights("mine", 1))
    asked = arrays()
    assert np.array_equal(ranks(shutil.copytree(tmp_path / "mine", tmp_path / "copy")), first)
    assert arrays() == asked
    assert not np.array_equal(ranks(weights("mine", 2)), first)
    assert arrays() > asked


# --- weights that cannot be used --------------------------------------------------------------------------------------


@pytest.fixture
def state(bundle_ready: Path) -> dict:
    from safetensors.numpy import load_file

    return load_file(bundle.path(NAME))


@pytest.fixture
def own_text(tmp_path: Path, state: dict) -> Callable[..., object]:
    """The encoder with some tensors replaced (None: left out)."""

    def make(**changes: np.ndarray | None):
        from safetensors.numpy import save_file

        changed = {**state, **{name.replace("__", "."): value for name, value in changes.items()}}
        save_file({name: value for name, value in changed.items() if value is not None}, tmp_path / NAME)
        return registry.encoders.get("mini-clap")().with_text_of(str(tmp_path))

    return make


def test_the_same_weights_give_the_same_vectors_with_or_without_the_audio_tower(own_text, state: dict) -> None:
    expected = registry.encoders.get("mini-clap")().encode_text(TEXTS).pooled
    np.testing.assert_array_equal(own_text().encode_text(TEXTS).pooled, expected)
    alone = own_text(**{name: None for name in state if name.startswith("audio.")})
    np.testing.assert_array_equal(alone.encode_text(TEXTS).pooled, expected)
    single = own_text(**{name: v.astype(np.float32) for name, v in state.items() if name.startswith("text.")})
    np.testing.assert_array_equal(single.encode_text(TEXTS).pooled, expected)


def test_weights_that_do_not_fit_are_named(own_text, state: dict) -> None:
    head, bias, audio = (state[name] for name in ("text.head.weight", "text.head.bias", "audio.head.bias"))
    for changes, message in (
        ({"text.head.weight": None}, "lacks 1 tensors .* 'text.head.weight'"),
        ({"text.more": bias}, "unknown 1 tensors .* 'text.more'"),
        ({"text.head.weight": head[:5].copy()}, r"'text.head.weight' has shape \(5, 128\), mini-clap has \(128, 128\)"),
        ({"text.head.bias": bias * np.float16(np.nan)}, "'text.head.bias' holds NaN or infinity"),
        ({"text.head.weight": 0 * head, "text.head.bias": 0 * bias}, "no vector .* 2 of 2 texts.*'calm piano'"),
        ({"audio.head.bias": audio + 1}, "audio tower is not that of mini-clap .* 'audio.head.bias'"),
        ({"audio.head.bias": None}, "audio tower is not that of mini-clap .* 'audio.head.bias'"),
    ):
        with pytest.raises(UserError, match=f"{NAME}.*{message}"):
            own_text(**changes).encode_text(TEXTS)


def test_weights_that_are_written_meanwhile_are_refused(own_text) -> None:
    encoder = own_text()
    encoder.digest()
    own_text(**{"text.head.bias": np.ones(128, np.float16)})
    with pytest.raises(UserError, match="changed while it was in use"):
        encoder.encode_text(TEXTS)


def test_folders_that_hold_no_weights_are_named(tmp_path: Path, suite: str, capsys) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(suite)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_bytes(b"")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / NAME).write_text("no weights")
    for folder, message in (("nothing", "no such folder"), ("empty", f"empty/{NAME}: no such file"),
                            ("other", "the folder holds model.safetensors"), ("text", "is not a safetensors file"),
                            ("suite.yaml", "no such folder")):  # fmt: skip
        code = main(["run", str(file), "--threads", "1", "--set", f"retrievers.0.weights={tmp_path / folder}"])
        error = capsys.readouterr().err
        assert code == 2, error
        assert message in error
        assert str(tmp_path / folder) in error


def test_a_space_without_a_text_tower_takes_none(weights) -> None:
    contrastive = registry.retrievers.get("contrastive")
    mule = BundledSpace(registry.encoders.get("mini-mule")())
    with pytest.raises(UserError, match="mini-mule takes no text tower from a folder"):
        contrastive(mule, weights=str(weights("mine", 1)))


def test_the_bundles_tower_has_the_digest_that_it_had() -> None:
    contrastive = registry.retrievers.get("contrastive")
    space = BundledSpace(registry.encoders.get("mini-clap")())
    assert contrastive(space).digest() == space.encoder_digest()
    assert contrastive(space).bundle_files() == ()
