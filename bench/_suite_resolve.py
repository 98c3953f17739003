"""From what a suite file says to what is run: roles by the profile, names by the registries, references checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from bench import registry
from bench._metric_keys import metric_problem
from bench._suite_file import (
    CLAIM_ONLY_METRICS,
    ClaimSide,
    ClaimSpec,
    DatasetSpec,
    ModifierSpec,
    ProfileFile,
    RetrieverSpec,
    SuiteFile,
)
from bench._validation import Problems, Strict
from bench.errors import BundleError, UserError

__all__ = ["Claim", "DatasetRef", "ModifierRow", "Resolver", "RetrieverRef"]

PRIMARY = 2.0
"""The strength that stands for a sweep: w = 2, the authors' guidance 3 (PROTOCOL.md 5)."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class DatasetRef:
    """A dataset of a run: `id` is its role in the suite, `name` what the registry knows it by."""

    id: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RetrieverRef:
    """A retriever of a run; `space` is the encoder's registry name."""

    id: str
    name: str
    space: str
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Settings of this row alone: guidance, sampler, samples."""


@dataclass(frozen=True)
class ModifierRow:
    """A modifier with its options, and the strengths of its sweep (a lone None where it has none)."""

    id: str
    name: str
    options: Mapping[str, Any]
    strengths: tuple[float | None, ...]
    primary: float | None


class Claim(Strict):
    """A claim, its sides as selectors: facets of a cell and options of its modifier."""

    id: str
    text: str
    source: str
    metric: str
    a: dict[str, Any]
    b: list[dict[str, Any]] | None
    at: str | None
    expect: str
    compare: str
    margin: float
    requires: list[str]
    predictor: str | None = None
    over: list[dict[str, Any]] = Field(default_factory=list)


class Resolver:
    """Resolves the parts of one suite against one profile, collecting what is wrong."""

    def __init__(self, suite: SuiteFile, profile: ProfileFile, problems: Problems) -> None:
        self.suite = suite
        self.profile = profile
        self.problems = problems

    def _unknown(self, path: Path, kind: registry.Registry, name: str, roles: Collection[str]) -> None:
        self.problems.add(path, kind.unknown(name, {*kind.names(), *roles}))

    def _duplicates(self, key: str, ids: Sequence[str]) -> None:
        for place, one in enumerate(ids):
            if one in ids[:place]:
                self.problems.add((key, place), f"{one!r} is used twice; give one of them another `id`")

    def datasets(self) -> tuple[DatasetRef, ...]:
        """The datasets, by role or registry name."""
        found = []
        for place, spec in enumerate(self.suite.datasets):
            role = self.profile.datasets.get(spec.name)
            name = role.name if role else spec.name
            if name not in registry.datasets:
                self._unknown(("datasets", place), registry.datasets, name, self.profile.datasets)
                continue
            options = {**_options(role), **spec.options}
            self._check_dataset(place, name, options)
            found.append(DatasetRef(spec.id or spec.name, name, options))
        self._duplicates("datasets", [ref.id for ref in found])
        return tuple(found)

    def _check_dataset(self, place: int, name: str, options: Mapping[str, Any]) -> None:
        """Types of the options, then what the dataset itself says of them, if it can without its data."""
        problems = registry.datasets.option_problems(name, options)
        for key, problem in problems.items():
            self.problems.add(("datasets", place, key), problem)
        if not options or problems:
            return
        try:
            source = registry.datasets.get(name)()
            if hasattr(source, "check"):
                source.check(**options)
        except BundleError:
            pass  # of the installation, not of the suite: told where the bundle is checked
        except UserError as error:
            self.problems.add(("datasets", place), str(error))

    def spaces(self) -> dict[str, str]:
        """Role -> encoder of every space that the suite names."""
        found = {}
        for place, spec in enumerate(self.suite.spaces):
            role = self.profile.spaces.get(spec.name)
            name = role.encoder if role else spec.name
            if name not in registry.encoders:
                self._unknown(("spaces", place), registry.encoders, name, self.profile.spaces)
                continue
            found[spec.id or spec.name] = name
        return found

    def retrievers(self, key: str) -> tuple[RetrieverRef, ...]:
        """The retrievers (or replicates), completed from the profile's entry of the same id."""
        specs: tuple[RetrieverSpec, ...] = getattr(self.suite, key)
        found = []
        for place, spec in enumerate(specs):
            ref = self._retriever((key, place), spec)
            if ref is not None:
                found.append(ref)
        self._duplicates(key, [ref.id for ref in found])
        return tuple(found)

    def _retriever(self, path: Path, spec: RetrieverSpec) -> RetrieverRef | None:
        if spec.name not in registry.retrievers:
            self._unknown((*path, "name"), registry.retrievers, spec.name, ())
            return None
        role = self.profile.retrievers.get(spec.id or spec.name)
        if role is not None and role.name != spec.name:
            self.problems.add(
                path, f"id {spec.id!r} is a {role.name!r} in profile {self.profile.name!r}, not a {spec.name!r}"
            )
            return None
        space = spec.space or (role.space if role else None) or self._only_space(path, spec)
        if space is None:
            return None
        if space not in {s.id or s.name for s in self.suite.spaces}:
            known = [s.id or s.name for s in self.suite.spaces]
            close = registry.nearest(space, known)
            hint = f"did you mean {close!r}?" if close and spec.space else f"add it to `spaces` ({', '.join(known)})"
            self.problems.add((*path, "space"), f"space {space!r} is not one of the suite's; {hint}")
            return None
        weights = spec.weights or (role.weights if role else None)
        if weights is None and spec.id and role is None and "weights" in (registry.retrievers.options(spec.name) or ()):
            self._unknown_id((*path, "id"), spec.id)
            return None
        encoder = self._encoder(space)
        options = {**_options(role), **spec.options}
        sampling = spec.sampling.model_dump(exclude_none=True) if spec.sampling else {}
        return RetrieverRef(spec.id or spec.name, spec.name, encoder, weights, options, sampling)

    def _only_space(self, path: Path, spec: RetrieverSpec) -> str | None:
        if spec.id and spec.id not in self.profile.retrievers and spec.weights is None:
            self._unknown_id((*path, "id"), spec.id)
        elif len(self.suite.spaces) == 1:
            return self.suite.spaces[0].id or self.suite.spaces[0].name
        else:
            self.problems.add(path, "name its `space`; the suite has more than one")
        return None

    def _unknown_id(self, path: Path, given: str) -> None:
        known = list(self.profile.retrievers)
        close = registry.nearest(given, known)
        hint = f"did you mean {close!r}?" if close else f"known: {', '.join(known)}"
        self.problems.add(
            path,
            f"profile {self.profile.name!r} has no retriever {given!r}; {hint} (or give `space` and `weights` here)",
        )

    def _encoder(self, space: str) -> str:
        role = self.profile.spaces.get(next((s.name for s in self.suite.spaces if (s.id or s.name) == space), space))
        return role.encoder if role else space

    def modifiers(self) -> tuple[ModifierRow, ...]:
        """The grid, row by row."""
        found: list[ModifierRow] = []
        for place, spec in enumerate(self.suite.modifiers):
            if spec.name not in registry.modifiers:
                self._unknown(("modifiers", place, "name"), registry.modifiers, spec.name, ())
                continue
            like = spec.options.get("like")
            if like is not None and like not in registry.modifiers:
                self._unknown(("modifiers", place, "like"), registry.modifiers, str(like), ())
            self._construct(("modifiers", place), spec)
            strengths: tuple[float | None, ...] = spec.strength or (None,)
            if spec.primary is not None and spec.primary not in strengths:
                self.problems.add(("modifiers", place, "primary"), f"{spec.primary:g} is not among its strengths")
            row = ModifierRow(spec.id or spec.name, spec.name, spec.options, strengths, _primary(spec))
            same = [r for r in found if (r.name, r.options) == (row.name, row.options)]
            if any(set(r.strengths) & set(row.strengths) for r in same):
                self.problems.add(
                    ("modifiers", place), f"{spec.name!r} with these options and strengths is listed twice"
                )
            found.append(row)
        return tuple(found)

    def _construct(self, path: Path, spec: ModifierSpec) -> None:
        """Make the modifier once: it knows which values its options may have."""
        try:
            registry.modifiers.get(spec.name)(**spec.options)
        except (UserError, TypeError, ValueError) as error:
            self.problems.add(path, str(error))

    def claims(self) -> tuple[Claim, ...]:
        """The claims; every reference to a metric, a cell or another claim must exist in the suite."""
        ids = [claim.id for claim in self.suite.claims]
        self._duplicates("claims", ids)
        found = []
        for place, spec in enumerate(self.suite.claims):
            path: Path = ("claims", place)
            self._check_claim_metric(path, spec)
            for number, need in enumerate(spec.requires):
                if need not in ids[:place]:
                    close = registry.nearest(need, ids[:place])
                    hint = f"did you mean {close!r}?" if close else "it must stand above this claim"
                    self.problems.add((*path, "requires", number), f"no claim {need!r} above this one; {hint}")
            a = self._side((*path, "a"), spec.a, spec)
            b = [self._side((*path, "b", number), side, spec) for number, side in enumerate(spec.b)]
            over = [self._side((*path, "over", number), side, spec) for number, side in enumerate(spec.over)]
            found.append(
                Claim(
                    id=spec.id, text=spec.text, source=spec.source, metric=spec.metric, a=a, b=b or None, at=spec.at,
                    expect=spec.expect, compare=spec.compare, margin=spec.margin, requires=list(spec.requires),
                    predictor=spec.predictor, over=over,
                )
            )  # fmt: skip
        return tuple(found)

    def _check_claim_metric(self, path: Path, spec: ClaimSpec) -> None:
        for key, name in (("metric", spec.metric), ("predictor", spec.predictor)):
            if name is not None and name not in (*self.suite.metrics, *CLAIM_ONLY_METRICS):
                missing = f"metric {name!r} is not among the suite's `metrics`; add it there"
                self.problems.add((*path, key), metric_problem(name) or missing)

    def _side(self, path: Path, side: ClaimSide, claim: ClaimSpec) -> dict[str, Any]:
        """One side as a selector, after checking that the suite computes such a cell."""
        self._check_role((*path, "dataset"), "dataset", side.dataset, [s.id or s.name for s in self.suite.datasets])
        both = [s.id or s.name for s in (*self.suite.retrievers, *self.suite.replicates)]
        self._check_role((*path, "retriever"), "retriever", side.retriever, both)
        self._check_role((*path, "space"), "space", side.space, [s.id or s.name for s in self.suite.spaces])
        if side.modifier not in (None, "none"):
            self._check_modifier(path, side)
        if side.strength is not None and claim.at == "equal-removal":
            self.problems.add(
                (*path, "strength"), "a comparison at equal removal runs over the sweep; remove the strength"
            )
        selector = side.model_dump(exclude_none=True, exclude={"times", "minus"}) | dict(side.options)
        if side.space is not None:
            selector["space"] = self._encoder(side.space)
        if side.times != 1.0:
            selector["times"] = side.times
        if side.minus is not None:
            selector["minus"] = self._side((*path, "minus"), side.minus, claim)
        return selector

    def _check_role(self, path: Path, noun: str, given: str | None, known: list[str]) -> None:
        if given is not None and given not in known:
            close = registry.nearest(given, known)
            hint = f"did you mean {close!r}?" if close else f"the suite has: {', '.join(known)}"
            self.problems.add(path, f"{noun} {given!r} is not in the suite; {hint}")

    def _check_modifier(self, path: Path, side: ClaimSide) -> None:
        names = [spec.name for spec in self.suite.modifiers]
        if side.modifier not in names:
            self._check_role((*path, "modifier"), "modifier", side.modifier, [*names, "none"])
            return
        rows = [s for s in self.suite.modifiers if s.name == side.modifier and _agrees(s.options, side.options)]
        if not rows:
            self.problems.add(
                path, f"no row of `modifiers` is a {side.modifier!r} with {dict(side.options)}; add it there"
            )
        elif side.strength is not None and not any(side.strength in (row.strength or ()) for row in rows):
            swept = sorted({value for row in rows for value in row.strength or ()})
            listed = ", ".join(f"{value:g}" for value in swept) or "none"
            self.problems.add(
                (*path, "strength"), f"{side.strength:g} is not among the strengths of {side.modifier!r} ({listed})"
            )


def _agrees(options: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a row can be meant: an option that the row leaves at its default may be named by the claim."""
    return all(options.get(key, value) == value for key, value in wanted.items())


def _options(role: DatasetSpec | RetrieverSpec | None) -> dict[str, Any]:
    return dict(role.options) if role else {}


def _primary(spec: ModifierSpec) -> float | None:
    if spec.strength is None:
        return None
    if spec.primary is not None:
        return spec.primary
    return PRIMARY if PRIMARY in spec.strength else sorted(spec.strength)[len(spec.strength) // 2]
