"""Runs and qrels as files: what is read, what is refused and where, and that other tools read what is written."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.trec import read_qrels, read_run, write_qrels, write_run

RUN = "q1 Q0 a 1 0.9 me\nq1 Q0 b 2 -0.5 me\nq2 Q0 a 1 1e-3 me\n"


def put(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def triples(pairs) -> list[tuple[str, str, float]]:
    return [
        (pairs.query_ids[q], pairs.item_ids[i], v)
        for q, i, v in zip(pairs.query, pairs.item, pairs.value.tolist(), strict=True)
    ]


EXPECTED = [("q1", "a", 0.9), ("q1", "b", -0.5), ("q2", "a", 0.001)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.trec", RUN),
        ("r.run", RUN.replace("\n", "\r\n")),
        ("r.txt", "\ufeff" + RUN),
        ("r.trec", RUN.rstrip("\n")),
        ("r.trec", "\n" + RUN.replace("\n", "\n\n")),
        ("r.trec", RUN.replace(" ", "\t")),
        ("r.trec", RUN.replace(" ", "   ")),
        ("r.trec.gz", gzip.compress(RUN.encode())),
        ("r.csv", "query_id,item_id,score\nq1,a,0.9\nq1,b,-0.5\nq2,a,0.001\n"),
        ("r.csv", "\ufeffquery_id,item_id,score\r\nq1,a,0.9\r\nq1,b,-0.5\r\nq2,a,0.001\r\n"),
        ("r.csv", "score,item-id,Query_ID\n0.9, a ,q1\n\n-0.5,b,q1\n0.001,a,q2"),
        ("r.csv", 'rank,query_id,item_id,score\n7,q1,"a",0.9\n9,q1,b,-0.5\n1,q2,a,0.001\n'),
        ("r.tsv", "query_id\titem_id\tscore\nq1\ta\t0.9\nq1\tb\t-0.5\nq2\ta\t0.001\n"),
        ("r.csv.gz", gzip.compress(b"query_id,item_id,score\nq1,a,0.9\nq1,b,-0.5\nq2,a,0.001\n")),
    ],
)
def test_a_run_in_every_form_reads_alike(name: str, content: str | bytes, tmp_path: Path) -> None:
    assert triples(read_run(put(tmp_path, name, content))) == EXPECTED


def test_ranks_stand_for_scores_where_a_csv_run_has_none(tmp_path: Path) -> None:
    run = read_run(put(tmp_path, "r.csv", "query_id,item_id,rank\nq,a,1\nq,b,2\n"))
    assert run.value.tolist() == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("q.trec", "q1 0 a 2\nq1 0 b 0\nq1 0 c -1\n", [2, 0, -1]),
        ("q.csv", "query_id,item_id,relevance\nq1,a,0.5\nq1,b,0\nq1,c,3\n", [0.5, 0, 3]),
        ("q.csv", "query_id,item_id\nq1,a\nq1,b\nq1,c\n", [1, 1, 1]),
    ],
)
def test_relevance_may_be_graded(name: str, content: str, expected: list[float], tmp_path: Path) -> None:
    assert read_qrels(put(tmp_path, name, content)).value.tolist() == expected


def test_csv_ids_may_hold_blanks_commas_and_line_ends(tmp_path: Path) -> None:
    qrels = read_qrels(put(tmp_path, "q.csv", 'query_id,item_id\n"a, b\nc","d ""e"""\n'))
    assert (qrels.query_ids, qrels.item_ids) == (("a, b\nc",), ('d "e"',))


def test_ids_are_split_at_ascii_blanks_only(tmp_path: Path) -> None:
    run = read_run(put(tmp_path, "r.trec", "q\u00a01 Q0 曲\u3000名 1 1 t\n"))
    assert (run.query_ids, run.item_ids) == (("q\u00a01",), ("曲\u3000名",))


def test_a_file_longer_than_a_block_reads_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.trec.BLOCK", 64)
    monkeypatch.setattr("bench.trec.ROWS", 3)
    lines = [(f"q{i // 7}", f"d{i % 7}", float(i)) for i in range(100)]
    trec = put(tmp_path, "r.trec", "".join(f"{q} Q0 {d} 1 {s} t\n" for q, d, s in lines))
    table = put(tmp_path, "r.csv", "query_id,item_id,score\n" + "".join(f"{q},{d},{s}\n" for q, d, s in lines))
    assert triples(read_run(trec)) == triples(read_run(table)) == lines
    trec.write_text(trec.read_text() + "q0 Q0 d0 1 5 t\n")
    with pytest.raises(UserError, match=r":101: query 'q0', item 'd0' stands there already in line 1 "):
        read_run(trec)
    table.write_text(table.read_text() + "q1,x,nan\n")
    with pytest.raises(UserError, match=r":102: score 'nan'"):
        read_run(table)


