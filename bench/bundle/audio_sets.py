"""Bundle parts that need audio beyond the splits: twins, the true distribution of captions, mixtures of the dials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from bench.bundle.build import BuildContext
from bench.bundle.parts import load_built_encoder
from bench.datasets.gmcaps.corpus import Track
from bench.latent_storage import pack_rows

__all__ = ["given_file", "make_given", "make_mixes", "make_real_edits", "make_twins", "mixes_file", "twins_file"]

CHUNK = 32


def twins_file(encoder: str) -> str:
    """Bundle file of pooled twin latents: `rows` (n, d) float16, in the order of the table of twins."""
    return f"twins-{encoder}.safetensors"


def given_file(encoder: str) -> str:
    """Bundle file of the true distribution of captions: `rows` (captions, tracks, d) float16."""
    return f"given-{encoder}.safetensors"


def mixes_file(encoder: str) -> str:
    """Bundle file of mixtures of the dials: (n, d) of each `law-rendering`, packed by `bench.latent_storage`."""
    return f"mixes-{encoder}.safetensors"


def _mel_chunk(job: tuple[Sequence[Track], str | None]) -> np.ndarray:
    import torch

    from bench.datasets.gmcaps.corpus import compose_and_render
    from bench.encoders._mini_model import LogMel, MelConfig

    torch.set_num_threads(1)
    tracks, rendering = job
    waves = np.stack([compose_and_render(track, rendering=rendering) for track in tracks])
    with torch.inference_mode():
        return LogMel(MelConfig())(torch.from_numpy(waves)).numpy().astype(np.float16)


def _encode_tracks(
    context: BuildContext, tracks: Sequence[Track], encoders: Sequence[str], rendering: str | None = None
) -> dict[str, np.ndarray]:
    """Latent frames of tracks by encoder, (n, T, d) float32; rendered in parallel, encoded here, no audio is kept."""
    towers = {name: load_built_encoder(context, name) for name in encoders}
    jobs = [(tracks[i : i + CHUNK], rendering) for i in range(0, len(tracks), CHUNK)]
    frames: dict[str, list[np.ndarray]] = {name: [] for name in encoders}
    with ProcessPoolExecutor(context.threads, mp_context=get_context("spawn")) as pool:
        for done, mel in enumerate(pool.map(_mel_chunk, jobs), start=1):
            for name, tower in towers.items():
                frames[name].append(tower.encode_mel(mel))
            context.report(min(done * CHUNK, len(tracks)), len(tracks), "tracks")
    return {name: np.concatenate(parts) for name, parts in frames.items()}


def _save(context: BuildContext, file: str, arrays: dict[str, np.ndarray]) -> str:
    from safetensors.numpy import save_file

    save_file(
        {name: np.ascontiguousarray(a, dtype=np.float16) for name, a in arrays.items()}, context.bundle_file(file)
    )
    return file


def _save_packed(context: BuildContext, file: str, arrays: dict[str, np.ndarray]) -> str:
    from safetensors.numpy import save_file

    save_file(pack_rows(arrays), context.bundle_file(file))
    return file


def make_twins(
    context: BuildContext, *, dataset: str, split: str, prompts: str, encoders: list[str], limit: int | None = None
) -> dict[str, Any]:
    """Twins of every track that a negative could be tried on: the piece without what the negative forbids.

    A (track, negative) is left out where every caption of the track speaks of the negated attribute (such a pair is
    never asked) and where no single change of the truth does it.
    """
    import pandas as pd

    from bench import resources
    from bench.datasets.gmcaps import corpus
    from bench.datasets.gmcaps.twins import twin_without, where_key
    from bench.pairs import leaves_open, negated_mask
    from bench.prompts import load_prompts

    negatives = load_prompts(resources.suites_dir() / prompts).to_negatives()
    tracks = corpus.tracks(dataset, split)[:limit]
    truth = corpus.truth_frame(tracks)
    stated = [[caption.stated for caption in corpus.captions(track)] for track in tracks]
    made: dict[tuple[str, str], Track] = {}
    for negative in negatives:
        key = where_key(negative.where)
        for row in np.flatnonzero(negated_mask(negative, truth)):
            if (tracks[row].track_id, key) in made or not any(leaves_open(s, negative) for s in stated[row]):
                continue
            twin = twin_without(tracks[row], negative.where)
            if twin is not None:
                made[tracks[row].track_id, key] = twin
    distinct = {twin.track_id: twin for twin in made.values()}
    place = {name: row for row, name in enumerate(distinct)}
    table = pd.DataFrame(
        [(track, key, twin.track_id, place[twin.track_id]) for (track, key), twin in made.items()],
        columns=["track_id", "where", "twin_id", "row"],
    )
    name = f"twins-{dataset}-{split}.parquet"
    table.to_parquet(context.bundle_file(name), compression="zstd", index=False)
    frames = _encode_tracks(context, list(distinct.values()), encoders)
    files = [_save(context, twins_file(e), {"rows": frames[e].mean(1)}) for e in encoders]
    return {"files": [name, *files], "info": {"twins": len(distinct), "pairs": len(table)}}


def make_given(
    context: BuildContext, *, dataset: str, split: str, captions: int, tracks: int, encoders: list[str], seed: int = 0
) -> dict[str, Any]:
    """The true distribution of some captions: further tracks that satisfy each, under the domain's own law."""
    import pandas as pd

    from bench.datasets.gmcaps import corpus
    from bench.datasets.gmcaps.source import caption_frame

    frame = caption_frame(corpus.tracks(dataset, split))
    # Captions that state little have a broad truth, captions that state much a narrow one: both kinds are wanted.
    telling = frame[frame["stated"].map(lambda s: len(json.loads(s)) >= 1)]
    rows = np.sort(np.random.default_rng(seed).permutation(len(telling))[:captions])
    chosen = telling.iloc[rows].reset_index(drop=True)
    law = corpus.domain_named(dataset).law
    drawn = [
        track for number, stated in enumerate(chosen["stated"])
        for track in corpus.tracks_satisfying(json.loads(stated), law, tracks, seed=1000 * seed + number)
    ]  # fmt: skip
    name = f"given-{dataset}-{split}.parquet"
    pd.DataFrame(chosen[["caption_id", "track_id", "text", "stated"]]).to_parquet(
        context.bundle_file(name), compression="zstd", index=False
    )
    frames = _encode_tracks(context, drawn, encoders)
    files = [
        _save(context, given_file(e), {"rows": frames[e].mean(1).reshape(len(chosen), tracks, -1)}) for e in encoders
    ]
    return {"files": [name, *files], "info": {"captions": len(chosen), "tracks": len(drawn)}}


