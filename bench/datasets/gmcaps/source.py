"""GMCaps as registered datasets: truth and captions from the bundle; other caption styles from the generator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench import bundle
from bench.errors import BundleError, UserError
from bench.protocols import Dataset

if TYPE_CHECKING:
    import pandas as pd

    from bench.datasets.gmcaps.corpus import Track

__all__ = ["JAM", "MC", "PC", "SD", "WEB", "GMCaps", "caption_frame", "check_tracks"]


def caption_frame(tracks: Sequence[Track], style: str | None = None) -> pd.DataFrame:
    """Captions of tracks as rows caption_id, track_id, text, stated (JSON); `style` overrides the domain's own."""
    import pandas as pd

    from bench.datasets.gmcaps.corpus import captions

    rows = []
    for track in tracks:
        for number, caption in enumerate(captions(track, style=style)):
            rows.append((f"{track.track_id}-{number}", track.track_id, caption.text, json.dumps(caption.stated)))
    return pd.DataFrame(rows, columns=["caption_id", "track_id", "text", "stated"])


def check_tracks(name: str, tracks: int, size: int | None) -> None:
    """Check how many tracks of a dataset are asked for.

    Args:
        name: of the dataset.
        tracks: asked for.
        size: of the split; None where it is not known here.

    Raises:
        UserError: fewer than two tracks, among which nothing is searched, or more than the split has.
    """
    if tracks < 2 or (size is not None and tracks > size):
        bound = "2 or more" if size is None else f"2 to {size}"
        raise UserError(f"dataset {name}: tracks must be {bound}, got {tracks}")


def _check_style(name: str, style: str) -> None:
    from bench.datasets.gmcaps.captions import STYLES

    if style not in STYLES:
        raise UserError(f"dataset {name}: unknown caption style {style!r} (known: {', '.join(STYLES)})")


class GMCaps:
    """One evaluation split of the embedded corpus."""

    version = 1

    def __init__(self, domain: str, split: str) -> None:
        self.name = f"gmcaps/{domain}"
        self.domain = domain
        self.split = split
        self.gallery = f"{domain}-{split}"

    def files(self) -> tuple[str, ...]:
        """Bundle files that hold this dataset."""
        return (f"truth-{self.gallery}.parquet", f"captions-{self.gallery}.parquet")

    def digest(self) -> str:
        return bundle.combined_digest(self.files())

    def check(self, style: str | None = None, tracks: int | None = None) -> None:
        """Check options of `load` without loading.

        Raises:
            UserError: an unknown style, or a number of tracks that the split has not, or that is no set.
        """
        if style is not None:
            _check_style(self.name, style)
        if tracks is not None:
            check_tracks(self.name, tracks, self._size())

    def _size(self) -> int | None:
        """Tracks of the split, from the footer of its table; None where the bundle has none that can be read."""
        import pyarrow.parquet as pq

        try:
            return int(pq.read_metadata(bundle.path(self.files()[0])).num_rows)
        except (OSError, ValueError, BundleError):  # told where the bundle is checked
            return None

    def load(self, style: str | None = None, tracks: int | None = None) -> Dataset:
        """Tracks, captions and truth.

        Args:
            style: write the captions anew in another domain's style (`web`, `library`, `describer`, `musiccaps`).
            tracks: only the first tracks and their captions, for a gallery as large as another dataset's.

        Raises:
            UserError: an unknown style, a wrong number of tracks, or a split without captions in the bundle.
        """
        import pandas as pd

        from bench.datasets.gmcaps.corpus import DOMAINS

        if self.files()[0] not in bundle.manifest()["files"]:
            raise UserError(f"dataset {self.name} is not for evaluation; use gmcaps/pc, gmcaps/sd or gmcaps/mc")
        truth = pd.read_parquet(bundle.path(self.files()[0]))
        captions = self._restyled(style, len(truth)) if style else pd.read_parquet(bundle.path(self.files()[1]))
        name = f"{self.name}@{style}" if style else self.name
        if tracks is not None:
            check_tracks(self.name, tracks, len(truth))
            truth = truth.iloc[:tracks]
            captions = captions[captions["track_id"].isin(truth["track_id"])].reset_index(drop=True)
            name = f"{name}[:{tracks}]"
        content = hashlib.sha256(self.digest().encode())
        content.update(f"{len(truth)} tracks".encode())
        content.update("\n".join(captions["text"]).encode())
        captions = captions.assign(stated=[json.loads(s) for s in captions["stated"]])
        seconds = DOMAINS[self.domain].seconds
        return Dataset(name, tuple(truth["track_id"]), captions, truth, content.hexdigest(), seconds)

    def _restyled(self, style: str, tracks: int) -> pd.DataFrame:
        from bench.datasets.gmcaps import corpus

        _check_style(self.name, style)
        return caption_frame(corpus.tracks(self.domain, self.split)[:tracks], style)


class WEB(GMCaps):
    """GMCaps WEB: the training domain of mini-clap; tags and titles, varied rendering."""

    def __init__(self) -> None:
        super().__init__("web", "train")


class PC(GMCaps):
    """GMCaps PC: library music with professional captions; the training domain of mini-muscall and of GDR."""

    def __init__(self) -> None:
        super().__init__("pc", "test")


class SD(GMCaps):
    """GMCaps SD: 706 tracks of 32 s, 1106 crowd-written captions."""

    def __init__(self) -> None:
        super().__init__("sd", "test")


class MC(GMCaps):
    """GMCaps MC: 5521 clips of 10 s with long captions."""

    def __init__(self) -> None:
        super().__init__("mc", "test")


class JAM(GMCaps):
    """GMCaps JAM: 2000 tracks without captions, under SD's law; the reference of Fréchet metrics."""

    def __init__(self) -> None:
        super().__init__("jam", "train")
