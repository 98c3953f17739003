"""The names of samplers, such as ``ddim-50``: read without torch, so that a suite can be validated quickly."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["MAX_STEPS", "SAMPLER_NAMES", "Sampler", "parse_sampler"]

SAMPLER_NAMES = ("ddim", "dpm++2m", "dpm++2m-logsnr")
MAX_STEPS = 999
"""The schedule has 1000 levels; with its offset of one, 1000 steps would ask for a level that does not exist."""

_PATTERN = re.compile(r"(?P<name>[a-z0-9+-]+)-(?P<steps>[0-9]+)")


@dataclass(frozen=True)
class Sampler:
    """A sampler and its number of network calls.

    ``ddim`` and ``dpm++2m`` visit the levels that diffusers visits by default. ``dpm++2m-logsnr`` spaces them evenly in
    the log signal-to-noise ratio, which keeps the spread of the data at ten steps, where the other two shrink it.

    Args:
        name: one of `SAMPLER_NAMES`.
        steps: network calls, 1 to `MAX_STEPS`.

    Raises:
        ValueError: for another name or number of steps.
    """

    name: str
    steps: int

    def __post_init__(self) -> None:
        if self.name not in SAMPLER_NAMES or not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(_complaint(f"{self.name}-{self.steps}"))

    def __str__(self) -> str:
        return f"{self.name}-{self.steps}"


def parse_sampler(text: str) -> Sampler:
    """Read a sampler's name.

    Args:
        text: ``<name>-<steps>``.

    Returns:
        The sampler; ``str()`` of it gives the text back.

    Raises:
        ValueError: for anything else, naming the valid forms.

    Example:
        >>> parse_sampler("dpm++2m-10")
        Sampler(name='dpm++2m', steps=10)
    """
    match = _PATTERN.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(_complaint(text))
    return Sampler(match["name"], int(match["steps"]))


def _complaint(text: str) -> str:
    forms = " or ".join(f"{name}-STEPS" for name in SAMPLER_NAMES)
    return f"unknown sampler {text!r}: write {forms} with 1 to {MAX_STEPS} steps, for example ddim-50 or dpm++2m-10"
