"""The bundle: weights, pooled latents, truth and statistics of the embedded default, checked against a manifest."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import BundleError

__all__ = ["check", "combined_digest", "digest", "directory", "has", "manifest", "path", "sha256_file"]

MANIFEST = "manifest.json"
_NEXT_STEP = "restore it from the repository or the wheel, or rebuild it with `make bundle`"


def directory() -> Path:
    """Folder of the bundle: BENCH_BUNDLE_DIR where set, else the one inside the package."""
    return Path(os.environ.get("BENCH_BUNDLE_DIR") or Path(__file__).parent)


def manifest(folder: Path | None = None) -> dict[str, Any]:
    """The manifest: {"files": {name: {"sha256", "bytes", "part"}}, "parts": {name: {"recipe", "seconds", …}}}."""
    return _read_manifest((folder or directory()) / MANIFEST)


@cache
def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise BundleError(f"{file}: the bundle's manifest is missing; {_NEXT_STEP}") from None
    except json.JSONDecodeError as error:
        raise BundleError(f"{file}: the bundle's manifest is damaged ({error}); {_NEXT_STEP}") from None


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
    if not file.exists():
        raise BundleError(f"{file}: bundle file is missing; {_NEXT_STEP}")
    if sha256_file(file) != expected:
        raise BundleError(f"{file}: bundle file does not match its digest in {MANIFEST}; {_NEXT_STEP}")
    return file


def path(name: str) -> Path:
    """Path of a bundle file whose content was checked against the manifest.

    Raises:
        BundleError: the file is missing, not in the manifest, or damaged.
    """
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
