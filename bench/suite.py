"""Suites: read, checked, with a profile, a preset and overrides applied; ready to be planned.

A suite file is checked as a whole: keys, types and ranges by the models of `bench._suite_file`, then names against the
registries and the profile, and references within the file. All that is wrong is told in one error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import registry, resources
from bench._metric_keys import metric_known, metric_problem
from bench._suite_file import Knobs, ProfileFile, Selection, SuiteFile, json_schema
from bench._suite_resolve import Claim, DatasetRef, ModifierRow, Resolver, RetrieverRef
from bench._suite_yaml import Document, read_yaml
from bench._validation import Problems, parse_document
from bench.errors import UserError
from bench.prompts import PromptSet, load_prompts

__all__ = [
    "Claim", "DatasetRef", "ModifierRow", "RetrieverRef", "Selection", "Settings", "Suite", "json_schema", "load_suite",
    "metric_known",
]  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How much is done, and how finely: the suite's settings, then the preset's, then `--set`."""

    guidance: float = 3.0
    sampler: str = "dpm++2m-10"
    samples: int = 3
    queries: int = 1000
    candidates: int = 400
    diversity_samples: int = 10
    diversity_queries: int = 40


@dataclass(frozen=True)
class Suite:
    """A validated suite.

    Attributes:
        file: where it was read.
        spaces: role -> encoder.
        prompt_set: negatives of a control suite; None where the datasets' captions are the prompts.
        replicate_settings: of the replicates, whatever the preset: they show stability, not precision.
    """

    file: Path
    name: str
    title: str
    group: str
    requires: tuple[str, ...]
    profile: str
    preset: str
    datasets: tuple[DatasetRef, ...]
    spaces: Mapping[str, str]
    retrievers: tuple[RetrieverRef, ...]
    replicates: tuple[RetrieverRef, ...]
    prompt_set: PromptSet | None
    modifiers: tuple[ModifierRow, ...]
    metrics: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: Settings
    replicate_settings: Settings
    selection: Selection
    claims: tuple[Claim, ...]
    schema_version: int = 1

    def resolved(self) -> dict[str, Any]:
        """Everything that decides what the run computes, as plain JSON-able data; no path of this machine."""
        return {
            "schema_version": self.schema_version,
            "name": self.name,
            "title": self.title,
            "group": self.group,
            "requires": list(self.requires),
            "profile": self.profile,
            "preset": self.preset,
            "datasets": [_plain(ref) for ref in self.datasets],
            "spaces": dict(self.spaces),
            "retrievers": [_plain(ref) for ref in self.retrievers],
            "replicates": [_plain(ref) for ref in self.replicates],
            "prompts": self.prompt_set.model_dump(mode="json") if self.prompt_set else None,
            "modifiers": [_plain(row) for row in self.modifiers],
            "metrics": list(self.metrics),
            "seeds": list(self.seeds),
            "settings": asdict(self.settings),
            "replicate_settings": asdict(self.replicate_settings),
            "selection": self.selection.model_dump(mode="json"),
            "claims": [claim.model_dump(mode="json") for claim in self.claims],
        }


def _plain(part: DatasetRef | RetrieverRef | ModifierRow) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(part).items()}


def load_suite(
    target: str | Path,
    *,
    profile: str = "mini",
    preset: str = "quick",
    overrides: Mapping[str, Any] | None = None,
) -> Suite:
    """Read a suite and resolve it; loads no weights and no data.

    Args:
        target: a suite file, or the name of a suite that comes with the harness.
        profile: what the role names stand for: `mini`, or a profile file.
        preset: one of the suite's presets.
        overrides: dotted path -> value; a bare name of a setting (`samples`) means `settings.samples`. They win over
            the preset. `retriever` puts one of the profile's retrievers in the place of the suite's.

    Raises:
        UserError: one line a problem: file, line, key, what is wrong, and the nearest valid name.
    """
    document = read_yaml(resources.suite_path(target))
    chosen_profile = parse_document(read_yaml(resources.profile_path(profile)), ProfileFile)
    given = dict(overrides or {})
    if "retriever" in given:
        _put_retriever(document, str(given.pop("retriever")), chosen_profile)
    knobs = _apply_overrides(document, given)
    parsed = parse_document(document, SuiteFile)
    problems = Problems(document)
    resolver = Resolver(parsed, chosen_profile, problems)
    datasets, spaces = resolver.datasets(), resolver.spaces()
    retrievers, replicates = resolver.retrievers("retrievers"), resolver.retrievers("replicates")
    modifiers = resolver.modifiers()
    _check_metrics(parsed, problems)
    claims = resolver.claims()
    settings = _settings(parsed, preset, knobs, problems)
    own_settings = _settings(parsed, None, knobs, problems)
    prompt_set = _prompts(parsed, document, problems)
    problems.raise_if_any()
    return Suite(
        file=document.file, name=parsed.name, title=parsed.title, group=parsed.group, requires=parsed.requires,
        profile=chosen_profile.name, preset=preset, datasets=datasets, spaces=spaces, retrievers=retrievers,
        replicates=replicates, prompt_set=prompt_set, modifiers=modifiers, metrics=parsed.metrics, seeds=parsed.seeds,
        settings=settings, replicate_settings=own_settings, selection=parsed.selection, claims=claims,
    )  # fmt: skip


