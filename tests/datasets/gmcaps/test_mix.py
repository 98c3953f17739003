"""The mixes: one dial at a time is turned, and everything else stays."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest

from bench import registry
from bench.bundle.audio_sets import mixes_file
from bench.bundle.build import load_recipe
from bench.datasets.gmcaps import corpus
from bench.datasets.gmcaps.attributes import GENRES
from bench.datasets.gmcaps.captions._statistics import caption_statistics
from bench.datasets.gmcaps.laws import attribute_law
from bench.datasets.gmcaps.mix import LAWS, RENDERINGS, SIZE, Mix
from bench.datasets.predicates import Predicate
from bench.errors import UserError
from bench.protocols import Dataset
from bench.space import BundledSpace
from bench.suite import load_suite
from bench.tasks import gallery_of

STYLES = ("library", "describer")
ENCODERS = ("mini-clap", "mini-muscall")
SETTINGS = list(product(LAWS, RENDERINGS))


@cache
def loaded(law: str = "pc", rendering: str = "pc", style: str = "library") -> Dataset:
    return Mix().load(law=law, rendering=rendering, style=style)


@cache
def space(name: str) -> BundledSpace:
    return BundledSpace(registry.encoders.get(name)())


@pytest.mark.parametrize(("law", "style"), list(product(LAWS, STYLES)))
def test_every_track_has_one_caption_and_all_it_states_is_true(law: str, style: str) -> None:
    made = loaded(law, "pc", style)
    assert len(made.track_ids) == SIZE == len(set(made.track_ids))
    assert tuple(made.captions["track_id"]) == made.track_ids
    assert made.captions["caption_id"].is_unique
    assert made.seconds == 16
    assert made.truth is not None
    assert tuple(made.truth["track_id"]) == made.track_ids
    for row, stated in enumerate(made.captions["stated"][:150]):
        assert all(Predicate.parse(one).holds(made.truth.iloc[[row]])[0] for one in stated)


def test_rendering_changes_nothing_but_the_latents() -> None:
    one, other = loaded(rendering="pc"), loaded(rendering="sd")
    assert one.track_ids == other.track_ids
    pd.testing.assert_frame_equal(one.captions, other.captions)
    pd.testing.assert_frame_equal(one.truth, other.truth)
    assert (one.gallery, other.gallery) == ("mixes/pc-pc", "mixes/pc-sd")
    assert one.fingerprint != other.fingerprint


def test_style_changes_nothing_but_the_captions() -> None:
    one, other = loaded(style="library"), loaded(style="describer")
    assert one.track_ids == other.track_ids
    assert list(one.captions["caption_id"]) == list(other.captions["caption_id"])
    pd.testing.assert_frame_equal(one.truth, other.truth)
    assert one.gallery == other.gallery
    assert not set(one.captions["text"]) & set(other.captions["text"])


def test_law_changes_the_pieces() -> None:
    assert not set(loaded("pc").track_ids) & set(loaded("sd").track_ids)


@pytest.mark.parametrize("law", LAWS)
def test_pieces_follow_the_law_they_are_named_after(law: str) -> None:
    """Their genres are more likely under that law than under the other, by far more than chance could make them."""
    truth = loaded(law).truth
    assert truth is not None
    places = [GENRES.index(genre) for genre in truth["genre"]]
    weights = {name: np.array(attribute_law(name).genre_weights) for name in LAWS}
    other = next(name for name in LAWS if name != law)
    logs = {name: np.log(values / values.sum())[places] for name, values in weights.items()}
    gain = logs[law] - logs[other]
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_captions_follow_the_style_they_are_named_after() -> None:
    library, describer = (caption_statistics(loaded(style=style).captions["text"]) for style in STYLES)
    assert library.median_words == pytest.approx(27, rel=0.2)
    assert describer.median_words == pytest.approx(17, rel=0.25)
    assert library.key > 2 > describer.key == 0


def test_tracks_are_those_of_no_split() -> None:
    own = {corpus.track(corpus.mix(law=law, rendering=law, style=None), "test", 0).seed for law in LAWS}
    splits = {corpus.track(d, split, 0).seed for d in corpus.DOMAINS for split in corpus.DOMAINS[d].sizes}
    assert len(own) == len(LAWS)
    assert not own & splits


def test_fewer_tracks_are_the_first_ones() -> None:
    few, whole = Mix().load(tracks=7), loaded()
    assert few.track_ids == whole.track_ids[:7]
    assert list(few.captions["text"]) == list(whole.captions["text"])[:7]
    assert few.fingerprint != whole.fingerprint
    assert few.name != whole.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "mc"}, "unknown law 'mc'"),
        ({"rendering": "web"}, "unknown rendering 'web'"),
        ({"style": "descriper"}, "did you mean 'describer'"),
        ({"tracks": 0}, "tracks must be 2 to 706, got 0"),
        ({"tracks": 707}, "got 707"),
        ({"tracks": 1}, "got 1"),
    ],
)
def test_a_setting_that_does_not_exist_is_named(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        Mix().load(**options)
    assert "gmcaps/mix" in str(raised.value)


def test_what_can_be_loaded_is_what_the_bundle_was_made_with() -> None:
    entry = load_recipe()["mixes"]
    assert (tuple(entry["laws"]), tuple(entry["renderings"]), entry["size"]) == (LAWS, RENDERINGS, SIZE)
    assert tuple(entry["encoders"]) == ENCODERS
    assert [mixes_file(name) for name in ENCODERS] == [f"mixes-{name}.safetensors" for name in ENCODERS]


def test_the_suite_of_the_dials_is_a_full_factorial() -> None:
    refs = load_suite("domain-shift").datasets
    expected = {
        f"mix-{law}-{rendering}-{style}": {"law": law, "rendering": rendering, "style": style}
        for law, rendering, style in product(LAWS, RENDERINGS, STYLES)
    }
    assert {ref.id: dict(ref.options) for ref in refs} == expected
    assert {ref.name for ref in refs} == {"gmcaps/mix"}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_latents_are_those_of_the_tracks(bundle_ready, encoder: str) -> None:
    """First and last track of every setting, rendered and encoded anew, against what the bundle holds."""
    held, waves = [], []
    for law, rendering in SETTINGS:
        made = loaded(law, rendering)
        gallery = gallery_of(made, Mix(), space(encoder))
        assert gallery.raw.shape == (SIZE, space(encoder).dim)
        domain = corpus.mix(law=law, rendering=rendering, style=None, size=SIZE)
        for row in (0, SIZE - 1):
            assert corpus.track(domain, "test", row).track_id == gallery.track_ids[row]
            held.append(gallery.unit[row])
            waves.append(corpus.compose_and_render(corpus.track(domain, "test", row)))
    fresh = np.stack([frames.astype(np.float64).mean(0) for frames in space(encoder).encoder.encode_audio(waves)])
    fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    cosines = fresh @ np.stack(held).T
    assert (np.diag(cosines) > 0.999).all()
    # and of no other track: the check above can fail
    assert (np.argmax(cosines, axis=1) == np.arange(len(held))).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_rendering_moves_every_track_but_leaves_it_like_itself(bundle_ready, encoder: str) -> None:
    one, other = (gallery_of(loaded("pc", rendering), Mix(), space(encoder)).unit for rendering in RENDERINGS)
    same = (one * other).sum(1)
    assert (same < 0.9999).all()
    assert same.mean() > (one @ other.T).mean() + 0.3
