"""What a suite file and a profile may say, as pydantic models; and their JSON schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench._validation import Strict, Version
from bench.registry import Registry, datasets, encoders, modifiers, retrievers

__all__ = [
    "CLAIM_ONLY_METRICS", "ClaimSide", "ClaimSpec", "DatasetSpec", "Knobs", "ModifierSpec", "ProfileFile",
    "RetrieverSpec", "SamplingKnobs", "Selection", "SpaceSpec", "SuiteFile", "json_schema",
]  # fmt: skip

SAMPLER = re.compile(r"(ddim|dpm\+\+2m|dpm\+\+2m-logsnr)-([1-9]\d{0,2})")
EXPECT = re.compile(r"\s*a\s*(?P<sign>[<>=])\s*(?P<right>b|-?\d+(?:\.\d+)?)\s*")
ID = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
MOST = 10**9
"""Of queries, samples and the like."""
CLAIM_ONLY_METRICS = ("frontier_area",)
"""Measures of a whole sweep: a claim may name them, a cell has none."""


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) or value is None else [value]


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _sampler(value: str) -> str:
    if not SAMPLER.fullmatch(value):
        raise ValueError(
            f"unknown sampler {value!r}; write ddim-STEPS, dpm++2m-STEPS or dpm++2m-logsnr-STEPS "
            "with 1 to 999 steps, such as ddim-50"
        )
    return value


def _countable(value: int) -> int:
    if value > MOST:
        raise ValueError(f"must be at most {MOST}")
    return value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{value!r} is listed twice")
    return values


def _no_options_key(data: Mapping[str, Any]) -> None:
    if "options" in data:
        raise ValueError("there is no key 'options'; write each option beside the name")


Text = Annotated[str, Field(min_length=1, strict=True)]
Name = Annotated[str, Field(min_length=1, strict=True)]
Id = Annotated[str, Field(pattern=ID, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True), AfterValidator(_countable)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Number = Annotated[float, Field(strict=True)]
Strength = Annotated[float, Field(ge=0, strict=True)]
Requirement = Annotated[str, Field(pattern=r"^(gpu|(dataset|extra):[A-Za-z0-9/_.-]+)$", strict=True)]


class PartSpec(Strict):
    """A named part with options of its own; which options there are is read from the part's source."""

    registry: ClassVar[Registry]
    hidden: ClassVar[frozenset[str]] = frozenset()
    """Parameters that the harness passes, not the suite."""

    name: Name
    id: Id | None = None
    options: dict[str, Any] = Field(default_factory=dict, exclude=True)

    @classmethod
    def _own_keys(cls) -> list[str]:
        return [key for key in cls.model_fields if key != "options"]

    @classmethod
    def _option_names(cls, data: Mapping[str, Any]) -> frozenset[str] | None:
        name = data.get("name")
        if not isinstance(name, str) or name not in cls.registry:
            return None
        found = cls.registry.options(name)
        return None if found is None else found - cls.hidden - set(cls._own_keys())

    @classmethod
    def known_keys(cls, data: Mapping[str, Any]) -> list[str]:
        return [*cls._own_keys(), *sorted(cls._option_names(data) or ())]

    @model_validator(mode="before")
    @classmethod
    def _collect_options(cls, data: Any) -> Any:
        """Move what the part takes under `options`; what it does not take stays and is refused as unknown."""
        if not isinstance(data, dict):
            return data
        _no_options_key(data)
        own = set(cls._own_keys())
        free = cls._option_names(data)
        # An unregistered name is an error of its own: do not add one for each of its options.
        taken = {k for k in data if k not in own and (free is None or k in free)}
        return {k: v for k, v in data.items() if k not in taken} | (
            {"options": {k: data[k] for k in taken}} if taken else {}
        )

    @model_validator(mode="after")
    def _check_options(self) -> PartSpec:
        """By the part's source; a role's part is not known yet (see `Resolver`)."""
        if self.options and self.name in self.registry:
            problems = self.registry.option_problems(self.name, self.options)
            if problems:
                raise ValueError("; ".join(f"{key}: {problem}" for key, problem in problems.items()))
        return self


