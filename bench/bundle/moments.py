"""Bundle parts for distances to a training set: moments of its latents, and captions that no model was fitted on.

The latents themselves are not shipped: a Fréchet distance or a linear alignment needs their mean and covariance alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.bundle.build import BuildContext

__all__ = ["captions_file", "make_captions", "make_moments", "mean_and_covariance", "moments_file"]

CLIPS_AT_ONCE = 128
TEXTS_AT_ONCE = 512


def moments_file(encoder: str) -> str:
    """Bundle file of an encoder's training moments: `audio-mean` (d,), `audio-cov` (d, d), and of texts likewise."""
    return f"moments-{encoder}.safetensors"


def captions_file(split: str) -> str:
    """Bundle file of a split's captions, one a track: columns `track` (row of the split) and `text`."""
    return f"captions-{split}.parquet"


def mean_and_covariance(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and unbiased covariance (d, d) of rows (n, d), n of 2 or more; float64."""
    rows = np.asarray(rows, dtype=np.float64)
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / (len(rows) - 1)


def make_moments(context: BuildContext, *, encoder: str, train: str) -> dict[str, Any]:
    """Mean and covariance of an encoder's own training set: time means of its audio, vectors of its captions.

    Every caption of every track counts once. An encoder without a text tower has the moments of audio alone.

    Args:
        context: the build.
        encoder: a mini encoder of the bundle.
        train: the split that it was trained on, such as `web-train`.
    """
    from safetensors.numpy import save_file

    from bench.bundle.parts import load_built_encoder, mel_file, training_captions

    tower = load_built_encoder(context, encoder)
    mel = np.load(context.work_file(mel_file(train)), mmap_mode="r")
    pooled = []
    for start in range(0, len(mel), CLIPS_AT_ONCE):
        frames = tower.encode_mel(np.asarray(mel[start : start + CLIPS_AT_ONCE]))
        pooled.append(frames.mean(1, dtype=np.float64))
        context.report(min(start + CLIPS_AT_ONCE, len(mel)), len(mel), f"clips of {train}")
    rows = {"audio": np.concatenate(pooled)}
    if hasattr(tower, "encode_text"):
        texts = [text for group in training_captions(context, train) for text in group]
        vectors = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            vectors.append(tower.encode_text(texts[start : start + TEXTS_AT_ONCE]).pooled)
            context.report(min(start + TEXTS_AT_ONCE, len(texts)), len(texts), f"captions of {train}")
        rows["text"] = np.concatenate(vectors)
    arrays: dict[str, np.ndarray] = {}
    for kind, of_kind in rows.items():
        mean, covariance = mean_and_covariance(of_kind)
        arrays |= {f"{kind}-mean": mean.astype(np.float32), f"{kind}-cov": covariance.astype(np.float32)}
        arrays[f"{kind}-count"] = np.array([len(of_kind)], dtype=np.int64)
    file = moments_file(encoder)
    save_file(arrays, context.bundle_file(file), metadata={"train": train})
    return {"files": [file], "info": {"train": train, **{kind: len(of_kind) for kind, of_kind in rows.items()}}}


def make_captions(context: BuildContext, *, split: str) -> dict[str, Any]:
    """The first caption of each track of a split: prompts of validation, on which no experiment is evaluated."""
    import pandas as pd

    from bench.bundle.parts import training_captions

    texts = [group[0] for group in training_captions(context, split)]
    file = captions_file(split)
    frame = pd.DataFrame({"track": np.arange(len(texts)), "text": texts})
    frame.to_parquet(context.bundle_file(file), compression="zstd", index=False)
    context.report(1, 1, f"{len(texts)} captions")
    return {"files": [file], "info": {"captions": len(texts)}}
