"""Runs that are forked, and what an undisturbed one leaves; made once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import harness
from faults.nursery import Nursery


@pytest.fixture(scope="session")
def made() -> Iterator[list[Nursery]]:
    with harness.nurseries() as found:
        yield found


@pytest.fixture
def nursery(made: list[Nursery]) -> Nursery:
    return made[0]


@pytest.fixture(scope="session")
def known(made: list[Nursery]) -> harness.Reference:
    return harness.reference(made[0])


@pytest.fixture
def place() -> Iterator[Path]:
    with harness.workplace() as folder:
        yield folder
