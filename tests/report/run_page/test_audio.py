"""Tracks that can be played beside the page of a run, and folders that hold none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from bench.errors import UserError
from bench.report.build import build_report


def test_rendered_tracks_get_a_player_beside_the_page(toy: Any, make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run()
    assert not toy.page(run).all("audio")
    assert "played" not in toy.page(run).text
    rendered = toy.render(
        tmp_path / "my audio", {"t00": "audio/t00.wav", "t01": "audio/t 01#é.wav", "t11": "audio/x.wav"}
    )
    (rendered / "audio" / "x.wav").unlink()
    page = build_report(run, out=tmp_path / "pages", form="html", audio=rendered)
    read = toy.read(page.read_text())
    sources = {node.attrs["src"] for node in read.all("audio")}
    assert {unquote(source) for source in sources} == {"../my audio/audio/t00.wav", "../my audio/audio/t 01#é.wav"}
    assert all((page.parent / unquote(source)).is_file() for source in sources)
    assert not any(set(source) & set(" #?:\"'<>") for source in sources)
    for node in read.all("audio"):
        assert node.attrs["preload"] == "none"
        assert "controls" in node.attrs
    assert "media-src 'self' file:" in next(n.attrs["content"] for n in read.all("meta") if "http-equiv" in n.attrs)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"track_id": "t00", "audio": "../secret.wav"}, "line 1: '../secret.wav' leads out of the folder"),
        ({"track_id": "t00", "audio": "/etc/passwd"}, "leads out of the folder"),
        ({"track_id": "t00"}, "line 1: has no track_id and audio"),
        ({"track_id": "other", "audio": "a.wav"}, "holds no audio of the tracks of this run"),
        ([], "has no track_id and audio"),
        (None, "holds no manifest.jsonl"),
    ],
)
def test_a_folder_of_audio_that_is_none_is_refused(
    make_run: Callable[..., Path], tmp_path: Path, line: Any, message: str
) -> None:
    (tmp_path / "audio").mkdir()
    if line is not None:
        (tmp_path / "audio" / "manifest.jsonl").write_text(json.dumps(line))
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        build_report(make_run(), form="html", audio=tmp_path / "audio")
    assert "bench data render" in str(caught.value)


def test_audio_for_a_page_without_tracks_is_refused(make_retrieval_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="shows no tracks"):
        build_report(make_retrieval_run(), audio=tmp_path)
