"""Prompt sets: the negatives, the refinements or the edits of tracks of a control suite, and what each means."""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench._suite_yaml import read_yaml
from bench._validation import Problems, Strict, Version, parse_document

if TYPE_CHECKING:
    from bench.pairs import Negative

__all__ = ["CATEGORIES", "KINDS", "EditPhrasing", "NegativePrompt", "PromptSet", "Refinement", "load_prompts"]

CATEGORIES = ("genre", "mood", "instrumentation", "key", "tempo")
KINDS = ("quality", "subject", "detail")


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


Predicates = Annotated[
    tuple[Annotated[dict[str, Any], AfterValidator(_predicate)], ...],
    BeforeValidator(lambda value: [value] if isinstance(value, dict) else value),
]
PromptId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", strict=True)]


class NegativePrompt(Strict):
    """One thing to remove, in words and in truth."""

    id: PromptId
    category: Literal["genre", "mood", "instrumentation", "key", "tempo"]
    text: Prompt
    phrasing: Annotated[str, Field(min_length=1, strict=True)] = "plain"
    where: Annotated[Predicates, Field(min_length=1)]
    """What the negative forbids: predicates that hold together (bench.datasets.predicates)."""
    irrelevant: Prompt
    """The placebo: a negative that has nothing to do with this one."""


class Refinement(Strict):
    """A query that a user is partly satisfied with, and what they ask for next (section 4.3.2)."""

    id: PromptId
    kind: Literal["quality", "subject", "detail"]
    caption: Annotated[str, Field(min_length=1, strict=True)]
    """The caption of the dataset that `prompt` repeats."""
    prompt: Prompt
    edit: Prompt
    added: Prompt
    """The words that the edit adds, and `removed` those that it takes away; empty where it takes none."""
    removed: Annotated[str, Field(strict=True)] = ""
    gained: Annotated[Predicates, Field(min_length=1)]
    """What the refined query wants and the first did not state; `lost` what it no longer wants."""
    lost: Predicates = ()
    figure4: bool = False
    """Plays the part of the paper's one example (Figure 4)."""


def _template(text: str) -> str:
    try:
        fields = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        fields = {"?"}
    if "instrument" not in fields or not fields <= {"instrument", "caption"}:
        raise ValueError(f"{text!r} must name {{instrument}}, and beside it nothing but {{caption}}")
    return text


class EditPhrasing(Strict):
    """One way to ask for "this track, but with …"; which tracks and instruments there are is the bundle's affair."""

    id: PromptId
    text: Annotated[Prompt, AfterValidator(_template)]
    """What is generated towards: `{instrument}` stands for its name, `{caption}` for the track's first caption, for a
    user who can say what the track is; the others give no text about it."""


class PromptSet(Strict):
    """A prompt file: negatives, refinements, or phrasings of edits of tracks."""

    schema_version: Version
    negatives: tuple[NegativePrompt, ...] = ()
    refinements: tuple[Refinement, ...] = ()
    track_edits: tuple[EditPhrasing, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> PromptSet:
        if sum(map(bool, (self.negatives, self.refinements, self.track_edits))) != 1:
            raise ValueError("a prompt file holds either negatives, refinements or track_edits, one or more of them")
        return self

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
    for key in ("negatives", "refinements", "track_edits"):
        ids = [prompt.id for prompt in getattr(prompts, key)]
        for place, name in enumerate(ids):
            if name in ids[:place]:
                problems.add((key, place, "id"), f"id {name!r} is used twice; every id is one prompt")
    problems.raise_if_any()
    return prompts
