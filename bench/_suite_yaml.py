"""Reading a YAML file of a user: limits checked before anything is built, duplicate keys refused, lines remembered."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    ScalarEvent,
)  # fmt: skip

from bench.errors import UserError

__all__ = [
    "MAX_ALIASES", "MAX_BYTES", "MAX_DEPTH", "Document", "KeyPath", "parse_value", "read_plain_yaml", "read_yaml",
]  # fmt: skip

MAX_BYTES = 1 << 20
MAX_ALIASES = 50
MAX_DEPTH = 32
MAX_NODES = 200_000
"""Fifty aliases of aliases can still stand for a great many items; a real suite has a few hundred."""
MAX_EVENTS = 20_000
"""Keys, values and brackets that are written out: more of them fit into 1 MiB than are read in a minute."""
MAX_TEXT = 10_000
"""Letters of one key or value; messages repeat them."""
MAX_SHOWN = 60
WRITTEN = 3
"""A resolved suite holds its prompt file and what the profile adds, so it may be this many times as large."""

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
        name = step if isinstance(step, int) else _key(step)
        text += f"[{name}]" if isinstance(step, int) else f".{name}" if text else str(name)
    return text


def _key(step: str) -> str:
    """A key as it stands in a message: on one line, of readable length."""
    short = step if len(step) <= MAX_SHOWN else f"{step[: MAX_SHOWN - 3]}..."
    return short if short.isprintable() else repr(short)


class _Constructor(RoundTripConstructor):
    """Tells the line of a value that looks like a number or a date and is none (`2024-13-45`)."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as error:
            said = str(error).partition(";")[0]
            raise ConstructorError(None, None, f"{said}; put quotes around text", node.start_mark) from None


def _loader() -> YAML:
    loader = YAML(typ="rt", pure=True)
    loader.allow_duplicate_keys = False
    loader.Constructor = _Constructor
    return loader


def read_yaml(file: Path) -> Document:
    """Read a file that holds one mapping.

    Raises:
        UserError: it cannot be read, is no YAML, too large or deep, or has a duplicate key, a tag, too many aliases.
    """
    shown = _shown(file)
    root = _loaded(shown, _text(file, shown), _loader())
    if not isinstance(root, CommentedMap):
        raise UserError(f"{shown}:1: must be a mapping of keys, such as `name: my-suite`")
    return Document(file, _plain(root, shown), root)


def read_plain_yaml(file: Path) -> dict[str, Any]:
    """Read a file that the harness wrote and that holds one mapping, within the same limits; lines are forgotten.

    Raises:
        UserError: as for `read_yaml`; or it holds anything but a mapping.
    """
    shown = _shown(file)
    root = _loaded(shown, _text(file, shown, WRITTEN * MAX_BYTES), YAML(typ="safe", pure=True), WRITTEN * MAX_EVENTS)
    if not isinstance(root, dict):
        raise UserError(f"{shown}:1: must be a mapping of keys; run the suite again")
    return {str(key): value for key, value in _plain(root, shown).items()}


def _text(file: Path, shown: str, most: int = MAX_BYTES) -> str:
    try:
        size = file.stat().st_size
        if size > most:
            raise UserError(f"{shown}: {size} bytes; a suite has at most {most} ({most >> 20} MiB)")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{shown}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{shown}: cannot be read ({error.strerror})") from None


def _loaded(shown: str, text: str, loader: YAML, events: int = MAX_EVENTS) -> Any:
    """What a text says, once its limits were checked.

    Raises:
        UserError: it is no YAML, or more than is read here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an anchor that is used twice: an alias means the nearest one above
            _check_limits(shown, text, events)
            return loader.load(text)
    except DuplicateKeyError as error:
        raise UserError(f"{shown}:{_line(error)}: {_first(error.problem)}; keep one of them") from None
    except MarkedYAMLError as error:
        raise UserError(f"{shown}:{_line(error)}: not valid YAML: {_first(error.problem)}") from None
    except YAMLError as error:
        raise UserError(f"{shown}: not valid YAML: {_first(str(error))}") from None
    except (ValueError, OverflowError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
        # The parser's own errors at what it was not written for, such as a mapping that is merged into itself.
        raise UserError(
            f"{shown}: not valid YAML: it cannot be built ({type(error).__name__}); write aliases (*name) and merges "
            "(<<) out"
        ) from None


def parse_value(text: str, label: str) -> Any:
    """The value of `--set key=value`, read as YAML (`3`, `[1, 2]`, `dpm++2m-10`)."""
    try:
        if len(text) > 10_000:
            raise UserError(f"{label}: the value is too long")
        _check_limits(label, text)
        return _plain(_loader().load(text), label)
    except (YAMLError, ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError):
        raise UserError(f"{label}: {text!r} is not a YAML value; quote it") from None


def _check_limits(file: str, text: str, events: int = MAX_EVENTS) -> None:
    """Walk over the events of the parser, which builds nothing, and stop at the first excess."""
    aliases = depth = documents = 0
    for count, event in enumerate(_loader().parse(text)):
        line = event.start_mark.line + 1
        if count > events:
            raise UserError(f"{file}:{line}: more than {events} keys and values; split the file")
        if isinstance(event, AliasEvent):
            aliases += 1
        elif isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        elif isinstance(event, DocumentStartEvent):
            documents += 1
        elif isinstance(event, ScalarEvent):
            _check_text(f"{file}:{line}", event.value)
        if aliases > MAX_ALIASES:
            raise UserError(f"{file}:{line}: more than {MAX_ALIASES} aliases (*name); write the values out")
        if depth > MAX_DEPTH:
            raise UserError(f"{file}:{line}: nested more than {MAX_DEPTH} deep")
        if documents > 1:
            raise UserError(f"{file}:{line}: a second document (---); one file holds one suite")
        if getattr(event, "tag", None):
            raise UserError(f"{file}:{line}: tags ({event.tag}) are not allowed here")


def _check_text(where: str, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise UserError(f"{where}: a text of {len(text)} letters; write at most {MAX_TEXT}")
    # Line breaks and tabs are text; other control characters steer a terminal, and half a surrogate pair is none.
    bad = next((letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t"), "")
    if bad:
        raise UserError(f"{where}: holds the character U+{ord(bad):04X}, which cannot be printed; take it out")


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
