"""The teacher's text tower tuned on the pairs of another domain: adaptation without generation (PROTOCOL.md 3)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench import bundle
from bench.encoders.mini import TOKENIZER_FILE, MiniEncoder
from bench.protocols import Sampling, Space

if TYPE_CHECKING:
    import torch

    from bench.bundle.build import BuildContext
    from bench.encoders._mini_model import TextTower
    from gdr.fitting import Fitted, Report, TrainConfig

__all__ = ["Tuned", "TunedTower", "make_part", "tune"]


class _TunedText(MiniEncoder):
    """The text side of a mini encoder, from a file of weights that holds nothing else."""

    def __init__(self, name: str, weights: Path, tokenizer: Path) -> None:
        super().__init__(name, weights, tokenizer)
        self._file = weights

    def _tower_state(self, prefix: str) -> dict[str, torch.Tensor]:
        from gdr.storage import load_weights

        state, _ = load_weights(self._file)
        return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


class TunedTower:
    """Tuned teacher: its text tower, trained further on the same pairs as GDR with its audio tower frozen.

    Args:
        space: the latent space of the teacher.
        weights: bundle part, such as `tuned-tower-clap`.
    """

    name = "tuned-tower"
    version = 1
    deterministic = True

    def __init__(self, space: Space, weights: str) -> None:
        self.space = space
        self.weights = weights

    def bundle_files(self) -> tuple[str, ...]:
        return (f"{self.weights}.safetensors", TOKENIZER_FILE)

    def digest(self) -> str:
        """Digest of the weights and of the tokenizer; loads nothing."""
        return bundle.combined_digest(self.bundle_files())

    @cached_property
    def _text(self) -> MiniEncoder:
        return _TunedText(self.weights, *(bundle.path(name) for name in self.bundle_files()))

    def query(self, prompts: Sequence[str], sampling: Sampling) -> np.ndarray:
        """Text vectors of the tuned tower: (P, 1, d) float32, unit norm. `sampling` plays no part."""
        return self._text.encode_text(prompts).pooled[:, None, :]


def pooled(tower: TextTower, ids: torch.Tensor, mask: torch.Tensor, groups: int = 4) -> torch.Tensor:
    """Pooled vectors of padded texts, in groups of similar length that are cut to their longest: (B, d).

    What is cut is masked, so it only takes time.
    """
    import torch

    lengths = mask.sum(1)
    order = lengths.argsort(stable=True)
    parts = [tower(ids[rows, : int(lengths[rows].max())], mask[rows, : int(lengths[rows].max())])[1]
             for rows in order.chunk(groups)]  # fmt: skip
    return torch.cat(parts)[order.argsort()]


class Tuned(NamedTuple):
    """A tuned tower (in evaluation mode, with the best averaged weights) and how it came about."""

    tower: TextTower
    fitted: Fitted
    """Its validation figure is 1 − mean reciprocal rank."""
    judge: Any
    """The same figure of the tower as it stands."""


def tune(
    tower: TextTower,
    captions: Sequence[Sequence[str]],
    audio: np.ndarray,
    validation: tuple[Sequence[str], np.ndarray],
    tokenizer: Path,
    config: TrainConfig,
    report: Report | None = None,
    device: str = "cpu",
) -> Tuned:
    """Train a text tower further with InfoNCE against audio latents that stay as they are.

    Args:
        tower: changed in place.
        captions: one or more of each training track; a batch draws one of each of its tracks.
        audio: (N, d) pooled latents of the training tracks.
        validation: one caption a track, and the tracks' latents (M, d).
        tokenizer: the BPE file.
        config: hyper-parameters; `text_dropout` and `latent_norm` have no use here.
        report: called with (step, steps, message).
        device: torch device; the tower comes back on the CPU.
    """
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    from baselines.validation import validation_mrr
    from bench.encoders.mini_training import CaptionIds, info_nce
    from gdr.fitting import fit

    torch.manual_seed(config.seed)
    length = tower.config.max_length
    pairs = CaptionIds(captions, tokenizer, length)
    texts, tracks = validation
    held_out = CaptionIds([[text] for text in texts], tokenizer, length)
    target = F.normalize(torch.from_numpy(np.asarray(audio, dtype=np.float32)), dim=-1).to(device)
    # The temperature that the teacher's training starts from; it is learned, as there.
    heat = nn.ParameterDict({"log_scale": nn.Parameter(torch.tensor(math.log(1 / 0.07)))})
    whole = nn.ModuleDict({"tower": tower, "temperature": heat}).to(device)

    def batch_loss(rng: np.random.Generator) -> Tensor:
        # A track that is twice in a batch would be its own wrong answer.
        rows = rng.choice(len(target), size=min(config.batch_size, len(target)), replace=False)
        ids, mask = (each.to(device) for each in pairs.batch(rows, rng))
        return info_nce(target[rows], pooled(tower, ids, mask), heat["log_scale"].clamp(max=math.log(100.0)).exp())

    @torch.no_grad()
    def judge() -> float:
        place = next(tower.parameters()).device
        rng = np.random.default_rng(0)
        vectors = []
        for start in range(0, len(texts), 256):
            ids, mask = held_out.batch(np.arange(start, min(start + 256, len(texts))), rng)
            vectors.append(pooled(tower, ids.to(place), mask.to(place)).cpu().numpy())
        return 1.0 - validation_mrr(np.concatenate(vectors), tracks, np.arange(len(texts)))

    fitted = fit(whole, batch_loss, judge, config, report)
    whole.cpu()
    return Tuned(tower, fitted, judge)


def make_part(
    context: BuildContext, *, encoder: str, train: str, validation: str, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Bundle part: the text tower of an encoder, tuned on the pairs of another domain.

    Args:
        context: the build.
        encoder: the teacher; its audio tower's latents are the targets.
        train, validation: splits.
        config: keys of `TrainConfig`.
    """
    from bench.bundle.parts import load_built_encoder, training_captions, training_frames
    from gdr.fitting import TrainConfig
    from gdr.storage import load_weights, save_weights
    from gdr.training_data import pooled_frames

    settings = TrainConfig(**config)
    tower, _ = load_built_encoder(context, encoder)._text
    captions, held_out = (training_captions(context, split) for split in (train, validation))
    audio, held_out_audio = (pooled_frames(training_frames(context, encoder, split)) for split in (train, validation))
    start = time.monotonic()
    tuned = tune(
        tower, captions, audio, ([group[0] for group in held_out], held_out_audio),
        context.bundle_file(TOKENIZER_FILE), settings, context.report, context.device,
    )  # fmt: skip
    seconds = time.monotonic() - start
    file = f"{context.part}.safetensors"
    state = {f"text.{name}": value for name, value in tuned.tower.state_dict().items()}
    save_weights(context.bundle_file(file), state, {"teacher": encoder})
    trained = tuned.judge()
    stored, _ = load_weights(context.bundle_file(file))
    tuned.tower.load_state_dict({name.removeprefix("text."): value for name, value in stored.items()})
    info = {
        "parameters": sum(p.numel() for p in tuned.tower.parameters()),
        "best_step": tuned.fitted.best_step,
        "steps": tuned.fitted.history[-1][0],
        "validation_mrr": round(1 - trained, 4),
        "validation_mrr_stored": round(1 - tuned.judge(), 4),
        "seconds_training": round(seconds, 1),
        "config": asdict(settings),
    }
    return {"files": [file], "info": info}
