"""What a space holds: a logistic probe per attribute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.datasets.gmcaps import corpus

__all__ = ["PROBED", "balanced_probe", "probe_space"]

PROBED = ("genre", "mood", "lead", "drums", "key", "mode", "tempo")

#: Report name -> (training split, test split). SD shares JAM's law and rendering, so its probe is trained there.
DOMAINS = {"pc": ("pc-train", "pc-test"), "sd": ("jam-train", "sd-test")}


def balanced_probe(
    x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> tuple[float, float]:
    """Balanced accuracy of a logistic regression and its chance level (1 / number of classes in the test set)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, class_weight="balanced"))
    model.fit(x_train, y_train)
    return float(balanced_accuracy_score(y_test, model.predict(x_test))), 1.0 / len(np.unique(y_test))


def probe_space(pooled: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Probes per domain and attribute: {"probes": {domain: {attribute: {"accuracy", "chance"}}}}."""
    probes: dict[str, dict[str, dict[str, float]]] = {}
    for domain, (train, test) in DOMAINS.items():
        truth = {}
        for split in (train, test):
            tracks = corpus.tracks(*split.split("-"))[: len(pooled[split])]
            frame = corpus.truth_frame(tracks)
            frame["tempo"] = [t.attributes.tempo for t in tracks]
            truth[split] = frame
        probes[domain] = {}
        for attribute in PROBED:
            accuracy, chance = balanced_probe(
                pooled[train], truth[train][attribute].to_numpy(), pooled[test], truth[test][attribute].to_numpy()
            )
            probes[domain][attribute] = {"accuracy": round(accuracy, 4), "chance": round(chance, 4)}
    return {"probes": probes}
