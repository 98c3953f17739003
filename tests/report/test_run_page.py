"""The page of a run: what it shows of single prompts, that texts are never markup, and that it needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from ruamel.yaml import YAML

from bench import registry
from bench.cli import main
from bench.errors import UserError
from bench.protocols import Dataset
from bench.report import _run_page
from bench.report._run_page_data import Comparison, Unshown, comparisons
from bench.report.build import build_report
from bench.report.load import Run

NBSP = "\N{NO-BREAK SPACE}"
GENRES = ("rock", "jazz", "folk")
TRACKS = [f"t{i:02d}" for i in range(12)]
#: Caption c0 is on t00 (rock), c1 on t01 (jazz).
BEFORE = {"c0|no-rock": ["t00", "t03", "t01", "t06"], "c1|no-rock": ["t03", "t01", "t02", "t06"]}
AFTER = {"c0|no-rock": ["t01", "t02", "t00", "t04"], "c1|no-rock": ["t01", "t02", "t04", "t05"]}
HOSTILE = {
    "markup": "</script><script>window.hacked = 1</script><img src=x onerror=alert(1)> <!-- &amp; ]]>",
    "quotes": """he said "play 'it'" & `left` \\ {braces} %s""",
    "emoji": "a 🎸 solo 👩‍🎤 with ♯ and \u2028 \u2029 separators",
    "right to left": "موسيقى هادئة مع بيانو \u202e txet",
    "long": "word " * 1000 + "x" * 5000,
}


def _dataset(texts: list[str], fingerprint: str = "f-toy") -> Dataset:
    """Twelve tracks, their genre in turn; caption c<i> is on track i."""
    truth = pd.DataFrame({
        "track_id": TRACKS, "genre": [GENRES[i % 3] for i in range(12)], "mood": "calm", "lead": "piano",
        "accompaniment": [["organ", "flute"] if i == 1 else [] for i in range(12)], "key": "F", "mode": "minor",
        "bpm": [100 + i for i in range(12)],
    })  # fmt: skip
    captions = pd.DataFrame({
        "caption_id": [f"c{i}" for i in range(len(texts))], "track_id": TRACKS[: len(texts)], "text": texts,
        "stated": [[] for _ in texts],
    })  # fmt: skip
    return Dataset("toy", tuple(TRACKS), captions, truth, fingerprint)


@pytest.fixture
def load_toy() -> Iterator[Callable[[Dataset], None]]:
    """`load(dataset)`: what the registered dataset `toy` is."""
    held: dict[str, Dataset] = {"toy": _dataset(["A rock song", "A jazz song"])}

    class Toy:
        version = 1

        def load(self, **options: Any) -> Dataset:
            assert options == {"style": "plain"}
            return held["toy"]

    with registry.datasets.temporary("toy", Toy):
        yield lambda dataset: held.update(toy=dataset)


def _frame(lists: dict[str, list[str]], rank: float = 1.0) -> pd.DataFrame:
    ids = list(lists)
    tracks = [TRACKS[int(re.findall(r"\d+", name)[0])] for name in ids]
    return pd.DataFrame({
        "query_id": ids, "cluster_id": tracks, "relevant_id": tracks, "negative_id": [i.split("|")[1] for i in ids],
        "category": "genre", "phrasing": "plain", "target_set": "lacks", "rank": rank, "negated_share@10": 0.5,
        "top_10": list(lists.values()),
    })  # fmt: skip


NO_ROCK = {"negatives": [{
    "id": "no-rock", "category": "genre", "phrasing": "plain", "text": "rock music", "irrelevant": "in C",
    "where": [{"attribute": "genre", "in": ["rock"]}],
}]}  # fmt: skip


@pytest.fixture
def make_run(tmp_path: Path, load_toy: Any, suite_folder: Any) -> Callable[..., Path]:
    """`make(before, after, prompts)`: a run of one unmodified cell, and of NP at w = 0.5 and w = 2."""

    def make(
        before: dict[str, list[str]] = BEFORE,
        after: dict[str, list[str]] = AFTER,
        prompts: dict[str, Any] = NO_ROCK,
        modifier: str = "negative-prompting",
        strengths: tuple[float, ...] = (0.5, 2),
    ) -> Path:
        made = suite_folder("toy-suite", ("negated_share@10",))
        cells = [made.add("gdr-clap", "toy")]
        cells += [made.add("gdr-clap", "toy", modifier, strength=strength) for strength in strengths]
        for cell in cells:
            lists, rank = (after, 7.5) if cell["params"].get("strength") == 2 else (before, 3.0)
            cell["n_queries"] = len(lists)
            made.frames[cell["key"]] = _frame(lists, rank)
        made.resolved = {
            "datasets": [{"id": "toy", "name": "toy", "options": {"style": "plain"}}], "prompts": prompts,
            "settings": {"guidance": 3.0},
        }  # fmt: skip
        folder: Path = made.write(tmp_path / "results")
        return folder

    return make


def _only(found: list[Comparison | Unshown]) -> Comparison:
    (one,) = found
    assert isinstance(one, Comparison)
    return one


# --- a reader of pages ------------------------------------------------------------------------------------------------

VOID = ("meta", "img", "br", "input", "link")


class Node:
    """An element: its tag, attributes, children, and text."""

    def __init__(self, tag: str, attrs: dict[str, str]) -> None:
        self.tag, self.attrs, self.inside = tag, attrs, list[Any]()

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.inside)

    def all(self, tag: str = "", cls: str = "") -> list[Node]:
        found = []
        for part in self.inside:
            if isinstance(part, Node):
                if tag in ("", part.tag) and (not cls or cls in part.attrs.get("class", "").split()):
                    found.append(part)
                found += part.all(tag, cls)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def _read(html: str) -> Node:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1
    return reader.open[0]


def _page(run: Path, **options: Any) -> Node:
    return _read(build_report(run, form="html", **options).read_text())


def _lists(prompt: Node) -> list[list[tuple[str, list[str]]]]:
    """The two lists of a prompt: each track's id, and its marks in words."""
    return [
        [(row.all("span")[0].text, [mark.text for mark in row.all(cls="mark")]) for row in found.all("li")]
        for found in prompt.all("ol", "found")
    ]


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_tracks_are_marked_for_the_value_the_target_and_where_they_went(make_run: Callable[..., Path]) -> None:
    first, second = _page(make_run()).all("details", "prompt")
    rock = "negated: rock"
    assert _lists(first) == [
        [("t00", ["target", rock, "now 3"]), ("t03", [rock, "left"]), ("t01", ["now 1"]), ("t06", [rock, "left"])],
        [("t01", ["was 3"]), ("t02", ["came"]), ("t00", ["target", rock, "was 1"]), ("t04", ["came"])],
    ]
    # t01 is this one's target, and stands second before.
    assert _lists(second)[0][1] == ("t01", ["target", "now 1"])
    assert first.all(cls="tally")[0].text == (
        "negated (rock): 3 of 4 before, 1 after · 2 of 4 tracks left · target at rank 3, then 7.5"
    )


