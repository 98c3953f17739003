"""The three files: the same bytes for the same runs, hostile names as text, links, numbers, and the plot's front."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import combinations, product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from bench.leaderboard import build_leaderboard
from bench.leaderboard._plot import Point, front, pareto_svg
from bench.leaderboard.rows import METRICS
from bench.report.load import Value

MakeCell = Callable[..., dict[str, Any]]
MakeRun = Callable[..., Path]
FILES = ("leaderboard.md", "leaderboard.csv", "index.html")
SAMPLING = {"guidance": 3.0, "sampler": "dpm++2m-10", "samples": 2}
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\"quoted\" & 'single' `code` $x$ ${y} | *b* _i_ [a](javascript:alert(3)) &lt;",
    "🎵🎸 émoji",
    "مسترجع الموسيقى",
    "long" * 2500,
)


class _Page(HTMLParser):
    """Elements with their attributes, and the text of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def board(results: Path, tmp_path: Path) -> Path:
    """Folder of the files of the shared results."""
    return build_leaderboard(results, tmp_path / "board").parent


@pytest.fixture
def hostile(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> Path:
    """Folder of a board whose names are attacks, one of each kind of name."""
    name = HOSTILE[0]
    cells = [make_cell(one, 0.3 + 0.05 * i, nfe=i) for i, one in enumerate(HOSTILE)]
    cells += [make_cell("clap", space=one, dataset=one, data_fingerprint=one) for one in HOSTILE]
    make_run(tmp_path / "results", [*cells, make_cell("=cmd()", params={"samples": 2, "sampler": name})], preset=name)
    return build_leaderboard(tmp_path / "results", tmp_path / "board").parent


# --- the same files for the same runs ---------------------------------------------------------------------------------


def test_the_same_runs_give_the_same_bytes(
    results: Path, board: Path, tmp_path: Path, python: Callable[..., Any]
) -> None:
    copy = tmp_path / "elsewhere" / "results"
    shutil.copytree(results, copy)
    for file in copy.rglob("*"):
        os.utime(file, (10**9, 10**9))
    again = build_leaderboard(sorted(copy.glob("*/*"), reverse=True), copy.parent / "board").parent
    done = python("-m", "bench", "leaderboard", results, "--out", tmp_path / "third", PYTHONHASHSEED="7")
    assert done.returncode == 0, done.stderr
    for name in FILES:
        content = (board / name).read_bytes()
        assert content == (again / name).read_bytes() == (tmp_path / "third" / name).read_bytes(), name
    assert str(tmp_path).encode() not in b"".join((board / name).read_bytes() for name in FILES)


def test_another_number_gives_other_bytes(results: Path, board: Path) -> None:
    before = [(board / name).read_bytes() for name in FILES]
    (file,) = results.glob("retrieval/*/summary.json")
    summary = json.loads(file.read_text())
    summary["cells"][0]["metrics"]["R@1"]["value"] += 5
    file.write_text(json.dumps(summary))
    build_leaderboard(results, board)
    assert all(was != (board / name).read_bytes() for was, name in zip(before, FILES, strict=True))


# --- HTML -------------------------------------------------------------------------------------------------------------


def test_the_page_holds_all_it_needs(board: Path) -> None:
    text = (board / "index.html").read_text()
    page = _Page(text)
    assert page.all("html")[0]["lang"] == "en"
    assert page.texts["title"] == ["Leaderboard"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    loading = [
        a for tag, a in page.elements if {"src", "srcset", "data", "action"} & set(a) or tag in ("link", "iframe")
    ]
    assert loading == []
    addresses = {value for tag, a in page.elements for name, value in a.items() if name.endswith("href")}
    assert not [address for address in addresses if re.match(r"[a-z]+:|//", address)]
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]


def test_ids_are_unique_and_what_is_named_is_there(board: Path) -> None:
    page = _Page((board / "index.html").read_text())
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    named = {a[name] for _, a in page.elements for name in ("aria-labelledby", "for") if name in a}
    named |= {v[1:] for _, a in page.elements for k, v in a.items() if k.endswith("href") and v.startswith("#")}
    named |= set(re.findall(r"url\(#([^)]+)\)", (board / "index.html").read_text()))
    assert named <= set(ids)


def test_the_policy_lets_only_this_script_run(board: Path) -> None:
    text = (board / "index.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for a in _Page(text).all("meta") if "http-equiv" in a)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_heads_are_buttons_and_filters_have_labels(board: Path) -> None:
    text = (board / "index.html").read_text()
    table = text[text.index("<table") : text.index("</table>")]
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table)
    assert heads
    assert all(re.fullmatch(r'<button type="button" title="[^"]+">[^<]+</button>', head) for head in heads)
    assert len(re.findall(r'aria-sort="ascending"', table)) == 1
    assert re.findall(r"<label>(\w+)<select id=\"filter-(\w+)\"", text) == [
        ("Dataset", "dataset"), ("Space", "space"), ("Paradigm", "paradigm"),
    ]  # fmt: skip


def test_the_script_s_data_are_those_of_the_rows(board: Path) -> None:
    page = _Page((board / "index.html").read_text())
    data = json.loads(next(text for text in page.texts["script"] if text.startswith("{")))
    frame = pd.read_csv(board / "leaderboard.csv")
    heads = [text for text in page.texts["button"] if text != "Show all"]
    assert len(data["rows"]) == len(frame) == len([a for a in page.all("tr") if "data-row" in a])
    column = heads.index("R@10")
    assert [row["keys"][column][0] for row in data["rows"]] == pytest.approx(frame["R@10"].tolist())
    assert [row["best"] for row in data["rows"]] == frame["tied_with_best"].tolist()
    missing = [row["keys"][heads.index("MRR")] is None for row in data["rows"]]
    assert missing == frame["MRR"].isna().tolist()


def test_rows_link_to_the_page_of_their_run(board: Path) -> None:
    page = _Page((board / "index.html").read_text())
    links = [a["href"] for a in page.all("a")]
    frame = pd.read_csv(board / "leaderboard.csv")
    assert len(links) == len(frame[frame["suite"] == "retrieval"])  # the other suite's run has no page
    assert all((board / link).is_file() for link in links)
    assert set(frame["run"].dropna()) == set(links)
    assert f"(<{links[0].replace('.html', '.md')}>)" in (board / "leaderboard.md").read_text()


# --- hostile names ----------------------------------------------------------------------------------------------------


def test_names_are_text_in_the_page(hostile: Path) -> None:
    text = (hostile / "index.html").read_text()
    page = _Page(text)
    assert [a.get("type") for a in page.all("script")] == ["application/json", None]
    assert page.all("img") == []
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert not [a["href"] for a in page.all("a") if "javascript" in a.get("href", "")]
    said = page.texts["bdi"]
    for name in HOSTILE[:1] + HOSTILE[2:5]:
        shown = name if len(name) <= 60 else f"{name[:44]}…{name[-15:]}"
        assert shown in said, name
    assert max(map(len, said)) < 100
    assert {a["title"] for a in page.all("bdi") if "title" in a} >= {HOSTILE[5]}
    json.loads(next(text for text in page.texts["script"] if text.startswith("{")))


def test_names_are_text_in_markdown(hostile: Path) -> None:
    text = (hostile / "leaderboard.md").read_text()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    page = _Page(html)
    assert not {"script", "img", "a", "em", "code"} & {tag for tag, _ in page.elements}
    cells = "".join(page.texts["td"])
    for name in (HOSTILE[0], HOSTILE[3], HOSTILE[4]):
        assert name in cells
    heads, rows = len(page.all("th")), len(page.all("td"))
    columns = len(re.findall(r"<th[ >]", html[: html.index("</thead>")]))
    assert heads % columns == rows % columns == 0
    assert max(map(len, text.splitlines())) < 2000


def test_names_survive_the_csv_and_are_no_formulas(hostile: Path) -> None:
    frame = pd.read_csv(hostile / "leaderboard.csv", keep_default_na=False)
    assert set(HOSTILE) <= set(frame["retriever"])
    assert set(HOSTILE) <= set(frame["space"])
    assert "'=cmd()" in set(frame["retriever"])


def test_what_cannot_be_encoded_does_not_stop_the_board(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    folder = make_run(tmp_path / "results", [make_cell("half"), make_cell("clap")])
    file = folder / "summary.json"
    file.write_text(file.read_text().replace('"half"', '"\\ud83cx\\u202e\\u0000"'))
    text = build_leaderboard(tmp_path / "results", tmp_path / "out").read_text(encoding="utf-8")
    assert "\ufffdx\ufffd\ufffd" in text
    assert "\u202e" not in text


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_the_csv_has_what_the_summaries_have_in_full(results: Path, board: Path) -> None:
    frame = pd.read_csv(board / "leaderboard.csv").set_index(["dataset", "retriever"])
    (file,) = results.glob("retrieval/*/summary.json")
    cells = [cell for cell in json.loads(file.read_text())["cells"] if not cell["replicate"]]
    assert len(cells) == 7
    for cell in cells:
        row = frame.loc[(cell["dataset"], cell["retriever"])]
        for metric in METRICS:
            entry = cell["metrics"][metric]
            assert [row[metric], row[f"{metric} lo"], row[f"{metric} hi"]] == [entry["value"], *entry["ci"]]
        assert (row["n_queries"], row["n_gallery"]) == (cell["n_queries"], cell["n_gallery"])
    gdr = frame.loc[("sd", "gdr-clap")]
    assert (gdr["nfe"], gdr["samples"], gdr["evaluations_a_query"]) == (20, 2, 40)
    assert gdr["query_latency_ms"] == pytest.approx(50.0)
    assert (gdr["rank_low"], gdr["rank_high"], gdr["ranked"], gdr["tied_with_best"]) == (2, 3, 4, False)


def test_markdown_says_who_is_best_and_what_is_shared(board: Path) -> None:
    text = (board / "leaderboard.md").read_text()
    assert "300 queries, 700 tracks, 4 rows. Significantly better than every other row of this set: muscall." in text
    assert "150 queries, 700 tracks, 2 rows. Tied with the best of this set: mlp-regression, unet-regression." in text
    assert "Set 2 of 2 of sd; 150 of its queries are shared with set 1." in text
    assert "| muscall | **1 of 4** |" in text
    assert "| gdr-clap | 2–3 of 4 |" in text
    assert "- cells of other training seeds: 1" in text


# --- the plot ---------------------------------------------------------------------------------------------------------


def test_the_front_is_what_nothing_beats() -> None:
    values = {1: (0, 20), 2: (0, 30), 3: (40, 30), 4: (40, 50), 5: (60, 49), 6: (250, 60), 7: (0, 30)}
    points = [Point(number, cost, Value(float(value))) for number, (cost, value) in values.items()]
    assert front(points) == {2, 7, 4, 6}
    assert front([*points, Point(8, 0, Value(None))]) == {2, 7, 4, 6}


@pytest.mark.parametrize("costs", [(0, 0, 40, 40, 250), (1.2, 3.4, 3.5, 80.0, 900.0), (0, 0, 0, 0, 40)])
def test_the_plot_is_one_element_in_the_page_s_colour(costs: tuple[float, ...]) -> None:
    points = [Point(i + 1, cost, Value(20.0 + i, 19.0 + i, 21.0 + i)) for i, cost in enumerate(costs)]
    svg = pareto_svg(points, "cost", "R@10, %", "p7")
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-hidden") == "true"
    assert "width" not in root.attrib  # the page says how large it is
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"cost", "R@10, %", *"12345"} <= set(texts)
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg)) <= {"none", "currentColor"}
    assert all(found.startswith("p7-") for found in re.findall(r'\bid="([^"]+)"', svg))
    assert svg == pareto_svg(points, "cost", "R@10, %", "p7")
    assert svg != pareto_svg([*points[:-1], Point(5, costs[-1], Value(70.0))], "cost", "R@10, %", "p7")


