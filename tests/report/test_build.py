"""Reports of a run: what stands in them, that they are the same each time, and that they need nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.errors import UserError
from bench.report._groups import PAPER_ARMS, groups, slices
from bench.report._page_negation import category_marks
from bench.report._tables_negation import by_truth, sweep_table
from bench.report.build import build_index, build_report
from bench.report.load import Run
from bench.report.tables import stability

MakeRun = Callable[..., Path]


def _rows(markdown: str, title: str) -> dict[str, list[str]]:
    """Rows of the table below a title, by their first column."""
    block = markdown.split(f"**{title}**", 1)[1].split("\n\n")[1]
    cells = [[c.strip() for c in line.strip("|").split(" |")] for line in block.splitlines()]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture(scope="module")
def report(negation_run: Path) -> str:
    return (negation_run / "report.md").read_text()


# --- what it says -----------------------------------------------------------------------------------------------------


def test_the_head_says_what_the_numbers_stand_on(report: str) -> None:
    assert "SD (gmcaps/sd) · N = 706 tracks · n = 200 queries · chance R@10 1.4 % · sampler dpm++2m-10" in report
    assert "· sampler dpm++2m-10 · K = 3 · preset quick\n" in report


def test_the_sections_are_in_order(report: str) -> None:
    numbers = [int(n) for n in re.findall(r"^## (\d)\.", report, re.M)]
    assert numbers == list(range(1, 9))


def test_table6_prints_ours_beside_the_papers(report: str, negation_run: Path) -> None:
    run = Run(negation_run)
    table = _rows(report, "Table 6, ours (paper)")
    assert table[""] == ["unmodified", "NP, w = 2", "Δ_T, w = 2", "Δ_A, w = 2", "PNP"]
    (cell,) = run.cells(modifier="text-interpolation", vectors="raw")
    ours = f"{run.value(cell, 'FAD(jam)').value:.3g}"
    assert table["FAD(jam) ↓"][2] == f"{ours} (paper 3.12)"
    assert [row[1].split("(")[1] for name, row in table.items() if "CLAP" in name] == [
        "paper 0.66)", "paper 0.85)", "paper 0.39)", "paper 0.21)", "paper 0.08)",
    ]  # fmt: skip
    assert "real tracks score at the same n: FAD(jam) 0.0113, FADunit(jam) 0.0101" in report


def test_every_method_is_at_its_primary_strength_and_placebos_are_marked(report: str) -> None:
    names = list(_rows(report, "What the results hold"))
    assert "slerp, t = 0.2" in names
    assert "NP, w = 2" in names
    assert sum("(placebo)" in name for name in names) == 2
    assert not any("w = 4" in name for name in names)


def test_the_unmodified_row_is_the_suites_guidance_and_no_replicate(negation_run: Path) -> None:
    (group,) = groups(Run(negation_run))
    assert group.unmodified is not None
    assert group.unmodified["params"]["guidance"] == 3.0
    assert not any(cell["replicate"] for cell in group.cells)


def test_the_sweep_has_every_modified_cell(negation_run: Path) -> None:
    (group,) = groups(Run(negation_run))
    assert len(sweep_table(group).rows) == sum(cell["modifier"] != "none" for cell in group.cells)
    at_zero = [row for row in sweep_table(group).rows if row[0].text == "NP" and row[1].text == "0"]
    assert at_zero[0][2].note == "w = 0 is plain guidance 1, no point of the sweep"


def test_claims_tell_verdict_stability_and_whose_they_are(report: str) -> None:
    claims = _rows(report, "Claims")
    assert claims["np-removes-beyond-placebo"][1:] == [
        "supported", "0.300 [0.260, 0.340]", "0.02", "0.004", "3/3 supported", "not a claim of the paper",
    ]  # fmt: skip
    assert claims["np-closest-to-query"][5:] == ["2/3 contradicted, 1 inconclusive", "states it (Table 6)"]
    assert "- Contradicted: the paper's claim (Table 6) `np-closest-to-query`" in report
    assert "requires x \\| y" in report


def test_stability_of_one_seed_claims_nothing() -> None:
    assert stability({"verdict": "supported", "stability": {"gdr-clap": "supported"}}) == "one seed"
    assert stability({"verdict": "supported"}) == "one seed"


@pytest.mark.parametrize(
    ("missing", "marks"),
    [
        (["key"], {"key": "not encoded in this space"}),
        ([], {}),
        (["mode"], {"key": "mode not encoded in this space"}),
        (["mood", "lead"], {"mood": "not encoded in this space", "instrumentation": "not encoded in this space"}),
    ],
)
def test_categories_that_a_space_does_not_hold_are_marked(
    make_retrieval_run: MakeRun, missing: list[str], marks: dict[str, str]
) -> None:
    def edit(summary: dict[str, Any]) -> None:
        probe = {"accuracy": 0.5, "chance": 0.1}
        summary["space_probes"] = {"mini-clap": {"sd": dict.fromkeys(("genre", "mood", "lead", "key", "tempo"), probe)}}
        summary["not_encoded"] = missing

    assert category_marks(Run(make_retrieval_run(edit))) == marks


def test_slices_are_means_over_their_pairs(negation_run: Path) -> None:
    (group,) = groups(Run(negation_run))
    parts = slices(group, "category", ("genre", "none such"), ("negated_share@10", "R@7"))
    assert [part.label for part in parts] == [arm.label for arm in PAPER_ARMS]
    cell = group.arm(PAPER_ARMS[1])
    assert cell is not None
    frame = group.run.per_query(cell["key"]).query("category == 'genre'")
    value = parts[1].values["negated_share@10"]
    assert value.value == pytest.approx(frame["negated_share@10"].mean())
    assert value.lo is not None
    assert value.hi is not None
    # Oracle for balanced clusters: a t interval over the ten negatives' own means.
    own = frame.groupby("negative_id")["negated_share@10"].mean()
    assert (value.hi - value.lo) / 2 == pytest.approx(2.262 * own.std() / 10**0.5, rel=1e-3)
    assert (parts[1].n, parts[1].negatives) == (40, 10)


# --- what is missing, and what must not be mixed ----------------------------------------------------------------------


def test_a_missing_cell_is_no_number_and_says_so(make_negation_run: MakeRun) -> None:
    def drop(summary: dict[str, Any]) -> None:
        summary["cells"] = [c for c in summary["cells"] if c["params"].get("vectors") != "raw"]
        summary["metric_info"].pop("FADunit(jam)")
        summary["families"] = []

    report = build_report(make_negation_run(edit=drop)).read_text()
    table = _rows(report, "Table 6, ours (paper)")
    assert table["CLAP(gen+) ↑"][2:4] == ["n/a (paper 0.65)¹", "n/a (paper 0.62)¹"]
    assert "¹ not a cell of this run" in report
    assert "FADunit" not in report
    assert "no frontiers" in report


def test_null_values_carry_their_reason(report: str, negation_run: Path) -> None:
    (group,) = groups(Run(negation_run))
    table = by_truth(group, ("MICS",))
    assert {entry.text[:3] for row in table.rows for entry in row[1:]} != {"n/a"}
    notes = [line for line in report.splitlines() if "w = 0 is plain guidance 1" in line]
    assert len(notes) == 1


def test_fingerprints_are_never_mixed(make_negation_run: MakeRun, make_retrieval_run: MakeRun) -> None:
    def other(summary: dict[str, Any]) -> None:
        summary["cells"][3]["data_fingerprint"] = "another"

    for folder in (make_negation_run(edit=other), make_retrieval_run(edit=other)):
        with pytest.raises(UserError, match=r"different data.*another.*--fresh"):
            build_report(folder)
        assert not (folder / "report.md").exists()


def test_two_retrievers_do_not_share_a_table(make_negation_run: MakeRun) -> None:
    def second(summary: dict[str, Any]) -> None:
        copies = [{**c, "retriever": "mlp-clap"} for c in summary["cells"] if not c["replicate"]]
        summary["cells"] += copies

    folder = make_negation_run(edit=second)
    report = build_report(folder).read_text()
    assert "## GDR-CLAP on SD, space mini-clap, seed 0" in report
    assert "## mlp-CLAP on SD, space mini-clap, seed 0" in report
    assert len(list((folder / "tables").glob("*table6.csv"))) == 2


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_markdown_is_the_same_byte_for_byte_anywhere(negation_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(negation_run, tmp_path / "elsewhere")
    for name in ("report.md", "report.html"):
        (copy / name).unlink()
    shutil.rmtree(copy / "figures")
    build_report(copy)
    files = [f for f in sorted(negation_run.rglob("*")) if f.is_file() and f.suffix != ".parquet"]
    assert len(files) > 20
    for file in files:
        assert file.read_bytes() == (copy / file.relative_to(negation_run)).read_bytes(), file.name
    assert str(negation_run) not in (negation_run / "report.md").read_text()


def test_tables_have_full_precision_beside_them(negation_run: Path) -> None:
    frame = pd.read_csv(negation_run / "tables" / "by-truth.csv", index_col=0)
    run = Run(negation_run)
    (cell,) = run.cells(modifier="negative-prompting", strength=2)
    entry = cell["metrics"]["kept@10"]
    assert frame.loc["NP, w = 2", ["kept@10 ↑", "kept@10 ↑ lo", "kept@10 ↑ hi"]].tolist() == [
        entry["value"],
        *entry["ci"],
    ]
    assert {f.stem for f in (negation_run / "tables").glob("*.csv")} == {
        f.stem for f in (negation_run / "tables").glob("*.tex")
    }


_VOID = ("meta", "img", "br")


class _Page(HTMLParser):
    """Collects the addresses and tags of a page, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in _VOID or self.open.pop() == tag


