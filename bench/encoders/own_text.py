"""The text tower of a mini encoder with weights of the user's own, from a folder: what a candidate is tested as."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import bundle
from bench.encoders.mini import TOKENIZER_FILE, MiniEncoder
from bench.errors import UserError
from bench.protocols import TextLatents

if TYPE_CHECKING:
    import torch

__all__ = ["OwnText"]


class OwnText(MiniEncoder):
    """Texts by a tower from `FOLDER/NAME.safetensors`, in the space of the bundle's encoder NAME.

    The file has the form of the bundle's own: tensors `text.…`, of any float type. It may hold the audio tower beside
    them, as a whole encoder does; then it must be the bundle's, since the gallery was encoded by that one.
    `FOLDER/tokenizer.json` is read where it is there, else the bundle's tokenizer.

    Args:
        name: the bundle's encoder, such as `mini-clap`.
        folder: where the weights are; a path relative to the working directory.

    Raises:
        UserError: there is no such folder, or no such file in it.
    """

    def __init__(self, name: str, folder: str | Path) -> None:
        given = Path(folder).expanduser()
        if not given.is_dir():
            raise UserError(
                f"weights {str(folder)!r}: no such folder (paths are relative to the working directory); name the "
                f"folder that holds {name}.safetensors"
            )
        self.file = given / f"{name}.safetensors"
        if not self.file.is_file():
            held = ", ".join(sorted(file.name for file in given.glob("*.safetensors"))) or "no *.safetensors"
            raise UserError(f"{self.file}: no such file (the folder holds {held}); save the weights under this name")
        own = given / TOKENIZER_FILE
        super().__init__(name, tokenizer=own if own.is_file() else None)

    def bundle_files(self) -> tuple[str, ...]:
        """The tokenizer, unless the folder has one; the audio tower is the space's."""
        return (TOKENIZER_FILE,) if self._tokenizer is None else ()

    @cached_property
    def _sha256(self) -> str:
        return bundle.sha256_file(self.file)

    def digest(self) -> str:
        """Digest of the weights, the tokenizer and the version, whatever the folder is called; loads nothing."""
        tokenizer = bundle.digest(TOKENIZER_FILE) if self._tokenizer is None else bundle.sha256_file(self._tokenizer)
        said = f"own text {self.name} v{self.version} weights={self._sha256} tokenizer={tokenizer}"
        return hashlib.sha256(said.encode()).hexdigest()

    def encode_text(self, texts: Sequence[str], batch_size: int = 256) -> TextLatents:
        """As of the bundle's encoder.

        Raises:
            UserError: weights that do not fit, or that lead to no vector: zero, or not finite.
        """
        latents = super().encode_text(texts, batch_size)
        lost = np.flatnonzero(~(np.linalg.norm(latents.pooled, axis=1) > 0.5))  # unit length, zero or NaN
        if len(lost):
            raise UserError(
                f"{self.file}: its text tower gives no vector (zero or NaN) for {len(lost)} of {len(texts)} texts, the "
                f"first is {texts[lost[0]]!r}; look at the weights, some are zero or far too large"
            )
        return latents

    def _tower_state(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors of the text tower from the folder, checked; those of the audio tower from the bundle."""
        bundled = super()._tower_state(prefix)
        if prefix != "text.":
            return bundled
        state = self._read()
        found = {name.removeprefix(prefix): value.float() for name, value in state.items() if name.startswith(prefix)}
        self._check_names(found, bundled)
        self._check_audio(state)
        return found

    def _read(self) -> dict[str, torch.Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load

        data = self.file.read_bytes()
        if hashlib.sha256(data).hexdigest() != self._sha256:
            raise UserError(f"{self.file}: changed while it was in use; run again when nothing writes to it")
        try:
            return load(data)
        except SafetensorError as error:
            raise UserError(f"{self.file}: is not a safetensors file ({error}); save the weights again") from error

    def _check_names(self, found: dict[str, torch.Tensor], bundled: dict[str, torch.Tensor]) -> None:
        """The tower has the tensors of the bundle's, in its shapes, and finite."""
        missing, more = sorted(bundled.keys() - found.keys()), sorted(found.keys() - bundled.keys())
        for names, what in ((missing, "lacks"), (more, "has unknown")):
            if names:
                raise UserError(
                    f"{self.file}: {what} {len(names)} tensors of the text tower (the first is 'text.{names[0]}'); it "
                    f"must have those of {bundle.directory() / self.weights_file}"
                )
        for name, value in found.items():
            if value.shape != bundled[name].shape:
                shapes = f"{tuple(value.shape)}, {self.name} has {tuple(bundled[name].shape)}"
                raise UserError(
                    f"{self.file}: tensor 'text.{name}' has shape {shapes}; give weights of its architecture"
                )
            if not value.isfinite().all():
                raise UserError(
                    f"{self.file}: tensor 'text.{name}' holds NaN or infinity; the training diverged, or values went "
                    "beyond the range of float16"
                )

    def _check_audio(self, state: dict[str, torch.Tensor]) -> None:
        """An audio tower in the file is the bundle's: another one would need a gallery of its own."""
        own = {name.removeprefix("audio."): value for name, value in state.items() if name.startswith("audio.")}
        if not own:
            return
        bundled = super()._tower_state("audio.")
        changed = sorted(
            name for name in own.keys() | bundled.keys()
            if name not in own or name not in bundled or own[name].shape != bundled[name].shape
            or not bool((own[name].to(bundled[name].dtype) == bundled[name]).all())
        )  # fmt: skip
        if changed:
            raise UserError(
                f"{self.file}: its audio tower is not that of {self.name} ({len(changed)} tensors differ, the first is "
                f"'audio.{changed[0]}'), but the gallery was encoded by that one; give the text tower alone, or one "
                "that was trained with the audio tower frozen"
            )
