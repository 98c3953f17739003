"""The leaderboard: a pure function of stored runs, with rank intervals instead of a bare order."""

from __future__ import annotations

from bench.leaderboard.build import build_leaderboard

__all__ = ["build_leaderboard"]
