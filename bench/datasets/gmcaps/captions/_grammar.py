"""The grammar engine: templates with slots, rules, and the plan that puts a caption together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.datasets.gmcaps.captions._lexicon import Pool, build_pools
from bench.datasets.gmcaps.captions._phrases import RULES
from bench.datasets.gmcaps.captions._truth import SLOT_MASKS, Draws, Forms, Speaker, missing_mask

__all__ = ["Grammar", "StyleSource", "Template", "skeleton_of"]

_SLOT = re.compile(r"\{(\w+)\}")
_MUST_STATE = SLOT_MASKS["genre"] | SLOT_MASKS["mood"] | SLOT_MASKS["lead"]
#: "a" before a vowel sound becomes "an"; written for the words of this package.
_ARTICLE = re.compile(
    r"\b([Aa]) (?=(?:[aeioAEIO]|h(?:onest|our|eir)|[uU](?!ni[fqv]|ni |s[eu]|kulele|topi))(?!urop|ne\b|uca))"
)
_TITLE_WORD = re.compile(r"(?<![\w'’-])[a-z](?=\w{3})")
_END = (".", "!", "?")
_FEW_WORDS = 4


@dataclass(frozen=True)
class StyleSource:
    """A writing style as written down: text blocks of one template or one value a line.

    Template lines may start with a weight (`3* `). A template that starts with punctuation or with a space is
    a clause and goes on with the sentence before it. `extras` are (share of captions, templates).
    """

    name: str
    forms: Mapping[str, str]
    openers: str
    bodies: str
    fillers: str
    extras: Mapping[str, tuple[float, str]]
    stated: tuple[int, ...]
    """Numbers of statements, in rising order, equally likely."""
    words: tuple[float, ...]
    """Quantiles of the caption length in words, equally spaced from the shortest to the longest."""
    rules: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    family_share: float = 0.1
    zipf_offset: float = 20.0
    max_clauses: int = 2
    """Clauses that a caption's first sentence may take on."""
    lower_start: float = 0.0
    bare_end: float = 0.0
    title_case: float = 0.0


@dataclass(frozen=True, eq=False)
class Template:
    """One sentence or clause: literals at even places, slot names at odd ones."""

    parts: tuple[str, ...]
    mask: int
    states: int
    words: float
    weight: float
    clause: bool
    skeleton: str

    @classmethod
    def parse(cls, line: str) -> Template:
        weighted = re.match(r"(\d+)\* ", line)
        text = line[weighted.end() :] if weighted else line
        parts = tuple(_SLOT.split(text))
        slots = [slot for slot in parts[1::2] if slot in SLOT_MASKS]
        mask = 0
        for slot in slots:
            if mask & SLOT_MASKS[slot]:
                raise ValueError(f"template states something twice: {text}")
            mask |= SLOT_MASKS[slot]
        words = sum(len(part.split()) for part in parts[::2]) + 1.4 * len(parts[1::2])
        weight = float(weighted.group(1)) if weighted else 1.0
        return cls(parts, mask, len(slots), words, weight, text[0] in " ,;", skeleton_of(text))


def skeleton_of(template: str) -> str:
    """A template with its slots masked: `*` for what states an attribute, `_` for open-class words."""
    return _SLOT.sub(lambda m: "*" if m.group(1) in SLOT_MASKS else "_", template)


