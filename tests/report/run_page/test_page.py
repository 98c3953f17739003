"""The page of a run as a page: texts are never markup, it needs nothing else, and its script says the same."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from bench.report import _run_page
from bench.report._run_page_data import comparisons
from bench.report.build import build_report
from bench.report.load import Run

HOSTILE = {
    "markup": "</script><script>window.hacked = 1</script><img src=x onerror=alert(1)> <!-- &amp; ]]>",
    "quotes": """he said "play 'it'" & `left` \\ {braces} %s""",
    "emoji": "a 🎸 solo 👩‍🎤 with ♯ and \u2028 \u2029 separators",
    "right to left": "موسيقى هادئة مع بيانو \u202e txet",
    "long": "word " * 1000 + "x" * 5000,
}

# --- texts that nobody vouches for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_shown_as_it_is(toy: Any, make_run: Callable[..., Path], load_toy: Any, name: str) -> None:
    text = HOSTILE[name]
    load_toy(toy.dataset([text, "A jazz song"]))
    prompts = {"negatives": [{**toy.NO_ROCK["negatives"][0], "text": text, "category": text}]}
    folder = make_run(toy.BEFORE, toy.AFTER, prompts)
    resolved = folder / "suite.resolved.yaml"  # as a run writes it, for JSON's escapes of an emoji are no YAML
    YAML(typ="safe", pure=True).dump({**json.loads(resolved.read_text()), "prompts": prompts}, resolved)
    for file in (folder / "per_query").glob("*.parquet"):
        pd.read_parquet(file).assign(category=text).to_parquet(file)
    page = toy.page(folder)
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


def test_names_of_tracks_are_not_trusted_either(toy: Any, make_run: Callable[..., Path]) -> None:
    name = "t'\"><script>alert(1)</script>"
    lists = {query: [name, *tracks] for query, tracks in toy.BEFORE.items()}
    page = toy.page(make_run(lists, lists))
    assert toy.lists(page.all("details")[0])[0][0] == (name, ["same place"])
    assert len(page.all("script")) == 2
    assert page.all("div", "says")[0].text == "truth not known"


def test_the_page_runs_its_own_script_and_no_other(toy: Any, make_run: Callable[..., Path]) -> None:
    page = toy.page(make_run())
    policy = next(n.attrs["content"] for n in page.all("meta") if "http-equiv" in n.attrs)
    own = next(s.text for s in page.all("script") if "type" not in s.attrs)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?:", policy)
    assert "innerHTML" not in own


# --- the page as a page -----------------------------------------------------------------------------------------------


def test_the_page_can_be_read_and_worked_without_a_mouse(toy: Any, make_run: Callable[..., Path]) -> None:
    page = toy.page(make_run())
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


# --- in a browser -----------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_script_writes_what_the_page_says_for_every_method(
    toy: Any, make_run: Callable[..., Path], load_toy: Any, tmp_path: Path
) -> None:
    """What the script puts in for a method is what would be in the page had it been the first."""
    load_toy(toy.dataset([HOSTILE["markup"], HOSTILE["right to left"]]))
    rendered = toy.render(tmp_path / "my audio", {"t00": "audio/t00.wav"})
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
    shown = toy.read(done.stdout)
    one = toy.only(comparisons(Run(run), None))
    sources = {"t00": shown.all("audio")[0].attrs["src"]}
    for at, (prompt, node) in enumerate(zip(one.prompts, shown.all("details", "prompt"), strict=True)):
        wanted = toy.read(_run_page._pair(one, prompt, one.methods[0], sources))
        assert toy.lists(node) == toy.lists(wanted), at
        assert [n.text for n in node.all("h5")] == [n.text for n in wanted.all("h5")]
        assert [n.text for n in node.all(cls="says")] == [n.text for n in wanted.all(cls="says")]
        assert [n.attrs["src"] for n in node.all("audio")] == [n.attrs["src"] for n in wanted.all("audio")]
        assert node.all(cls="tally")[0].text == _run_page.tally(prompt, one.methods[0])
    assert "hidden" not in shown.all(cls="controls")[0].attrs
    assert "on average 2.5 tracks marked “negated” before, 2.5 after" in shown.all(cls="told")[0].text
