"""GMCaps with its three dials of domain shift set one by one: attribute law, rendering, caption style (PROTOCOL.md 1).

The latents are in the bundle (`mixes-ENCODER.safetensors`); truth and captions follow from the tracks' numbers alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench import registry
from bench.datasets.gmcaps.source import caption_frame, check_tracks
from bench.errors import UserError
from bench.protocols import Dataset

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LAWS", "RENDERINGS", "SIZE", "Mix"]

#: What the bundle has latents of, as its part `mixes` was made.
LAWS = ("pc", "sd")
RENDERINGS = ("pc", "sd")
SIZE = 706


class Mix:
    """GMCaps with any law, rendering and caption style of PC and SD: 706 tracks of 16 s with one caption each."""

    version = 1

    def __init__(self) -> None:
        self.name = "gmcaps/mix"
        self.gallery = _gallery(LAWS[0], RENDERINGS[0])
        """Of the default options; a loaded dataset names its own."""

    def files(self) -> tuple[str, ...]:
        """None: the latents are the space's, and the rest is written when it is loaded."""
        return ()

    def digest(self) -> str:
        """Of how tracks are made; what the captions say changes with `version` alone."""
        from bench.datasets.gmcaps.corpus import FORMAT

        return hashlib.sha256(f"{self.name} {FORMAT} {SIZE}".encode()).hexdigest()

    def check(self, law: str = "pc", rendering: str = "pc", style: str = "library", tracks: int | None = None) -> None:
        """Check options of `load` without loading.

        Raises:
            UserError: as `load`.
        """
        from bench.datasets.gmcaps.captions import STYLES

        for option, given, known in (
            ("law", law, LAWS), ("rendering", rendering, RENDERINGS), ("style", style, STYLES),
        ):  # fmt: skip
            self._check(option, given, known)
        if tracks is not None:
            check_tracks(self.name, tracks, SIZE)

    def load(
        self, law: str = "pc", rendering: str = "pc", style: str = "library", tracks: int | None = None
    ) -> Dataset:
        """Tracks, captions and truth of one setting of the dials.

        Two settings that share the law have the same pieces under the same track ids, so that they are compared track
        by track. Every track has one caption, in either style.

        Args:
            law: which attributes occur together: `pc` or `sd`.
            rendering: how the notes are made to sound: `pc` or `sd`. It changes nothing but the latents.
            style: how captions are written: `library` (PC's), `describer` (SD's), `web` or `musiccaps`.
            tracks: only the first tracks.

        Raises:
            UserError: a setting for which there are no latents, an unknown style, or too many tracks.
        """
        from bench.datasets.gmcaps import corpus

        self.check(law, rendering, style, tracks)
        size = SIZE if tracks is None else tracks
        domain = corpus.mix(law=law, rendering=rendering, style=style, size=SIZE)
        chosen = [corpus.track(domain, "test", index) for index in range(size)]
        truth, captions = corpus.truth_frame(chosen), caption_frame(chosen)
        name = f"{self.name}[{law},{rendering},{style}]" + ("" if tracks is None else f"[:{tracks}]")
        gallery = _gallery(law, rendering)
        fingerprint = _fingerprint(gallery, truth, captions)
        captions = captions.assign(stated=[json.loads(stated) for stated in captions["stated"]])
        return Dataset(name, tuple(truth["track_id"]), captions, truth, fingerprint, domain.seconds, gallery)

    def _check(self, option: str, given: str, known: Sequence[str]) -> None:
        if given not in known:
            close = registry.nearest(str(given), known)
            hint = f"did you mean {close!r}?" if close else f"use one of {', '.join(known)}"
            raise UserError(f"dataset {self.name}: unknown {option} {given!r}; {hint}")


def _gallery(law: str, rendering: str) -> str:
    return f"mixes/{law}-{rendering}"


def _fingerprint(gallery: str, truth: pd.DataFrame, captions: pd.DataFrame) -> str:
    content = hashlib.sha256(gallery.encode())
    content.update(truth.to_json(orient="records").encode())
    content.update("\n".join(captions["text"]).encode())
    return content.hexdigest()
