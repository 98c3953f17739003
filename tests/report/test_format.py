"""Numbers, names and tables as printed."""

from __future__ import annotations

import pytest

from bench.report._format import (
    cell_label,
    dataset_label,
    family_label,
    interval,
    p_value,
    primary,
    retriever_label,
    rounded,
    slug,
)
from bench.report._table import Entry, Table, escape, number, text
from bench.report.load import Value


@pytest.mark.parametrize(
    ("value", "unit", "printed"),
    [
        (24.66, "%", "24.7"), (0.0, "%", "0.0"), (100.0, "%", "100.0"), (-0.004, "cosine", "0.00"),
        (-0.514, "cosine", "-0.51"), (0.0113, "distance", "0.0113"), (3.1234, "distance", "3.12"),
        (0.6, "distance", "0.600"), (1234.5, "items", "1234"), (0.0, "distance", "0.00"), (12.0, "rank", "12"),
        (12.5, "rank", "12.5"), (None, "%", "n/a"), (0.0199, "effect", "0.020"),
    ],
)  # fmt: skip
def test_rounding_follows_the_unit(value: float | None, unit: str, printed: str) -> None:
    assert rounded(value, unit) == printed


def test_an_interval_needs_both_ends() -> None:
    assert interval(Value(0.5, 0.4, 0.6), "cosine") == "[0.40, 0.60]"
    assert interval(Value(0.5, None, None), "cosine") == ""


def test_p_values_are_bounded_below() -> None:
    assert [p_value(p) for p in (None, 0.00001, 0.04, 1.0)] == ["n/a", "<0.001", "0.040", "1.000"]


def test_names_are_the_papers() -> None:
    assert [retriever_label(n) for n in ("clap", "gdr-clap", "gdr-muscall", "ridge-clap")] == [
        "CLAP", "GDR-CLAP", "GDR-MusCALL", "ridge-CLAP",
    ]  # fmt: skip
    assert [dataset_label(n) for n in ("sd", "pc-restyled", "song-describer")] == [
        "SD",
        "PC restyled",
        "song-describer",
    ]
    assert slug("Δ_T on SD / seed 0") == "t-on-sd-seed-0"


def test_edits_are_named_by_what_was_done_and_how_far() -> None:
    def label(modifier: str, **params: object) -> str:
        return cell_label({"modifier": modifier, "params": params})

    plain = {"guidance_inversion": 1.0, "refine": 0, "steps": 50}
    assert label("ddim-inversion", strength=0.4, **plain) == "DDIM inversion, 20 of 50 steps"
    assert label("ddim-inversion", **{**plain, "guidance_inversion": 3, "refine": 3}) == (
        "DDIM inversion, guidance 3 in it, 3 refinements"
    )
    assert label("ddim-inversion", **{**plain, "guidance_inversion": 0, "guidance_edit": 5}) == (
        "DDIM inversion, without a text, guidance 5 back"
    )
    assert label("sdedit", strength=0.5) == "SDEdit, 50 % of the steps"
    assert label("regeneration", noise="same") == "regeneration, same noise"
    assert label("slerp", toward="edit", strength=0.5) == "slerp to the edit, t = 0.5"
    assert label("slerp", toward="antipode", strength=0.2) == "slerp, t = 0.2"


def test_methods_have_distinct_labels() -> None:
    delta = {"variant": "difference", "vectors": "unit"}
    params = [
        ("text-interpolation", delta), ("text-interpolation", {**delta, "vectors": "raw"}),
        ("text-interpolation", {**delta, "variant": "away"}), ("audio-interpolation", {"vectors": "unit"}),
        ("audio-interpolation", {"vectors": "renormalised"}), ("prefix-negation", {"form": "append"}),
        ("prefix-negation", {"form": "replace"}), ("negative-prompting", {}), ("slerp", {}),
        ("a-plugin", {"size": 2, "sampler": "ddim-50"}),
    ]  # fmt: skip
    labels = [family_label(*p) for p in params]
    assert len(set(labels)) == len(labels)
    assert labels[-1] == "a-plugin size=2"


def test_cells_are_labelled_with_strength_and_other_guidance() -> None:
    def cell(modifier: str, **params: float) -> dict[str, object]:
        return {"modifier": modifier, "params": params}

    assert cell_label(cell("none", guidance=3.0)) == "unmodified"
    assert cell_label(cell("none", guidance=1.5)) == "unmodified, guidance 1.5"
    assert cell_label(cell("none", guidance=3.0), guidance=5.0) == "unmodified, guidance 3"
    assert cell_label(cell("none")) == "unmodified"
    assert cell_label(cell("slerp", strength=0.2)) == "slerp, t = 0.2"
    assert cell_label(cell("irrelevant-negative", strength=2)) == "unrelated negative, w = 2 (placebo)"


@pytest.mark.parametrize(
    ("modifier", "strengths", "chosen"),
    [
        ("negative-prompting", [0.5, 2, 4], 2),
        ("slerp", [0.1, 0.2, 0.4], 0.2),
        ("x", [0.1, 0.5, 1], 0.5),
        ("x", [], None),
    ],
)
def test_the_primary_strength(modifier: str, strengths: list[float], chosen: float | None) -> None:
    assert primary(modifier, strengths) == chosen


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> Table:
    rows = (
        (text("Δ_T"), number(Value(0.123456789, 0.1, 0.2), "cosine"), text("a | b_c & 5 %")),
        (text("NP"), number(Value(None, why="no reason <b>"), "cosine"), text("", "another")),
        (text("PNP"), number(Value(None, why="no reason <b>"), "cosine", beside=" (paper 1.0)"), text("x")),
    )
    return Table("t", "A title", ("", "value ↑", "words"), rows)


def test_equal_reasons_share_a_footnote(table: Table) -> None:
    assert table.notes() == ["no reason <b>", "another"]
    markdown = table.markdown()
    assert "| NP | n/a¹ | ² |" in markdown
    assert "| PNP | n/a (paper 1.0)¹ | x |" in markdown
    assert markdown.endswith("¹ no reason \\<b>; ² another.")


def test_markdown_keeps_its_columns(table: Table) -> None:
    lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
    assert lines[1] == "| :-- | --: | :-- |"
    assert all(line.replace("\\|", "").count("|") == 4 for line in lines)


def test_csv_has_full_precision_and_interval_columns(table: Table) -> None:
    lines = table.csv().splitlines()
    assert lines[0] == ",value ↑,value ↑ lo,value ↑ hi,words"
    assert lines[1] == "Δ_T,0.123456789,0.1,0.2,a | b_c & 5 %"
    assert lines[2] == "NP,,,,"


def test_tex_is_escaped_and_balanced(table: Table) -> None:
    tex = table.tex()
    assert r"$\Delta_T$ & 0.12 [0.10, 0.20] & a | b\_c \& 5 \% \\" in tex
    assert r"value $\uparrow$" in tex
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 1


def test_ten_footnotes_have_ten_marks() -> None:
    table = Table("t", "t", ("",), tuple((Entry("x", None, f"note {i}"),) for i in range(12)))
    marks = [row[0] for row in table.printed()]
    assert marks[9] == "x¹⁰"
    assert len(set(marks)) == 12


def test_escape_takes_the_markup_out() -> None:
    assert escape("a|b\n`c` *d* <e> ![f](g)") == "a\\|b \\`c\\` \\*d\\* \\<e> !\\[f\\](g)"
