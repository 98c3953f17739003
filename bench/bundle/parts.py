"""Makers of the bundle's parts: rendered audio as log-mels, truth and captions, tokenizer, encoders, latents, texts."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bench.bundle.build import BuildContext
from bench.errors import UserError

__all__ = [
    "frames_file", "load_built_encoder", "load_text_states", "make_audio_encoder", "make_data", "make_encoder",
    "make_latents", "make_mel", "make_text_states", "make_tokenizer", "mel_file", "text_states_file",
    "training_captions", "training_frames",
]  # fmt: skip

CHUNK = 50
TEXTS_AT_ONCE = 512


def mel_file(split: str) -> str:
    """Work file with the log-mels of a split such as `pc-train`: (N, 64, frames) float16."""
    return f"mel-{split}.npy"


def frames_file(encoder: str, split: str) -> str:
    """Work file with the latent frames of a training split: (N, T, d) float16."""
    return f"frames-{encoder}-{split}.npy"


def text_states_file(encoder: str, split: str) -> tuple[str, str]:
    """Work files with the token states of a split's captions: (sum of lengths, width) float16, and (n + 1,) offsets."""
    return f"text-{encoder}-{split}.npy", f"text-{encoder}-{split}-offsets.npy"


def training_captions(context: BuildContext, split: str) -> list[list[str]]:
    """The captions of each training track, as the part `data` wrote them."""
    return json.loads(context.work_file(f"captions-{split}.json").read_text())


# --- audio ------------------------------------------------------------------------------------------------------------


def _render_chunk(job: tuple[str, str, int, int]) -> tuple[int, np.ndarray]:
    import torch

    from bench.datasets.gmcaps.corpus import compose_and_render, track
    from bench.encoders._mini_model import LogMel, MelConfig

    torch.set_num_threads(1)
    domain, split, start, stop = job
    config = MelConfig()
    waves = np.stack([compose_and_render(track(domain, split, i)) for i in range(start, stop)])
    with torch.inference_mode():
        return start, LogMel(config)(torch.from_numpy(waves)).numpy().astype(np.float16)


def make_mel(context: BuildContext, *, dataset: str, split: str, limit: int | None = None) -> dict[str, Any]:
    """Render every track of a split (or the first `limit`) and keep its log-mel."""
    from bench.datasets.gmcaps.corpus import DOMAINS

    total = min(limit or DOMAINS[dataset].sizes[split], DOMAINS[dataset].sizes[split])
    jobs = [(dataset, split, i, min(i + CHUNK, total)) for i in range(0, total, CHUNK)]
    file = mel_file(f"{dataset}-{split}")
    mels: np.ndarray | None = None
    with ProcessPoolExecutor(context.threads, mp_context=get_context("spawn")) as pool:
        done = 0
        for start, mel in pool.map(_render_chunk, jobs):
            if mels is None:
                mels = np.empty((total, *mel.shape[1:]), dtype=np.float16)
            mels[start : start + len(mel)] = mel
            done += len(mel)
            context.report(done, total, "clips")
    assert mels is not None
    np.save(context.work_file(file), mels)
    return {"work_files": [file], "info": {"clips": total, "mel": list(mels.shape[1:])}}


# --- truth and captions -----------------------------------------------------------------------------------------------


def make_data(
    context: BuildContext,
    *,
    evaluation: list[str],
    training: list[str],
    captions_per_track: int,
    limit: int | None = None,
) -> dict[str, Any]:
    """Truth and captions: Parquet in the bundle for evaluation splits, JSON in the work folder for training splits."""
    from bench.datasets.gmcaps import corpus
    from bench.datasets.gmcaps.source import caption_frame

    files, work_files, counts = [], [], {}
    for at, name in enumerate(evaluation):
        tracks = corpus.tracks(*name.split("-"))[:limit]
        for kind, frame in (("truth", corpus.truth_frame(tracks)), ("captions", caption_frame(tracks))):
            file = f"{kind}-{name}.parquet"
            frame.to_parquet(context.bundle_file(file), compression="zstd", index=False)
            files.append(file)
            counts[f"{kind} {name}"] = len(frame)
        context.report(at + 1, len(evaluation) + len(training), name)
    for at, name in enumerate(training):
        tracks = corpus.tracks(*name.split("-"))[:limit]
        texts = [[corpus.captions(t, variant=v)[0].text for v in range(captions_per_track)] for t in tracks]
        file = f"captions-{name}.json"
        context.work_file(file).write_text(json.dumps(texts))
        work_files.append(file)
        context.report(len(evaluation) + at + 1, len(evaluation) + len(training), name)
    return {"files": files, "work_files": work_files, "info": counts}


