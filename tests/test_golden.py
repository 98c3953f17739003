"""A component's numbers may change only together with its `version`, which is in the key of every cell.

`golden.json` holds a digest of each component's output on fixed input, with the version it was taken at. After a change
that is meant, raise the version and run `python tests/test_golden.py` to take the digests anew.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.protocols import Edit, Sampling

FILE = Path(__file__).parent / "golden.json"
DIGITS = 4


def digest(values: Any) -> str:
    """Digest of text, or of numbers rounded so that another machine's last digits do not matter."""
    if isinstance(values, str):
        return hashlib.sha256(values.encode()).hexdigest()[:16]
    rounded = np.round(np.asarray(values, dtype=np.float64), DIGITS) + 0.0
    return hashlib.sha256(rounded.tobytes()).hexdigest()[:16]


class _Context:
    """Fixed latents: what a modifier sees."""

    prompts = ("a calm tune", "fast rock", "piano")
    edits = (Edit("jazz", "in C major"), Edit("guitar", "fast"), Edit("slow", "sad"))
    sampling = Sampling(samples=2, seed=7)

    def _draw(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).standard_normal(shape)

    def query(self, prompts, guidance=None):
        return np.stack([self._draw(f"{p}|{guidance}", (2, 5)) for p in prompts])

    def query_negative(self, prompts, negatives, w):
        return self.query(prompts) * (1 + w) - w * self.query(negatives)

    def query_edited(self, editing):
        texts = [f"{editing}|{p}|{e.text}" for p, e in zip(self.prompts, self.edits, strict=True)]
        return self.query(texts)

    def text(self, texts):
        drawn = np.stack([self._draw(f"text {t}", (5,)) for t in texts])
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    def modified(self, name, strength):
        return self.query_negative(self.prompts, [e.text for e in self.edits], strength)


def _corpus(domain: str) -> str:
    from bench.datasets.gmcaps import corpus

    split = list(corpus.DOMAINS[domain].sizes)[-1]
    tracks = [corpus.track(domain, split, index) for index in range(20)]
    lines = [f"{t.track_id} {json.dumps(t.attributes.row())} {[c.text for c in corpus.captions(t)]}" for t in tracks]
    notes = [repr(corpus.score(track)) for track in tracks[:3]]
    return "\n".join(lines + notes)


def _mixes(source: Any) -> str:
    loaded = [
        source.load(law=law, style=style, tracks=20) for law in ("pc", "sd") for style in ("library", "describer")
    ]
    return "\n".join(f"{one.truth.to_json(orient='records')} {list(one.captions['text'])}" for one in loaded)


@cache
def components() -> dict[str, tuple[int, str]]:
    """Component -> (version, digest of its output)."""
    found: dict[str, tuple[int, str]] = {}
    for name in registry.modifiers.names():
        modifier = registry.modifiers.get(name)()
        found[f"modifier {name}"] = modifier.version, digest(modifier.apply(_Context(), 0.5))
    for name in registry.datasets.names():
        if name.startswith("gmcaps/"):
            source = registry.datasets.get(name)()
            made = _mixes(source) if name == "gmcaps/mix" else _corpus(source.domain)
            found[f"dataset {name}"] = source.version, digest(made)
    from gdr.noise import query_noise
    from gdr.retriever import GDR

    found["retriever gdr: noise"] = GDR.version, digest(query_noise(["a waltz", "polka"], 2, (4, 3), seed=5).numpy())
    return found


@pytest.mark.parametrize("name", sorted(json.loads(FILE.read_text())) if FILE.exists() else [])
def test_numbers_change_only_with_the_version(name):
    version, digest_now = components()[name]
    before = json.loads(FILE.read_text())[name]
    if version == before["version"]:
        assert digest_now == before["digest"], f"{name}: output changed, but version is still {version}; raise it"


def test_every_component_has_a_golden_digest():
    assert sorted(components()) == sorted(json.loads(FILE.read_text()))


if __name__ == "__main__":
    taken = {name: {"version": version, "digest": found} for name, (version, found) in sorted(components().items())}
    FILE.write_text(json.dumps(taken, indent=1) + "\n")
