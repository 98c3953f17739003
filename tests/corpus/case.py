"""What one case of the corpus is, and the commands, files and bytes that several cases share."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "ARRAY",
    "PROMPTS",
    "SUITE",
    "Case",
    "Given",
    "Recipe",
    "array_files",
    "json_text",
    "npy",
    "opener",
    "safetensors",
    "write",
]  # fmt: skip

#: The exit code of what a user can mend, and of a command that has done its work.
REFUSED, DONE = 2, 0

SUITE = """schema_version: 1
name: small
title: A small suite
datasets: [sd]
spaces: [clap]
retrievers: [{name: contrastive, id: clap}]
metrics: [R@10]
"""
PROMPTS = """schema_version: 1
negatives:
  - {id: one, category: genre, text: rock, irrelevant: in C major, where: [{attribute: genre, in: [rock]}]}
"""


class Given(NamedTuple):
    """A command, and what its one message must say.

    The command begins with a verb of `bench`; where `call` is given it only tells a reader what is called instead.
    """

    argv: tuple[str, ...]
    mention: tuple[str, ...] = ()
    call: Callable[[], object] | None = None


class Recipe(NamedTuple):
    """How a case is made: `build` writes the files into an empty folder."""

    name: str
    kind: str
    build: Callable[[Path], Given]
    code: int = REFUSED
    apart: bool = False
    """Run in a process of its own, with limits on time, memory and what it may write."""
    slow: bool = False
    """One of many of its kind, or one that takes seconds: left out of a quick look."""


class Case(NamedTuple):
    """A command line over a bad input, and how it must end."""

    name: str
    kind: str
    argv: tuple[str, ...]
    code: int
    mention: tuple[str, ...]
    folder: Path
    """Where the files are, and where the command runs."""
    apart: bool = False
    call: Callable[[], object] | None = None


def write(folder: Path, **files: str | bytes) -> Path:
    """Write files; `suite_yaml` is suite.yaml. Returns the folder."""
    for name, content in files.items():
        file = folder / ".".join(name.rsplit("_", 1))
        file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return folder


def json_text(data: object) -> str:
    """JSON with a line a key, which is YAML too."""
    return json.dumps(data, indent=1)


# --- arrays -----------------------------------------------------------------------------------------------------------

ARRAY = "{'descr': '<f8', 'fortran_order': False, 'shape': (6, 4), }"


def npy(header: str = ARRAY, data: bytes | None = None, version: tuple[int, int] = (1, 0), length: int | None = None):
    """A .npy file byte by byte; the default is a whole one, of (6, 4) numbers 1 to 24."""
    text = header.encode("latin-1")
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) if length is None else length)
    numbers = struct.pack("<24d", *range(1, 25)) if data is None else data
    return b"\x93NUMPY" + bytes(version) + size + text + numbers


def array_files(folder: Path, **replaced: str | bytes) -> tuple[str, ...]:
    """Arrays that score, some of them replaced; returns the command."""
    whole: dict[str, str | bytes] = {
        "q_npy": npy(), "g_npy": npy(), "r_csv": "query_index,item_index\n0,0\n1,1\n2,3\n3,3\n4,4\n5,5\n",
    }  # fmt: skip
    write(folder, **{**whole, **replaced})
    return ("score", "--queries", "q.npy", "--gallery", "g.npy", "--relevant", "r.csv")


def safetensors(header: Mapping[str, Any] | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file byte by byte."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


class Opener:
    """Pickled, it creates a file when it is unpickled: what no reader may ever do."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def opener(folder: Path) -> bytes:
    """A pickle that writes UNPICKLED.txt into the folder."""
    import pickle

    return pickle.dumps(Opener(folder / "UNPICKLED.txt"))
