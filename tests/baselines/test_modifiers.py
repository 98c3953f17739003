"""Modifiers on a small context with known vectors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from baselines.modifiers._vectors import unit
from baselines.modifiers.audio_interpolation import AudioInterpolation
from baselines.modifiers.prefix_negation import PrefixNegation
from baselines.modifiers.random_direction import RandomDirection
from baselines.modifiers.slerp import Slerp, slerp
from baselines.modifiers.text_interpolation import TextInterpolation
from bench.errors import UserError
from bench.protocols import Edit, Sampling
from gdr.modifiers.negative_prompting import IrrelevantNegative, NegativePrompting

D = 6


class Context:
    """Latents and text vectors drawn from the text itself; remembers what it was asked."""

    def __init__(self, prompts, negatives):
        self.prompts = prompts
        self.edits = [Edit(n, f"irrelevant {n}") for n in negatives]
        self.sampling = Sampling(samples=4, seed=3)
        self.asked = []

    def _draw(self, text, k):
        return np.random.default_rng([*text.encode(), k]).standard_normal(D)

    def query(self, prompts, guidance=None):
        self.asked.append(("query", tuple(prompts), guidance))
        return np.array([[self._draw(p, k) for k in range(4)] for p in prompts], dtype=np.float32)

    def query_negative(self, prompts, negatives, w):
        self.asked.append(("negative", tuple(negatives), w))
        return self.query(prompts) - w * self.query(negatives)

    def text(self, texts):
        return unit(np.array([self._draw(t, 99) for t in texts]))

    def modified(self, name, strength):
        return self.query_negative(self.prompts, [e.text for e in self.edits], strength)


@pytest.fixture
def context():
    return Context(["a calm tune", "fast rock"], ["piano", "guitar"])


def test_difference_is_the_formula_of_the_paper_on_raw_vectors(context):
    moved = TextInterpolation("difference", "raw").apply(context, 2.0)
    positive, negative = context.text(context.prompts), context.text(["piano", "guitar"])
    expected = context.query(context.prompts) + 2 * (positive - negative)[:, None]
    np.testing.assert_allclose(moved, expected, rtol=1e-6)


def test_the_variant_add_goes_towards_the_text_of_the_edit(context):
    wanted = context.text([edit.text for edit in context.edits])
    cosines = [
        (unit(TextInterpolation("add").apply(context, w).mean(1)) * wanted).sum(-1) for w in (0.0, 0.5, 2.0, 500.0)
    ]
    assert all((later > earlier).all() for earlier, later in itertools.pairwise(cosines))
    np.testing.assert_allclose(cosines[-1], 1.0, atol=1e-3)


@pytest.mark.parametrize("variant", ["subtract", "away"])
def test_other_variants_lower_the_cosine_to_the_negative_more_than_the_difference_can_keep(context, variant):
    negative = context.text(["piano", "guitar"])
    moved = unit(TextInterpolation(variant).apply(context, 50.0).mean(1))
    assert ((moved * negative).sum(1) < -0.5).all()


@pytest.mark.parametrize("make", [TextInterpolation, AudioInterpolation])
def test_renormalised_changes_length_only(context, make):
    plain, kept = make(vectors="unit").apply(context, 1.0), make(vectors="renormalised").apply(context, 1.0)
    np.testing.assert_allclose(unit(plain), unit(kept), atol=1e-6)
    lengths = np.linalg.norm(context.query(context.prompts), axis=-1)
    np.testing.assert_allclose(np.linalg.norm(kept, axis=-1), lengths, rtol=1e-5)


@pytest.mark.parametrize(
    "modifier",
    [TextInterpolation(), TextInterpolation("subtract"), TextInterpolation("away"), AudioInterpolation(), Slerp()],
)
def test_strength_zero_is_the_unmodified_query(context, modifier):
    moved = modifier.apply(context, 0.0)
    np.testing.assert_allclose(unit(moved), unit(context.query(context.prompts)), atol=1e-6)


def test_slerp_turns_by_a_share_of_the_angle_and_survives_antipodes():
    a, b = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    assert np.arccos(slerp(a, b, 0.3) @ a) == pytest.approx(0.3 * np.pi / 2)
    np.testing.assert_array_equal(slerp(a, -a, 0.5), a)


def test_random_direction_has_the_cosine_of_what_it_stands_for(context):
    moved = RandomDirection().apply(context, 0.7)
    base = unit(context.query(context.prompts).mean(1))
    like = unit(context.modified("negative-prompting", 0.7).mean(1))
    np.testing.assert_allclose((base * unit(moved.mean(1))).sum(1), (base * like).sum(1), atol=1e-5)
    assert np.abs((unit(moved.mean(1)) * like).sum(1)).max() < 0.999


def test_negative_prompting_hands_over_eq_2_and_its_before(context):
    NegativePrompting().apply(context, 2.0)
    assert ("negative", ("piano", "guitar"), 2.0) in context.asked
    assert NegativePrompting().guidance_before(2.0, default=3.0) == 3.0
    assert NegativePrompting().guidance_before(0.0, default=3.0) == 1.0


def test_placebo_asks_for_the_irrelevant_negative(context):
    IrrelevantNegative().apply(context, 1.0)
    assert ("negative", ("irrelevant piano", "irrelevant guitar"), 1.0) in context.asked


@pytest.mark.parametrize(("form", "expected"), [("replace", "not piano"), ("append", "a calm tune, not piano")])
def test_prefix_negation_writes_the_negation(context, form, expected):
    PrefixNegation(form).apply(context, None)
    assert context.asked[-1][1][0] == expected


@pytest.mark.parametrize(
    ("make", "options", "named"),
    [
        (TextInterpolation, {"variant": "sum"}, "variant 'sum'"),
        (TextInterpolation, {"vectors": "long"}, "vectors 'long'"),
        (AudioInterpolation, {"vectors": "long"}, "vectors 'long'"),
        (PrefixNegation, {"form": "prefix"}, "form 'prefix'"),
    ],
)
def test_unknown_options_are_named(make, options, named):
    with pytest.raises(UserError, match=named):
        make(**options)
