"""Gate text towers that are worse for certain: mini-clap's own, with noise on its weights.

Usage: python scripts/gate_worse_encoder.py --out FOLDER [--noise 0 0.1 …] [--seeds 3] [--dataset pc sd]
       [--queries 1000] [--margin R@10=2 …] [--threads 1]

For every noise size s and seed, Gaussian noise of s times its own RMS is added to each weight matrix of the text tower
(the audio tower, and so the gallery, stays as it is), the weights are written to a folder as an encoder's own are, and
run, baseline and gate are those of the command line. All that is written lies in FOLDER. docs/gate.md holds what this
prints.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

SUITE = """\
schema_version: 1
name: my-encoder
title: Retrieval by a text tower, without any generation
datasets: [{datasets}]
spaces: [clap]
retrievers: [{{name: contrastive, id: clap}}]
settings: {{queries: {queries}}}
metrics: [R@10, MRR]
"""
ENCODER = "mini-clap"
METRICS = ("R@10", "MRR", "logRank")
MARGINS = ("R@10=2", "MRR=1", "logRank=0.2")
NOISE = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0)
MARK = {"regression": "R", "inconclusive": "?", "none": "–"}


class Answer(NamedTuple):
    """What the gate said of one candidate."""

    noise: float
    seed: int
    default: dict[str, Any]
    """JSON of the gate with default margins."""
    stated: dict[str, Any]
    """The same with the margins that were named."""


def write_noisy(folder: Path, noise: float, seed: int) -> None:
    """Write mini-clap's weights with noise on the text tower's matrices (its vectors, biases and norms, are kept).

    Args:
        folder: gets `mini-clap.safetensors`.
        noise: standard deviation, as a share of each matrix' RMS; 0 writes the weights as they are.
        seed: of the noise.
    """
    import torch
    from safetensors.torch import load_file, save_file

    from bench import bundle

    generator = torch.Generator().manual_seed(seed)
    state = load_file(bundle.path(f"{ENCODER}.safetensors"))
    for name, value in sorted(state.items()):
        if name.startswith("text.") and value.ndim >= 2:
            exact = value.float()
            drawn = torch.randn(exact.shape, generator=generator) * exact.square().mean().sqrt()
            state[name] = (exact + noise * drawn).to(value.dtype)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / f"{ENCODER}.safetensors")


def bench(*arguments: object, expect: tuple[int, ...] = (0,)) -> tuple[int, str]:
    """Run a command line of `bench`: exit code and what it printed.

    Raises:
        SystemExit: the exit code is not one of those expected; what went wrong is on standard error.
    """
    from bench.cli import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([str(argument) for argument in arguments])
    if code not in expect:
        print(f"error: bench {' '.join(map(str, arguments))}: exit {code}", file=sys.stderr)
        raise SystemExit(code)
    return code, printed.getvalue()


def run(out: Path, name: str, threads: int, *extra: str) -> Path:
    """`bench run` of the suite: the run's folder."""
    command = ("run", out / "suite.yaml", "--threads", threads, "--out", out / "results" / name, "--quiet", *extra)
    return Path(bench(*command)[1].strip())


def gated(baseline: Path, candidate: Path, *extra: str) -> dict[str, Any]:
    """`bench gate`: its JSON, in which the exit code is the one that the command ended with."""
    command = ("gate", "--baseline", baseline, "--candidate", candidate, "--format", "json", *extra)
    code, printed = bench(*command, expect=(0, 1, 3))
    return {**json.loads(printed), "exit_code": code}


def answers(out: Path, suite: str, noises: list[float], seeds: int, margins: list[str], threads: int) -> list[Answer]:
    """Run the encoder as it is, save it as the baseline, and gate every candidate against it.

    Args:
        out: folder for all that is written.
        suite: text of the suite.
        noises: sizes; 0 is drawn once.
        seeds: draws of every other size.
        margins: `METRIC=LOSS`, for the second of the two gates of each candidate.
        threads: as of `bench run`.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "suite.yaml").write_text(suite, encoding="utf-8")
    baseline = out / "baseline.json"
    bench("baseline", "save", run(out, "baseline", threads), "--out", baseline)
    stated = [part for margin in margins for part in ("--margin", margin)]
    found = []
    for noise in noises:
        for seed in range(seeds if noise else 1):
            name = f"noise-{noise:g}-{seed}"
            write_noisy(out / "encoders" / name, noise, seed)
            candidate = run(out, name, threads, "--set", f"retrievers.0.weights={out / 'encoders' / name}")
            found.append(Answer(noise, seed, gated(baseline, candidate), gated(baseline, candidate, *stated)))
    return found


def table(found: list[Answer], margins: list[str]) -> str:
    """Markdown: a row a candidate and dataset; the exit codes are of the candidate, both datasets together."""
    keys = " | ".join(f"{metric}: candidate, change [ends], verdict" for metric in METRICS)
    lines = [
        f"| noise | seed | set | {keys} | exit, default margins | exit, {', '.join(margins)} |",
        "|--:|--:|:--|" + ":--|" * len(METRICS) + "--:|--:|",
    ]
    for answer in found:
        rows = {(row["dataset"], row["metric"]): row for row in answer.default["judged"]}
        for place, dataset in enumerate(dict.fromkeys(key[0] for key in rows)):
            cells = " | ".join(_shown(rows[dataset, metric]) for metric in METRICS)
            codes = f"{answer.default['exit_code']} | {answer.stated['exit_code']}" if place == 0 else " | "
            seed = answer.seed if answer.noise else ""
            lines.append(f"| {answer.noise:g} | {seed} | {dataset} | {cells} | {codes} |")
    return "\n".join(lines)


def _shown(row: dict[str, Any]) -> str:
    """The candidate's value, the change in the better direction with the ends that decide, and the verdict's mark."""
    change = f"{row['change']:+.2f}" if row["change"] else "0"
    return f"{row['candidate']:.2f}, {change} [{row['lo']:.2f}, {row['hi']:.2f}] {MARK[row['verdict']]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for encoders, results and a cache of its own")
    parser.add_argument("--noise", type=float, nargs="+", default=list(NOISE), help="sizes, as shares of the RMS")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the noise of each size")
    parser.add_argument("--dataset", nargs="+", default=["pc", "sd"])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--margin", nargs="+", default=list(MARGINS), metavar="METRIC=LOSS")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    os.environ["BENCH_CACHE_DIR"] = str(options.out / "cache")
    suite = SUITE.format(queries=options.queries, datasets=", ".join(options.dataset))
    found = answers(options.out, suite, options.noise, options.seeds, options.margin, options.threads)
    margins = {f"{row['dataset']} {row['metric']}": row["margin"] for row in found[0].default["judged"]}
    values = {f"{row['dataset']} {row['metric']}": row["baseline"] for row in found[0].default["judged"]}
    print("baseline (and its default margin): " + ", ".join(f"{k} {values[k]:.2f} ({margins[k]:.3g})" for k in margins))
    print(f"verdicts at default margins: {', '.join(f'{mark} {name}' for name, mark in MARK.items())}\n")
    print(table(found, options.margin))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
