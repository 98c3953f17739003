"""Quality against cost as an SVG that takes the page's colour, with the Pareto front marked by shape and line."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bench.report.load import Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Point", "front", "pareto_svg"]

#: Drawn in this one colour, which the page's own takes the place of: one figure for a light and a dark page.
_INK = "#010203"
_RC = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "svg.hashsalt": "bench", "svg.fonttype": "none", "axes.grid": True, "axes.axisbelow": True, "grid.color": _INK,
    "grid.alpha": 0.15, "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _INK, "xtick.color": _INK,
    "ytick.color": _INK, "axes.facecolor": "none", "figure.facecolor": "none",
}  # fmt: skip
_SIZE = (4.9, 3.7)
_ASIDE = 13.0
"""Points between two rows of equal cost, which stand side by side."""
_WIDEST = 130.0
"""Most points that rows of equal cost take together."""
_DIGITS = (12.0, 9.5)
"""Width and height of a number, in points: no two stand on each other."""
_MARKER = 4.5
"""Half the side of a marker with its edge."""
_DISTANCES = (10.5, 13.0, 16.0, 20.0, 25.0, 31.0, 38.0, 46.0)
"""How far from its marker a number is tried."""
_NEAR = 14.0
"""A number further off has a line that leads to its marker."""
_FEW = 7


class Point(NamedTuple):
    """A row in the plot: what it costs and how good it is."""

    number: int
    cost: float
    value: Value


def front(points: Sequence[Point]) -> frozenset[int]:
    """Numbers of the points that no other one beats: none is as cheap and as good, and better in one of the two."""
    known = [(p.number, p.cost, p.value.value) for p in points if p.value.value is not None]
    return frozenset(
        number
        for number, cost, value in known
        if not any(c <= cost and v >= value and (c < cost or v > value) for _, c, v in known)
    )


def pareto_svg(points: Sequence[Point], xlabel: str, ylabel: str, prefix: str) -> str:
    """The plot as an `<svg>` element, byte for byte the same each time.

    It holds no names: points are numbered, and a list beside the plot says which is which.

    Args:
        points: two or more.
        xlabel: of the cost.
        ylabel: of the quality.
        prefix: of every id in it, so that several plots can stand in one page.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlabel=xlabel, ylabel=ylabel)
        _limits(axes, points)
        # Places on the paper are known once the layout is, and must then stay.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        _draw(axes, points)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inlined(buffer.getvalue(), prefix)


