"""Baselines for `bench gate` that are damaged, edited, or written by another program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from corpus.case import Given, Recipe, write
from corpus.runs import QUERIES, baseline_text, given_run

__all__ = ["RECIPES"]


def _signed(change: Callable[[dict[str, Any]], object]) -> str:
    """The baseline changed, with a checksum that fits: what a program may write that is not ours."""
    from bench.store import canonical_json

    document = json.loads(baseline_text())
    document.pop("sha256")
    change(document)
    return json.dumps({**document, "sha256": hashlib.sha256(canonical_json(document).encode()).hexdigest()})


def _cell(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["cells"][0].update(fields)


def _queries(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: next(iter(document["queries"].values())).update(fields)


BASELINES: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "empty": (lambda: "", "is not JSON"),
    "cut short": (lambda: baseline_text()[:500], "is not JSON"),
    "a list": (lambda: "[]", "is not a baseline"),
    "brackets": (lambda: "[" * 200_000, "nested too deep"),
    "not UTF-8": (lambda: baseline_text().encode("utf-16"), "is not JSON"),
    "NaN": (lambda: baseline_text().replace("[", "[NaN,", 1), "NaN is no JSON number"),
    "another kind": (lambda: baseline_text().replace("gdr-bench baseline", "shopping list"), "is not a baseline"),
    "a newer version": (lambda: baseline_text().replace('"schema_version": 1', '"schema_version": 9'), "reads 1"),
    "edited": (lambda: baseline_text().replace('"preset": "quick"', '"preset": "full"'), "changed after it was saved"),
    "half a surrogate pair": (lambda: baseline_text().replace('"sd', '"\\ud800', 1), "changed after it was saved"),
    "no cells": (lambda: _signed(lambda document: document.pop("cells")), "'cells' is missing"),
    "no queries": (lambda: _signed(lambda document: document.pop("queries")), "'queries' is missing"),
    "no metrics": (lambda: _signed(lambda document: document.pop("metrics")), "'metrics' is missing"),
    "metrics of another form": (lambda: _signed(lambda document: document.update(metrics={"R@10": {}})), "is not what"),
    "cells of numbers": (lambda: _signed(lambda document: document.update(cells=[1])), "is not what"),
    "ranks of text": (lambda: _signed(_cell(ranks=["first"] * QUERIES)), "is not what"),
    "ranks of another number": (lambda: _signed(_cell(ranks=[1, 2])), "another number of queries"),
    "values of another number": (lambda: _signed(_cell(values={"R@10": [1]})), "another number of queries"),
    "values of lists": (lambda: _signed(_cell(values={"R@10": [[1]] * QUERIES})), "is not what"),
    "a gallery of text": (lambda: _signed(_cell(n_gallery="many")), "n_gallery"),
    "a dataset of a list": (lambda: _signed(_cell(dataset=["sd"])), "dataset"),
    "options of a number": (lambda: _signed(_cell(options=5)), "is not what"),
    "queries that are not there": (lambda: _signed(_cell(queries="none")), "'none'"),
    "tracks of another number": (lambda: _signed(_queries(track=[0])), "another number of queries"),
    "places beyond the end": (lambda: _signed(_queries(not_counted=[10**6])), "is not what"),
    "places of text": (lambda: _signed(_queries(not_counted=["a"])), "is not what"),
}


def _baseline(make: Callable[[], str | bytes], said: str, folder: Path) -> Given:
    given = given_run("gate", lambda run: None, ("base.json", said), folder)
    write(folder, base_json=make())
    return given


RECIPES = [
    Recipe(f"baseline file: {name}", "baselines", partial(_baseline, make, said))
    for name, (make, said) in BASELINES.items()
]
