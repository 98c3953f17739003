"""Captions of GMCaps tracks: a grammar in four writing styles that states only what is true.

The styles word the same attributes differently and only partly share their wordings, since caption style is one
of the corpus's dials of domain shift. A caption comes with the predicates that it states.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bench.datasets.gmcaps.attributes import Attributes
from bench.datasets.gmcaps.captions._grammar import Grammar, skeleton_of
from bench.datasets.gmcaps.captions._truth import Draws, Speaker
from bench.errors import UserError

__all__ = ["STYLES", "CaptionText", "skeleton_of", "skeletons", "surface_forms", "write_caption"]

#: Writing styles of the domains WEB, PC, SD and MC.
STYLES = ("web", "library", "describer", "musiccaps")


@dataclass(frozen=True)
class CaptionText:
    """A caption and what it claims."""

    text: str
    stated: tuple[dict[str, Any], ...]
    """Predicates in JSON form (bench.datasets.predicates), all true of the track."""
    skeleton: str
    """The sentence templates, slots masked, joined by ` || `."""


def write_caption(attributes: Attributes, style: str, rng: np.random.Generator) -> CaptionText:
    """Write one caption of a track.

    Args:
        attributes: what is true of the track.
        style: one of `STYLES`.
        rng: the only source of randomness; the same state gives the same caption.

    Raises:
        UserError: unknown style.
    """
    grammar = _compiled(style)
    speaker = Speaker(attributes, grammar.forms, grammar.source.family_share, Draws(rng))
    text, skeleton = grammar.write(speaker)
    return CaptionText(text, tuple(speaker.stated), skeleton)


def skeletons(style: str) -> tuple[str, ...]:
    """All sentence skeletons that captions of a style can be made of.

    Raises:
        UserError: unknown style.
    """
    return _compiled(style).skeletons()


def surface_forms(style: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Wordings of a style: attribute (`instrument` for lead and accompaniment) -> value -> forms.

    Raises:
        UserError: unknown style.
    """
    return {attribute: dict(table) for attribute, table in _compiled(style).forms.values.items()}


@cache
def _compiled(style: str) -> Grammar:
    """Compiled on first use: templates and word pools are needed only where captions are written."""
    from bench.datasets.gmcaps.captions._describer import DESCRIBER
    from bench.datasets.gmcaps.captions._library import LIBRARY
    from bench.datasets.gmcaps.captions._musiccaps import MUSICCAPS
    from bench.datasets.gmcaps.captions._web import WEB

    sources = {source.name: source for source in (WEB, LIBRARY, DESCRIBER, MUSICCAPS)}
    if style not in sources:
        raise UserError(f"unknown caption style {style!r}; choose one of {', '.join(STYLES)}")
    return Grammar(sources[style])
