"""Which metric keys there are, by the patterns of the registered metrics, and the nearest one to a wrong key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from bench import registry
from bench.errors import UserError

__all__ = ["metric_examples", "metric_known", "metric_problem"]

_GROUP = re.compile(r"\(\?P<\w+>((?:[^()\\]|\\.)*)\)(\?)?")
_EXAMPLE_NUMBERS = ("1", "5", "10")


@lru_cache(maxsize=1)
def _patterns(names: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """Pattern of each family, and what went wrong with the others.

    A pattern that stands in the source as text is read there, so that validation imports no metric.
    """
    found, failed = {}, []
    for name in names:
        definition = registry.metrics.definition(name)
        pattern = definition.argument(1, "pattern") if definition else None
        try:
            found[name] = pattern if pattern is not None else registry.metrics.get(name).pattern
        except UserError as error:
            failed.append(str(error))
    return found, failed


def _known_patterns() -> tuple[dict[str, str], list[str]]:
    return _patterns(tuple(registry.metrics.names()))


def metric_known(key: str) -> bool:
    """Whether a registered metric answers to a key such as `R@10` or `FAD(jam)`."""
    return any(re.fullmatch(pattern, key) for pattern in _known_patterns()[0].values())


def metric_problem(key: str) -> str | None:
    """What to say about an unknown key; None for a known one."""
    if metric_known(key):
        return None
    if re.search(r"@(0|-\d+)(\D|$)", key):
        return f"metric {key!r}: k must be at least 1, as in {re.sub(r'@-?[0-9]+', '@10', key)!r}"
    close = registry.nearest(key, metric_examples())
    hint = f"did you mean {close!r}?" if close else f"known: {', '.join(registry.metrics.names())}"
    return "; ".join([f"unknown metric {key!r}", hint, *_known_patterns()[1]])


def metric_examples() -> list[str]:
    """Keys that the registered patterns answer to, numbers standing for some of many."""
    patterns = _known_patterns()[0].values()
    return [example for pattern in patterns for example in _expand(pattern) if re.fullmatch(pattern, example)]


def _expand(pattern: str) -> Iterator[str]:
    match = _GROUP.search(pattern)
    if match is None:
        yield re.sub(r"\\(.)", r"\1", pattern)
        return
    choices = ["", match[1]] if match[2] else match[1].split("|")
    if "[1-9]" in match[1]:
        choices = list(_EXAMPLE_NUMBERS)
    for choice in choices:
        yield from _expand(pattern[: match.start()] + choice + pattern[match.end() :])
