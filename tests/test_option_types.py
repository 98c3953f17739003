"""Options of parts: their values are held against the annotations in the part's source."""

from __future__ import annotations

import datetime

import pytest

from bench import registry
from bench._option_types import option_problem


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (3, "int"), (3, "float"), (0.5, "float"), (True, "bool"), ("a", "str"), (None, "int | None"),
        (None, "Optional[int]"), (4, "typing.Optional[int]"), ("a", "Union[int, str]"), ("a", "'str | None'"),
        (3, "int | str | None"), (10**400, "int"),
        # What these are cannot be told from the source, so everything is taken.
        ("a", "Path"), (True, "int | Path"), ([1], "Sequence[int]"), ({"a": 1}, ""), ("a", "Literal['a']"), (1, "1 +"),
    ],
)  # fmt: skip
def test_what_an_annotation_allows(value, annotation):
    assert option_problem(value, annotation) is None


@pytest.mark.parametrize(
    ("value", "annotation", "said"),
    [
        (True, "int", "must be a whole number, is True"),
        (True, "float | None", "must be a number, is True"),
        (20.5, "int | None", "must be a whole number, is 20.5"),
        (1, "bool", "must be true or false, is 1"),
        ("9", "Optional[int]", "must be a whole number, is '9'"),
        (None, "str", "must be text, is None"),
        ([1], "int | str", "must be a whole number or text, is [1]"),
        (3, "'str'", "must be text, is 3"),
        (float("nan"), "float", "must be a finite number, is nan"),
        (float("inf"), "Path", "must be a finite number, is inf"),
        (datetime.date(2024, 1, 1), "", "put quotes around text"),
    ],
)
def test_what_it_does_not(value, annotation, said):
    assert said in option_problem(value, annotation)


def test_the_message_is_short():
    assert len(option_problem("x" * 10_000, "int")) < 120


def test_options_of_registered_parts():
    assert registry.datasets.option_problems("gmcaps/sd", {"tracks": True, "style": "web"}) == {
        "tracks": "must be a whole number, is True"
    }
    found = registry.modifiers.option_problems("ddim-inversion", {"steps": 5.0, "guidance_inversion": 1})
    assert list(found) == ["steps"]
    assert registry.datasets.option_problems("gmcaps/sd", {"tracks": 5, "style": None}) == {}
