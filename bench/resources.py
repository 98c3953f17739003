"""Where the files are that come with the harness: in a checkout, or inside the installed package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.errors import UserError

__all__ = ["bundle_dir", "notes_path", "paper_tables", "profile_path", "suite_names", "suite_path", "suites_dir"]

_PACKAGE = Path(__file__).parent


@cache
def suites_dir() -> Path:
    """The folder of suites: packaged, or `suites/` of a checkout."""
    for folder in (_PACKAGE / "_suites", _PACKAGE.parent / "suites"):
        if (folder / "profiles").is_dir():
            return folder
    raise UserError("the suites of gdr-bench are missing; install it again: pip install --force-reinstall gdr-bench")


def bundle_dir() -> Path:
    """The folder of the embedded bundle (BENCH_BUNDLE_DIR, else inside the package)."""
    from bench import bundle

    return bundle.directory()


def paper_tables() -> Path:
    """The paper's published numbers, table by table."""
    return suites_dir() / "paper" / "tables.yaml"


def notes_path() -> Path:
    """The notes on claims that did not hold (beside the paper's numbers: every YAML file of suites/ is a suite)."""
    return suites_dir() / "paper" / "notes.yaml"


def suite_names() -> list[str]:
    """Names of the suites that come with the harness, as `bench run NAME` takes them."""
    return sorted(file.stem.replace("_", "-") for file in suites_dir().glob("*.yaml"))


def profile_path(name: str) -> Path:
    """A profile by name, or a profile file by path.

    Raises:
        UserError: neither exists; the message names the known profiles.
    """
    if name.endswith((".yaml", ".yml")):
        file = Path(name)
        if file.is_file():
            return file
        raise UserError(f"{name}: no such profile file")
    file = suites_dir() / "profiles" / f"{name}.yaml"
    if file.is_file():
        return file
    known = sorted(f.stem for f in (suites_dir() / "profiles").glob("*.yaml"))
    raise UserError(f"unknown profile {name!r} (known: {', '.join(known)}; or give the path of a .yaml file)")


def suite_path(target: str | Path) -> Path:
    """A suite file by path or by name (`negative-prompting` or `negative_prompting`).

    Raises:
        UserError: no such file, or no suite of that name; the message names the nearest one.
    """
    given = Path(target)
    if given.is_file():
        return given
    text = str(target)
    if given.is_dir():
        raise UserError(f"{text}: is a folder; name a suite file in it")
    if given.suffix in (".yaml", ".yml") or "/" in text:
        raise UserError(f"{text}: no such suite file{_suggestion(given.stem)}")
    file = suites_dir() / f"{text.replace('-', '_')}.yaml"
    if file.is_file():
        return file
    raise UserError(f"unknown suite {text!r}{_suggestion(text)}")


def _suggestion(name: str) -> str:
    from bench.registry import nearest

    close = nearest(name, suite_names())
    return f"; did you mean {close!r}?" if close else f" (known: {', '.join(suite_names())}; or give a path)"
