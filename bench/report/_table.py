"""A table of a report: entries with intervals and reasons, and its Markdown, CSV and LaTeX forms."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.report._format import interval, rounded
from bench.report._untrusted import escape, one_line, spreadsheet_cell
from bench.report.load import Value

__all__ = ["Entry", "Table", "mark", "number", "text"]

_MARKS = "¹²³⁴⁵⁶⁷⁸⁹"


class Entry(NamedTuple):
    """One table entry: what is printed, the number behind it, a footnote, and the page that it leads to."""

    text: str
    value: Value | None = None
    note: str | None = None
    page: str | None = None


def text(content: str, note: str | None = None, page: str | None = None) -> Entry:
    """An entry of words; `page` is the file of a page of ours that it leads to."""
    return Entry(content, None, note, page)


def number(value: Value, unit: str, *, with_interval: bool = True, beside: str = "") -> Entry:
    """An entry of a number: `0.85 [0.83, 0.87]`, then `beside`; without a number `n/a` and the reason as a footnote."""
    if value.value is None:
        return Entry(f"n/a{beside}", value, value.why)
    bounds = interval(value, unit) if with_interval else ""
    return Entry(f"{rounded(value.value, unit)}{' ' if bounds else ''}{bounds}{beside}", value)


@dataclass(frozen=True)
class Table:
    """A table: the first column names the rows, the others hold entries."""

    name: str
    """File name without its suffix."""
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]

    def notes(self) -> list[str]:
        """Distinct footnotes, in order of appearance."""
        return list(dict.fromkeys(entry.note for row in self.rows for entry in row if entry.note))

    def printed(self) -> list[list[str]]:
        """What stands in the rows, with the marks of footnotes."""
        notes = self.notes()
        return [[e.text + (mark(notes.index(e.note)) if e.note else "") for e in row] for row in self.rows]

    def markdown(self) -> str:
        """Pipe table with its title in bold above, and the footnotes below."""
        lines = [f"**{escape(self.title)}**", "", "| " + " | ".join(map(escape, self.columns)) + " |"]
        lines.append("|" + "|".join(" :-- " if self._is_text(i) else " --: " for i in range(len(self.columns))) + "|")
        for row, printed in zip(self.rows, self.printed(), strict=True):
            shown = [_linked(escape(said), entry.page) for said, entry in zip(printed, row, strict=True)]
            lines.append("| " + " | ".join(shown) + " |")
        if self.notes():
            lines += ["", "; ".join(f"{mark(i)} {escape(note)}" for i, note in enumerate(self.notes())) + "."]
        return "\n".join(lines)

    def _is_text(self, column: int) -> bool:
        return all(row[column].value is None for row in self.rows)

    def csv(self) -> str:
        """Full precision; a number takes three columns: its value, `lo` and `hi`. No text is taken for a formula."""
        import pandas as pd

        records: list[dict[str, Any]] = []
        for row in self.rows:
            record: dict[str, Any] = {}
            for index, (column, entry) in enumerate(zip(self.columns, row, strict=True)):
                head = spreadsheet_cell(one_line(column))
                if self._is_text(index):
                    record[head] = spreadsheet_cell(one_line(entry.text))
                else:
                    value = entry.value or Value(None)
                    record |= {head: value.value, f"{head} lo": value.lo, f"{head} hi": value.hi}
            records.append(record)
        buffer = io.StringIO()
        pd.DataFrame(records).to_csv(buffer, index=False, lineterminator="\n")
        return buffer.getvalue()

    def tex(self) -> str:
        """A booktabs tabular, as printed; footnotes as comments."""
        align = "".join("l" if self._is_text(i) else "r" for i in range(len(self.columns)))
        notes = [f"% {mark(i)} {one_line(note)}" for i, note in enumerate(self.notes())]
        lines = [f"% {one_line(self.title)}", *notes]
        lines += [rf"\begin{{tabular}}{{{align}}}", r"\toprule", _tex_row(self.columns), r"\midrule"]
        lines += [_tex_row(row) for row in self.printed()]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _linked(escaped: str, page: str | None) -> str:
    if not page:
        return escaped
    balanced = re.sub(r"(?<!\\)[\[\]]", lambda found: f"\\{found[0]}", escaped)
    return f"[{balanced}]({page})"


def mark(index: int) -> str:
    """Superscript number of a footnote."""
    return "".join(_MARKS[int(d) - 1] if d != "0" else "⁰" for d in str(index + 1))


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "−": "$-$", "·": r"$\cdot$",
    "≥": r"$\ge$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--", "Δ": r"$\Delta$", 
    **{sign: f"$^{{{i}}}$" for i, sign in enumerate("⁰" + _MARKS)},
}  # fmt: skip


def _tex(content: str) -> str:
    """LaTeX source that prints the text; Δ_T and Δ_A as symbols."""
    content = one_line(content)
    for letter in "TA":
        content = content.replace(f"Δ_{letter}", f"\0{letter}")
    escaped = "".join(_TEX.get(c, c) for c in content)
    return escaped.replace("\0T", r"$\Delta_T$").replace("\0A", r"$\Delta_A$")


def _tex_row(row: Sequence[str]) -> str:
    return " & ".join(map(_tex, row)) + r" \\"
