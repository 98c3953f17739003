"""Laws of the registry: names without imports, lazy loading, collisions, suggestions."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import registry
from bench.errors import UserError
from bench.registry import KINDS, Registry, nearest


def _with_entries(*entries: tuple[str, str]) -> Registry:
    made = Registry("bench.of-a-test", "thing")
    found: dict[str, list[EntryPoint]] = {}
    for name, value in entries:
        found.setdefault(name, []).append(EntryPoint(name, value, made.group))
    made.__dict__["_entries"] = found
    return made


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_builtin_loads_and_has_a_description(kind: str) -> None:
    parts = KINDS[kind]
    assert parts.names() == sorted(parts.names())
    for name in parts.names():
        assert parts.get(name) is parts.get(name)
        assert len(parts.describe(name)) > 10, name
        assert parts.distribution(name) is None, name


def test_names_descriptions_and_options_import_nothing() -> None:
    script = (
        "import sys; from bench.registry import KINDS\n"
        "for r in KINDS.values():\n"
        "    for n in r.names(): r.describe(n); r.options(n)\n"
        "bad = {'torch', 'numpy', 'pandas', 'gdr', 'baselines'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_description_is_the_first_line_of_the_class() -> None:
    described = registry.modifiers.describe("slerp")
    assert described == registry.modifiers.get("slerp").__doc__.splitlines()[0]


def test_description_of_an_inherited_part_and_of_its_options() -> None:
    assert "Placebo" in registry.modifiers.describe("irrelevant-negative")
    assert registry.modifiers.options("text-interpolation") == {"variant", "vectors"}
    assert registry.modifiers.options("slerp") == frozenset({"toward"})
    assert registry.datasets.options("gmcaps/pc") == {"style", "tracks"}  # from the base class's load


def test_unknown_name_gives_the_nearest_and_the_next_step() -> None:
    with pytest.raises(UserError, match=r"unknown modifier 'text_interpolatoin'.*'text-interpolation'.*make setup"):
        registry.modifiers.get("text_interpolatoin")


def test_unknown_name_far_from_all_lists_them() -> None:
    with pytest.raises(UserError, match=r"known: aligned, contrastive, gdr, mlp-diffusion, mlp-regression, ridge"):
        registry.retrievers.get("zzzzzzzz")


def test_a_name_registered_twice_is_an_error_only_when_it_is_used() -> None:
    parts = _with_entries(("twice", "json:loads"), ("twice", "json:dumps"), ("once", "json:loads"))
    assert parts.names() == ["once", "twice"]
    assert parts.get("once") is __import__("json").loads
    with pytest.raises(UserError, match=r"'twice' is registered twice: json:loads.*json:dumps"):
        parts.get("twice")


@pytest.mark.parametrize("value", ["no_such_module_here:x", "json:no_such_attribute"])
def test_a_part_that_cannot_be_loaded_says_so(value: str) -> None:
    with pytest.raises(UserError, match=r"'broken' \(.*\) cannot be loaded"):
        _with_entries(("broken", value)).get("broken")


def test_extras_are_named() -> None:
    parts = _with_entries(("heavy", "json:loads [minilm]"))
    assert parts.requires("heavy") == ("minilm",)
    assert parts.get("heavy") is __import__("json").loads


def test_temporary_registration_ends() -> None:
    class Part:
        """A part of this test."""

    with registry.modifiers.temporary("of-this-test", Part):
        assert registry.modifiers.get("of-this-test") is Part
        assert registry.modifiers.describe("of-this-test") == "A part of this test."
        with pytest.raises(UserError, match="already registered"), registry.modifiers.temporary("of-this-test", Part):
            pass
    assert "of-this-test" not in registry.modifiers


@given(st.sampled_from([name for parts in KINDS.values() for name in parts.names()]))
def test_nearest_finds_a_name_despite_case_and_underscores(name: str) -> None:
    names = [name for parts in KINDS.values() for name in parts.names()]
    assert nearest(name.upper().replace("-", "_"), names) is not None
    assert nearest(name, names) == name
