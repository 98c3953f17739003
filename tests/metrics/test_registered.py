"""Registered metrics: each key computes what its function says, and what is missing has a reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.evaluate import evaluate, per_query_frame
from bench.metrics.clap_score import clap_score
from bench.metrics.diversity import intra_vendi, mean_intra_cosine, vendi_score
from bench.metrics.frechet import FrechetReference, frechet_distance
from bench.metrics.geometry import hubness, modality_gap
from bench.metrics.kernel import kernel_audio_distance, mmd2_by_group
from bench.metrics.measured import Lazy, Measured, Spread
from bench.metrics.retrieval import mean_reciprocal_rank
from bench.plan import MetricFinder
from bench.tasks import Reference

N, K, D, GALLERY = 40, 3, 6, 60
RNG = np.random.default_rng(0)
LATENTS = RNG.normal(size=(N, K, D)).astype(np.float32)
RAW = LATENTS.astype(np.float64).mean(1)
JAM = RNG.normal(size=(200, D)) + 0.3
TRACKS = RNG.normal(size=(GALLERY, D))
TEXT = RNG.normal(size=(N, D))
TOP = np.stack([RNG.permutation(GALLERY)[:10] for _ in range(N)])
BEFORE = np.stack([RNG.permutation(GALLERY)[:10] for _ in range(N)])
WANTED = RNG.random((N, GALLERY)) < 0.3
RANKS = RNG.integers(1, GALLERY, N).astype(float)
TRUE_ROWS = np.array([3, 8, 21])
TRUE = RNG.normal(size=(3, 12, D))
SAMPLES = RNG.normal(size=(5, 4, D))


def measured(**changes):
    given = {
        "latents": LATENTS, "vectors": RAW / np.linalg.norm(RAW, axis=1, keepdims=True), "ranks": RANKS,
        "n_gallery": GALLERY, "top": TOP, "gallery": TRACKS, "before_top": BEFORE, "wanted": WANTED, "negated": WANTED,
        "targets": Lazy({"ZA+": lambda: TRACKS[:N], "ZT+": lambda: TEXT}),
        "references": Lazy({"jam": lambda: Reference(lambda: JAM)}, {"train": "no moments are kept"}),
        "spread": Spread(np.arange(0, N, 8), lambda: SAMPLES),
        "true_samples": Lazy(
            {"rows": lambda: TRUE_ROWS, "queries": lambda: LATENTS[TRUE_ROWS], "tracks": lambda: TRUE,
             "bandwidth": lambda: 2.0}
        ),
    }  # fmt: skip
    return Measured(**{**given, **changes})


def values(m, *keys):
    metrics = {key: MetricFinder()(key) for key in keys}
    labels = pd.DataFrame({"query_id": [f"q{i}" for i in range(N)], "cluster_id": [f"t{i // 2}" for i in range(N)]})
    frame = per_query_frame(m, metrics, labels, [f"t{i}" for i in range(GALLERY)])
    return evaluate(m, metrics, frame), frame


EXPECTED = {
    "mAP@5": lambda: 100 * np.mean(np.where(RANKS <= 5, 1 / RANKS, 0)),
    "nDCG@5": lambda: 100 * np.mean(np.where(RANKS <= 5, 1 / np.log2(1 + RANKS), 0)),
    "MRR": lambda: mean_reciprocal_rank(RANKS),
    "CLAP(ZA+)": lambda: clap_score(RAW, TRACKS[:N]).mean(),
    "CLAP(ZA+,K=1)": lambda: clap_score(LATENTS[:, 0], TRACKS[:N]).mean(),
    "CLAP(ZT+)": lambda: clap_score(RAW, TEXT).mean(),
    "FAD(jam)": lambda: frechet_distance(RAW, JAM),
    "FAD(jam,K=1)": lambda: frechet_distance(LATENTS[:, 0].astype(float), JAM),
    "FADunit(jam)": lambda: frechet_distance(
        RAW / np.linalg.norm(RAW, axis=1, keepdims=True), JAM / np.linalg.norm(JAM, axis=1, keepdims=True)
    ),
    "FADreal(jam)": lambda: frechet_distance(TRACKS[:N], JAM),
    "KAD(jam)": lambda: kernel_audio_distance(RAW, JAM),
    "MICS": lambda: mean_intra_cosine(SAMPLES).mean(),
    "MINVS": lambda: intra_vendi(SAMPLES).mean(),
    "Vendi": lambda: vendi_score(RAW),
    "Vendi%": lambda: 100 * vendi_score(RAW) / D,
    "cMMD(true)": lambda: mmd2_by_group(LATENTS[TRUE_ROWS], TRUE, 2.0).mean(),
    "MICSdiff(true)": lambda: (mean_intra_cosine(LATENTS[TRUE_ROWS]) - mean_intra_cosine(TRUE[:, :K])).mean(),
    "MINVSdiff(true)": lambda: (intra_vendi(LATENTS[TRUE_ROWS]) - intra_vendi(TRUE[:, :K])).mean(),
    "wanted_share@10": lambda: np.take_along_axis(WANTED, TOP, 1).mean(),
    "gained@10": lambda: np.take_along_axis(WANTED, TOP, 1).mean() - np.take_along_axis(WANTED, BEFORE, 1).mean(),
    "removal@5": lambda: (
        np.take_along_axis(WANTED, BEFORE[:, :5], 1).mean() - np.take_along_axis(WANTED, TOP[:, :5], 1).mean()
    ),
    "ModalityGap": lambda: modality_gap(TEXT, TRACKS),
    "Hubness@10": lambda: hubness(TOP, GALLERY).skewness,
    "Never@10": lambda: hubness(TOP, GALLERY).never_retrieved,
}


@pytest.mark.filterwarnings("error::bench.metrics.frechet.SmallSampleWarning")
@pytest.mark.parametrize("key", EXPECTED)
def test_a_key_gives_what_its_function_gives(key):
    entry = values(measured(), key)[0][key]
    assert entry["value"] == pytest.approx(EXPECTED[key](), rel=1e-6)
    low, high = entry["ci"]
    assert low <= entry["value"] <= high
    assert entry["why_null"] is None


@pytest.mark.parametrize("what", ["Precision", "Recall", "Density", "Coverage"])
def test_neighbourhood_metrics_of_the_reference_itself_are_high_and_far_away_zero(what):
    near = values(measured(latents=JAM[:N, None].astype(np.float32)), f"{what}(jam)")[0][f"{what}(jam)"]
    far = values(measured(latents=JAM[:N, None].astype(np.float32) + 100), f"{what}(jam)")[0][f"{what}(jam)"]
    assert near["value"] > 0.15
    assert far["value"] == 0


def test_the_extrapolated_distance_lies_below_the_plain_one_and_has_an_interval():
    found, _ = values(measured(latents=np.tile(LATENTS, (1, 1, 1))), "FAD(jam)", "FADinf(jam)")
    assert found["FADinf(jam)"]["value"] < found["FAD(jam)"]["value"]
    assert found["FADinf(jam)"]["ci"][0] <= found["FADinf(jam)"]["value"] <= found["FADinf(jam)"]["ci"][1]


def test_text_distance_uses_the_moments_that_are_kept():
    train = RNG.normal(size=(300, D))
    kept = {"text": (train.mean(0), np.cov(train.T)), "audio": (JAM.mean(0), np.cov(JAM.T))}
    references = Lazy({"train": lambda: Reference(moments=kept.__getitem__)})
    found, _ = values(measured(references=references), "FTD(train)", "FADreal(train)")
    assert found["FTD(train)"]["value"] == pytest.approx(FrechetReference.fit(train).distance(TEXT), rel=1e-6)
    assert found["FADreal(train)"]["value"] == pytest.approx(FrechetReference.fit(JAM).distance(TRACKS[:N]), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        ({"deterministic": True}, "MICS", "n/a (deterministic)"),
        ({"deterministic": True}, "MINVSdiff(true)", "n/a (deterministic)"),
        ({"spread": None, "why_no_spread": "elsewhere"}, "MINVS", "elsewhere"),
        ({"true_samples": Lazy(missing={"tracks": "no truth here"})}, "cMMD(true)", "no truth here"),
        ({"targets": Lazy({}, {"ZT+": "m has no text tower"})}, "CLAP(ZT+)", "m has no text tower"),
        ({"targets": Lazy({}, {"ZT+": "m has no text tower"})}, "ModalityGap", "m has no text tower"),
        ({}, "CLAP(ZA-)", "this experiment has no ZA-"),
        ({}, "FTD(train)", "no moments are kept"),
        ({}, "KAD(eval)", "this experiment has no eval"),
        ({"wanted": None}, "gained@10", "this experiment has no refinements with a truth"),
        ({"negated": None}, "negated_share@10", "this experiment has no negatives"),
        ({"before_top": None}, "overlap@10", "this experiment changes no query"),
        ({}, "kept@10", "this experiment changes no query"),
        ({}, "R@10(norm)", "the dataset has no truth for an oracle"),
    ],
)
def test_what_cannot_be_said_has_a_reason(changes, key, why):
    found, frame = values(measured(**changes), key)
    assert found[key] == {"value": None, "ci": None, "n": 0, "why_null": why}
    assert key not in frame or frame[key].isna().all()


def test_a_target_of_nan_does_not_count():
    targets = np.array(TEXT)
    targets[:10] = np.nan
    found, frame = values(measured(targets=Lazy({"ZT:removed": lambda: targets})), "CLAP(ZT:removed)")
    assert found["CLAP(ZT:removed)"]["n"] == N - 10
    assert frame["CLAP(ZT:removed)"].isna().sum() == 10


def test_a_lazy_value_is_made_once_and_only_when_asked():
    made = []
    lazy = Lazy({"a": lambda: made.append(1) or 5}, {"b": "why"})
    assert ("a" in lazy, "b" in lazy, len(lazy), made) == (True, False, 1, [])
    assert (lazy["a"], lazy["a"], made) == (5, 5, [1])
    assert (lazy.why_missing("a"), lazy.why_missing("b")) == (None, "why")
    with pytest.raises(KeyError):
        lazy["b"]


def test_a_deterministic_query_is_a_point_mass_to_the_conditional_distance():
    one = LATENTS[:, :1]
    samples = Lazy(
        {"rows": lambda: TRUE_ROWS, "queries": lambda: one[TRUE_ROWS], "tracks": lambda: TRUE, "bandwidth": lambda: 2.0}
    )
    found, _ = values(measured(latents=one, deterministic=True, true_samples=samples), "cMMD(true)")
    many = np.repeat(one[TRUE_ROWS], 50, axis=1)
    assert found["cMMD(true)"]["value"] == pytest.approx(mmd2_by_group(many, TRUE, 2.0).mean())
