"""The board as one HTML page that holds its style, script, data and figures, and asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

from bench.leaderboard._plot import Point, front, pareto_svg
from bench.leaderboard._text import TITLE, Column, columns, cost_axis, notes, printed, rules, units
from bench.leaderboard.ranks import Entry, Pool
from bench.leaderboard.rows import METRICS, Row
from bench.report._format import interval, rounded
from bench.report._untrusted import clip

__all__ = ["page"]

#: What rows can be filtered by: field, label of the choice.
FILTERS = {"dataset": "Dataset", "space": "Space", "paradigm": "Paradigm"}
QUALITY = "R@10"


def page(pools: Sequence[Pool], left_out: Sequence[str], by: str, links: Mapping[int, str | None]) -> str:
    """The whole page.

    Args:
        pools: rows that are compared, set by set.
        left_out: what is not in it, in sentences.
        by: metric of the ranks.
        links: id of a row -> path to its run's page, or None.
    """
    script = _asset("board.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rows = [entry.row for pool in pools for entry in pool.entries]
    choices = {field: sorted({str(getattr(row, field)) for row in rows}) for field in FILTERS}
    return Template(_asset("page.html")).substitute(
        title=TITLE,
        lead=escape(_lead(pools, by)),
        script_hash=f"sha256-{digest}",
        style=_asset("board.css"),
        filters="\n".join(_select(field, choices[field]) for field in FILTERS),
        count=f"{len(rows)} rows",
        table=_table(pools, links),
        cost_note=escape(_cost_note(pools)),
        plots="\n".join(_figure(pool, place) for place, pool in enumerate(pools)),
        rules="\n".join(f"<p>{escape(rule)}</p>" for rule in rules(by)),
        meanings="\n".join(f"<dt>{escape(c.head)}</dt><dd>{escape(c.meaning)}</dd>" for c in columns()),
        left_out=_left_out(left_out),
        data=_json(_data(pools, choices)),
        script=script,
    )


def _asset(name: str) -> str:
    return files("bench.leaderboard").joinpath(name).read_text(encoding="utf-8")


def _lead(pools: Sequence[Pool], by: str) -> str:
    datasets = len({pool.dataset for pool in pools})
    return (
        f"Ways of turning a text into a query for music retrieval, on {datasets} "
        f"dataset{'' if datasets == 1 else 's'}, with the ranks that {by} supports."
    )


def _left_out(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    items = "\n".join(f"<li>{escape(clip(what, 400))}</li>" for what in left_out)
    return f"<h3>Left out</h3>\n<ul>\n{items}\n</ul>"


def _select(field: str, choices: Sequence[str]) -> str:
    options = "".join(f'<option value="{i}">{escape(clip(name))}</option>' for i, name in enumerate(choices))
    return (
        f"<label>{FILTERS[field]}"
        f'<select id="filter-{field}" data-field="{field}" autocomplete="off"><option value="">all</option>{options}'
        "</select></label>"
    )


# --- table ------------------------------------------------------------------------------------------------------------


def _table(pools: Sequence[Pool], links: Mapping[int, str | None]) -> str:
    heads = columns()
    lines = ["<thead><tr>", *(_head(column) for column in heads), "</tr></thead>"]
    place = 0
    for pool in pools:
        lines.append("<tbody>")
        said = " ".join(f"<span>{escape(note)}</span>" for note in notes(pool))
        lines.append(
            f'<tr class="set"><th scope="rowgroup" colspan="{len(heads)}"><span class="said">'
            f"<strong>{_name(pool.name)}</strong> {said}</span></th></tr>"
        )
        for entry in pool.entries:
            tied = ' class="tied"' if entry.rank and entry.rank.tied_with_best else ""
            cells = "".join(_cell(column, pool, entry, links) for column in heads)
            lines.append(f'<tr data-row="{place}"{tied}>{cells}</tr>')
            place += 1
        lines.append("</tbody>")
    return "\n".join(lines)


def _head(column: Column) -> str:
    ordered = ' aria-sort="ascending"' if column.key == "rank" else ""
    kind = ' class="number"' if column.numeric else ""
    title = escape(column.meaning, quote=True)
    return f'<th scope="col"{kind}{ordered}><button type="button" title="{title}">{escape(column.head)}</button></th>'


def _cell(column: Column, pool: Pool, entry: Entry, links: Mapping[int, str | None]) -> str:
    key, row = column.key, entry.row
    if key in METRICS:
        value, unit = row.values[key], units(key)
        bounds = interval(value, unit)
        beside = f' <span class="ci">{bounds}</span>' if bounds else ""
        why = f' title="{escape(clip(value.why, 200), quote=True)}"' if value.value is None and value.why else ""
        return f'<td class="number"{why}>{rounded(value.value, unit)}{beside}</td>'
    said = printed(key, pool, entry)
    if key == "retriever":
        return f'<th scope="row">{_name(said)}</th>'
    if key == "rank":
        best = '<br><span class="best">tied with best</span>' if entry.rank and entry.rank.tied_with_best else ""
        return f'<td class="number rank">{escape(said)}{best}</td>'
    if key == "run" and links.get(id(row)):
        address = escape(quote(str(links[id(row)]), safe="/."), quote=True)
        return f'<td class="words"><a href="{address}">{_name(said)}</a></td>'
    return (
        f'<td class="number">{escape(said)}</td>' if column.numeric else f'<td class="words {key}">{_name(said)}</td>'
    )


def _name(name: str) -> str:
    """A name in its own direction of writing; one that was clipped is whole in its title."""
    short = clip(name)
    title = f' title="{escape(name, quote=True)}"' if short != name else ""
    return f"<bdi{title}>{escape(short)}</bdi>"


# --- data -------------------------------------------------------------------------------------------------------------


def _data(pools: Sequence[Pool], choices: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What the script sorts and filters by."""
    found: list[dict[str, Any]] = []
    for pool in pools:
        for entry in pool.entries:
            row = entry.row
            record: dict[str, Any] = {field: choices[field].index(str(getattr(row, field))) for field in FILTERS}
            record["place"] = len(found)
            record["best"] = bool(entry.rank and entry.rank.tied_with_best)
            record["keys"] = [_sort_key(column, pool, entry) for column in columns()]
            found.append(record)
    return {"columns": [{"descending": column.descending} for column in columns()], "rows": found}


