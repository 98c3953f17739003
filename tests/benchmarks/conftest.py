"""Speed contests: ours and its peers timed in turn in one run, and one table of ratios at the end (`make bench`).

A contest is a pytest-benchmark test; the peers are timed beside it, round by round, so that a slow moment of the
machine meets all of them. Ratios are of minimum times.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

LINES = pytest.StashKey[list["Line"]]()
Peer = tuple[Callable[[], Any], "Bar"]


@dataclass(frozen=True)
class Bar:
    """What a ratio of times must reach: ours `faster` by at least `ratio`, or at most `ratio` times as long."""

    ratio: float
    faster: bool = True

    def measured(self, ours: float, peer: float) -> float:
        return peer / ours if self.faster else ours / peer

    def holds(self, ours: float, peer: float) -> bool:
        value = self.measured(ours, peer)
        return value >= self.ratio if self.faster else value <= self.ratio

    def text(self, peer: str) -> str:
        return f"{self.ratio:g}x faster than {peer}" if self.faster else f"within {self.ratio:g}x of {peer}"


@dataclass(frozen=True)
class Line:
    work: str
    bar: str
    measured: str
    holds: bool


def settle() -> None:
    """Before a timing: collect garbage, and let the threads of the last contestant's BLAS stop spinning."""
    gc.collect()
    time.sleep(0.2)


@dataclass
class Contest:
    """The fixture: `race` times, `check` adds a line that is not a time (memory, equality)."""

    benchmark: Any
    lines: list[Line]

    @staticmethod
    def faster(ratio: float, peer: Callable[[], Any]) -> Peer:
        """A peer than which ours must be `ratio` times faster."""
        return peer, Bar(ratio)

    @staticmethod
    def within(ratio: float, peer: Callable[[], Any]) -> Peer:
        """A lower bound that ours may take at most `ratio` times as long as."""
        return peer, Bar(ratio, faster=False)

    def race(
        self,
        work: str,
        ours: Callable[[], Any],
        peers: Mapping[str, Peer],
        rounds: int = 5,
        warmup: bool = True,
    ) -> dict[str, float]:
        """Time ours and its peers in turn; returns the minimum seconds of each, ours under "ours"."""
        runners = {name: call for name, (call, _) in peers.items()}
        seconds = {name: float("inf") for name in runners}
        if warmup:
            for call in (ours, *runners.values()):
                call()

        def between_rounds() -> None:
            for name, call in runners.items():
                settle()
                start = time.perf_counter()
                call()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
            settle()

        self.benchmark.pedantic(ours, setup=between_rounds, rounds=rounds, iterations=1)
        seconds["ours"] = float(self.benchmark.stats.stats.min)
        self.benchmark.extra_info["peers"] = {name: seconds[name] for name in runners}
        for name, (_, bar) in peers.items():
            self.check(
                work,
                bar.text(name),
                f"{bar.measured(seconds['ours'], seconds[name]):.2f}x ({seconds['ours']:.3g} s; {seconds[name]:.3g} s)",
                bar.holds(seconds["ours"], seconds[name]),
            )
        return seconds

    def check(self, work: str, bar: str, measured: str, holds: bool) -> None:
        """Add a line to the table."""
        self.lines.append(Line(work, bar, measured, bool(holds)))


def peak_rss_mib() -> float:
    """Peak resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LINES] = []


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Only `make bench` (--benchmark-only) collects this folder: a contest says nothing beside other tests."""
    return None if config.getoption("benchmark_only") else True


@pytest.fixture
def contest(benchmark: Any, request: pytest.FixtureRequest) -> Any:
    """Times and checks of one test; the test fails at its end if a bar of its own does not hold."""
    lines = request.config.stash[LINES]
    first = len(lines)
    yield Contest(benchmark, lines)
    missed = [line for line in lines[first:] if not line.holds]
    if missed:
        pytest.fail("; ".join(f"{line.work}: {line.bar} does not hold, measured {line.measured}" for line in missed))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    from tabulate import tabulate

    lines = config.stash[LINES]
    if lines:
        terminalreporter.section("speed, beside the peers in the same run")
        rows = [(line.work, line.bar, line.measured, "yes" if line.holds else "NO") for line in lines]
        terminalreporter.write_line(tabulate(rows, ["work", "bar", "measured (ours; peer)", "holds"]))
