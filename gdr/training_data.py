"""What training reads: latent frames of tracks, and the text states of their captions without padding."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.errors import UserError

if TYPE_CHECKING:
    from bench.bundle.build import BuildContext

__all__ = [
    "CONDITIONS", "Batches", "GDRData", "TextStates", "caption_owners", "encode_pairs", "pooled_frames", "read_pairs",
]  # fmt: skip

CONDITIONS = ("tokens", "pooled")
"""What the network attends to: the states of all tokens, or the pooled vector as the only one."""
_CHUNK = 512
_AT_ONCE = 8
_STATES_VERSION = 1


@dataclass(frozen=True)
class TextStates:
    """Token states of n texts, one after another.

    Captions differ in length by a factor of ten, so padded to the longest they would take several times the memory;
    without padding they may also be a file that is mapped, not read.

    Args:
        flat: (sum of lengths, width), any float type.
        offsets: (n + 1,) int64; text i is rows offsets[i] to offsets[i + 1].

    Raises:
        ValueError: the offsets do not begin at 0, do not end at the number of rows, or leave a text without a token.
    """

    flat: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        lengths = np.diff(self.offsets)
        if len(self.offsets) < 1 or self.offsets[0] != 0 or self.offsets[-1] != len(self.flat):
            raise ValueError(f"offsets must run from 0 to {len(self.flat)}, the number of token states")
        if (lengths < 1).any():
            raise ValueError(f"{int((lengths < 1).sum())} texts have no token, the first is {int(lengths.argmin())}")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def width(self) -> int:
        """Dimensions of a token state."""
        return self.flat.shape[1]

    @classmethod
    def of_vectors(cls, vectors: np.ndarray) -> TextStates:
        """Texts of one state each: (n, width)."""
        return cls(vectors, np.arange(len(vectors) + 1))

    def batch(self, rows: np.ndarray, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Some texts, padded with zeros to the longest of them.

        Args:
            rows: (B,) indices of texts.

        Returns:
            States (B, L, width) float32 and mask (B, L) bool, true for a token.

        Example:
            >>> texts = TextStates(np.ones((3, 2), np.float16), np.array([0, 1, 3]))
            >>> texts.batch(np.array([0, 1]))[1].tolist()
            [[True, False], [True, True]]
        """
        starts = self.offsets[rows]
        lengths = self.offsets[np.asarray(rows) + 1] - starts
        mask = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
        states = np.zeros((*mask.shape, self.width), dtype=np.float32)
        for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            states[row, :length] = self.flat[start : start + length]
        return torch.from_numpy(states).to(device), torch.from_numpy(mask).to(device)


class Batches:
    """Rows of random batches whose texts are of similar length.

    Rows are drawn uniformly, for a few batches at once; these are sorted by length, cut, and given in random order. A
    batch is padded to its longest text, so this halves the tokens of captions as they are, and no row is likelier
    than another.

    Args:
        lengths: (n,) tokens of each text.
        size: rows of a batch.
    """

    def __init__(self, lengths: np.ndarray, size: int) -> None:
        self.lengths = lengths
        self.size = size
        self._ready: list[np.ndarray] = []

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """(size,) int64 rows, with repetition."""
        if not self._ready:
            rows = rng.integers(len(self.lengths), size=_AT_ONCE * self.size)
            rows = rows[np.argsort(self.lengths[rows], kind="stable")].reshape(_AT_ONCE, self.size)
            self._ready = list(rows[rng.permutation(_AT_ONCE)])
        return self._ready.pop()


class GDRData(NamedTuple):
    """Pairs of one split: frames (N, T, d), the text states of every caption, and the track that owns each caption."""

    frames: np.ndarray
    text: TextStates
    owner: np.ndarray


def caption_owners(captions: Sequence[Sequence[str]]) -> np.ndarray:
    """Index of the track of each caption, in flat order.

    >>> caption_owners([["a", "b"], ["c"]]).tolist()
    [0, 0, 1]
    """
    return np.repeat(np.arange(len(captions)), [len(group) for group in captions])


def pooled_frames(frames: np.ndarray) -> np.ndarray:
    """Time means (N, d) float32 of frames (N, T, d)."""
    return np.asarray(frames, dtype=np.float32).mean(1)


