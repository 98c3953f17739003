"""What a claim compares: cells selected by facets, as arms, and the expectation between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench._suite_file import EXPECT
from bench.errors import UserError
from bench.metrics.measured import Measured

if TYPE_CHECKING:
    import pandas as pd

    from bench.plan import Cell

__all__ = ["Arm", "CellData", "Expectation", "difference", "select"]

#: Options that a selector which does not name them means.
DEFAULTS = {
    "variant": "difference", "vectors": "unit", "guidance_inversion": 1.0, "refine": 0, "guidance_edit": None,
    "toward": "antipode",
}  # fmt: skip


@dataclass(frozen=True)
class CellData:
    """A cell, its values per query, and what was measured (for metrics of a set; loaded when asked)."""

    cell: Cell
    frame: pd.DataFrame
    n_gallery: int
    measured: Callable[[], Measured]
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Metric -> why the cell has no value of it."""


@dataclass(frozen=True)
class Expectation:
    """`a > b`, `a < b`, `a = b` (within the margin), or a comparison with a number."""

    sign: Literal["<", ">", "="]
    number: float | None

    @classmethod
    def parse(cls, text: str) -> Expectation:
        match = EXPECT.fullmatch(text)
        if not match:
            raise UserError(f"expect: {text!r} is not of the form 'a > b', 'a < b', 'a > 0.05'")
        sign: Any = match["sign"]
        return cls(sign, None if match["right"] == "b" else float(match["right"]))


@dataclass(frozen=True)
class Arm:
    """The cells that one side of a claim names, by strength; the unmodified cell comes first in a sweep."""

    cells: tuple[CellData, ...]
    base: CellData | None
    times: float = 1.0
    minus: Arm | None = None
    """What is taken off: the arm is then a gain over it."""

    @property
    def sweep(self) -> tuple[CellData, ...]:
        """The cells by strength, weakest first; strength 0 is no point of a sweep, only another guidance."""
        swept = [c for c in self.cells if c.cell.strength is None or c.cell.strength > 0]
        return tuple(sorted(swept, key=lambda c: c.cell.strength or 0.0))


def select(
    selector: Mapping[str, Any],
    cells: Sequence[CellData],
    retriever: str,
    stands_for: Mapping[str, str] | None = None,
) -> Arm:
    """The cells that a side of a claim names, and the unmodified cell they started from.

    Args:
        selector: facets of a cell, options of its modifier, `strength`, `times`, `minus`.
        cells: of the run.
        retriever: what a selector without one means.
        stands_for: row that is named -> the row that takes its place.

    Raises:
        UserError: no cell, or cells of several datasets.
    """
    wanted = {"retriever": retriever, "modifier": "none", **selector}
    wanted["retriever"] = (stands_for or {}).get(wanted["retriever"], wanted["retriever"])
    times = float(wanted.pop("times", 1.0))
    taken_off = wanted.pop("minus", None)
    strength = wanted.pop("strength", None)
    found = []
    for data in cells:
        described = {**DEFAULTS, **data.cell.options, **data.cell.facets}
        expected = {**{k: v for k, v in DEFAULTS.items() if k in data.cell.options}, **wanted}
        if any(described.get(key) != value for key, value in expected.items()):
            continue
        if strength is not None and data.cell.strength != float(strength):
            continue
        if data.cell.modifier == "none" and not data.cell.is_default:
            continue
        found.append(data)
    if not found:
        raise UserError(f"claims: no cell of the suite matches {dict(selector)} for retriever {retriever!r}")
    if not all(_same_task(data, found[0]) for data in found):
        raise UserError(f"claims: {dict(selector)} matches cells of several datasets; name a dataset")
    base = next((c for c in cells if c.cell.modifier == "none" and c.cell.is_default and _same_task(c, found[0])), None)
    minus = None if taken_off is None else select(taken_off, cells, retriever, stands_for)
    if minus is not None and found[0].cell.dataset != minus.cells[0].cell.dataset:
        raise UserError(f"claims: {dict(selector)} takes off cells of another dataset")
    return Arm(tuple(found), base, times, minus)


def _same_task(a: CellData, b: CellData) -> bool:
    return (a.cell.dataset, a.cell.retriever, a.cell.seed) == (b.cell.dataset, b.cell.retriever, b.cell.seed)


def _best(values: Sequence[np.ndarray], sign: str) -> np.ndarray:
    """The rival that a must beat: the largest where a should be larger, the smallest where it should be smaller."""
    stacked = np.stack(values, axis=-1)
    return stacked.max(-1) if sign == ">" else stacked.min(-1)


def difference(a: np.ndarray, rivals: Sequence[np.ndarray], expect: Expectation, log_ratio: bool) -> np.ndarray:
    b = np.full_like(a, expect.number) if expect.number is not None else _best(rivals, expect.sign)
    return np.log(np.maximum(a, 1e-12) / np.maximum(b, 1e-12)) if log_ratio else a - b