class Grammar:
    """A style compiled: writes captions for tracks.

    Raises:
        ValueError: a template names an unknown slot, or an opener states neither genre, mood nor lead.
    """

    def __init__(self, source: StyleSource) -> None:
        self.source = source
        self.forms = Forms.parse(source.forms)
        self.pools: dict[str, Pool] = build_pools(source.name, self.forms.words(), source.zipf_offset, source.pools)
        self.rules = {name: _templates(block) for name, block in {**RULES, **source.rules}.items()}
        self.openers = _templates(source.openers)
        self.bodies = _templates(source.bodies)
        self.fillers = _templates(source.fillers)
        self.extras = {name: (share, _templates(block)) for name, (share, block) in source.extras.items()}
        self._check()

    def skeletons(self) -> tuple[str, ...]:
        """Skeletons of all sentences and clauses of the style, in the order of writing."""
        blocks = [self.openers, self.bodies, self.fillers, *(templates for _, templates in self.extras.values())]
        return tuple(dict.fromkeys(template.skeleton for block in blocks for template in block))

    def write(self, speaker: Speaker) -> tuple[str, str]:
        """A caption's text, and its skeleton (sentence skeletons joined by ` || `)."""
        draws, source = speaker.draws, self.source
        length_at = draws.unit()
        wanted = source.stated[int((0.6 * length_at + 0.4 * draws.unit()) * len(source.stated))]
        extras = [templates for share, templates in self.extras.values() if draws.unit() < share]
        plan = _Plan(missing_mask(speaker.attributes), wanted, _quantile(source.words, length_at), source.max_clauses)
        reserved = 0
        for templates in extras:
            reserved |= templates[0].mask
        plan.add(self._opener(plan, reserved, draws))
        for templates in extras:
            plan.add(templates[_weighted(templates, draws)])
        self._state_more(plan, draws)
        self._fill(plan, draws)
        plan.chosen[1:] = sorted(plan.chosen[1:], key=lambda t: not t.clause)
        return self._text(plan.chosen, speaker), " || ".join(t.skeleton for t in plan.chosen)

    def _opener(self, plan: _Plan, reserved: int, draws: Draws) -> Template:
        """A first sentence that fits; the wish for its length gives way first, then the number of statements."""
        possible = [t for t in self.openers if not t.mask & (plan.blocked | reserved)]
        fitting = [t for t in possible if t.states <= plan.left] or possible
        usable = [t for t in fitting if t.words <= plan.room + _FEW_WORDS / 2] or fitting
        return usable[_weighted(usable, draws)]

    def _state_more(self, plan: _Plan, draws: Draws) -> None:
        while plan.left > 0 and plan.room > -_FEW_WORDS:
            usable = [
                t
                for t in self.bodies
                if not t.mask & plan.blocked and t.states <= plan.left and not (t.clause and plan.clauses_left <= 0)
            ]
            if not usable:
                return
            plan.add(usable[_weighted(usable, draws)])

    def _fill(self, plan: _Plan, draws: Draws) -> None:
        """Open-class sentences up to the wished length; each of them once."""
        while plan.room > _FEW_WORDS:
            filler = self.fillers[_weighted(self.fillers, draws)]
            if filler in plan.chosen or (filler.clause and plan.clauses_left <= 0):
                plan.room -= filler.words
            else:
                plan.add(filler)

    def _text(self, chosen: list[Template], speaker: Speaker) -> str:
        draws, source = speaker.draws, self.source
        sentences: list[str] = []
        for template in chosen:
            out: list[str] = []
            self._expand(template, speaker, out)
            text = _ARTICLE.sub(r"\1n ", "".join(out))
            if template.clause:
                sentences[-1] += text
            else:
                sentences.append(text)
        ended = [s if s.endswith(_END) else s + "." for s in sentences]
        ended = [s[0].upper() + s[1:] for s in ended]
        if draws.unit() < source.bare_end and not ended[-1].endswith(("!", "?")):
            ended[-1] = ended[-1][:-1]
        text = " ".join(ended)
        if draws.unit() < source.lower_start:
            text = text[0].lower() + text[1:]
        if draws.unit() < source.title_case:
            text = _TITLE_WORD.sub(lambda m: m.group().upper(), text)
        return text

    def _expand(self, template: Template, speaker: Speaker, out: list[str]) -> None:
        for place, part in enumerate(template.parts):
            if not place % 2:
                out.append(part)
            elif part in SLOT_MASKS:
                out.append(speaker.say(part))
            elif (pool := self.pools.get(part)) is not None:
                out.append(pool.words[speaker.draws.weighted(pool.bounds)])
            else:
                rule = self.rules[part]
                self._expand(rule[_weighted(rule, speaker.draws)], speaker, out)

    def _check(self) -> None:
        known = {*SLOT_MASKS, *self.pools, *self.rules}
        extra_blocks = [templates for _, templates in self.extras.values()]
        for block in (*self.rules.values(), self.openers, self.bodies, self.fillers, *extra_blocks):
            for template in block:
                unknown = set(template.parts[1::2]) - known
                if unknown:
                    raise ValueError(
                        f"style {self.source.name}: unknown slot {sorted(unknown)[0]!r} in {template.skeleton!r}"
                    )
        for template in self.openers:
            if not set(template.parts[1::2]) & {"genre", "mood", "lead"} or template.clause:
                raise ValueError(
                    f"style {self.source.name}: opener states no genre, mood or lead: {template.skeleton!r}"
                )


class _Plan:
    """The sentences of a caption so far, and what is left to wish for."""

    __slots__ = ("blocked", "chosen", "clauses_left", "left", "room")

    def __init__(self, blocked: int, left: int, room: float, clauses: int) -> None:
        self.chosen: list[Template] = []
        self.blocked = blocked
        self.left = left
        self.room = room
        self.clauses_left = clauses

    def add(self, template: Template) -> None:
        self.chosen.append(template)
        self.blocked |= template.mask
        self.left -= template.states
        self.room -= template.words
        self.clauses_left -= template.clause


def _templates(block: str) -> list[Template]:
    return [Template.parse(line) for line in block.strip("\n").splitlines() if line.strip()]


def _weighted(templates: list[Template], draws: Draws) -> int:
    """Index drawn in proportion to the weights, by one pass over a short list."""
    left = draws.unit() * sum(t.weight for t in templates)
    for i, template in enumerate(templates):
        left -= template.weight
        if left < 0:
            return i
    return len(templates) - 1


def _quantile(table: tuple[float, ...], at: float) -> float:
    place = at * (len(table) - 1)
    low = int(place)
    return table[low] + (table[low + 1] - table[low]) * (place - low)
