"""A wrong type at every key of the suite's schema: the keys come from suites/schema.json, not from a list."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from corpus.case import DONE, PROMPTS, Given, Recipe, json_text, write

__all__ = ["RECIPES", "SOUND", "leaves", "whole"]

ROOT = Path(__file__).parents[2]
#: Keys whose mappings stand elsewhere in the schema too: what is below them is looked at there.
AGAIN = ("replicates", "presets", "sampling", "b", "over", "minus")
#: Small, since it is read with every case.
PROFILE = """name: own
datasets: {sd: {name: gmcaps/sd}}
spaces: {clap: {encoder: mini-clap}}
retrievers:
  gdr-clap: {name: gdr, space: clap, weights: gdr-clap}
  gdr-clap-s1: {name: gdr, space: clap, weights: gdr-clap-s1}
"""
KeyPath = tuple[str | int, ...]
#: Numbers that JSON has none for: YAML writes them so, and a document holds the name in their place.
NAMES = {"not a number": ".nan", "infinity": ".inf", "a huge number": "1" + "0" * 400}
#: What is put at each key: in a quick look the first that the schema refuses, or no number in the place of one.
VALUES: dict[str, Any] = {
    "a mapping": {"a": 1}, "a list of a list": [[1]], "text": "wrong", "a fraction": -1.5, "true": True,
    "nothing": None, **NAMES,
}  # fmt: skip


@cache
def _schema() -> dict[str, Any]:
    return json.loads((ROOT / "suites" / "schema.json").read_text(encoding="utf-8"))


def whole() -> dict[str, Any]:
    """A suite that says something at every key, and loads."""
    sampling = {"guidance": 2, "sampler": "ddim-10", "samples": 2}
    settings = {**sampling, "queries": 50, "candidates": 60, "diversity_samples": 2, "diversity_queries": 4}
    retriever = {"name": "gdr", "space": "clap"}
    side = {
        "modifier": "negative-prompting", "strength": 1, "retriever": "gdr-clap", "dataset": "sd", "space": "clap",
        "times": 1, "minus": {"modifier": "none"},
    }  # fmt: skip
    claim = {
        "text": "a", "source": "ours", "metric": "removal@10", "at": None, "compare": "difference", "margin": 0.1,
    }  # fmt: skip
    over = [{"retriever": "gdr-clap", "modifier": "none"}, {"modifier": "negative-prompting", "strength": 1},
            {"modifier": "negative-prompting", "strength": 2}]  # fmt: skip
    return {
        "schema_version": 1, "name": "whole", "title": "A suite", "group": "default", "requires": ["extra:minilm"],
        "datasets": [{"name": "sd", "id": "sd"}], "spaces": [{"name": "clap", "id": "clap"}],
        "retrievers": [{**retriever, "id": "gdr-clap", "weights": "gdr-clap", "sampling": sampling}],
        "replicates": [{**retriever, "id": "gdr-clap-s1", "weights": "gdr-clap-s1", "sampling": sampling}],
        "prompts": "prompts.yaml",
        "modifiers": [{"name": "negative-prompting", "id": "np", "strength": [1, 2], "primary": 2}],
        "metrics": ["removal@10", "R@10"], "seeds": [0], "settings": settings, "selection": {"seed": 1},
        "presets": {"quick": settings},
        "claims": [
            {**claim, "id": "one", "a": side, "b": [{"modifier": "none"}], "expect": "a > b", "requires": []},
            {**claim, "id": "two", "predictor": "R@10", "over": over, "expect": "a > 0", "requires": ["one"]},
        ],
    }  # fmt: skip


def leaves() -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Every key of a suite with its part of the schema; the first item stands for a list, `quick` for presets."""
    yield from _below((), _schema())


def _below(path: KeyPath, part: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    found = _resolved(part)
    options = [_resolved(option) for option in found.get("anyOf", [])] or [found]
    if path:
        yield path, dict(part)
    listed = any(option.get("type") == "array" for option in options)  # one item may stand for a list of it
    for option in options:
        for key, value in ({} if listed else option.get("properties", {})).items():
            if path.count("minus") < 1 or key != "minus":
                yield from _below((*path, key), value)
        if option.get("type") == "array":
            yield from _below((*path, 0), option["items"])
        if isinstance(option.get("additionalProperties"), dict):
            yield from _below((*path, "quick"), option["additionalProperties"])


def _resolved(part: Mapping[str, Any]) -> dict[str, Any]:
    name = part.get("$ref", "").rpartition("/")[2]
    return {**_schema()["$defs"][name], **part} if name else dict(part)


def _is_refused(part: Mapping[str, Any], value: Any) -> bool:
    from jsonschema import Draft202012Validator

    return not Draft202012Validator({**part, "$defs": _schema()["$defs"]}).is_valid(value)


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _placed(path: KeyPath, value: Any) -> dict[str, Any]:
    """The whole suite with another value at a path; keys that lead there but are not in it are made."""
    document = copy.deepcopy(whole())
    at: Any = document
    path = _place(path)
    for step, following in pairwise(path):
        if isinstance(at, dict) and step not in at:
            at[step] = [] if isinstance(following, int) else {"name": "none"} if step == "minus" else {}
        at = at[step]
    if isinstance(at, list):
        at[path[-1] :] = [value]  # type: ignore[misc]
    else:
        at[path[-1]] = value
    return document


def _place(path: KeyPath) -> KeyPath:
    return ("claims", 1, *path[2:]) if path[:3] in _ELSEWHERE else path


_ELSEWHERE = (("claims", 0, "over"), ("claims", 0, "predictor"), ("claims", 0, "requires"))


def _wrong(path: KeyPath, name: str, folder: Path) -> Given:
    text = json_text(_placed(path, VALUES[name]))
    if name in NAMES:
        text = text.replace(f'"{NAMES[name]}"', NAMES[name])
    write(folder, suite_yaml=text, prompts_yaml=PROMPTS, profile_yaml=PROFILE)
    # What stands for a list of one item may be told as that item; a mapping that is missing is told where it begins.
    key = _dotted(_place(path)).removesuffix("[0]")
    return Given(("validate", "suite.yaml", "--profile", "profile.yaml"), ("suite.yaml:", key))


def _recipes() -> Iterator[Recipe]:
    for path, part in leaves():
        refused = [name for name, value in VALUES.items() if name in NAMES or _is_refused(part, value)]
        # Numbers that are none are wrong where numbers are expected; elsewhere they are one more text.
        numeric = _is_number(part)
        refused = [name for name in refused if numeric or name not in NAMES]
        if path[-1] == "strength":  # nothing is what a modifier without strengths has
            refused = [name for name in refused if VALUES[name] is not None]
        first = refused[0] if not numeric else "not a number"
        again = any(step in AGAIN for step in path[:-1])
        for name in refused:
            yield Recipe(
                f"schema: {name} at {_dotted(path)}", "schema", partial(_wrong, path, name), slow=again or name != first
            )


def _is_number(part: Mapping[str, Any]) -> bool:
    found = _resolved(part)
    options = [found, *map(_resolved, found.get("anyOf", []))]
    return any(option.get("type") in ("number", "integer") for option in options)


def _sound(folder: Path) -> Given:
    given = _wrong(("title",), "text", folder)
    return given._replace(mention=())


RECIPES = list(_recipes())
SOUND = [Recipe("schema: every key at once", "schema", _sound, DONE)]
