"""The part of a run's page about single prompts: what it shows, of how many, and when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.report import _run_page
from bench.report._run_page_data import _Marks, comparisons, says
from bench.report.build import build_report
from bench.report.load import Run

NBSP = "\N{NO-BREAK SPACE}"

# --- what is shown ----------------------------------------------------------------------------------------------------


def test_tracks_are_marked_for_the_value_the_target_and_where_they_went(
    toy: Any, make_run: Callable[..., Path]
) -> None:
    first, second = toy.page(make_run()).all("details", "prompt")
    rock = "negated: rock"
    assert toy.lists(first) == [
        [("t00", ["target", rock, "now 3"]), ("t03", [rock, "left"]), ("t01", ["now 1"]), ("t06", [rock, "left"])],
        [("t01", ["was 3"]), ("t02", ["came"]), ("t00", ["target", rock, "was 1"]), ("t04", ["came"])],
    ]
    # t01 is this one's target, and stands second before.
    assert toy.lists(second)[0][1] == ("t01", ["target", "now 1"])
    assert first.all(cls="tally")[0].text == (
        "negated (rock): 3 of 4 before, 1 after · 2 of 4 tracks left · target at rank 3, then 7.5"
    )


def test_a_prompt_says_what_was_asked_and_what_is_true(toy: Any, make_run: Callable[..., Path]) -> None:
    page = toy.page(make_run())
    second = page.all("details", "prompt")[1]
    assert [(row.all("dt")[0].text, row.all("dd")[0].text) for row in second.all("dl")[0].all("div")] == [
        ("Prompt", "A jazz song"),
        ("Without", "rock music"),
        (
            "Target",
            f"t01: jazz · calm · lead piano · with organ, flute · 101{NBSP}bpm · F{NBSP}minor",
        ),
    ]
    assert [head.text for head in second.all("h5")] == ["Before: unmodified", "After: NP, w = 2"]
    says = second.all("div", "says")[0].text
    assert says == f"rock · calm · lead piano · 103{NBSP}bpm · F{NBSP}minor"


def test_the_modifier_is_chosen_by_a_labelled_select(toy: Any, make_run: Callable[..., Path]) -> None:
    page = toy.page(make_run())
    method, part = page.all("select")
    assert [(option.text, "selected" in option.attrs) for option in method.all("option")] == [
        ("NP, w = 0.5", False), ("NP, w = 2", True),
    ]  # fmt: skip
    assert [option.text for option in part.all("option")] == ["everything", "genre"]
    labels = {label.attrs["for"]: label.text for label in page.all("label")}
    assert labels == {method.attrs["id"]: "Modified by", part.attrs["id"]: "Prompts about"}


def test_before_is_the_query_at_the_guidance_that_the_method_is_measured_against(
    toy: Any,
    make_run: Callable[..., Path],
) -> None:
    folder = make_run()
    summary = json.loads((folder / "summary.json").read_text())
    plain = {**summary["cells"][0], "key": "plain15", "params": {**summary["cells"][0]["params"], "guidance": 1.5}}
    summary["cells"].append(plain)
    (folder / "summary.json").write_text(json.dumps(summary))
    toy.frame({name: ["t09"] for name in toy.BEFORE}).to_parquet(folder / "per_query" / "plain15.parquet")
    one = toy.only(comparisons(Run(folder), None))
    # NP at w is measured against guidance 1 + w.
    assert {method.label: one.cells[method.before] for method in one.methods} == {
        "NP, w = 0.5": "unmodified, guidance 1.5", "NP, w = 2": "unmodified",
    }  # fmt: skip
    assert one.prompts[0].lists[one.methods[0].before] == ("t09",)


def test_the_script_is_given_the_same_lists(toy: Any, make_run: Callable[..., Path]) -> None:
    page = toy.page(make_run())
    (data,) = json.loads(next(s for s in page.all("script") if s.attrs.get("id") == "run-data").text)
    ids = [track[0] for track in data["tracks"]]
    chosen = data["methods"][data["first"]]
    for prompt, shown in zip(data["prompts"], page.all("details", "prompt"), strict=True):
        for cell, rows in zip((chosen["before"], chosen["cell"]), toy.lists(shown), strict=True):
            assert [ids[track] for track in prompt["lists"][cell]] == [track for track, _ in rows]
        ((word, value, tracks, good),) = prompt["marks"]
        marked = {track for rows in toy.lists(shown) for track, marks in rows if f"{word}: {value}" in marks}
        assert marked <= {ids[track] for track in tracks} <= {t for i, t in enumerate(toy.TRACKS) if i % 3 == 0}
        assert good is False


REFINED = {"refinements": [
    {"id": "r0", "kind": "quality", "caption": "c0", "prompt": "A rock song", "edit": "A jazz song", "added": "jazz",
     "removed": "rock", "gained": [{"attribute": "genre", "in": ["jazz"]}],
     "lost": [{"attribute": "genre", "in": ["rock"]}]},
    {"id": "r1", "kind": "detail", "caption": "c1", "prompt": "A jazz song", "edit": "A slow jazz song",
     "added": "slow", "gained": [{"attribute": "bpm", "max": 101}], "lost": []},
]}  # fmt: skip


def test_refinements_tell_what_is_wanted_and_what_no_longer_is(toy: Any, make_run: Callable[..., Path]) -> None:
    folder = make_run(
        {"r0|x": ["t00", "t01"], "r1|x": ["t00", "t02"]}, {"r0|x": ["t01", "t02"], "r1|x": []}, REFINED, "sdedit"
    )
    for file in (folder / "per_query").glob("*.parquet"):
        frame = pd.read_parquet(file)
        frame["query_id"] = frame["query_id"].str.removesuffix("|x")
        frame.drop(columns=["negative_id", "category"]).to_parquet(file)
    first, second = toy.page(folder).all("details", "prompt")
    assert toy.lists(first) == [
        [("t00", ["target", "no longer wanted: rock", "left"]), ("t01", ["wanted: jazz", "now 1"])],
        [("t01", ["wanted: jazz", "was 2"]), ("t02", ["came"])],
    ]
    assert "changed to “A jazz song”" in first.all("h4")[0].text
    assert toy.lists(second)[0][0] == ("t00", ["wanted: at most 101 bpm", "left"])
    assert second.all("p", "none")[0].text.startswith("No list")


def test_edits_of_tracks_show_the_track_and_its_twins(toy: Any, make_run: Callable[..., Path]) -> None:
    twin = "t01~accompaniment=organ+flute+harp"
    folder = make_run(
        {"t01|harp": ["t02", twin]}, {"t01|harp": [twin, "t03"]},
        {"track_edits": [{"id": "plain", "text": "with {instrument}"}]}, "ddim-inversion",
    )  # fmt: skip
    for file in (folder / "per_query").glob("*.parquet"):
        pd.read_parquet(file).assign(relevant_id=twin).to_parquet(file)
    (shown,) = toy.page(folder).all("details", "prompt")
    assert toy.lists(shown)[1] == [(twin, ["target", "wanted: harp", "was 2"]), ("t03", ["came"])]
    asked = {row.all("dt")[0].text: row.all("dd")[0].text for row in shown.all("dl")[0].all("div")}
    assert asked["Track"].startswith("t01: jazz · calm · lead piano · with organ, flute · ")
    assert asked["This track, but"] == "with harp"
    assert "with organ, flute, harp" in asked["Target"]


# --- which prompts, and how much --------------------------------------------------------------------------------------


def _many(toy: Any, negatives: int, each: int) -> tuple[dict[str, list[str]], dict[str, Any]]:
    lists = {f"c{i % 12}|no-{n:02d}": ["t00", "t01"] for n in range(negatives) for i in range(each)}
    (one,) = toy.NO_ROCK["negatives"]
    return lists, {"negatives": [{**one, "id": f"no-{n:02d}"} for n in range(negatives)]}


@pytest.mark.parametrize(("limit", "different"), [(7, 7), (10, 10), (25, 10), (None, 10)])
def test_prompts_are_spread_over_the_negatives(
    toy: Any, make_run: Callable[..., Path], load_toy: Any, limit: int | None, different: int
) -> None:
    load_toy(toy.dataset([f"caption {i}" for i in range(12)]))
    lists, prompts = _many(toy, 10, 6)
    one = toy.only(comparisons(Run(make_run(lists, lists, prompts)), limit))
    assert len(one.prompts) == (60 if limit is None else limit)
    assert one.total == 60
    asked = [prompt.query_id.split("|")[1] for prompt in one.prompts]
    assert len(set(asked)) == different
    assert max(asked.count(name) for name in asked) - min(asked.count(name) for name in asked) <= 1
    assert len({prompt.query_id for prompt in one.prompts}) == len(one.prompts)


def test_a_page_that_would_be_too_large_keeps_primary_strengths_then_fewer_prompts(
    toy: Any, make_run: Callable[..., Path], load_toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_toy(toy.dataset([f"caption {i}" for i in range(12)]))
    lists, prompts = _many(toy, 10, 12)
    folder = make_run(lists, lists, prompts, strengths=tuple(range(1, 30)))
    whole = _run_page.prompts_section(Run(folder), folder, None)
    assert whole is not None
    sizes = {}
    for share in (0.97, 0.4):
        monkeypatch.setattr(_run_page, "LIMIT", int(share * len(whole.html)))
        made = _run_page.prompts_section(Run(folder), folder, None)
        assert made is not None
        assert len(made.html) <= share * len(whole.html)
        page = toy.read(made.html)
        sizes[share] = (len(page.all("select")[0].all("option")), len(page.all("details")))
        assert f"{sizes[share][1]} of 120 queries" in page.text
        assert ("only its primary strength" in page.text) == (sizes[share][0] == 1)
    assert sizes[0.97] == (1, 120)
    assert 20 < sizes[0.4][1] < 120


def test_all_prompts_of_a_large_run_stay_below_three_million_bytes(
    toy: Any, make_run: Callable[..., Path], load_toy: Any
) -> None:
    load_toy(toy.dataset([f"caption {i} " + "word " * 40 for i in range(12)]))
    prompts = _many(toy, 1500, 1)[1]
    lists = {f"c{n % 12}|no-{n:02d}": toy.TRACKS[:10] for n in range(1500)}
    page = build_report(make_run(lists, lists, prompts), form="html", prompts=None)
    assert page.stat().st_size < 3_000_000
    shown = len(toy.read(page.read_text()).all("details"))
    assert shown > 500
    assert f"{shown} of 1500 queries" in page.read_text()


# --- what cannot be shown ---------------------------------------------------------------------------------------------


def test_another_dataset_than_the_measured_one_is_not_shown(
    toy: Any, make_run: Callable[..., Path], load_toy: Any
) -> None:
    load_toy(toy.dataset(["A rock song", "A jazz song"], fingerprint="another"))
    page = toy.page(make_run())
    assert "dataset 'toy' is another one here than the one that was measured" in page.text
    assert not page.all("details")
    assert not page.all("script")


def test_a_dataset_that_is_not_here_leaves_the_report_whole(toy: Any, make_run: Callable[..., Path]) -> None:
    folder = make_run()
    file = folder / "suite.resolved.yaml"
    file.write_text(file.read_text().replace('"name": "toy"', '"name": "toyland"'))
    page = toy.page(folder)
    assert "the dataset cannot be loaded here (unknown dataset 'toyland'" in page.text
    assert page.all("table")


def test_queries_that_the_suite_does_not_know_are_told(toy: Any, make_run: Callable[..., Path], tmp_path: Path) -> None:
    other = {"negatives": [{**toy.NO_ROCK["negatives"][0], "id": "no-jazz"}]}
    page = build_report(make_run(prompts=other), out=tmp_path / "out", form="html").read_text()
    assert "Not shown: the run&#x27;s queries name the negative &#x27;no-rock&#x27;, which there is not" in page


def test_attributes_that_a_track_has_not_are_said_in_words() -> None:
    truth = pd.DataFrame({
        "track_id": ["a", "b"], "genre": "rock", "drums": ["none", "brushes"], "bass": ["synth bass", None],
    })  # fmt: skip
    assert says(truth, ["a", "b", "c"]) == {
        "a": "rock · synth bass · no drums", "b": "rock · drums: brushes", "c": "truth not known",
    }  # fmt: skip
    marks = _Marks(truth, {"a", "b"})
    said = {
        "drums": {"attribute": "drums", "not_in": ["none"]}, "no drums": {"attribute": "drums", "in": ["none"]},
        "brushes or no drums": {"attribute": "drums", "in": ["brushes", "none"]},
        "no brushes or electronic": {"attribute": "drums", "not_in": ["brushes", "electronic"]},
    }  # fmt: skip
    assert [marks("negated", [where], good=False).value for where in said.values()] == list(said)
    assert marks("negated", [said["drums"]], good=False).tracks == {"b"}
    assert marks("negated", [said["no drums"]], good=False).tracks == {"a"}


def test_a_run_without_its_lists_is_reported_without_prompts(toy: Any, make_run: Callable[..., Path]) -> None:
    folder = make_run()
    for file in (folder / "per_query").glob("*.parquet"):
        pd.read_parquet(file).drop(columns="top_10").to_parquet(file)
    assert "does not hold the lists of tracks" in toy.page(folder).text


def test_a_suite_that_modifies_nothing_has_no_such_part(toy: Any, make_retrieval_run: Callable[..., Path]) -> None:
    page = toy.page(make_retrieval_run())
    assert "before and after" not in page.text
    assert not page.all("nav")
