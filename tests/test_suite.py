"""Suites: what a good one resolves to, and what each kind of mistake says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from bench import resources
from bench._suite_yaml import MAX_ALIASES, MAX_BYTES, parse_value
from bench.errors import UserError
from bench.suite import json_schema, load_suite, metric_known

SUITE = """\
schema_version: 1
name: small
title: A small suite
datasets: [sd]
spaces: [clap]
retrievers:
  - {name: gdr, id: gdr-clap}
prompts: prompts.yaml
settings: {guidance: 3, samples: 4}
modifiers:
  - {name: negative-prompting, strength: [0, 1, 2]}
  - {name: text-interpolation, variant: away, strength: 2}
  - {name: prefix-negation, form: append}
metrics: [R@1, R@10, removal@10, "CLAP(gen+)"]
presets:
  quick: {samples: 2}
  full: {samples: 5, sampler: ddim-50}
claims:
  - id: first
    text: It removes.
    source: ours
    metric: removal@10
    a: {modifier: negative-prompting, strength: 2}
    b: {modifier: none}
    expect: a > b
    margin: 0.05
  - id: second
    text: It stays close.
    source: ours
    metric: CLAP(gen+)
    a: {modifier: negative-prompting}
    b: [{modifier: text-interpolation, variant: away}]
    at: equal-removal
    expect: a > b
    requires: [first]
