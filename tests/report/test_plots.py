"""Dots and lines: every number and interval is drawn, and series differ without colour."""

from __future__ import annotations

import pytest

from bench.report._plots import _LOOKS, PAPER, Chart, Dot, Line, Panel, dots_figure, lines_figure
from bench.report.load import Value


def test_looks_differ_without_colour() -> None:
    assert len({(marker, str(line)) for marker, _, _, line in _LOOKS}) == len(_LOOKS)
    assert len({marker for marker, *_ in _LOOKS}) == len(_LOOKS)


def _panel(title: str, *rows: str, series: str = "ours") -> Panel:
    dots = tuple(Dot(row, series, Value(i + 1.0, i + 0.5, i + 1.75)) for i, row in enumerate(rows))
    return Panel(title, "R@10 (%)", dots, 0.5)


def test_dots_stand_in_their_rows_with_their_intervals() -> None:
    figure = dots_figure([_panel("SD", "a", "b"), _panel("PC", "a", "b")])
    assert figure is not None
    left, right = figure.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["a", "b"]
    assert left.get_ylim()[0] > left.get_ylim()[1], "the first row is on top"
    assert (left.get_xlabel(), left.get_title()) == ("R@10 (%)", "SD")
    second = left.containers[1]
    assert second.lines[0].get_xdata()[0] == 2.0
    assert second.lines[2][0].get_segments()[0][:, 0].tolist() == pytest.approx([1.5, 2.75])
    assert left.get_shared_y_axes().joined(left, right)
    assert not figure.legends


def test_the_papers_numbers_have_a_mark_of_their_own_and_no_interval() -> None:
    dots = (Dot("a", "ours", Value(1.0, 0.5, 1.5)), Dot("a", PAPER, Value(3.0)))
    figure = dots_figure([Panel("SD", "R@10 (%)", dots)])
    assert figure is not None
    ours, paper = figure.axes[0].containers
    assert ours.lines[0].get_marker() != paper.lines[0].get_marker()
    assert ours.lines[0].get_ydata()[0] < paper.lines[0].get_ydata()[0]
    assert not paper.lines[2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", PAPER]


def test_what_has_no_number_is_not_drawn() -> None:
    empty = Panel("PC", "R@10 (%)", (Dot("a", "ours", Value(None)),))
    assert dots_figure([empty]) is None
    assert dots_figure([]) is None
    figure = dots_figure([empty, _panel("SD", "a")])
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == ["SD"]
    assert lines_figure([Chart("t", "x", "y", (Line("a", (0.0,), (Value(None),)),))]) is None


def test_a_line_leaves_out_points_without_a_number() -> None:
    line = Line("a", (0.0, 1.0, 2.0), (Value(1.0, 0.9, 1.1), Value(None), Value(3.0, 2.0, 4.0)))
    figure = lines_figure([Chart("t", "step", "cosine", (line,))])
    assert figure is not None
    (axes,) = figure.axes
    drawn = next(own for own in axes.get_lines() if own.get_label() == "a")
    assert drawn.get_xydata().tolist() == [[0, 1], [2, 3]]
    (band,) = axes.collections
    assert band.get_paths()[0].get_extents().bounds == pytest.approx((0, 0.9, 2, 3.1))


def test_charts_with_the_same_series_share_a_key() -> None:
    line = Line("a", (0.0, 1.0), (Value(1.0), Value(2.0)))
    same = lines_figure([Chart("t", "x", "y", (line,)), Chart("u", "x", "y", (line,))])
    other = lines_figure([Chart("t", "x", "y", (line,)), Chart("u", "x", "y", (line._replace(label="b"),))])
    assert same is not None
    assert other is not None
    assert (len(same.legends), len(other.legends)) == (1, 0)
    assert all(axes.get_legend() for axes in other.axes)


def test_bars_names_levels_and_points_that_have_no_order() -> None:
    line = Line("a", (0.1, 0.2), (Value(1.0, 0.5, 1.5), Value(2.0, 1.5, 2.5)), ("SD", "PC"), joined=False)
    level = ("unedited", Value(1.2, 1.0, 1.4))
    figure = lines_figure([Chart("t", "x", "y", (line,), bars=True, log=True, level=level)])
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.texts] == ["SD", "PC"]
    assert next(own for own in axes.get_lines() if own.get_label() == "a").get_linestyle() == "None"
    assert len(axes.containers) == 1
    assert "unedited" in [text.get_text() for text in figure.legends[0].get_texts()]
