"""The figures of a report: the removal-kept frontier, and results by category in the manner of Figure 3.

Every series has a marker and a line style of its own, so that figures can be read without colour.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report._format import PLACEBOS, family_label
from bench.report._groups import Group, Slice
from bench.report._untrusted import for_figure
from bench.report.load import Value
from bench.store import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RC", "REMOVAL", "FrontierText", "category_figure", "frontier_figure", "save_figure"]


class FrontierText(NamedTuple):
    """What the axes of a frontier say."""

    x: str
    y: str
    base: str
    oracle: bool
    """Whether an oracle that changes all and keeps all is drawn at (1, 1)."""


REMOVAL = FrontierText(
    "removed: share of the negated tracks that leave the top 10", "kept, relative to an oracle", "unmodified", True
)


class _Style(NamedTuple):
    color: str
    marker: str
    line: Any
    filled: bool = True


#: Colours that colour-blind readers tell apart; line and marker alone suffice in black and white.
_STYLES = {
    "NP": _Style("#000000", "o", "-"),
    "Δ_T": _Style("#0072b2", "s", "--"),
    "Δ_T subtract": _Style("#56b4e9", "^", ":"),
    "Δ_T away": _Style("#3b7a9e", "v", (0, (3, 1, 1, 1, 1, 1))),
    "Δ_A": _Style("#d55e00", "D", "-."),
    "slerp": _Style("#009e73", "P", (0, (6, 2))),
    "PNP append": _Style("#aa4499", "X", "none"),
    "PNP replace": _Style("#aa4499", "X", "none", False),
    "PNP": _Style("#aa4499", "X", "none"),
    "unmodified": _Style("#777777", "o", "none", False),
    "unrelated negative (placebo)": _Style("#777777", "o", (0, (1, 2)), False),
    "random direction (placebo)": _Style("#777777", "s", (0, (1, 2)), False),
}
#: Methods that move a query to a refined prompt: they never share a figure with those above.
_EDITING = {
    "DDIM inversion": _Style("#000000", "o", "-"),
    "DDIM inversion, without a text": _Style("#000000", "h", (0, (8, 1))),
    "DDIM inversion, guidance 3 in it": _Style("#0072b2", "^", (0, (3, 1, 1, 1)), False),
    "DDIM inversion, guidance 1 back": _Style("#0072b2", "<", (0, (4, 1)), False),
    "DDIM inversion, guidance 5 back": _Style("#0072b2", ">", (0, (4, 2))),
    "DDIM inversion, without a text, guidance 1 back": _Style("#0072b2", "<", (0, (4, 1))),
    "DDIM inversion, 3 refinements": _Style("#56b4e9", "*", "none", False),
    "DDIM inversion, without a text, 3 refinements": _Style("#56b4e9", "*", "none"),
    "SDEdit": _Style("#d55e00", "s", "--"),
    "slerp to the edit": _Style("#009e73", "D", "-.", False),
    "Δ_T add": _Style("#56b4e9", "v", (0, (1, 1))),
    "regeneration, new noise": _Style("#aa4499", "X", "none"),
    "regeneration, same noise": _Style("#aa4499", "P", "none", False),
}
_OTHERS = ("<", ">", "p", "h", "8", "d")
RC = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "svg.hashsalt": "bench", "svg.fonttype": "path", "axes.grid": True, "grid.color": "#e4e4e4", "axes.axisbelow": True,
}  # fmt: skip


def _style(label: str, index: int) -> _Style:
    return (
        _STYLES.get(label)
        or _EDITING.get(label)
        or _Style("#444444", _OTHERS[index % len(_OTHERS)], (0, (4, 1 + index)))
    )


def save_figure(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as PNG and SVG, byte for byte the same each time.

    Returns:
        The paths of the PNG and of the SVG.
    """
    import matplotlib as mpl

    paths = folder / f"{name}.png", folder / f"{name}.svg"
    with mpl.rc_context(RC):
        for path, metadata in zip(paths, ({"Software": None}, {"Date": None, "Creator": None}), strict=True):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=path.suffix[1:], dpi=160, metadata=metadata)
            write_atomic(path, buffer.getvalue())
    return paths


# --- frontier ---------------------------------------------------------------------------------------------------------


