"""What a run keeps: content-addressed cache, files that are whole or absent, locks, checksums of a run's folder."""

from __future__ import annotations

from bench.store.cache import Cache
from bench.store.files import discard, ensure_writable, remove_leftovers, sha256_of, write_atomic
from bench.store.keys import canonical_json, content_key
from bench.store.locks import locked

__all__ = [
    "Cache", "canonical_json", "content_key", "discard", "ensure_writable", "locked", "remove_leftovers", "sha256_of",
    "write_atomic",
]  # fmt: skip
