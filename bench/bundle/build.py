"""`make bundle`: rebuild every part of the bundle from nothing, resumable part by part.

Usage: `python -m bench.bundle.build [--part NAME] [--out FOLDER] [--work FOLDER] [--threads N] [--device cpu]`.
Intermediate files (log-mels, training latents) stay in the work folder; what ships goes to the bundle's folder with a
manifest that records digest, size, recipe, seed and wall time of each part.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench import bundle
from bench.errors import UserError
from bench.store import write_atomic

__all__ = ["BuildContext", "build", "load_recipe", "make_part", "maker_of", "part_fingerprint", "record_part"]

RECIPE = Path(__file__).parent / "recipe.yaml"
STATE = "state.json"
LOG_EVERY_SECONDS = 10.0


@dataclass
class BuildContext:
    """What a part's maker is given: folders, threads, the recipe, and a way to report progress."""

    part: str
    work: Path
    out: Path
    threads: int
    device: str
    report: Callable[[int, int, str], None]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def bundle_file(self, name: str) -> Path:
        return self.out / name

    def work_file(self, name: str) -> Path:
        return self.work / name


def load_recipe(file: Path = RECIPE) -> dict[str, dict[str, Any]]:
    """The parts by name, in the order in which they are made."""
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe", pure=True).load(file)["parts"])


def maker_of(entry: Mapping[str, Any]) -> Callable[..., dict[str, Any]]:
    module, _, attribute = entry["make"].partition(":")
    return getattr(importlib.import_module(module), attribute)


def part_fingerprint(name: str, recipe: Mapping[str, Mapping[str, Any]]) -> str:
    """Hash of a part's entry (raise its `version` when its maker's output changes) and of what it needs."""
    entry = recipe[name]
    described = {
        "entry": entry,
        "needs": [part_fingerprint(need, recipe) for need in entry.get("needs", ())],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def _write_json(file: Path, data: Any) -> None:
    write_atomic(file, json.dumps(data, indent=1, sort_keys=True) + "\n")


def _is_done(name: str, fingerprint: str, state: Mapping[str, Any], work: Path, out: Path) -> bool:
    done = state.get(name)
    if not done or done["fingerprint"] != fingerprint:
        return False
    in_work = all((work / file).exists() for file in done["work_files"])
    return in_work and all(
        (out / file).exists() and bundle.sha256_file(out / file) == sha for file, sha in done["files"].items()
    )


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal; otherwise a line every ten seconds."""
    if sys.stderr.isatty():
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn(f"{name:22s}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeRemainingColumn(),
            TextColumn("{task.description}"),
        ) as bar:  # fmt: skip
            task = bar.add_task("", total=None)
            yield lambda at, total, text: bar.update(task, completed=at, total=total, description=text)
        return
    last = [0.0]

    def log(at: int, total: int, text: str) -> None:
        if time.monotonic() - last[0] >= LOG_EVERY_SECONDS or at == total:
            last[0] = time.monotonic()
            print(f"{time.strftime('%H:%M:%S')} {name} {at}/{total} {text}", flush=True)

    yield log


def _write_manifest(out: Path, recipe: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """The manifest of all finished parts, in the recipe's order."""
    files, parts = {}, {}
    for name in recipe:
        if name not in state:
            continue
        done = state[name]
        parts[name] = {key: done[key] for key in ("fingerprint", "recipe", "seconds", "machine", "info")}
        for file, sha in done["files"].items():
            files[file] = {"sha256": sha, "bytes": (out / file).stat().st_size, "part": name}
    total = {"bytes": sum(f["bytes"] for f in files.values()), "seconds": sum(p["seconds"] for p in parts.values())}
    _write_json(out / bundle.MANIFEST, {"schema_version": 1, "files": files, "parts": parts, "total": total})


def build(
    only: list[str] | None = None,
    *,
    out: Path,
    work: Path,
    threads: int,
    device: str = "cpu",
    recipe_file: Path = RECIPE,
) -> None:
    """Make the parts that are missing or whose recipe changed.

    Args:
        only: names of parts; what they need is made too. None makes everything.
        out: folder of the shipped files.  work: folder of intermediate files and of the state.

    Raises:
        UserError: an unknown part.
    """
    recipe = load_recipe(recipe_file)
    wanted = _closure(only, recipe) if only else set(recipe)
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    for name in recipe:
        if name not in wanted:
            continue
        state = _read_json(work / STATE)
        fingerprint = part_fingerprint(name, recipe)
        if _is_done(name, fingerprint, state, work, out):
            print(f"{name}: unchanged, skipped", flush=True)
            continue
        with _progress(name) as report:
            described = make_part(BuildContext(name, work, out, threads, device, report, recipe))
        record_part(name, described, recipe, work, out)
        print(f"{name}: made in {described['seconds']} s {json.dumps(described['info'])[:200]}", flush=True)


def make_part(context: BuildContext, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run a part's maker.

    Args:
        context: names the part, and holds the recipe.
        config: entries of the part's training configuration to set otherwise, for trials.

    Returns:
        What the state and the manifest say of the part: fingerprint, recipe, seconds, machine, files, work_files, info.
    """
    entry = context.recipe[context.part]
    params = {key: value for key, value in entry.items() if key not in ("make", "needs", "version")}
    if config:
        params["config"] = {**params.get("config", {}), **config}
    start = time.monotonic()
    made = maker_of(entry)(context, **params)
    return {
        # Of the entry as it was run: a trial with another configuration is no part of the recipe.
        "fingerprint": part_fingerprint(context.part, {**context.recipe, context.part: {**entry, **params}}),
        "recipe": {"make": entry["make"], **params},
        "seconds": round(time.monotonic() - start, 1),
        "machine": {"threads": context.threads, "device": context.device, "cpu": platform.machine()},
        "files": list(made.get("files", ())),
        "work_files": list(made.get("work_files", ())),
        "info": made.get("info", {}),
    }


def record_part(
    name: str, described: Mapping[str, Any], recipe: Mapping[str, Mapping[str, Any]], work: Path, out: Path
) -> None:
    """Enter a finished part, whose files lie in the bundle's folder, in the state and in the manifest.

    Args:
        described: fingerprint, recipe, seconds, machine, files (names), work_files, info.
    """
    for file in described["files"]:
        os.chmod(out / file, 0o644)  # safetensors writes files that only their owner may read
    with FileLock(work / "state.lock"):  # another process may be making another part
        state = _read_json(work / STATE)
        digests = {file: bundle.sha256_file(out / file) for file in described["files"]}
        state[name] = {**described, "files": digests}
        _write_json(work / STATE, state)
        _write_manifest(out, recipe, state)


def _closure(only: list[str], recipe: Mapping[str, Mapping[str, Any]]) -> set[str]:
    wanted: set[str] = set()
    queue = list(only)
    while queue:
        name = queue.pop()
        if name not in recipe:
            raise UserError(f"no part {name!r} in {RECIPE.name} (known: {', '.join(recipe)})")
        if name not in wanted:
            wanted.add(name)
            queue.extend(recipe[name].get("needs", ()))
    return wanted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.bundle.build", description=__doc__)
    parser.add_argument("--part", action="append", help="make only this part and what it needs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--work", type=Path, default=Path("build/bundle"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    try:
        build(
            args.part, out=args.out, work=args.work, threads=args.threads, device=args.device, recipe_file=args.recipe
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
