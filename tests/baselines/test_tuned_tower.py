"""The tuned text tower: what is trained, what stays, and what the retriever answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from baselines.tuned_tower import TunedTower, make_part, pooled, tune
from bench import bundle
from bench.bundle.build import BuildContext
from bench.encoders import mini_training
from bench.encoders._mini_model import AudioTower, TextTower, TextTowerConfig
from bench.encoders.mini import MiniEncoder
from bench.encoders.mini_training import CaptionIds, info_nce, train_tokenizer
from bench.protocols import GenerativeRetriever, Retriever, Sampling
from gdr.fitting import TrainConfig
from gdr.storage import load_weights

KINDS = ("calm piano", "fast metal guitar", "slow sad blues", "happy dance synth", "solo violin in a hall")
SMALL = TextTowerConfig(vocabulary=300, max_length=24, width=32, layers=1, heads=2, dim=8)
CONFIG = TrainConfig(
    steps=60, batch_size=20, learning_rate=3e-3, warmup=5, evaluate_every=20, patience=5, ema=0.9, weight_decay=0.01
)  # fmt: skip


def pairs(tracks, dim, seed):
    """Captions that name a kind and a number, and latents near the kind's direction."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(KINDS), size=tracks)
    directions = np.random.default_rng(77).normal(size=(len(KINDS), dim))
    latents = directions[kinds] + 0.3 * rng.normal(size=(tracks, dim))
    return [[KINDS[k], f"{KINDS[k]} number {i % 7}"] for i, k in enumerate(kinds)], latents.astype(np.float32)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    train_tokenizer([text for group in pairs(50, 8, 0)[0] for text in group], file, 300)
    return file


def ids_of(texts, tokenizer):
    return CaptionIds([[text] for text in texts], tokenizer, SMALL.max_length).batch(
        np.arange(len(texts)), np.random.default_rng(0)
    )


def test_groups_of_similar_length_change_nothing(tokenizer):
    tower = TextTower(SMALL).eval()
    ids, mask = ids_of([*KINDS, "piano", "a slow sad blues number with violin and piano in a hall"], tokenizer)
    with torch.no_grad():
        whole = tower(ids, mask)[1]
        for groups in (1, 2, 4, 7):
            torch.testing.assert_close(pooled(tower, ids, mask, groups), whole, atol=1e-6, rtol=1e-5)
    assert len({round(float(row[0]), 5) for row in whole}) == len(whole)


def test_info_nce_by_hand():
    a, b = torch.eye(2), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    logits = 2.0 * a @ b.T
    rows, columns = (-torch.log_softmax(logits, axis).diagonal().mean() for axis in (1, 0))
    assert float(info_nce(a, b, torch.tensor(2.0))) == pytest.approx(float(rows + columns) / 2)


def tuned(tokenizer, config=CONFIG, seed=0):
    torch.manual_seed(seed)
    captions, audio = pairs(80, 8, 1)
    held_out, held_out_audio = pairs(30, 8, 2)
    return tune(
        TextTower(SMALL), captions, audio, ([group[0] for group in held_out], held_out_audio), tokenizer, config
    )


def test_tuning_finds_more_held_out_tracks(tokenizer):
    result = tuned(tokenizer)
    figures = [figure for _, figure in result.fitted.history]
    start = tuned(tokenizer, TrainConfig(steps=1, batch_size=20, learning_rate=1e-9, warmup=1)).fitted.history[0][1]
    # Tracks of a kind look alike, so the reciprocal rank cannot be 1; at chance it is 0.13 of 30.
    assert start > 0.75
    assert min(figures) < 0.65
    assert result.judge() == pytest.approx(min(figures), abs=1e-6)
    assert not result.tower.training