def encode_pairs(
    tower: Any, captions: Sequence[Sequence[str]], frames: np.ndarray, condition: str = "tokens"
) -> GDRData:
    """Text states (float16) of every caption of every track, with the frames they belong to.

    Args:
        tower: a text encoder.
        captions: of each track.
        frames: (N, T, d).
        condition: one of `CONDITIONS`.

    Raises:
        UserError: an unknown condition.
    """
    _check_condition(condition)
    states, pooled = _encode(tower, [text for group in captions for text in group])
    text = states if condition == "tokens" else TextStates.of_vectors(pooled)
    return GDRData(frames, text, caption_owners(captions))


def read_pairs(
    context: BuildContext, encoder: str, split: str, *, text: str | None = None, condition: str = "tokens"
) -> GDRData:
    """Pairs of a training split, from the files of parts made earlier.

    Args:
        context: the build.
        encoder: whose latent frames.
        split: such as `pc-train`.
        text: text encoder whose states an earlier part wrote; None encodes with the encoder's own text tower, once
            for all parts that ask.
        condition: one of `CONDITIONS`; `pooled` only with the encoder's own tower.

    Raises:
        UserError: an unknown condition, `pooled` states of another text encoder, which are not kept, or states of
            another number of captions.
    """
    from bench.bundle.parts import training_captions, training_frames

    _check_condition(condition)
    captions, frames = training_captions(context, split), training_frames(context, encoder, split)
    if text is None:
        states, pooled = _own_states(context, encoder, split, captions)
        chosen = states if condition == "tokens" else TextStates.of_vectors(pooled)
        return GDRData(frames, chosen, caption_owners(captions))
    if condition != "tokens":
        raise UserError(f"text {text!r} gives token states only; condition: {condition} needs the encoder's own tower")
    from bench.bundle.parts import load_text_states

    data = GDRData(frames, TextStates(*load_text_states(context, text, split)), caption_owners(captions))
    if len(data.text) != len(data.owner):
        raise UserError(f"{split}: {len(data.text)} texts of {text!r}, but {len(data.owner)} captions; make them again")
    return data


def _encode(tower: Any, texts: Sequence[str]) -> tuple[TextStates, np.ndarray]:
    """Token states and pooled vectors in float16, a few hundred texts of similar length at a time."""
    order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), row))
    states: list[np.ndarray] = [np.zeros(0)] * len(texts)
    pooled: list[np.ndarray] = [np.zeros(0)] * len(texts)
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        latents = tower.encode_text([texts[row] for row in rows])
        for at, row in enumerate(rows):
            states[row] = latents.tokens[at, latents.mask[at]].astype(np.float16)
            pooled[row] = latents.pooled[at].astype(np.float16)
    offsets = np.cumsum([0, *(len(each) for each in states)])
    return TextStates(np.concatenate(states), offsets), np.stack(pooled)


def _own_states(
    context: BuildContext, encoder: str, split: str, captions: Sequence[Sequence[str]]
) -> tuple[TextStates, np.ndarray]:
    """States of an encoder's own tower from the work folder, where the first part that needs them leaves them."""
    from bench.bundle import sha256_file
    from bench.bundle.parts import load_built_encoder
    from bench.encoders.mini import TOKENIZER_FILE

    files = [sha256_file(context.bundle_file(name)) for name in (f"{encoder}.safetensors", TOKENIZER_FILE)]
    key = hashlib.sha256(json.dumps([_STATES_VERSION, *files, captions]).encode()).hexdigest()
    flat_file, rest_file = (context.work_file(f"own-states-{encoder}-{split}.{end}") for end in ("npy", "npz"))
    if rest_file.exists() and flat_file.exists():
        with np.load(rest_file) as rest:
            if str(rest["key"]) == key:
                return TextStates(np.load(flat_file, mmap_mode="r"), rest["offsets"]), rest["pooled"]
    states, pooled = _encode(load_built_encoder(context, encoder), [text for group in captions for text in group])
    # What holds the key is written last: without it, whatever else is there counts for nothing.
    rest_file.unlink(missing_ok=True)
    _write(flat_file, lambda file: np.save(file, states.flat))
    _write(rest_file, lambda file: np.savez(file, key=np.array(key), offsets=states.offsets, pooled=pooled))
    return states, pooled


def _write(target: Path, save: Callable[[Any], None]) -> None:
    """Whole or not at all; other parts may be reading the file that is replaced."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    with part.open("wb") as file:
        save(file)
    part.replace(target)


def _check_condition(condition: str) -> None:
    if condition not in CONDITIONS:
        raise UserError(f"condition: unknown value {condition!r}; choose tokens or pooled")
