"""A report's Markdown as an HTML page: inline style, and figures that are embedded or lie beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["html_page"]

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #d7d7d7; --soft: #666; --band: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #17181a; --line: #3a3c40; --soft: #a0a0a0; --band: #202225; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: .84rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td { min-width: 4.2rem; } th { background: var(--band); }
tbody tr:last-child td { border-bottom: 0; }
td:first-child { font-weight: 600; min-width: 7rem; }
.long td:nth-child(2) { min-width: 18rem; }
.ci { color: var(--soft); white-space: nowrap; font-size: .92em; }
figure { margin: 1rem 0; } figure .sheet { overflow-x: auto; background: #fff; border-radius: 6px; }
img { display: block; width: 100%; min-width: 34rem; max-width: 62rem; height: auto; margin: 0 auto; }
code { font-size: .9em; }
@media (max-width: 40rem) { body { padding: .7rem; font-size: 15px; } }
"""

_INTERVAL = re.compile(r"\[(?:-?\d[\d.]*), (?:-?\d[\d.]*)\]")
_LONG_CELL = 60
#: A page of ours that a page links to: beside the Markdown of each there is its HTML.
_PAGE = re.compile(r"^([^:/?#]+)\.md$")


def html_page(markdown: str, folder: Path, title: str, *, embed: bool = True) -> str:
    """Render a report.

    Args:
        markdown: its source; raw HTML in it is shown as text.
        folder: where its figures are, relative to which they are named.
        title: of the page.
        embed: hold the figures in the page itself; else they are named, and stay beside it.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for token in _inline(tokens):
        if token.type == "image":
            named = Path(str(token.attrs["src"]))
            token.attrs["src"] = _embedded(folder / named) if embed else _sharpest(folder, named).as_posix()
        elif token.type == "link_open":
            token.attrs["href"] = _PAGE.sub(r"\1.html", str(token.attrs["href"]))
    body: str = parser.renderer.render(tokens, parser.options, {})
    body = re.sub(r"<table>.*?</table>", _framed, body, flags=re.DOTALL)
    body = re.sub(r"<p>(<img [^>]*>)</p>", r'<figure><div class="sheet">\1</div></figure>', body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _inline(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()


def _framed(match: re.Match[str]) -> str:
    """A table that scrolls by itself on a narrow screen, with its intervals set back."""
    table = _INTERVAL.sub(lambda m: f'<span class="ci">{m[0]}</span>', match[0])
    long = any(len(cell) > _LONG_CELL for cell in re.findall(r"<td[^>]*>([^<]*)</td>", table))
    return f'<div class="scroll{" long" if long else ""}">{table}</div>'


def _sharpest(folder: Path, file: Path) -> Path:
    """The SVG beside a PNG where there is one, for it stays sharp; relative as it was given."""
    vector = file.with_suffix(".svg")
    return vector if (folder / vector).is_file() else file


def _embedded(file: Path) -> str:
    """A figure as a data address."""
    source = file.parent / _sharpest(file.parent, Path(file.name))
    return f"data:{_TYPES[source.suffix]};base64,{base64.b64encode(source.read_bytes()).decode()}"