"""

PROMPTS = """\
schema_version: 1
negatives:
  - {id: one, category: genre, text: a rock song, irrelevant: in C major, where: {attribute: genre, in: [rock]}}
  - {id: two, category: key, text: in C major, irrelevant: jazz,
     where: [{attribute: key, in: [C]}, {attribute: mode, in: [major]}]}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the small suite with a replacement, and its prompts."""

    def make(old: str = "", new: str = "", prompts: str = PROMPTS) -> Path:
        assert old in SUITE
        (tmp_path / "prompts.yaml").write_text(prompts)
        file = tmp_path / "small.yaml"
        file.write_text(SUITE.replace(old, new, 1) if old else SUITE)
        return file

    return make


def _message(file: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        load_suite(file, **options)  # type: ignore[arg-type]
    return str(caught.value)


# --- what a suite resolves to ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", resources.suite_names())
@pytest.mark.parametrize("preset", ["quick", "full"])
def test_every_packaged_suite_loads(name: str, preset: str) -> None:
    suite = load_suite(name, preset=preset)
    assert suite.name == name
    assert json.loads(json.dumps(suite.resolved())) == suite.resolved()


def test_roles_are_resolved_by_the_profile(write: Write) -> None:
    suite = load_suite(write())
    assert [(ref.id, ref.name) for ref in suite.datasets] == [("sd", "gmcaps/sd")]
    assert suite.spaces == {"clap": "mini-clap"}
    (retriever,) = suite.retrievers
    assert (retriever.id, retriever.name, retriever.space, retriever.weights) == (
        "gdr-clap",
        "gdr",
        "mini-clap",
        "gdr-clap",
    )


def test_settings_come_from_suite_then_preset_then_set(write: Write) -> None:
    file = write()
    assert load_suite(file).settings.samples == 2
    assert load_suite(file, preset="full").settings.samples == 5
    assert load_suite(file, preset="full").settings.guidance == 3
    assert load_suite(file, overrides={"samples": 7}).settings.samples == 7
    assert load_suite(file, overrides={"settings.samples": 8}).settings.samples == 8
    assert load_suite(write("  quick: {samples: 2}\n", "  quick: {}\n")).settings.samples == 4


def test_strengths_are_tuples_and_the_primary_one_is_two(write: Write) -> None:
    rows = load_suite(write()).modifiers
    assert [row.strengths for row in rows] == [(0.0, 1.0, 2.0), (2.0,), (None,)]
    assert [row.primary for row in rows] == [2.0, 2.0, None]
    assert rows[1].options == {"variant": "away"}


def test_overrides_reach_places_in_lists(write: Write) -> None:
    suite = load_suite(write(), overrides={"modifiers.0.strength": [2, 4], "seeds": [5]})
    assert suite.modifiers[0].strengths == (2.0, 4.0)
    assert suite.seeds == (5,)


def test_sides_of_a_claim_become_selectors(write: Write) -> None:
    second = load_suite(write()).claims[1]
    assert second.a == {"modifier": "negative-prompting"}
    assert second.b == [{"modifier": "text-interpolation", "variant": "away"}]


def test_the_resolved_suite_depends_on_content_and_names_no_folder(write: Write, tmp_path: Path) -> None:
    one = load_suite(write()).resolved()
    assert str(tmp_path) not in json.dumps(one)
    assert load_suite(write("A small suite", "A small suite  # comment")).resolved() == one
    assert load_suite(write("strength: [0, 1, 2]", "strength: [0, 1, 2, 4]")).resolved() != one
    assert load_suite(write(prompts=PROMPTS.replace("a rock song", "rock"))).resolved() != one


def test_the_prompt_set_becomes_negatives(write: Write) -> None:
    prompts = load_suite(write()).prompt_set
    assert prompts is not None
    negatives = prompts.to_negatives()
    assert [negative.id for negative in negatives] == ["one", "two"]
    assert negatives[0].where[0].in_ == ("rock",)
    assert len(negatives[1].where) == 2


def test_names_with_underscores_and_paths_find_the_same_suite() -> None:
    by_name = load_suite("negative-prompting").resolved()
    assert load_suite("negative_prompting").resolved() == by_name
    assert load_suite(resources.suites_dir() / "negative_prompting.yaml").resolved() == by_name


# --- what mistakes say: line, key path, what is wrong, nearest name -------------------------------------------------

MISTAKES = {
    "unknown key": ("title: A small suite", "titel: A small suite", 3, "titel", "did you mean 'title'?"),
    "unknown key of a modifier": ("{name: negative-prompting, strength:", "{name: negative-prompting, strenght:", 11,
        "modifiers[0].strenght", "unknown key; did you mean 'strength'?"),
    "option a modifier does not take": ("variant: away,", "varaint: away,", 12, "modifiers[1].varaint",
        "did you mean 'variant'?"),
    "option of another modifier": ("form: append", "variant: away", 13, "modifiers[2].variant", "unknown key"),
    "value an option cannot have": ("variant: away,", "variant: awya,", 12, "modifiers[1]",
        "difference, subtract, away"),
    "unknown key of a setting": ("guidance: 3", "guidence: 3", 9, "settings.guidence", "did you mean 'guidance'?"),
    "unknown key of a preset": ("quick: {samples", "quick: {sampels", 16, "presets.quick.sampels",
        "did you mean 'samples'?"),
    "unknown key of a claim": ("    margin: 0.05", "    marign: 0.05", 26, "claims[0].marign",
        "did you mean 'margin'?"),
    "unknown key of a claim's side": ("{modifier: negative-prompting, strength: 2}", "{modifer: negative-prompting}",
        23, "claims[0].a.modifer", "did you mean 'modifier'?"),
    "unknown retriever": ("{name: gdr, id: gdr-clap}", "{name: gdrr, id: gdr-clap}", 7, "retrievers[0].name",
        "did you mean 'gdr'?"),
    "unknown retriever id": ("id: gdr-clap}", "id: gdr-clpa}", 7, "retrievers[0].id", "did you mean 'gdr-clap'?"),
    "unknown modifier": ("- {name: negative-prompting", "- {name: negative-promting", 11, "modifiers[0].name",
        "did you mean 'negative-prompting'?"),
    "unknown metric": ("R@10, removal", "Rcall@10, removal", 14, "metrics[1]", "unknown metric 'Rcall@10'"),
    "metric near another": ('CLAP(gen+)"]', 'CLAP(gem+)"]', 14, "metrics[3]", "did you mean 'CLAP(gen+)'?"),
    "k = 0": ("R@10, removal", "R@0, removal", 14, "metrics[1]", "k must be at least 1"),
    "metric twice": ("R@10, removal", "R@1, removal", 14, "metrics", "'R@1' is listed twice"),
    "unknown dataset": ("[sd]", "[sdd]", 4, "datasets[0]", "did you mean 'sd'?"),
    "unknown space": ("[clap]", "[clapp]", 5, "spaces[0]", "did you mean 'clap'?"),
    "negative strength": ("[0, 1, 2]", "[0, -1, 2]", 11, "modifiers[0].strength[1]", "at least 0"),
    "negative lone strength": ("strength: 2}\n  - {name: prefix", "strength: -2}\n  - {name: prefix", 12,
        "modifiers[1].strength", "at least 0"),
    "no strength": ("[0, 1, 2]", "[]", 11, "modifiers[0].strength", "at least 1 item"),
    "strength is text": ("[0, 1, 2]", "[0, one]", 11, "modifiers[0].strength[1]", "must be a number, is 'one'"),
    "strength is infinite": ("[0, 1, 2]", "[0, .inf]", 11, "modifiers[0].strength[1]", "finite"),
    "samples = 0": ("quick: {samples: 2}", "quick: {samples: 0}", 16, "presets.quick.samples", "at least 1, is 0"),
    "samples is text": ("samples: 4", "samples: four", 9, "settings.samples", "whole number, is 'four'"),
    "samples is a fraction": ("samples: 4", "samples: 4.5", 9, "settings.samples", "whole number, is 4.5"),
    "samples is true": ("samples: 4", "samples: true", 9, "settings.samples", "whole number, is True"),
    "no steps": ("ddim-50", "ddim-0", 17, "presets.full.sampler", "1 to 999 steps"),
    "unknown sampler": ("ddim-50", "euler-50", 17, "presets.full.sampler", "dpm++2m-STEPS or dpm++2m-logsnr-STEPS"),
    "negative margin": ("margin: 0.05", "margin: -0.05", 26, "claims[0].margin", "at least 0"),
    "no such expectation": ("expect: a > b\n    margin", "expect: a >= b\n    margin", 25, "claims[0].expect",
        "a > NUMBER"),
    "side b missing": ("    b: {modifier: none}\n", "", 19, "claims[0]", "needs a side b"),
    "side b unused": ("expect: a > b\n    margin", "expect: a > 0\n    margin", 19, "claims[0]", "never used"),
    "claim on a metric that is not measured": ("metric: removal@10", "metric: removal@5", 22, "claims[0].metric",
        "add it there"),
    "claim on an unknown metric": ("metric: removal@10", "metric: remval@10", 22, "claims[0].metric",
        "'removal@10'?"),
    "claim on a modifier that is not run": ("a: {modifier: negative-prompting, strength: 2}", "a: {modifier: slerp}",
        23, "claims[0].a.modifier", "'slerp' is not in the suite"),
    "claim on a strength that is not run": ("negative-prompting, strength: 2}", "negative-prompting, strength: 3}",
        23, "claims[0].a.strength", "(0, 1, 2)"),
    "claim on a variant that is not run": ("[{modifier: text-interpolation, variant: away}]",
        "[{modifier: text-interpolation, variant: subtract}]", 32, "claims[1].b[0]", "add it there"),
    "claim requires an unknown one": ("requires: [first]", "requires: [frist]", 35, "claims[1].requires[0]",
        "'first'?"),
    "claim twice": ("id: second", "id: first", 27, "claims[1]", "used twice"),
    "missing key": ("title: A small suite\n", "", 1, "title", "required"),
    "no such prompt file": ("prompts: prompts.yaml", "prompts: promts.yaml", 8, "prompts", "no such prompt file"),
    "modifiers without prompts": ("prompts: prompts.yaml\n", "", 9, "modifiers", "need `prompts`"),
    "list instead of mapping": ("settings: {guidance: 3, samples: 4}", "settings: [3]", 9, "settings",
        "must be a mapping"),
    "text instead of list": ('metrics: [R@1, R@10, removal@10, "CLAP(gen+)"]', "metrics: R@1", 14, "metrics",
        "must be a list"),
    "bad name": ("name: small", "name: Small Suite", 2, "name", "pattern"),
    "bad requirement": ("datasets: [sd]", "requires: [gpus]\ndatasets: [sd]", 4, "requires[0]", "pattern"),
    "a key 'options'": ("{name: prefix-negation, form: append}", "{name: prefix-negation, options: {form: append}}",
        13, "modifiers[2]", "no key 'options'"),
    "space of a retriever": ("id: gdr-clap}", "id: gdr-clap, space: clapp}", 7, "retrievers[0].space",
        "did you mean 'clap'?"),
    "future version": ("schema_version: 1", "schema_version: 2", 1, "schema_version", "must be 1"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_line_key_and_what_is_valid(mistake: str, write: Write) -> None:
    old, new, line, path, words = MISTAKES[mistake]
    message = _message(write(old, new))
    matching = [text for text in message.splitlines() if f"small.yaml:{line}: {path}: " in text]
    assert matching, message
    assert any(words in text for text in matching), message


def test_all_mistakes_are_told_at_once(write: Write) -> None:
    file = write("samples: 4", "samples: 0")
    file.write_text(file.read_text().replace("title:", "titel:").replace("margin: 0.05", "margin: -1"))
    assert len(_message(file).splitlines()) == 4  # titel unknown, title missing, samples, margin


def test_paths_below_the_working_folder_are_short(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("title:", "titel:")
    monkeypatch.chdir(tmp_path)
    assert _message(file).startswith("small.yaml:")


PROMPT_MISTAKES = {
    "empty text": ("text: a rock song", "text: ''", 3, "negatives[0].text", "must not be empty"),
    "blank text": ("text: a rock song", "text: '  '", 3, "negatives[0].text", "must not be empty"),
    "empty placebo": ("irrelevant: in C major", "irrelevant: ''", 3, "negatives[0].irrelevant", "must not be empty"),
    "id twice": ("id: two", "id: one", 4, "negatives[1].id", "used twice"),
    "unknown category": ("category: genre", "category: genere", 3, "negatives[0].category", "did you mean 'genre'?"),
    "unknown attribute": (
        "{attribute: genre,",
        "{attribute: gerne,",
        3,
        "negatives[0].where",
        "unknown attribute 'gerne'",
    ),
    "states nothing": ("attribute: key, in: [C]", "attribute: key", 5, "negatives[1].where[0]", "states nothing"),
    "unknown key": ("irrelevant: in C", "irelevant: in C", 3, "negatives[0].irelevant", "did you mean 'irrelevant'?"),
    "values are no list": ("in: [C]", "in: 3", 5, "negatives[1].where[0]", "must be lists"),
}


@pytest.mark.parametrize("mistake", PROMPT_MISTAKES)
def test_a_mistake_in_the_prompts_names_line_and_key(mistake: str, write: Write) -> None:
    old, new, line, path, words = PROMPT_MISTAKES[mistake]
    assert old in PROMPTS
    message = _message(write(prompts=PROMPTS.replace(old, new, 1)))
    assert f"prompts.yaml:{line}: {path}: " in message
    assert words in message


# --- files that are refused before they are built -------------------------------------------------------------------


def _text_refused(write: Write, text: str) -> str:
    file = write()
    file.write_text(text)
    return _message(file)


def test_a_duplicate_key_is_refused_with_its_line(write: Write) -> None:
    message = _text_refused(write, SUITE + "title: another\n")
    assert ":36: " in message
    assert "title" in message


def test_a_large_file_is_refused_unread(write: Write) -> None:
    assert "1 MiB" in _text_refused(write, SUITE + "# " + "x" * MAX_BYTES)


def test_many_aliases_are_refused(write: Write) -> None:
    text = "a: &a [1]\nb: [" + ", ".join(["*a"] * (MAX_ALIASES + 1)) + "]\n"
    assert f":2: more than {MAX_ALIASES} aliases" in _text_refused(write, text)


def test_aliases_of_aliases_do_not_explode(write: Write) -> None:
    lines = ["a0: &a0 [" + ", ".join(["x"] * 9) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, 6)]
    assert "stand for more than" in _text_refused(write, "\n".join(lines) + "\n")


def test_an_alias_inside_itself_ends(write: Write) -> None:
    assert "small.yaml" in _text_refused(write, "a: &a [*a]\nb: &b {c: *b}\n")


@pytest.mark.parametrize("depth", [33, 5000])
def test_deep_nesting_is_refused(write: Write, depth: int) -> None:
    assert "nested more than 32 deep" in _text_refused(write, "a: " + "[" * depth + "]" * depth + "\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: [1\nb: 2\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "tags"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: \x00\n", "not valid YAML"),
    ],
)
def test_what_is_no_suite_is_refused(write: Write, text: str, words: str) -> None:
    message = _text_refused(write, text)
    assert words in message
    assert "small.yaml" in message


def test_a_file_in_another_encoding_is_refused(write: Write) -> None:
    file = write()
    file.write_bytes(SUITE.replace("A small", "Une petité").encode("latin-1"))
    assert "UTF-8" in _message(file)


# --- names, presets, profiles, overrides ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("negativ-prompting", "did you mean 'negative-prompting'?"),
        ("zzz", "known: "),
        ("nowhere/x.yaml", "nowhere/x.yaml: no such suite file"),
    ],
)
def test_a_suite_that_is_not_there(target: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_suite(target)
    assert words in str(caught.value)


def test_unknown_preset_and_profile(write: Write) -> None:
    assert "it has: quick, full" in _message(write(), preset="fast")
    assert "known: mini" in _message(write(), profile="large")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"sampels": 3}, "did you mean 'samples'?"),
        ({"samples": 0}, "--set settings.samples: must be at least 1, is 0"),
        ({"settings.samples": "x"}, "--set settings.samples: must be a whole number"),
        ({"modifiers.9.strength": 1}, "no place in a list of 3"),
        ({"modifiers.0.strenght": 1}, "--set modifiers.0.strenght: unknown key; did you mean 'strength'?"),
        ({"name.x": 1}, "nothing below"),
    ],
)
def test_a_wrong_override_names_the_flag(write: Write, overrides: dict[str, object], words: str) -> None:
    assert words in _message(write(), overrides=overrides)


def test_values_of_set_are_yaml() -> None:
    assert parse_value("3", "--set x") == 3
    assert parse_value("[1, 2.5]", "--set x") == [1, 2.5]
    assert parse_value("dpm++2m-10", "--set x") == "dpm++2m-10"
    assert parse_value("1e-4", "--set x") == 1e-4
    with pytest.raises(UserError, match="not a YAML value"):
        parse_value("[1", "--set x")


# --- metric keys and the schema -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["R@1", "R@10", "R@37", "MedR", "NMedR", "FAD(jam)", "FADunit(jam)", "CLAP(ZT-)", "kept@10"]
)
def test_metric_keys_that_are_known(key: str) -> None:
    assert metric_known(key)


@pytest.mark.parametrize("key", ["R@0", "R@", "R10", "r@10", "CLAP", "FAD", "FAD()", "R@10 ", "R@1.5", ""])
def test_metric_keys_that_are_not(key: str) -> None:
    assert not metric_known(key)


def test_the_committed_schema_is_current() -> None:
    stored = json.loads((resources.suites_dir() / "schema.json").read_text())
    assert stored == json_schema(), "run: python -m bench.suite > suites/schema.json"


@pytest.mark.parametrize("name", resources.suite_names())
def test_the_schema_accepts_every_suite_and_refuses_typos(name: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    data = json.loads(json.dumps(YAML(typ="safe", pure=True).load(resources.suite_path(name))))
    validator.validate(data)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**data, "titel": "x"})


def test_a_list_with_a_wrong_item_is_not_called_empty(write: Write) -> None:
    message = _text_refused(write, SUITE.replace("datasets: [sd]", "datasets: [{name: sd, nmae: 1}]"))
    assert "unknown key" in message
    assert "needs at least" not in message
