"""The notes that come with the harness speak of claims that there are."""

from __future__ import annotations

from bench import resources
from bench._suite_yaml import read_yaml
from bench.report.notes import load_notes


def test_every_note_is_about_a_claim_of_its_suite() -> None:
    claims = {
        name: {claim["id"] for claim in read_yaml(resources.suite_path(name)).data.get("claims", [])}
        for name in resources.suite_names()
    }
    strangers = [(note.suite, note.claim) for note in load_notes() if note.claim not in claims.get(note.suite, ())]
    assert strangers == []
    assert len(load_notes()) > 20