def test_a_prompt_says_what_was_asked_and_what_is_true(make_run: Callable[..., Path]) -> None:
    page = _page(make_run())
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


def test_the_modifier_is_chosen_by_a_labelled_select(make_run: Callable[..., Path]) -> None:
    page = _page(make_run())
    method, part = page.all("select")
    assert [(option.text, "selected" in option.attrs) for option in method.all("option")] == [
        ("NP, w = 0.5", False), ("NP, w = 2", True),
    ]  # fmt: skip
    assert [option.text for option in part.all("option")] == ["everything", "genre"]
    labels = {label.attrs["for"]: label.text for label in page.all("label")}
    assert labels == {method.attrs["id"]: "Modified by", part.attrs["id"]: "Prompts about"}


def test_before_is_the_query_at_the_guidance_that_the_method_is_measured_against(
    make_run: Callable[..., Path],
) -> None:
    folder = make_run()
    summary = json.loads((folder / "summary.json").read_text())
    plain = {**summary["cells"][0], "key": "plain15", "params": {**summary["cells"][0]["params"], "guidance": 1.5}}
    summary["cells"].append(plain)
    (folder / "summary.json").write_text(json.dumps(summary))
    _frame({name: ["t09"] for name in BEFORE}).to_parquet(folder / "per_query" / "plain15.parquet")
    one = _only(comparisons(Run(folder), None))
    # NP at w is measured against guidance 1 + w.
    assert {method.label: one.cells[method.before] for method in one.methods} == {
        "NP, w = 0.5": "unmodified, guidance 1.5", "NP, w = 2": "unmodified",
    }  # fmt: skip
    assert one.prompts[0].lists[one.methods[0].before] == ("t09",)


