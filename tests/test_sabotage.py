"""What must not be found: with the model, the texts or the negatives made meaningless, no claim is supported.

The claims are those of the packaged suite, through a whole run; only the amount of work is reduced.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from bench import bundle, registry
from gdr.retriever import GDR

pytestmark = pytest.mark.slow

SETTINGS = {
    "guidance": 3, "sampler": "dpm++2m-5", "samples": 2, "queries": 100, "candidates": 200, "diversity_samples": 2,
    "diversity_queries": 2,
}  # fmt: skip
SWEEP = [0.5, 1, 2, 4]
MODIFIERS = [
    {"name": "negative-prompting", "strength": SWEEP},
    {"name": "text-interpolation", "variant": "difference", "strength": SWEEP},
    {"name": "text-interpolation", "variant": "difference", "vectors": "raw", "strength": 2},
    {"name": "audio-interpolation", "strength": SWEEP},
    {"name": "audio-interpolation", "vectors": "raw", "strength": 2},
    {"name": "slerp", "strength": [0.1, 0.2, 0.3, 0.45]},
    {"name": "prefix-negation", "form": "append"},
    {"name": "irrelevant-negative", "strength": 2},
    {"name": "random-direction", "like": "negative-prompting", "strength": 2},
]
NONSENSE = (
    "rain on a tin roof", "a letter from the bank", "seven green chairs", "the price of bread", "a map of the coast",
    "two keys on a table", "the second page of a novel", "a cat under the stairs",
)  # fmt: skip


def run(write_suite, folder, retriever=None, negatives=None):
    """A reduced run of the packaged negation suite; returns its summary."""
    import bench

    suite = write_suite(
        folder, negatives, retrievers=[retriever or {"name": "gdr", "id": "gdr-clap"}], replicates=[], presets={},
        settings=SETTINGS, modifiers=MODIFIERS,
    )  # fmt: skip
    return bench.run(suite, out=folder / "out", threads=1).summary


def assert_nothing_is_supported(summary):
    verdicts = {claim["id"]: (claim["verdict"], claim["effect"], claim["ci"]) for claim in summary["claims"]}
    assert len(verdicts) >= 8
    assert not [name for name, (verdict, *_) in verdicts.items() if verdict == "supported"], verdicts


@pytest.fixture(autouse=True)
def _trained(bundle_ready, no_report):
    """A whole bundle, and no report of what is made to fail."""


def test_random_weights(write_suite, tmp_path, monkeypatch):
    """Every tensor keeps its values and loses their places: as large as the trained one, and knows nothing."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = json.loads(json.dumps(bundle.manifest()))
    for name in manifest["files"]:
        (folder / name).symlink_to(bundle.path(name))
    rng = np.random.default_rng(0)
    file = folder / "gdr-clap.safetensors"
    with safe_open(file, framework="np") as stored:
        metadata = stored.metadata()
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a mapping)
    shuffled = {
        name: value if name.startswith("scaler.") else rng.permutation(value.ravel()).reshape(value.shape)
        for name, value in weights.items()
    }
    file.unlink()
    save_file(shuffled, file, metadata=metadata)
    manifest["files"][file.name]["sha256"] = bundle.sha256_file(file)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("BENCH_BUNDLE_DIR", str(folder))
    assert_nothing_is_supported(run(write_suite, tmp_path / "run"))


@pytest.fixture(scope="module")
def other(bundle_ready):
    """Another text for every text, always the same one."""
    captions = registry.datasets.get("gmcaps/sd")().load().captions["text"]
    pool = sorted(set(captions))

    def read(text):
        place = int.from_bytes(hashlib.sha256(f"shuffled: {text}".encode()).digest()[:8], "little")
        return pool[place % len(pool)]

    return read


def test_shuffled_captions(write_suite, tmp_path, other):
    """Every text is taken for another one, prompts and negatives alike: the model is sound, the words mean nothing."""

    class Shuffled(GDR):
        """GDR that reads another text than it is given."""

        name = "shuffled"

        def digest(self):
            return f"shuffled {super().digest()}"

        def query(self, prompts, sampling):
            return super().query([other(text) for text in prompts], sampling)

        def query_negative(self, prompts, negatives, w, sampling):
            return super().query_negative([other(t) for t in prompts], [other(t) for t in negatives], w, sampling)

    retriever = {"name": "shuffled", "id": "shuffled", "space": "clap", "weights": "gdr-clap"}
    with registry.retrievers.temporary("shuffled", Shuffled):
        assert_nothing_is_supported(run(write_suite, tmp_path, retriever))


def test_irrelevant_negatives(write_suite, tmp_path):
    """Each negative says something else than what it is judged by."""

    def nonsense(entry):
        entry["text"] = NONSENSE[int(hashlib.sha256(entry["id"].encode()).hexdigest(), 16) % len(NONSENSE)]
        return True

    assert_nothing_is_supported(run(write_suite, tmp_path, negatives=nonsense))


#: Suite -> claims that credit a GDR with what only a model that understands its prompt can have. (FAD, spread
#: and closeness to an earlier query do not depend on the words, nor does a claim that a GDR is worse than its rival.)
CREDITS = {
    "retrieval": (
        "gdr-clap-beats-clap-pc", "gdr-clap-beats-clap-sd", "gdr-muscall-matches-muscall-pc",
        "gdr-muscall-beats-muscall-sd", "gdr-muscall-beats-muscall-mc", "gdr-follows-training-domain",
        "generation-beats-regression-pc",
    ),
    "query-quality": ("unet-best-r5", "unet-best-clap", "generation-models-the-truth"),
    "alignment": ("align-raises-r5", "align-raises-r5-pc", "align-raises-r5-mc"),
    "domain-shift": ("adaptation-in-domain", "well-aligned-teacher-is-matched", "all-dials-cost-gdr"),
    "ablation": ("sequence-beats-pooled", "x0-beats-epsilon"),
}  # fmt: skip


@pytest.mark.parametrize("name", CREDITS)
def test_a_gdr_that_reads_other_captions_is_credited_with_nothing(name, tmp_path, monkeypatch, other):
    import bench

    query, digest = GDR.query, GDR.digest
    monkeypatch.setattr(GDR, "query", lambda self, texts, s: query(self, [other(text) for text in texts], s))
    monkeypatch.setattr(GDR, "digest", lambda self: f"shuffled {digest(self)}")
    small = {
        "sampler": "dpm++2m-4", "samples": 1, "queries": 200, "diversity_queries": 20, "diversity_samples": 2,
        "replicates": [],
    }  # fmt: skip
    summary = bench.run(name, set=small, out=tmp_path / "out", threads=1).summary
    verdicts = {claim["id"]: claim["verdict"] for claim in summary["claims"]}
    assert {claim: verdicts[claim] for claim in CREDITS[name] if verdicts[claim] == "supported"} == {}
