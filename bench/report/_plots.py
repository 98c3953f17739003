"""Two plain kinds of figure: dots with intervals, row by row, and lines with bands over a strength.

Every series has a marker and a line style of its own, so that figures can be read without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report._untrusted import for_figure
from bench.report.figures import RC
from bench.report.load import Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Chart", "Dot", "Line", "Panel", "dots_figure", "lines_figure"]


class Dot(NamedTuple):
    """One number of a panel."""

    row: str
    series: str
    value: Value


class Panel(NamedTuple):
    """One panel of dots; rows from above in the order of their first dot."""

    title: str
    xlabel: str
    dots: tuple[Dot, ...]
    line: float | None = None
    """Where a vertical line stands, such as chance; the caption says what it is."""


class Line(NamedTuple):
    """One series of a chart."""

    label: str
    x: tuple[float, ...]
    values: tuple[Value, ...]
    names: tuple[str, ...] = ()
    """What stands beside each point, or nothing."""
    joined: bool = True
    """Whether its points are joined: not where they have no order."""


class Chart(NamedTuple):
    """One chart of lines."""

    title: str
    xlabel: str
    ylabel: str
    lines: tuple[Line, ...]
    bars: bool = False
    """Intervals as bars, for many series; else as bands."""
    log: bool = False
    """A logarithmic x axis."""
    level: tuple[str, Value] | None = None
    """What does not depend on x: its name and value, drawn across."""


#: Marker, colour, filled, line: series by series.
_LOOKS: tuple[tuple[str, str, bool, Any], ...] = (
    ("o", "#000000", True, "-"), ("s", "#0072b2", False, "--"), ("^", "#d55e00", True, "-."),
    ("D", "#009e73", False, ":"), ("v", "#aa4499", True, (0, (6, 2))), ("P", "#56b4e9", False, (0, (3, 1, 1, 1))),
    ("X", "#777777", True, (0, (1, 2))), ("<", "#8c510a", False, (0, (5, 1, 1, 1, 1, 1))),
)  # fmt: skip
#: The paper's numbers: other models and data, so they have no interval and stand apart.
PAPER = "the paper's"


def _look(index: int) -> tuple[str, str, bool, Any]:
    return _LOOKS[index % len(_LOOKS)]


def _reach(value: Value) -> tuple[float, float]:
    """Distances from a number down and up to the ends of its interval."""
    assert value.value is not None
    if value.lo is None or value.hi is None:
        return 0.0, 0.0
    return max(0.0, value.value - value.lo), max(0.0, value.hi - value.value)


# --- dots -------------------------------------------------------------------------------------------------------------


def dots_figure(panels: Sequence[Panel], *, sharex: bool = False) -> Figure | None:
    """Panels side by side, a row a system or target, a marker a series; None where there is no number."""
    shown = [panel for panel in panels if any(dot.value.value is not None for dot in panel.dots)]
    if not shown:
        return None
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rows = [list(dict.fromkeys(dot.row for dot in panel.dots)) for panel in shown]
    series = list(dict.fromkeys(dot.series for panel in shown for dot in panel.dots))
    shared = all(own == rows[0] for own in rows)
    with mpl.rc_context(RC):
        height = 1.5 + max(map(len, rows)) * (0.22 + 0.13 * len(series))
        figure = Figure(figsize=(min(11.0, 2.6 + 2.7 * len(shown)), height), layout="constrained")
        grid = figure.subplots(1, len(shown), sharex=sharex, sharey=shared, squeeze=False)[0]
        for axes, panel, own in zip(grid, shown, rows, strict=True):
            _draw_panel(axes, panel, own, series)
        if len(series) > 1:
            keys = [
                Line2D(
                    [],
                    [],
                    ls="none",
                    marker=marker,
                    mec=color,
                    mfc=color if filled else "white",
                    label=for_figure(name),
                )
                for name, (marker, color, filled, _) in ((name, _mark(name, i)) for i, name in enumerate(series))
            ]
            figure.legend(handles=keys, loc="outside upper center", ncols=min(4, len(keys)), frameon=False)
    return figure


def _mark(series: str, index: int) -> tuple[str, str, bool, Any]:
    return ("d", "#999999", False, ":") if series == PAPER else _look(index)


def _draw_panel(axes: Axes, panel: Panel, rows: Sequence[str], series: Sequence[str]) -> None:
    step = 0.62 / max(1, len(series))
    for dot in panel.dots:
        if dot.value.value is None:
            continue
        place = series.index(dot.series)
        marker, color, filled, _ = _mark(dot.series, place)
        low, high = _reach(dot.value)
        axes.errorbar(
            [dot.value.value], [rows.index(dot.row) + (place - (len(series) - 1) / 2) * step],
            xerr=None if low == high == 0 else [[low], [high]], fmt=marker, ms=5, mfc=color if filled else "white",
            mec=color, ecolor=color, elinewidth=1.0, capsize=2,
        )  # fmt: skip
    if panel.line is not None:
        axes.axvline(panel.line, color="#555555", lw=0.9, ls=(0, (2, 2)), zorder=1)
    axes.set_yticks(range(len(rows)), list(map(for_figure, rows)))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(for_figure(panel.xlabel))
    axes.set_title(for_figure(panel.title), fontsize=10, fontweight="bold")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


# --- lines ------------------------------------------------------------------------------------------------------------


def lines_figure(charts: Sequence[Chart], columns: int = 2) -> Figure | None:
    """Charts in a grid, each with a key of its own; bands are intervals. None where there is no number."""
    shown = [chart for chart in charts if any(v.value is not None for line in chart.lines for v in line.values)]
    if not shown:
        return None
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(5.2 * columns, 4.3 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, chart in zip(grid, shown, strict=False):
            _draw_chart(axes, chart)
        for axes in grid[len(shown) :]:
            axes.set_visible(False)
        _keys(figure, list(grid[: len(shown)]), shown)
    return figure


def _keys(figure: Figure, grid: Sequence[Axes], charts: Sequence[Chart]) -> None:
    """One key below all charts where they have the same series, else one below each."""
    names = [[line.label for line in chart.lines] for chart in charts]
    if all(own == names[0] for own in names):
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(3, len(labels)), frameon=False, fontsize=8,
            handlelength=3.2,
        )  # fmt: skip
        return
    for axes in grid:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=8, handlelength=3.2
        )


def _draw_chart(axes: Axes, chart: Chart) -> None:
    for index, line in enumerate(chart.lines):
        kept = [(x, v) for x, v in zip(line.x, line.values, strict=True) if v.value is not None]
        if kept:
            _draw_line(axes, line, kept, index, chart.bars)
    if chart.level is not None and chart.level[1].value is not None:
        name, value = chart.level
        axes.axhline(chart.level[1].value, color="#555555", lw=1.0, ls=(0, (2, 2)), label=for_figure(name), zorder=1)
        if value.lo is not None and value.hi is not None:
            axes.axhspan(value.lo, value.hi, color="#555555", alpha=0.08, lw=0)
    if chart.log:
        axes.set_xscale("log")
    axes.set(xlabel=for_figure(chart.xlabel), ylabel=for_figure(chart.ylabel))
    axes.set_title(for_figure(chart.title), fontsize=10, fontweight="bold")


def _draw_line(axes: Axes, line: Line, kept: Sequence[tuple[float, Value]], index: int, bars: bool) -> None:
    marker, color, filled, style = _look(index)
    x = [place for place, _ in kept]
    y = [float(v.value) for _, v in kept if v.value is not None]
    axes.plot(
        x, y, color=color, ls=style if len(x) > 1 and line.joined else "none", marker=marker, ms=5, mec=color,
        mfc=color if filled else "white", lw=1.4, label=for_figure(line.label), zorder=3,
    )  # fmt: skip
    for place, height, name in zip(x, y, line.names, strict=False):
        shift, side = (6, "left") if index % 2 else (-6, "right")
        axes.annotate(
            for_figure(name), (place, height), xytext=(shift, 4), textcoords="offset points", ha=side, fontsize=7.5
        )
    low, high = zip(*(_reach(v) for _, v in kept), strict=True)
    if not any((*low, *high)):
        return
    if bars:
        axes.errorbar(x, y, yerr=[low, high], fmt="none", ecolor=color, elinewidth=0.8, capsize=2, alpha=0.55, zorder=2)
        return
    bottom = [value - down for value, down in zip(y, low, strict=True)]
    top = [value + up for value, up in zip(y, high, strict=True)]
    axes.fill_between(x, bottom, top, color=color, alpha=0.13, lw=0)
    for edge in (bottom, top):
        axes.plot(x, edge, color=color, lw=0.5, alpha=0.5)
