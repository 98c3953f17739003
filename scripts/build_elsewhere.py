"""Train parts of the bundle on another machine, such as one with a GPU, and merge them into the bundle here.

There, in a checkout with the training latents in build/bundle (what `make bundle` leaves there):

    python scripts/build_elsewhere.py train --parts gdr-clap gdr-muscall --device cuda --jobs 6 --to FOLDER

Here, with that folder at hand:

    python scripts/build_elsewhere.py merge FOLDER

The manifest then says of each part on which hardware and in how many seconds it was trained.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import bundle  # noqa: E402
from bench.bundle.build import RECIPE, BuildContext, load_recipe, make_part, part_fingerprint, record_part  # noqa: E402


def _hardware(device: str) -> str:
    if device != "cuda":
        return platform.machine()
    import torch

    return torch.cuda.get_device_name()


def _train(name: str, work: Path, to: Path, device: str, overrides: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    recipe = load_recipe(RECIPE)
    folder = to / name
    folder.mkdir(parents=True, exist_ok=True)
    # What a maker reads of the bundle (encoders, tokenizer) lies in the checkout; what it writes goes to a folder.
    needs = {*recipe[name].get("needs", ()), "tokenizer"}
    for file, entry in bundle.manifest()["files"].items():
        if entry["part"] in needs and not (folder / file).exists():
            os.symlink(bundle.directory() / file, folder / file)
    context = BuildContext(name, work, folder, 1, device, lambda at, total, text: None, recipe)
    described = make_part(context, overrides)
    described["machine"]["hardware"] = _hardware(device)
    return name, described


def train(parts: list[str], work: Path, to: Path, device: str, jobs: int, overrides: dict[str, Any]) -> None:
    """Train parts side by side; each writes its files, and `part.json` what the manifest should say."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        running = {pool.submit(_train, name, work, to / "all", device, overrides): name for name in parts}
        for future in as_completed(running):
            try:
                name, state = future.result()
            except Exception as error:
                print(f"{running[future]}: failed: {error!r}", flush=True)
                continue
            target = to / name
            target.mkdir(parents=True, exist_ok=True)
            for file in state["files"]:
                shutil.copy2(to / "all" / name / file, target / file)
            (target / "part.json").write_text(json.dumps(state, indent=1))
            print(f"{name}: {state['seconds']} s {json.dumps(state['info'])[:300]}", flush=True)
    shutil.rmtree(to / "all", ignore_errors=True)


def merge(folder: Path, work: Path, out: Path) -> None:
    """Take trained parts into the bundle: files, state and manifest."""
    recipe = load_recipe(RECIPE)
    for described in sorted(folder.glob("*/part.json")):
        name, state = described.parent.name, json.loads(described.read_text())
        if state["fingerprint"] != part_fingerprint(name, recipe):
            print(f"{name}: made with another recipe, left out")
            continue
        for file in state["files"]:
            shutil.copyfile(described.parent / file, out / file)
        record_part(name, state, recipe, work, out)
        print(f"{name}: merged")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--parts", nargs="+", required=True)
    training.add_argument("--device", default="cuda")
    training.add_argument("--jobs", type=int, default=4)
    training.add_argument("--to", type=Path, required=True)
    training.add_argument("--work", type=Path, default=ROOT / "build/bundle")
    training.add_argument("--set", nargs="*", default=[], help="key=value of the training configuration, for trials")
    merging = commands.add_parser("merge")
    merging.add_argument("folder", type=Path)
    merging.add_argument("--work", type=Path, default=ROOT / "build/bundle")
    args = parser.parse_args()
    if args.command == "merge":
        merge(args.folder, args.work, bundle.directory())
        return 0
    overrides = {key: json.loads(value) for key, _, value in (one.partition("=") for one in args.set)}
    train(args.parts, args.work, args.to, args.device, args.jobs, overrides)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
