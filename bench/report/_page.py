"""A report in the making: its blocks of Markdown, and the files beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report._html import Section, html_page
from bench.report._table import Table
from bench.report._untrusted import escape
from bench.report.figures import save_figure
from bench.store import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Page"]


@dataclass
class Page:
    """One page, in Markdown and HTML, with its figures and tables."""

    folder: Path
    assets: str = ""
    """Where figures and tables go, relative to the folder, as `SUITE/` or nothing."""
    blocks: list[str] = field(default_factory=list)
    figures: set[str] = field(default_factory=set)
    """Addresses of the figures that were saved: no other image is shown."""
    section: Section | None = None
    """What follows the Markdown in the HTML page alone."""

    def add(self, *blocks: str) -> None:
        self.blocks.extend(blocks)

    def table(self, table: Table | None, prefix: str = "") -> None:
        """Print a table, and write its CSV and LaTeX; a table without rows is left out."""
        if table is None or not table.rows:
            return
        self.add(table.markdown())
        path = self.folder / self.assets / "tables" / f"{prefix}{table.name}"
        write_atomic(path.with_name(f"{path.name}.csv"), table.csv())
        write_atomic(path.with_name(f"{path.name}.tex"), table.tex())

    def figure(self, figure: Figure | None, name: str, caption: str) -> None:
        """Save a figure as PNG and SVG and show it; None is left out."""
        if figure is None:
            return
        save_figure(figure, self.folder / self.assets / "figures", name)
        address = f"{self.assets}figures/{name}.png"
        self.figures.add(address)
        self.add(f"![{escape(caption)}]({address})", caption)

    def write(self, name: str, title: str) -> Path:
        """Write the Markdown and the HTML page."""
        markdown = "\n\n".join(self.blocks) + "\n"
        path = self.folder / f"{name}.md"
        write_atomic(path, markdown)
        html = html_page(markdown, self.folder, title, self.figures, embed=not self.assets, section=self.section)
        write_atomic(self.folder / f"{name}.html", html)
        return path
