"""The noise schedule: how much of a latent is left at each of its levels, and which levels a sampler visits."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

__all__ = ["NoiseSchedule"]


@dataclass(frozen=True)
class NoiseSchedule:
    """A variance-preserving schedule with scaled-linear betas: x_t = √ᾱ_t · x0 + √(1 − ᾱ_t) · ε.

    The defaults are those of the scheduler that the authors load (AudioLDM 2). Coefficients are kept in float64 and
    reach tensors as Python numbers, so that they take the tensor's own precision.

    Args:
        levels: number of noise levels.
        beta_start: first β.
        beta_end: last β.
        set_alpha_to_one: whether "before level 0" means no noise (ᾱ = 1) or level 0 itself. With True, the first step
            of a DDIM inversion divides by zero.
        steps_offset: added to the levels that DDIM visits.

    Raises:
        ValueError: unless 0 < beta_start ≤ beta_end < 1 and there are at least two levels.
    """

    levels: int = 1000
    beta_start: float = 0.0015
    beta_end: float = 0.0195
    set_alpha_to_one: bool = False
    steps_offset: int = 1
    alphas_cumprod: np.ndarray = field(init=False, repr=False, compare=False)
    """ᾱ per level, (levels,) float64, read-only."""

    def __post_init__(self) -> None:
        if self.levels < 2 or not 0.0 < self.beta_start <= self.beta_end < 1.0:
            raise ValueError(f"need two levels or more and 0 < beta_start <= beta_end < 1, got {self!r}")
        betas = np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.levels, dtype=np.float64) ** 2
        cumulative = np.cumprod(1.0 - betas)
        cumulative.setflags(write=False)
        object.__setattr__(self, "alphas_cumprod", cumulative)

    def alpha_bar(self, t: int) -> float:
        """ᾱ of level t; a negative level is the one before the first (see `set_alpha_to_one`)."""
        if t < 0:
            return 1.0 if self.set_alpha_to_one else float(self.alphas_cumprod[0])
        return float(self.alphas_cumprod[t])

    def ddim_stride(self, steps: int) -> int:
        """Levels between two DDIM steps.

        Raises:
            ValueError: for fewer than one step, or more than fit below the last level.
        """
        if not 1 <= steps <= self.levels:
            raise ValueError(f"DDIM takes 1 to {self.levels} steps, got {steps}")
        stride = self.levels // steps
        if (steps - 1) * stride + self.steps_offset >= self.levels:
            raise ValueError(f"{steps} DDIM steps with offset {self.steps_offset} pass the last level: take fewer")
        return stride

    def ddim_timesteps(self, steps: int) -> list[int]:
        """Levels of DDIM, noisiest first: "leading" spacing, so the last level itself is never visited.

        Example:
            >>> NoiseSchedule().ddim_timesteps(4)
            [751, 501, 251, 1]
        """
        stride = self.ddim_stride(steps)
        return [i * stride + self.steps_offset for i in range(steps)][::-1]

    def dpmpp_timesteps(self, steps: int) -> list[int]:
        """Levels of DPM-Solver++, noisiest first: even spacing from the last level, the cleanest one left out.

        Raises:
            ValueError: for fewer than one step, or as many as there are levels.
        """
        if not 1 <= steps < self.levels:
            raise ValueError(f"DPM-Solver++ takes 1 to {self.levels - 1} steps, got {steps}")
        return [int(t) for t in np.linspace(0, self.levels - 1, steps + 1).round()[:0:-1]]

    def logsnr_timesteps(self, steps: int) -> list[int]:
        """Distinct levels from the last to the first, noisiest first, as even as they come in log SNR.

        Even spacing in time ends with a jump from a level of much noise to none, which returns the mean of what the
        data could be: a Gaussian of deviation 0.5 comes out of ten such steps with 0.36, out of these with 0.51.

        Raises:
            ValueError: for fewer than one step, or as many as there are levels.

        Example:
            >>> NoiseSchedule().logsnr_timesteps(5)
            [999, 768, 399, 40, 0]
        """
        if not 1 <= steps < self.levels:
            raise ValueError(f"DPM-Solver++ takes 1 to {self.levels - 1} steps, got {steps}")
        log_snr = np.log(self.alphas_cumprod) - np.log1p(-self.alphas_cumprod)
        wanted = np.linspace(log_snr[-1], log_snr[0], steps)[::-1]
        nearest = np.interp(-wanted, -log_snr, np.arange(self.levels)).round().astype(np.int64)
        # Many steps crowd at both ends, where neighbours would round to the same level: they are pushed apart.
        place = np.arange(steps)
        apart = np.maximum.accumulate(nearest - place) + place
        return [int(t) for t in np.minimum(apart, self.levels - steps + place)[::-1]]

    def add_noise(self, x0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor | int) -> torch.Tensor:
        """Take clean latents to level t.

        Args:
            x0: (B, C, T).
            noise: standard normal, the same shape.
            t: one level, or one per item (B,).
        """
        signal, spread = self._coefficients(t, x0)
        return signal * x0 + spread * noise

    def x0_from_epsilon(self, x: torch.Tensor, epsilon: torch.Tensor, t: torch.Tensor | int) -> torch.Tensor:
        """The clean latents that a noise prediction implies for x at level t."""
        signal, spread = self._coefficients(t, x)
        return (x - spread * epsilon) / signal

    def epsilon_from_x0(self, x: torch.Tensor, x0: torch.Tensor, t: torch.Tensor | int) -> torch.Tensor:
        """The noise that a clean prediction implies for x at level t."""
        signal, spread = self._coefficients(t, x)
        return (x - signal * x0) / spread

    def _coefficients(
        self, t: torch.Tensor | int, like: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor] | tuple[float, float]:
        """√ᾱ and √(1 − ᾱ): two numbers, or tensors that broadcast over the items of `like`."""
        if isinstance(t, int):
            alpha_bar = self.alpha_bar(t)
            return alpha_bar**0.5, (1.0 - alpha_bar) ** 0.5
        picked = torch.from_numpy(self.alphas_cumprod[t.detach().cpu().numpy()])
        picked = picked.reshape(-1, *[1] * (like.dim() - 1))
        return picked.sqrt().to(like), (1.0 - picked).sqrt().to(like)