CROWDED = [(1.44, 1.47, 1.52, 1.53, 80.0), (0, 0, 0, 40, 40, 41), tuple(1.0 + 0.3 * i for i in range(24))]


@pytest.mark.parametrize("costs", CROWDED)
def test_no_number_of_a_plot_stands_on_another_or_on_a_marker(costs: tuple[float, ...]) -> None:
    values = [20.0 + 0.7 * (i % 5) for i in range(len(costs))]
    points = [Point(i + 10, c, Value(v, v - 2, v + 2)) for i, (c, v) in enumerate(zip(costs, values, strict=True))]
    svg = pareto_svg(points, "cost", "R@10, %", "p")
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0])
    number = r'text-anchor: middle[^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>(\d\d)</text>'
    # Figures of the axes stand below or left of it; a baseline lies a third of a digit's height below the middle.
    below = max(float(y) for y in re.findall(r'<use [^>]*y="([\d.]+)"', svg))
    placed = {int(n): (float(x), float(y) - 2.3) for x, y, n in re.findall(number, svg) if float(y) < below}
    assert set(placed) == {point.number for point in points}
    assert all(0 <= x <= width and 0 <= y <= height for x, y in placed.values()), "all on the paper"
    markers = [
        (float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*stroke-width: 1.1', svg)
    ]
    assert len(markers) == len(points)
    for (x, y), (u, v) in combinations(placed.values(), 2):
        assert abs(x - u) >= 12 or abs(y - v) >= 9.5
    for (x, y), (u, v) in product(placed.values(), markers):
        assert abs(x - u) >= 10 or abs(y - v) >= 9
    if min(costs) > 0:  # where they are drawn is what they cost
        along = sorted(x for x, _ in markers)
        scale = [(math.log(c) - math.log(min(costs))) / (math.log(max(costs)) - math.log(min(costs))) for c in costs]
        assert [(x - along[0]) / (along[-1] - along[0]) for x in along] == pytest.approx(sorted(scale), abs=1e-3)


def test_a_row_of_unknown_cost_is_named_beside_the_plot(tmp_path: Path, make_cell: MakeCell, make_run: MakeRun) -> None:
    cells = [make_cell("clap", 0.3, nfe=0), make_cell("gdr-clap", 0.5, nfe=20), make_cell("mine", 0.4, nfe=None)]
    make_run(tmp_path / "results", cells)
    text = build_leaderboard(tmp_path / "results", tmp_path / "out").read_text()
    (said,) = re.findall(r"<p>Not in the plot: (.*?)</p>", text)
    assert said == "<bdi>mine</bdi> (what its query costs is not known)."


def test_cost_is_latency_only_where_all_were_timed_on_one_machine(
    tmp_path: Path, make_cell: MakeCell, make_run: MakeRun
) -> None:
    def axes(folder: Path) -> str:
        text = build_leaderboard(folder, tmp_path / "out").read_text()
        return " ".join(re.findall(r"<figcaption>.*?</figcaption>.*?</figure>", text, flags=re.DOTALL))

    gdr = make_cell("gdr-clap", 0.6, params=SAMPLING, seconds=0.08)
    make_run(tmp_path / "one", [gdr, make_cell("clap", 0.3, seconds=0.004)])
    said = axes(tmp_path / "one")
    assert "R@10 against latency of one query, ms" in said
    assert re.search(r"% at 4 ms, on the front", said)
    make_run(tmp_path / "two", [gdr])
    make_run(tmp_path / "two", [make_cell("clap", 0.3, seconds=0.004)], suite="other", host={"machine": "arm64"})
    assert "R@10 against network evaluations of one query" in axes(tmp_path / "two")
    make_run(tmp_path / "three", [gdr, make_cell("clap", 0.3)])
    assert "% at 40 evaluations, on the front" in axes(tmp_path / "three")
    make_run(tmp_path / "four", [make_cell("ridge", 0.6), make_cell("clap", 0.3)])
    assert "No plot: every row costs the same (0)." in axes(tmp_path / "four")
    # What cannot be timed does not stand in the way of the others' times, and is named.
    whole = make_cell("gdr-ot", 0.7, params=SAMPLING, untimed="of <sets>")
    make_run(tmp_path / "five", [gdr, make_cell("clap", 0.3, seconds=0.004), whole])
    said = axes(tmp_path / "five")
    assert "R@10 against latency of one query, ms" in said
    assert "<p>Not in the plot: <bdi>gdr-ot</bdi> (of &lt;sets&gt;).</p>" in said
    assert said.count("<li>") == 2
