"""One registry a kind of part, over entry points; the built-ins register in pyproject.toml exactly as a plugin does.

Nothing is imported until `get`: names come from the metadata of installed distributions, descriptions and options from
the source by `ast`.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from bench._option_types import option_problem
from bench._static import Definition, find_definition, first_line, parameters
from bench.errors import UserError

__all__ = ["KINDS", "Registry", "datasets", "encoders", "metrics", "modifiers", "nearest", "retrievers"]

HOME = "gdr-bench"
"""The distribution whose parts are built in; parts of another one count with their version in a result's key."""


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that looks most like `name`, or None.

    >>> nearest("text_interpolation", ["slerp", "text-interpolation"])
    'text-interpolation'
    """
    folded = {candidate.lower().replace("_", "-"): candidate for candidate in known}
    close = difflib.get_close_matches(str(name).lower().replace("_", "-"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


class Registry:
    """Parts of one kind by name.

    Args:
        group: entry-point group, such as `bench.encoders`.
        noun: what one part is called in messages.
        options_from: the method whose named parameters are a part's options in a suite.
    """

    def __init__(self, group: str, noun: str, options_from: str = "__init__") -> None:
        self.group = group
        self.noun = noun
        self._options_from = options_from
        self._temporary: dict[str, Any] = {}

    @cached_property
    def _entries(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            same = found.setdefault(entry.name, [])
            if entry.value not in (other.value for other in same):
                same.append(entry)
        return found

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted({*self._entries, *self._temporary})

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._temporary

    def get(self, name: str) -> Any:
        """The part itself (a class or an object), imported now.

        Raises:
            UserError: unknown or ambiguous name, or a part whose import fails.
        """
        if name in self._temporary:
            return self._temporary[name]
        entry = self._entry(name)
        module, _, attribute = entry.value.partition("[")[0].strip().partition(":")
        try:
            part: Any = importlib.import_module(module)
            for step in attribute.split(".") if attribute else ():
                part = getattr(part, step)
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"{self.noun} {name!r} ({entry.value}) cannot be loaded: {error}; "
                f"install what it needs, or repair its entry in group {self.group}"
            ) from error
        return part

    def definition(self, name: str) -> Definition | None:
        """Where a part is defined in the source, found without importing it; None where it is not plain to see."""
        return None if name in self._temporary else find_definition(self._entry(name).value)

    def describe(self, name: str) -> str:
        """One line about a part, from its source: the first line of its docstring, else of its module's."""
        if name in self._temporary:
            return first_line(getattr(self._temporary[name], "__doc__", None) or "")
        found = self.definition(name)
        return found.describe() if found else ""

    def options(self, name: str) -> frozenset[str] | None:
        """Named options that a part takes, from its source; None where they cannot be told without importing it."""
        found = self._annotations(name)
        return None if found is None else frozenset(found)

    def option_problems(self, name: str, options: Mapping[str, Any]) -> dict[str, str]:
        """Option -> what is wrong with its value, by the annotation of the part's parameter (see `option_problem`)."""
        written = self._annotations(name) or {}
        told = {key: option_problem(value, written.get(key, "")) for key, value in options.items()}
        return {key: problem for key, problem in told.items() if problem}

    def _annotations(self, name: str) -> dict[str, str] | None:
        found = self.definition(name)
        if found is None or not isinstance(found.node, ast.ClassDef):
            return None
        return parameters(found.node, self._options_from, found.tree)

    def requires(self, name: str) -> tuple[str, ...]:
        """Extras that a part needs (`value = "module:attr [extra]"`)."""
        return () if name in self._temporary else tuple(self._entry(name).extras)

    def distribution(self, name: str) -> str | None:
        """`name==version` of the plugin that brings a part; None for a built-in."""
        if name in self._temporary:
            return None
        source = self._entry(name).dist
        return None if source is None or source.name == HOME else f"{source.name}=={source.version}"

    def unknown(self, name: str, among: Collection[str] | None = None) -> str:
        """What to say about a name that is not here: the nearest one, or all, and what to do if it is new."""
        known = self.names() if among is None else sorted(among)
        close = nearest(name, known)
        hint = f"did you mean {close!r}?" if close else f"known: {', '.join(known) or 'none'}"
        return f"unknown {self.noun} {name!r}; {hint} (if it was just added here, run `make setup`)"

    @contextmanager
    def temporary(self, name: str, part: Any) -> Iterator[None]:
        """Register a part while a block runs; for tests."""
        if name in self:
            raise UserError(f"{self.noun} {name!r} is already registered")
        self._temporary[name] = part
        try:
            yield
        finally:
            del self._temporary[name]

    def _entry(self, name: str) -> EntryPoint:
        found = self._entries.get(name)
        if not found:
            raise UserError(self.unknown(name))
        if len(found) > 1:
            places = " and ".join(f"{e.value} ({e.dist.name if e.dist else 'unknown package'})" for e in found)
            raise UserError(f"{self.noun} {name!r} is registered twice: {places}; uninstall or rename one of them")
        return found[0]


datasets = Registry("bench.datasets", "dataset", options_from="load")
encoders = Registry("bench.encoders", "encoder")
retrievers = Registry("bench.retrievers", "retriever")
modifiers = Registry("bench.modifiers", "modifier")
metrics = Registry("bench.metrics", "metric")

KINDS = {
    "datasets": datasets,
    "encoders": encoders,
    "retrievers": retrievers,
    "modifiers": modifiers,
    "metrics": metrics,
}