def frontier_figure(group: Group, said: FrontierText = REMOVAL) -> Figure | None:
    """What each method keeps against what it changes, a line a method; None where the run has no frontiers.

    Raw and renormalised vectors are left out: cosine search sees almost the same query as from unit vectors.
    """
    families = [f for f in group.frontiers() if f["params"].get("vectors", "unit") == "unit"]
    if not families:
        return None
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.2, 4.6 if said.oracle else 5.6), layout="constrained")
        axes = figure.add_subplot()
        # Placebos first, so that no method hides behind them.
        for index, family in enumerate(sorted(families, key=lambda f: f["modifier"] not in PLACEBOS)):
            _draw_family(axes, group, family, index)
        base = families[0]["points"][0]
        axes.plot(
            [base["removal"]],
            [base["kept"]],
            "o",
            ms=9,
            mfc="white",
            mec="black",
            mew=1.2,
            label=said.base,
            zorder=5,
        )
        if said.oracle:
            axes.plot([1], [1], "*", ms=14, mfc="black", mec="black", label="oracle", clip_on=False, zorder=5)
        bottom = 0.0 if said.oracle else _lowest(families)
        right = 1.03 if said.oracle else _rightmost(families)
        axes.set(
            xlabel=said.x,
            ylabel=said.y,
            ylim=(bottom, max(1.05, _highest(families))),
            xlim=(_leftmost(families), right),
        )
        handles, labels = axes.get_legend_handles_labels()
        order = sorted(range(len(labels)), key=lambda i: _legend_rank(labels[i]))
        # Long names of methods would squeeze the axes from the side.
        place = {"loc": "outside right center"} if said.oracle else {"loc": "outside lower center", "ncols": 2}
        figure.legend(
            [handles[i] for i in order], [labels[i] for i in order], frameon=False, handlelength=3.2, fontsize=8.5,
            **place,
        )  # fmt: skip
    return figure


def _legend_rank(label: str) -> tuple[int, str]:
    fixed = {"oracle": 0, "unmodified": 1, "unedited": 1, "NP": 2, "DDIM inversion": 2}
    return (fixed.get(label, 9 if "placebo" in label else 5), label)


def _highest(families: Sequence[Mapping[str, Any]]) -> float:
    points = [p for family in families for p in family["points"]]
    return 1.05 * float(max((p["kept_ci"] or [0, p["kept"]])[1] for p in points))


def _lowest(families: Sequence[Mapping[str, Any]]) -> float:
    points = [p for family in families for p in family["points"]]
    return float(min((p["kept_ci"] or [p["kept"]])[0] for p in points)) - 0.05


def _leftmost(families: Sequence[Mapping[str, Any]]) -> float:
    points = [p for family in families for p in family["points"]]
    return min(-0.04, 1.1 * float(min((p["removal_ci"] or [p["removal"]])[0] for p in points)))


def _rightmost(families: Sequence[Mapping[str, Any]]) -> float:
    points = [p for family in families for p in family["points"]]
    return min(1.03, 1.05 * float(max((p["removal_ci"] or [0, p["removal"]])[1] for p in points)))


def _draw_family(axes: Axes, group: Group, family: Mapping[str, Any], index: int) -> None:
    label = family_label(family["modifier"], family["params"])
    style = _style(label, index)
    points = family["points"][1:]
    removal, kept = [p["removal"] for p in points], [p["kept"] for p in points]
    axes.errorbar(
        removal, kept, xerr=_reach(points, "removal"), yerr=_reach(points, "kept"), fmt="none", ecolor=style.color,
        elinewidth=0.7, alpha=0.45, zorder=2,
    )  # fmt: skip
    if len(points) > 1:
        start = family["points"][0]
        removal, kept = [start["removal"], *removal], [start["kept"], *kept]
    axes.plot(
        removal, kept, color=style.color, ls=style.line if len(points) > 1 else "none", marker=style.marker, ms=5.5,
        mfc=style.color if style.filled else "white", mec=style.color, lw=1.4, label=for_figure(label), zorder=3,
        markevery=slice(1, None) if len(points) > 1 else None,
    )  # fmt: skip
    _name_primary(axes, group, family, points)


