"""A space, a bundle and pairs small enough to train on in a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench import bundle
from bench.bundle.build import BuildContext
from bench.protocols import TextLatents

DIM, WIDTH, FRAMES = 8, 12, 4
KINDS = ("calm piano", "fast metal guitar", "slow sad blues", "happy dance synth")


def _letters(text: str, width: int) -> np.ndarray:
    return np.sin(np.arange(1, width + 1) * sum(map(ord, text)) * 0.37)


class ToySpace:
    """A space of eight dimensions; a text is a state a word and the unit mean of them."""

    name, dim = "toy", DIM

    def digest(self) -> str:
        return "toy"

    def encoder_digest(self) -> str:
        return "toy"

    def text(self, texts) -> TextLatents:
        words = [text.split() for text in texts]
        mask = np.array([[at < len(w) for at in range(max(map(len, words)))] for w in words])
        tokens = np.zeros((*mask.shape, WIDTH), np.float32)
        for row, of_text in enumerate(words):
            for at, word in enumerate(of_text):
                tokens[row, at] = _letters(word, WIDTH)
        pooled = tokens.sum(1)[:, :DIM] + 0.1
        return TextLatents(tokens, mask, pooled / np.linalg.norm(pooled, axis=1, keepdims=True))

    encode_text = text


@pytest.fixture(scope="session")
def toy_space() -> ToySpace:
    return ToySpace()


@pytest.fixture(scope="session")
def toy_captions() -> dict[str, list[list[str]]]:
    """Two captions a track; each names one of four kinds."""

    def captions(tracks: int, seed: int) -> list[list[str]]:
        kinds = np.random.default_rng(seed).integers(4, size=tracks)
        return [[KINDS[kind], f"{KINDS[kind]} with words {track % 5}"] for track, kind in enumerate(kinds)]

    return {"pc-train": captions(60, 0), "pc-validation": captions(24, 1)}


@pytest.fixture
def toy_build(tmp_path: Path, toy_space, toy_captions, monkeypatch) -> BuildContext:
    """A build on the toy space: frames follow the kind that the captions name."""
    from bench.bundle import parts

    monkeypatch.setattr(parts, "load_built_encoder", lambda context, name: toy_space)
    folder = tmp_path / "build"
    folder.mkdir()
    for split, captions in toy_captions.items():
        rng = np.random.default_rng(len(captions))
        means = np.stack([_letters(group[0], DIM) for group in captions])
        frames = means[:, None] + 0.3 * rng.normal(size=(len(captions), FRAMES, DIM))
        frames /= np.linalg.norm(frames, axis=-1, keepdims=True)
        np.save(folder / f"frames-toy-{split}.npy", frames.astype(np.float16))
        (folder / f"captions-{split}.json").write_text(json.dumps(captions))
    for name in ("toy.safetensors", "tokenizer.json"):
        (folder / name).write_text("here")
    return BuildContext("part", folder, folder, 1, "cpu", lambda *what: None)


@pytest.fixture
def install(toy_build: BuildContext, monkeypatch):
    """Make what has been built the bundle: () -> None."""

    def make() -> None:
        files = {file.name: {"sha256": bundle.sha256_file(file)} for file in toy_build.out.iterdir()}
        (toy_build.out / bundle.MANIFEST).write_text(json.dumps({"files": files, "parts": {}}))
        bundle._read_manifest.cache_clear()
        monkeypatch.setenv("BENCH_BUNDLE_DIR", str(toy_build.out))

    yield make
    bundle._read_manifest.cache_clear()


@pytest.fixture(scope="session")
def toy_config() -> Callable[..., dict[str, object]]:
    """Keys of TrainConfig for a short training, with some replaced."""

    def make(**keys: object) -> dict[str, object]:
        short = {"steps": 60, "batch_size": 16, "learning_rate": 3e-3, "warmup": 5, "evaluate_every": 10, "ema": 0.9}
        return {**short, "patience": 3, **keys}

    return make
