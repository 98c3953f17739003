"""What the figures show, and that they can be read in black and white."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.report._groups import Slice, groups
from bench.report.figures import _EDITING, _STYLES, category_figure, frontier_figure, save_figure
from bench.report.load import Run, Value


@pytest.mark.parametrize("styles", [_STYLES, _EDITING])
def test_styles_differ_without_colour(styles: dict[str, Any]) -> None:
    looks = {label: (s.marker, str(s.line), s.filled) for label, s in styles.items() if label != "PNP"}
    assert len(set(looks.values())) == len(looks)


def test_the_frontier_has_a_line_a_method_from_the_unmodified_query(negation_run: Path) -> None:
    (group,) = groups(Run(negation_run))
    figure = frontier_figure(group)
    assert figure is not None
    (axes,) = figure.axes
    lines = {str(line.get_label()): line for line in axes.get_lines() if not str(line.get_label()).startswith("_")}
    assert {"oracle", "unmodified", "NP", "slerp", "PNP append", "unrelated negative (placebo)"} <= set(lines)
    assert not any("raw" in label or "renormalised" in label for label in lines)
    assert list(lines["oracle"].get_xydata()[0]) == [1, 1]
    family = next(f for f in group.frontiers() if f["modifier"] == "negative-prompting")
    assert lines["NP"].get_xydata().tolist() == [[p["removal"], p["kept"]] for p in family["points"]]
    assert len(lines["PNP append"].get_xydata()) == 1


def test_no_frontier_without_families(negation_run: Path) -> None:
    run = Run(negation_run)
    run.summary["families"] = []
    assert frontier_figure(groups(run)[0]) is None


def test_a_family_of_a_plugin_is_drawn(negation_run: Path) -> None:
    run = Run(negation_run)
    run.summary["families"] = [{**run.summary["families"][0], "modifier": "a-plugin"}]
    figure = frontier_figure(groups(run)[0])
    assert figure is not None
    assert "a-plugin" in [str(line.get_label()) for line in figure.axes[0].get_lines()]


def _slice(part: str, label: str, share: Value) -> Slice:
    return Slice(part, label, {"CLAP(gen+)": Value(0.8, 0.7, 0.9), "negated_share@10": share}, 40, 10)


def test_categories_have_two_panels_each_and_marks() -> None:
    parts = [_slice(c, m, Value(0.2, 0.1, 0.3)) for c in ("genre", "key") for m in ("unmodified", "NP")]
    figure = category_figure(parts, {"key": "not encoded in this space"})
    assert figure is not None
    assert len(figure.axes) == 4
    texts = [[t.get_text() for t in axes.texts] for axes in figure.axes]
    assert texts[:2] == [[""], ["not encoded in this space"]]
    assert [len(axes.patches) for axes in figure.axes] == [0, 0, 2, 2]


def test_a_method_without_a_number_leaves_a_gap() -> None:
    parts = [_slice("genre", "NP", Value(None)), _slice("genre", "PNP", Value(0.4))]
    figure = category_figure(parts, {})
    assert figure is not None
    (bar,) = figure.axes[1].patches
    assert bar.get_x() + bar.get_width() / 2 == pytest.approx(1)
    assert category_figure([], {}) is None


def test_figures_are_saved_the_same_each_time(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        figure = category_figure([_slice("genre", "NP", Value(0.2, 0.1, 0.3))], {})
        assert figure is not None
        contents.append([path.read_bytes() for path in save_figure(figure, tmp_path / name, "f")])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG")


def test_the_shared_axis_of_the_bars_holds_every_category():
    from bench.report._groups import Slice
    from bench.report.figures import category_figure
    from bench.report.load import Value

    shares = {"genre": 0.2, "tempo": 0.9}
    parts = [Slice(name, "unmodified", {"negated_share@10": Value(share)}, 5, 5) for name, share in shares.items()]
    figure = category_figure(parts, {})
    assert figure is not None
    assert all(axes.get_ylim()[1] > 0.9 for axes in figure.axes[2:])
    assert figure.axes[2].get_ylim()[0] == 0