class DatasetSpec(PartSpec):
    """A dataset by role (see the profile) or registry name, with options such as `style`."""

    registry = datasets

    @classmethod
    def _option_names(cls, data: Mapping[str, Any]) -> frozenset[str] | None:
        found = super()._option_names(data)
        return frozenset({"style"}) if found is None and "/" not in str(data.get("name", "")) else found


class SpaceSpec(PartSpec):
    """A latent space by role, or by its encoder's registry name."""

    registry = encoders
    hidden = frozenset({"weights", "tokenizer"})


class SamplingKnobs(Strict):
    """How a row's query latents are drawn; a row of settings of its own is not for a preset to change."""

    guidance: Annotated[float, Field(ge=0, strict=True)] | None = None
    sampler: Annotated[str, AfterValidator(_sampler)] | None = None
    samples: Count | None = None


class RetrieverSpec(PartSpec):
    """A retriever: registry `name`, `id` of this instance (a role of the profile), its space and weights."""

    registry = retrievers
    hidden = frozenset({"device"})
    space: Name | None = None
    weights: Name | None = None
    """Part of the bundle, or a file."""
    sampling: SamplingKnobs | None = None
    """Settings of this row alone; the others take the suite's and the preset's."""


class ModifierSpec(PartSpec):
    """A modifier and the strengths to sweep."""

    registry = modifiers
    strength: Annotated[Annotated[tuple[Strength, ...], Field(min_length=1)] | None, BeforeValidator(_one_or_more)] = (
        None
    )
    primary: Strength | None = None
    """The strength at which spread is measured too; by default 2 (the authors' guidance 3), else the sweep's middle."""


class Knobs(Strict):
    """How much is done, and how finely. A preset sets some of them anew."""

    guidance: Annotated[float, Field(ge=0, strict=True)] | None = None
    sampler: Annotated[str, AfterValidator(_sampler)] | None = None
    samples: Count | None = None
    queries: Count | None = None
    candidates: Count | None = None
    """Captions from which the pairs of a control suite are chosen."""
    diversity_samples: Annotated[int, Field(ge=2, strict=True), AfterValidator(_countable)] | None = None
    diversity_queries: Count | None = None


class Selection(Strict):
    """How (query, negative) pairs are chosen."""

    seed: Seed = 1000


def _expectation(text: str) -> str:
    if not EXPECT.fullmatch(text):
        raise ValueError(f"{text!r} is no expectation; write a > b, a < b, a = b, a > NUMBER or a < NUMBER")
    return text


