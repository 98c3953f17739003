"""Turning pydantic's errors into messages that name file, line, key and the nearest valid key."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from bench._suite_yaml import Document
from bench.errors import UserError
from bench.registry import nearest

__all__ = ["Problems", "Strict", "Version", "parse_document"]

M = TypeVar("M", bound=BaseModel)

MAX_PROBLEMS = 50
"""Told at once: a file of another kind altogether has thousands."""


class Strict(BaseModel):
    """Base of every model of a user's file: unknown keys are errors, values are not coerced, objects do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def known_keys(cls, data: Mapping[str, Any]) -> list[str]:
        """Keys that this mapping may have."""
        return [field.alias or name for name, field in cls.model_fields.items() if not field.exclude]


def _no_boolean(value: Any) -> Any:
    return repr(value) if isinstance(value, bool) else value


Version = Annotated[Literal[1], BeforeValidator(_no_boolean)]
"""The version of a file's format; `true` equals 1 in Python, and is none."""


class Problems:
    """Everything that is wrong with a file, told in one error."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.messages: list[str] = []

    def add(self, path: tuple[str | int, ...], message: str) -> None:
        text = f"{self.document.where(path)}: {message}"
        if text not in self.messages:
            self.messages.append(text)

    def raise_if_any(self) -> None:
        """Raises:
        UserError: one line a problem.
        """
        if self.messages:
            raise UserError("\n".join(self.messages))


def parse_document(document: Document, model: type[M]) -> M:
    """Validate a document.

    Raises:
        UserError: every problem, one a line, as `file:line: key.path: what is wrong; what is valid`.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as failure:
        problems = Problems(document)
        errors = [error for error in failure.errors(include_url=False) if not _follows(error)]
        for error in errors[:MAX_PROBLEMS]:
            problems.add(tuple(error["loc"]), _explain(error, document, model))
        if len(errors) > MAX_PROBLEMS:
            problems.messages.append(f"and {len(errors) - MAX_PROBLEMS} more; correct these first")
        problems.raise_if_any()
        raise


def _follows(error: ErrorDetails) -> bool:
    """Whether it only follows from another error: a list whose items are wrong counts as short of them."""
    given = error["input"]
    return (
        error["type"] == "too_short" and isinstance(given, (list, tuple)) and len(given) >= error["ctx"]["min_length"]
    )


def _explain(error: ErrorDetails, document: Document, root: type[BaseModel]) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        model = _model_at(root, error["loc"][:-1])
        parent = document.at(error["loc"][:-1])
        keys = model.known_keys(parent if isinstance(parent, dict) else {}) if model else []
        close = nearest(str(error["loc"][-1]), keys)
        return "unknown key; " + (f"did you mean {close!r}?" if close else f"valid keys: {', '.join(keys)}")
    if kind == "missing":
        return "this key is required"
    simple = {
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "finite_number": "must be a finite number",
        "string_type": "must be text",
        "bool_type": "must be true or false",
        "list_type": "must be a list",
        "tuple_type": "must be a list",
        "dict_type": "must be a mapping",
        "model_type": "must be a mapping",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "greater_than": f"must be greater than {context.get('gt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "string_too_short": "must not be empty",
        "too_short": f"needs at least {context.get('min_length')} item(s)",
    }
    if kind in simple:
        return f"{simple[kind]}, is {_shown(given)}"
    if kind == "literal_error":
        close = nearest(
            str(given), [part.strip("' ") for part in str(context["expected"]).replace(" or ", ",").split(",")]
        )
        hint = f"; did you mean {close!r}?" if close else ""
        return f"must be {context['expected']}, is {_shown(given)}{hint}"
    message = error["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[Strict] | None:
    """The model of the mapping at a path of keys and places."""
    current: Any = model
    by_name = False  # the next step is a name that the user chose, in dict[str, Model]
    for step in path:
        if by_name or isinstance(step, int):
            by_name = False
            continue
        field = current.model_fields.get(step)
        if field is None:
            return None
        by_name = typing.get_origin(field.annotation) is dict
        current = _inner_model(field.annotation)
        if current is None:
            return None
    return current if issubclass(current, Strict) else None


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside list[Model], dict[str, Model], Model | None, Annotated[...]."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    for argument in typing.get_args(annotation):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
