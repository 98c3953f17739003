"""Manifests and other files with paths inside: those of the bundle, and of rendered audio."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from corpus.case import DONE, SUITE, Given, Recipe, write

__all__ = ["RECIPES", "SOUND"]


# --- the bundle's -----------------------------------------------------------------------------------------------------


@cache
def _needed() -> tuple[str, ...]:
    """Bundle files of the suite."""
    import tempfile

    from bench.plan import Plan
    from bench.suite import load_suite

    with tempfile.TemporaryDirectory() as folder:
        return tuple(sorted(Plan(load_suite(write(Path(folder), s_yaml=SUITE) / "s.yaml")).bundle_files()))


def _entry(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "part": "test"}


def _bundle(folder: Path, change: Callable[[Path, dict[str, Any]], object], said: tuple[str, ...]) -> Given:
    """A bundle of tiny files under the suite's names; `inputs` tells commands to take a folder called `bundle`."""
    bundle = folder / "bundle"
    bundle.mkdir()
    write(folder, suite_yaml=SUITE, secret_txt="password: hunter2\n")
    for name in _needed():
        (bundle / name).write_bytes(name.encode())
    manifest: dict[str, Any] = {
        "schema_version": 1, "parts": {}, "files": {name: _entry(name.encode()) for name in _needed()},
    }  # fmt: skip
    text = change(bundle, manifest)
    written = json.dumps(manifest) if not isinstance(text, (str, bytes)) else text
    write(bundle, manifest_json=written)
    return Given(("validate", "suite.yaml"), said)


def _named(name: str, bundle: Path, manifest: dict[str, Any]) -> None:
    """A file of the manifest by a path that leads out, with the digest of what lies there."""
    manifest["files"][name.replace("FOLDER", str(bundle.parent))] = _entry(b"password: hunter2\n")


