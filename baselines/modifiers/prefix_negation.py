"""Prefix negation (PNP): write the negation into the prompt and generate from it (section 4.3.1)."""

from __future__ import annotations

import numpy as np

from bench.errors import UserError
from bench.modifiers import OnPlainQueries
from bench.protocols import ModifierContext

__all__ = ["PrefixNegation", "negated_prompt"]

FORMS = ("replace", "append")


def negated_prompt(prompt: str, negative: str, form: str) -> str:
    """The prompt with the negation in words.

    >>> negated_prompt("A mellow tune.", "a rock song", "append")
    'A mellow tune, not a rock song.'
    >>> negated_prompt("A mellow tune.", "a rock song", "replace")
    'not a rock song'
    """
    if form == "replace":
        return f"not {negative}"
    stop = "." if prompt.rstrip().endswith(".") else ""
    return f"{prompt.rstrip().rstrip('.')}, not {negative}{stop}"


class PrefixNegation(OnPlainQueries):
    """Prefix negation: "not …" in place of the prompt (form `replace`, the paper's example) or behind it (`append`)."""

    version = 1

    def __init__(self, form: str = "append") -> None:
        if form not in FORMS:
            raise UserError(f"prefix-negation: form {form!r} is none of {', '.join(FORMS)}")
        self.form = form
        self.options = {"form": form}

    def apply(self, context: ModifierContext, strength: float | None) -> np.ndarray:
        negated = [
            negated_prompt(prompt, edit.text, self.form)
            for prompt, edit in zip(context.prompts, context.edits, strict=True)
        ]
        return context.query(negated)