HEAD = "query_id,item_id,score\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("r.trec", "", "holds no rows"),
        ("r.trec", " \n\n", "holds no rows"),
        ("r.trec", "q1 Q0 a 1 0.9 me\nq1 Q0 b 2 0.8\n", ":2: 5 columns; a line of a TREC run has 6: qid Q0 docid rank"),
        ("r.trec", "\nq1 Q0 my song 1 0.9 me\n", ":2: 7 columns; .*ids with blanks need CSV"),
        ("r.trec", HEAD + "a,b,1\n", ":1: 1 columns; .*CSV with a header is read from a file that ends in .csv"),
        ("r.trec", "q1 Q0 a 1 nan me\n", ":1: score 'nan' is not a finite number"),
        ("r.trec", "q1 Q0 a 1 0.5 me\n\nq1 Q0 b 1 inf me\n", ":3: score 'inf'"),
        ("r.trec", "q1 Q0 a 1 high me\n", ":1: score 'high'"),
        ("r.trec", "q1 Q0 a 1 1_0 me\n", ":1: score '1_0'"),
        ("r.trec", "q Q0 a 1 1 t\nq Q0 b 1 1 t\nq Q0 a 9 0 t\n", ":3: query 'q', item 'a' stands there already"),
        ("r.trec", b"q1 Q0 a 1 1 t\nq\xff Q0 a 1 1 t\n", ":2: not UTF-8"),
        ("r.trec", "q1 Q0 a 1 1 t\n".encode("utf-16"), ":1: not UTF-8"),
        ("r.trec.gz", RUN, "not a whole gzip file"),
        ("r.trec.gz", gzip.compress(RUN.encode())[:-9], "not a whole gzip file"),
        ("r.csv", "", "holds no rows; its first line must be query_id,item_id,score"),
        ("r.csv", HEAD, "holds no rows"),
        ("r.csv", "qid,item_id,score\n", ":1: unknown column 'qid'; the header must be query_id,item_id,score"),
        ("r.csv", "query_id,item_id\nq,a\n", ":1: no column 'score'"),
        ("r.csv", "query_id,score\nq,1\n", ":1: no column 'item_id'"),
        ("r.csv", "query_id,query_index,item_id,score\n", ":1: both query_id and query_index"),
        ("r.csv", "query_id,item_id,score,score\n", ":1: column 'score' stands there twice"),
        ("r.csv", HEAD + "q,a,1\nq,b\n", ":3: 2 fields; the header has 3"),
        ("r.csv", HEAD + "q,a,1\n,b,1\n", ":3: query_id is empty"),
        ("r.csv", HEAD + "q,a,\n", ":2: score '' is not a finite number"),
        ("r.csv", HEAD + "q,a,1\n\nq,a,2\n", ":4: query 'q', item 'a' stands there already in line 2"),
        ("r.csv", HEAD.encode() + b"q,a,1\nq,\xe9,1\n", ":3: not UTF-8"),
        ("r.csv", HEAD + 'q,"a,1\n', "not CSV"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_run_is_told_with_its_line(
    name: str, content: str | bytes, words: str, tmp_path: Path
) -> None:
    file = put(tmp_path, name, content)
    with pytest.raises(UserError, match=words) as caught:
        read_run(file)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("q.trec", "q1 0 a\n", ":1: 3 columns; a line of TREC qrels has 4: qid 0 docid relevance"),
        ("q.trec", "q1 0 a x\n", ":1: relevance 'x'"),
        ("q.trec", "q1 0 a 1\nq1 0 a 1\n", ":2: query 'q1', item 'a' stands there already in line 1"),
        ("q.csv", "query_id,item_id,score\nq,a,1\n", ":1: unknown column 'score'"),
        ("q.csv", "query_id,item_id,relevance\nq,a,yes\n", ":2: relevance 'yes'"),
    ],
)
def test_what_is_wrong_with_qrels_is_told_with_its_line(name: str, content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        read_qrels(put(tmp_path, name, content))


@pytest.mark.parametrize("name", ["no.trec", "no.csv", "no.trec.gz"])
def test_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_run(tmp_path / name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_run(tmp_path)


# --- writing ----------------------------------------------------------------------------------------------------------

IDS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=40)
SCORES = st.floats(allow_nan=False, allow_infinity=False)
LISTS = st.dictionaries(IDS, st.dictionaries(IDS, SCORES, min_size=1, max_size=5), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(lists=LISTS, packed=st.booleans())
def test_what_is_written_reads_back_bit_for_bit(lists, packed, tmp_path_factory) -> None:
    file = tmp_path_factory.mktemp("run") / ("r.trec.gz" if packed else "r.trec")
    write_run(file, list(lists), [list(x) for x in lists.values()], [list(x.values()) for x in lists.values()])
    back: dict[str, dict[str, float]] = {}
    for query, item, value in triples(read_run(file)):
        back.setdefault(query, {})[item] = value
    assert back == lists
    for query in back:
        assert list(back[query].values()) == sorted(lists[query].values(), reverse=True)


def test_big_ids_read_back(tmp_path: Path) -> None:
    long = "ü" * 100_000
    write_run(tmp_path / "r.trec", [long], [[long]], [[1.0]])
    assert read_run(tmp_path / "r.trec").query_ids == (long,)


def test_qrels_read_back_with_their_grades(tmp_path: Path) -> None:
    write_qrels(tmp_path / "q.trec", ["q1", "q2"], [["a", "b"], ["a"]], [[2, 0], [1]])
    assert triples(read_qrels(tmp_path / "q.trec")) == [("q1", "a", 2), ("q1", "b", 0), ("q2", "a", 1)]


def test_equal_runs_give_equal_bytes_compressed_too(tmp_path: Path) -> None:
    for name in ("a.trec.gz", "b.trec.gz"):
        write_run(tmp_path / name, ["q"], [["a"]], [[1.0]])
    assert (tmp_path / "a.trec.gz").read_bytes() == (tmp_path / "b.trec.gz").read_bytes()


@pytest.mark.parametrize(
    ("queries", "items", "scores", "words"),
    [
        (["my query"], [["a"]], [[1.0]], "query 'my query' cannot stand in a TREC file"),
        (["q"], [["a\u00a0b"]], [[1.0]], "item 'a\\\\xa0b' cannot stand"),
        (["q"], [["a\n"]], [[1.0]], "item 'a\\\\n' cannot stand"),
        (["q"], [[""]], [[1.0]], "item '' cannot stand"),
        (["q"], [["a", "a"]], [[1.0, 0.0]], "lists item 'a' twice"),
        (["q", "q"], [["a"], ["b"]], [[1.0], [1.0]], "query 'q' stands there twice"),
        (["q"], [["a"]], [[float("nan")]], "not finite"),
        (["q"], [["a"]], [[1.0, 2.0]], "1 items and 2 values"),
        (["q", "r"], [["a"]], [[1.0]], "2 queries, but another number of lists"),
    ],
)
def test_what_cannot_be_written_is_named_and_leaves_no_file(queries, items, scores, words, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        write_run(tmp_path / "r.trec", queries, items, scores)
    assert list(tmp_path.iterdir()) == []


def test_qrels_of_half_a_relevance_cannot_be_trec(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"relevance 0.5 of query 'q', item 'a'"):
        write_qrels(tmp_path / "q.trec", ["q"], [["a"]], [[0.5]])


def test_ir_measures_reads_what_is_written_and_agrees(tmp_path: Path) -> None:
    import ir_measures

    from bench.score import rank_run, score

    rng = np.random.default_rng(3)
    queries, items = [f"q{i}" for i in range(30)], [f"曲{i}" for i in range(40)]
    scores = rng.permuted(np.tile(np.linspace(-1, 1, 40), (30, 1)), axis=1)
    depth = [np.argsort(-row)[: rng.integers(10, 41)] for row in scores]
    write_run(
        tmp_path / "r.trec", queries, [[items[i] for i in top] for top in depth],
        [row[top] for row, top in zip(scores, depth, strict=True)],
    )  # fmt: skip
    relevant = [rng.choice(40, rng.integers(1, 4), replace=False) for _ in queries]
    grades = [rng.integers(1, 4, len(group)).tolist() for group in relevant]
    write_qrels(tmp_path / "q.trec", queries, [[items[i] for i in group] for group in relevant], grades)
    theirs = {"MRR": "RR", "R@10": "Success@10", "mAP@10": "AP@10", "nDCG@10": "nDCG@10"}
    found = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in theirs.values()],
        list(ir_measures.read_trec_qrels(str(tmp_path / "q.trec"))),
        list(ir_measures.read_trec_run(str(tmp_path / "r.trec"))),
    )
    ours = score(rank_run(read_run(tmp_path / "r.trec"), read_qrels(tmp_path / "q.trec")), list(theirs)).metrics
    by_name = {str(measure): value for measure, value in found.items()}
    for key, name in theirs.items():
        assert ours[key]["value"] == pytest.approx(100 * by_name[name], abs=1e-9), key
