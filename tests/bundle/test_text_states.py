"""Token states of training captions: written once for every training, without padding."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench import registry
from bench.bundle.build import BuildContext
from bench.bundle.parts import load_text_states, make_text_states, text_states_file
from bench.errors import UserError
from bench.protocols import TextLatents


@pytest.fixture
def context(tmp_path):
    """A build in the test's folder."""
    return BuildContext("text-minilm", tmp_path, tmp_path, 1, "cpu", lambda at, total, text: None, {})


class Counting:
    """A text encoder whose token states say which text and which word they are of."""

    calls = 0

    def digest(self) -> str:
        return "counting"

    def encode_text(self, texts):
        Counting.calls += 1
        words = [text.split() for text in texts]
        mask = np.arange(max(map(len, words))) < np.array([len(each) for each in words])[:, None]
        tokens = np.full((*mask.shape, 2), 99, dtype=np.float32)
        for row, each in enumerate(words):
            for at, word in enumerate(each):
                tokens[row, at] = [float(word), at]
        return TextLatents(tokens, mask, np.ones((len(texts), 2), dtype=np.float32))


def write_captions(context, split, tracks):
    context.work_file(f"captions-{split}.json").write_text(json.dumps(tracks))


def test_text_states_are_kept_without_padding_in_the_order_of_tracks(context, monkeypatch):
    monkeypatch.setattr("bench.bundle.parts.TEXTS_AT_ONCE", 2)
    write_captions(context, "pc-train", [["1 2 3", "4"], ["5 6"], ["7", "8 9", "10 11 12 13"]])
    write_captions(context, "pc-validation", [["20"]])
    reports = []
    context.report = lambda *said: reports.append(said)
    with registry.encoders.temporary("counting", Counting):
        made = make_text_states(context, text="counting", captions=["pc-train", "pc-validation"])
    assert reports == [(2, 7, "pc-train"), (4, 7, "pc-train"), (6, 7, "pc-train"), (7, 7, "pc-validation")]
    assert made["work_files"] == [
        *text_states_file("counting", "pc-train"), *text_states_file("counting", "pc-validation"),
    ]  # fmt: skip
    assert made["info"]["splits"]["pc-train"] == {"captions": 6, "tokens": 13}
    assert made["info"]["digest"] == "counting"
    flat, offsets = load_text_states(context, "counting", "pc-train")
    assert (flat.dtype, offsets.dtype) == (np.float16, np.int64)
    assert isinstance(flat, np.memmap)
    assert offsets.tolist() == [0, 3, 4, 6, 7, 9, 13]
    assert flat[:, 0].tolist() == list(range(1, 14))
    assert flat[:, 1].tolist() == [0, 1, 2, 0, 0, 1, 0, 0, 1, 0, 1, 2, 3]
    assert sorted(file.name for file in context.work.iterdir() if "counting" in file.name) == sorted(made["work_files"])


def test_text_states_of_an_encoder_without_texts_are_refused(context):
    write_captions(context, "pc-train", [["piano"]])
    with pytest.raises(UserError, match="mini-mule has no text tower"):
        make_text_states(context, text="mini-mule", captions=["pc-train"])


def test_missing_text_states_name_the_part_to_make(context):
    with pytest.raises(UserError, match=r"no text states of minilm for pc-train; .*make_text_states"):
        load_text_states(context, "minilm", "pc-train")


def test_text_states_of_another_length_are_refused(context):
    flat, offsets = (context.work_file(name) for name in text_states_file("minilm", "pc-train"))
    np.save(flat, np.zeros((3, 2), dtype=np.float16))
    np.save(offsets, np.array([0, 2, 4]))
    with pytest.raises(UserError, match="3 token states, but the offsets end at 4"):
        load_text_states(context, "minilm", "pc-train")
