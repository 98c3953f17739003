"""Arrays that a user hands to `bench score` or to training: damaged, hostile, of another kind."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from corpus.case import ARRAY, DONE, Given, Recipe, array_files, npy, opener, safetensors, write

__all__ = ["RECIPES", "SOUND"]


def _saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _pickled(folder: Path) -> bytes:
    """A .npy file of one object that creates a file when it is unpickled."""
    return npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", opener(folder))


def _archive(folder: Path, name: str = "arr_0.npy", content: bytes | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, npy() if content is None else content)
    return buffer.getvalue()


def _shape(shape: str, data: bytes | None = None) -> bytes:
    return npy(ARRAY.replace("(6, 4)", shape), data)


def _kind(descr: str, size: int) -> bytes:
    return npy(ARRAY.replace("'<f8'", descr), bytes(24 * size))


Content = Callable[[Path], bytes]
NOT = "not a .npy file of numbers"
#: What stands in the place of an array, and what the message says beside its name.
DAMAGES: dict[str, tuple[Content, str]] = {
    "empty": (lambda folder: b"", NOT),
    "text": (lambda folder: b"1.0 2.0 3.0\n", NOT),
    "zeros": (lambda folder: bytes(4096), NOT),
    "random bytes": (lambda folder: bytes(range(256)) * 16, NOT),
    "the first bytes only": (lambda folder: npy()[:9], NOT),
    "cut in the header": (lambda folder: npy()[:40], NOT),
    "cut in the numbers": (lambda folder: npy()[:-8], NOT),
    "no numbers": (lambda folder: npy(data=b""), NOT),
    "an unknown version": (lambda folder: npy(version=(9, 9)), NOT),
    "a header of 4 GB": (lambda folder: npy(version=(2, 0), length=2**32 - 1), NOT),
    "a header of 60 kB": (lambda folder: npy(ARRAY + " " * 60_000), NOT),
    "a header left open": (lambda folder: npy("{'descr': '<f8"), NOT),
    "a header of brackets": (lambda folder: npy("(" * 9000), NOT),
    "a header of minus signs": (lambda folder: npy("-" * 9000 + "1"), NOT),
    "a header that calls": (lambda folder: npy("__import__('os').system('touch OWNED')"), NOT),
    "a header that is not text": (lambda folder: npy("\xff\xfe", version=(3, 0)), NOT),
    "a header without keys": (lambda folder: npy("{}"), NOT),
    "an order that is none": (lambda folder: npy(ARRAY.replace("False", "7")), NOT),
    "a pickle": (opener, "never loaded"),
    "a pickled array": (_pickled, NOT),
    "fields of objects": (lambda folder: _kind("[('a', '<f8'), ('b', '|O')]", 16), NOT),
    "a pickle in an archive": (lambda folder: _archive(folder, content=_pickled(folder)), "holds several arrays"),
    "an archive": (_archive, "holds several arrays"),
    "an archive that grows": (lambda folder: _archive(folder, content=npy() + bytes(50_000_000)), "several arrays"),
    "an archive with paths": (lambda folder: _archive(folder, "../../owned.npy"), "holds several arrays"),
    "an archive cut short": (lambda folder: _archive(folder)[:60], NOT),
    "the head of an archive": (lambda folder: b"PK\x03\x04" + bytes(60), NOT),
    "an empty archive": (lambda folder: b"PK\x05\x06" + bytes(18), "holds several arrays"),
    "a negative shape": (lambda folder: _shape("(-6, 4)"), NOT),
    "a shape of 2**62": (lambda folder: _shape("(4611686018427387904, 4)"), NOT),
    "a shape beyond the file": (lambda folder: _shape("(1000000000, 4)"), NOT),
    "a shape of 5000 digits": (lambda folder: _shape(f"({'9' * 5000}, 4)"), NOT),
    "a shape of text": (lambda folder: _shape("('6', 4)"), NOT),
    "no rows": (lambda folder: _shape("(0, 4)", b""), "one row of numbers a vector is needed"),
    "no columns": (lambda folder: _shape("(6, 0)", b""), "one row of numbers a vector is needed"),
    "one number": (lambda folder: _saved(np.array(1.0)), "shape ()"),
    "one axis": (lambda folder: _saved(np.ones(6)), "shape (6,)"),
    "three axes": (lambda folder: _saved(np.ones((6, 2, 2))), "shape (6, 2, 2)"),
    "text in two axes": (lambda folder: _saved(np.array([["a", "b"]])), "one row of numbers a vector is needed"),
    "dates": (lambda folder: _kind("'<M8[ns]'", 8), "one row of numbers a vector is needed"),
    "complex numbers": (lambda folder: _saved(np.ones((6, 4), complex)), "one row of numbers a vector is needed"),
    "truth values": (lambda folder: _saved(np.ones((6, 4), bool)), "one row of numbers a vector is needed"),
    "records": (lambda folder: _kind("[('a', '<f8'), ('b', '<f8')]", 16), "one row of numbers a vector is needed"),
    "an unknown type": (lambda folder: _kind("'zz9'", 8), NOT),
    "a type of 10 GB": (lambda folder: _kind("'|V9999999999'", 8), NOT),
    "NaN": (lambda folder: _saved(np.where(np.eye(6, 4) == 1, np.nan, 1.0)), "NaN or infinite"),
    "infinity": (lambda folder: _saved(np.where(np.eye(6, 4) == 1, np.inf, 1.0)), "NaN or infinite"),
    "half-precision infinity": (lambda folder: _saved(np.full((6, 4), np.inf, np.float16)), "NaN or infinite"),
    "only zeros": (lambda folder: _saved(np.zeros((6, 4))), "zero"),
    "another width": (lambda folder: _saved(np.ones((6, 3))), "rows of"),
}
#: Where an array is taken: its file, and the command's further options.
PLACES = {
    "queries": ("q.npy", ()), "gallery": ("g.npy", ()), "reference": ("ref.npy", ("--reference", "ref.npy")),
    "compared": ("other.npy", ("--compare", "other.npy")),
}  # fmt: skip
#: Tried in every place; the rest with the queries, and elsewhere in a long look.
ALWAYS = ("empty", "cut in the numbers", "a pickle", "a pickled array", "the head of an archive", "NaN", "one axis")


def _damaged(place: str, content: Content, said: str, folder: Path) -> Given:
    name, further = PLACES[place]
    argv = array_files(folder)
    (folder / name).write_bytes(content(folder))
    if place == "reference":  # sets of queries are compared as they are: zeros are no error there
        argv = ("score", "--queries", "q.npy", "--metrics", "FAD(ref)")
    return Given((*argv, *further), (name, said))


def _missing(place: str, make: Callable[[Path], object], said: str, folder: Path) -> Given:
    name, further = PLACES[place]
    argv = array_files(folder)
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    return Given((*argv, *further), (name, said))


def _huge_sparse(folder: Path) -> Given:
    """A whole array of 3 PB by its header, in a file without any byte behind it but a hole."""
    argv = array_files(folder, q_npy=_shape("(100000000000000, 4)"))
    os.truncate(folder / "q.npy", 1 << 40)
    return Given(argv, ("q.npy", NOT))


# --- safetensors ------------------------------------------------------------------------------------------------------

TENSOR = {"mean": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}
SAFETENSORS: dict[str, bytes] = {
    "empty": b"",
    "random bytes": bytes(range(256)),
    "a header of 2**60 bytes": safetensors(TENSOR, bytes(16), length=2**60),
    "a header beyond the file": safetensors(TENSOR, bytes(16), length=5000),
    "a header of 100 MB": safetensors(b"{", length=100_000_000),
    "a header that is no JSON": safetensors(b"{" * 100),
    "a header of brackets": safetensors(b"[" * 100_000),
    "cut in the numbers": safetensors(TENSOR, bytes(7)),
    "offsets beyond the file": safetensors({"mean": {**TENSOR["mean"], "data_offsets": [0, 2**60]}}, bytes(16)),
    "offsets that run backwards": safetensors({"mean": {**TENSOR["mean"], "data_offsets": [16, 0]}}, bytes(16)),
    "a shape of 2**62": safetensors({"mean": {**TENSOR["mean"], "shape": [2**62, 2**62]}}, bytes(16)),
    "an unknown type": safetensors({"mean": {**TENSOR["mean"], "dtype": "O"}}, bytes(16)),
    "other tensors": safetensors({"other": TENSOR["mean"]}, bytes(16)),
}


def _reference(content: bytes, folder: Path) -> Given:
    from bench.metrics.frechet import FrechetReference

    file = write(folder, ref_safetensors=content) / "ref.safetensors"
    name = "bench.metrics.frechet.FrechetReference.load"
    return Given((name, "ref.safetensors"), ("ref.safetensors", "write it"), lambda: FrechetReference.load(file))


def _network(content: bytes, folder: Path) -> Given:
    def load() -> object:
        from gdr.storage import load_model

        return load_model(folder / "w.safetensors")

    write(folder, w_safetensors=content)
    return Given(("gdr.storage.load_model", "w.safetensors"), ("w.safetensors",), load)


def _own_tower(content: bytes, folder: Path) -> Given:
    """A folder with the weights of a text tower, as a profile names it for a retriever."""
    (folder / "own").mkdir()
    (folder / "own" / "mini-clap.safetensors").write_bytes(content)

    def encode() -> object:
        from bench.encoders.own_text import OwnText

        return OwnText("mini-clap", folder / "own").encode_text(["a rock song"])

    return Given(("bench.encoders.own_text.OwnText", "own"), ("mini-clap.safetensors",), encode)


# --- training ---------------------------------------------------------------------------------------------------------

TRAIN = """encoder: mini-clap
train: {frames: f.npy, captions: c.json}
validation: {frames: f.npy, captions: c.json}
"""
FRAMES = _saved(np.ones((2, 4, 128), np.float32))
CAPTIONS = '[["a"], ["b"]]'
#: What is replaced, and what the message says.
TRAINING: dict[str, tuple[dict[str, str | bytes], tuple[str, ...]]] = {
    "no encoder": ({"t_yaml": TRAIN.replace("encoder: mini-clap\n", "")}, ("t.yaml", "encoder")),
    "an encoder that is a list": ({"t_yaml": TRAIN.replace("mini-clap", "[1]")}, ("t.yaml", "encoder")),
    "an unknown encoder": ({"t_yaml": TRAIN.replace("mini-clap", "mini-clop")}, ("did you mean 'mini-clap'?",)),
    "no frames": ({"t_yaml": TRAIN.replace("frames: f.npy, ", "")}, ("t.yaml", "train")),
    "a list for a split": ({"t_yaml": TRAIN.replace("{frames: f.npy, captions: c.json}", "[]")}, ("t.yaml", "train")),
    "an unknown model": ({"t_yaml": TRAIN + "model: giant\n"}, ("t.yaml", "giant")),
    "a model of another type": ({"t_yaml": TRAIN + "model: 5\n"}, ("t.yaml", "model")),
    "an unknown setting": ({"t_yaml": TRAIN + "config: {stepz: 1}\n"}, ("t.yaml", "stepz")),
    "a tag": ({"t_yaml": TRAIN + "x: !!python/object/apply:os.system [ls]\n"}, ("t.yaml:4", "tags")),
    "a list at the top": ({"t_yaml": "- a\n"}, ("t.yaml:1", "must be a mapping")),
    "not UTF-8": ({"t_yaml": b"\xff\xfe"}, ("t.yaml", "not UTF-8")),
    "frames cut short": ({"f_npy": FRAMES[:-4]}, ("f.npy", NOT)),
    "frames of two axes": ({"f_npy": npy()}, ("f.npy", "(6, 4)")),
    "frames with NaN": ({"f_npy": _saved(np.full((2, 4, 128), np.nan))}, ("f.npy", "NaN")),
    "captions cut short": ({"c_json": '[["a"'}, ("c.json", "not JSON")),
    "captions of brackets": ({"c_json": "[" * 100_000}, ("c.json", "not JSON")),
    "captions of another form": ({"c_json": '{"a": 1}'}, ("c.json", "list of lists")),
    "captions of numbers": ({"c_json": "[[1], [2]]"}, ("c.json", "list of lists")),
    "captions of other tracks": ({"c_json": '[["a"]]'}, ("c.json", "1 tracks")),
    "captions that are not UTF-8": ({"c_json": b'[["\xff"]]'}, ("c.json", "not JSON")),
}


def _training(replaced: dict[str, str | bytes], mention: tuple[str, ...], folder: Path) -> Given:
    def train() -> object:
        from gdr.train import train_from_config

        return train_from_config(Path("t.yaml"), folder / "out" / "model.safetensors")

    write(folder, **{"t_yaml": TRAIN, "f_npy": FRAMES, "c_json": CAPTIONS, **replaced})
    return Given(("gdr", "train", "t.yaml"), mention, train)


def _training_pickle(folder: Path) -> Given:
    return _training({"f_npy": _pickled(folder)}, ("f.npy", NOT), folder)


RECIPES = [
    *(
        Recipe(
            f"{place}: {name}",
            "arrays",
            partial(_damaged, place, content, said),
            slow=place != "queries" and name not in ALWAYS,
        )
        for place in PLACES
        for name, (content, said) in DAMAGES.items()
        if not (place == "reference" and name == "only zeros")
    ),
    Recipe("queries: no file", "arrays", partial(_missing, "queries", lambda file: None, "no such file")),
    Recipe("queries: a folder", "arrays", partial(_missing, "queries", Path.mkdir, "Is a directory")),
    Recipe(
        "gallery: a link to nothing", "arrays", partial(_missing, "gallery", lambda f: f.symlink_to("x"), "no such")
    ),
    Recipe("queries: 3 PB", "arrays", _huge_sparse, apart=True),
    *(Recipe(f"reference file: {name}", "tensors", partial(_reference, data)) for name, data in SAFETENSORS.items()),
    *(Recipe(f"weights: {name}", "tensors", partial(_network, data)) for name, data in SAFETENSORS.items()),
    *(Recipe(f"own tower: {name}", "tensors", partial(_own_tower, data)) for name, data in SAFETENSORS.items()),
    Recipe("own tower: a pickle", "tensors", lambda folder: _own_tower(opener(folder), folder)),
    Recipe("weights: a pickle", "tensors", lambda folder: _network(opener(folder), folder)),
    *(
        Recipe(f"training: {name}", "training", partial(_training, replaced, mention))
        for name, (replaced, mention) in TRAINING.items()
    ),
    Recipe("training: pickled frames", "training", _training_pickle),
]


def _sound(place: str, folder: Path) -> Given:
    return _damaged(place, lambda _: npy(), "", folder)._replace(mention=())


SOUND = [Recipe(f"{place}: as it is", "arrays", partial(_sound, place), DONE) for place in PLACES]
