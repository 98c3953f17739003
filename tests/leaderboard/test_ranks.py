"""Rank intervals against an independent computation, on planted orders and where there is no order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from bench.errors import UserError
from bench.leaderboard.ranks import Pool, pools, rank_intervals
from bench.leaderboard.rows import collect
from bench.report.load import Run, find_runs

MakeCell = Callable[..., dict[str, Any]]
MakeRun = Callable[..., Path]


def _pools(results: Path, by: str = "R@10") -> tuple[Pool, ...]:
    return pools(collect(map(Run, find_runs(results))).rows, by)


def _ranks(pool: Pool) -> dict[str, tuple[int, int] | None]:
    return {entry.row.retriever: tuple(entry.rank) if entry.rank else None for entry in pool.entries}


def _oracle(values: np.ndarray, alpha: float = 0.05) -> list[tuple[int, int]]:
    """The same by scipy's paired t test and Holm's procedure as it is told: reject in order until one stands."""
    systems = range(values.shape[1])
    tests = []
    for a, b in combinations(systems, 2):
        if np.allclose(values[:, a], values[:, b]):
            continue
        tests.append((float(scipy_stats.ttest_rel(values[:, a], values[:, b]).pvalue), a, b))
    pairs = values.shape[1] * (values.shape[1] - 1) // 2
    better: dict[int, set[int]] = {system: set() for system in systems}
    for done, (p, a, b) in enumerate(sorted(tests)):
        if p >= alpha / (pairs - done):
            break
        winner, loser = (a, b) if values[:, a].mean() > values[:, b].mean() else (b, a)
        better[loser].add(winner)
    worse = {s: sum(s in winners for winners in better.values()) for s in systems}
    return [(1 + len(better[s]), values.shape[1] - worse[s]) for s in systems]


def test_intervals_are_those_of_paired_t_tests_and_holm() -> None:
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(25):
        shared = rng.normal(size=(60, 1))
        values = shared + rng.normal(size=(60, 6)) * 0.5 + rng.choice([0.0, 0.1, 0.3, 0.6], 6)
        found = [tuple(rank) for rank in rank_intervals(values)]
        assert found == _oracle(values)
        seen.update(found)
    assert len(seen) > 8  # the cases are not all of one kind


def test_a_planted_order_is_found() -> None:
    rng = np.random.default_rng(0)
    hits = rng.random((2000, 1)) < np.array([0.2, 0.8, 0.5])
    assert [tuple(rank) for rank in rank_intervals(100.0 * hits)] == [(3, 3), (1, 1), (2, 2)]


def test_equal_systems_share_all_ranks() -> None:
    same = np.tile(np.random.default_rng(0).random((50, 1)), 4)
    assert {tuple(rank) for rank in rank_intervals(same)} == {(1, 4)}
    assert all(rank.tied_with_best for rank in rank_intervals(same))


def test_two_groups_are_told_apart_and_not_within() -> None:
    rng = np.random.default_rng(1)
    hits = rng.random((1500, 5)) < np.array([0.5, 0.5, 0.3, 0.3, 0.3])
    assert [tuple(rank) for rank in rank_intervals(100.0 * hits)] == [(1, 2), (1, 2), (3, 5), (3, 5), (3, 5)]


def test_order_of_queries_and_of_systems_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(80, 5)) + np.linspace(0, 1, 5)
    clusters = rng.integers(0, 40, 80)
    found = rank_intervals(values, clusters)
    rows, columns = rng.permutation(80), rng.permutation(5)
    again = rank_intervals(values[rows][:, columns], clusters[rows])
    assert again == [found[column] for column in columns]


def test_repeated_queries_of_a_track_add_nothing() -> None:
    spread = np.random.default_rng(4).normal(size=40)
    spread = (spread - spread.mean()) / spread.std(ddof=1)
    values = np.column_stack([spread + 1.5 / np.sqrt(40), np.zeros(40)])  # t is 1.5
    repeated, tracks = np.repeat(values, 20, axis=0), np.repeat(np.arange(40), 20)
    assert rank_intervals(values) == rank_intervals(repeated, tracks)
    assert [tuple(rank) for rank in rank_intervals(repeated, tracks)] == [(1, 2), (1, 2)]
    assert [tuple(rank) for rank in rank_intervals(repeated)] == [(1, 1), (2, 2)]  # what clusters are there for


def test_a_difference_that_is_not_there_is_seldom_found() -> None:
    """Family-wise: of 400 boards of six equal retrievers no more than 5 % say that one beats another."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(400):
        tracks = np.repeat(np.arange(60), 2)
        easy = rng.random((60, 1))[tracks]
        hits = rng.random((120, 6)) < 0.2 + 0.5 * easy
        wrong += any(rank != (1, 6) for rank in rank_intervals(100.0 * hits, tracks))
    assert wrong / 400 <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)


def test_one_cluster_proves_nothing_and_shapes_are_checked() -> None:
    assert [tuple(rank) for rank in rank_intervals([[1.0, 0.0], [1.0, 0.0]], ["a", "a"])] == [(1, 2), (1, 2)]
    with pytest.raises(ValueError, match="queries, systems"):
        rank_intervals([1.0, 2.0])


