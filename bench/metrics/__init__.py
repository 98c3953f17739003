"""Metrics: pure functions on arrays, one file each; no torch at import."""
