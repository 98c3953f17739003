"""What training reads: texts without padding, batches of similar length, states that are encoded once."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bundle import parts
from bench.bundle.build import BuildContext
from bench.errors import UserError
from bench.protocols import TextLatents
from gdr import training_data
from gdr.training_data import Batches, TextStates, encode_pairs, read_pairs

LENGTHS = [3, 1, 4, 1, 5]


def ragged(lengths=LENGTHS, width=2):
    flat = np.arange(sum(lengths) * width, dtype=np.float16).reshape(-1, width) + 1
    return TextStates(flat, np.cumsum([0, *lengths]))


def test_a_batch_holds_each_texts_own_states():
    texts = ragged()
    states, mask = texts.batch(np.array([4, 1, 4]))
    assert states.shape == (3, 5, 2)
    assert mask.sum(1).tolist() == [5, 1, 5]
    for row, text in enumerate((4, 1, 4)):
        own = texts.flat[texts.offsets[text] : texts.offsets[text + 1]]
        np.testing.assert_array_equal(states[row][mask[row]].numpy(), own)
    assert not states[1, 1:].any()
    assert (len(texts), texts.width) == (5, 2)


def test_vectors_are_texts_of_one_state():
    vectors = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float16)
    states, mask = TextStates.of_vectors(vectors).batch(np.array([2, 0]))
    assert mask.tolist() == [[True], [True]]
    np.testing.assert_array_equal(states[:, 0].numpy(), vectors[[2, 0]])


@pytest.mark.parametrize(
    ("offsets", "message"),
    [([0, 2], "from 0 to 3"), ([1, 3], "from 0 to 3"), ([0, 1, 1, 3, 3], "2 texts have no token, the first is 1")],
)
def test_offsets_that_do_not_fit(offsets, message):
    with pytest.raises(ValueError, match=message):
        TextStates(np.ones((3, 2)), np.array(offsets))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 9))
def test_batches_are_uniform_draws_in_another_order(seed, size):
    lengths = np.random.default_rng(seed).integers(1, 60, size=37)
    batches, rng = Batches(lengths, size), np.random.default_rng(seed)
    drawn = [batches.draw(rng) for _ in range(8)]
    assert all(batch.shape == (size,) for batch in drawn)
    expected = np.random.default_rng(seed).integers(37, size=8 * size)
    assert sorted(np.concatenate(drawn)) == sorted(expected)
    # Sorted and cut: the ranges of length of two batches share at most an end.
    spans = sorted((lengths[batch].min(), lengths[batch].max()) for batch in drawn)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_similar_lengths_save_padding():
    lengths = np.random.default_rng(0).gamma(4, 9, size=5000).astype(int) + 1
    rng = np.random.default_rng(1)
    batches = Batches(lengths, 128)
    padded = np.mean([lengths[batches.draw(rng)].max() for _ in range(80)])
    plain = np.mean([lengths[rng.integers(5000, size=128)].max() for _ in range(80)])
    assert padded < 0.65 * plain


class Tower:
    """A text is as many states as it has words; each word's state is its length."""

    def __init__(self):
        self.asked = 0

    def encode_text(self, texts):
        self.asked += len(texts)
        words = [text.split() for text in texts]
        longest = max(map(len, words))
        mask = np.array([[i < len(w) for i in range(longest)] for w in words])
        tokens = np.array([[[len(w[i]) if i < len(w) else 9.0] * 2 for i in range(longest)] for w in words])
        return TextLatents(tokens.astype(np.float32), mask, np.array([[len(w), 1.0] for w in words], np.float32))


CAPTIONS = [["a bc def", "abcd"], ["ab"], ["abc a", "a a a a"]]
FRAMES = np.zeros((3, 4, 2), np.float16)


@pytest.mark.parametrize("chunk", [1, 2, 512])
def test_pairs_keep_the_order_of_captions(monkeypatch, chunk):
    monkeypatch.setattr(training_data, "_CHUNK", chunk)
    data = encode_pairs(Tower(), CAPTIONS, FRAMES)
    assert data.owner.tolist() == [0, 0, 1, 2, 2]
    assert data.text.offsets.tolist() == [0, 3, 4, 5, 7, 11]
    assert data.text.flat[:, 0].tolist() == [1, 2, 3, 4, 2, 3, 1, 1, 1, 1, 1]
    assert data.text.flat.dtype == np.float16
    pooled = encode_pairs(Tower(), CAPTIONS, FRAMES, "pooled")
    assert pooled.text.flat[:, 0].tolist() == [3, 1, 1, 2, 4]
    assert len(pooled.text) == 5


def test_an_unknown_condition_is_named():
    with pytest.raises(UserError, match="condition: unknown value 'words'"):
        encode_pairs(Tower(), CAPTIONS, FRAMES, "words")


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A build with captions, frames and an encoder that is a stand-in."""
    tower = Tower()
    monkeypatch.setattr(parts, "load_built_encoder", lambda context, name: tower)
    context = BuildContext("part", tmp_path, tmp_path, 1, "cpu", lambda *what: None)
    (tmp_path / "captions-pc-train.json").write_text(json.dumps(CAPTIONS))
    np.save(tmp_path / "frames-toy-pc-train.npy", FRAMES)
    for name in ("toy.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("first")
    return context, tower


def test_states_are_encoded_once_for_all_parts(build):
    context, tower = build
    first = read_pairs(context, "toy", "pc-train")
    pooled = read_pairs(context, "toy", "pc-train", condition="pooled")
    again = read_pairs(context, "toy", "pc-train")
    assert tower.asked == 5
    np.testing.assert_array_equal(first.text.flat, again.text.flat)
    np.testing.assert_array_equal(first.text.offsets, again.text.offsets)
    assert pooled.text.flat[:, 0].tolist() == [3, 1, 1, 2, 4]
    assert not [file for file in context.work.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("changed", ["toy.safetensors", "tokenizer.json", "captions-pc-train.json"])
def test_states_are_encoded_again_when_what_they_are_made_of_changes(build, changed):
    context, tower = build
    read_pairs(context, "toy", "pc-train")
    other = [["a a"], ["a", "b"], ["c", "d"]]
    (context.work / changed).write_text(json.dumps(other) if changed.endswith("train.json") else "second")
    assert len(read_pairs(context, "toy", "pc-train").text) == 5
    assert tower.asked == 10


def test_states_of_another_text_encoder_are_mapped(build):
    context, tower = build
    flat, offsets = ragged().flat, ragged().offsets
    for name, array in zip(parts.text_states_file("minilm", "pc-train"), (flat, offsets), strict=True):
        np.save(context.work_file(name), array)
    data = read_pairs(context, "toy", "pc-train", text="minilm")
    np.testing.assert_array_equal(data.text.flat, flat)
    assert isinstance(data.text.flat, np.memmap)
    assert tower.asked == 0
    with pytest.raises(UserError, match="'minilm' gives token states only"):
        read_pairs(context, "toy", "pc-train", text="minilm", condition="pooled")
    (context.work / "captions-pc-train.json").write_text(json.dumps(CAPTIONS[:2]))
    with pytest.raises(UserError, match="5 texts of 'minilm', but 3 captions"):
        read_pairs(context, "toy", "pc-train", text="minilm")
