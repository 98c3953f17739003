"""Reading a YAML file of a user: limits checked before anything is built, duplicate keys refused, lines remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent

from bench.errors import UserError

__all__ = ["MAX_ALIASES", "MAX_BYTES", "MAX_DEPTH", "Document", "KeyPath", "parse_value", "read_yaml"]

MAX_BYTES = 1 << 20
MAX_ALIASES = 50
MAX_DEPTH = 32
MAX_NODES = 200_000
"""Fifty aliases of aliases can still stand for a great many items; a real suite has a few hundred."""

KeyPath = tuple[str | int, ...]


@dataclass
class Document:
    """A YAML mapping as plain Python data, which knows the line of each of its keys.

    Attributes:
        file: where it came from, as messages name it.
        data: dicts, lists and scalars.
        overridden: paths that the command line set, with the text it gave; they have no line.
    """

    file: Path
    data: dict[str, Any]
    root: CommentedMap
    overridden: dict[KeyPath, str] = field(default_factory=dict)

    def set(self, dotted: str, value: Any) -> None:
        """Replace what a dotted path names (`settings.samples`, `modifiers.0.strength`).

        Raises:
            UserError: the path leads through something that is not a mapping or a list, or beyond a list's end.
        """
        steps: list[str | int] = []
        at: Any = self.data
        parts = dotted.split(".")
        for place, part in enumerate(parts):
            step = self._step(at, part, dotted)
            steps.append(step)
            if place == len(parts) - 1:
                at[step] = value
            elif isinstance(at, dict):
                at = at.setdefault(str(step), {})
            else:
                at = at[int(step)]
        self.overridden[tuple(steps)] = f"--set {dotted}"

    def _step(self, at: Any, part: str, dotted: str) -> str | int:
        if isinstance(at, dict) and part:
            return part
        if isinstance(at, list) and part.isdigit() and int(part) < len(at):
            return int(part)
        if isinstance(at, list):
            raise UserError(f"--set {dotted}: {part!r} is no place in a list of {len(at)} (count from 0)")
        raise UserError(f"--set {dotted}: there is nothing below the part before {part!r}")

    def where(self, path: Sequence[str | int]) -> str:
        """`file:line: key.path`, or the flag that set it."""
        real, line = self._locate(path)
        for overridden, label in self.overridden.items():
            if tuple(real[: len(overridden)]) == overridden:
                rest = _dotted(real[len(overridden) :])
                return f"{label}: {rest}" if rest else label
        dotted = _dotted(real)
        shown = _shown(self.file)
        return f"{shown}:{line}: {dotted}" if dotted else f"{shown}:{line}"

    def at(self, path: Sequence[str | int]) -> Any:
        """The plain data at a path, or None."""
        value: Any = self.data
        for step in path:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(step, str):
                return None
            elif isinstance(value, list):  # a place in what the file wrote as one item is that item
                value = _item(value, step)
        return value

    def _locate(self, path: Sequence[str | int]) -> tuple[list[str | int], int]:
        """The path without places in lists that the file wrote as one item, and the nearest line (from 1)."""
        node: Any = self.root
        plain: Any = self.data
        line = 1
        real: list[str | int] = []
        for step in path:
            if isinstance(step, int) and not isinstance(plain, list):
                continue
            real.append(step)
            if (isinstance(node, CommentedMap) and step in node) or (
                isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node)
            ):
                position = node.lc.data.get(step) if node.lc.data else None
                line = position[0] + 1 if position else line
                node = node[step]
            else:
                node = None
            plain = plain.get(step) if isinstance(plain, dict) else _item(plain, step)
        return real, line


def _shown(file: Path) -> str:
    """A file below the working folder by its short path, as an editor can open it."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(file)


def _item(value: Any, step: str | int) -> Any:
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _loader() -> YAML:
    loader = YAML(typ="rt", pure=True)
    loader.allow_duplicate_keys = False
    return loader


def read_yaml(file: Path) -> Document:
    """Read a file that holds one mapping.

    Raises:
        UserError: it cannot be read, is no YAML, too large or deep, or has a duplicate key, a tag, too many aliases.
    """
    shown = _shown(file)
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{shown}: {size} bytes; a suite has at most {MAX_BYTES} (1 MiB)")
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{shown}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{shown}: cannot be read ({error.strerror})") from None
    try:
        _check_limits(shown, text)
        root = _loader().load(text)
    except DuplicateKeyError as error:
        raise UserError(f"{shown}:{_line(error)}: {_first(error.problem)}; keep one of them") from None
    except MarkedYAMLError as error:
        raise UserError(f"{shown}:{_line(error)}: not valid YAML: {_first(error.problem)}") from None
    except YAMLError as error:
        raise UserError(f"{shown}: not valid YAML: {_first(str(error))}") from None
    if not isinstance(root, CommentedMap):
        raise UserError(f"{shown}:1: must be a mapping of keys, such as `name: my-suite`")
    return Document(file, _plain(root, shown), root)


def parse_value(text: str, label: str) -> Any:
    """The value of `--set key=value`, read as YAML (`3`, `[1, 2]`, `dpm++2m-10`)."""
    try:
        if len(text) > 10_000:
            raise UserError(f"{label}: the value is too long")
        _check_limits(label, text)
        return _plain(_loader().load(text), label)
    except YAMLError:
        raise UserError(f"{label}: {text!r} is not a YAML value; quote it") from None


def _check_limits(file: str, text: str) -> None:
    """Walk over the events of the parser, which builds nothing, and stop at the first excess."""
    aliases = depth = documents = 0
    for event in _loader().parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            aliases += 1
        elif isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        elif isinstance(event, DocumentStartEvent):
            documents += 1
        if aliases > MAX_ALIASES:
            raise UserError(f"{file}:{line}: more than {MAX_ALIASES} aliases (*name); write the values out")
        if depth > MAX_DEPTH:
            raise UserError(f"{file}:{line}: nested more than {MAX_DEPTH} deep")
        if documents > 1:
            raise UserError(f"{file}:{line}: a second document (---); one file holds one suite")
        if getattr(event, "tag", None):
            raise UserError(f"{file}:{line}: tags ({event.tag}) are not allowed here")


def _plain(root: Any, file: str) -> Any:
    """Plain dicts, lists and scalars; aliases become copies."""
    count = 0

    def convert(node: Any, depth: int) -> Any:
        nonlocal count
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise UserError(f"{file}: its aliases stand for more than {MAX_NODES} items, or contain themselves")
        if isinstance(node, dict):
            return {str(key): convert(value, depth + 1) for key, value in node.items()}
        if isinstance(node, (list, tuple)):
            return [convert(value, depth + 1) for value in node]
        if node is None or isinstance(node, bool):
            return node
        for kind in (int, float, str):
            if isinstance(node, kind):
                return kind(node)
        return str(node)

    return convert(root, 0)


def _line(error: MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _first(text: str | None) -> str:
    return next((line.strip() for line in (text or "cannot be parsed").splitlines() if line.strip()), "")
