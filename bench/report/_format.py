"""Numbers and names as the reports print them: rounding by unit, intervals, short labels of methods."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from bench.report._untrusted import clean, clip
from bench.report.load import Value

__all__ = [
    "BY_STEPS", "PLACEBOS", "cell_label", "dataset_label", "family_label", "interval", "p_value", "primary",
    "retriever_label", "rounded", "slug",
]  # fmt: skip

#: Decimals by unit; other units (distances, effective numbers of items) get three significant digits.
DECIMALS = {"%": 1, "cosine": 2, "share": 2, "effect": 3}
PLACEBOS = frozenset({"irrelevant-negative", "random-direction"})
#: Strength at which methods are printed side by side: the paper's guidance 3, and a fifth of the angle for slerp.
PRIMARY = {"slerp": 0.2, "ddim-inversion": 0.4, "sdedit": 0.4}
#: Modifiers whose strength is a share of the steps that are gone back.
BY_STEPS = frozenset({"ddim-inversion", "sdedit"})
PRIMARY_DEFAULT = 2.0
#: Digits that count: the last ones of a float differ between processors, and must not decide how a half is rounded.
_SURE_DIGITS = 10


def rounded(value: float | None, unit: str) -> str:
    """A number in a unit: percentages one decimal, cosines and shares two, distances three significant digits.

    >>> rounded(71.26, "%"), rounded(0.1234, "distance"), rounded(-0.001, "cosine"), rounded(12.0, "rank")
    ('71.3', '0.123', '0.00', '12')
    >>> rounded(0.9999999, "distance"), rounded(0.99949, "distance")
    ('1.00', '0.999')
    >>> rounded(6.25, "%"), rounded(6.250000000000001, "%")
    ('6.2', '6.2')
    """
    if value is None:
        return "n/a"
    value = float(f"{value:.{_SURE_DIGITS}g}")
    if unit == "rank":
        return f"{value:.1f}".removesuffix(".0")
    decimals = DECIMALS[unit] if unit in DECIMALS else _three_digits(value)
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _three_digits(value: float) -> int:
    shown = float(f"{value:.3g}")  # 0.99996 is 1.00
    return 2 if shown == 0 else max(0, 2 - math.floor(math.log10(abs(shown))))


def interval(value: Value, unit: str) -> str:
    """`[lo, hi]`, or nothing where there is no interval."""
    if value.lo is None or value.hi is None:
        return ""
    return f"[{rounded(value.lo, unit)}, {rounded(value.hi, unit)}]"


def p_value(p: float | None) -> str:
    """Three decimals, or a bound."""
    return "n/a" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def slug(text: str) -> str:
    """A file name of lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


# --- names ------------------------------------------------------------------------------------------------------------

_RETRIEVERS = {"clap": "CLAP", "muscall": "MusCALL", "mule": "MULE", "t5": "T5"}
_WHOLE = {
    "mlp-diffusion": "MLP diffusion", "mlp-diffusion-bug": "MLP diffusion (dropout bug)",
    "mlp-regression": "MLP regression", "unet-regression": "UNet regression",
}  # fmt: skip


def dataset_label(name: str) -> str:
    """`SD` of `sd`; names that are no role stay as they are."""
    name = clip(clean(name))
    head, _, rest = name.partition("-")
    return f"{head.upper()}{f' {rest}' if rest else ''}" if len(head) <= 3 else name


def retriever_label(name: str) -> str:
    """`GDR-CLAP` of `gdr-clap`, as the paper spells it; parts that are no known model stay as they are."""
    if name in _WHOLE:
        return _WHOLE[name]
    name = clip(clean(name))
    return "-".join(_RETRIEVERS.get(part, part.upper() if part == "gdr" else part) for part in name.split("-"))


def family_label(modifier: str, params: Mapping[str, Any]) -> str:
    """Short name of a method, without its strength."""
    vectors = params.get("vectors", "unit")
    suffix = "" if vectors == "unit" else f", {vectors}"
    if modifier == "text-interpolation":
        variant = params.get("variant", "difference")
        return "Δ_T" + ("" if variant == "difference" else f" {variant}") + suffix
    if modifier == "prefix-negation":
        return f"PNP {params.get('form', 'append')}"
    plain = {
        "none": "unmodified", "negative-prompting": "NP", "audio-interpolation": "Δ_A" + suffix,
        "irrelevant-negative": "unrelated negative (placebo)", "random-direction": "random direction (placebo)",
    }  # fmt: skip
    if modifier in plain:
        return plain[modifier]
    if modifier in BY_STEPS or modifier == "regeneration" or (modifier == "slerp" and params.get("toward") == "edit"):
        return _editing_label(modifier, params)
    if modifier == "slerp":  # away from the negative
        return "slerp"
    own = {k: v for k, v in params.items() if k not in {"strength", "sampler", "samples", "guidance"}}
    return " ".join([modifier, *(f"{k}={v}" for k, v in sorted(own.items()))])


def _editing_label(modifier: str, params: Mapping[str, Any]) -> str:
    """Short name of a method that moves a query to a refined prompt."""
    if modifier == "regeneration":
        return f"regeneration, {params.get('noise', 'new')} noise"
    if modifier == "slerp":
        return "slerp to the edit"
    label = "DDIM inversion" if modifier == "ddim-inversion" else "SDEdit"
    guidance = params.get("guidance_inversion", 1.0)
    if guidance == 0:
        label += ", without a text"
    elif guidance != 1:
        label += f", guidance {guidance:g} in it"
    if "guidance_edit" in params:
        label += f", guidance {params['guidance_edit']:g} back"
    refine = params.get("refine", 0)
    known = {"strength", "sampler", "samples", "guidance", "guidance_edit", "guidance_inversion", "refine", "steps"}
    rest = [f"{name}={value}" for name, value in sorted(params.items()) if name not in known]
    return ", ".join([label, *([f"{refine} refinements"] if refine else []), *rest])


def cell_label(cell: Mapping[str, Any], guidance: float = 3.0) -> str:
    """Name of a method with its strength; an unmodified cell at another guidance says so."""
    params = cell["params"]
    label = family_label(cell["modifier"], params)
    if cell["modifier"] == "none" and params.get("guidance", guidance) != guidance:
        return f"{label}, guidance {params['guidance']:g}"
    strength = params.get("strength")
    if strength is None:
        return label
    if cell["modifier"] in BY_STEPS:
        steps = params.get("steps")
        said = f"{strength * steps:g} of {steps:g} steps" if steps else f"{100 * strength:g} % of the steps"
        return f"{label}, {said}"
    letter = "t" if cell["modifier"] == "slerp" else "w"
    placebo = " (placebo)" if label.endswith(" (placebo)") else ""
    return f"{label.removesuffix(placebo)}, {letter} = {strength:g}{placebo}"


def primary(modifier: str, strengths: list[float]) -> float | None:
    """The strength of a sweep at which a method is compared: the agreed one, else the middle of the sweep."""
    if not strengths:
        return None
    wanted = PRIMARY.get(modifier, PRIMARY_DEFAULT)
    ordered = sorted(strengths)
    return wanted if wanted in ordered else ordered[len(ordered) // 2]
