"""Scores of a system that is not of this harness: a run file, or arrays of queries and gallery.

`rank_run` and `rank_arrays` say where the relevant items of each query came out; `score` makes metrics of that, with
clustered 95 % intervals; `compare` the paired differences of two systems on the same queries.
"""

from __future__ import annotations

from bench.score._export import export_run
from bench.score._metrics import Scores, compare, default_metrics, known_metrics, score
from bench.score._ranked import Ranked, rank_run
from bench.score._vectors import judged, load_vectors, rank_arrays, save_run, score_set, set_metrics

__all__ = [
    "Ranked", "Scores", "compare", "default_metrics", "export_run", "judged", "known_metrics",
    "load_vectors", "rank_arrays", "rank_run", "save_run", "score", "score_set", "set_metrics",
]  # fmt: skip