class ClaimSide(Strict):
    """Cells that one side of a claim speaks of: those that agree with every key given."""

    modifier: Name | None = None
    strength: Strength | None = None
    retriever: Name | None = None
    dataset: Name | None = None
    space: Name | None = None
    times: Annotated[float, Field(gt=0, strict=True)] = 1.0
    """The side's value is multiplied by this."""
    minus: ClaimSide | None = None
    """Cells whose value is taken off: a side can be a gain over something else. Same dataset, means of queries only."""
    options: dict[str, Any] = Field(default_factory=dict, exclude=True)
    """Options of the modifier, such as its variant."""

    @classmethod
    def _option_names(cls, data: Mapping[str, Any]) -> frozenset[str] | None:
        name = data.get("modifier")
        if name is None:
            return frozenset()
        return modifiers.options(name) if isinstance(name, str) and name in modifiers else None

    @classmethod
    def known_keys(cls, data: Mapping[str, Any]) -> list[str]:
        return [*(k for k in cls.model_fields if k != "options"), *sorted(cls._option_names(data) or ())]

    @model_validator(mode="before")
    @classmethod
    def _collect_options(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        _no_options_key(data)
        free = cls._option_names(data)
        taken = {k for k in data if k not in cls.model_fields and (free is None or k in free)}
        return {k: v for k, v in data.items() if k not in taken} | (
            {"options": {k: data[k] for k in taken}} if taken else {}
        )


class ClaimSpec(Strict):
    """One finding as a checkable statement, with its margin."""

    id: Id
    text: Text
    source: Text
    metric: Name
    a: ClaimSide = ClaimSide()
    b: Annotated[tuple[ClaimSide, ...], BeforeValidator(_one_or_more)] = ()
    """Side a is held against the best of these."""
    predictor: Name | None = None
    """A second metric: the claim is then about its correlation with `metric` over the cells of `over`."""
    over: tuple[ClaimSide, ...] = ()
    """The cells of a correlation, one a side."""
    at: Literal["equal-removal", "same"] | None = None
    expect: Annotated[str, AfterValidator(_expectation)]
    compare: Literal["difference", "log-ratio"] = "difference"
    margin: Annotated[float, Field(ge=0, strict=True)] = 0.0
    requires: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _sides_fit(self) -> ClaimSpec:
        against_b = self.expect.strip().endswith("b")
        if bool(self.over) != (self.predictor is not None):
            raise ValueError(f"claim {self.id!r}: a correlation needs both `predictor` and `over`")
        if self.over and (self.b or against_b or "=" in self.expect):
            raise ValueError(f"claim {self.id!r}: a correlation is held against a number; write a > 0 or a < 0")
        if "=" in self.expect and (self.margin == 0 or len(self.b) > 1):
            raise ValueError(f"claim {self.id!r} expects {self.expect!r}: give one side b and a margin above 0")
        if against_b and not self.b:
            raise ValueError(f"claim {self.id!r} expects {self.expect!r}, so it needs a side b")
        if not against_b and self.b:
            raise ValueError(f"claim {self.id!r} expects {self.expect!r}, so its side b is never used; remove it")
        return self


Datasets = Annotated[tuple[Annotated[DatasetSpec, BeforeValidator(_named)], ...], Field(min_length=1)]
Retrievers = Annotated[tuple[Annotated[RetrieverSpec, BeforeValidator(_named)], ...], Field(min_length=1)]


class SuiteFile(Strict):
    """A suite: which cells to compute, what to measure, and what is claimed about it."""

    schema_version: Version
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", strict=True)]
    title: Text
    group: Name = "default"
    requires: tuple[Requirement, ...] = ()
    datasets: Datasets
    spaces: Annotated[tuple[Annotated[SpaceSpec, BeforeValidator(_named)], ...], Field(min_length=1)]
    retrievers: Retrievers
    replicates: tuple[Annotated[RetrieverSpec, BeforeValidator(_named)], ...] = ()
    """The same model trained from other seeds: claims are judged on them too."""
    prompts: Name | None = None
    """Prompt file, relative to the suite; without one the datasets' captions are the prompts."""
    modifiers: tuple[Annotated[ModifierSpec, BeforeValidator(_named)], ...] = ()
    metrics: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_distinct)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_distinct)] = (0,)
    settings: Knobs = Knobs()
    selection: Selection = Selection()
    presets: dict[Name, Knobs] = Field(default_factory=dict)
    claims: tuple[ClaimSpec, ...] = ()


class ProfileSpace(Strict):
    """What a space's role stands for."""

    encoder: Name


class ProfileFile(Strict):
    """What the suites' role names stand for."""

    schema_version: Literal[1] = 1
    name: Name
    datasets: dict[str, DatasetSpec]
    spaces: dict[str, ProfileSpace]
    retrievers: dict[str, RetrieverSpec]


def json_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a suite file, for editors; it is committed as suites/schema.json."""
    schema = SuiteFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions = schema["$defs"]
    for part in (DatasetSpec, SpaceSpec, RetrieverSpec, ModifierSpec, ClaimSide):
        described = definitions[part.__name__]
        described["properties"].pop("options", None)
        described["additionalProperties"] = True  # options are read from the part's source
        if part is not ClaimSide:
            definitions[part.__name__] = {"anyOf": [{"type": "string"}, described]}
    for holder, key in (("ModifierSpec", "strength"), ("ClaimSpec", "b")):
        described = definitions[holder]
        properties = (described["anyOf"][1] if "anyOf" in described else described)["properties"]
        many = properties[key].get("anyOf", [properties[key]])[0]
        properties[key] = {**properties[key], "anyOf": [many["items"], many]}
        for leftover in ("type", "items"):
            properties[key].pop(leftover, None)
    return schema
