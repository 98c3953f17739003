"""Run folders that are damaged, edited, or made to lead elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from corpus.case import DONE, REFUSED, Given, Recipe, write

__all__ = ["QUERIES", "RECIPES", "SOUND", "baseline_text", "given_run"]

QUERIES = 60
VERBS = {
    "compare": ("compare", "run", "run2"),
    "gate": ("gate", "--baseline", "base.json", "--candidate", "run", "--margin", "R@10=50", "--metric", "R@10"),
    "baseline": ("baseline", "save", "run", "--out", "out/new.json"),
    "report": ("report", "run", "--out", "out", "--format", "csv"),
    "leaderboard": ("leaderboard", "run", "--out", "out"),
    "export": ("score", "export", "run", "--out", "out"),
}
RESOLVED = """name: retrieval
retrievers: [{id: clap, name: contrastive}, {id: gdr-clap, name: gdr}]
settings: {guidance: 3}
modifiers: []
datasets: [{id: sd, name: gmcaps/sd}]
prompts: null
claims: []
"""


def _frame(seed: int) -> pd.DataFrame:
    ranks = np.random.default_rng(seed).integers(1, 40, QUERIES).astype(float)
    ids = [f"q{i:03d}" for i in range(QUERIES)]
    tops = [[f"t{i}" for i in range(10)]] * QUERIES
    frame = pd.DataFrame({"query_id": ids, "relevant_id": ids, "cluster_id": ids, "rank": ranks, "top_10": tops})
    return frame.assign(**{"R@10": 100.0 * (ranks <= 10), "MRR": 100.0 / ranks, "MedR": ranks})


def _summary() -> dict[str, Any]:
    level = {"level": "query", "range": [None, None]}
    info = {
        "R@10": {"higher_is_better": True, "unit": "%", **level},
        "MRR": {"higher_is_better": True, "unit": "%", **level},
        "MedR": {"higher_is_better": False, "unit": "rank", **level},
    }  # fmt: skip
    cells = []
    for place, retriever in enumerate(("clap", "gdr-clap")):
        frame = _frame(place)
        values = {"R@10": frame["R@10"].mean(), "MRR": frame["MRR"].mean(), "MedR": frame["MedR"].median()}
        entries = {
            key: {"value": float(v), "ci": [float(v) - 1, float(v) + 1], "n": QUERIES, "why_null": None}
            for key, v in values.items()
        }
        cells.append({
            "key": f"cell{place}", "dataset": "sd", "dataset_name": "gmcaps/sd", "data_fingerprint": "f" * 64,
            "space": "mini-clap", "encoder_digest": "e" * 64, "retriever": retriever, "modifier": "none", "params": {},
            "seed": 0, "n_queries": QUERIES, "n_gallery": 500, "protocol": "track", "nfe": place, "replicate": False,
            "metrics": entries,
        })  # fmt: skip
    claim = {
        "id": "one", "text": "a", "source": "ours", "metric": "R@10", "expect": "a > b", "compare": "difference",
        "at": None, "margin": 0.0, "verdict": "inconclusive", "effect": 1.0, "ci": [-1.0, 3.0], "p": 0.5,
    }  # fmt: skip
    return {
        "schema_version": 1, "suite": "retrieval", "title": "A run", "profile": "mini", "preset": "quick",
        "cells": cells, "metric_info": info, "claims": [claim], "families": [], "not_encoded": [],
        "space_probes": {"mini-clap": {"pc": {"genre": {"accuracy": 0.5, "chance": 0.1}}}},
    }  # fmt: skip


@cache
def _tables() -> tuple[bytes, ...]:
    return tuple(_frame(place).to_parquet() for place in (0, 1))


def run_folder(folder: Path, name: str = "run") -> Path:
    """A whole run's folder."""
    run = folder / name
    (run / "per_query").mkdir(parents=True)
    (run / "summary.json").write_text(json.dumps(_summary(), indent=1))
    (run / "suite.resolved.yaml").write_text(RESOLVED)
    for place, content in enumerate(_tables()):
        (run / "per_query" / f"cell{place}.parquet").write_bytes(content)
    return run


