"""Render and encode tracks of the embedded corpus again, and hold them against the bundle's latents."""

from __future__ import annotations

import numpy as np

from bench import registry
from bench.datasets.gmcaps import corpus
from bench.space import BundledSpace

__all__ = ["verify_latents"]


def verify_latents(name: str, sample: int = 8, space: str = "mini-clap", seed: int = 0) -> list[tuple[str, float]]:
    """Cosine between freshly rendered and encoded tracks and the bundle's pooled latents.

    Args:
        name: dataset, such as `gmcaps/sd`.
        sample: how many tracks, drawn with `seed`.
        space: encoder whose latents are checked.

    Returns:
        (track id, cosine) for each track drawn.
    """
    source = registry.datasets.get(name)()
    bundled = BundledSpace(registry.encoders.get(space)())
    stored = bundled.pooled(source.gallery)
    tracks = corpus.tracks(source.domain, source.split)
    rows = np.sort(np.random.default_rng(seed).choice(len(tracks), size=min(sample, len(tracks)), replace=False))
    waves = [corpus.compose_and_render(tracks[row]) for row in rows]
    found = []
    for row, frames in zip(rows, bundled.encoder.encode_audio(waves), strict=True):
        fresh, kept = frames.astype(np.float64).mean(0), stored[row].astype(np.float64)
        found.append((tracks[row].track_id, float(fresh @ kept / np.linalg.norm(fresh) / np.linalg.norm(kept))))
    return found
