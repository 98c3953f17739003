"""Exceptions that end a command with one plain message and a known exit code (CONTRACT.md, "Command line")."""

from __future__ import annotations

__all__ = ["BenchError", "BundleError", "EnvironmentFailure", "NotApplicable", "UserError"]


class BenchError(Exception):
    """Base of all expected failures: shown as one message, without a traceback."""

    exit_code = 70


class UserError(BenchError):
    """Something the user wrote or named is wrong; the message says where, and the next step."""

    exit_code = 2


class BundleError(UserError):
    """A file of the embedded bundle is missing or does not match its digest."""


class NotApplicable(UserError):
    """What is asked of a part does not exist for it, such as text vectors of an audio-only space: a cell says n/a."""


class EnvironmentFailure(BenchError):
    """The environment failed (disk full, device lost); what was finished is kept."""

    exit_code = 4
