"""The pages of the suites: the paper's layout, ours beside its numbers, and what a run lacks is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.report import _page
from bench.report._groups import groups
from bench.report._page_editing import figure4, figure5
from bench.report._page_shift import condition, main_effect
from bench.report.build import build_report
from bench.report.load import Run
from bench.report.pages import LAYOUTS

Make = Callable[..., Any]
DESIGNS = [f"{p}-{t}-{c}" for p in ("x0", "eps") for t in ("t16", "t1") for c in ("tokens", "pooled")]
MIXES = [f"mix-{law}-{r}-{s}" for law in ("pc", "sd") for r in ("pc", "sd") for s in ("library", "describer")]
ALIGNED = ("gdr-clap", "clap", "gdr-clap-ot", "gdr-clap-placebo", "gdr-muscall", "muscall", "gdr-muscall-ot")
INVERSION = {"guidance_inversion": 1.0, "refine": 0, "steps": 50}
SCORES = ("CLAP(ZA+)", "CLAP(gen+)", "CLAP(gen:new)", "CLAP(ZT+)", "CLAP(ZT:new)", "CLAP(ZT:added)", "CLAP(ZT:removed)")

#: Suite -> metrics, retrievers, datasets.
GRIDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "retrieval": (("R@1", "R@5", "R@10", "NMedR"), ("gdr-clap", "clap", "ridge-clap"), ("pc", "sd", "pc-706")),
    "encoder-pairs": (("R@1", "R@10"), ("gdr-clap-t5", "gdr-clap", "gdr-mule-t5", "clap"), ("pc", "sd")),
    "query-quality": (
        ("R@5", "FAD(jam)", "CLAP(ZA+)", "MINVS", "cMMD(true)"),
        ("gdr-clap", "mlp-diffusion", "mlp-diffusion-bug", "unet-regression", "mlp-regression", "ridge-clap"), ("sd",),
    ),
    "datasets": (
        ("Tracks", "Captions", "Hours", "Words", "Negation%", "R@10"), ("clap", "muscall"), ("pc", "sd", "mc"),
    ),
    "alignment": (("FTD(train)", "FADreal(train)", "R@5", "FAD(eval)", "R@10(norm)"), ALIGNED, ("pc", "sd", "mc")),
    "domain-shift": (("R@10", "R@10(norm)"), ("gdr-clap", "clap"), tuple(MIXES)),
    "ablation": (("R@10", "FAD(jam)"), tuple(DESIGNS), ("sd", "pc")),
    "sensitivity": (("R@10", "MRR"), ("gdr-clap", "guidance-1"), ("pc", "sd")),
}  # fmt: skip
EDITING = ("inversion", "inversion-trajectory", "track-edits")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No pictures and HTML are made; the list holds the names of the figures that would be."""
    names: list[str] = []
    monkeypatch.setattr(_page, "save_figure", lambda figure, folder, name: names.append(name))
    monkeypatch.setattr(_page, "html_page", lambda *_, **__: "")
    return names


def _grid(make: Make, suite: str, without: str | None = None) -> Any:
    metrics, retrievers, datasets = GRIDS[suite]
    made = make(suite, tuple(m for m in metrics if m != without))
    for dataset in datasets:
        for retriever in retrievers:
            made.add(retriever, dataset)
    return made


def _editing(make: Make, suite: str, without: str | None = None) -> Any:
    metrics = (*SCORES, "gained@10", "wanted_share@10", "kept@10", "R@1", "R@10")
    made = make(suite, tuple(m for m in metrics if m != without))
    made.add("gdr-clap")
    for noise in ("new", "same"):
        made.add("gdr-clap", modifier="regeneration", noise=noise)
    for strength in (0.2, 0.4, 0.8):
        made.add("gdr-clap", modifier="ddim-inversion", strength=strength, **INVERSION)
        made.add("gdr-clap", modifier="sdedit", strength=strength, steps=50)
    made.add_family("ddim-inversion", INVERSION, (0.2, 0.4, 0.8))
    made.resolved |= {
        "modifiers": [{"name": "ddim-inversion", "options": {}, "primary": 0.4}],
        "prompts": {"refinements": [{"id": "q0"}, {"id": "q3", "figure4": True, "prompt": "A | b", "edit": "c"}]},
    }
    return made