def _limits(axes: Axes, points: Sequence[Point]) -> None:
    """Room for all; a logarithmic cost, but with a zero where something costs nothing."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    costs = sorted({p.cost for p in points})
    low, high = costs[0], costs[-1]
    if low > 0:
        axes.set_xscale("log")
        room = max((high / low) ** 0.2, 1.15)
        axes.set_xlim(low / room, high * room)
    else:
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(-4, max(high, 10) * 2.2)
    if len(costs) <= _FEW:
        apart = [cost for cost, before in zip(costs, [None, *costs], strict=False) if not before or cost > 1.3 * before]
        axes.xaxis.set_major_locator(FixedLocator(apart))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
    ends = [end for p in points for end in (p.value.lo, p.value.hi, p.value.value) if end is not None]
    room = 0.08 * (max(ends) - min(ends)) or 1.0
    axes.set_ylim(min(ends) - room, max(ends) + 1.5 * room)


def _draw(axes: Axes, points: Sequence[Point]) -> None:
    best = front(points)
    across = _side_by_side(axes, points)
    line = sorted((across[p.number], p.value.value or 0.0) for p in points if p.number in best)
    axes.plot([x for x, _ in line], [y for _, y in line], color=_INK, lw=1.4, ls=(0, (5, 2)), drawstyle="steps-post")
    for point in points:
        on, x = point.number in best, across[point.number]
        if point.value.lo is not None and point.value.hi is not None:
            axes.plot([x] * 2, [point.value.lo, point.value.hi], color=_INK, lw=0.9, alpha=0.6)
        axes.plot(
            [x], [point.value.value or 0.0], "o" if on else "s", ms=7 if on else 5.5, mec=_INK, mew=1.1,
            mfc=_INK if on else "none",
        )  # fmt: skip
    _number(axes, points, across)


def _side_by_side(axes: Axes, points: Sequence[Point]) -> dict[int, float]:
    """Where each point stands across: at its cost, or beside it where several cost exactly the same."""
    scale = axes.figure.dpi / 72.0
    inverse = axes.transData.inverted()
    alike: dict[float, list[Point]] = {}
    for point in points:
        alike.setdefault(point.cost, []).append(point)
    found = {}
    for cost, members in alike.items():
        step = min(_ASIDE, _WIDEST / len(members)) * scale
        middle = (len(members) - 1) / 2
        centre = float(axes.transData.transform((cost, 0.0))[0])
        for place, point in enumerate(members):
            found[point.number] = float(inverse.transform((centre + (place - middle) * step, 0.0))[0])
    return found


class _Box(NamedTuple):
    """A rectangle on the paper, in points: its middle and half its sides."""

    x: float
    y: float
    wide: float
    high: float

    def meets(self, other: _Box) -> bool:
        return abs(self.x - other.x) < self.wide + other.wide and abs(self.y - other.y) < self.high + other.high


def _number(axes: Axes, points: Sequence[Point], across: dict[int, float]) -> None:
    """Numbers beside the markers, the nearest place that is free; from further off a thin line leads back."""
    scale = 72.0 / axes.figure.dpi

    def on_paper(x: float, y: float) -> tuple[float, float]:
        px, py = axes.transData.transform((x, y))
        return float(px) * scale, float(py) * scale

    places = {p.number: on_paper(across[p.number], p.value.value or 0.0) for p in points}
    taken = [_Box(x, y, _MARKER, _MARKER) for x, y in places.values()]
    bars = [_bar(on_paper, across[p.number], p.value) for p in points]
    frame = axes.get_window_extent()
    middle = scale * (frame.x0 + frame.x1) / 2, scale * (frame.y0 + frame.y1) / 2
    paper = _Box(*middle, scale * frame.width / 2, scale * frame.height / 2)
    for point in sorted(points, key=lambda p: (places[p.number], p.number)):
        x, y = places[point.number]
        at = _free(x, y, taken, bars, paper)
        taken.append(at)
        far = max(abs(at.x - x), abs(at.y - y)) > _NEAR
        axes.annotate(
            str(point.number), (across[point.number], point.value.value or 0.0), xytext=(at.x - x, at.y - y),
            textcoords="offset points", ha="center", va="center", fontsize=9, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": _INK, "alpha": 0.6, "shrinkA": 4, "shrinkB": 4}
            if far else None,
        )  # fmt: skip


def _bar(on_paper: Callable[[float, float], tuple[float, float]], x: float, value: Value) -> _Box:
    low, high = (end if end is not None else value.value or 0.0 for end in (value.lo, value.hi))
    (px, bottom), (_, top) = on_paper(x, low), on_paper(x, high)
    return _Box(px, (bottom + top) / 2, 0.5, (top - bottom) / 2)


def _free(x: float, y: float, taken: Sequence[_Box], bars: Sequence[_Box], paper: _Box) -> _Box:
    """Where a number stands: on no other number or marker; where it can, on no bar; as near as it can."""
    wide, high = (side / 2 for side in _DIGITS)
    best, least = _Box(x, y, wide, high), math.inf
    for distance in _DISTANCES:
        for turn in range(16):
            angle = 2 * math.pi * (turn + 4) / 16  # from straight above
            box = _Box(x + distance * math.cos(angle), y + distance * math.sin(angle), wide, high)
            inside = abs(box.x - paper.x) < paper.wide - wide and abs(box.y - paper.y) < paper.high - high
            cost = 1000.0 * sum(map(box.meets, taken)) + 8.0 * sum(map(box.meets, bars)) + distance
            cost += 0.0 if inside else 300.0
            if cost < least:
                best, least = box, cost
    return best


def _inlined(svg: str, prefix: str) -> str:
    """The element alone, in the page's colour, with ids of its own, hidden from screen readers: its list says it."""
    svg = svg[svg.index("<svg ") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    # Its size is the page's to say.
    head, rest = svg.split(">", 1)
    return re.sub(r'\s(?:width|height)="[^"]*"', "", head).replace("<svg", '<svg aria-hidden="true"', 1) + ">" + rest
