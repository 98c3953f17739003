"""Phrases of open-class words that several styles use: scenes, uses, comparisons. A rule is one choice a line."""

from __future__ import annotations

__all__ = ["RULES"]

_SCENE = """
a {weather} {time} in {city}
a {weather} {time} at the {place}
a {season} {time} near the {place}
{doing} at the {place}
{doing} with {people}
a {time} of {doing}
{doing} and {doing}
a {place} full of {people}
the {place} at {clock}
a {season} walk around the {place}
{people} {doing} outside a {place}
a {topic} evening
a {weather} walk past the {place}
a plate of {food} at the {place}
"""

_USE = """
a {topic} {format}
a {topic} {format} about {people}
a {format} about {doing}
a {adj} {topic} {format}
a {format} shot in {city}
a {format} set in a {place}
the opening of a {topic} {format}
a {topic} {format} or a {topic} {format}
a {weather} scene with {animals}
"""

_IMAGE = """
like a {thing} at the {place}
like {animals} near a {place}
like a {colour} {thing}
like a {thing} made of {material}
like {things} and {things}
like a {person} with a {thing}
like {people} {doing} by the {place}
like a {weather} {time} in {city}
like {colour} {material}
like a {animal} {verbing} past a {thing}
"""

RULES: dict[str, str] = {
    "scene": _SCENE,
    "use": _USE,
    "image": _IMAGE,
    "clock": "dawn\ndusk\nnoon\nmidnight\nclosing time",
}