def make_mixes(
    context: BuildContext, *, laws: list[str], renderings: list[str], size: int, encoders: list[str]
) -> dict[str, Any]:
    """Latents of every combination of attribute law and rendering; the pieces of one law are the same throughout."""
    from bench.datasets.gmcaps import corpus

    pooled: dict[str, dict[str, np.ndarray]] = {name: {} for name in encoders}
    for law in laws:
        for rendering in renderings:
            domain = corpus.mix(law=law, rendering=rendering, style=None, size=size)
            frames = _encode_tracks(context, corpus.tracks(domain, "test"), encoders)
            for name in encoders:
                pooled[name][f"{law}-{rendering}"] = frames[name].mean(1)
    files = [_save_packed(context, mixes_file(name), pooled[name]) for name in encoders]
    return {"files": files, "info": {"sets": [f"{a}-{b}" for a in laws for b in renderings], "size": size}}


def make_real_edits(
    context: BuildContext, *, dataset: str, split: str, instruments: list[str], per_instrument: int, frames: int,
    encoders: list[str], seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Edits of real tracks: "this track, but with a flute"; each with its exact twin, which has the instrument."""
    import pandas as pd

    from bench.datasets.gmcaps import corpus
    from bench.datasets.gmcaps.twins import twin_with
    from bench.datasets.predicates import Predicate

    tracks = corpus.tracks(dataset, split)
    rng = np.random.default_rng(seed)
    pool = rng.permutation(len(tracks))[: max(1, len(tracks) // 4)]
    originals: dict[str, Track] = {}
    twins: list[Track] = []
    rows: list[tuple[str, str, str, int]] = []
    for instrument in instruments:
        where = (Predicate("instrument", in_=(instrument,)),)
        for place in rng.permutation(pool):
            if sum(row[1] == instrument for row in rows) == per_instrument:
                break
            twin = twin_with(tracks[place], where)
            if twin is None:
                continue
            originals.setdefault(tracks[place].track_id, tracks[place])
            rows.append((tracks[place].track_id, instrument, twin.track_id, len(twins)))
            twins.append(twin)
    name = f"edits-{dataset}-{split}.parquet"
    place_of = {track_id: at for at, track_id in enumerate(originals)}
    table = pd.DataFrame(rows, columns=["track_id", "instrument", "twin_id", "row"])
    table["original"] = table["track_id"].map(place_of)
    table.to_parquet(context.bundle_file(name), compression="zstd", index=False)
    encoded = _encode_tracks(context, twins, encoders)
    source = _encode_tracks(context, list(originals.values()), encoders)
    files = [
        _save(context, f"edits-{e}.safetensors", {"twins": encoded[e].mean(1), "frames": source[e][:, :frames]})
        for e in encoders
    ]
    return {"files": [name, *files], "info": {"edits": len(table), "originals": len(originals)}}
