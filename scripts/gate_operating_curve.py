"""Measure the gate on a run: how often it says regression, none or inconclusive at planted losses.

Usage: python scripts/gate_operating_curve.py RUN [--retriever gdr-clap] [--twin gdr-clap-s1] [--dataset sd]
       [--candidates 2000] [--seed 0]

RUN is a folder of a run with both retrievers, such as results/retrieval/RUN-ID of `bench run retrieval`. The twin is
the same network with another training seed: it says how much two systems differ that are equally good. docs/gate.md
holds what this prints.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from bench.comparison.cells import matched, one_run, table
from bench.gate.curve import VERDICTS, Population, operating_curve


def population(folder: str, retriever: str, twin: str, dataset: str) -> Population:
    """Ranks of two retrievers on the queries of one dataset."""
    run = one_run(folder)
    pair = matched(run, run, (retriever, twin), dataset=dataset, modifier="none")[0]
    left, right = table(run, pair.a), table(run, pair.b)
    return Population(
        left["rank"].to_numpy(float), right.loc[left.index, "rank"].to_numpy(float), left["cluster_id"].to_numpy(),
        pair.a["n_gallery"],
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--retriever", default="gdr-clap")
    parser.add_argument("--twin", default="gdr-clap-s1")
    parser.add_argument("--dataset", default="sd")
    parser.add_argument("--candidates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    found = population(options.run, options.retriever, options.twin, options.dataset)
    tracks = len(np.unique(found.clusters))
    print(f"{options.dataset}: {len(found.ranks)} queries in {tracks} tracks, {found.n_gallery} "
          f"items; {options.retriever} and {options.twin}; {options.candidates} candidates a row\n")  # fmt: skip
    columns = ("gated", "true loss in margins", "in its unit", "queries answered at random", *VERDICTS)
    print("| " + " | ".join(columns) + " |")
    print("|:--|" + "--:|" * (len(columns) - 1))
    try:
        points = operating_curve(found, n_candidates=options.candidates, seed=options.seed)
    except ValueError as error:
        raise SystemExit(f"error: {error}; choose a dataset with more hits") from error
    for point in points:
        rates = " | ".join(f"{100 * point.rates[verdict]:.1f} %" for verdict in VERDICTS)
        print(f"| {point.gated} | {point.effect:g} | {point.loss:.3g} | {100 * point.failing:.0f} % | {rates} |")
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
