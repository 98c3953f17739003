"""Files of ids and numbers that a user hands to `bench score`: runs, qrels, clusters, lists of ids; plain and gzip."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from corpus.case import DONE, Given, Recipe, array_files, write

__all__ = ["RECIPES", "SOUND"]

RUN = "q1 Q0 a 1 0.9 me\nq1 Q0 b 2 0.5 me\nq2 Q0 b 1 0.7 me\n"
QRELS = "q1 0 a 1\nq2 0 a 1\n"
RUN_CSV = "query_id,item_id,score\nq1,a,0.9\nq1,b,0.5\nq2,b,0.7\n"
QRELS_CSV = "query_id,item_id,relevance\nq1,a,1\nq2,a,1\n"
CLUSTERS = "query_id,cluster_id\nq1,t1\nq2,t2\n"
Damage = Callable[[str], str | bytes]

#: What is done to any of these files, and what the message says beside its name.
ANY: dict[str, tuple[Damage, str]] = {
    "empty": (lambda text: "", "holds no rows"),
    "blank lines": (lambda text: "\n \n\n", "holds no rows"),
    "UTF-16": (lambda text: text.encode("utf-16"), "not UTF-8"),
    "latin-1": (lambda text: text.encode() + text.splitlines()[-1].replace("q2", "q\xe4").encode("latin-1"), "UTF-8"),
    "zeros": (lambda text: bytes(4096), ":1"),
    "random bytes": (lambda text: bytes(range(1, 256)) * 8, ":"),
    "a column too few": (lambda text: text + text.splitlines()[-1].rpartition("," if "," in text else " ")[0], ":"),
    "a column too many": (lambda text: text + text.splitlines()[-1] + (",x" if "," in text else " x"), ":"),
    "a pair twice": (lambda text: text + text.splitlines()[-1] + "\n", "stands there already"),
    "a line of 2 MB": (lambda text: text + "x" * 2_000_000 + "\n", ""),
    "a zip file": (lambda text: b"PK\x03\x04" + bytes(range(128, 256)), ":1"),
}
#: What is done to a file with numbers.
NUMBERS: dict[str, tuple[Damage, str]] = {
    f"the number {number}": (
        lambda text, number=number: text.replace("0.7", number).replace("q2,a,1", f"q2,a,{number}")
        .replace("q2 0 a 1", f"q2 0 a {number}"),
        "is not a finite number",
    )
    for number in ("nan", "inf", "-inf", "1e999", "one", "0x10", "1_000", "9" * 5000, "١٢a")
}  # fmt: skip
#: What is done to a file with a header.
HEADER: dict[str, tuple[Damage, str]] = {
    "no header": (lambda text: text.partition("\n")[2], ":1: unknown column"),
    "an unknown column": (lambda text: text.replace("_id", "_name", 1), ":1: unknown column"),
    "a column twice": (lambda text: text.replace("item_id", "query_id").replace("cluster_id", "query_id"), "twice"),
    "only a header": (lambda text: text.partition("\n")[0], ""),
    "a quote left open": (lambda text: text + '"q3,b,1\n' * 3, "not CSV"),
    "a field of 200 kB": (lambda text: text + "q3," + "x" * 200_000 + ",1\n", ":"),
    "an empty id": (lambda text: text.replace("q1,", ",", 1), ":"),
    "semicolons": (lambda text: text.replace(",", ";"), ":1: unknown column"),
}
KINDS = {
    "run": ("x.trec", RUN, {**ANY, **NUMBERS}),
    "qrels": ("y.trec", QRELS, {**ANY, **NUMBERS}),
    "run as CSV": ("x.csv", RUN_CSV, {**ANY, **NUMBERS, **HEADER}),
    "qrels as CSV": ("y.csv", QRELS_CSV, {**ANY, **NUMBERS, **HEADER}),
    "clusters": ("c.csv", CLUSTERS, {**ANY, **HEADER}),
}
#: What ends well, or otherwise, for a kind of file.
NOT_FOR = {
    ("run", "the number 0x10"): "",
    ("clusters", "a pair twice"): "the same twice says nothing new",
    ("run as CSV", "only a header"): "",
}


def _command(kind: str) -> tuple[str, ...]:
    run = "x.csv" if kind == "run as CSV" else "x.trec"
    qrels = "y.csv" if kind == "qrels as CSV" else "y.trec"
    clusters = ("--clusters", "c.csv") if kind == "clusters" else ()
    return ("score", "--run", run, "--qrels", qrels, *clusters)


def _files(folder: Path) -> None:
    write(folder, x_trec=RUN, y_trec=QRELS, x_csv=RUN_CSV, y_csv=QRELS_CSV, c_csv=CLUSTERS)


def _damaged(kind: str, damage: Damage, said: str, folder: Path) -> Given:
    name, text, _ = KINDS[kind]
    _files(folder)
    content = damage(text)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Given(_command(kind), (name, said))


# --- gzip -------------------------------------------------------------------------------------------------------------

GZIP: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "not gzip": (lambda data: data, "not a whole gzip file"),
    "cut short": (lambda data: gzip.compress(data)[:-12], "not a whole gzip file"),
    "a wrong checksum": (lambda data: gzip.compress(data)[:-8] + bytes(8), "not a whole gzip file"),
    "damaged inside": (lambda data: gzip.compress(data)[:12] + b"\xff" * 8 + gzip.compress(data)[20:], "not a whole"),
    "garbage behind": (lambda data: gzip.compress(data) + b"garbage", "not a whole gzip file"),
    "empty": (lambda data: b"", "holds no rows"),
}


def _gzip(damage: Callable[[bytes], bytes], said: str, folder: Path) -> Given:
    _files(folder)
    (folder / "x.trec.gz").write_bytes(damage(RUN.encode()))
    return Given(("score", "--run", "x.trec.gz", "--qrels", "y.trec"), ("x.trec.gz", said))


def _bomb(letter: bytes, said: str, name: str, folder: Path) -> Given:
    """A gzip file of 6 MB, which is 6 GB of one letter."""
    _files(folder)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = letter * (1 << 24)
    # The same block again is the same bytes again, so one stream of 16 MiB is written many times, member by member.
    member = squeezer.compress(block) + squeezer.flush()
    with (folder / name).open("wb") as file:
        for _ in range(384):
            file.write(member)
    files = ("--run", name, "--qrels", "y.trec") if name.startswith("x") else ("--run", "x.trec", "--qrels", name)
    return Given(("score", *files), (name, said))


def _without_end(name: str, folder: Path) -> Given:
    """A file of 8 GB without a line break: a hole, which takes no room."""
    _files(folder)
    os.truncate(folder / name, 1 << 33)
    run, qrels = ("x.csv" if "csv" in name else "x.trec"), "y.trec"
    return Given(("score", "--run", run, "--qrels", qrels), (name,))


# --- lists of ids -----------------------------------------------------------------------------------------------------

IDS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "holds no ids"),
    "too few": ("a\nb\n", "2 query ids for 6 vectors"),
    "one twice": ("a\nb\na\nc\nd\ne\n", "stands there already in line 1"),
    "an empty line": ("a\n\nb\nc\nd\ne\n", ":2: an empty line"),
    "UTF-16": ("a\nb\n".encode("utf-16"), "not UTF-8"),
    "zeros without a line break": (bytes(2_000_000), "a line of more than"),
}


def _ids(content: str | bytes, said: str, folder: Path) -> Given:
    argv = array_files(folder, ids_txt=content)
    return Given((*argv, "--query-ids", "ids.txt"), (said,))


ROWS: dict[str, tuple[str, str]] = {
    "a row that is not there": ("query_index,item_index\n0,99\n", "r.csv:2"),
    "a row of -1": ("query_index,item_index\n-1,0\n", "r.csv:2"),
    "a row of 1e3": ("query_index,item_index\n1e3,0\n", "r.csv:2"),
    "a row of 2**64": (f"query_index,item_index\n{2**64},0\n", "r.csv:2"),
    "a row that is a path": ("query_index,item_index\n../../etc/passwd,0\n", "r.csv:2"),
}


def _rows(content: str, said: str, folder: Path) -> Given:
    return Given(array_files(folder, r_csv=content), (said,))


def _made(name: str, make: Callable[[Path], object], said: str, folder: Path) -> Given:
    _files(folder)
    (folder / name).unlink()
    make(folder / name)
    return Given(("score", "--run", "x.trec", "--qrels", "y.trec"), (name, said))


def _trec(run: str, qrels: str, said: tuple[str, ...], folder: Path) -> Given:
    write(folder, x_trec=run, y_trec=qrels)
    return Given(("score", "--run", "x.trec", "--qrels", "y.trec"), said)


RECIPES = [
    *(
        Recipe(
            f"{kind}: {name}", "text", partial(_damaged, kind, damage, said),
            slow=kind.startswith("qrels") and name in NUMBERS,
        )
        for kind, (_, _, damages) in KINDS.items()
        for name, (damage, said) in damages.items()
        if (kind, name) not in NOT_FOR
    ),
    *(Recipe(f"gzip: {name}", "text", partial(_gzip, damage, said)) for name, (damage, said) in GZIP.items()),
    Recipe("gzip: 6 GB of zeros", "text", partial(_bomb, b"\0", "", "x.trec.gz"), apart=True),
    Recipe("gzip: 6 GB of line breaks", "text", partial(_bomb, b"\n", "decompressed", "x.trec.gz"), apart=True),
    Recipe("gzip: 6 GB of line breaks in CSV", "text", partial(_bomb, b"\n", "decompressed", "x.csv.gz"), apart=True,
           slow=True),
    Recipe("gzip: 6 GB of letters as qrels", "text", partial(_bomb, b"x", "a line of more", "y.trec.gz"), apart=True,
           slow=True),
    Recipe("run: 8 GB without a line break", "text", partial(_without_end, "x.trec"), apart=True),
    Recipe("run as CSV: 8 GB without a line break", "text", partial(_without_end, "x.csv"), apart=True, slow=True),
    Recipe("run: a device", "text", partial(_made, "x.trec", lambda f: f.symlink_to("/dev/zero"), ""), apart=True),
    Recipe("run: a folder", "text", partial(_made, "x.trec", Path.mkdir, "Is a directory")),
    Recipe("run: a link in a ring", "text", partial(_made, "x.trec", lambda f: f.symlink_to("x.trec"), "levels of")),
    Recipe("run: no query of the qrels", "text", partial(_trec, RUN.replace("q", "z"), QRELS, ("no query",))),
    *(Recipe(f"ids: {name}", "text", partial(_ids, content, said)) for name, (content, said) in IDS.items()),
    *(Recipe(f"rows: {name}", "text", partial(_rows, content, said)) for name, (content, said) in ROWS.items()),
]  # fmt: skip


def _sound(kind: str, folder: Path) -> Given:
    return _damaged(kind, lambda text: text, "", folder)._replace(mention=())


def _sound_gzip(folder: Path) -> Given:
    return _gzip(gzip.compress, "", folder)._replace(mention=())


SOUND = [
    *(Recipe(f"{kind}: as it is", "text", partial(_sound, kind), DONE) for kind in KINDS),
    Recipe("gzip: as it is", "text", _sound_gzip, DONE),
]