def _sort_key(column: Column, pool: Pool, entry: Entry) -> list[Any] | None:
    """What a row is sorted by in a column, compared part by part; None goes last in either direction."""
    key, row = column.key, entry.row
    if key in METRICS:
        number = row.values[key].value
    elif key == "rank":
        return list(entry.rank) if entry.rank else None
    elif key == "latency":
        number = row.latency.milliseconds if row.latency else None
    elif key in ("n_gallery", "n_queries", "evaluations"):
        number = getattr(row, key)
    else:
        said = clip(printed(key, pool, entry))
        return [said.casefold(), said]
    return None if number is None else [number]


def _json(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# --- plots ------------------------------------------------------------------------------------------------------------


def _cost_note(pools: Sequence[Pool]) -> str:
    said = []
    if any(cost_axis(pool)[0].startswith("network") for pool in pools):
        said.append(
            "Where not every row of a set was timed on one machine, cost is the number of network evaluations of one "
            "query. It does not count the text encoder, and evaluations of different networks take different times."
        )
    return " ".join(said)


def _figure(pool: Pool, place: int) -> str:
    """The plot of a set of queries, and a list that says the same."""
    label, costs = cost_axis(pool)
    points: list[Point] = []
    named: dict[int, Row] = {}
    for entry, cost in zip(pool.entries, costs, strict=True):
        value = entry.row.values[QUALITY]
        if cost is not None and value.value is not None:
            points.append(Point(len(points) + 1, cost, value))
            named[len(points)] = entry.row
    head = f'<figure data-set="{place}"><figcaption>{_name(pool.name)}: {QUALITY} against {escape(label)}</figcaption>'
    if len({point.cost for point in points}) < 2:
        return f"{head}<p>{_no_plot(points)}</p></figure>"
    svg = pareto_svg(points, label, f"{QUALITY}, %", f"plot{place}")
    best = front(points)
    items = "".join(f"<li>{_point(named[p.number], p, label, p.number in best)}</li>" for p in points)
    return f"{head}{svg}<ol>{items}</ol>{_without_cost(pool, costs)}</figure>"


def _without_cost(pool: Pool, costs: Sequence[float | None]) -> str:
    """Which rows are not in the plot, and why."""
    by_reason: dict[str, list[str]] = {}
    for entry, cost in zip(pool.entries, costs, strict=True):
        if cost is None:
            why = entry.row.why_no_latency or "what its query costs is not known"
            by_reason.setdefault(why, []).append(_name(entry.row.retriever))
    return "".join(
        f"<p>Not in the plot: {', '.join(rows)} ({escape(clip(why, 200))}).</p>" for why, rows in by_reason.items()
    )


def _no_plot(points: Sequence[Point]) -> str:
    if not points:
        return "No plot: the cost of its rows is not known."
    return f"No plot: every row costs the same ({points[0].cost:g})."


def _point(row: Row, point: Point, label: str, on_front: bool) -> str:
    cost = f"{point.cost:.3g} ms" if label.startswith("latency") else f"{point.cost:g} evaluations"
    where = ", on the front" if on_front else ""
    return f"{_name(row.retriever)} ({_name(row.space)}): {rounded(point.value.value, '%')} % at {cost}{where}"
