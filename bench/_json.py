"""Reading a JSON file that came from elsewhere: bounded, without NaN, and errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from bench.errors import UserError

__all__ = ["MAX_BYTES", "inside", "read_json"]

MAX_BYTES = 1 << 28
"""256 MiB; the largest summaries and baselines are a few MB."""


def read_json(file: Path, again: str) -> Any:
    """The content of a JSON file.

    Args:
        file: is there (the caller knows best what to say where it is not).
        again: the next step, put at the end of every message.

    Raises:
        UserError: it is too large, not UTF-8, not JSON, nested too deep, or holds NaN or Infinity.
    """
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{file}: {size} bytes; at most {MAX_BYTES} are read; {again}")
        return json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except RecursionError:
        raise UserError(f"{file}: is not JSON that can be read (nested too deep); {again}") from None
    except ValueError as error:
        raise UserError(f"{file}: is not JSON ({error}); {again}") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); {again}") from None


def inside(file: Path, folder: Path) -> bool:
    """Whether a file lies in a folder once links are followed.

    >>> inside(Path("/runs/a/summary.json"), Path("/runs/a")), inside(Path("/runs/a/../b.json"), Path("/runs/a"))
    (True, False)
    """
    try:
        return file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or links in a ring
        return False


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
