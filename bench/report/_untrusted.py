"""Names and texts from files that anyone may have written, made safe for what they are shown in."""

from __future__ import annotations

import re

__all__ = ["clean", "clip", "code", "escape", "for_figure", "one_line", "spreadsheet_cell"]

LONGEST = 60
#: Control characters, halves of surrogate pairs, and marks that turn the direction of what follows.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: What means something in Markdown: column ends, code, tags, entities, strikes, formulas, emphasis, links and images.
#: A bracket alone means nothing, so that intervals can be read in the source.
_MARKUP = re.compile(r"[\\`*|<&$]|~(?!\d)|(?<![^\W_])_|_(?![^\W_])|(?<=!)\[|\](?=[(\[:])")
_FORMULA = re.compile(r"^[=+\-@\t\r]")


def clean(name: object) -> str:
    """A name that can be printed: without control characters, and without marks that turn the text around it.

    >>> clean("a\\u202eb\\n")
    'a\ufffdb\ufffd'
    """
    return _UNPRINTABLE.sub("\ufffd", str(name))


def one_line(content: str) -> str:
    """A text in one line, cleaned."""
    return clean(" ".join(content.split()))


def clip(name: str, longest: int = LONGEST) -> str:
    """A name that fits: what is too long loses its middle.

    >>> clip("gdr-clap"), clip("abcdefghij", 6)
    ('gdr-clap', 'abcd…j')
    """
    if len(name) <= longest:
        return name
    tail = longest // 4
    return f"{name[: longest - tail - 1]}…{name[-tail:]}"


def escape(content: str) -> str:
    """Text that means nothing in Markdown, in one line.

    >>> escape("a|b [x](y) __c__ d_e [0.1, 0.2]")
    'a\\\\|b [x\\\\](y) \\\\_\\\\_c\\\\_\\\\_ d_e [0.1, 0.2]'
    """
    return _MARKUP.sub(lambda found: f"\\{found[0]}", one_line(content))


def code(content: str) -> str:
    """A name as code in Markdown, where nothing can be escaped."""
    plain = one_line(content).replace("`", "'")
    return f"`{plain}`"


def spreadsheet_cell(content: str) -> str:
    """A text that no spreadsheet takes for a formula: one that would be gets an apostrophe in front."""
    return f"'{content}" if _FORMULA.match(content) else content


def for_figure(label: str) -> str:
    """A label of a figure: lines clipped, dollars no formulas; Δ_T and Δ_A with their letter below."""
    shown = "\n".join(clip(one_line(line), 80) for line in label.split("\n")).replace("$", r"\$")
    return shown.replace("Δ_T", r"$\Delta_T$").replace("Δ_A", r"$\Delta_A$")
