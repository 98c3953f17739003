"""Reading a .npy file that came from elsewhere: never unpickled, mapped and not read, and errors that name the file."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from bench.errors import UserError

__all__ = ["load_array"]

#: A header is a Python literal: beyond numpy's own errors it fails as source text does.
_DAMAGED = (
    ValueError, EOFError, OSError, BadZipFile, TokenError, OverflowError, MemoryError, RecursionError, TypeError,
    SyntaxError,
)  # fmt: skip


def load_array(path: str | Path) -> np.ndarray[Any, Any]:
    """The array of a .npy file, mapped.

    Raises:
        UserError: no such file, not a .npy file, several arrays, or objects in place of numbers.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except _DAMAGED as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        if "pickle" in said:  # numpy's message says how to load it unsafely, which nobody should
            said = "no array, or pickled objects, which are never loaded"
        raise UserError(f"{path}: not a .npy file of numbers: {said}; write it with numpy.save") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise UserError(f"{path}: holds several arrays; write the one with numpy.save")
    return array
