"""Mini encoder without a text tower: `mini-mule`, trained on WEB audio alone."""

from __future__ import annotations

from pathlib import Path

from bench.encoders.mini import MiniAudio

__all__ = ["MiniMule"]


class MiniMule(MiniAudio):
    """Small audio encoder trained on WEB without any text, in the role of MULE; it has no text tower.

    MULE (McCallum et al., ISMIR 2022) learns from music audio alone; the paper pairs it with a text encoder that never
    heard audio (section 4.1.2). This one is trained as `bench.encoders.mule_training` says.

    Args:
        weights: file to read instead of the bundle's.

    Example:
        >>> encoder = MiniMule()
        >>> encoder.name, encoder.dim, encoder.bundle_files()
        ('mini-mule', 128, ('mini-mule.safetensors',))
        >>> hasattr(encoder, "encode_text")
        False
    """

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__("mini-mule", weights)
