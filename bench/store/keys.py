"""Names of content: the SHA-256 of a canonical description of all that decides it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["FORMAT_VERSION", "canonical_json", "content_key"]

FORMAT_VERSION = 1


def canonical_json(data: Any) -> str:
    """JSON with sorted keys and no NaN, so that equal data give equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(data: Any) -> str:
    """First 20 hex digits of the SHA-256 of canonical JSON, with the store's format version."""
    return hashlib.sha256(f"{FORMAT_VERSION}\n{canonical_json(data)}".encode()).hexdigest()[:20]
