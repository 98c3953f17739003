"""Types of the options of parts: a suite's value against the annotation that stands in the part's source."""

from __future__ import annotations

import ast
import json
import math
from typing import Any

__all__ = ["option_problem"]

_SAID = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "null"}
_ACCEPTED: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}


def option_problem(value: Any, annotation: str) -> str | None:
    """What is wrong with a value, or None.

    Args:
        value: of an option, as YAML gave it.
        annotation: as it is written in the source, such as `int | None`. One that is made of other types than int,
            float, bool, str and None, or none at all, allows everything that JSON can hold.

    >>> option_problem(True, "int | None")
    'must be a whole number, is True'
    >>> option_problem(2, "float"), option_problem("x", "Path")
    (None, None)
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        odd = isinstance(value, float) and not math.isfinite(value)
        wanted = "a finite number" if odd else "text, a number, true or false; put quotes around text"
        return f"must be {wanted}, is {_shown(value)}"
    kinds = _kinds(annotation)
    if not kinds or any(_is_of(value, kind) for kind in kinds):
        return None
    wanted = " or ".join(_SAID[kind] for kind in kinds if kind != "None")
    return f"must be {wanted or 'null'}, is {_shown(value)}"


def _is_of(value: Any, kind: str) -> bool:
    if kind == "None":
        return value is None
    if isinstance(value, bool):  # an int to Python, and to nobody else
        return kind == "bool"
    return isinstance(value, _ACCEPTED.get(kind, ()))


def _kinds(annotation: str) -> list[str]:
    """The simple types that an annotation is made of; none where it names another type."""
    try:
        found = _members(ast.parse(annotation, mode="eval").body)
    except SyntaxError:
        return []
    return found if all(kind in _SAID for kind in found) else []


def _members(node: ast.expr) -> list[str]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_members(node.left), *_members(node.right)]
    if isinstance(node, ast.Subscript):
        name, inner = ast.unparse(node.value).rpartition(".")[2], node.slice
        if name == "Optional":
            return [*_members(inner), "None"]
        if name == "Union" and isinstance(inner, ast.Tuple):
            return [kind for member in inner.elts for kind in _members(member)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # quoted, as some do for later evaluation
        return _kinds(node.value) or [node.value]
    return [ast.unparse(node)]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