def test_the_script_is_given_the_same_lists(make_run: Callable[..., Path]) -> None:
    page = _page(make_run())
    (data,) = json.loads(next(s for s in page.all("script") if s.attrs.get("id") == "run-data").text)
    ids = [track[0] for track in data["tracks"]]
    chosen = data["methods"][data["first"]]
    for prompt, shown in zip(data["prompts"], page.all("details", "prompt"), strict=True):
        for cell, rows in zip((chosen["before"], chosen["cell"]), _lists(shown), strict=True):
            assert [ids[track] for track in prompt["lists"][cell]] == [track for track, _ in rows]
        ((word, value, tracks, good),) = prompt["marks"]
        marked = {track for rows in _lists(shown) for track, marks in rows if f"{word}: {value}" in marks}
        assert marked <= {ids[track] for track in tracks} <= {t for i, t in enumerate(TRACKS) if i % 3 == 0}
        assert good is False


REFINED = {"refinements": [
    {"id": "r0", "kind": "quality", "caption": "c0", "prompt": "A rock song", "edit": "A jazz song", "added": "jazz",
     "removed": "rock", "gained": [{"attribute": "genre", "in": ["jazz"]}],
     "lost": [{"attribute": "genre", "in": ["rock"]}]},
    {"id": "r1", "kind": "detail", "caption": "c1", "prompt": "A jazz song", "edit": "A slow jazz song",
     "added": "slow", "gained": [{"attribute": "bpm", "max": 101}], "lost": []},
]}  # fmt: skip


def test_refinements_tell_what_is_wanted_and_what_no_longer_is(make_run: Callable[..., Path]) -> None:
    folder = make_run(
        {"r0|x": ["t00", "t01"], "r1|x": ["t00", "t02"]}, {"r0|x": ["t01", "t02"], "r1|x": []}, REFINED, "sdedit"
    )
    for file in (folder / "per_query").glob("*.parquet"):
        frame = pd.read_parquet(file)
        frame["query_id"] = frame["query_id"].str.removesuffix("|x")
        frame.drop(columns=["negative_id", "category"]).to_parquet(file)
    first, second = _page(folder).all("details", "prompt")
    assert _lists(first) == [
        [("t00", ["target", "no longer wanted: rock", "left"]), ("t01", ["wanted: jazz", "now 1"])],
        [("t01", ["wanted: jazz", "was 2"]), ("t02", ["came"])],
    ]
    assert "changed to “A jazz song”" in first.all("h4")[0].text
    assert _lists(second)[0][0] == ("t00", ["wanted: at most 101 bpm", "left"])
    assert second.all("p", "none")[0].text.startswith("No list")


