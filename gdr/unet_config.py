"""Sizes of the UNet, readable without torch."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bench.errors import UserError

__all__ = ["MINI", "NAMED", "PAPER", "PREDICTIONS", "SMALL", "UNetConfig"]

PREDICTIONS = ("x0", "epsilon")


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of `gdr.unet.GDRUNet`; the defaults are the 40.2 M parameters of the paper's "~40M".

    Args:
        in_channels: dimensions of a latent frame.
        channels: width of each level, outermost first.
        factors: by how much each level shortens time at its entry.
        items: resnet blocks per level and direction.
        attention: per level, 1 for self- and cross-attention after each resnet, 0 for none.
        heads: attention heads.
        head_dim: width of a head.
        context_dim: dimensions of a text token.
        modulation: width of the noise level's features.
        groups: groups of the group norms.
        null_length: tokens of the learned null text.
        prediction: ``x0`` (the paper's) or ``epsilon``.

    Raises:
        UserError: for sizes that do not fit together; the message names the key.
    """

    in_channels: int = 512
    channels: tuple[int, ...] = (512, 512, 512, 512)
    factors: tuple[int, ...] = (2, 2, 4, 4)
    items: tuple[int, ...] = (1, 1, 1, 1)
    attention: tuple[int, ...] = (0, 0, 1, 1)
    heads: int = 8
    head_dim: int = 64
    context_dim: int = 768
    modulation: int = 1024
    groups: int = 1
    null_length: int = 77
    prediction: str = "x0"

    def __post_init__(self) -> None:
        # Lists come from YAML and JSON; a frozen config holds tuples.
        for key in ("channels", "factors", "items", "attention"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
            if len(getattr(self, key)) != len(self.channels):
                raise UserError(f"{key}: {len(getattr(self, key))} levels, but channels has {len(self.channels)}")
            if not all(isinstance(value, int) for value in getattr(self, key)):
                raise UserError(f"{key}: must be whole numbers, got {list(getattr(self, key))}")
        for key in ("in_channels", "heads", "head_dim", "context_dim", "modulation", "groups", "null_length"):
            if not isinstance(getattr(self, key), int) or getattr(self, key) < 1:
                raise UserError(f"{key}: must be a whole number of at least 1, got {getattr(self, key)!r}")
        if not self.channels or min(*self.channels, *self.factors, *self.items) < 1:
            raise UserError("channels, factors, items: give at least one level, and values of at least 1")
        if not set(self.attention) <= {0, 1}:
            raise UserError(f"attention: must be 0 or 1 per level, got {list(self.attention)}")
        uneven = [width for width in self.channels if width % self.groups]
        if uneven:
            raise UserError(f"groups: {self.groups} does not divide the channels {uneven}")
        if self.prediction not in PREDICTIONS:
            raise UserError(f"prediction: unknown value {self.prediction!r}; choose x0 or epsilon")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> UNetConfig:
        """The config of a mapping; keys left out take their defaults.

        Raises:
            UserError: for an unknown key, naming the nearest known one.
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                raise UserError(f"{key}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known: {known}"))
        return cls(**values)


PAPER = UNetConfig()
"""40.2 M parameters, for 512-d CLAP frames at 1 Hz and 768-d text tokens (T = 64)."""

MINI = UNetConfig(
    in_channels=128,
    channels=(96, 112, 128),
    factors=(2, 2, 2),
    items=(1, 1, 1),
    attention=(1, 1, 1),
    heads=4,
    head_dim=24,
    context_dim=256,
    modulation=128,
    groups=8,
    null_length=16,
)
"""1.5 M parameters, for the embedded default's 128-d frames (T = 16) and 256-d text tokens."""

SMALL = UNetConfig(
    in_channels=128,
    channels=(64, 72, 80),
    factors=(2, 2, 2),
    items=(1, 1, 1),
    attention=(0, 1, 1),
    heads=4,
    head_dim=16,
    context_dim=256,
    modulation=96,
    groups=8,
    null_length=16,
)
"""0.7 M parameters, for the cells of an ablation in the same setting."""

NAMED = {"mini": MINI, "small": SMALL, "paper": PAPER}
"""Configs by the name that a recipe or a training file uses."""
