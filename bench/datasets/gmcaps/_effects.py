"""Room, equaliser, saturation, noise and level: what happens to a clip after the synthesizer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

__all__ = ["Effects", "apply_effects"]

_TAIL_SECONDS = 1.5
_DECAYS = (0.3, 0.6, 1.0, 1.6, 2.4)


@dataclass(frozen=True)
class Effects:
    """Settings of one clip.

    Attributes:
        wet: Level of the reverberation against the direct sound, linear.
        decay: Seconds until the reverberation has fallen by 60 dB (taken to the nearest of five rooms).
        low_cut: High-pass corner in Hz.
        high_cut: Low-pass corner in Hz.
        tilt: Spectral tilt in dB per octave about 1 kHz.
        drive: Saturation; 0 leaves the signal alone.
        noise: Level of the noise floor against the music in dB.
        level: Root mean square of the result in dB of full scale (lower where the peak would clip).
    """

    wet: float
    decay: float
    low_cut: float
    high_cut: float
    tilt: float
    drive: float
    noise: float
    level: float


@lru_cache(maxsize=64)
def _room(decay: float, size: int, sample_rate: int) -> np.ndarray:
    """Transfer function of a room with unit energy: exponentially decaying noise, duller towards the top."""
    n = int(_TAIL_SECONDS * sample_rate)
    time = np.arange(n) / sample_rate
    rng = np.random.default_rng([int(decay * 1000), sample_rate])
    response = rng.standard_normal(n) * np.exp(-6.91 * time / decay) * (time > 0.012)
    spectrum = fft.rfft(response / np.sqrt((response**2).sum()), size)
    damping = 1.0 / (1.0 + (np.arange(len(spectrum)) * sample_rate / size / 3500.0) ** 2)
    return (spectrum * damping).astype(np.complex64)


def _equaliser(effects: Effects, size: int, sample_rate: int) -> np.ndarray:
    """(size // 2 + 1,) float32 gains, interpolated from a coarse grid of frequencies."""
    grid = np.concatenate([np.linspace(0, 1000, 200, endpoint=False), np.linspace(1000, sample_rate / 2, 300)])
    f = np.maximum(grid, 1.0)
    gain = 10.0 ** (effects.tilt * np.log2(np.maximum(f, 40.0) / 1000.0) / 20.0)
    gain = gain / np.sqrt(1.0 + (effects.low_cut / f) ** 4) / np.sqrt(1.0 + (f / effects.high_cut) ** 8)
    bins = np.arange(size // 2 + 1, dtype=np.float64) * (sample_rate / size)
    return np.interp(bins, grid, gain).astype(np.float32)


def apply_effects(dry: np.ndarray, effects: Effects, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Process a clip.

    Args:
        dry: (n,) float32.
        effects: The settings.
        rng: Source of the noise floor.
        sample_rate: In Hz.

    Returns:
        (n,) float32, at the effects' level, within ±0.98.
    """
    n = len(dry)
    size = fft.next_fast_len(n + int(_TAIL_SECONDS * sample_rate), real=True)
    decay = min(_DECAYS, key=lambda d: abs(d - effects.decay))
    transfer = 1.0 + np.float32(effects.wet) * _room(decay, size, sample_rate)
    spectrum = fft.rfft(dry, size) * (transfer * _equaliser(effects, size, sample_rate))
    wet = fft.irfft(spectrum, size)[:n].astype(np.float32)
    wet /= np.float32(max(float(np.sqrt(np.mean(wet**2, dtype=np.float64))), 1e-9))
    if effects.drive > 0.0:
        wet = np.tanh(np.float32(effects.drive) * wet) / np.float32(effects.drive)
    noise = rng.standard_normal(n, dtype=np.float32)
    noise[1:] += noise[:-1]  # a little darker than white
    wet = wet + noise * np.float32(0.7 * 10.0 ** (effects.noise / 20.0))
    wet *= np.float32(10.0 ** (effects.level / 20.0) / np.sqrt(np.mean(wet**2, dtype=np.float64)))
    peak = float(np.abs(wet).max())
    return wet if peak <= 0.98 else wet * np.float32(0.98 / peak)
