"""What the gate, its baseline and the comparison refuse, and that each refusal says what to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.comparison import compare_runs, one_run
from bench.comparison.output import as_markdown
from bench.errors import UserError
from bench.gate import gate, load_baseline, save_baseline
from bench.gate.files import check_targets, write
from bench.gate.output import as_json, as_junit, print_gate
from bench.store import canonical_json

N = 60
KEPT = {"kept@10": {"higher_is_better": True, "unit": "share", "range": [0, None], "level": "query"}}


@pytest.fixture
def ranks() -> np.ndarray:
    return np.ceil(np.exp(np.random.default_rng(0).uniform(0, 5, N)))


@pytest.fixture
def run(write_run: Callable, tmp_path: Path, ranks: np.ndarray) -> Path:
    return write_run(tmp_path / "run", [{"ranks": ranks}])


@pytest.fixture
def saved(run: Path, tmp_path: Path) -> Path:
    save_baseline(one_run(run), tmp_path / "baseline.json")
    return tmp_path / "baseline.json"


# --- values and ranks that are not there ------------------------------------------------------------------------------


def test_a_metric_without_any_value_is_refused(write_run: Callable, tmp_path: Path, ranks: np.ndarray) -> None:
    cells = [{"ranks": ranks, "columns": {"kept@10": np.full(N, value)}} for value in (np.nan, 0.5)]
    empty, full = (write_run(tmp_path / str(i), [cell], metric_info=KEPT) for i, cell in enumerate(cells))
    message = r"no query has a value of kept@10 in sd, gdr-clap, unmodified, seed 0; .*--metric"
    with pytest.raises(UserError, match=message):
        save_baseline(one_run(empty), tmp_path / "b.json", metrics=["kept@10"])
    assert not (tmp_path / "b.json").exists()
    # A file of an earlier version may hold such a cell.
    save_baseline(one_run(full), tmp_path / "b.json", metrics=["kept@10"])
    document = json.loads((tmp_path / "b.json").read_text())
    document["cells"][0]["values"]["kept@10"] = [None] * N
    _sign(tmp_path / "b.json", document)
    with pytest.raises(UserError, match=message):
        gate(load_baseline(tmp_path / "b.json"), one_run(empty))


def _sign(file: Path, document: dict) -> None:
    document.pop("sha256", None)
    document["sha256"] = hashlib.sha256(canonical_json(document).encode()).hexdigest()
    file.write_text(json.dumps(document))


def test_an_unranked_query_and_one_without_a_rank_stay_apart(
    write_run: Callable, tmp_path: Path, ranks: np.ndarray
) -> None:
    odd = ranks.copy()
    odd[3], odd[7] = np.nan, np.inf
    run, file = write_run(tmp_path / "r", [{"ranks": odd}]), tmp_path / "b.json"
    save_baseline(one_run(run), file)
    (cell,) = load_baseline(file).cells
    np.testing.assert_array_equal(cell.ranks, odd)
    assert np.isnan(cell.values("logRank")[3])
    assert cell.values("logRank")[7] == np.log2(500)
    # Files of earlier versions have null in both places, and read as before.
    document = json.loads(file.read_text())
    stored = document["cells"][0]["ranks"]
    assert [stored[i] for i in (3, 7)] == ["nan", "inf"]
    document["cells"][0]["ranks"] = [None if isinstance(rank, str) else rank for rank in stored]
    _sign(file, document)
    assert np.flatnonzero(np.isinf(load_baseline(file).cells[0].ranks)).tolist() == [3, 7]


def test_one_track_says_that_its_error_is_not_known(write_run: Callable, tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / str(i), [{"ranks": ranks, "cluster_id": ["t", "t"]}])
        for i, ranks in enumerate(([3, 4], [30, 40]))
    ]
    save_baseline(one_run(runs[0]), tmp_path / "b.json", metrics=["R@10"])
    baseline = load_baseline(tmp_path / "b.json")
    with pytest.raises(UserError, match=r"error that is not known: .* one track .*more queries.*--margin R@10=1.0"):
        gate(baseline, one_run(runs[1]))
    result = gate(baseline, one_run(runs[1]), margins={"R@10": 1.0})
    assert result.exit_code == 3
    text = as_junit(result)
    assert "2; the error is not known from one track or negative: ask more" in text
    assert "no number would decide" not in text
    assert json.loads(as_json(result))["judged"][0]["lo"] is None
    print_gate(result)


# --- cells ------------------------------------------------------------------------------------------------------------


def test_a_run_without_cells(write_run: Callable, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"empty: this run has no cells; .*bench run retrieval"):
        one_run(write_run(tmp_path / "empty", []))


def test_cells_that_differ_only_in_sampling_are_not_paired(
    write_run: Callable, tmp_path: Path, ranks: np.ndarray, run: Path, saved: Path
) -> None:
    cells = [{"ranks": ranks, "params": {"samples": samples, "sampler": "ddim-2"}} for samples in (1, 5)]
    twice = write_run(tmp_path / "twice", cells)
    message = r"2 cells differ only in how finely they sample.*cell0 \(.*samples=1\); cell1 \(.*samples=5\)"
    for pair in ((twice, run), (run, twice)):
        with pytest.raises(UserError, match=message):
            compare_runs(*pair)
    with pytest.raises(UserError, match=message):
        gate(load_baseline(saved), one_run(twice))
    with pytest.raises(UserError, match=message):
        save_baseline(one_run(twice), tmp_path / "b.json")


def test_a_metric_that_is_named_twice_is_one_test(
    write_run: Callable, tmp_path: Path, run: Path, saved: Path, ranks: np.ndarray
) -> None:
    other = write_run(tmp_path / "other", [{"ranks": ranks[::-1]}])
    once, twice = (compare_runs(run, other, metrics=keys) for keys in (["R@10"], ["R@10", "R@10"]))
    assert twice.rows() == once.rows()
    assert twice.n_tests == 1
    assert len(gate(load_baseline(saved), one_run(other), metrics=["R@10", "R@10"]).judged) == 1


# --- data -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def moved(write_run: Callable, tmp_path: Path, ranks: np.ndarray) -> list[Path]:
    """Two runs whose fingerprints agree on one dataset of three."""
    return [
        write_run(
            tmp_path / name,
            [
                {"ranks": ranks},
                {"ranks": ranks, "dataset": "mc", "data_fingerprint": name * 64},
                {"ranks": ranks, "dataset": "pc", "data_fingerprint": f"{name}-pc"},
            ],
        )
        for name in ("a", "b")
    ]


def test_every_dataset_that_differs_is_named_with_short_fingerprints(moved: list[Path], tmp_path: Path) -> None:
    save_baseline(one_run(moved[0]), tmp_path / "b.json")
    for refused in (
        lambda: compare_runs(*moved),
        lambda: gate(load_baseline(tmp_path / "b.json"), one_run(moved[1])),
    ):
        with pytest.raises(UserError) as caught:
            refused()
        text = str(caught.value)
        assert "'sd'" not in text
        assert all(
            part in text for part in ("'mc'", "'pc'", "a" * 12 + "… in ", "b" * 12 + "… in ", "a-pc in ", "b-pc")
        )
        assert "a" * 13 not in text
        assert "--dataset" in text


def test_a_dataset_that_is_the_same_can_be_compared(moved: list[Path]) -> None:
    (cell,) = compare_runs(*moved, dataset="sd").cells
    assert cell.identical
    with pytest.raises(UserError, match="'mc'"):
        compare_runs(*moved, dataset="mc")


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_folder_is_no_baseline(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; name the JSON file"):
        load_baseline(tmp_path)


def test_targets_are_checked_before_the_work(tmp_path: Path) -> None:
    file = tmp_path / "x"
    check_targets({"--junit": file, "--markdown": None}, {"--baseline": tmp_path / "y"})
    with pytest.raises(UserError, match=r"--junit .*: is a folder; name a file in it, such as .*gate\.xml"):
        check_targets({"--junit": tmp_path})
    with pytest.raises(UserError, match="--junit and --markdown name the same file"):
        check_targets({"--junit": file, "--markdown": tmp_path / "z" / ".." / "x"})
    with pytest.raises(UserError, match="--baseline and --markdown name the same file"):
        check_targets({"--markdown": file}, {"--baseline": file})


@pytest.mark.parametrize("place", ["file/x.json", "/proc/none/x.json", "/proc/x.json", "null\0byte"])
def test_a_file_that_cannot_be_is_the_users_to_name(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    said = r"cannot be written \(.*\); name a file in a folder that you may write|file: is a file, .* move it away"
    with pytest.raises(UserError, match=said):
        write(tmp_path / place, "text")


# --- what is written --------------------------------------------------------------------------------------------------


def test_junit_says_it_in_the_body_too(write_run: Callable, tmp_path: Path, saved: Path, ranks: np.ndarray) -> None:
    worse = np.where(np.arange(N) % 8 == 0, 400.0, ranks)
    for name, candidate, kind in (("broken", np.full(N, 499.0), "failure"), ("worse", worse, "skipped")):
        result = gate(load_baseline(saved), one_run(write_run(tmp_path / name, [{"ranks": candidate}])))
        found = list(ElementTree.fromstring(as_junit(result)).iter(kind))
        assert found
        assert all(one.text == one.get("message") for one in found)
        assert all(" -> " in (one.text or "") for one in found)


def test_names_are_escaped_in_a_comparison(write_run: Callable, tmp_path: Path, ranks: np.ndarray) -> None:
    hostile = "g<script>|`x`*y*\n# h"
    same = {"ranks": ranks, "retriever": hostile}
    folders = [
        write_run(tmp_path / name, [same, {"ranks": own, "retriever": "plain"}])
        for name, own in (("a<b>*c*", ranks), ("b", ranks[::-1]))
    ]
    text = as_markdown(compare_runs(*folders))
    assert "a\\<b>\\*c\\*" in text.splitlines()[0]
    assert "g\\<script>\\|\\`x\\`\\*y\\* # h" in text.splitlines()[-1]
    assert "\n# h" not in text
