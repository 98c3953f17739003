"""Mini encoders of the embedded default: `mini-clap` (trained on WEB) and `mini-muscall` (trained on PC)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import bundle
from bench.protocols import TextLatents

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from bench.encoders._mini_model import AudioTower, LogMel, TextTower

__all__ = ["MiniAudio", "MiniClap", "MiniEncoder", "MiniMuscall", "load_tokenizer"]

TOKENIZER_FILE = "tokenizer.json"


def load_tokenizer(path: Path, max_length: int) -> Tokenizer:
    """The byte-level BPE shared by all mini text encoders, cutting texts at `max_length` tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length)
    return tokenizer


class MiniAudio:
    """A small audio tower alone, read from the bundle: 16 kHz mono waves -> unit-norm frames at 1 Hz, d = 128.

    Args:
        name: name of the encoder; `NAME.safetensors` is its file in the bundle.
        weights: file to read instead of the bundle's.
    """

    version = 1
    sample_rate = 16000
    frame_rate = 1.0
    dim = 128

    def __init__(self, name: str, weights: Path | None = None) -> None:
        self.name = name
        self.weights_file = f"{name}.safetensors"
        self._weights = weights

    def bundle_files(self) -> tuple[str, ...]:
        """Bundle files that must be present and whole for this encoder to load."""
        return (self.weights_file,)

    def digest(self) -> str:
        """Digest of the bundle files, from the manifest: loads nothing."""
        return bundle.combined_digest(self.bundle_files())

    def _tower_state(self, prefix: str) -> dict[str, torch.Tensor]:
        from safetensors.torch import load_file

        return _strip(load_file(self._weights or bundle.path(self.weights_file)), prefix)

    @cached_property
    def _audio(self) -> tuple[LogMel, AudioTower]:
        from bench.encoders._mini_model import AudioTower, LogMel, MelConfig

        tower = AudioTower(self.dim)
        tower.load_state_dict(self._tower_state("audio."))
        return LogMel(MelConfig()).eval(), tower.eval()

    def encode_audio(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Latent frames of each wave.

        Args:
            waves: mono float32 waves at 16 kHz, each at least one second long; lengths may differ.

        Returns:
            One (T, 128) float32 array of unit-norm frames a wave, T = whole seconds.

        Raises:
            ValueError: a wave is shorter than a second.
        """
        import torch

        log_mel, _ = self._audio
        out = []
        for wave in waves:
            seconds = len(wave) // self.sample_rate
            if seconds < 1:
                raise ValueError(f"a wave of {len(wave)} samples is shorter than one second at {self.sample_rate} Hz")
            with torch.inference_mode():
                samples = torch.from_numpy(np.ascontiguousarray(wave[: seconds * self.sample_rate], dtype=np.float32))
                mel = log_mel(samples[None])
            out.append(self.encode_mel(mel.numpy())[0])
        return out

    def encode_mel(self, mel: np.ndarray) -> np.ndarray:
        """Frames of a batch of equally long log-mels: (B, 64, 32·T) -> (B, T, 128) float32."""
        import torch

        with torch.inference_mode():
            return self._audio[1](torch.from_numpy(mel).float()).numpy()


class MiniEncoder(MiniAudio):
    """A contrastive pair of small towers in one d=128 space, read from the bundle.

    Audio: 16 kHz mono waves -> unit-norm frames at 1 Hz. Text: captions -> token states and a unit vector.
    """

    token_dim = 256

    def __init__(self, name: str, weights: Path | None = None, tokenizer: Path | None = None) -> None:
        super().__init__(name, weights)
        self._tokenizer = tokenizer

    def bundle_files(self) -> tuple[str, ...]:
        """Bundle files that must be present and whole for this encoder to load."""
        return (self.weights_file, TOKENIZER_FILE)

    def with_text_of(self, folder: str) -> MiniEncoder:
        """The same encoder with a text tower of the user's own.

        Raises:
            UserError: the folder has no weights of this encoder (see `OwnText`).
        """
        from bench.encoders.own_text import OwnText

        return OwnText(self.name, folder)

    @cached_property
    def _text(self) -> tuple[TextTower, Tokenizer]:
        from bench.encoders._mini_model import TextTower, TextTowerConfig

        tower = TextTower(TextTowerConfig())
        tower.load_state_dict(self._tower_state("text."))
        tokenizer = load_tokenizer(self._tokenizer or bundle.path(TOKENIZER_FILE), tower.config.max_length)
        return tower.eval(), tokenizer

    def encode_text(self, texts: Sequence[str], batch_size: int = 256) -> TextLatents:
        """Token states and pooled unit vectors of texts; equal texts give equal rows whatever the batch.

        A token's state is the last layer's output beside the token's own embedding at unit RMS. A text tower trained
        from nothing on one domain all but forgets the words of another; the embedding keeps which word it was, as a
        pretrained tower (RoBERTa in CLAP) does for any word.

        Every text is padded to the longest of the whole call; padding is masked, so it changes nothing.
        """
        import torch

        tower, tokenizer = self._text
        encodings = tokenizer.encode_batch(list(texts))
        longest = max((len(e.ids) for e in encodings), default=1)
        ids = np.zeros((len(encodings), longest), dtype=np.int64)
        mask = np.zeros((len(encodings), longest), dtype=bool)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = True
        tokens = np.zeros((*mask.shape, self.token_dim), dtype=np.float32)
        pooled = np.zeros((len(encodings), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for rows in _batches(len(encodings), batch_size):
                batch = torch.from_numpy(ids[rows])
                states, vectors = tower(batch, torch.from_numpy(mask[rows]))
                words = tower.token(batch)
                words = words * words.square().mean(-1, keepdim=True).rsqrt()
                tokens[rows], pooled[rows] = torch.cat([states, words], dim=-1).numpy(), vectors.numpy()
        return TextLatents(tokens=tokens, mask=mask, pooled=pooled)


class MiniClap(MiniEncoder):
    """Small contrastive audio and text encoder trained on WEB, in the role of CLAP."""

    def __init__(self, weights: Path | None = None, tokenizer: Path | None = None) -> None:
        super().__init__("mini-clap", weights, tokenizer)


class MiniMuscall(MiniEncoder):
    """Small contrastive audio and text encoder trained on PC, in the role of MusCALL."""

    def __init__(self, weights: Path | None = None, tokenizer: Path | None = None) -> None:
        super().__init__("mini-muscall", weights, tokenizer)


def _strip(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if name.startswith(prefix)
    }


def _batches(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