def _made(make: Make, suite: str, without: str | None = None) -> Any:
    return _editing(make, suite, without) if suite in EDITING else _grid(make, suite, without)


def _rows(markdown: str, title: str) -> list[list[str]]:
    block = markdown.split(f"**{title}**", 1)[1].split("\n\n")[1]
    return [[c.strip() for c in line.strip("|").split(" |")] for line in block.splitlines()]


def _built(made: Any, tmp_path: Path) -> tuple[str, Run]:
    folder = made.write(tmp_path)
    return build_report(folder).read_text(), Run(folder)


# --- every layout -----------------------------------------------------------------------------------------------------


def test_every_layout_is_tried_here() -> None:
    assert set(LAYOUTS) == {*GRIDS, *EDITING}


@pytest.mark.parametrize("suite", [*GRIDS, *EDITING])
def test_a_metric_that_a_run_lacks_is_left_out(
    suite: str, tmp_path: Path, suite_folder: Make, plain: list[str]
) -> None:
    metrics = (*SCORES, "gained@10", "R@10") if suite in EDITING else GRIDS[suite][0]
    for place, metric in enumerate(metrics):
        text, _ = _built(_made(suite_folder, suite, metric), tmp_path / str(place))
        heads = [line for line in text.splitlines() if line.startswith("|")]
        assert not any(f" {metric} " in line.replace("|", " ") for line in heads), metric


