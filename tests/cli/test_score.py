"""`bench score`: what is printed and written, from runs and from arrays, and what is refused with exit code 2."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Q, N = 40, 60


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: arrays with ties, their ids, relevant pairs by row, qrels by id, clusters, a reference."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(N, 8)).astype(np.float32)
    gallery[50:] = gallery[:10]
    relevant = rng.integers(0, N, Q)
    np.save("g.npy", gallery)
    np.save("q.npy", gallery[relevant] + rng.normal(size=(Q, 8)).astype(np.float32))
    np.save("q2.npy", gallery[relevant] + 2 * rng.normal(size=(Q, 8)).astype(np.float32))
    np.save("ref.npy", rng.normal(size=(100, 8)))
    Path("q.txt").write_text("".join(f"frage-ä{i}\n" for i in range(Q)))
    Path("g.txt").write_text("".join(f"曲{i}\n" for i in range(N)))
    Path("r.csv").write_text("query_index,item_index\n" + "".join(f"{q},{i}\n" for q, i in enumerate(relevant)))
    Path("qrels.trec").write_text("".join(f"frage-ä{q} 0 曲{i} 1\n" for q, i in enumerate(relevant)))
    Path("c.csv").write_text("query_id,cluster_id\n" + "".join(f"frage-ä{q},{q // 2}\n" for q in range(Q)))
    return tmp_path


IDS = ("--query-ids", "q.txt", "--item-ids", "g.txt")
ARRAYS = ("score", "--queries", "q.npy", "--gallery", "g.npy", "--relevant", "r.csv")


def document(text: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_run_and_the_arrays_it_was_saved_from_score_alike(bench: Callable, folder: Path) -> None:
    arrays = bench(*ARRAYS, *IDS, "--save-run", "x.trec.gz", "--format", "json", "--clusters", "c.csv")
    assert arrays.code == 0, arrays.err
    run = bench("score", "--run", "x.trec.gz", "--qrels", "qrels.trec", "--gallery", str(N), "--format", "json",
                "--clusters", "c.csv")  # fmt: skip
    assert document(run.out) == document(arrays.out)
    assert document(run.out)["tie_rate"] > 10
    assert document(run.out)["n_clusters"] == Q // 2


def test_dot_products_are_saved_as_they_are_ranked(bench: Callable, folder: Path) -> None:
    arrays = bench(*ARRAYS, *IDS, "--save-run", "x.trec", "--format", "json", "--similarity", "dot")
    run = bench("score", "--run", "x.trec", "--qrels", "qrels.trec", "--gallery", str(N), "--format", "json")
    assert document(run.out) == document(arrays.out)


def test_the_table_says_what_it_is_about(bench: Callable, folder: Path) -> None:
    done = bench(*ARRAYS)
    assert done.code == 0
    assert done.out.startswith(f"{Q} queries, {N} items; ties mid, tie rate ")
    for key in ("R@1 ↑", "R@10 ↑", "MRR ↑", "mAP@10 ↑", "nDCG@10 ↑", "MedR ↓", "NMedR ↓"):
        assert key in done.out
    assert "chance" in done.out
    assert done.err == ""


def test_json_csv_and_markdown_hold_the_same_numbers(bench: Callable, folder: Path) -> None:
    done = bench(*ARRAYS, "--out", "deep/x.json", "--format", "csv")
    found = document(Path("deep/x.json").read_text())
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(done.out))}
    assert list(rows) == sorted(found["metrics"], key=list(rows).index)
    for key, entry in found["metrics"].items():
        assert float(rows[key]["value"]) == entry["value"]
        assert [float(rows[key]["lo"]), float(rows[key]["hi"])] == entry["ci"]
        assert entry["ci"][0] <= entry["value"] <= entry["ci"][1]
    assert found["metric_info"]["MedR"] == {
        "higher_is_better": False, "unit": "rank", "range": [1, None], "level": "query"
    }  # fmt: skip
    page = bench(*ARRAYS, "--format", "md").out
    assert f"| R@1 ↑ | {found['metrics']['R@1']['value']:.1f} [" in page
    assert bench(*ARRAYS, "--format", "json").out == Path("deep/x.json").read_text()


def test_what_is_missing_is_null_with_a_reason_everywhere(bench: Callable, folder: Path) -> None:
    Path("short.csv").write_text("query_id,item_id,score\n" + "".join(f"frage-ä{q},曲0,1\n" for q in range(Q)))
    call = ("score", "--run", "short.csv", "--qrels", "qrels.trec", "--metrics", "R@5,MedR,MRR")
    found = document(bench(*call, "--format", "json").out)
    for key in ("R@5", "MedR"):
        assert found["metrics"][key]["value"] is None
        assert found["metrics"][key]["ci"] is None
        assert found["metrics"][key]["why_null"]
    assert found["metrics"]["MRR"]["value"] is not None
    table = bench(*call).out
    assert "n/a¹" in table
    assert "queries list fewer than 5 items and not all that is relevant" in table
    assert "is not in the run" in table
    assert "note: " in table
    assert ",,,40,,the relevant item of" in bench(*call, "--format", "csv").out


def test_queries_that_do_not_match_are_reported(bench: Callable, folder: Path) -> None:
    bench(*ARRAYS, *IDS, "--save-run", "x.trec")
    lines = Path("x.trec").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("frage-ä0 ")]
    Path("y.trec").write_text("".join([*kept, "other Q0 曲1 1 1 t\n"]))
    done = bench("score", "--run", "y.trec", "--qrels", "qrels.trec")
    assert "1 of 40 queries have no line in the run and count as misses (the first is 'frage-ä0')" in done.out
    assert "1 queries of the run have no qrels and are not scored (the first is 'other')" in done.out


def test_a_comparison_is_paired_and_corrected(bench: Callable, folder: Path) -> None:
    arrays = bench(*ARRAYS, *IDS, "--save-run", "x.trec", "--compare", "q2.npy", "--format", "json")
    found = document(arrays.out)["comparison"]
    bench("score", "--queries", "q2.npy", "--gallery", "g.npy", "--relevant", "r.csv", *IDS, "--save-run", "y.trec")
    runs = bench("score", "--run", "x.trec", "--qrels", "qrels.trec", "--gallery", str(N), "--compare", "y.trec",
                 "--format", "json")  # fmt: skip
    assert document(runs.out)["comparison"] == found
    mixed = bench(*ARRAYS, *IDS, "--compare", "y.trec", "--format", "json")
    assert document(mixed.out)["comparison"] == found
    assert found["MRR"]["difference"] == found["MRR"]["a"] - found["MRR"]["b"] > 0
    assert found["MRR"]["p"] <= found["MRR"]["p_holm"] <= 1
    table = bench(*ARRAYS, "--compare", "q2.npy").out
    assert "Paired differences" in table
    assert "p (Holm)" in table
    assert "medians have no paired test" in table
    rows = list(csv.DictReader(io.StringIO(bench(*ARRAYS, "--compare", "q2.npy", "--format", "csv").out)))
    assert float(rows[0]["p"]) == found["R@1"]["p"]


def test_ties_make_a_best_and_a_worst_case(bench: Callable, folder: Path) -> None:
    found = [
        document(bench(*ARRAYS, "--ties", ties, "--format", "json").out)["metrics"]["MRR"]["value"]
        for ties in ("min", "mid", "max")
    ]  # fmt: skip
    assert found[0] > found[1] > found[2]


def test_a_constant_scorer_is_at_chance(bench: Callable, folder: Path) -> None:
    lines = (f"frage-ä{q} Q0 曲{i} {i} 0.5 t\n" for q in range(Q) for i in range(N))
    Path("flat.trec").write_text("".join(lines))
    done = bench("score", "--run", "flat.trec", "--qrels", "qrels.trec", "--gallery", str(N), "--format", "json")
    found = document(done.out)
    assert found["metrics"]["MedR"]["value"] == found["chance"]["MedR"] == (N + 1) / 2
    assert found["metrics"]["NMedR"]["value"] == pytest.approx(found["chance"]["NMedR"])
    assert found["metrics"]["R@1"]["value"] == 0
    assert found["tie_rate"] == 100


def test_files_of_other_systems_read_alike(bench: Callable, folder: Path) -> None:
    bench(*ARRAYS, *IDS, "--save-run", "x.trec")
    text = Path("x.trec").read_text()
    Path("crlf.trec").write_bytes(("\ufeff" + text.replace("\n", "\r\n")).encode())
    Path("packed.trec.gz").write_bytes(gzip.compress(text.encode()))
    rows = [line.split() for line in text.splitlines()]
    Path("x.csv").write_text("query_id,item_id,score\n" + "".join(f"{r[0]},{r[2]},{r[4]}\n" for r in rows))
    outs = [
        bench("score", "--run", name, "--qrels", "qrels.trec", "--format", "json").out
        for name in ("x.trec", "crlf.trec", "packed.trec.gz", "x.csv")
    ]
    assert len(set(outs)) == 1


def test_sets_of_queries_against_a_reference(bench: Callable, folder: Path) -> None:
    alone = bench("score", "--queries", "q.npy", "--reference", "ref.npy", "--format", "json")
    found = document(alone.out)
    assert list(found["metrics"]) == ["FAD(ref)", "KAD(ref)", "Vendi"]
    assert found["tie_rate"] is None
    assert all(entry["ci"][0] < entry["value"] < entry["ci"][1] for entry in found["metrics"].values())
    both = document(bench(*ARRAYS, "--reference", "ref.npy", "--metrics", "R@1,Vendi%,FADunit(ref)",
                          "--format", "json").out)  # fmt: skip
    assert set(both["metrics"]) == {"R@1", "FADunit(ref)", "Vendi%"}
    table = bench("score", "--queries", "q.npy", "--reference", "ref.npy")
    assert "FAD(ref) ↓" in table.out
    assert "tie" not in table.out


def test_wide_ids_and_a_half_precision_file(bench: Callable, folder: Path) -> None:
    np.save("h.npy", np.load("q.npy").astype(np.float16))
    done = bench("score", "--queries", "h.npy", "--gallery", "g.npy", "--relevant", "r.csv")
    assert done.code == 0, done.err


RUN = ("score", "--run", "x.trec", "--qrels", "qrels.trec")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score"], "nothing to score; give --run FILE --qrels FILE, or --queries"),
        (["score", "--run", "x.trec"], "--qrels is missing"),
        (["score", "--qrels", "qrels.trec"], "--run is missing"),
        (["score", "--queries", "q.npy"], "--gallery is missing"),
        (["score", "--queries", "q.npy", "--gallery", "g.npy"], "--relevant is missing"),
        (["score", "--relevant", "r.csv"], "--queries is missing"),
        ([*RUN, "--queries", "q.npy"], "--run and --qrels and --queries do not go together"),
        ([*RUN, "--gallery", "g.npy"], "--gallery g.npy: with --run it is the number of items searched"),
        ([*RUN, "--gallery", "0"], "--gallery 0: with --run"),
        ([*RUN, "--gallery", "5"], "--gallery 5: x.trec and the qrels name 60 items"),
        ([*RUN, "--metrics", "R@10,nDGC@10"], "unknown metric 'nDGC@10'; did you mean 'nDCG@10'?"),
        ([*RUN, "--metrics", "R@0"], "unknown metric 'R@0'"),
        ([*RUN, "--metrics", " , "], "no metrics are asked for"),
        ([*RUN, "--metrics", "Vendi"], "unknown metric 'Vendi'"),
        ([*RUN, "--ties", "docid"], "--ties docid: choose one of mid, min, max"),
        ([*RUN, "--format", "xml"], "--format xml: choose one of table, json, csv, md"),
        ([*RUN, "--clusters", "no.csv"], "no.csv: no such file"),
        ([*RUN, "--clusters", "half.csv"], "half.csv: 39 queries have no cluster (the first is 'frage-ä1')"),
        ([*RUN, "--clusters", "two.csv"], "two.csv:3: query 'frage-ä0' is in cluster 'b' and in 'a'"),
        ([*RUN, "--clusters", "r.csv"], "r.csv:1: unknown column 'query_index'"),
        ([*RUN, "--compare", "no.trec"], "no.trec: no such file"),
        ([*RUN[:3], "--qrels", "no.trec"], "no.trec: no such file"),
        (["score", "--run", "broken.trec", "--qrels", "qrels.trec"], "broken.trec:2: score 'nan'"),
        (["score", "--run", "empty.trec", "--qrels", "qrels.trec"], "empty.trec: holds no rows"),
        (["score", "--run", "other.csv", "--qrels", "qrels.trec"], "other.csv: no query of it is in qrels.trec"),
        ([*ARRAYS, "--metrics", ","], "no metrics are asked for; known: R@1"),
        ([*ARRAYS, "--similarity", "l2"], "--similarity l2: choose one of cosine, dot"),
        ([*ARRAYS, "--query-ids", "g.txt"], "60 query ids for 40 vectors"),
        ([*ARRAYS, "--query-ids", "twice.txt"], "twice.txt:2: id 'a' stands there already in line 1"),
        ([*ARRAYS, "--query-ids", "gap.txt"], "gap.txt:2: an empty line"),
        ([*ARRAYS, "--depth", "0"], "--depth"),
        ([*ARRAYS, "--save-run", "x.trec", "--query-ids", "blank.txt"], "query 'my query 0' cannot stand in a TREC"),
        ([*ARRAYS[:6], "far.csv"], "far.csv:2: item '999' is not among rows 0..59"),
        ([*ARRAYS[:4], "text.npy", *ARRAYS[5:]], "text.npy: not a .npy file of numbers"),
        ([*ARRAYS[:4], "pickle.npy", *ARRAYS[5:]], "pickle.npy: not a .npy file of numbers"),
        ([*ARRAYS[:4], "flat.npy", *ARRAYS[5:]], "flat.npy: holds float64 of shape (3,)"),
        ([*ARRAYS[:4], "narrow.npy", *ARRAYS[5:]], "q.npy, narrow.npy: queries and gallery have rows of 8 and 3"),
        ([*ARRAYS[:4], "nan.npy", *ARRAYS[5:]], "gallery: 1 of 480 entries are NaN or infinite, the first at (7, 2)"),
        ([*ARRAYS[:4], "zero.npy", *ARRAYS[5:]], "gallery: 1 vectors are zero"),
        ([*ARRAYS[:2], "no.npy", *ARRAYS[3:]], "no.npy: no such file"),
        (["score", "--queries", "q.npy", "--reference", "narrow.npy"], "rows of 8 and 3 entries"),
        (["score", "--queries", "q.npy", "--reference", "ref.npy", "--metrics", "FAD(jam)"], "mean 'FAD(ref)'?"),
        (["score", "--queries", "q.npy", "--reference", "ref.npy", "--compare", "q2.npy"], "--compare is of rankings"),
        (["score", "export", "nowhere", "--out", "x"], "nowhere"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_message_and_exit_code_2(
    arguments: list[str], words: str, bench: Callable, folder: Path
) -> None:
    assert bench(*ARRAYS, *IDS, "--save-run", "x.trec").code == 0
    lines = Path("x.trec").read_text().splitlines(keepends=True)
    Path("broken.trec").write_text(lines[0] + "q Q0 d 1 nan t\n")
    Path("empty.trec").touch()
    Path("other.csv").write_text("query_id,item_id,score\nz,a,1\n")
    Path("half.csv").write_text("query_id,cluster_id\nfrage-ä0,a\n")
    Path("two.csv").write_text("query_id,cluster_id\nfrage-ä0,a\nfrage-ä0,b\n")
    Path("twice.txt").write_text("a\na\n")
    Path("gap.txt").write_text("a\n\n")
    Path("blank.txt").write_text("".join(f"my query {i}\n" for i in range(Q)))
    Path("far.csv").write_text("query_index,item_index\n0,999\n")
    Path("text.npy").write_text("1 2 3")
    np.save("pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save("flat.npy", np.ones(3))
    np.save("narrow.npy", np.ones((N, 3)))
    gallery = np.load("g.npy")
    np.save("zero.npy", np.where(np.arange(N)[:, None] == 9, 0, gallery))
    gallery[7, 2] = np.nan
    np.save("nan.npy", gallery)
    done = bench(*arguments)
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_a_run_by_row_numbers_is_read_by_them(bench: Callable, folder: Path) -> None:
    bench(*ARRAYS, "--save-run", "x.trec")
    rows = Path("r.csv").read_text().splitlines()[1:]
    Path("plain.csv").write_text("query_id,item_id\n" + "\n".join(rows))
    done = bench("score", "--run", "x.trec", "--qrels", "plain.csv", "--format", "json", "--gallery", str(N))
    assert document(done.out) == document(bench(*ARRAYS, "--format", "json").out)


def test_help_tells_how_ties_and_ranks_are_taken(bench: Callable) -> None:
    text = " ".join(bench("score", "--help").out.split())
    for words in ("rank column is ignored", "mid-rank", "count as misses", "trec_eval", "export"):
        assert words in text


def test_score_of_a_run_brings_no_torch(folder: Path) -> None:
    Path("x.csv").write_text("query_id,item_id,score\nfrage-ä0,曲1,1\n")
    script = (
        "import sys; from bench.cli import main\n"
        "code = main(['score', '--run', 'x.csv', '--qrels', 'qrels.trec'])\n"
        "bad = {'torch', 'transformers', 'pandas'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# --- export -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run of three cells: two on one dataset, one on another; two queries each."""
    folder = tmp_path / "run"
    (folder / "per_query").mkdir(parents=True)
    cells = []
    for key, dataset in (("aaa", "sd"), ("bbb", "sd"), ("ccc", "my set")):
        frame = pd.DataFrame({
            "query_id": [f"{dataset[:2]}-0", f"{dataset[:2]}-1"], "relevant_id": ["t3", "t15"],
            "top_10": [[f"t{i}" for i in range(10)], [f"t{i}" for i in range(9, -1, -1)]],
        })  # fmt: skip
        frame.to_parquet(folder / "per_query" / f"{key}.parquet")
        cells.append({
            "key": key, "dataset": dataset, "space": "clap", "retriever": "gdr", "modifier": "none",
            "params": {"guidance": 3.0}, "seed": 0, "metrics": {}, "data_fingerprint": dataset, "n_gallery": 20,
        })  # fmt: skip
    summary = {"schema_version": 1, "suite": "x", "preset": "quick", "cells": cells, "metric_info": {}, "claims": []}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_export_writes_a_run_a_cell_and_the_qrels_of_each(bench: Callable, run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "trec"
    done = bench("score", "export", run_folder, "--out", out)
    assert done.code == 0, done.err
    names = ["index.csv", "qrels-sd.trec", "aaa.trec", "bbb.trec", "qrels-my-set.trec", "ccc.trec"]
    assert done.out.split() == [str(out / name) for name in names]
    assert (out / "aaa.trec").read_text().splitlines()[:2] == ["sd-0 Q0 t0 1 10.0 aaa", "sd-0 Q0 t1 2 9.0 aaa"]
    index = list(csv.DictReader((out / "index.csv").open()))
    assert [row["qrels"] for row in index] == ["qrels-sd.trec", "qrels-sd.trec", "qrels-my-set.trec"]
    assert json.loads(index[0]["params"]) == {"guidance": 3.0}
    scored = bench("score", "--run", out / "aaa.trec", "--qrels", out / "qrels-sd.trec", "--format", "json",
                   "--metrics", "R@3,R@4,R@10,MRR,R@11")  # fmt: skip
    metrics = {key: entry["value"] for key, entry in document(scored.out)["metrics"].items()}
    assert metrics == {"R@3": 0, "R@4": 50, "R@10": 50, "MRR": 12.5, "R@11": None}


def test_export_of_one_cell(bench: Callable, run_folder: Path, tmp_path: Path) -> None:
    done = bench("score", "export", run_folder, "--out", tmp_path / "one", "--cell", "ccc")
    assert [Path(line).name for line in done.out.split()] == ["index.csv", "qrels.trec", "ccc.trec"]
    wrong = bench("score", "export", run_folder, "--out", tmp_path / "two", "--cell", "cccc")
    assert (wrong.code, "did you mean 'ccc'?" in wrong.err) == (2, True)
    assert not (tmp_path / "two").exists()


def test_export_of_a_damaged_run(bench: Callable, run_folder: Path, tmp_path: Path) -> None:
    (run_folder / "per_query" / "bbb.parquet").write_bytes(b"cut")
    done = bench("score", "export", run_folder, "--out", tmp_path / "x")
    assert done.code == 2
    assert "bbb.parquet: cannot be read" in done.err


def test_ir_measures_reads_what_is_exported(bench: Callable, run_folder: Path, tmp_path: Path) -> None:
    import ir_measures

    bench("score", "export", run_folder, "--out", tmp_path / "x")
    measures = [ir_measures.RR, ir_measures.R @ 10, ir_measures.AP @ 10, ir_measures.nDCG @ 10]
    found = ir_measures.calc_aggregate(
        measures,
        list(ir_measures.read_trec_qrels(str(tmp_path / "x" / "qrels-sd.trec"))),
        list(ir_measures.read_trec_run(str(tmp_path / "x" / "aaa.trec"))),
    )
    keys = ["MRR", "R@10", "mAP@10", "nDCG@10"]
    ours = bench("score", "--run", tmp_path / "x" / "aaa.trec", "--qrels", tmp_path / "x" / "qrels-sd.trec",
                 "--format", "json", "--metrics", ",".join(keys))  # fmt: skip
    mine = [document(ours.out)["metrics"][key]["value"] / 100 for key in keys]
    assert mine == pytest.approx([found[measure] for measure in measures])
