"""What every model of a file keeps to."""

from __future__ import annotations

from pydantic import ConfigDict

__all__ = ["STRICT"]

#: These keys and no other, of these types.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
