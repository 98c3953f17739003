"""A suite on 20 tracks whose retrievers are NumPy: the run that is killed and starved, and never loads torch."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.protocols import Sampling

#: File to which each computation of queries adds a line.
LOG = "FAULTS_LOG"
#: Seconds that each computation of queries takes longer.
SLEEP = "FAULTS_SLEEP"
SUITE = """\
schema_version: 1
name: faults
spaces: [mini-clap]
title: A suite that survives
retrievers:
  - {name: hashed, id: first, space: mini-clap, weights: one}
  - {name: hashed, id: second, space: mini-clap, weights: two}
datasets:
  - {name: gmcaps/sd, id: sd, tracks: 20}
  - {name: gmcaps/mc, id: mc, tracks: 20}
metrics: [R@10, MRR, MedR]
settings: {sampler: ddim-2, samples: 2, queries: 20}
claims:
  - id: first-beats-second
    text: One hash finds more than the other.
    source: ours
    metric: MRR
    a: {retriever: first, dataset: sd}
    b: {retriever: second, dataset: sd}
    expect: a > b
    margin: 0
"""

#: The same with a GDR and its teacher, and few network evaluations.
GDR_SUITE = """\
schema_version: 1
name: faults
spaces: [mini-clap]
title: A suite with a GDR that survives
retrievers:
  - {name: gdr, id: gdr-clap, space: mini-clap, weights: gdr-clap}
  - {name: contrastive, id: clap, space: mini-clap}
datasets:
  - {name: gmcaps/sd, id: sd, tracks: 20}
metrics: [R@10, MRR]
settings: {sampler: ddim-4, samples: 2, queries: 20}
"""


class Hashed:
    """Query vectors that a hash of the prompt draws: a retriever of NumPy alone."""

    name = "hashed"
    version = 1
    deterministic = False

    def __init__(self, space: Any, weights: str = "one") -> None:
        self.space, self.weights = space, weights

    def digest(self) -> str:
        return hashlib.sha256(self.weights.encode()).hexdigest()

    def bundle_files(self) -> set[str]:
        return set()

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        if os.environ.get(LOG):
            with open(os.environ[LOG], "a") as file:
                file.write(f"{self.weights} {len(prompts)} {hash_of(prompts)}\n")
        time.sleep(float(os.environ.get(SLEEP, 0)))
        rows = []
        for prompt in prompts:
            seed = hashlib.sha256(f"{self.weights} {sampling.seed} {prompt}".encode()).digest()
            rng = np.random.default_rng(np.frombuffer(seed, np.uint32))
            rows.append(rng.normal(size=(sampling.samples, self.space.dim)))
        return np.asarray(rows, np.float32)


def hash_of(prompts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(prompts).encode()).hexdigest()[:12]


def write_suite(folder: Path, text: str = SUITE) -> Path:
    """The suite's file in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "suite.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def run(suite: Path, out: Path) -> int:
    """Run the suite by the command line; its exit code."""
    from bench import registry
    from bench.cli import main

    with registry.retrievers.temporary("hashed", Hashed):
        return main(["run", str(suite), "--out", str(out), "--threads", "1", "--quiet"])
