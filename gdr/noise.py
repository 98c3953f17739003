"""Start noise that belongs to the query: the same whatever the batch, the order or the worker."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

__all__ = ["query_noise"]


def query_noise(prompts: Sequence[str], samples: int, shape: tuple[int, int], seed: int) -> torch.Tensor:
    """Standard normal noise for each sample of each prompt.

    The noise of sample k of a prompt depends on (the prompt's text, k, seed) and nothing else, so more samples extend
    the earlier ones, and equal prompts get equal noise.

    Args:
        prompts: P texts.
        samples: K, samples per prompt.
        shape: (C, T), channels and frames of a latent.
        seed: the run's seed.

    Returns:
        (P, K, C, T) float32, on the CPU.

    Raises:
        ValueError: for a negative number of samples.

    Example:
        >>> query_noise(["a waltz"], 2, (8, 4), seed=0).shape
        torch.Size([1, 2, 8, 4])
    """
    if samples < 0:
        raise ValueError(f"samples must be 0 or more, got {samples}")
    noise = np.empty((len(prompts), samples, *shape), dtype=np.float32)
    for row, prompt in zip(noise, prompts, strict=True):
        for k in range(samples):
            # A fresh counter-based generator per sample: no state runs from one query into the next.
            generator = np.random.Generator(np.random.Philox(key=_key(prompt, k, seed)))
            generator.standard_normal(dtype=np.float32, out=row[k])
    return torch.from_numpy(noise)


def _key(prompt: str, k: int, seed: int) -> int:
    """128 bits from the three; the numbers come first, so no text can be read as one of them."""
    digest = hashlib.sha256(f"{seed}:{k}:{prompt}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:16], "little")
