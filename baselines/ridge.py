"""Ridge regression from text vectors to pooled audio latents: what the pairs alone buy, without generation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import bundle
from bench.protocols import Sampling, Space

if TYPE_CHECKING:
    from bench.bundle.build import BuildContext

__all__ = ["Ridge", "fit_ridge", "make_part"]


def fit_ridge(x: np.ndarray, y: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Least squares with an L2 penalty and a free intercept.

    Args:
        x: (N, p) inputs. y: (N, d) targets. alpha: penalty on the coefficients, as a multiple of the mean of x'x.

    Returns:
        (coefficients (p, d), intercept (d,)), float64.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    mean_x, mean_y = x.mean(0), y.mean(0)
    centred = x - mean_x
    gram = centred.T @ centred
    penalty = alpha * np.trace(gram) / len(gram)
    coefficients = np.linalg.solve(gram + penalty * np.eye(len(gram)), centred.T @ (y - mean_y))
    return coefficients, mean_y - mean_x @ coefficients


class Ridge:
    """Ridge regression Z_T -> Z_A fitted on the same pairs as GDR; deterministic."""

    name = "ridge"
    version = 1
    deterministic = True

    def __init__(self, space: Space, weights: str) -> None:
        self.space = space
        self.weights = weights

    def bundle_files(self) -> tuple[str, ...]:
        return (f"{self.weights}.safetensors",)

    def digest(self) -> str:
        return bundle.combined_digest(self.bundle_files())

    @cached_property
    def _map(self) -> tuple[np.ndarray, np.ndarray]:
        from safetensors.numpy import load_file

        state = load_file(bundle.path(self.bundle_files()[0]))
        return state["coefficients"], state["intercept"]

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Regressed audio latents: (P, 1, d) float32."""
        coefficients, intercept = self._map
        return (self.space.text(prompts).pooled @ coefficients + intercept)[:, None, :].astype(np.float32)


def make_part(
    context: BuildContext, *, encoder: str, train: str, validation: str, alphas: list[float]
) -> dict[str, Any]:
    """Bundle part: fit on training pairs, choose the penalty by mean reciprocal rank on validation pairs."""
    from safetensors.numpy import save_file

    from bench.bundle.parts import load_built_encoder, training_captions, training_frames
    from bench.metrics.retrieval import relevant_ranks

    tower = load_built_encoder(context, encoder)

    def pairs(split: str) -> tuple[np.ndarray, np.ndarray]:
        captions = training_captions(context, split)
        audio = training_frames(context, encoder, split).astype(np.float32).mean(1)
        owner = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
        return tower.encode_text([text for group in captions for text in group]).pooled, audio[owner]

    x, y = pairs(train)
    x_val, y_val = pairs(validation)
    gallery = y_val / np.linalg.norm(y_val, axis=1, keepdims=True)
    scores = {}
    for at, alpha in enumerate(alphas):
        coefficients, intercept = fit_ridge(x, y, alpha)
        queries = (x_val @ coefficients + intercept).astype(np.float32)
        scores[alpha] = float((1 / relevant_ranks(queries, gallery, np.arange(len(queries)))).mean())
        context.report(at + 1, len(alphas), f"alpha {alpha}")
    best = max(scores, key=lambda alpha: scores[alpha])
    coefficients, intercept = fit_ridge(x, y, best)
    file = f"{context.part}.safetensors"
    save_file(
        {"coefficients": coefficients.astype(np.float32), "intercept": intercept.astype(np.float32)},
        context.bundle_file(file),
    )
    return {
        "files": [file],
        "info": {"alpha": best, "validation_mrr": {str(a): round(s, 4) for a, s in scores.items()}},
    }
