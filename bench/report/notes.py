"""Notes on verdicts (suites/paper/notes.yaml): what was tried when a claim did not hold, and what explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from bench import resources
from bench._suite_yaml import read_yaml
from bench._validation import Problems, Strict, parse_document

__all__ = ["Note", "find_note", "load_notes"]

Sentence = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(strict=True, min_length=1)]


class Note(Strict):
    """One note; it is printed only under the verdict that it explains."""

    claim: Name
    suite: Name
    verdict: Literal["contradicted", "inconclusive"]
    preset: Literal["quick", "full"] | None = None
    """Only for runs of this preset; else for both."""
    retriever: Name | None = None
    """Only for runs on this main retriever; else for all."""
    tried: Sentence
    explains: Sentence

    def fits(self, suite: str, claim: Mapping[str, Any], preset: str, retriever: str) -> bool:
        """Whether the note is about this claim, with this verdict, of such a run."""
        own = (self.suite, self.claim, self.verdict) == (suite, claim["id"], claim["verdict"])
        return own and self.preset in (None, preset) and self.retriever in (None, retriever)

    @property
    def precision(self) -> int:
        """How much of the run the note names: the most precise of several is printed."""
        return (self.preset is not None) + (self.retriever is not None)


class _Notes(Strict):
    schema_version: Literal[1]
    notes: Annotated[tuple[Note, ...], Field()] = ()


def load_notes(file: Path | None = None) -> tuple[Note, ...]:
    """Read and check the notes.

    Args:
        file: default those that come with the harness; without such a file there are none.

    Raises:
        UserError: every problem with file, line and key: an unknown key, an empty sentence, two notes on one verdict.
    """
    path = resources.notes_path() if file is None else file
    if file is None and not path.is_file():
        return ()
    document = read_yaml(path)
    notes = parse_document(document, _Notes).notes
    problems = Problems(document)
    seen: set[tuple[Any, ...]] = set()
    for place, note in enumerate(notes):
        about = (note.suite, note.claim, note.verdict, note.preset, note.retriever)
        if about in seen:
            problems.add(("notes", place, "claim"), f"a second note on {note.claim!r} being {note.verdict}; keep one")
        seen.add(about)
    problems.raise_if_any()
    return notes


def find_note(notes: Sequence[Note], suite: str, claim: Mapping[str, Any], preset: str, retriever: str) -> Note | None:
    """The note on a claim's verdict in a run, the most precise of several; None if no note is about that verdict."""
    fitting = [note for note in notes if note.fits(suite, claim, preset, retriever)]
    return max(fitting, key=lambda note: note.precision, default=None)