def make_tokenizer(context: BuildContext, *, captions: list[str], vocabulary: int) -> dict[str, Any]:
    """One byte-level BPE, on training captions only."""
    from bench.encoders.mini import TOKENIZER_FILE
    from bench.encoders.mini_training import train_tokenizer

    texts = [text for split in captions for group in training_captions(context, split) for text in group]
    train_tokenizer(texts, context.bundle_file(TOKENIZER_FILE), vocabulary)
    context.report(1, 1, f"{len(texts)} captions")
    return {"files": [TOKENIZER_FILE], "info": {"captions": len(texts)}}


# --- encoders and latents ---------------------------------------------------------------------------------------------


def make_encoder(context: BuildContext, *, train: str, config: dict[str, Any]) -> dict[str, Any]:
    """Train a mini encoder on one domain; the part's name is the encoder's."""
    from safetensors.torch import save_file

    from bench.encoders.mini import TOKENIZER_FILE
    from bench.encoders.mini_training import ContrastiveConfig, train_contrastive

    mel = np.load(context.work_file(mel_file(train)), mmap_mode="r")
    captions = training_captions(context, train)
    losses: list[str] = []

    def report(step: int, steps: int, text: str) -> None:
        losses[:] = [text]
        context.report(step, steps, text)

    state = train_contrastive(
        mel, captions, context.bundle_file(TOKENIZER_FILE), ContrastiveConfig(**config), report, context.device
    )
    file = f"{context.part}.safetensors"
    save_file(state, context.bundle_file(file))
    return {"files": [file], "info": {"last": losses[-1] if losses else ""}}


def make_audio_encoder(context: BuildContext, *, train: str, config: dict[str, Any]) -> dict[str, Any]:
    """Train a mini encoder on the audio of one domain alone; the part's name is the encoder's."""
    from safetensors.torch import save_file

    from bench.encoders.mule_training import AudioContrastiveConfig, train_audio_contrastive

    mel = np.load(context.work_file(mel_file(train)), mmap_mode="r")
    losses: list[str] = []

    def report(step: int, steps: int, text: str) -> None:
        losses[:] = [text]
        context.report(step, steps, text)

    state = train_audio_contrastive(mel, AudioContrastiveConfig(**config), report, context.device)
    file = f"{context.part}.safetensors"
    save_file(state, context.bundle_file(file))
    return {"files": [file], "info": {"last": losses[-1] if losses else ""}}


def training_frames(context: BuildContext, encoder: str, split: str) -> np.ndarray:
    """Latent frames of a training split: (N, T, d) float16."""
    return np.load(context.work_file(frames_file(encoder, split)))


def load_built_encoder(context: BuildContext, name: str) -> Any:
    """A mini encoder read from the folder being built, not from the installed bundle; audio alone where it is so."""
    from safetensors import safe_open

    from bench.encoders.mini import TOKENIZER_FILE, MiniAudio, MiniEncoder

    weights = context.bundle_file(f"{name}.safetensors")
    with safe_open(weights, framework="np") as stored:
        has_text = any(tensor.startswith("text.") for tensor in stored.keys())  # noqa: SIM118 (not a mapping)
    return MiniEncoder(name, weights, context.bundle_file(TOKENIZER_FILE)) if has_text else MiniAudio(name, weights)


