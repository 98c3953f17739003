"""Prompt sets: the negatives of a control suite, with what each forbids by the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bench._suite_yaml import read_yaml
from bench._validation import Problems, Strict, parse_document

if TYPE_CHECKING:
    from bench.pairs import Negative

__all__ = ["CATEGORIES", "NegativePrompt", "PromptSet", "load_prompts"]

CATEGORIES = ("genre", "mood", "instrumentation", "key", "tempo")


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty: write the text of the prompt")
    return text


def _predicate(data: dict[str, Any]) -> dict[str, Any]:
    from bench.datasets.predicates import Predicate

    try:
        return Predicate.parse(data).to_json()
    except TypeError:
        raise ValueError("in and not_in must be lists of values, min and max numbers") from None


Prompt = Annotated[str, Field(strict=True), AfterValidator(_not_blank)]


class NegativePrompt(Strict):
    """One thing to remove, in words and in truth."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", strict=True)]
    category: Literal["genre", "mood", "instrumentation", "key", "tempo"]
    text: Prompt
    phrasing: Annotated[str, Field(min_length=1, strict=True)] = "plain"
    where: Annotated[
        tuple[Annotated[dict[str, Any], AfterValidator(_predicate)], ...],
        BeforeValidator(lambda value: [value] if isinstance(value, dict) else value),
        Field(min_length=1),
    ]
    """What the negative forbids: predicates that hold together (bench.datasets.predicates)."""
    irrelevant: Prompt
    """The placebo: a negative that has nothing to do with this one."""


class PromptSet(Strict):
    """A prompt file."""

    schema_version: Literal[1]
    negatives: Annotated[tuple[NegativePrompt, ...], Field(min_length=1)]

    def to_negatives(self) -> tuple[Negative, ...]:
        """The negatives as the harness uses them, predicates parsed."""
        from bench.datasets.predicates import Predicate
        from bench.pairs import Negative

        return tuple(
            Negative(n.id, n.category, n.phrasing, n.text, n.irrelevant, tuple(Predicate.parse(p) for p in n.where))
            for n in self.negatives
        )


def load_prompts(file: Path) -> PromptSet:
    """Read and check a prompt file.

    Raises:
        UserError: every problem with file, line and key: an empty text, an id used twice, a predicate that cannot be.
    """
    document = read_yaml(file)
    prompts = parse_document(document, PromptSet)
    problems = Problems(document)
    seen: set[str] = set()
    for place, negative in enumerate(prompts.negatives):
        if negative.id in seen:
            problems.add(("negatives", place, "id"), f"id {negative.id!r} is used twice; every id is one negative")
        seen.add(negative.id)
    problems.raise_if_any()
    return prompts
