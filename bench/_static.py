"""Reading a module's source without importing it: where a name is defined, what it says, what it takes."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard

__all__ = ["Definition", "find_definition", "first_line", "parameters", "source_file"]


@dataclass(frozen=True)
class Definition:
    """A name in a module's source.

    Attributes:
        node: the class, function or assignment; None for the module itself.
        tree: the whole module.
        after: the expression that follows an assignment, where a constant keeps its docstring.
    """

    node: ast.stmt | None
    tree: ast.Module
    after: str = ""

    def describe(self) -> str:
        """First line of the docstring of the name, else of its module."""
        own = ""
        if isinstance(self.node, (ast.ClassDef, ast.FunctionDef)):
            own = ast.get_docstring(self.node) or ""
        elif isinstance(self.node, (ast.Assign, ast.AnnAssign)) and isinstance(self.node.value, ast.Call):
            # A constant made by a call says what it is in one of its arguments: the longest text that has words.
            texts = (
                str(a.value)
                for a in [*self.node.value.args, *(k.value for k in self.node.value.keywords)]
                if _is_text(a) and " " in str(a.value)
            )
            own = max(texts, key=len, default="")
        return first_line(self.after or own or ast.get_docstring(self.tree) or "")

    def argument(self, place: int, name: str) -> str | None:
        """A text given to the call that makes a constant, by place or by name; None where it is not plain text."""
        call = self.node.value if isinstance(self.node, (ast.Assign, ast.AnnAssign)) else None
        if not isinstance(call, ast.Call):
            return None
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        node = given.get(name) or (call.args[place] if place < len(call.args) else None)
        return str(node.value) if node is not None and _is_text(node) else None


def first_line(text: str) -> str:
    """First line that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


@lru_cache(maxsize=256)
def source_file(module: str) -> Path | None:
    """Source of a module. Parent packages are walked on disk, not imported."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin else None
    for folder in spec.submodule_search_locations or ():
        base = Path(folder, *rest)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


@lru_cache(maxsize=256)
def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def find_definition(value: str) -> Definition | None:
    """What an entry point's value (`module:attribute [extra]`) names in the source, or None."""
    module, _, attribute = value.partition("[")[0].strip().partition(":")
    file = source_file(module)
    tree = _parsed(file) if file else None
    if tree is None:
        return None
    if not attribute:
        return Definition(None, tree)
    for place, node in enumerate(tree.body):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == attribute:
            return Definition(node, tree)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == attribute for target in targets):
            return Definition(node, tree, _docstring_after(tree.body[place + 1 : place + 2]))
    return None


def _is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _docstring_after(following: list[ast.stmt]) -> str:
    for node in following:
        if isinstance(node, ast.Expr) and _is_text(node.value):
            return str(node.value.value)
    return ""


def parameters(node: ast.ClassDef, method: str, tree: ast.Module) -> dict[str, str] | None:
    """Named parameters of a class's method, also if a base class of the same module defines it, and their annotations.

    An annotation is as it stands in the source, empty where there is none.

    Returns:
        Without `self`; None if the method may come from a module that was not read.
    """
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == method:
            arguments = [*item.args.posonlyargs, *item.args.args, *item.args.kwonlyargs]
            return {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in arguments[1:]}
    local = {other.name: other for other in tree.body if isinstance(other, ast.ClassDef)}
    for base in node.bases:
        if not (isinstance(base, ast.Name) and base.id in local):
            return None
        found = parameters(local[base.id], method, tree)
        if found is not None:
            return found
    return {} if not node.bases else None