# --- sets of queries --------------------------------------------------------------------------------------------------


def test_rows_are_compared_with_those_that_were_asked_the_same(results: Path) -> None:
    sd, quality, pc = _pools(results)
    assert (sd.name, quality.name, pc.name) == ("sd (1 of 2)", "sd (2 of 2)", "pc")
    assert _ranks(sd) == {"muscall": (1, 1), "gdr-clap": (2, 3), "ridge-clap": (2, 3), "clap": (4, 4)}
    assert _ranks(quality) == {"mlp-regression": (1, 2), "unet-regression": (1, 2)}
    assert (sd.n_queries, sd.shared) == (300, ((2, 150),))
    assert (quality.n_queries, quality.shared) == (150, ((1, 150),))
    assert sd.entries[0].row.retriever == "muscall"


def test_partly_shared_queries_are_counted(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    make_run(tmp_path, [make_cell("a", queries=range(100)), make_cell("b", queries=range(80, 180))])
    first, second = _pools(tmp_path)
    assert (first.shared, second.shared) == (((2, 20),), ((1, 20),))
    assert [entry.rank for pool in (first, second) for entry in pool.entries] == [None, None]


def test_another_gallery_is_another_set(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    make_run(tmp_path, [make_cell("a", n_gallery=700), make_cell("b", n_gallery=1000)])
    assert [pool.n_gallery for pool in _pools(tmp_path)] == [1000, 700]


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_are_paired_by_query_wherever_it_stands(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun, shuffle: bool
) -> None:
    """Two retrievers that differ on few queries, always in one way: only pairs of the same query show it."""
    folder = make_run(tmp_path, [make_cell("a", 0.5), make_cell("b", 0.5)], shuffle=shuffle)
    files = [folder / "per_query" / f"{Run(folder).cells(retriever=name)[0]['key']}.parquet" for name in "ab"]
    frame = pd.read_parquet(files[1])
    assert (frame["query_id"].tolist() != pd.read_parquet(files[0])["query_id"].tolist()) == shuffle
    missed = frame.index[frame["R@10"] == 0][:12]
    frame.loc[missed, "R@10"] = 100.0
    frame.to_parquet(files[1], index=False)
    assert _ranks(_pools(tmp_path)[0]) == {"b": (1, 1), "a": (2, 2)}


def test_captions_of_a_track_count_together(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    """Fifteen tracks with twenty captions each, all found or none: 8 tracks to 3 is no evidence, 160 to 60 would be."""
    folder = make_run(tmp_path, [make_cell(name, twice=20) for name in "ab"])
    for name, found in (("a", range(7)), ("b", range(3, 15))):
        file = folder / "per_query" / f"{Run(folder).cells(retriever=name)[0]['key']}.parquet"
        frame = pd.read_parquet(file)
        tracks = {f"track-{track:04d}" for track in found}
        frame.assign(**{"R@10": 100.0 * frame["cluster_id"].isin(tracks)}).to_parquet(file, index=False)
    assert set(_ranks(_pools(tmp_path)[0]).values()) == {(1, 2)}
    assert rank_intervals(np.repeat(np.eye(2)[[0] * 3 + [1] * 8], 20, axis=0)) == [(2, 2), (1, 1)]


def test_ranks_by_another_metric(results: Path) -> None:
    sd, quality, pc = _pools(results, "MRR")
    assert _ranks(sd)["muscall"] == (1, 1)
    assert _ranks(quality) == {"mlp-regression": None, "unet-regression": None}  # not measured there
    assert pc.ranked == 3
    with pytest.raises(UserError, match=r"--by MedR.*R@10, R@1, R@5, MRR"):
        _pools(results, "MedR")


def test_a_missing_file_or_a_query_named_twice_is_refused(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun
) -> None:
    folder = make_run(tmp_path, [make_cell("a"), make_cell("b")])
    file = next(iter(sorted((folder / "per_query").iterdir())))
    frame = pd.read_parquet(file)
    pd.concat([frame, frame[:1]]).to_parquet(file, index=False)
    with pytest.raises(UserError, match="names a query twice"):
        _pools(tmp_path)
    frame.drop(columns="cluster_id").to_parquet(file, index=False)
    with pytest.raises(UserError, match="has no cluster_id"):
        _pools(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match="is missing"):
        _pools(tmp_path)


def test_a_metric_that_was_not_kept_per_query_is_refused(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun
) -> None:
    folder = make_run(tmp_path, [make_cell("clap", 0.3), make_cell("gdr-clap", 0.6)])
    for file in (folder / "per_query").iterdir():
        pd.read_parquet(file).drop(columns=["MRR", "R@1"]).to_parquet(file)
    assert _pools(tmp_path)[0].ranked == 2
    with pytest.raises(UserError, match=r"no values of MRR per query.*rank by what it has: R@10, R@5$"):
        _pools(tmp_path, "MRR")
    for file in (folder / "per_query").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"parquet: is missing; .*name the whole folder"):
        _pools(tmp_path)
