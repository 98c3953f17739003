"""The bundle: weights, pooled latents, truth and statistics of the embedded default, checked against a manifest."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from bench._json import read_json
from bench.errors import BundleError, UserError

__all__ = ["check", "combined_digest", "digest", "directory", "has", "manifest", "path", "sha256_file"]

MANIFEST = "manifest.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NEXT_STEP = "restore it from the repository or the wheel, or rebuild it with `make bundle`"


def directory() -> Path:
    """Folder of the bundle: BENCH_BUNDLE_DIR where set, else the one inside the package."""
    return Path(os.environ.get("BENCH_BUNDLE_DIR") or Path(__file__).parent)


def manifest(folder: Path | None = None) -> dict[str, Any]:
    """The manifest: {"files": {name: {"sha256", "bytes", "part"}}, "parts": {name: {"recipe", "seconds", …}}}."""
    return _read_manifest((folder or directory()) / MANIFEST)


@cache
def _read_manifest(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise BundleError(f"{file}: the bundle's manifest is missing; {_NEXT_STEP}")
    try:
        found = read_json(file, _NEXT_STEP)
    except UserError as error:
        said = str(error).removeprefix(f"{file}: ")
        raise BundleError(f"{file}: the bundle's manifest is damaged: {said}") from None
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, dict):
        raise BundleError(f"{file}: the bundle's manifest is damaged (it has no mapping `files`); {_NEXT_STEP}")
    for name, entry in files.items():
        parts = PurePath(name).parts
        if not parts or PurePath(name).is_absolute() or ".." in parts or "\0" in name:
            raise BundleError(f"{file}: files: {name!r} leads out of the bundle's folder; {_NEXT_STEP}")
        if not isinstance(entry, dict) or not _SHA256.fullmatch(str(entry.get("sha256"))):
            raise BundleError(f"{file}: files: {name!r} has no sha256 of 64 hexadecimal digits; {_NEXT_STEP}")
    return found


def sha256_file(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(name: str) -> str:
    """SHA-256 of a bundle file as the manifest states it (the file itself is not read)."""
    try:
        return manifest()["files"][name]["sha256"]
    except KeyError:
        close = difflib.get_close_matches(name, manifest()["files"], 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise BundleError(
            f"{directory() / MANIFEST}: no file {name!r} in the bundle; {hint}`make bundle` makes what is missing"
        ) from None


def has(name: str) -> bool:
    """Whether the manifest lists a file."""
    return name in manifest()["files"]


def combined_digest(names: Iterable[str]) -> str:
    """One digest for several files."""
    return hashlib.sha256(" ".join(digest(name) for name in names).encode()).hexdigest()


@cache
def _verified(file: Path, expected: str) -> Path:
    if not file.is_file():
        raise BundleError(f"{file}: bundle file is missing; {_NEXT_STEP}")
    if sha256_file(file) != expected:
        raise BundleError(f"{file}: bundle file does not match its digest in {MANIFEST}; {_NEXT_STEP}")
    return file


def path(name: str) -> Path:
    """Path of a bundle file whose content was checked against the manifest.

    Raises:
        BundleError: the file is missing, not in the manifest, or damaged.
    """
    # A link is followed wherever it leads: its content must be the one that the manifest states.
    return _verified(directory() / name, digest(name))


def check(names: Iterable[str] | None = None) -> list[str]:
    """Messages about bundle files that are missing or damaged; empty when all is well."""
    problems = []
    for name in names if names is not None else manifest()["files"]:
        try:
            path(name)
        except BundleError as error:
            problems.append(str(error))
    return problems
