"""The paper's system: a diffusion model that generates query latents from text."""
