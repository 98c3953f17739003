"""The published reports: a page a suite, all claims, how far presets and seeds agree, and the index of these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import resources
from bench.errors import UserError
from bench.report._agreement import agreement_blocks, overview
from bench.report._claims import every_claim, tally
from bench.report._format import retriever_label, slug
from bench.report._kept import keep_runs
from bench.report._page import Page
from bench.report._seeds import seeds_blocks
from bench.report._table import Table, text
from bench.report._untrusted import escape
from bench.report.load import Run, agreement, find_runs
from bench.report.pages import write_page
from bench.store import ensure_writable, write_atomic

__all__ = ["Chosen", "build_index", "choose", "keep_runs"]

#: Fewer seeds than this say nothing about stability.
LEAST_SEEDS = 3


class Chosen(NamedTuple):
    """The runs of one suite on one main retriever that the published pages are built from."""

    page: str
    """Name of the page, such as `negative-prompting` or `negative-prompting-gdr-muscall`."""
    shown: Run
    """The run that the page shows."""
    quick: Run | None
    """The quick run that is compared with it, where the page shows a full one."""
    seeds: tuple[Run, ...]
    """Runs of one preset over seeds, by seed, the shown seed among them; empty if there are too few."""


def choose(runs: Iterable[Run]) -> list[Chosen]:
    """Choose the runs to publish: full before quick, then the smallest seed, then the latest.

    A suite's page is of its own main retriever; runs on another one get a page each.
    """
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.suite, run.main), []).append(run)
    mains: dict[str, list[str]] = {}
    for suite, main in sorted(found):
        mains.setdefault(suite, []).append(main)
    chosen = []
    for suite, names in mains.items():
        own = _own_main(suite, names)
        for main in sorted(names, key=lambda name: (name != own, name)):
            page = slug(suite) if main == own else f"{slug(suite)}-{slug(main)}"
            chosen.append(_chosen(page, found[suite, main]))
    return chosen


def _own_main(suite: str, mains: Sequence[str]) -> str | None:
    """The retriever that a suite names first, or the only one that it was run on."""
    if len(mains) == 1 and suite not in resources.suite_names():
        return mains[0]
    try:
        from bench._suite_yaml import read_yaml

        first = (read_yaml(resources.suite_path(suite)).data.get("retrievers") or [{}])[0]
    except UserError:
        return None
    return str(first.get("id"))


def _chosen(page: str, runs: Sequence[Run]) -> Chosen:
    full = [run for run in runs if run.preset == "full"]
    others = [run for run in runs if run.preset != "full"]
    shown = _best(full or others)
    beside = [run for run in others if run.seed == shown.seed] if full else []
    by_seed: dict[int, list[Run]] = {}
    for run in others if _seeds(others) >= _seeds(full) else full:
        by_seed.setdefault(run.seed, []).append(run)
    seeds = tuple(_best(by_seed[seed]) for seed in sorted(by_seed))
    return Chosen(page, shown, _best(beside) if beside else None, seeds if len(seeds) >= LEAST_SEEDS else ())


def _seeds(runs: Sequence[Run]) -> int:
    return len({run.seed for run in runs})


def _best(runs: Sequence[Run]) -> Run:
    """The smallest seed, then the latest."""
    return min(runs, key=lambda run: (run.seed, -(run.folder / "summary.json").stat().st_mtime_ns))


# --- pages ------------------------------------------------------------------------------------------------------------


def build_index(
    results: str | Path | Sequence[Path],
    out: str | Path,
    keep: str | Path | None = None,
    leaderboard: str | None = None,
) -> Path:
    """Collect runs: a page a suite, a page with every claim, one on agreement, one on seeds, and an index of these.

    Args:
        results: folder of results, `results/`, or what an earlier call kept; or the folders of the runs themselves.
        out: folder of the pages.
        keep: a folder for what the pages and the leaderboard need of the runs: from it they can be built again.
        leaderboard: folder of the leaderboard, relative to `out`, to link to.

    Returns:
        index.md.

    Raises:
        UserError: no results there, or a folder that cannot be written.
    """
    folder = Path(out)
    folders = find_runs(results) if isinstance(results, (str, Path)) else results
    chosen = choose(Run(path) for path in folders)
    ensure_writable(folder, "--out")
    for one in chosen:
        page = Page(folder, f"{one.page}/")
        page.add("[All suites](index.md)")
        write_page(one.shown, page, one.page)
    page = Page(folder)
    page.add("# Results", _suites_table(chosen).markdown())
    links = [_write(folder, name, title, blocks) for name, title, blocks in _overviews(folder, chosen) if blocks]
    if leaderboard is not None:
        links.append(f"- [Leaderboard]({leaderboard}/index.html), also as [Markdown]({leaderboard}/leaderboard.md)")
    page.add("\n".join(links))
    if keep is not None:
        keep_runs(chosen, Path(keep))
    return page.write("index", "Results")


def _overviews(folder: Path, chosen: Sequence[Chosen]) -> list[tuple[str, str, list[str]]]:
    """File name, title and blocks of the pages about all suites; a page without blocks is not written."""
    claims = Page(folder)
    claims.table(every_claim({one.page: one.shown for one in chosen}))
    return [
        ("claims", "Claims of all suites", claims.blocks),
        ("agreement", "Agreement of quick and full", _agreement(folder, chosen)),
        ("seeds", "Stability over seeds", _stability(chosen)),
    ]


def _write(folder: Path, name: str, title: str, blocks: Sequence[str]) -> str:
    page = Page(folder)
    page.add("[All suites](index.md)", f"# {title}", *blocks)
    page.write(name, title)
    return f"- [{title}]({name}.md)"


def _suites_table(chosen: Sequence[Chosen]) -> Table:
    rows = []
    for one in chosen:
        run = one.shown
        title = str(run.summary.get("title") or run.suite)
        # A run on another main retriever stands below its suite.
        shown = title if one.page == slug(run.suite) else f"{title}, on {retriever_label(run.main)}"
        link = text(shown, page=f"{one.page}.md")
        rows.append((link, text(str(run.summary["profile"])), text(run.preset), text(tally(run))))
    return Table("suites", "Suites", ("suite", "profile", "preset", "claims"), tuple(rows))


def _agreement(folder: Path, chosen: Sequence[Chosen]) -> list[str]:
    """Quick beside full, for every suite that has both."""
    compared = {}
    refused = []
    for one in chosen:
        if one.quick is None:
            continue
        try:
            compared[one.page] = (one.quick, one.shown, agreement(one.quick, one.shown))
        except UserError as error:
            refused.append(f"- {one.page}: {escape(str(error).replace(str(one.quick.folder), 'quick'))}")
    if not compared:
        return []
    blocks = [overview(compared).markdown()]
    if refused:
        blocks += ["Not compared:", "\n".join(refused)]
    for name, (quick, full, frame) in compared.items():
        blocks += [f"## {name}", *agreement_blocks(quick, full, frame)]
        path = folder / name / "tables" / "agreement.csv"
        write_atomic(path, frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
    return blocks


def _stability(chosen: Sequence[Chosen]) -> list[str]:
    blocks = []
    for one in chosen:
        if one.seeds:
            blocks += [f"## {one.page}", *seeds_blocks(one.seeds)]
    return blocks
