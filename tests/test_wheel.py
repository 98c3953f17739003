"""The wheel: what it holds, and that it gives the same numbers as the checkout, away from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from bench import bundle

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SETTINGS = ("queries=50", "candidates=60", "sampler=ddim-2", "samples=1", "diversity_queries=2", "replicates=[]")


def call(command, cwd, **variables):
    environment = {key: value for key, value in os.environ.items() if key not in ("BENCH_BUNDLE_DIR", "PYTHONPATH")}
    environment.update({key: str(value) for key, value in variables.items()})
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def copy_of_the_source(folder):
    """Every file that git knows or would know, with the bundle that is in use."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not in a git checkout: what belongs to the source is not known")
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    own = folder / "bench" / "bundle"
    for file in own.iterdir():
        if file.suffix in (".safetensors", ".parquet", ".json"):
            file.unlink()
    for name in (*bundle.manifest()["files"], "manifest.json"):
        shutil.copy2(bundle.directory() / name, own / name)


@pytest.fixture(scope="module")
def wheel(bundle_ready, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    copy_of_the_source(folder / "source")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder / "dist",
        folder / "source",
    ]
    call(command, folder)
    (found,) = (folder / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of a new environment with the wheel; what it depends on comes from this one."""
    folder = tmp_path_factory.mktemp("environment")
    call([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    site = Path(call([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], folder).strip())
    # A path in a .pth does not bring the .pth files that lie there, so the editable checkout stays out of sight.
    (site / "parent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--force-reinstall"]
    call([*pip, "--quiet", "--disable-pip-version-check", wheel], folder)
    return folder


def test_the_wheel_holds_the_packages_and_nothing_beside_them(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"bench", "gdr", "baselines"}
    assert not [name for name in names if name.endswith((".pyc", ".npy")) or "/results/" in name]
    assert {"bench/py.typed", "bench/bundle/recipe.yaml", "bench/_suites/negative_prompting.yaml"} <= set(names)


def test_the_wheel_holds_the_whole_bundle(wheel):
    archive = zipfile.ZipFile(wheel)
    manifest = json.loads(archive.read("bench/bundle/manifest.json"))
    assert manifest == bundle.manifest()
    for name, entry in manifest["files"].items():
        assert archive.getinfo(f"bench/bundle/{name}").file_size == entry["bytes"]


def test_the_wheel_is_what_is_imported(installed):
    for module in ("bench", "gdr", "baselines"):
        place = call(
            [installed / "venv" / "bin" / "python", "-c", f"import {module}; print({module}.__file__)"], installed
        )
        assert Path(place.strip()).is_relative_to(installed / "venv")
    listed = call([installed / "venv" / "bin" / "bench", "ls"], installed, BENCH_CACHE_DIR=installed / "cache")
    assert "negative-prompting" in listed


def test_a_suite_by_name_gives_the_same_summary_as_the_checkout(installed, tmp_path):
    arguments = ["run", "negative-prompting", "--threads", "1", "--quiet", *(f"--set={s}" for s in SETTINGS)]
    found = {}
    for where, command, variables in (
        ("wheel", [installed / "venv" / "bin" / "bench"], {}),
        ("checkout", [sys.executable, "-m", "bench"], {"BENCH_BUNDLE_DIR": bundle.directory()}),
    ):
        folder = tmp_path / where
        folder.mkdir()
        output = call(
            [*command, *arguments, "--out", folder / "out"], folder, BENCH_CACHE_DIR=folder / "cache", **variables
        )
        run = Path(output.strip().splitlines()[-1])
        found[where] = (run.name, (run / "summary.json").read_bytes())
        assert (run / "report.md").is_file()
    assert found["wheel"] == found["checkout"]
