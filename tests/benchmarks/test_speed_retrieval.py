"""Ranks by counting, beside trec_eval behind dictionaries, and beside the bare product that no ranking goes without."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval

from bench.metrics import _scores
from bench.metrics import retrieval as r

WIDTH = 512


def unit_rows(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random unit vectors, made in place: a large set must not leave a trace in the memory measured later."""
    rows = np.empty((n, WIDTH), dtype=np.float32)
    for start in range(0, n, 2**14):
        part = rows[start : start + 2**14]
        rng.standard_normal(out=part, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return rows


def queries_near(rng: np.random.Generator, gallery: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Queries at a cosine of about 0.16 from their item: some ranks are 1 and some are not."""
    queries = gallery[relevant] + 6 * unit_rows(rng, len(relevant))
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


def read(ranks: np.ndarray) -> dict[str, float]:
    values = {f"success_{k}": r.recall_at_k(ranks, k) for k in (1, 5, 10)}
    values["recip_rank"] = r.mean_reciprocal_rank(ranks)
    values["map_cut_10"] = r.mean_average_precision_at_k(ranks, 10)
    return values | {"MedR": r.median_rank(ranks)}


def by_trec_eval(queries: np.ndarray, gallery: np.ndarray, relevant: np.ndarray) -> dict[str, float]:
    """The usual way: the 1000 best of each query, as dictionaries of strings, to pytrec_eval."""
    scores = queries @ gallery.T
    top = np.argpartition(-scores, 1000, axis=1)[:, :1000]
    names = [f"d{j}" for j in range(len(gallery))]
    run = {
        f"q{i}": dict(zip((names[j] for j in items), scores[i, items].tolist(), strict=True))
        for i, items in enumerate(top.tolist())
    }
    qrels = {f"q{i}": {names[j]: 1} for i, j in enumerate(relevant.tolist())}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"success.1,5,10", "recip_rank", "map_cut.10"}).evaluate(run)
    measures = ("success_1", "success_5", "success_10", "recip_rank", "map_cut_10")
    return {name: 100 * float(np.mean([values[name] for values in found.values()])) for name in measures}


def test_ranks_of_musiccaps_size(contest: Any) -> None:
    rng = np.random.default_rng(0)
    n = 5521
    gallery, relevant = unit_rows(rng, n), rng.permutation(n)
    queries = queries_near(rng, gallery, relevant)
    product = np.empty((n, n), dtype=np.float32)
    contest.race(
        "ranks and six metrics, 5521 × 5521",
        lambda: read(r.relevant_ranks(queries, gallery, relevant)),
        {
            "top-1000, dictionaries, pytrec_eval": contest.faster(10, lambda: by_trec_eval(queries, gallery, relevant)),
            "the bare float32 product": contest.within(1.8, lambda: np.matmul(queries, gallery.T, out=product)),
        },
        rounds=3,
    )
    ours, theirs = read(r.relevant_ranks(queries, gallery, relevant)), by_trec_eval(queries, gallery, relevant)
    # trec_eval has only the first thousand, and scores of float32: ranks beyond add up to 0.1 to the reciprocal rank.
    off = {name: abs(ours[name] - theirs[name]) for name in theirs}
    holds = off.pop("recip_rank") < 0.1 and max(off.values()) < 100 * 2 / n
    contest.check(
        "ranks and six metrics, 5521 × 5521", "equal to pytrec_eval's", f"{max(off.values()):.2g} apart", holds
    )


@pytest.mark.timeout(3600)
def test_ranks_of_a_million_tracks(contest: Any) -> None:
    rng = np.random.default_rng(0)
    n_queries, n_gallery = int(os.environ.get("SPEED_QUERIES", "10000")), 1_000_000
    gallery, relevant = unit_rows(rng, n_gallery), rng.integers(0, n_gallery, n_queries)
    queries = queries_near(rng, gallery, relevant)
    work = f"ranks, {n_queries} × {n_gallery}"
    peaks: list[float] = []

    def ours() -> np.ndarray:
        with memory_above(peaks):
            return r.relevant_ranks(queries, gallery, relevant)

    bare = tiled_product(queries, gallery)
    contest.race(work, ours, {"the bare product in tiles": contest.within(1.8, bare)}, rounds=1, warmup=False)
    # A tile of scores is more than 1 MiB: less means that the measurement failed.
    contest.check(work, "at most 512 MiB above the inputs", f"{max(peaks):.0f} MiB", 1 < max(peaks) <= 512)


def tiled_product(queries: np.ndarray, gallery: np.ndarray) -> Callable[[], None]:
    """The float32 product into one tile of memory, in the tiles that the ranks are counted in."""
    rows, cols = _scores._tile_shape(256, len(queries), len(gallery))
    memory = np.empty(rows * cols, dtype=np.float32)

    def run() -> None:
        for first in range(0, len(gallery), cols):
            tile = gallery[first : first + cols].T
            for start in range(0, len(queries), rows):
                part = queries[start : start + rows]
                np.matmul(part, tile, out=memory[: len(part) * tile.shape[1]].reshape(len(part), -1))

    return run


@contextmanager
def memory_above(peaks: list[float]) -> Iterator[None]:
    """Append the largest resident memory above that at the start, in MiB, looked at every 20 ms."""
    # What earlier tests freed must go back first, or it would hide what is taken now.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    start, largest, done = resident_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            largest[0] = max(largest[0], resident_mib() - start)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        peaks.append(largest[0])


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