def _name_primary(axes: Axes, group: Group, family: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> None:
    """A ring around the strength at which methods are compared in the tables."""
    strengths = [p["strength"] for p in points if p["strength"] is not None]
    if len(strengths) < 2:
        return
    wanted = group.primary_strength(family["modifier"], family["params"], strengths)
    point = next(p for p in points if p["strength"] == wanted)
    axes.plot([point["removal"]], [point["kept"]], "o", ms=10.5, mfc="none", mec="#888888", mew=0.8, zorder=4)


def _reach(points: Sequence[Mapping[str, Any]], name: str) -> list[list[float]]:
    """Distances from the values down and up to their intervals' ends."""
    low, high = [], []
    for point in points:
        lo, hi = point.get(f"{name}_ci") or (point[name], point[name])
        low.append(max(0.0, point[name] - lo))
        high.append(max(0.0, hi - point[name]))
    return [low, high]


# --- categories -------------------------------------------------------------------------------------------------------


def category_figure(parts: Sequence[Slice], marks: Mapping[str, str]) -> Figure | None:
    """By category: cosine to the unmodified query and to the negative's generated latent; below, the negated share.

    Args:
        parts: means by category and method, with `CLAP(gen+)`, `CLAP(gen-)` and `negated_share@10`.
        marks: a remark under a category's name, such as "not encoded in this space".
    """
    categories = list(dict.fromkeys(part.part for part in parts))
    if not categories:
        return None
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with mpl.rc_context(RC):
        figure = Figure(figsize=(10, 5.4), layout="constrained")
        grid = figure.subplots(2, len(categories), sharey="row", sharex=True, squeeze=False)
        for column, category in enumerate(categories):
            own = [part for part in parts if part.part == category]
            top, bottom = grid[0][column], grid[1][column]
            remark = marks.get(category, "")
            top.set_title(for_figure(category), fontweight="bold", fontsize=10, pad=16)
            top.text(0.5, 1.02, remark, transform=top.transAxes, ha="center", fontsize=7.5, style="italic")
            _dots(top, own, "CLAP(gen+)", -0.13, "o", "black")
            _dots(top, own, "CLAP(gen-)", 0.13, "s", "white")
            _bars(bottom, own)
            top.axhline(0, color="#888888", lw=0.8)
            bottom.set_xticks(
                range(len(own)), [for_figure(part.label) for part in own], rotation=55, ha="right", fontsize=8
            )
        # After all columns are drawn: a limit set earlier would fix the shared axis to the first column's bars.
        grid[1][0].set_ylim(bottom=0)
        grid[0][0].set_ylabel("CLAP score (cosine)")
        grid[1][0].set_ylabel("negated share of the top 10")
        key = [
            Line2D(
                [], [], ls="none", marker="o", mfc="black", mec="black", label="to the unmodified query: CLAP(gen+) ↑"
            ),
            Line2D([], [], ls="none", marker="s", mfc="white", mec="black", label="to the negative: CLAP(gen-) ↓"),
        ]
        figure.legend(handles=key, loc="outside upper center", ncols=2, frameon=False)
    return figure


def _dots(axes: Axes, own: Sequence[Slice], metric: str, shift: float, marker: str, face: str) -> None:
    for place, part in enumerate(own):
        value = part.values.get(metric)
        if value is not None and value.value is not None:
            axes.errorbar(
                [place + shift], [value.value], yerr=_error(value), fmt=marker, ms=4.5, mfc=face, mec="black",
                ecolor="#555555", elinewidth=0.9, capsize=2,
            )  # fmt: skip


def _bars(axes: Axes, own: Sequence[Slice]) -> None:
    for place, part in enumerate(own):
        value = part.values.get("negated_share@10")
        if value is not None and value.value is not None:
            face = "#ffffff" if part.label == "unmodified" else "#b9c7d6"
            axes.bar([place], [value.value], width=0.66, color=face, edgecolor="black", lw=0.8)
            axes.errorbar(
                [place], [value.value], yerr=_error(value), fmt="none", ecolor="black", elinewidth=0.9, capsize=2
            )


def _error(value: Value) -> list[list[float]] | None:
    if value.value is None or value.lo is None or value.hi is None:
        return None
    return [[max(0.0, value.value - value.lo)], [max(0.0, value.hi - value.value)]]
