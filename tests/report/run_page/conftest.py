"""A run on a toy dataset of twelve tracks, and a reader of its page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench import registry
from bench.protocols import Dataset
from bench.report._run_page_data import Comparison, Unshown
from bench.report.build import build_report

GENRES = ("rock", "jazz", "folk")
TRACKS = [f"t{i:02d}" for i in range(12)]
#: Caption c0 is on t00 (rock), c1 on t01 (jazz).
BEFORE = {"c0|no-rock": ["t00", "t03", "t01", "t06"], "c1|no-rock": ["t03", "t01", "t02", "t06"]}
AFTER = {"c0|no-rock": ["t01", "t02", "t00", "t04"], "c1|no-rock": ["t01", "t02", "t04", "t05"]}


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


def _render(folder: Path, tracks: dict[str, str]) -> Path:
    """What `bench data render` leaves, for some tracks."""
    (folder / "audio").mkdir(parents=True)
    for name in tracks.values():
        (folder / name).write_bytes(b"RIFF")
    lines = [json.dumps({"track_id": track, "audio": name}) for track, name in tracks.items()]
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder


class _Toy:
    """What tests of pages use: the toy's tracks and lists, and a reader of pages."""

    TRACKS, BEFORE, AFTER, NO_ROCK = TRACKS, BEFORE, AFTER, NO_ROCK
    dataset, frame, only = staticmethod(_dataset), staticmethod(_frame), staticmethod(_only)
    read, page, lists = staticmethod(_read), staticmethod(_page), staticmethod(_lists)
    render = staticmethod(_render)


@pytest.fixture(scope="session")
def toy() -> type[_Toy]:
    """The toy dataset's tracks and lists, and helpers that make, read and render runs on it."""
    return _Toy