@cache
def baseline_text() -> str:
    """The baseline of a whole run, as `bench baseline save` writes it."""
    import tempfile

    from bench.comparison import one_run
    from bench.gate import save_baseline

    with tempfile.TemporaryDirectory() as temporary:
        save_baseline(one_run(run_folder(Path(temporary))), Path(temporary) / "base.json")
        return (Path(temporary) / "base.json").read_text()


Change = Callable[[Path], object]


def given_run(verb: str, change: Change, said: tuple[str, ...], folder: Path) -> Given:
    """Both runs and the baseline, the first run changed, and one command over them."""
    if verb == "compare":
        run_folder(folder, "run2")
    write(folder, base_json=baseline_text(), secret_json='{"password": "hunter2"}')
    change(run_folder(folder))
    return Given(VERBS[verb], said)


# --- summary.json -----------------------------------------------------------------------------------------------------


def _text(change: Callable[[str], str | bytes], run: Path) -> None:
    file = run / "summary.json"
    content = change(file.read_text())
    file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)


TEXTS: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "empty": (lambda text: "", "is not JSON"),
    "cut short": (lambda text: text[: len(text) // 2], "is not JSON"),
    "a list": (lambda text: "[]", "has no list of cells"),
    "a number": (lambda text: "5", "has no list of cells"),
    "null": (lambda text: "null", "has no list of cells"),
    "not UTF-8": (lambda text: text.encode("utf-16"), "is not JSON"),
    "zeros": (lambda text: bytes(4096), "is not JSON"),
    "brackets": (lambda text: "[" * 200_000, "nested too deep"),
    "mappings in mappings": (lambda text: '{"a":' * 200_000, "nested too deep"),
    "NaN": (lambda text: text.replace('"value": ', '"value": NaN, "old": ', 1), "NaN is no JSON number"),
    "Infinity": (lambda text: text.replace('"effect": 1.0', '"effect": -Infinity'), "-Infinity is no JSON number"),
    "1e999": (lambda text: text.replace('"effect": 1.0', '"effect": 1e999'), "claims[0].effect"),
    "a number of 5000 digits": (lambda text: text.replace('"seed": 0', f'"seed": {"9" * 5000}'), "is not JSON"),
    "a newer version": (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "version reads 1"),
    "a version that is text": (lambda text: text.replace('"schema_version": 1', '"schema_version": "1"'), "reads 1"),
    "no version": (lambda text: text.replace('"schema_version": 1,', ""), "schema_version is None"),
}  # fmt: skip


def _large(run: Path) -> None:
    os.truncate(run / "summary.json", 1 << 33)


def _edited(change: Callable[[dict[str, Any]], object], run: Path) -> None:
    document = json.loads((run / "summary.json").read_text())
    change(document)
    (run / "summary.json").write_text(json.dumps(document))


def _put(path: str, value: Any) -> Change:
    """Put a value at a dotted path of the summary."""

    def change(document: dict[str, Any]) -> None:
        *steps, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        at: Any = document
        for step in steps:
            at = at[step]
        at[last] = value

    return partial(_edited, change)


KEYS = {
    "a key that leaves the folder": "../../secret", "a key above the folder": "..", "an absolute key": "/etc/passwd",
    "a key with a folder": "below/cell0", "a key with NUL": "cell0\0", "a key with a line break": "cell\n0",
    "an empty key": "", "a key of 300 letters": "k" * 300, "a key that begins with a dot": ".cell0",
    "a key with half a surrogate pair": "cell\ud800",
}  # fmt: skip
VALUES: dict[str, tuple[str, Any, str]] = {
    "cells of numbers": ("cells", [1, 2], "cells[0]"),
    "cells of nothing": ("cells", [None], "cells[0]"),
    "metrics of a list": ("cells/0/metrics", [], "cells[0].metrics"),
    "a metric of a number": ("cells/0/metrics/R@10", 5, "cells[0].metrics.R@10"),
    "a value of text": ("cells/0/metrics/R@10/value", "5", "cells[0].metrics.R@10.value"),
    "an interval of one number": ("cells/0/metrics/R@10/ci", [1], "cells[0].metrics.R@10.ci"),
    "an interval of text": ("cells/0/metrics/R@10/ci", ["a", "b"], "cells[0].metrics.R@10.ci"),
    "parameters of a list": ("cells/0/params", [], "cells[0].params"),
    "a guidance of text": ("cells/0/params/guidance", "3", "cells[0].params.guidance"),
    "a strength of a list": ("cells/0/params/strength", [1], "cells[0].params.strength"),
    "samples of text": ("cells/0/params/samples", "many", "cells[0].params.samples"),
    "a seed of text": ("cells/0/seed", "a", "cells[0].seed"),
    "a dataset of a mapping": ("cells/0/dataset", {}, "cells[0].dataset"),
    "a retriever of nothing": ("cells/0/retriever", None, "cells[0].retriever"),
    "a gallery of text": ("cells/0/n_gallery", "500", "cells[0].n_gallery"),
    "a gallery of 10**30": ("cells/0/n_gallery", 10**30, "cells[0].n_gallery"),
    "a gallery of nothing": ("cells/0/n_gallery", 0, "cells[0].n_gallery"),
    "what is known of metrics, a list": ("metric_info", [], "metric_info"),
    "what is known of a metric, a number": ("metric_info/R@10", 5, "metric_info.R@10"),
    "claims of a mapping": ("claims", {}, "claims"),
    "a claim of text": ("claims", ["a"], "claims[0]"),
    "an effect of text": ("claims/0/effect", "1", "claims[0].effect"),
    "a verdict that is none": ("claims/0/verdict", "proven", "claims[0].verdict"),
    "families of numbers": ("families", [1], "families[0]"),
    "probes of a list": ("space_probes", [], "space_probes"),
    "a suite of a list": ("suite", [], "suite"),
    "a preset of a number": ("preset", 5, "preset"),
}
MISSING = {
    "suite": (), "preset": (), **{f"cells/0/{key}": () for key in (
        "key", "dataset", "data_fingerprint", "space", "retriever", "modifier", "params", "seed", "n_gallery",
        "metrics",
    )}, "claims/0/id": (), "claims/0/verdict": (), "claims/0/effect": (), "cells/0/metrics/R@10/value": (),
}  # fmt: skip


def _without(path: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        *steps, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        at: Any = document
        for step in steps:
            at = at[step]
        del at[last]

    return partial(_edited, change)


def _shown(path: str) -> str:
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("/")).lstrip(".")


# --- the other files --------------------------------------------------------------------------------------------------


def _table(change: Callable[[pd.DataFrame], pd.DataFrame], run: Path) -> None:
    file = run / "per_query" / "cell0.parquet"
    change(pd.read_parquet(file)).to_parquet(file)


def _bytes(change: Callable[[bytes], bytes], run: Path) -> None:
    file = run / "per_query" / "cell0.parquet"
    file.write_bytes(change(file.read_bytes()))


def _column(name: str, value: Any) -> Change:
    return partial(_table, lambda frame: frame.assign(**{name: [value] * len(frame)}))


def _without_column(name: str) -> Change:
    return partial(_table, lambda frame: frame.drop(columns=name))


def _repeated(run: Path) -> None:
    """A table of 200 million rows in a few kB: one value, repeated."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    block = pa.table({"query_id": pa.array(["q"] * 1_000_000).dictionary_encode(), "rank": pa.array([1.0] * 1_000_000)})
    with pq.ParquetWriter(run / "per_query" / "cell0.parquet", block.schema) as writer:
        for _ in range(60):
            writer.write_table(block)


def _link(name: str, to: str, run: Path) -> None:
    file = run / name
    if file.is_dir():
        file.rename(run.parent / "elsewhere")
    elif file.exists():
        (run.parent / "elsewhere").write_bytes(file.read_bytes())
        file.unlink()
    file.symlink_to(to.replace("FOLDER", str(run.parent)))


TABLES: dict[str, tuple[Change, str]] = {
    "no table": (lambda run: (run / "per_query" / "cell0.parquet").unlink(), "is missing"),
    "a table that is a folder": (
        lambda run: ((run / "per_query" / "cell0.parquet").unlink(), (run / "per_query" / "cell0.parquet").mkdir()),
        "is missing",
    ),
    "an empty table": (partial(_bytes, lambda data: b""), "cannot be read"),
    "a table cut short": (partial(_bytes, lambda data: data[: len(data) // 2]), "cannot be read"),
    "a table without its end": (partial(_bytes, lambda data: data[:-8]), "cannot be read"),
    "a table damaged inside": (partial(_bytes, lambda data: data[:4] + bytes(len(data) - 12) + data[-8:]), "cannot be"),
    "a table of text": (partial(_bytes, lambda data: b"query_id,rank\nq000,1\n"), "cannot be read"),
    "no query_id": (_without_column("query_id"), "query_id"),
    "no cluster_id": (_without_column("cluster_id"), "cluster_id"),
    "ranks of text": (_column("rank", "first"), "'rank'"),
    "a metric of text": (_column("R@10", "high"), "'R@10'"),
    "ids of lists": (_column("query_id", [1, 2]), "'query_id'"),
    "one id for all": (_column("query_id", "q000"), "again"),
    "a table of 60 million rows": (_repeated, "holds more than"),
    "a link to a table elsewhere": (partial(_link, "per_query/cell0.parquet", "FOLDER/elsewhere"), "is a link"),
    "a link to a file of the system": (partial(_link, "per_query/cell0.parquet", "/etc/passwd"), "is a link"),
    "tables in a folder elsewhere": (partial(_link, "per_query", "FOLDER/elsewhere"), "is a link"),
}
#: Verbs that read the tables whole; the board says so where it reads less.
READERS = {"baseline", "compare", "gate", "export", "leaderboard"}
NOT_READ = {
    ("export", "no cluster_id"), ("export", "one id for all"), ("gate", "a metric of text"),
    ("export", "ids of lists"),
}  # fmt: skip
OTHERS: dict[str, tuple[Change, str]] = {
    "a summary of 8 GB": (_large, "bytes; at most"),
    "no summary": (lambda run: (run / "summary.json").unlink(), ""),
    "a link to a summary elsewhere": (partial(_link, "summary.json", "FOLDER/elsewhere"), "is a link"),
    "a link to a secret as summary": (partial(_link, "summary.json", "FOLDER/secret.json"), "is a link"),
}


def _beside(name: str, text: str | bytes, run: Path) -> None:
    (run / name).write_bytes(text.encode() if isinstance(text, str) else text)


BESIDE: dict[str, str | bytes] = {
    "empty": "", "cut short": '{"schema_version": 1, "cells": {', "brackets": "[" * 200_000, "not UTF-8": b"\xff\xfe{",
}  # fmt: skip
#: What is in them is taken where it is of the right form, and else not shown.
BESIDE_FORMS = {
    "a list": "[]", "cells of a list": '{"cells": []}',
    "a time of text": '{"cells": {"cell0": {"query": {"median": "1"}}}}',
    "a host of text": '{"host": "here", "cells": {"cell0": {"query": {"median": 1}}}}',
}  # fmt: skip


def _resolved(text: str | bytes, run: Path) -> None:
    (run / "suite.resolved.yaml").write_bytes(text.encode() if isinstance(text, str) else text)


def _laughs() -> str:
    from corpus.yaml_files import LAUGHS

    return LAUGHS


RESOLVED_DAMAGES: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "binary": (lambda: bytes(range(256)), "not UTF-8"),
    "a list": (lambda: "- a\n", "must be a mapping"),
    "a tag": (lambda: "x: !!python/object/apply:os.system [ls]\n", "tags"),
    "laughs": (_laughs, "more than 50 aliases"),
    "5000 lists deep": (lambda: "x: " + "[" * 5000, "nested more than 32"),
    "retrievers of text": (lambda: RESOLVED.replace("[{id: clap", "[clap, {id: clap"), "retrievers"),
    "settings of a list": (lambda: RESOLVED.replace("{guidance: 3}", "[3]"), "settings"),
    "a guidance of text": (lambda: RESOLVED.replace("{guidance: 3}", "{guidance: three}"), "settings.guidance"),
    "cut short": (lambda: RESOLVED[:30], "not valid YAML"),
}


# --- all --------------------------------------------------------------------------------------------------------------


def _each(what: str, tried: Mapping[str, tuple[Change, tuple[str, ...]]], verbs: Mapping[str, Any]) -> Iterator[Recipe]:
    """Each change for each verb; one verb in a quick look, in turn, so that all of them are looked at."""
    for place, (name, (change, said)) in enumerate(tried.items()):
        for turn, verb in enumerate(verbs):
            if (verb, name) not in NOT_READ:
                slow = turn != place % len(verbs)
                yield Recipe(
                    f"{verb}: {what}{name}", "runs", partial(given_run, verb, change, said), REFUSED, slow=slow
                )


SUMMARY = ("summary.json",)
READING = [verb for verb in VERBS if verb in READERS]
RESOLVING = ["compare", "gate", "report", "leaderboard"]
RECIPES = [
    *_each("summary, ", {n: (partial(_text, change), (*SUMMARY, said)) for n, (change, said) in TEXTS.items()}, VERBS),
    *_each("", {n: (_put("cells/0/key", key), (*SUMMARY, "key")) for n, key in KEYS.items()}, VERBS),
    *_each("", {n: (_put(path, value), (*SUMMARY, said)) for n, (path, value, said) in VALUES.items()}, VERBS),
    *_each(
        "without ",
        {_shown(path): (_without(path), (*SUMMARY, f"{_shown(path)}: is missing")) for path in MISSING},
        VERBS,
    ),
    *_each("", {n: (change, ("cell0.parquet", said)) for n, (change, said) in TABLES.items()}, dict.fromkeys(READING)),
    *_each("", {n: (change, (said,)) for n, (change, said) in OTHERS.items()}, VERBS),
    *(
        Recipe(f"leaderboard: {file}, {name}", "runs",
               partial(given_run, "leaderboard", partial(_beside, file, text), (file, "is not JSON")))
        for file in ("provenance.json", "latency.json") for name, text in BESIDE.items()
    ),
    *_each(
        "resolved suite, ",
        {n: (lambda run, make=make: _resolved(make(), run), ("suite.resolved.yaml", said))
         for n, (make, said) in RESOLVED_DAMAGES.items()},
        dict.fromkeys(RESOLVING),
    ),
]  # fmt: skip


def _sound(verb: str, folder: Path) -> Given:
    return given_run(verb, lambda run: None, (), folder)


def _sound_beside(text: str, folder: Path) -> Given:
    return given_run("leaderboard", partial(_beside, "latency.json", text), (), folder)


SOUND = [
    *(Recipe(f"{verb}: as it is", "runs", partial(_sound, verb), DONE) for verb in VERBS),
    *(
        Recipe(f"leaderboard: latency.json, {name}", "runs", partial(_sound_beside, text), DONE)
        for name, text in BESIDE_FORMS.items()
    ),
]
