"""Network of the regression UNet: the UNet of GDR at level 0, whose input is a learned mask embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gdr.unet import GDRUNet
from gdr.unet_config import UNetConfig

__all__ = ["UNetRegressor"]


class UNetRegressor(nn.Module):
    """Predicts latent frames from the tokens of a text.

    Args:
        config: sizes of the UNet; its null text is never used.
        frames: T, frames to predict; the same learned vector stands for each.
    """

    def __init__(self, config: UNetConfig, frames: int) -> None:
        super().__init__()
        self.config = config
        self.frames = frames
        self.mask_embedding = nn.Parameter(torch.randn(config.in_channels))
        self.network = GDRUNet(config)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Latents (B, C, T) of token states (B, L, context_dim) and their mask (B, L)."""
        x = self.mask_embedding[:, None].expand(len(tokens), -1, self.frames)
        level = self.network.embed_time(torch.zeros(1, device=tokens.device))
        return self.network.predict(x, level, self.network.encode_context(tokens, mask))
