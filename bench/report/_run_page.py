"""The part of a run's HTML page about single prompts: lists of tracks before and after, to look at and to listen to.

The lists of the first method are in the page; a short script puts in those of another one. All texts (captions, edits,
names of tracks) are the dataset's and not to be trusted: they are escaped here, and put in as text by the script.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.report._format import rounded
from bench.report._html import Section
from bench.report._run_page_audio import audio_of
from bench.report._run_page_data import Comparison, Method, Prompt, Unshown, comparisons
from bench.report.load import Run

__all__ = ["PROMPTS", "prompts_section"]

PROMPTS = 20
"""Prompts that are shown unless more are asked for."""
HEADING = "Prompts: what each finds before and after"
#: Bytes of this part, so that a page with its figures stays below three million.
LIMIT = 2_200_000
#: Prompts whose lists are in the page itself; the others' come by the script when they are opened.
WRITTEN = 20
LENGTH_OF_HEAD = 140
NOTHING = "No list: this method does not exist for this retriever."


def prompts_section(run: Run, folder: Path, limit: int | None = PROMPTS, audio: Path | None = None) -> Section | None:
    """The part about single prompts; None where a suite modifies no queries.

    Args:
        run: with its suite.resolved.yaml and its per-query files.
        folder: where the page will be.
        limit: prompts of each dataset and retriever, spread over negatives or refinements; None: all.
        audio: a folder that `bench data render` wrote; tracks that it holds get a player.

    Raises:
        UserError: the folder of audio is not one, or holds no track of this run.
    """
    shown, size = 0, 0
    for primary_only in (False, True):
        found = comparisons(run, limit, primary_only)
        made = _section(found, folder, audio, primary_only)
        if made is None or len(made.html.encode()) <= LIMIT:
            return made
        shown = max(len(one.prompts) for one in found if isinstance(one, Comparison))
        size = len(made.html.encode())
    return prompts_section(run, folder, int(0.95 * shown * LIMIT / size), audio)


def _section(
    found: Sequence[Comparison | Unshown], folder: Path, audio: Path | None, primary_only: bool
) -> Section | None:
    shown = [one for one in found if isinstance(one, Comparison)]
    if audio and not shown:
        raise UserError(f"--audio {audio}: the page of this run shows no tracks to be played; leave --audio out")
    if not found:
        return None
    sources = audio_of(audio, folder, [track for one in shown for track in one.tracks]) if audio else {}
    blocks = [f'<section aria-labelledby="prompts">\n<h2 id="prompts">{HEADING}</h2>', _lead(bool(sources))]
    for at, one in enumerate(shown):
        blocks.append(_comparison(one, at, sources, primary_only))
    for other in found:
        if isinstance(other, Unshown):
            blocks.append(f"<h3>{escape(other.title)}</h3>\n<p>Not shown: {escape(other.why)}.</p>")
    if shown:
        data = _json([_data(one, sources) for one in shown])
        blocks.append(f'<script type="application/json" id="run-data">{data}</script>')
    blocks.append("</section>")
    script = _asset("run_page.js") if shown else ""
    return Section("prompts", HEADING, "\n".join(blocks) + "\n", _asset("run_page.css"), script, bool(sources))


def _asset(name: str) -> str:
    return files("bench.report").joinpath(name).read_text(encoding="utf-8")


def _lead(with_audio: bool) -> str:
    heard = " Tracks can be played where their audio was rendered." if with_audio else ""
    return (
        "<p>The ten nearest tracks of single prompts, before the modification and after it, with what is true of each "
        "track (known because the corpus is composed from it, not judged by a model). Tracks with the value in "
        "question, the target, and tracks that left or came are marked in words."
        f"{heard}</p>\n<noscript><p>Without JavaScript the lists of the first method are shown; the others are in "
        "per_query/*.parquet beside this page.</p></noscript>"
    )


# --- one comparison ---------------------------------------------------------------------------------------------------


def _comparison(one: Comparison, at: int, sources: Mapping[str, str], primary_only: bool) -> str:
    method = one.methods[one.default]
    left_out = " Of each method only its primary strength is here, to keep the page small." if primary_only else ""
    blocks = [
        f'<section id="comparison-{at}" aria-labelledby="title-{at}">\n<h3 id="title-{at}">{escape(one.title)}</h3>',
        f"<p>{len(one.prompts)} of {one.total} queries on {escape(one.dataset)}.{left_out}</p>",
        _controls(one, at),
        f'<p class="told" role="status">{escape(method.label)}, beside {escape(one.cells[method.before])}.</p>',
    ]
    blocks += [_prompt(one, prompt, n, f"{at}-{n}", sources) for n, prompt in enumerate(one.prompts)]
    return "\n".join([*blocks, "</section>"])


def _controls(one: Comparison, at: int) -> str:
    families: dict[str, list[str]] = {}
    for place, method in enumerate(one.methods):
        chosen = " selected" if place == one.default else ""
        option = f'<option value="{place}"{chosen}>{escape(method.label)}</option>'
        families.setdefault(method.family, []).append(option)
    options = "".join(
        f'<optgroup label="{escape(family)}">{"".join(members)}</optgroup>' if len(members) > 1 else members[0]
        for family, members in families.items()
    )
    parts = dict.fromkeys(prompt.part for prompt in one.prompts)
    kinds = "".join(f'<option value="{escape(part)}">{escape(part)}</option>' for part in parts)
    return (
        f'<div class="controls" hidden><div><label for="method-{at}">Modified by</label>'
        f'<select id="method-{at}">{options}</select></div><div><label for="part-{at}">Prompts about</label>'
        f'<select id="part-{at}"><option value="">everything</option>{kinds}</select></div>'
        '<div><button type="button">Open all</button> <button type="button">Close all</button></div></div>'
    )


def _prompt(one: Comparison, prompt: Prompt, n: int, name: str, sources: Mapping[str, str]) -> str:
    method = one.methods[one.default]
    head = f"{escape(_short(prompt.text))}"
    edit = f"{escape(prompt.verb)} <bdi>“{escape(_short(prompt.edit))}”</bdi>"
    rows = [
        ("Prompt" if prompt.given is None else "Said of it", prompt.text, "caption"),
        (prompt.verb.capitalize(), prompt.edit, "caption"),
    ]
    if prompt.given is not None:
        rows.insert(0, ("Track", f"{prompt.given}: {one.tracks.get(prompt.given, '')}", ""))
    rows.append(("Target", f"{prompt.target}: {one.tracks.get(prompt.target, 'truth not known')}", "aim"))
    asked = "".join(
        f'<div><dt>{escape(label)}</dt><dd dir="auto"{_scrolls(text)}{f" class={cls}" if cls else ""}>'
        f"{escape(text)}{_badges(_values(prompt, prompt.target)) if cls == 'aim' else ''}</dd></div>"
        for label, text, cls in rows
    )
    pair = _pair(one, prompt, method, sources) if n < WRITTEN else ""
    return (
        f'<details class="prompt" id="prompt-{name}"{" open" if n == 0 else ""}><summary>'
        f'<h4>{n + 1}. <bdi>{head}</bdi> <span class="edit">{edit}</span></h4>'
        f'<span class="tally">{escape(tally(prompt, method))}</span></summary>'
        f'<dl class="asked">{asked}</dl><div class="pair">{pair}</div></details>'
    )


def _values(prompt: Prompt, track: str) -> list[tuple[str, str]]:
    """Class and words of the marks for what is true of a track."""
    return [
        ("mark good" if mark.good else "mark bad", f"{mark.word}: {mark.value}")
        for mark in prompt.marks
        if track in mark.tracks
    ]


def _badges(marks: Sequence[tuple[str, str]]) -> str:
    return "".join(f' <span class="{cls}">{escape(text)}</span>' for cls, text in marks)


def _scrolls(text: str) -> str:
    """A long text scrolls in its box, which a keyboard must be able to reach."""
    return ' tabindex="0"' if len(text) > 600 else ""


def _short(text: str) -> str:
    return text if len(text) <= LENGTH_OF_HEAD else f"{text[:LENGTH_OF_HEAD].rstrip()}…"


def _pair(one: Comparison, prompt: Prompt, method: Method, sources: Mapping[str, str]) -> str:
    before, after = prompt.lists[method.before], prompt.lists[method.cell]
    return _column(one, prompt, f"Before: {one.cells[method.before]}", before, after, True, sources) + _column(
        one, prompt, f"After: {method.label}", after, before, False, sources
    )


def _column(
    one: Comparison, prompt: Prompt, title: str, shown: Sequence[str], other: Sequence[str], is_before: bool,
    sources: Mapping[str, str],
) -> str:  # fmt: skip
    rows = []
    for place, track in enumerate(shown):
        marks = _badges(_marks(prompt, track, place, other, is_before))
        rows.append(
            f'<li><div class="track"><span dir="auto">{escape(track)}</span>{marks}</div>'
            f'<div class="says" dir="auto">{escape(one.tracks.get(track, ""))}</div>{_player(track, sources)}</li>'
        )
    found = f'<ol class="found">{"".join(rows)}</ol>' if rows else f'<p class="none">{NOTHING}</p>'
    return f"<div><h5>{escape(title)}</h5>{found}</div>"


def _marks(prompt: Prompt, track: str, place: int, other: Sequence[str], is_before: bool) -> list[tuple[str, str]]:
    """Class and words of each mark of a track in a list."""
    found = [("mark target", "target")] if track == prompt.target else []
    found += _values(prompt, track)
    if track not in other:
        return [*found, ("mark", "left" if is_before else "came")]
    there = other.index(track)
    moved = "same place" if there == place else f"{'now' if is_before else 'was'} {there + 1}"
    return [*found, ("mark", moved)]


def _player(track: str, sources: Mapping[str, str]) -> str:
    if track not in sources:
        return ""
    return f'<audio controls preload="none" src="{escape(sources[track])}" aria-label="Play {escape(track)}"></audio>'


def tally(prompt: Prompt, method: Method) -> str:
    """What the modification did to one prompt's list, in numbers."""
    before, after = prompt.lists[method.before], prompt.lists[method.cell]
    if not after:
        return "no list"
    told = []
    for mark in prompt.marks:
        had, has = (sum(track in mark.tracks for track in tracks) for tracks in (before, after))
        told.append(f"{mark.word} ({mark.value}): {had} of {len(before)} before, {has} after")
    left = sum(track not in after for track in before)
    was, now = (rounded(prompt.ranks[cell], "rank") for cell in (method.before, method.cell))
    return " · ".join([*told, f"{left} of {len(before)} tracks left", f"target at rank {was}, then {now}"])


# --- what the script needs --------------------------------------------------------------------------------------------


def _data(one: Comparison, sources: Mapping[str, str]) -> dict[str, Any]:
    place = {track: at for at, track in enumerate(one.tracks)}
    prompts = []
    for prompt in one.prompts:
        lists = [[place[track] for track in tracks] for tracks in prompt.lists]
        seen = {track for tracks in prompt.lists for track in tracks}
        marks = [[m.word, m.value, sorted(place[t] for t in m.tracks & seen), m.good] for m in prompt.marks]
        prompts.append({
            "part": prompt.part, "target": place.get(prompt.target), "marks": marks, "lists": lists,
            "ranks": list(prompt.ranks),
        })  # fmt: skip
    return {
        "tracks": [[track, said, sources.get(track)] for track, said in one.tracks.items()],
        "cells": list(one.cells), "first": one.default, "nothing": NOTHING, "prompts": prompts,
        "methods": [{"label": m.label, "cell": m.cell, "before": m.before} for m in one.methods],
    }  # fmt: skip


def _json(data: Any) -> str:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
