"""A report's Markdown as an HTML page: inline style, and figures that are embedded or lie beside it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterator
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.report._untrusted import one_line

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["Section", "html_page"]

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #d7d7d7; --soft: #666; --band: #f5f6f8;
  --link: #1a56b0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #17181a; --line: #3a3c40; --soft: #a0a0a0; --band: #202225;
    --link: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
p, li, h1, h2, h3 { overflow-wrap: anywhere; }
a { color: var(--link); } :focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: .84rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td { min-width: 4.2rem; } thead th { background: var(--band); }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 600; min-width: 7rem; overflow-wrap: break-word; max-width: 24rem; }
td.words { min-width: 18rem; max-width: 40rem; overflow-wrap: anywhere; }
.ci { color: var(--soft); white-space: nowrap; font-size: .92em; }
figure { margin: 1rem 0; } figure .sheet { overflow-x: auto; background: #fff; border-radius: 6px; }
img { display: block; width: 100%; min-width: 34rem; max-width: 62rem; height: auto; margin: 0 auto; }
code { font-size: .9em; }
@media (max-width: 40rem) { body { padding: .7rem; font-size: 15px; } td.words { min-width: 14rem; } }
@page { size: landscape; margin: 12mm; }
@media print { body { max-width: none; padding: 0; font-size: 9pt; } .scroll { overflow: visible; border: 0; }
  table { font-size: 6.5pt; } th, td { padding: .15rem .25rem; overflow-wrap: anywhere; }
  td, td.words, tbody th { min-width: 0; } .ci { white-space: normal; } figure, tr { break-inside: avoid; } }
"""

_INTERVAL = re.compile(r"\[(?:-?\d[\d.]*), (?:-?\d[\d.]*)\]")
#: A table, and the line above it that is its title.
_TABLE = re.compile(r"(?:<p><strong>(?P<title>[^\n]*)</strong></p>\n)?(?P<table><table>.*?</table>)", re.DOTALL)
_LONG_CELL = 60
#: A page of ours that a page links to: beside the Markdown of each there is its HTML.
_PAGE = re.compile(r"^([^:/?#]+)\.md$")


class Section(NamedTuple):
    """A part of a page that is no Markdown."""

    name: str
    """Its id in the page, and its title, for the contents."""
    title: str
    html: str
    style: str = ""
    script: str = ""
    has_audio: bool = False


def html_page(
    markdown: str, folder: Path, title: str, figures: Collection[str] = (), *, embed: bool = True,
    section: Section | None = None,
) -> str:  # fmt: skip
    """Render a report.

    Args:
        markdown: its source; raw HTML in it is shown as text.
        folder: where its figures are, relative to which they are named.
        title: of the page.
        figures: addresses of the page's own figures; another image is not shown, whoever named it.
        embed: hold the figures in the page itself; else they are named, and stay beside it.
        section: what follows the Markdown; a page with one has contents. No script runs but the section's.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for token in _inline(tokens):
        if token.type == "image" and token.attrs["src"] not in figures:
            token.type, token.tag, token.children = "text", "", None
        elif token.type == "image":
            named = Path(str(token.attrs["src"]))
            token.attrs["src"] = _embedded(folder / named) if embed else _sharpest(folder, named).as_posix()
        elif token.type == "link_open":
            token.attrs["href"] = _PAGE.sub(r"\1.html", str(token.attrs["href"]))
    contents = _contents(tokens, section) if section else ""
    body: str = parser.renderer.render(tokens, parser.options, {})
    body = _TABLE.sub(_framed, body)
    body = re.sub(
        r"<p>(<img [^>]*>)</p>",
        r'<figure><div class="sheet" role="region" aria-label="Figure" tabindex="0">\1</div></figure>',
        body,
    )
    policy, style, script = _policy(section, embed), _STYLE, ""
    if section:
        head, end, rest = body.partition("</h1>\n")
        body = f"{head}{end}{contents}{rest}" if end else contents + body
        style = _STYLE + section.style
        body += section.html
        script = f"<script>{section.script}</script>\n" if section.script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n{policy}'
        f"<title>{escape(one_line(title))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<main>\n{body}</main>\n{script}</body>\n</html>\n"
    )


def _policy(section: Section | None, embed: bool) -> str:
    """What the page may load: its own figures, style and script, and the audio beside it; nothing from a network."""
    code = section.script if section else ""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    script = f"'sha256-{digest}'" if code else "'none'"
    # Beside a page that was opened from a disk, 'self' is not enough for every browser.
    images = "data:" if embed else "'self' file:"
    media = " media-src 'self' file:;" if section and section.has_audio else ""
    rules = f"default-src 'none'; img-src {images}; style-src 'unsafe-inline'; script-src {script};{media}"
    return f"<meta http-equiv=\"Content-Security-Policy\" content=\"{rules} base-uri 'none'; form-action 'none'\">\n"


def _contents(tokens: list[Token], section: Section) -> str:
    """Links to the headings of the second level, which get ids."""
    entries: list[tuple[str, str]] = []
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            token.attrs["id"] = f"section-{len(entries) + 1}"
            said = "".join(child.content for child in inline.children or ())
            entries.append((str(token.attrs["id"]), said))
    entries.append((section.name, section.title))
    links = "".join(f'<li><a href="#{escape(name)}">{escape(title)}</a></li>' for name, title in entries)
    return f'<nav class="contents" aria-label="Contents"><ul>{links}</ul></nav>\n'


def _inline(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or ()


def _framed(match: re.Match[str]) -> str:
    """A table that scrolls by itself on a narrow screen, named by the bold line above it, its intervals set back."""
    title = match["title"]
    table = _INTERVAL.sub(lambda m: f'<span class="ci">{m[0]}</span>', match["table"])
    table = re.sub(r"<th\b", '<th scope="col"', table)
    head, body = table.partition("</thead>")[::2]
    body = re.sub(r"<tr>\n<td\b([^>]*)>(.*?)</td>", r'<tr>\n<th scope="row"\1>\2</th>', body, flags=re.DOTALL)
    body = re.sub(rf"<td>(?=[^<]{{{_LONG_CELL}}})", '<td class="words">', body)
    body = re.sub(rf'<td style="([^"]*)">(?=[^<]{{{_LONG_CELL}}})', r'<td class="words" style="\1">', body)
    name = f' aria-label="{re.sub("<[^>]*>", "", title)}"' if title else ' aria-label="Table"'
    table = f"{head}</thead>{body}".replace("<table>", f"<table{name}>")
    above = f"<p><strong>{title}</strong></p>\n" if title else ""
    return f'{above}<div class="scroll" role="region"{name} tabindex="0">{table}</div>'


def _sharpest(folder: Path, file: Path) -> Path:
    """The SVG beside a PNG where there is one, for it stays sharp; relative as it was given."""
    vector = file.with_suffix(".svg")
    return vector if (folder / vector).is_file() else file


def _embedded(file: Path) -> str:
    """A figure as a data address."""
    source = file.parent / _sharpest(file.parent, Path(file.name))
    return f"data:{_TYPES[source.suffix]};base64,{base64.b64encode(source.read_bytes()).decode()}"
