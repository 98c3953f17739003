"""Files that are asked for by name: refused before the work where they cannot be, and written whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.errors import UserError
from bench.store import write_atomic

__all__ = ["check_targets", "write"]


def check_targets(targets: Mapping[str, Path | None], kept: Mapping[str, Path] | None = None) -> None:
    """Refuse files that cannot be written, or that would lie on top of each other.

    Args:
        targets: option -> the file it asks for, or None.
        kept: option -> a file that is read, and must stay.

    Raises:
        UserError: one is a folder, or two are the same file.
    """
    seen = {file.resolve(): option for option, file in (kept or {}).items()}
    for option, file in targets.items():
        if file is None:
            continue
        if file.is_dir():
            raise UserError(f"{option} {file}: is a folder; name a file in it, such as {file / _EXAMPLES[option]}")
        first = seen.setdefault(file.resolve(), option)
        if first != option:
            raise UserError(f"{first} and {option} name the same file, {file}; give each one of its own")


_EXAMPLES = {"--junit": "gate.xml", "--markdown": "gate.md", "--out": "baseline.json"}


def write(file: Path, text: str) -> None:
    """Write a file whole; folders above it are made.

    Raises:
        UserError: it cannot be written there.
        EnvironmentFailure: the disk is full or fails.
    """
    try:
        write_atomic(file, text)
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{file}: cannot be written ({why}); name a file in a folder that you may write") from None
