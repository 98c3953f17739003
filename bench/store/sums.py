"""SHA256SUMS of a finished run's folder, in the format of the command sha256sum."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError
from bench.store.files import sha256_of, write_atomic

__all__ = ["DATA", "REPORT", "SUMS", "Sums", "damaged_files", "refresh_sums", "write_sums"]

SUMS = "SHA256SUMS"


#: What a run leaves; other files in its folder are somebody else's.
DATA = ("summary.json", "suite.resolved.yaml", "provenance.json", "cells/", "per_query/")
REPORT = ("report.", "figures/", "tables/")


def write_sums(folder: Path) -> None:
    """Write the checksums of every file that a run leaves in its folder."""
    _write(folder, _digests(folder, (*DATA, *REPORT)))


def refresh_sums(folder: Path, beginnings: tuple[str, ...]) -> None:
    """Bring the sums up to date with files that were written on purpose; nothing where there are no sums.

    Args:
        folder: of the run.
        beginnings: of the paths, such as `REPORT`; the sums of other files stay as they are.
    """
    if (folder / SUMS).is_file():
        others = {name: digest for name, digest in Sums(folder).digests.items() if not name.startswith(beginnings)}
        _write(folder, {**others, **_digests(folder, beginnings)})


def _digests(folder: Path, beginnings: tuple[str, ...]) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".tmp"]
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: sha256_of(file) for name, file in names.items() if name.startswith(beginnings)}


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
    try:
        text = (folder / SUMS).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) == 64 and name and ".." not in Path(name).parts and not name.startswith("/"):
            found[name] = digest
    return found
