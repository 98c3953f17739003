"""Measure the gate on a run: how often it says regression, none or inconclusive at planted losses.

Usage: python scripts/gate_operating_curve.py RUN [--retriever gdr-clap] [--twin gdr-clap-s1] [--dataset sd]
       [--candidates 2000] [--seed 0] [--sparse]

RUN is a folder of a run with both retrievers, such as results/retrieval/RUN-ID of `bench run retrieval`. The twin is
the same network with another training seed: it says how much two systems differ that are equally good. docs/gate.md
holds what this prints. `--sparse` measures candidates that fail on few queries and are the baseline on most others,
at named margins and several numbers of queries.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from bench.comparison.cells import matched, one_run, table
from bench.gate.curve import VERDICTS, Population, operating_curve, sparse_rates

SPARSE = {"R@10": (1.0, 2.0), "MRR": (1.0, 2.0), "logRank": (0.1, 0.2)}
"""Margins of the sparse table; the default one stands beside them."""
QUERIES = (60, 200, 500, 1000, 2000)
CHURN = (0.0, 0.1)


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
    parser.add_argument("--sparse", action="store_true")
    options = parser.parse_args()
    start = time.perf_counter()
    found = population(options.run, options.retriever, options.twin, options.dataset)
    tracks = len(np.unique(found.clusters))
    print(f"{options.dataset}: {len(found.ranks)} queries in {tracks} tracks, {found.n_gallery} "
          f"items; {options.retriever} and {options.twin}; {options.candidates} candidates a row\n")  # fmt: skip
    if options.sparse:
        print_sparse(found, options.candidates, options.seed)
    else:
        print_curve(found, options.candidates, options.seed)
    print(f"\n{time.perf_counter() - start:.0f} s")


def print_curve(found: Population, candidates: int, seed: int) -> None:
    """The operating curve as a table."""
    columns = ("gated", "true loss in margins", "in its unit", "queries answered at random", *VERDICTS)
    print("| " + " | ".join(columns) + " |")
    print("|:--|" + "--:|" * (len(columns) - 1))
    try:
        points = operating_curve(found, n_candidates=candidates, seed=seed)
    except ValueError as error:
        raise SystemExit(f"error: {error}; choose a dataset with more hits") from error
    for point in points:
        rates = " | ".join(f"{100 * point.rates[verdict]:.1f} %" for verdict in VERDICTS)
        print(f"| {point.gated} | {point.effect:g} | {point.loss:.3g} | {100 * point.failing:.0f} % | {rates} |")


def print_sparse(found: Population, candidates: int, seed: int) -> None:
    """Rates of false none, of false regression, and of none for an equal candidate, a column a number of queries."""
    columns = ("gated", "margin", "tracks in which more changes", *(f"{n} queries" for n in QUERIES))
    print("| " + " | ".join(columns) + " |")
    print("|:--|--:|--:|" + "--:|" * len(QUERIES))
    for key, margins in SPARSE.items():
        for margin in (*margins, None):
            for churn in CHURN:
                shown = [_sparse(found, key, margin, n, churn, candidates, seed) for n in QUERIES]
                print(
                    f"| {key} | {margin or 'default'} | {100 * churn:.0f} % | " + " | ".join(shown) + " |", flush=True
                )


def _sparse(found: Population, key: str, margin: float | None, n: int, churn: float, candidates: int, seed: int) -> str:
    try:
        rates = sparse_rates(found, key, margin, n, churn, candidates, seed)
    except ValueError:
        return "–"
    return f"{100 * rates.false_none:.1f}, {100 * rates.false_regression:.1f}, {100 * rates.none:.0f}"


if __name__ == "__main__":
    main()
