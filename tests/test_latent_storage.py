"""Latents in eight bits: what is lost is bounded, and what is not packed is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bench.latent_storage import pack_rows, unpack_rows

MATRICES = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-2, 2, width=32))


@given(MATRICES)
def test_no_entry_is_off_by_more_than_half_a_step(rows):
    packed = pack_rows({"a": rows})
    assert packed["a"].dtype == np.int8
    assert packed["a.scale"].shape == (len(rows),)
    back = unpack_rows(packed)["a"]
    taken = rows.astype(np.float16).astype(np.float64)
    step = np.abs(taken).max(1, keepdims=True) / 127
    assert (np.abs(back - taken) <= 0.5 * step * (1 + 1e-5) + 1e-12).all()


def test_directions_of_latents_hold_to_four_digits():
    rows = np.random.default_rng(0).normal(size=(200, 128)) * 0.08
    back = unpack_rows(pack_rows({"a": rows}))["a"]
    cosine = (rows * back).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(back, axis=1)
    assert cosine.min() > 0.9999


def test_a_set_stored_as_float16_packs_to_the_same_bytes():
    rows = np.random.default_rng(1).normal(size=(50, 16)).astype(np.float32)
    for name, array in pack_rows({"a": rows}).items():
        assert array.tobytes() == pack_rows({"a": rows.astype(np.float16)})[name].tobytes()


def test_rows_of_zeros_and_plain_arrays_pass():
    plain = np.arange(6, dtype=np.float16).reshape(2, 3)
    back = unpack_rows({**pack_rows({"a": np.zeros((2, 3))}), "plain": plain})
    assert set(back) == {"a", "plain"}
    np.testing.assert_array_equal(back["a"], 0)
    assert back["plain"] is plain


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((1, 2, 3)), np.array([[np.nan]]), np.array([[1e9]])])
def test_what_cannot_be_packed_is_refused(bad):
    with pytest.raises(ValueError, match="a: only a matrix of finite numbers"):
        pack_rows({"a": bad})
