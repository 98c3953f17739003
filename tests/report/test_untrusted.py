"""Names and texts of a run are anyone's: on pages, in tables and in figures they are never taken for anything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import browsing
import pytest
from browsing import SIZES, resize

from bench.report._table import Table, number, text
from bench.report._untrusted import clean, clip, code, escape, for_figure, one_line, spreadsheet_cell
from bench.report.build import build_report
from bench.report.load import Value

MakeRun = Callable[..., Path]

LINK = "[click](http://evil.example/)"
IMAGE = "![x](../../secret.png)"
NAMES = (
    LINK, IMAGE, "<script>alert(1)</script>", "__proto__", "$x^{$", "=HYPERLINK(1)", "a|b", "a\u202eb", "`c`", "&lt;",
    "~~gone~~", "x" * 10_000, "emoji 🎵 مرحبا",
)  # fmt: skip


def _tokens(markdown: str) -> list[Any]:
    from markdown_it import MarkdownIt

    found = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    return [token for one in found for token in (one, *(one.children or ()))]


@pytest.mark.parametrize("name", NAMES)
def test_an_escaped_text_is_only_text(name: str) -> None:
    table = Table("t", name, ("", name), ((text(name), text(name)), (text("linked", page="a.md"), text(name, name))))
    tokens = _tokens(table.markdown())
    kinds = {token.type for token in tokens}
    assert not kinds & {"image", "em_open", "code_inline", "html_inline", "html_block", "s_open", "fence"}
    assert [token.attrs["href"] for token in tokens if token.type == "link_open"] == ["a.md"]
    said = "".join(token.content for token in tokens if token.type == "text")
    # Column heads, two entries, the footnote and the title: all are read as they were meant.
    assert said.count(one_line(name)) >= 5


def test_a_link_to_a_page_of_ours_holds_any_name() -> None:
    tokens = _tokens(Table("t", "t", ("",), ((text("a] [b](c) [", page="own.md"),),)).markdown())
    assert [token.attrs["href"] for token in tokens if token.type == "link_open"] == ["own.md"]
    assert "".join(t.content for t in tokens if t.type == "text") == "ta] [b](c) ["


def test_notes_and_titles_end_no_comment_of_latex() -> None:
    hostile = "no\n\\input{/etc/passwd}"
    table = Table("t", hostile, ("",), ((number(Value(None, why=hostile), "%"),), (text(hostile),)))
    lines = table.tex().splitlines()
    assert not [line for line in lines if line.startswith("\\input")]
    assert "\\textbackslash{}input\\{" in table.tex()


def test_no_text_of_a_table_is_a_formula() -> None:
    first = (text("=1+1"), number(Value(-0.5, -1.0, 0.0), "cosine"), text("@x"))
    rows = (first, (text("-2"), text("n/a"), text("o\u202ek")))
    head, *lines = list(csv.reader(io.StringIO(Table("t", "t", ("", "+b", "c"), rows).csv())))
    assert head == ["", "'+b", "'+b lo", "'+b hi", "c"]
    assert lines == [["'=1+1", "-0.5", "-1.0", "0.0", "'@x"], ["'-2", "", "", "", "o\ufffdk"]]


def test_what_the_helpers_do() -> None:
    assert clean("a\x00b\u202ec\ud800d\u2028") == "a�b�c�d�"
    assert one_line(" a\n b\tc ") == "a b c"
    assert clip("x" * 61) == "x" * 44 + "…" + "x" * 15
    assert code("a`b\nc") == "`a'b c`"
    assert escape("Δ_T [0.1, 0.2] ~0") == "Δ_T [0.1, 0.2] ~0", "what our own pages say stays readable in the source"
    assert spreadsheet_cell("gdr-clap") == "gdr-clap"
    assert for_figure("a$b\nΔ_T") == "a\\$b\n$\\Delta_T$"


# --- a whole page -----------------------------------------------------------------------------------------------------


def _hostile(summary: dict[str, Any]) -> None:
    """Names of everything that a summary names."""
    summary["title"] = f"{NAMES[2]} {IMAGE} {LINK} a\u202eb"
    retrievers = list(dict.fromkeys(cell["retriever"] for cell in summary["cells"]))
    other = dict(zip(retrievers, NAMES, strict=False))
    for cell in summary["cells"]:
        cell["retriever"] = other[cell["retriever"]]
        cell["metrics"]["R@1"] = {"value": None, "ci": None, "n": 0, "why_null": f"no\n\\input{{x}} {LINK}"}
        if cell["dataset"] == "sd":
            cell["dataset"] = NAMES[4]
    for claim in summary["claims"]:
        claim |= {"verdict": "contradicted", "id": f"`{LINK}`", "source": IMAGE, "text": "y" * 3000}


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def hostile_run(make_retrieval_run: MakeRun) -> Path:
    return make_retrieval_run(_hostile)


def test_a_page_shows_hostile_names_as_text(hostile_run: Path) -> None:
    (hostile_run.parent.parent / "secret.png").write_bytes(b"\x89PNG secret")
    page = build_report(hostile_run).with_suffix(".html").read_text()
    seen = _Seen()
    seen.feed(page)
    assert {tag for tag, _ in seen.found} & {"script", "iframe", "object"} == set()
    assert [attrs["href"] for tag, attrs in seen.found if tag == "a"] == []
    images = [str(attrs["src"]) for tag, attrs in seen.found if tag == "img"]
    assert [image.partition(",")[0] for image in images] == ["data:image/svg+xml;base64"], "its own figure alone"
    assert "\u202e" not in page
    assert "script-src 'none'" in page
    for file in (hostile_run / "tables").iterdir():
        lines = file.read_text().splitlines()
        assert not [line for line in lines if line.startswith(("\\input", "=", "+", "@"))], file


def test_another_image_than_the_pages_own_is_not_shown(tmp_path: Path) -> None:
    from bench.report._html import html_page

    (tmp_path / "secret.png").write_bytes(b"\x89PNG secret")
    (tmp_path / "own.png").write_bytes(b"\x89PNG own")
    page = html_page("![theirs](secret.png) ![ours](own.png)", tmp_path, "t", {"own.png"})
    assert page.count("<img") == 1
    assert "theirs" in page
    assert "![gone]" not in html_page("![gone](nothing.png)", tmp_path, "t")


# --- in a browser -----------------------------------------------------------------------------------------------------

#: Contrast of every text that is shown with what is behind it, the lowest first (WCAG 2.2, relative luminance).
_CONTRAST = """
const rgb = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
const lum = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (e) => { for (; e; e = e.parentElement) {
  const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; }
  return [255, 255, 255]; };
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let n = walk.nextNode(); n; n = walk.nextNode()) {
  const e = n.parentElement;
  if (!n.textContent.trim() || !e.getClientRects().length || e.closest("script, style, svg, option")) continue;
  const [a, b] = [lum(rgb(getComputedStyle(e).color)), lum(behind(e))];
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), n.textContent.trim().slice(0, 40)]);
}
return found.sort((x, y) => x[0] - y[0])[0];
"""
REPORTS = Path(__file__).parents[2] / "reports"
PAGES = ("retrieval.html", "claims.html", "index.html", "leaderboard/index.html")


def _browser(test: Any) -> Any:
    for mark in browsing.MARKS:
        test = mark(test)
    return test


@_browser
@pytest.mark.parametrize("width", sorted(SIZES))
def test_no_name_makes_a_page_wider(driver: Any, hostile_run: Path, width: int) -> None:
    page = build_report(hostile_run).with_suffix(".html")
    driver.get_log("browser")
    resize(driver, width)
    driver.get(page.as_uri())
    wide, seen = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen == width
    assert driver.get_log("browser") == []


@_browser
@pytest.mark.skipif(not REPORTS.is_dir(), reason="no reports are published from this checkout yet")
@pytest.mark.parametrize("page", PAGES)
def test_published_pages_can_be_read(driver: Any, page: str) -> None:
    driver.get_log("browser")
    for width in SIZES:
        for dark in (False, True):
            resize(driver, width, dark)
            driver.get((REPORTS / page).as_uri())
            ratio, words = driver.execute_script(_CONTRAST)
            assert ratio >= 4.5, (page, width, dark, words)
            wide = driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, (page, width, dark)
    unnamed = driver.execute_script(
        "return [...document.querySelectorAll('table')].filter((t) => !t.ariaLabel && !t.caption).length"
        " + document.querySelectorAll('th:not([scope])').length"
        " + [...document.querySelectorAll('[tabindex=\"0\"]')].filter((e) => !e.ariaLabel || !e.role).length"
    )
    assert unnamed == 0, "tables, heads and boxes that scroll have names"
    assert driver.get_log("browser") == []