def test_the_same_seed_gives_the_same_tower(tokenizer):
    short = TrainConfig(steps=4, batch_size=20, evaluate_every=4)
    one, two = (tuned(tokenizer, short).tower.state_dict() for _ in range(2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_no_track_is_its_own_wrong_answer(tokenizer, monkeypatch):
    """More rows a batch than tracks: each track is there once."""
    drawn = []
    batch = CaptionIds.batch
    monkeypatch.setattr(CaptionIds, "batch", lambda self, rows, rng: drawn.append(rows) or batch(self, rows, rng))
    tuned(tokenizer, TrainConfig(steps=3, batch_size=500, evaluate_every=3))
    training = [rows for rows in drawn if len(rows) == 80]
    assert len(training) == 3
    assert all(sorted(rows) == list(range(80)) for rows in training)


# --- the part and the retriever ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A part made on a mini encoder with random weights; the folder is a bundle afterwards."""
    folder = tmp_path_factory.mktemp("tuned")
    captions, audio = pairs(64, 128, 1)
    held_out, held_out_audio = pairs(24, 128, 2)
    for split, texts, latents in (("pc-train", captions, audio), ("pc-validation", held_out, held_out_audio)):
        (folder / f"captions-{split}.json").write_text(json.dumps(texts))
        np.save(folder / f"frames-toy-{split}.npy", np.repeat(latents[:, None], 3, axis=1).astype(np.float16))
    train_tokenizer([text for group in captions for text in group], folder / "tokenizer.json", 300)
    torch.manual_seed(0)
    towers = (("audio", AudioTower()), ("text", TextTower(TextTowerConfig())))
    state = {f"{name}.{key}": value for name, tower in towers for key, value in mini_training._half(tower).items()}
    save_file(state, folder / "toy.safetensors")
    context = BuildContext("tuned-toy", folder, folder, 1, "cpu", lambda *what: None)
    info = make_part(
        context, encoder="toy", train="pc-train", validation="pc-validation",
        config={"steps": 12, "batch_size": 32, "learning_rate": 1e-3, "warmup": 3, "evaluate_every": 6, "ema": 0.5},
    )["info"]  # fmt: skip
    files = {file.name: {"sha256": bundle.sha256_file(file)} for file in folder.iterdir()}
    (folder / bundle.MANIFEST).write_text(json.dumps({"files": files, "parts": {}}))
    return folder, info


@pytest.fixture
def retriever(made, monkeypatch):
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(made[0]))

    class Space:
        name, dim = "toy", 128

    return TunedTower(Space(), "tuned-toy")


def test_the_part_holds_the_text_tower_alone(made):
    folder, info = made
    state, metadata = load_weights(folder / "tuned-toy.safetensors")
    assert set(state) == {f"text.{name}" for name in TextTower(TextTowerConfig()).state_dict()}
    assert metadata["teacher"] == "toy"
    assert info["validation_mrr_stored"] == pytest.approx(info["validation_mrr"], abs=0.05)
    assert info["parameters"] == sum(p.numel() for p in TextTower(TextTowerConfig()).parameters())
    assert info["best_step"] in (6, 12)


def test_it_starts_from_the_teacher(made):
    """A dozen steps leave most of each weight where the teacher had it, and none exactly there."""
    folder, _ = made
    before = MiniEncoder("toy", folder / "toy.safetensors", folder / "tokenizer.json")._text[0].state_dict()
    after, _ = load_weights(folder / "tuned-toy.safetensors")
    for name in ("token.weight", "blocks.0.qkv.weight", "head.weight"):
        own, tuned_weight = before[name].flatten(), after[f"text.{name}"].flatten()
        assert 0.9 < torch.nn.functional.cosine_similarity(own, tuned_weight, dim=0) < 0.99999


def test_it_answers_with_unit_text_vectors(retriever):
    assert isinstance(retriever, Retriever)
    assert not isinstance(retriever, GenerativeRetriever)
    assert retriever.deterministic
    texts = ["calm piano", "fast metal guitar", "calm piano"]
    one, two = (retriever.query(texts, Sampling(seed=seed, samples=5)) for seed in (0, 1))
    assert one.shape == (3, 1, 128)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(np.linalg.norm(one, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(one[0], one[2], atol=1e-6)
    np.testing.assert_allclose(retriever.query(texts[1:2], Sampling())[0], one[1], atol=1e-5)
    assert retriever.query([], Sampling()).shape == (0, 1, 128)


def test_its_vectors_are_those_that_were_judged(made, retriever):
    """The retriever and the training's judge read a caption in the same way."""
    from baselines.validation import validation_mrr

    folder, info = made
    held_out, _ = pairs(24, 128, 2)
    latents = np.load(folder / "frames-toy-pc-validation.npy").astype(np.float32).mean(1)
    queries = retriever.query([group[0] for group in held_out], Sampling())[:, 0]
    assert validation_mrr(queries, latents, np.arange(24)) == pytest.approx(info["validation_mrr_stored"], abs=1e-3)


def test_its_digest_is_that_of_its_files(retriever):
    assert retriever.bundle_files() == ("tuned-toy.safetensors", "tokenizer.json")
    assert retriever.digest() == bundle.combined_digest(retriever.bundle_files())