def make_latents(context: BuildContext, *, encoder: str, gallery: list[str], training: list[str]) -> dict[str, Any]:
    """Encode all splits: pooled gallery latents and probes into the bundle, training frames into the work folder."""
    from safetensors.numpy import save_file

    from bench.bundle.probes import probe_space
    from bench.latent_storage import pack_rows

    loaded = load_built_encoder(context, encoder)
    pooled: dict[str, np.ndarray] = {}
    work_files = []
    splits = [*training, *gallery]
    for at, split in enumerate(splits):
        mel = np.load(context.work_file(mel_file(split)), mmap_mode="r")
        frames = np.concatenate([loaded.encode_mel(np.asarray(mel[i : i + 128])) for i in range(0, len(mel), 128)])
        pooled[split] = frames.mean(1)
        if split in training:
            file = frames_file(encoder, split)
            np.save(context.work_file(file), frames.astype(np.float16))
            work_files.append(file)
        context.report(at + 1, len(splits), split)
    latents, space = f"latents-{encoder}.safetensors", f"space-{encoder}.json"
    # Eight bits suffice to search, and half the room; what is trained on latents reads the frames.
    save_file(pack_rows({split: pooled[split] for split in gallery}), context.bundle_file(latents))
    probes = probe_space(pooled)
    context.bundle_file(space).write_text(json.dumps(probes, indent=1, sort_keys=True) + "\n")
    return {"files": [latents, space], "work_files": work_files, "info": {"probes": probes["probes"]["pc"]}}


# --- texts for training -----------------------------------------------------------------------------------------------


def make_text_states(context: BuildContext, *, text: str, captions: list[str]) -> dict[str, Any]:
    """Token states of every training caption by a registered text encoder, into the work folder.

    Captions are taken track after track, as `training_captions` gives them. Several trainings map the same files.

    Raises:
        UserError: the encoder has no text tower.
    """
    from bench import registry

    tower = registry.encoders.get(text)()
    if not hasattr(tower, "encode_text"):
        raise UserError(f"{context.part}: {text} has no text tower")
    texts = {split: [one for group in training_captions(context, split) for one in group] for split in captions}
    total = sum(len(of_split) for of_split in texts.values())
    files, counts, done = [], {}, 0
    for split, of_split in texts.items():
        chunks, lengths = [], [0]
        for start in range(0, len(of_split), TEXTS_AT_ONCE):
            latents = tower.encode_text(of_split[start : start + TEXTS_AT_ONCE])
            chunks.append(latents.tokens[latents.mask].astype(np.float16))
            lengths.extend(latents.mask.sum(1).tolist())
            done += len(latents.mask)
            context.report(done, total, split)
        flat_file, offsets_file = text_states_file(text, split)
        _save_rows(context.work_file(flat_file), chunks)
        np.save(context.work_file(offsets_file), np.cumsum(lengths, dtype=np.int64))
        files += [flat_file, offsets_file]
        counts[split] = {"captions": len(of_split), "tokens": sum(lengths)}
    return {"work_files": files, "info": {"digest": tower.digest(), "splits": counts}}


def load_text_states(context: BuildContext, encoder: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Token states that `make_text_states` wrote, mapped rather than read.

    Args:
        context: the build.
        encoder: name of the text encoder, such as `minilm`.
        split: such as `pc-train`.

    Returns:
        States (sum of lengths, width) float16 and offsets (n + 1,) int64: caption i, counted track after track, is
        rows offsets[i] to offsets[i + 1].

    Raises:
        UserError: the files are not there, or do not belong together.
    """
    flat_file, offsets_file = (context.work_file(name) for name in text_states_file(encoder, split))
    if not (flat_file.exists() and offsets_file.exists()):
        raise UserError(
            f"{flat_file}: no text states of {encoder} for {split}; name the part that makes them "
            f"(make_text_states) under `needs` of {context.part}"
        )
    flat, offsets = np.load(flat_file, mmap_mode="r"), np.load(offsets_file)
    if offsets[-1] != len(flat):
        raise UserError(
            f"{flat_file}: {len(flat)} token states, but the offsets end at {offsets[-1]}; delete both files"
        )
    return flat, offsets


def _save_rows(file: Path, chunks: list[np.ndarray]) -> None:
    """Write the rows of all chunks as one array, without a second copy of them in memory; replaces the file at once."""
    rows = sum(len(chunk) for chunk in chunks)
    partial = file.with_name(f".{file.name}.{os.getpid()}.npy")
    with partial.open("wb") as handle:
        np.lib.format.write_array_header_1_0(
            handle, {"descr": chunks[0].dtype.str, "fortran_order": False, "shape": (rows, *chunks[0].shape[1:])}
        )
        for chunk in chunks:
            handle.write(np.ascontiguousarray(chunk).data)
    partial.replace(file)