def test_the_page_needs_nothing_else(negation_run: Path) -> None:
    page = _Page()
    text = (negation_run / "report.html").read_text()
    page.feed(text)
    assert page.open == []
    assert len(page.addresses) == 2
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    assert "width=device-width" in text
    assert "@import" not in text


def test_text_of_a_suite_is_never_markup(make_retrieval_run: MakeRun) -> None:
    def hostile(summary: dict[str, Any]) -> None:
        summary["title"] = "<script>alert(1)</script> | ![x](http://example.org/x.png)"
        summary["claims"][0]["text"] = "a | b <img src=x> `c`"

    folder = make_retrieval_run(hostile)
    build_report(folder)
    page = _Page()
    page.feed((folder / "report.html").read_text())
    assert "script" not in page.tags
    assert page.open == []
    # The page's own figure, and nothing that the texts name.
    assert page.tags.count("img") == 1
    assert [address.split(",")[0] for address in page.addresses] == ["data:image/svg+xml;base64"]


def test_a_report_brings_no_torch() -> None:
    code = (
        "import sys, bench.report.build, bench.report.terminal\n"
        "print({'torch', 'transformers', 'matplotlib', 'pandas'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"


# --- retrieval --------------------------------------------------------------------------------------------------------


def test_a_retrieval_suite_has_a_table_a_dataset(make_retrieval_run: MakeRun) -> None:
    folder = make_retrieval_run()
    report = build_report(folder).read_text()
    assert re.findall(r"^## (.*)", report, re.M) == [
        "Table 2, the paper's layout", "PC", "PC restyled", "SD", "Claims",
    ]  # fmt: skip
    assert "N = 5500 tracks · n = 1000 queries · chance R@10 0.2 %" in report
    table = _rows(report, "Retrieval on SD")
    assert list(table)[2:] == ["CLAP", "MusCALL", "GDR-CLAP", "ridge-CLAP"]
    assert table["CLAP"][2] == "24.7 [23.7, 25.7]"


def test_the_papers_table_2_is_for_its_own_models_and_sets(make_retrieval_run: MakeRun) -> None:
    table = _rows(build_report(make_retrieval_run()).read_text(), "Table 2, ours (paper)")
    assert table["GDR-CLAP"][:4] == [
        "7.0 (paper 6.9)", "18.2 (paper 17.1)", "26.7 (paper 22.9)", "5.8 (paper 1.6)",
    ]  # fmt: skip
    assert len(table["ridge-CLAP"]) == 8
    assert "paper" not in "".join(table["ridge-CLAP"])
    assert not any("restyled" in column for column in table[""])


# --- index ------------------------------------------------------------------------------------------------------------


def test_the_index_has_a_page_a_suite_and_prefers_full(
    tmp_path: Path, make_negation_run: MakeRun, make_retrieval_run: MakeRun
) -> None:
    results, out = tmp_path / "results", tmp_path / "reports"
    for folder in (make_negation_run("full"), make_negation_run("quick"), make_retrieval_run()):
        shutil.copytree(folder, results / folder.parent.name / folder.name)
    index = build_index(results, out)
    text = index.read_text()
    assert index == out / "index.md"
    assert [line.split(" | ")[2] for line in text.splitlines() if line.startswith("| [")] == ["full", "quick"]
    claims = (out / "claims.md").read_text()
    assert "| [negative-prompting](negative-prompting.md) | full | np-closest-to-query |" in claims
    page = (out / "negative-prompting.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", page + text + claims):
        assert (out / target).is_file(), target
    # The HTML pages link to each other, and name the figures beside them.
    html = _Page()
    for name in ("index", "claims", "negative-prompting"):
        html.feed((out / f"{name}.html").read_text())
    assert {"negative-prompting.html", "negative-prompting/figures/frontier.svg"} <= set(html.addresses)
    assert all((out / address).is_file() for address in html.addresses)


def test_an_index_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bench run"):
        build_index(tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()