@pytest.mark.parametrize("suite", [*GRIDS, *EDITING])
def test_a_page_of_one_cell_is_built(suite: str, tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    made = suite_folder(suite, ("R@10",))
    made.add("gdr-clap")
    text, _ = _built(made, tmp_path)
    assert text.startswith(f"# Suite {suite}\n")


def test_a_suite_without_a_layout_has_the_general_page(tmp_path: Path, suite_folder: Make) -> None:
    made = suite_folder("my-own", ("R@10", "MRR"))
    made.add("gdr-clap")
    made.add("gdr-clap", modifier="slerp", strength=0.5, toward="edit")
    text, _ = _built(made, tmp_path)
    assert [row[0] for row in _rows(text, "Retrieval on SD")[2:]] == [
        "GDR-CLAP",
        "GDR-CLAP, slerp to the edit, t = 0.5",
    ]


# --- tables -----------------------------------------------------------------------------------------------------------


def test_table_2_is_one_table_of_systems_by_dataset_and_metric(
    tmp_path: Path, suite_folder: Make, plain: list[str]
) -> None:
    text, run = _built(_grid(suite_folder, "retrieval"), tmp_path)
    head, _, *rows = _rows(text, "Table 2, ours (paper)")
    assert head[1:] == [f"{d} {m}" for d in ("PC", "SD") for m in ("R@1 ↑", "R@5 ↑", "R@10 ↑", "NMedR ↓")]
    assert [row[0] for row in rows] == ["GDR-CLAP", "CLAP", "ridge-CLAP"]
    assert [entry.split(" ", 1)[1] for entry in rows[0][5:]] == [f"(paper {n})" for n in (4.7, 15.3, 24.7, 3.8)]
    assert not any("paper" in entry for entry in rows[2])
    assert (run.folder / "tables" / "table2.csv").is_file()
    assert plain == ["recall"]


def test_table_4_has_a_row_a_model_and_metric(tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    text, _ = _built(_grid(suite_folder, "encoder-pairs"), tmp_path)
    rows = _rows(text, "Table 4, ours (paper)")[2:]
    assert [row[:2] for row in rows[:3]] == [["GDR-CLAP-T5", "R@1 ↑"], ["GDR-CLAP-T5", "R@10 ↑"], ["GDR-CLAP", "R@1 ↑"]]
    assert rows[1][2] == "0.2 [0.2, 0.2] (paper 29.2)"
    assert rows[1][3].endswith("(paper 25.1)")
    assert "paper" not in rows[-1][2]


def test_table_5_has_the_diffusion_mlp_both_ways_and_the_floor(
    tmp_path: Path, suite_folder: Make, plain: list[str]
) -> None:
    made = _grid(suite_folder, "query-quality")
    made.info["FAD(jam)"]["floor"] = 0.0113
    text, _ = _built(made, tmp_path)
    rows = {row[0]: row[1:] for row in _rows(text, "Table 5, ours (paper)")[2:]}
    assert rows["MLP diffusion"][3].endswith("(paper 4.53)")
    assert rows["MLP diffusion (dropout bug)"][3].endswith("(paper 4.53)")
    assert rows["real tracks"] == ["n/a¹", "0.0113", "n/a¹", "n/a¹"]
    assert "¹ not measured on real tracks" in text
    assert "cMMD(true)" in text.split("## Beyond Table 5")[1]


def test_table_1_sets_counts_beside_the_papers(tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    text, _ = _built(_grid(suite_folder, "datasets"), tmp_path)
    rows = {row[0]: row[1:] for row in _rows(text, "Table 1, ours (paper)")[2:]}
    assert [entry.split(" ", 1)[1] for entry in rows["SD"][:3]] == ["(paper 700)", "(paper 1100)", "(paper 23.3)"]
    assert [row[-1] for row in rows.values()] == ["training, evaluation", "evaluation", "evaluation"]


def test_table_3_takes_each_column_from_its_own_cell(tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    made = _grid(suite_folder, "alignment")
    text, run = _built(made, tmp_path)
    rows = {tuple(row[:2]): row[2:] for row in _rows(text, "Table 3, ours (paper)")[2:]}
    (aligned,) = run.cells(retriever="gdr-muscall-ot", dataset="sd")
    value = aligned["metrics"]["FAD(eval)"]["value"]
    assert rows["MusCALL", "SD"][4] == f"{value:.3f} [{value - 0.02:.3f}, {value + 0.02:.3f}] (paper ~0)"
    assert rows["MusCALL", "SD"][0].endswith("(paper 0.14)")
    assert "paper" not in rows["CLAP", "SD"][0], "the paper could not measure CLAP's training set"
    assert rows["MusCALL", "SD"][8].startswith("n/a"), "this run has no placebo for MusCALL"


def test_the_ablation_is_a_table_of_its_three_choices(tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    text, _ = _built(_grid(suite_folder, "ablation"), tmp_path)
    rows = _rows(text, "Design, on SD")[2:]
    assert [row[:3] for row in rows[:2]] == [["clean latent (x0)", "16", t] for t in ("tokens", "pooled")]
    assert len({tuple(row[:3]) for row in rows}) == 8


# --- the factorial ----------------------------------------------------------------------------------------------------


def test_dials_are_read_from_a_datasets_id() -> None:
    found = condition("mix-sd-pc-describer")
    assert found is not None
    assert (found.law, found.rendering, found.style) == ("sd", "pc", "describer")
    assert [condition(name) for name in ("sd", "mix-sd-pc", "mix-sd-pc-other", "mix-library-pc-sd")] == [None] * 4


def test_the_cost_of_a_dial_is_the_mean_over_the_others(tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    made = _grid(suite_folder, "domain-shift")
    rng = np.random.default_rng(0)
    for cell in made.cells:
        made.frames[cell["key"]]["R@10"] = rng.random(6)
    _, run = _built(made, tmp_path)
    frames = {condition(c["dataset"]): made.frames[c["key"]]["R@10"] for c in made.cells if c["retriever"] == "clap"}
    for dial, level in (("law", "sd"), ("rendering", "sd"), ("style", "describer")):
        there = [f.mean() for dials, f in frames.items() if getattr(dials, dial) == level]
        away = [f.mean() for dials, f in frames.items() if getattr(dials, dial) != level]
        assert main_effect(run, "clap", dial).value == pytest.approx(np.mean(there) - np.mean(away))
    # Rendering is paired by track: the error is that of the tracks' own differences, law by law.
    signs = {"sd": 1, "pc": -1}
    own = [
        sum(signs[d.rendering] * f.to_numpy() for d, f in frames.items() if d is not None and d.law == law) / 4
        for law in ("pc", "sd")
    ]
    half = 2.5706 * np.sqrt(sum(np.var(x, ddof=1) / len(x) for x in own))
    value = main_effect(run, "clap", "rendering")
    assert value.hi is not None
    assert value.value is not None
    assert value.hi - value.value == pytest.approx(half, rel=1e-3)


def test_the_cost_of_a_dial_needs_the_whole_factorial(tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    made = suite_folder("domain-shift", ("R@10",))
    for dataset in MIXES[:7]:
        made.add("clap", dataset)
    _, run = _built(made, tmp_path)
    assert main_effect(run, "clap", "style").why == "the factorial is not whole"
    assert plain == []


# --- editing ----------------------------------------------------------------------------------------------------------


def test_figure_5_compares_five_targets_at_the_suites_strength(
    tmp_path: Path, suite_folder: Make, plain: list[str]
) -> None:
    text, run = _built(_editing(suite_folder, "inversion"), tmp_path)
    assert plain == ["figure5", "frontier"]
    head, _, *rows = _rows(text, "Figure 5 in numbers")
    assert head[1:] == [
        "unedited",
        "regeneration, new noise",
        "regeneration, same noise",
        "DDIM inversion, 20 of 50 steps",
    ]
    assert rows[1][0] == "CLAP(gen+): first query"
    figure = figure5(groups(run)[0])
    assert figure is not None
    names = [[tick.get_text().split(" (")[0] for tick in axes.get_yticklabels()] for axes in figure.axes]
    assert names == [
        ["target track", "first query", "query of the refined\nprompt"],
        ["first prompt", "refined prompt"],
    ]


def test_the_frontier_of_an_edit_says_what_its_axes_are(tmp_path: Path, suite_folder: Make) -> None:
    from bench.report._page_editing import GAINED
    from bench.report.figures import frontier_figure

    folder = _editing(suite_folder, "inversion").write(tmp_path)
    figure = frontier_figure(groups(Run(folder))[0], GAINED)
    assert figure is not None
    (axes,) = figure.axes
    assert "gained@10" in axes.get_xlabel()
    assert "CLAP(gen+)" in axes.get_ylabel()
    labels = {str(line.get_label()) for line in axes.get_lines()}
    assert {"unedited", "DDIM inversion"} <= labels
    assert "oracle" not in labels
    ring = next(line for line in axes.get_lines() if line.get_markersize() == 10.5)
    assert ring.get_xdata()[0] == pytest.approx(0.3 * 0.4), "a ring marks the suite's own strength"


def test_figure_4_goes_by_inversion_steps_for_one_pair_and_the_mean(
    tmp_path: Path, suite_folder: Make, plain: list[str]
) -> None:
    text, run = _built(_editing(suite_folder, "inversion-trajectory"), tmp_path)
    assert "The pair: “A \\| b” made “c”." in text
    assert [row[0] for row in _rows(text, "Figure 4 in numbers: mean of all refinements")[2:]] == [
        "0",
        "10",
        "20",
        "40",
    ]
    assert plain == ["figure4", "frontier"]
    group = groups(run)[0]
    members = next(m for m in group.families() if m[0]["modifier"] == "ddim-inversion")
    figure = figure4(group, members, {"id": "q3"})
    assert figure is not None
    assert len(figure.axes) == 4
    lines = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    line = lines["first query (gen+)"]
    assert list(line.get_xdata()) == [0, 10, 20, 40]
    assert line.get_ydata()[2] == pytest.approx(run.per_query(members[1]["key"])["CLAP(gen+)"][3])
    assert not figure.axes[0].collections, "one query has no interval"
    assert len(figure.axes[2].collections) == 3
    without = figure4(group, members, None)
    assert without is not None
    assert len(without.axes) == 2


def test_track_edits_show_the_twin_by_method_and_strength(tmp_path: Path, suite_folder: Make, plain: list[str]) -> None:
    text, run = _built(_editing(suite_folder, "track-edits"), tmp_path)
    names = [row[0] for row in _rows(text, "The exact twin, by method and strength")[2:]]
    assert len(names) == len(run.summary["cells"])
    assert "DDIM inversion, 40 of 50 steps" in names
    assert plain == ["twin", "frontier"]
