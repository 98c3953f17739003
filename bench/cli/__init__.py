"""The command line, one file a verb."""

from bench.cli._app import main

__all__ = ["main"]
