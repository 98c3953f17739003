"""Nothing in the package loads code as data: no pickle, no eval, no unsafe YAML, no code from a model hub."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bench", "gdr", "baselines")

MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
#: Called by their bare name, or as an attribute of `builtins`.
BARE = {"eval", "exec", "__import__"}
#: Called as an attribute of whatever.
METHODS = {"read_pickle", "to_pickle", "unsafe_load", "full_load", "load_pickle", "popen"}
SAFE_YAML = {"rt", "safe"}


def unsafe(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines of what may run code that comes with data, and what it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, f"import {a.name}") for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in MODULES or {a.name for a in node.names} & (METHODS | BARE):
                yield node.lineno, f"from {node.module} import …"
            if node.module == "os" and {a.name for a in node.names} & {"system", "popen"}:
                yield node.lineno, "from os import …"
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _unsafe_call(node))


def _unsafe_call(call: ast.Call) -> Iterator[str]:
    owner, name = _called(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in BARE and owner in ("", "builtins"):
        yield f"{name}(…)"
    if name in METHODS or (owner, name) == ("os", "system"):
        yield f"{owner}.{name}(…)"
    if (owner, name) == ("torch", "load") and not _is(given.get("weights_only"), True):
        yield "torch.load(…) without weights_only=True"
    if (owner, name) == ("yaml", "load"):
        yield "yaml.load(…)"
    if name == "YAML":
        kind = given.get("typ", call.args[0] if call.args else ast.Constant("rt"))
        if not (isinstance(kind, ast.Constant) and kind.value in SAFE_YAML):
            yield "YAML(typ=…) that is not safe"
    for key in ("allow_pickle", "trust_remote_code", "shell"):
        if key in given and not _is(given[key], False):
            yield f"{key}=…"
    if (owner, name) in (("np", "load"), ("numpy", "load")) and len(call.args) > 2:
        yield "np.load(…) with allow_pickle by its place"


def _called(function: ast.expr) -> tuple[str, str]:
    """Name of what is called, and of what it belongs to; the last part of a dotted owner."""
    if isinstance(function, ast.Name):
        return "", function.id
    if isinstance(function, ast.Attribute):
        owner = function.value
        inner = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else "?"
        return inner, function.attr
    return "?", ""


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_loads_code_as_data(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = [
        f"{file.relative_to(ROOT)}:{line}: {what}"
        for file in files
        for line, what in unsafe(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "import os, pickle as p", "from pickle import loads", "import joblib",
        "from joblib import load",
        "import yaml", "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)", "np.load(f, None, True)",
        "torch.load(f)", "torch.load(f, weights_only=False)", "eval(text)", "exec(text)", "builtins.eval(text)",
        "yaml.load(text)", "YAML(typ='unsafe')", "YAML('full')", "YAML(typ=kind)", "pd.read_pickle(f)",
        "AutoModel.from_pretrained(n, trust_remote_code=True)", "subprocess.run(c, shell=True)", "os.system(c)",
        "from os import system", "from pandas import read_pickle", "def f():\n    import dill", "__import__(name)",
    ],
)  # fmt: skip
def test_what_is_unsafe_is_found(source: str) -> None:
    assert len(list(unsafe(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()", "np.load(f, allow_pickle=False)", "np.load(f)", "torch.load(f, weights_only=True)",
        "YAML(typ='safe', pure=True)", "YAML()", "'pickle'", "# import pickle", "safetensors.torch.load_file(f)",
        "re.compile(x)", "subprocess.run(c)", "AutoModel.from_pretrained(n, trust_remote_code=False)", "json.load(f)",
    ],
)  # fmt: skip
def test_what_is_safe_is_left_alone(source: str) -> None:
    assert list(unsafe(ast.parse(source))) == []
