"""Every bad input of the corpus ends with one plain message, the right exit code, soon, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpus import inputs, schema
from corpus.case import Given, Recipe, opener, write


def _parameters(recipes: list[Recipe]) -> list[Any]:
    return [
        pytest.param(recipe, id=recipe.name, marks=[pytest.mark.slow] if recipe.slow else []) for recipe in recipes
    ]  # fmt: skip


@pytest.mark.parametrize("recipe", _parameters(inputs.recipes()))
def test_a_bad_input_ends_with_one_message(recipe: Recipe, tmp_path: Path) -> None:
    case = inputs.build(recipe, tmp_path / "case")
    assert inputs.problems(case, inputs.run_case(case)) == []


@pytest.mark.parametrize("recipe", _parameters(inputs.sound()))
def test_a_whole_input_is_accepted(recipe: Recipe, tmp_path: Path) -> None:
    case = inputs.build(recipe, tmp_path / "case")
    assert inputs.problems(case, inputs.run_case(case)) == []


def test_names_are_unique() -> None:
    names = [recipe.name for recipe in (*inputs.recipes(), *inputs.sound())]
    assert len(names) == len(set(names))


def test_every_kind_of_input_is_there() -> None:
    kinds = {recipe.kind for recipe in inputs.recipes()}
    assert kinds == {
        "suite", "profile", "prompts", "schema", "arrays", "tensors", "training", "text", "runs", "baselines",
        "manifests",
    }  # fmt: skip
    assert kinds >= {recipe.kind for recipe in inputs.sound()}


def test_every_key_of_the_schema_is_tried() -> None:
    """By a list made in another way: every key that stands in the schema under `properties`."""
    tried = {step for path, _ in schema.leaves() for step in path if isinstance(step, str)}
    assert tried - {"quick"} == set(_keys(schema._schema()))
    assert {recipe.name.rpartition(" at ")[2] for recipe in schema.RECIPES if not recipe.slow} >= {
        schema._dotted(path) for path, _ in schema.leaves() if len(path) == 1
    }


def _keys(part: object) -> list[str]:
    if isinstance(part, list):
        return [key for item in part for key in _keys(item)]
    if not isinstance(part, dict):
        return []
    own = list(part["properties"]) if isinstance(part.get("properties"), dict) else []
    return own + [key for value in part.values() for key in _keys(value)]


# --- the payload, and the judge ---------------------------------------------------------------------------------------


def test_the_pickle_would_create_its_file(tmp_path: Path) -> None:
    """Else the cases with a pickle would show nothing."""
    import pickle

    pickle.loads(opener(tmp_path)).close()
    assert (tmp_path / "UNPICKLED.txt").is_file()


def _recipe(call: Callable[[], object], mention: tuple[str, ...] = ()) -> Recipe:
    return Recipe("a case", "suite", lambda folder: Given(("call",), mention, call))


def _refuse(message: str) -> Callable[[], object]:
    from bench.errors import UserError

    def call() -> object:
        raise UserError(message)

    return call


def _write(name: str) -> Callable[[], object]:
    return lambda: (Path(name).write_text("x"), _refuse("here")())


def _twice() -> object:
    print("error: one", file=sys.stderr)
    return _refuse("two")()


def _wait() -> object:
    begin = time.process_time()
    while time.process_time() < begin + 0.2:
        pass
    return _refuse("here")()


@pytest.mark.parametrize(
    ("call", "mention", "said"),
    [
        (_refuse("here: wrong; mend it"), ("here", "mend"), None),
        (_refuse("here"), ("there",), "'there' is not in the message"),
        (lambda: 1 / 0, (), "traceback or internal error"),
        (lambda: None, (), "exit code 0, not 2"),
        (_twice, (), "not one message"),
        (_wait, (), "of the processor"),
        (_write("left.txt"), (), "left.txt was made or changed"),
        (_write("kept.txt"), (), "kept.txt was made or changed"),
        (lambda: (os.remove("kept.txt"), _refuse("here")()), (), "kept.txt was made or changed"),
        (_refuse("password: hunter2"), (), "a secret was read"),
        (lambda: print(f"error: {'x' * 20_000}", file=sys.stderr), (), "a message of 2000"),
        (lambda: print("error: \x1b[31m", file=sys.stderr), (), "letters that cannot be printed"),
    ],
)
def test_the_judge_sees_what_is_wrong(
    call: Callable[[], object], mention: tuple[str, ...], said: str | None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(inputs, "SECONDS", 0.1)
    case = inputs.build(_recipe(call, mention=mention), tmp_path / "case")
    write(case.folder, kept_txt="kept")
    found = inputs.problems(case, inputs.run_case(case))
    assert (found == []) if said is None else any(said in problem for problem in found), found


def test_counts_are_of_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = [
        _recipe(_refuse("here")), _recipe(lambda: 1 / 0), _recipe(lambda: None),
        _recipe(_refuse("here"), mention=("there",)),
    ]  # fmt: skip
    monkeypatch.setattr(inputs, "recipes", lambda: tried)
    counts = inputs.faults(tmp_path / "corpus")
    assert counts[:3] == (4, 1, 2)
    assert len(counts.other) == 1
    assert "'there' is not in the message" in counts.other[0]
    assert len(list((tmp_path / "corpus").iterdir())) == 4


def test_a_process_of_its_own_ends_alike_and_has_a_limit_on_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe("apart", "arrays", lambda folder: Given(("score", "--queries", "q.npy")), apart=True)
    case = inputs.build(recipe, tmp_path / "case")
    apart, here = inputs.run_case(case), inputs.run_case(case._replace(apart=False))
    assert (apart.code, apart.err) == (here.code, here.err)
    assert "--gallery is missing" in apart.err
    assert apart.seconds > 0
    monkeypatch.setattr(inputs, "MEMORY", 50 << 20)
    assert inputs.run_case(case).code not in (0, 2)
