"""SHA256SUMS of a finished run's folder, in the format of the command sha256sum.

They stand there as long as they are true: whatever changes a file that they list removes them first. Who removes or
writes them holds the folder's lock, so that nobody takes a file that is just being changed for a damaged one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from bench._json import inside
from bench.errors import UserError
from bench.store.files import discard, sha256_of, write_atomic
from bench.store.locks import locked

__all__ = [
    "DATA", "REPORT", "SUMS", "Sums", "damaged_files", "drop_sums", "folder_locked", "is_listed", "put", "refresh_sums",
    "write_sums",
]  # fmt: skip

SUMS = "SHA256SUMS"


#: What a run leaves; other files in its folder are somebody else's.
DATA = ("summary.json", "suite.resolved.yaml", "provenance.json", "cells/", "per_query/")
REPORT = ("report.", "figures/", "tables/")
_LONGEST = 255
"""Bytes in a part of a path."""


def is_listed(name: str, beginnings: tuple[str, ...] = (*DATA, *REPORT)) -> bool:
    """Whether a path below a run's folder is one of the files that its sums are of.

    >>> is_listed("cells/0.json"), is_listed("summary.json"), is_listed("summary.json.bak"), is_listed("notes.txt")
    (True, True, False, False)
    """
    return any(name == own or (own.endswith(("/", ".")) and name.startswith(own)) for own in beginnings)


def folder_locked(folder: Path) -> AbstractContextManager[bool]:
    """Context manager: holds the lock of a run's folder, for as long as its files and its sums are brought together."""
    return locked(folder / ".lock")


def drop_sums(folder: Path) -> None:
    """Remove the sums, before a file that they list is changed; the folder's lock is held."""
    discard(folder / SUMS)


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files of a run one after the other, where they are not there with that content.

    Args:
        folder: of the run.
        files: content by path below it.
    """
    changed = {name: content for name, content in files.items() if _content(folder / name) != content}
    if not changed:
        return
    with folder_locked(folder):
        drop_sums(folder)
        for name, content in changed.items():
            write_atomic(folder / name, content)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def write_sums(folder: Path) -> None:
    """Write the checksums of every file that a run leaves in its folder; the folder's lock is held."""
    _write(folder, _digests(folder, (*DATA, *REPORT)))


def refresh_sums(folder: Path, beginnings: tuple[str, ...]) -> None:
    """Bring the sums up to date with files that were written on purpose; nothing where there are no sums.

    Args:
        folder: of the run.
        beginnings: of the paths, such as `REPORT`; the sums of other files stay as they are.
    """
    if not (folder / SUMS).is_file():
        return
    with folder_locked(folder):
        if (folder / SUMS).is_file():
            others = {name: digest for name, digest in Sums(folder).digests.items() if not is_listed(name, beginnings)}
            _write(folder, {**others, **_digests(folder, beginnings)})


def _digests(folder: Path, beginnings: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for file in folder.rglob("*"):
        name = file.relative_to(folder).as_posix()
        if is_listed(name, beginnings) and file.suffix != ".tmp" and file.is_file():
            with suppress(FileNotFoundError):
                found[name] = sha256_of(file)
    return found


def _write(folder: Path, digests: dict[str, str]) -> None:
    write_atomic(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())))


def damaged_files(folder: Path) -> list[str]:
    """Files below a folder that its SHA256SUMS lists and that are missing or differ; none where there are no sums."""
    return sorted(name for name, digest in Sums(folder).digests.items() if not _matches(folder / name, digest))


class Sums:
    """Holds files of a folder against its SHA256SUMS, where there is one.

    Attributes:
        digests: SHA-256 by path below the folder, as its sums list them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digests = _listed(folder)

    def check(self, name: str) -> None:
        """Hold a file against its checksum; nothing where it has none or is not there.

        Raises:
            UserError: it differs.
        """
        file, digest = self.folder / name, self.digests.get(name)
        if digest is not None and file.is_file() and not _matches(file, digest):
            raise UserError(
                f"{file}: is damaged or was edited: its checksum is not the one in {SUMS}; run the suite again, which "
                "makes it anew from the cache"
            )


def _matches(file: Path, digest: str) -> bool:
    try:
        return sha256_of(file) == digest
    except OSError:
        return False


def _listed(folder: Path) -> dict[str, str]:
    """The sums of files of ours. A folder may come from elsewhere, and what is listed and differs is removed."""
    try:
        text = (folder / SUMS).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = [line.partition("  ") for line in text.splitlines()]
    return {name: digest for digest, _, name in lines if len(digest) == 64 and _is_own(folder, name)}


def _is_own(folder: Path, name: str) -> bool:
    """Whether a name is a plain path of a file of ours that lies in the folder, also once links are followed."""
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and len(part.encode()) <= _LONGEST for part in parts)
    if not plain or not is_listed(name) or "\0" in name:
        return False
    try:
        return inside(folder / name, folder) and not (folder / name).is_dir()
    except OSError:  # all parts together are too long
        return False
