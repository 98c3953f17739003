"""Suites, profiles and prompt files that are damaged, hostile, or not YAML at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from corpus.case import DONE, PROMPTS, SUITE, Given, Recipe, write

__all__ = ["RECIPES", "SOUND"]

PROFILE = """name: own
datasets: {sd: {name: gmcaps/sd}}
spaces: {clap: {encoder: mini-clap}}
retrievers: {clap: {name: contrastive, space: clap}}
"""
CONTROL = SUITE.replace("clap}]", "clap}]\nprompts: prompts.yaml\nmodifiers: [{name: prefix-negation, form: append}]")
BASES = {"suite": SUITE, "profile": PROFILE, "prompts": PROMPTS}

#: Laughs: nine levels of nine aliases, and a smaller one within the limit on aliases.
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
FEWER_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 7)
)

Damage = Callable[[str], str | bytes]

#: What is done to each file: from its text to its bytes, and what the message says beside the file's name.
DAMAGES: dict[str, tuple[Damage, str]] = {
    "empty": (lambda text: "", ":1: must be a mapping of keys"),
    "only comments": (lambda text: "# nothing\n", ":1: must be a mapping of keys"),
    "a list at the top": (lambda text: "- a\n- b\n", ":1: must be a mapping of keys"),
    "a scalar at the top": (lambda text: "negative prompting\n", ":1: must be a mapping of keys"),
    "null at the top": (lambda text: "~\n", ":1: must be a mapping of keys"),
    "an unknown key": (lambda text: text + "nmae: 1\n", "nmae: unknown key"),
    "a key twice": (lambda text: text + text.splitlines()[0] + "\n", "found duplicate key"),
    "tabs": (lambda text: text + "more:\n\t- a\n", "not valid YAML"),
    "two documents": (lambda text: text + "---\n" + text, "a second document (---)"),
    "a python tag": (lambda text: text + "x: !!python/object/apply:os.system [touch OWNED]\n", "tags (tag:yaml.org"),
    "a python name": (lambda text: text + "x: !!python/name:os.system\n", "tags (tag:yaml.org"),
    "an own tag": (lambda text: text + "x: !include /etc/passwd\n", "tags (!include) are not allowed"),
    "a tag at the top": (lambda text: "!!python/dict\n" + text, "tags (tag:yaml.org"),
    "laughs": (lambda text: LAUGHS + text, "more than 50 aliases"),
    "fewer laughs": (lambda text: FEWER_LAUGHS + text, "its aliases stand for more than"),
    "an alias inside itself": (lambda text: text + "x: &x [*x]\n", "x: unknown key"),
    "a mapping inside itself": (lambda text: text + "x: &x {a: {b: *x}}\n", "x: unknown key"),
    "merged into itself": (lambda text: text + "x: &x {<<: *x, c: 1}\n", "not valid YAML"),
    "merge of a number": (lambda text: text + "<<: 5\n", "expected a mapping"),
    "merge of an unknown key": (lambda text: "x: &x {nmae: 1}\n" + text + "<<: *x\n", "nmae: unknown key"),
    "an alias of nothing": (lambda text: text + "x: *nowhere\n", "undefined alias"),
    "33 lists deep": (lambda text: text + "x: " + "[" * 33 + "]" * 33 + "\n", "nested more than 32 deep"),
    "5000 lists deep": (lambda text: text + "x: " + "[" * 5000 + "]" * 5000 + "\n", "nested more than 32 deep"),
    "500 mappings deep": (lambda text: text + "".join(" " * n + "x:\n" for n in range(500)), "nested more than 32"),
    "100000 values": (lambda text: text + "x: [" + "1," * 100_000 + "]\n", "more than 20000 keys and values"),
    "100000 keys": (lambda text: text + "".join(f"k{n}: 1\n" for n in range(100_000)), "more than 20000 keys"),
    "9000 unknown keys": (lambda text: text + "".join(f"k{n}: 1\n" for n in range(9000)), "more; correct these first"),
    "a value of 1 MB": (lambda text: text + "x: " + "a" * 1_000_000 + "\n", "a text of 1000000 letters"),
    "a key of 1000 letters": (lambda text: text + "k" * 1000 + ": 1\n", "unknown key"),
    "a comment of 1 MB": (lambda text: text + "#" + "a" * 1_000_000 + "\nnmae: 1\n", "nmae: unknown key"),
    "binary": (lambda text: bytes(range(256)) * 20, "not UTF-8"),
    "zeros": (lambda text: bytes(4096), "not valid YAML"),
    "NUL inside": (lambda text: text.encode() + b"x: a\0b\n", "not valid YAML"),
    "UTF-16": (lambda text: text.encode("utf-16"), "not UTF-8 text"),
    "UTF-32": (lambda text: text.encode("utf-32"), "not UTF-8 text"),
    "latin-1": (lambda text: (text + "# Stra\xdfe\n").encode("latin-1"), "not UTF-8 text"),
    "half a surrogate pair": (lambda text: text + 'x: "\\uD800"\n', "U+D800"),
    "escape sequences in a key": (lambda text: text + '"\\e[31m red": 1\n', "U+001B"),
    "a line break in a key": (lambda text: text + '"a\\nerror: forged": 1\n', "unknown key"),
    "text that runs backwards": (lambda text: text + '"\u202eab": 1\n', "unknown key"),
    "a date that is none": (lambda text: text + "x: 2024-13-45\n", "put quotes around text"),
    "a number of 5000 digits": (lambda text: text + "x: " + "9" * 5000 + "\n", "put quotes around text"),
    "a list as a key": (lambda text: text + "? [a, b]\n: c\n", "unknown key"),
    "a mapping as a key": (lambda text: text + "? {a: b}\n: c\n", "unknown key"),
    "nothing as a key": (lambda text: text + "~: c\n", "unknown key"),
    "another YAML": (lambda text: "%YAML 9.9\n---\n" + text, "not valid YAML"),
    "a quote left open": (lambda text: text + 'x: "abc\n', "not valid YAML"),
    "cut inside": (lambda text: text[: text.index("[") + 1] if "[" in text else text[:-3] + "{", "not valid YAML"),
    "JSON with a comma too many": (lambda text: '{"name": "a",, }', "not valid YAML"),
    "a zip file": (lambda text: b"PK\x03\x04" + bytes(range(128, 256)), "not UTF-8 text"),
}


#: What is tried on every kind of file; the rest is tried on suites, and on the others in a long look.
ALWAYS = (
    "empty", "a list at the top", "an unknown key", "a key twice", "a python tag", "laughs", "an alias inside itself",
    "NUL inside", "UTF-16", "latin-1", "escape sequences in a key", "a date that is none",
)  # fmt: skip

#: What takes half a second or more, since it is read almost to its end.
LONG = ("100000 keys", "9000 unknown keys", "a comment of 1 MB", "500 mappings deep")


def _damaged(target: str, damage: Damage, said: str, folder: Path) -> Given:
    files = {"suite": CONTROL if target == "prompts" else SUITE, "profile": PROFILE, "prompts": PROMPTS}
    files[target] = damage(BASES[target])  # type: ignore[assignment]
    write(folder, **{f"{name}_yaml": text for name, text in files.items()})
    return Given(("validate", "suite.yaml", "--profile", "profile.yaml"), (f"{target}.yaml", said))


def _large(target: str, folder: Path) -> Given:
    given = _damaged(target, lambda text: text, "a suite has at most", folder)
    os.truncate(folder / f"{target}.yaml", 50_000_000)
    return given


# --- paths ------------------------------------------------------------------------------------------------------------

SECRET = "password: hunter2\n"


def _prompts_at(path: str, said: str, folder: Path) -> Given:
    """A suite in a folder of its own, whose prompt file is named by a path; a secret lies beside that folder."""
    (folder / "own").mkdir()
    write(folder, secret_yaml=SECRET)
    write(folder / "own", suite_yaml=CONTROL.replace("prompts.yaml", path.replace("FOLDER", str(folder))))
    return Given(("validate", "own/suite.yaml"), ("suite.yaml:7: prompts", said))


def _prompts_link(to: str, said: str, folder: Path) -> Given:
    given = _prompts_at("prompts.yaml", said, folder)
    (folder / "own" / "prompts.yaml").symlink_to(to.replace("FOLDER", str(folder)))
    return given


def _prompts_folder_link(folder: Path) -> Given:
    given = _prompts_at("below/secret.yaml", "leads out of the suite's folder", folder)
    (folder / "own" / "below").symlink_to(folder)
    return given


OUT = "leads out of the suite's folder"
PATHS = {
    "prompts above the suite": partial(_prompts_at, "../secret.yaml", OUT),
    "prompts far above the suite": partial(_prompts_at, "../../../../../../../../etc/passwd", OUT),
    "prompts up and down again": partial(_prompts_at, "below/../../secret.yaml", OUT),
    "absolute prompts": partial(_prompts_at, "/etc/passwd", OUT),
    "absolute prompts nearby": partial(_prompts_at, "FOLDER/secret.yaml", OUT),
    "a device as prompts": partial(_prompts_at, "/dev/zero", OUT),
    "the folder as prompts": partial(_prompts_at, ".", "no such prompt file"),
    "prompts with a name too long": partial(_prompts_at, "a" * 4000, "prompts"),
    "a link to prompts elsewhere": partial(_prompts_link, "FOLDER/secret.yaml", OUT),
    "a link to a device": partial(_prompts_link, "/dev/zero", OUT),
    "a link to itself": partial(_prompts_link, "prompts.yaml", "prompts"),
    "a link to nothing": partial(_prompts_link, "nowhere.yaml", "no such prompt file"),
    "a folder that is a link": _prompts_folder_link,
}


def _target(make: Callable[[Path], object], said: str, folder: Path) -> Given:
    make(folder / "suite.yaml")
    return Given(("validate", "suite.yaml"), ("suite.yaml", said))


def _profile_of(path: str, said: str, folder: Path) -> Given:
    write(folder, suite_yaml=SUITE)
    return Given(("validate", "suite.yaml", "--profile", path), (said,))


TARGETS = {
    "no suite": partial(_target, lambda file: None, "no such suite file"),
    "a folder without suites": partial(_target, Path.mkdir, "no suite (*.yaml) in this folder"),
    "a pipe as suite": partial(_target, os.mkfifo, "no such suite file"),
    "a device as suite": partial(_target, lambda file: file.symlink_to("/dev/zero"), "no such suite file"),
    "a link to nothing as suite": partial(_target, lambda file: file.symlink_to("nowhere"), "no such suite file"),
    "a link in a ring as suite": partial(_target, lambda file: file.symlink_to("suite.yaml"), "no such suite file"),
    "no profile": partial(_profile_of, "nowhere.yaml", "nowhere.yaml: no such profile file"),
    "a profile by a path without ending": partial(_profile_of, "../../etc/passwd", "unknown profile"),
    "a folder as profile": partial(_profile_of, ".", "unknown profile"),
}


def _weights(name: str, folder: Path) -> Given:
    text = PROFILE.replace("{name: contrastive, space: clap}", f"{{name: gdr, space: clap, weights: {name}}}")
    write(folder, suite_yaml=SUITE.replace("name: contrastive", "name: gdr"), profile_yaml=text)
    return Given(("validate", "suite.yaml", "--profile", "profile.yaml"), ("suite.yaml", "no file", "in the bundle"))


def _option(text: str, said: str, folder: Path) -> Given:
    """An option of a dataset, which the suite names by its registry name."""
    write(folder, suite_yaml=SUITE.replace("[sd]", f"[{{name: gmcaps/sd, id: sd, {text}}}]"))
    return Given(("validate", "suite.yaml"), ("suite.yaml:4: datasets[0]", said))


def _role_option(text: str, said: str, folder: Path) -> Given:
    write(folder, suite_yaml=SUITE.replace("[sd]", f"[{{name: sd, {text}}}]"))
    return Given(("validate", "suite.yaml"), ("suite.yaml:4: datasets[0]", said))


def _profile_option(text: str, said: str, folder: Path) -> Given:
    write(folder, suite_yaml=SUITE, profile_yaml=PROFILE.replace("gmcaps/sd", f"gmcaps/sd, {text}"))
    return Given(("validate", "suite.yaml", "--profile", "profile.yaml"), ("profile.yaml:2: datasets.sd", said))


WHOLE, TWO = "tracks: must be a whole number", "tracks must be 2 to 706"
OPTIONS = {
    "tracks that are true": partial(_option, "tracks: true", WHOLE),
    "half a track": partial(_option, "tracks: 20.5", WHOLE),
    "tracks in quotes": partial(_option, "tracks: '20'", WHOLE),
    "a list of tracks": partial(_option, "tracks: [20]", WHOLE),
    "tracks that are no number": partial(_option, "tracks: .nan", "tracks: must be a finite number"),
    "no tracks": partial(_option, "tracks: 0", TWO),
    "one track": partial(_option, "tracks: 1", TWO),
    "fewer tracks than none": partial(_option, "tracks: -5", TWO),
    "more tracks than there are": partial(_option, "tracks: 1000000000000", TWO),
    "a style that is a number": partial(_option, "style: 3", "style: must be text"),
    "a style that does not exist": partial(_option, "style: haiku", "unknown caption style 'haiku'"),
    "a style of a role that is a number": partial(_role_option, "style: 3", "style: must be text"),
    "a style of a role that does not exist": partial(_role_option, "style: haiku", "unknown caption style 'haiku'"),
    "tracks of a profile that are true": partial(_profile_option, "tracks: true", WHOLE),
}


def _set(value: str, said: str, folder: Path) -> Given:
    write(folder, suite_yaml=SUITE)
    return Given(("validate", "suite.yaml", "--set", value), ("--set", said))


OTHERS = {
    "weights above the bundle": partial(_weights, "../../../../etc/passwd"),
    "absolute weights": partial(_weights, "/etc/passwd"),
    "a date in --set": partial(_set, "samples=2024-13-45", "is not a YAML value"),
    "5000 digits in --set": partial(_set, "samples=" + "9" * 5000, "is not a YAML value"),
    "a tag in --set": partial(_set, "samples=!!python/name:os.system", "tags"),
    "nan in --set": partial(_set, "guidance=.nan", "finite"),
    "a key below a number in --set": partial(_set, "name.x.y=1", "nothing below"),
}


def _run_long_name(folder: Path) -> Given:
    write(folder, suite_yaml=SUITE.replace("small", "a" * 300))
    return Given(("run", "suite.yaml", "--out", "results", "--quiet"), ("File name too long",))


RECIPES = [
    *(
        Recipe(
            f"{target}: {name}",
            target,
            partial(_damaged, target, damage, said),
            slow=name in LONG or (target != "suite" and name not in ALWAYS),
        )
        for target in BASES
        for name, (damage, said) in DAMAGES.items()
    ),
    *(Recipe(f"{target}: 50 MB", target, partial(_large, target)) for target in BASES),
    *(Recipe(f"suite: {name}", "suite", build) for name, build in {**PATHS, **TARGETS, **OPTIONS, **OTHERS}.items()),
    Recipe("suite: a name that no folder can have", "suite", _run_long_name),
]


def _sound(target: str, damage: Damage, folder: Path) -> Given:
    return _damaged(target, damage, "", folder)._replace(mention=())


#: What looks odd and is right: the damages above are refused for what they are.
WELL = {
    "as it is": lambda text: text,
    "with a byte order mark": lambda text: "\ufeff" + text,
    "with the line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "with a comment in another script": lambda text: text + "# 音楽\n",
}
SOUND = [
    Recipe(f"{target}: {name}", target, partial(_sound, target, damage), DONE)
    for target in BASES
    for name, damage in WELL.items()
]