def _put_retriever(document: Document, name: str, profile: ProfileFile) -> None:
    """Run the suite on one other retriever of the profile, in its space; the suite's replicates are of its own."""
    role = profile.retrievers.get(name)
    if role is None:
        close = registry.nearest(name, list(profile.retrievers))
        hint = f"did you mean {close!r}?" if close else f"it has: {', '.join(profile.retrievers)}"
        raise UserError(f"--set retriever: profile {profile.name!r} has no retriever {name!r}; {hint}")
    document.set("retrievers", [{"name": role.name, "id": name}])
    document.set("replicates", [])
    if role.space is not None:
        document.set("spaces", [role.space])


def _apply_overrides(document: Document, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Write overrides into the document; what concerns settings is returned, since it must win over the preset."""
    knobs = {}
    for path, value in overrides.items():
        first, _, rest = path.partition(".")
        if first in Knobs.model_fields and not rest:
            path, rest = f"settings.{first}", first
            first = "settings"
        elif first not in SuiteFile.model_fields:
            known = ["retriever", *SuiteFile.model_fields, *Knobs.model_fields]
            close = registry.nearest(first, known)
            hint = f"did you mean {close!r}?" if close else f"valid keys: {', '.join(known)}"
            raise UserError(f"--set {path}: unknown key {first!r}; {hint}")
        document.set(path, value)
        if first == "settings" and rest:
            knobs[rest] = value
        elif first == "settings" and isinstance(value, dict):
            knobs.update(value)
    return knobs


def _settings(parsed: SuiteFile, preset: str | None, knobs: Mapping[str, Any], problems: Problems) -> Settings:
    values = parsed.settings.model_dump(exclude_none=True)
    if preset is None:
        pass  # the suite's own, which no preset changes
    elif preset in parsed.presets:
        values.update(parsed.presets[preset].model_dump(exclude_none=True))
    elif parsed.presets or preset not in ("quick", "full"):
        known = ", ".join(parsed.presets) or "none"
        problems.add(("presets",), f"no preset {preset!r} in this suite (it has: {known}); change --preset")
    try:
        values.update(Knobs.model_validate(dict(knobs)).model_dump(exclude_none=True))
    except ValidationError:  # the same values were checked as part of the document
        problems.add(("settings",), "a setting given with --set is not valid")
    return Settings(**values)


def _check_metrics(parsed: SuiteFile, problems: Problems) -> None:
    for place, key in enumerate(parsed.metrics):
        problem = metric_problem(key)
        if problem:
            problems.add(("metrics", place), problem)


def _prompts(parsed: SuiteFile, document: Document, problems: Problems) -> PromptSet | None:
    if parsed.prompts is None:
        if parsed.modifiers:
            problems.add(("modifiers",), "modifiers need `prompts`, the file that says what to remove")
        return None
    folder = document.file.parent
    file = folder / parsed.prompts
    if not _is_below(file, folder):
        problems.add(("prompts",), f"{parsed.prompts!r} leads out of the suite's folder; put the file beside the suite")
        return None
    if not _is_file(file):
        problems.add(("prompts",), f"no such prompt file {file} (the path is relative to the suite)")
        return None
    try:
        return load_prompts(file)
    except UserError as error:
        problems.messages.extend(str(error).splitlines())
        return None


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name that is too long
        return False


def _is_below(file: Path, folder: Path) -> bool:
    """Whether a file lies in a folder by its name and, links followed, in truth: a suite may come from elsewhere.

    The packaged suites are the harness's own, and some installers make every file of a package a link.
    """
    try:
        inside = Path(os.path.normpath(file)).is_relative_to(Path(os.path.normpath(folder)))
        own = Path(os.path.abspath(folder)).is_relative_to(os.path.abspath(resources.suites_dir()))
        return inside and (own or file.resolve().is_relative_to(folder.resolve()))
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or links in a ring
        return False


if __name__ == "__main__":  # python -m bench.suite > suites/schema.json
    import json

    print(json.dumps(json_schema(), indent=1, sort_keys=True))
