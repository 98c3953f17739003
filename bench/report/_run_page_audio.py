"""Rendered audio beside a run's page: from a folder of `bench data render` to addresses relative to the page."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from bench._json import inside
from bench.errors import UserError

__all__ = ["audio_of"]

MANIFEST = "manifest.jsonl"


def audio_of(rendered: Path, page: Path, tracks: Collection[str]) -> dict[str, str]:
    """Track -> address of its audio, for the tracks that the folder holds.

    Args:
        rendered: folder with manifest.jsonl, as `bench data render DATASET --out FOLDER` writes it.
        page: folder of the page; addresses are relative to it, so that both can be moved together.
        tracks: ids of those that the page shows.

    Raises:
        UserError: no manifest, a line that is none, a path that leads out of the folder, or none of these tracks.
    """
    file = rendered / MANIFEST
    if not file.is_file():
        raise UserError(f"--audio {rendered}: holds no {MANIFEST}; write one: bench data render gmcaps/sd --out FOLDER")
    base = Path(os.path.relpath(rendered.resolve(), page.resolve()))
    wanted, found = set(tracks), {}
    for number, line in enumerate(_lines(file), start=1):
        where = f"{file}, line {number}"
        track, audio = _entry(line, where)
        if track in wanted and (rendered / audio).is_file():
            if not inside(rendered / audio, rendered):
                raise UserError(f"{where}: {audio!r} is a link that leads out of the folder; put the file itself there")
            found[track] = quote((base / audio).as_posix())
    if not found:
        raise UserError(
            f"--audio {rendered}: holds no audio of the tracks of this run; render its dataset: "
            "bench data render gmcaps/sd --out FOLDER"
        )
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not UTF-8 text (byte {error.start}); render the dataset again: bench data render"
        ) from None


def _entry(line: str, where: str) -> tuple[str, str]:
    try:
        entry = json.loads(line)
        track, audio = str(entry["track_id"]), str(entry["audio"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{where}: has no track_id and audio; render the dataset again: bench data render") from error
    path = PurePosixPath(audio)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: {audio!r} leads out of the folder; render the dataset again: bench data render")
    return track, audio