def test_edits_of_tracks_show_the_track_and_its_twins(make_run: Callable[..., Path]) -> None:
    twin = "t01~accompaniment=organ+flute+harp"
    folder = make_run(
        {"t01|harp": ["t02", twin]}, {"t01|harp": [twin, "t03"]},
        {"track_edits": [{"id": "plain", "text": "with {instrument}"}]}, "ddim-inversion",
    )  # fmt: skip
    for file in (folder / "per_query").glob("*.parquet"):
        pd.read_parquet(file).assign(relevant_id=twin).to_parquet(file)
    (shown,) = _page(folder).all("details", "prompt")
    assert _lists(shown)[1] == [(twin, ["target", "wanted: harp", "was 2"]), ("t03", ["came"])]
    asked = {row.all("dt")[0].text: row.all("dd")[0].text for row in shown.all("dl")[0].all("div")}
    assert asked["Track"].startswith("t01: jazz · calm · lead piano · with organ, flute · ")
    assert asked["This track, but"] == "with harp"
    assert "with organ, flute, harp" in asked["Target"]


# --- which prompts, and how much --------------------------------------------------------------------------------------


def _many(negatives: int, each: int) -> tuple[dict[str, list[str]], dict[str, Any]]:
    lists = {f"c{i % 12}|no-{n:02d}": ["t00", "t01"] for n in range(negatives) for i in range(each)}
    (one,) = NO_ROCK["negatives"]
    return lists, {"negatives": [{**one, "id": f"no-{n:02d}"} for n in range(negatives)]}


@pytest.mark.parametrize(("limit", "different"), [(7, 7), (10, 10), (25, 10), (None, 10)])
def test_prompts_are_spread_over_the_negatives(
    make_run: Callable[..., Path], load_toy: Any, limit: int | None, different: int
) -> None:
    load_toy(_dataset([f"caption {i}" for i in range(12)]))
    lists, prompts = _many(10, 6)
    one = _only(comparisons(Run(make_run(lists, lists, prompts)), limit))
    assert len(one.prompts) == (60 if limit is None else limit)
    assert one.total == 60
    asked = [prompt.query_id.split("|")[1] for prompt in one.prompts]
    assert len(set(asked)) == different
    assert max(asked.count(name) for name in asked) - min(asked.count(name) for name in asked) <= 1
    assert len({prompt.query_id for prompt in one.prompts}) == len(one.prompts)