def _entry_of(entry: Any, bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["files"][_needed()[0]] = entry


def _linked(to: str, bundle: Path, manifest: dict[str, Any]) -> None:
    (bundle / _needed()[0]).unlink()
    (bundle / _needed()[0]).symlink_to(to.replace("FOLDER", str(bundle.parent)))


Damage = Callable[[Path, dict[str, Any]], object]
BUNDLES: dict[str, tuple[Damage, str]] = {
    "a file above the folder": (partial(_named, "../secret.txt"), "leads out of the bundle's folder"),
    "an absolute file": (partial(_named, "/etc/passwd"), "leads out of the bundle's folder"),
    "an absolute file nearby": (partial(_named, "FOLDER/secret.txt"), "leads out of the bundle's folder"),
    "a file up and down again": (partial(_named, "a/../../secret.txt"), "leads out of the bundle's folder"),
    "a file without a name": (partial(_named, ""), "leads out of the bundle's folder"),
    "a link to a file elsewhere": (partial(_linked, "FOLDER/secret.txt"), "does not match its digest"),
    "a link to a device": (partial(_linked, "/dev/zero"), "is missing"),
    "a link to nothing": (partial(_linked, "nowhere"), "is missing"),
    "no manifest": (lambda bundle, manifest: "", "is damaged"),
    "cut short": (lambda bundle, manifest: json.dumps(manifest)[:50], "is damaged"),
    "a list": (lambda bundle, manifest: "[]", "is damaged"),
    "brackets": (lambda bundle, manifest: "[" * 200_000, "is damaged"),
    "not UTF-8": (lambda bundle, manifest: json.dumps(manifest).encode("utf-16"), "is damaged"),
    "no files": (lambda bundle, manifest: '{"parts": {}}', "is damaged"),
    "files of a list": (lambda bundle, manifest: '{"files": []}', "is damaged"),
    "an entry of a number": (partial(_entry_of, 5), "no sha256"),
    "an entry without digest": (partial(_entry_of, {"bytes": 1}), "no sha256"),
    "a digest of another form": (partial(_entry_of, {"sha256": "../x"}), "no sha256"),
    "a wrong digest": (partial(_entry_of, _entry(b"other")), "does not match its digest"),
}


def _damaged_bundle(change: Damage, said: str, folder: Path) -> Given:
    return _bundle(folder, change, ("bundle/", said))


# --- rendered audio ---------------------------------------------------------------------------------------------------

LINE = {"track_id": "q000", "audio": "audio/q000.wav"}


def _audio(line: Mapping[str, Any] | str | bytes, said: str, folder: Path, link: str | None = None) -> Given:
    """A run's page with audio from a folder; its manifest has one line."""
    audio = folder / "audio-of-run" / "audio"
    audio.mkdir(parents=True)
    write(folder, secret_txt="password: hunter2\n")
    if link is None:
        (audio / "q000.wav").write_bytes(b"RIFF")
    else:
        (audio / "q000.wav").symlink_to(link.replace("FOLDER", str(folder)))
    text = json.dumps(line) if isinstance(line, Mapping) else line
    write(audio.parent, manifest_jsonl=text)

    def call() -> object:
        from bench.report._run_page_audio import audio_of

        return audio_of(folder / "audio-of-run", folder / "out", ["q000"])

    return Given(("report", "run", "--audio", "audio-of-run"), ("audio-of-run", said), call)


AUDIO: dict[str, tuple[Mapping[str, Any] | str | bytes, str]] = {
    "above the folder": ({**LINE, "audio": "../secret.txt"}, "line 1: '../secret.txt' leads out of the folder"),
    "up and down again": ({**LINE, "audio": "audio/../../secret.txt"}, "leads out of the folder"),
    "absolute": ({**LINE, "audio": "/etc/passwd"}, "leads out of the folder"),
    "no track": ({"audio": "audio/q000.wav"}, "line 1: has no track_id and audio"),
    "a list": ("[]", "line 1: has no track_id and audio"),
    "a number": ("5", "line 1: has no track_id and audio"),
    "brackets": ("[" * 200_000, "line 1: has no track_id and audio"),
    "no JSON": ("track_id: q000", "line 1: has no track_id and audio"),
    "not UTF-8": (b"\xff\xfe", "not UTF-8 text"),
    "empty": ("", "holds no audio of the tracks"),
    "a file that is not there": ({**LINE, "audio": "audio/none.wav"}, "holds no audio of the tracks"),
}


def _no_manifest(folder: Path) -> Given:
    given = _audio(LINE, "holds no manifest.jsonl", folder)
    (folder / "audio-of-run" / "manifest.jsonl").unlink()
    return given


RECIPES = [
    *(Recipe(f"bundle: {name}", "manifests", partial(_damaged_bundle, change, said))
      for name, (change, said) in BUNDLES.items()),
    *(Recipe(f"audio: {name}", "manifests", partial(_audio, line, said)) for name, (line, said) in AUDIO.items()),
    Recipe("audio: a link to a file elsewhere", "manifests",
           partial(_audio, LINE, "is a link that leads out", link="FOLDER/secret.txt")),
    Recipe("audio: a folder without a manifest", "manifests", _no_manifest),
]  # fmt: skip


def _sound_bundle(change: Damage, folder: Path) -> Given:
    return _bundle(folder, change, ())


def _same_elsewhere(bundle: Path, manifest: dict[str, Any]) -> None:
    """A file of the bundle is a link to one with the content that the manifest states."""
    file = bundle / _needed()[0]
    (bundle.parent / "elsewhere.bin").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(bundle.parent / "elsewhere.bin")


SOUND = [
    Recipe("bundle: as it is", "manifests", partial(_sound_bundle, lambda bundle, manifest: None), DONE),
    Recipe("bundle: a link to the stated content", "manifests", partial(_sound_bundle, _same_elsewhere), DONE),
    Recipe("audio: as it is", "manifests", partial(_audio, LINE, ""), DONE),
]
