"""Ridge regression from texts to pooled audio latents: what the pairs alone buy, without generation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import bundle
from bench.errors import UserError
from bench.protocols import Sampling, Space

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from bench.bundle.build import BuildContext

__all__ = ["FEATURES", "Ridge", "bag_of_tokens", "fit_ridge", "make_part", "ridge_path"]

FEATURES = ("pooled", "tokens")
"""What a text is to the regression: its pooled vector, or how often each token of the vocabulary is in it."""
_ROWS = 4096


def ridge_path(x: np.ndarray, y: np.ndarray, alphas: Iterable[float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Least squares with an L2 penalty and a free intercept, for several penalties.

    Args:
        x: (N, p) inputs of any number type; never copied as a whole.
        y: (N, d) targets.
        alphas: penalties on the coefficients, as multiples of the mean of the diagonal of x'x (x centred).

    Yields:
        (coefficients (p, d), intercept (d,)), float64, for each penalty.
    """
    mean_x, mean_y = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    gram = np.zeros((x.shape[1], x.shape[1]))
    moment = np.zeros((x.shape[1], y.shape[1]))
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        centred = x[rows].astype(np.float64) - mean_x
        gram += centred.T @ centred
        moment += centred.T @ (y[rows].astype(np.float64) - mean_y)
    scale = np.trace(gram) / len(gram)
    for alpha in alphas:
        coefficients = np.linalg.solve(gram + alpha * scale * np.eye(len(gram)), moment)
        yield coefficients, mean_y - mean_x @ coefficients


def fit_ridge(x: np.ndarray, y: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """`ridge_path` for one penalty.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> coefficients, intercept = fit_ridge(x, 3 * x + 1, alpha=0.0)
        >>> coefficients.round(6).tolist(), intercept.round(6).tolist()
        ([[3.0]], [1.0])
    """
    return next(ridge_path(x, y, [alpha]))


def bag_of_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """How often each token of the vocabulary is in each text: (P, vocabulary) uint8, at most 255."""
    counts = np.zeros((len(texts), tokenizer.get_vocab_size()), dtype=np.uint8)
    for row, encoding in zip(counts, tokenizer.encode_batch(list(texts)), strict=True):
        ids, times = np.unique(encoding.ids, return_counts=True)
        row[ids.astype(np.intp)] = np.minimum(times, 255)
    return counts


class Ridge:
    """Ridge regression of text features -> Z_A fitted on the same pairs as GDR; deterministic.

    The file of weights says which features (`FEATURES`): the space's pooled text vector, or counts of tokens.
    """

    name = "ridge"
    version = 1
    deterministic = True

    def __init__(self, space: Space, weights: str) -> None:
        self.space = space
        self.weights = weights

    def bundle_files(self) -> tuple[str, ...]:
        from bench.encoders.mini import TOKENIZER_FILE

        return (f"{self.weights}.safetensors", TOKENIZER_FILE)

    def digest(self) -> str:
        """Digest of the weights, the tokenizer and the space, whose text vectors may be the features."""
        return f"{bundle.combined_digest(self.bundle_files())}+{self.space.encoder_digest()}"

    @cached_property
    def _map(self) -> tuple[np.ndarray, np.ndarray, str]:
        from safetensors import safe_open

        with safe_open(bundle.path(f"{self.weights}.safetensors"), framework="np") as stored:
            features = (stored.metadata() or {}).get("features", "pooled")
            coefficients, intercept = (stored.get_tensor(name) for name in ("coefficients", "intercept"))
        return coefficients.astype(np.float32), intercept.astype(np.float32), features

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from bench.encoders.mini import TOKENIZER_FILE, load_tokenizer

        return load_tokenizer(bundle.path(TOKENIZER_FILE), _max_length())

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Regressed audio latents: (P, 1, d) float32. `sampling` plays no part."""
        coefficients, intercept, features = self._map
        pooled = features == "pooled"
        x = self.space.text(prompts).pooled if pooled else bag_of_tokens(self._tokenizer, prompts).astype(np.float32)
        return (x @ coefficients + intercept)[:, None, :].astype(np.float32)


def make_part(
    context: BuildContext,
    *,
    encoder: str,
    train: str,
    validation: str,
    alphas: list[float],
    features: str = "pooled",
) -> dict[str, Any]:
    """Bundle part: fit on training pairs, choose the penalty by mean reciprocal rank on validation pairs.

    Args:
        context: the build.
        encoder: whose pooled latents are the targets, and whose text vectors may be the features.
        train, validation: splits.
        alphas: penalties to choose from.
        features: one of `FEATURES`.

    Raises:
        UserError: unknown features.
    """
    import time

    from safetensors.numpy import save_file

    from baselines.validation import validation_mrr

    if features not in FEATURES:
        raise UserError(f"features: unknown value {features!r}; choose {' or '.join(FEATURES)}")
    started = time.monotonic()
    x, y, owner = _pairs(context, encoder, train, features)
    x_val, y_val, owner_val = _pairs(context, encoder, validation, features)
    fits, scores = {}, {}
    for at, (alpha, (coefficients, intercept)) in enumerate(zip(alphas, ridge_path(x, y[owner], alphas), strict=True)):
        scores[alpha] = validation_mrr(x_val @ coefficients.astype(np.float32) + intercept, y_val, owner_val)
        fits[alpha] = coefficients, intercept
        context.report(at + 1, len(alphas), f"alpha {alpha}")
    best = max(scores, key=lambda alpha: scores[alpha])
    coefficients, intercept = fits[best]
    file = f"{context.part}.safetensors"
    # 4096 rows of the vocabulary are the larger part of this file: half precision is enough for them.
    kept = {"coefficients": coefficients.astype(np.float16 if features == "tokens" else np.float32)}
    state = {**kept, "intercept": intercept.astype(np.float32)}
    save_file(state, context.bundle_file(file), metadata={"features": features})
    info = {
        "alpha": best,
        "features": features,
        "parameters": coefficients.size + intercept.size,
        "validation_mrr": {str(alpha): round(score, 4) for alpha, score in scores.items()},
        "seconds_training": round(time.monotonic() - started, 1),
    }
    return {"files": [file], "info": info}


def _pairs(context: BuildContext, encoder: str, split: str, features: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of captions, pooled latents of tracks, and the track of each caption."""
    from bench.bundle.parts import load_built_encoder, training_captions, training_frames
    from bench.encoders.mini import TOKENIZER_FILE, load_tokenizer
    from gdr.training_data import caption_owners, pooled_frames

    captions = training_captions(context, split)
    texts = [text for group in captions for text in group]
    if features == "tokens":
        x = bag_of_tokens(load_tokenizer(context.bundle_file(TOKENIZER_FILE), _max_length()), texts)
    else:
        x = load_built_encoder(context, encoder).encode_text(texts).pooled
    return x, pooled_frames(training_frames(context, encoder, split)), caption_owners(captions)


def _max_length() -> int:
    """Tokens that the mini text towers read of a caption."""
    return 96