def test_a_page_that_would_be_too_large_keeps_primary_strengths_then_fewer_prompts(
    make_run: Callable[..., Path], load_toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_toy(_dataset([f"caption {i}" for i in range(12)]))
    lists, prompts = _many(10, 12)
    folder = make_run(lists, lists, prompts, strengths=tuple(range(1, 30)))
    whole = _run_page.prompts_section(Run(folder), folder, None)
    assert whole is not None
    sizes = {}
    for share in (0.97, 0.4):
        monkeypatch.setattr(_run_page, "LIMIT", int(share * len(whole.html)))
        made = _run_page.prompts_section(Run(folder), folder, None)
        assert made is not None
        assert len(made.html) <= share * len(whole.html)
        page = _read(made.html)
        sizes[share] = (len(page.all("select")[0].all("option")), len(page.all("details")))
        assert f"{sizes[share][1]} of 120 queries" in page.text
        assert ("only its primary strength" in page.text) == (sizes[share][0] == 1)
    assert sizes[0.97] == (1, 120)
    assert 20 < sizes[0.4][1] < 120


def test_all_prompts_of_a_large_run_stay_below_three_million_bytes(
    make_run: Callable[..., Path], load_toy: Any
) -> None:
    load_toy(_dataset([f"caption {i} " + "word " * 40 for i in range(12)]))
    prompts = _many(1500, 1)[1]
    lists = {f"c{n % 12}|no-{n:02d}": TRACKS[:10] for n in range(1500)}
    page = build_report(make_run(lists, lists, prompts), form="html", prompts=None)
    assert page.stat().st_size < 3_000_000
    shown = len(_read(page.read_text()).all("details"))
    assert shown > 500
    assert f"{shown} of 1500 queries" in page.read_text()


# --- what cannot be shown ---------------------------------------------------------------------------------------------


def test_another_dataset_than_the_measured_one_is_not_shown(make_run: Callable[..., Path], load_toy: Any) -> None:
    load_toy(_dataset(["A rock song", "A jazz song"], fingerprint="another"))
    page = _page(make_run())
    assert "dataset 'toy' is another one here than the one that was measured" in page.text
    assert not page.all("details")
    assert not page.all("script")


def test_a_dataset_that_is_not_here_leaves_the_report_whole(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    file = folder / "suite.resolved.yaml"
    file.write_text(file.read_text().replace('"name": "toy"', '"name": "toyland"'))
    page = _page(folder)
    assert "the dataset cannot be loaded here (unknown dataset 'toyland'" in page.text
    assert page.all("table")


def test_a_run_without_its_lists_is_reported_without_prompts(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    for file in (folder / "per_query").glob("*.parquet"):
        pd.read_parquet(file).drop(columns="top_10").to_parquet(file)
    assert "does not hold the lists of tracks" in _page(folder).text


def test_a_suite_that_modifies_nothing_has_no_such_part(make_retrieval_run: Callable[..., Path]) -> None:
    page = _page(make_retrieval_run())
    assert "before and after" not in page.text
    assert not page.all("nav")


# --- texts that nobody vouches for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_shown_as_it_is(make_run: Callable[..., Path], load_toy: Any, name: str) -> None:
    text = HOSTILE[name]
    load_toy(_dataset([text, "A jazz song"]))
    prompts = {"negatives": [{**NO_ROCK["negatives"][0], "text": text, "category": text}]}
    folder = make_run(BEFORE, AFTER, prompts)
    resolved = folder / "suite.resolved.yaml"  # as a run writes it, for JSON's escapes of an emoji are no YAML
    YAML(typ="safe", pure=True).dump({**json.loads(resolved.read_text()), "prompts": prompts}, resolved)
    for file in (folder / "per_query").glob("*.parquet"):
        pd.read_parquet(file).assign(category=text).to_parquet(file)
    page = _page(folder)
    prompt, edit = (node for node in page.all("details")[0].all("dd") if "caption" in node.attrs.get("class", ""))
    assert prompt.text == edit.text == text
    assert prompt.attrs["dir"] == edit.attrs["dir"] == "auto"
    # A long text scrolls in its box, and can be reached by the keyboard.
    assert ("tabindex" in prompt.attrs) == (name == "long")
    assert len(page.all("h4")[0].text) < 400
    assert {option.text for option in page.all("select")[1].all("option")} == {"everything", text}
    data = next(s for s in page.all("script") if s.attrs.get("id") == "run-data")
    assert json.loads(data.text)[0]["prompts"][0]["part"] == text
    assert len(page.all("script")) == 2
    assert not [node for node in page.all() if any(key.startswith("on") for key in node.attrs)]
    assert all(node.attrs["src"].startswith("data:image/") for node in page.all("img"))


def test_names_of_tracks_are_not_trusted_either(make_run: Callable[..., Path]) -> None:
    name = "t'\"><script>alert(1)</script>"
    lists = {query: [name, *tracks] for query, tracks in BEFORE.items()}
    page = _page(make_run(lists, lists))
    assert _lists(page.all("details")[0])[0][0] == (name, ["same place"])
    assert len(page.all("script")) == 2
    assert page.all("div", "says")[0].text == "truth not known"


def test_the_page_runs_its_own_script_and_no_other(make_run: Callable[..., Path]) -> None:
    page = _page(make_run())
    policy = next(n.attrs["content"] for n in page.all("meta") if "http-equiv" in n.attrs)
    own = next(s.text for s in page.all("script") if "type" not in s.attrs)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?:", policy)
    assert "innerHTML" not in own


# --- the page as a page -----------------------------------------------------------------------------------------------


def test_the_page_can_be_read_and_worked_without_a_mouse(make_run: Callable[..., Path]) -> None:
    page = _page(make_run())
    assert page.all("html")[0].attrs["lang"] == "en"
    assert page.all("title")[0].text == "Suite toy-suite"
    assert any("width=device-width" in n.attrs.get("content", "") for n in page.all("meta"))
    levels = [int(n.tag[1]) for n in page.all() if re.fullmatch(r"h[1-6]", n.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [n.attrs["id"] for n in page.all() if "id" in n.attrs]
    assert len(ids) == len(set(ids))
    targets = [n.attrs["href"].removeprefix("#") for n in page.all("nav")[0].all("a")]
    assert len(targets) >= 2
    assert set(targets) <= set(ids)
    for node in page.all():
        for key in ("for", "aria-labelledby"):
            assert node.attrs.get(key, ids[0]) in ids
    # What reacts is a control of the browser's own: it has focus and keys.
    assert {n.tag for n in page.all() if n.attrs.get("role") == "button"} == set()
    assert all("tabindex" in n.attrs for n in page.all("div", "scroll"))
    style = page.all("style")[0].text
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style
    addresses = [n.attrs[key] for n in page.all() for key in ("src", "href") if key in n.attrs]
    assert all(address.startswith(("#", "data:image/")) for address in addresses)


def test_the_page_is_the_same_byte_for_byte(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run()
    first = build_report(folder, out=tmp_path / "one", form="html").read_bytes()
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert build_report(copy, form="html").read_bytes() == first
    assert str(tmp_path).encode() not in first


# --- audio ------------------------------------------------------------------------------------------------------------


def _render(folder: Path, tracks: dict[str, str]) -> Path:
    """What `bench data render` leaves, for some tracks."""
    (folder / "audio").mkdir(parents=True)
    for name in tracks.values():
        (folder / name).write_bytes(b"RIFF")
    lines = [json.dumps({"track_id": track, "audio": name}) for track, name in tracks.items()]
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_rendered_tracks_get_a_player_beside_the_page(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run()
    assert not _page(run).all("audio")
    assert "played" not in _page(run).text
    rendered = _render(tmp_path / "my audio", {"t00": "audio/t00.wav", "t01": "audio/t 01#é.wav", "t11": "audio/x.wav"})
    (rendered / "audio" / "x.wav").unlink()
    page = build_report(run, out=tmp_path / "pages", form="html", audio=rendered)
    read = _read(page.read_text())
    sources = {node.attrs["src"] for node in read.all("audio")}
    assert {unquote(source) for source in sources} == {"../my audio/audio/t00.wav", "../my audio/audio/t 01#é.wav"}
    assert all((page.parent / unquote(source)).is_file() for source in sources)
    assert not any(set(source) & set(" #?:\"'<>") for source in sources)
    for node in read.all("audio"):
        assert node.attrs["preload"] == "none"
        assert "controls" in node.attrs
    assert "media-src 'self' file:" in next(n.attrs["content"] for n in read.all("meta") if "http-equiv" in n.attrs)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"track_id": "t00", "audio": "../secret.wav"}, "line 1: '../secret.wav' leads out of the folder"),
        ({"track_id": "t00", "audio": "/etc/passwd"}, "leads out of the folder"),
        ({"track_id": "t00"}, "line 1: has no track_id and audio"),
        ({"track_id": "other", "audio": "a.wav"}, "holds no audio of the tracks of this run"),
        ([], "has no track_id and audio"),
        (None, "holds no manifest.jsonl"),
    ],
)
def test_a_folder_of_audio_that_is_none_is_refused(
    make_run: Callable[..., Path], tmp_path: Path, line: Any, message: str
) -> None:
    (tmp_path / "audio").mkdir()
    if line is not None:
        (tmp_path / "audio" / "manifest.jsonl").write_text(json.dumps(line))
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        build_report(make_run(), form="html", audio=tmp_path / "audio")
    assert "bench data render" in str(caught.value)


def test_audio_for_a_page_without_tracks_is_refused(make_retrieval_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="shows no tracks"):
        build_report(make_retrieval_run(), audio=tmp_path)


# --- formats ----------------------------------------------------------------------------------------------------------


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_format_is_the_same_part_of_the_whole_and_nothing_else(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    before = _tree(run)
    assert main(["report", str(run), "--out", str(tmp_path / "all")]) == 0
    whole = _tree(tmp_path / "all")
    parts: dict[str, bytes] = {}
    for form, ends in (("md", (".md", ".png")), ("csv", (".csv",)), ("latex", (".tex",)), ("html", (".html",))):
        out = tmp_path / form
        assert main(["report", str(run), "--format", form, "--out", str(out)]) == 0
        assert Path(capsys.readouterr().out.splitlines()[-1]).exists()
        found = _tree(out)
        assert found == {name: content for name, content in whole.items() if name.endswith(ends)}
        assert any(name.endswith(ends[0]) for name in found)
        parts |= found
    assert {name for name in whole if name not in parts} <= {name for name in whole if name.endswith(".svg")}
    assert _tree(run) == before


def test_a_format_without_a_folder_goes_into_the_runs_own(make_run: Callable[..., Path]) -> None:
    run = make_run()
    before = set(_tree(run))
    assert main(["report", str(run), "--format", "csv"]) == 0
    assert {name.split("/")[0] for name in set(_tree(run)) - before} == {"tables"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "pdf"], "--format pdf: write one of md, csv, latex, html"),
        (["--prompts", "0"], "--prompts 0: write a number from 1, or all"),
        (["--prompts", "many"], "--prompts many"),
    ],
)
def test_wrong_options_are_refused(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    run = make_run()
    before = _tree(run)
    assert main(["report", str(run), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert _tree(run) == before


def test_options_of_one_run_are_refused_for_a_folder_of_runs(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results = make_run().parents[1]
    assert main(["report", str(results), "--format", "md", "--prompts", "all"]) == 2
    assert "--format, --prompts: for the page of one run" in capsys.readouterr().err


def test_the_command_line_chooses_how_many_prompts(make_run: Callable[..., Path]) -> None:
    run = make_run()
    for given, shown in (("1", 1), ("all", 2)):
        assert main(["report", str(run), "--format", "html", "--prompts", given]) == 0
        assert len(_read((run / "report.html").read_text()).all("details", "prompt")) == shown


# --- in a browser -----------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_script_writes_what_the_page_says_for_every_method(
    make_run: Callable[..., Path], load_toy: Any, tmp_path: Path
) -> None:
    """What the script puts in for a method is what would be in the page had it been the first."""
    load_toy(_dataset([HOSTILE["markup"], HOSTILE["right to left"]]))
    rendered = _render(tmp_path / "my audio", {"t00": "audio/t00.wav"})
    run = make_run()
    page = build_report(run, form="html", audio=rendered)
    # Another method first, every prompt open: the page's policy would refuse this line, so that goes.
    ask = (
        'const s = document.querySelector("select"); s.value = "0"; s.dispatchEvent(new Event("change"));'
        'document.querySelectorAll(".prompt").forEach((p) => (p.open = true));'
    )
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    page.write_text(html.replace("</body>", f"<script>{ask}</script></body>"))
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=2000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    shown = _read(done.stdout)
    one = _only(comparisons(Run(run), None))
    sources = {"t00": shown.all("audio")[0].attrs["src"]}
    for at, (prompt, node) in enumerate(zip(one.prompts, shown.all("details", "prompt"), strict=True)):
        wanted = _read(_run_page._pair(one, prompt, one.methods[0], sources))
        assert _lists(node) == _lists(wanted), at
        assert [n.text for n in node.all("h5")] == [n.text for n in wanted.all("h5")]
        assert [n.text for n in node.all(cls="says")] == [n.text for n in wanted.all(cls="says")]
        assert [n.attrs["src"] for n in node.all("audio")] == [n.attrs["src"] for n in wanted.all("audio")]
        assert node.all(cls="tally")[0].text == _run_page.tally(prompt, one.methods[0])
    assert "hidden" not in shown.all(cls="controls")[0].attrs
    assert "on average 2.5 tracks marked “negated” before, 2.5 after" in shown.all(cls="told")[0].text
