"""Notes on verdicts: what the file may hold, and when a note is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import resources
from bench.errors import UserError
from bench.report import pages
from bench.report.build import build_report
from bench.report.notes import Note, find_note, load_notes

NOTE = "- {claim: c, suite: s, verdict: contradicted, tried: Other strengths., explains: The space.}"


def _file(tmp_path: Path, *entries: str) -> Path:
    file = tmp_path / "notes.yaml"
    file.write_text("schema_version: 1\nnotes:\n" + "".join(f"  {entry}\n" for entry in entries))
    return file


def test_the_notes_that_come_with_the_harness_are_about_claims_that_there_are() -> None:
    from bench._suite_yaml import read_yaml

    for note in load_notes():
        claims = read_yaml(resources.suite_path(note.suite)).data["claims"]
        assert note.claim in [claim["id"] for claim in claims]


def test_notes_are_read(tmp_path: Path) -> None:
    (note,) = load_notes(_file(tmp_path, NOTE))
    assert (note.claim, note.tried, note.explains) == ("c", "Other strengths.", "The space.")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            NOTE.replace("verdict:", "verdikt:"),
            r"notes.yaml:3: notes\[0\].verdikt: unknown key; did you mean 'verdict'",
        ),
        (NOTE.replace("contradicted", "supported"), r"notes.yaml:3: notes\[0\].verdict: must be 'contradicted' or"),
        (NOTE.replace("The space.", "''"), r"notes.yaml:3: notes\[0\].explains: must not be empty"),
        (NOTE.replace(", explains: The space.", ""), r"notes.yaml:3: notes\[0\].explains: this key is required"),
        (NOTE.replace("claim: c", "claim: 3"), r"notes\[0\].claim: must be text, is 3"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_notes(_file(tmp_path, entry))


def test_two_notes_on_one_verdict_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"notes.yaml:4: notes\[1\].claim: a second note on 'c' being contradicted"):
        load_notes(_file(tmp_path, NOTE, NOTE))
    assert len(load_notes(_file(tmp_path, NOTE, NOTE.replace("verdict", "preset: full, verdict")))) == 2


def _note(**fields: Any) -> Note:
    return Note(**{"claim": "c", "suite": "s", "verdict": "contradicted", "tried": "t", "explains": "e", **fields})


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True), ({"verdict": "inconclusive"}, False), ({"suite": "other"}, False), ({"claim": "d"}, False),
        ({"preset": "full"}, True), ({"preset": "quick"}, False), ({"retriever": "gdr-clap"}, True),
        ({"retriever": "gdr-muscall"}, False),
    ],
)  # fmt: skip
def test_a_note_is_only_for_its_verdict(fields: dict[str, Any], fits: bool) -> None:
    claim = {"id": "c", "verdict": "contradicted"}
    assert (find_note([_note(**fields)], "s", claim, "full", "gdr-clap") is not None) == fits


def test_the_most_precise_note_is_printed() -> None:
    claim = {"id": "c", "verdict": "contradicted"}
    notes = [_note(explains="any"), _note(preset="full", explains="full"), _note(verdict="inconclusive")]
    for order in (notes, notes[::-1]):
        found = find_note(order, "s", claim, "full", "gdr-clap")
        assert found is not None
        assert found.explains == "full"


def test_pages_print_a_note_under_its_verdict_and_say_where_there_is_none(
    make_retrieval_run: Callable[..., Path], make_claim: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def three(summary: dict[str, Any]) -> None:
        summary["claims"] = [make_claim(v, "R@10", v) for v in ("supported", "contradicted", "inconclusive")]

    about = {"suite": "retrieval", "tried": "More queries.", "explains": "Few tracks | many words."}
    notes = (
        _note(claim="contradicted", **about), _note(claim="inconclusive", **about),
        _note(claim="supported", **about),
    )  # fmt: skip
    monkeypatch.setattr(pages, "load_notes", lambda: notes)
    lines = build_report(make_retrieval_run(three)).read_text().splitlines()
    said = {verdict: [line for line in lines if line.startswith(f"- {verdict}")] for verdict in
            ("Supported", "Contradicted", "Inconclusive")}  # fmt: skip
    assert said["Supported"] == []
    assert said["Contradicted"][0].endswith("Tried: More queries. What explains it: Few tracks \\| many words.")
    assert said["Inconclusive"][0].endswith("No note for this verdict.")
