"""Weights in files: what int8 rows lose, what they keep, and which files are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from bench.errors import UserError
from gdr.latents import LatentScaler
from gdr.storage import FORMAT, dequantise, load_model, load_weights, quantise, save_model, save_weights
from gdr.unet import GDRUNet
from gdr.unet_config import UNetConfig

SMALL = UNetConfig(6, (8, 12), (2, 2), (1, 1), (1, 1), 2, 4, 5, 16, 2, 3)


def test_rows_by_hand():
    levels, scale = quantise(torch.tensor([[2.54, -1.27, 0.019], [0.0, 0.0, 0.0], [1e-6, -1e-6, 0.0]]))
    assert levels.dtype == torch.int8
    assert levels.tolist() == [[127, -64, 1], [0, 0, 0], [127, -127, 0]]  # 63.5 and 0.95 round
    assert scale[0] == pytest.approx(0.02)
    assert dequantise(levels, scale)[1].tolist() == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from([(1, 1), (5, 3), (4, 2, 3), (3, 2, 1, 5), (2, 0)]),
    power=st.integers(-20, 20),
)
def test_the_error_of_a_row_is_at_most_half_its_scale(seed, shape, power):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2.0**power
    levels, scale = quantise(weight)
    assert levels.shape == weight.shape
    assert levels.abs().max() <= 127 if levels.numel() else True
    error = (dequantise(levels, scale).double() - weight.double()).abs().flatten(1)
    assert bool((error <= 0.5001 * scale.double()[:, None]).all())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_rows_have_scales_of_their_own(seed):
    """A large row does not coarsen its neighbour, and rows may be permuted."""
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
    levels, scale = quantise(weight)
    grown = weight.clone()
    grown[2] *= 1024.0
    assert torch.equal(quantise(grown)[0], levels)
    order = torch.tensor([3, 1, 0, 2])
    assert torch.equal(quantise(weight[order])[0], levels[order])
    assert torch.equal(quantise(weight[order])[1], scale[order])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(value, tmp_path):
    weight = torch.ones(3, 2)
    weight[1, 0] = weight[2, 1] = value
    with pytest.raises(ValueError, match="2 weights are not finite, the first in row 1"):
        quantise(weight)
    with pytest.raises(ValueError, match="bias: 1 weights are not finite"):
        save_weights(tmp_path / "x", {"bias": torch.tensor([0.0, value])}, {})


def test_what_cannot_be_stored(tmp_path):
    with pytest.raises(ValueError, match="two axes"):
        quantise(torch.ones(3))
    with pytest.raises(ValueError, match="beyond 65504"):
        save_weights(tmp_path / "x", {"bias": torch.tensor([7e4])}, {})
    with pytest.raises(ValueError, match="unknown precision 'int4'"):
        save_weights(tmp_path / "x", {}, {}, precision="int4")
    with pytest.raises(ValueError, match="1 names are given twice, the first is 'a'"):
        save_weights(tmp_path / "x", {"a": torch.ones(2)}, {}, exact={"a": torch.ones(2)})
    assert not (tmp_path / "x").exists()


def test_what_is_in_the_file(tmp_path):
    weights = {"matrix": torch.randn(4, 5), "bias": torch.randn(4), "number": torch.tensor(0.5), "ids": torch.arange(3)}
    save_weights(tmp_path / "w", weights, {"note": "x"}, exact={"mean": torch.tensor([1 / 3])})
    with safe_open(tmp_path / "w", framework="pt") as stored:
        kinds = {name: stored.get_tensor(name).dtype for name in stored.keys()}  # noqa: SIM118
        assert stored.metadata() == {"note": "x", "format": FORMAT}
    assert kinds == {
        "matrix": torch.int8, "matrix.row_scale": torch.float32, "bias": torch.float16, "number": torch.float16,
        "ids": torch.int64, "mean": torch.float32,
    }  # fmt: skip
    back, metadata = load_weights(tmp_path / "w")
    assert set(back) == {*weights, "mean"}
    assert metadata["note"] == "x"
    assert torch.equal(back["mean"], torch.tensor([1 / 3]))
    assert torch.equal(back["ids"], weights["ids"])
    assert torch.equal(back["matrix"], dequantise(*quantise(weights["matrix"])))
    assert back["bias"].dtype == torch.float32
    assert torch.equal(back["bias"], weights["bias"].half().float())


def test_storing_again_what_was_stored_loses_nothing_more(tmp_path):
    weights = {"matrix": torch.randn(30, 50)}
    save_weights(tmp_path / "a", weights, {})
    once, _ = load_weights(tmp_path / "a")
    save_weights(tmp_path / "b", once, {})
    torch.testing.assert_close(load_weights(tmp_path / "b")[0]["matrix"], once["matrix"], rtol=1e-6, atol=0)


def test_a_format_of_the_future_is_refused(tmp_path):
    save_file({"model.x": torch.ones(2)}, tmp_path / "w", metadata={"format": "rows-int8-2"})
    with pytest.raises(UserError, match=r"format 'rows-int8-2'.*newer version"):
        load_weights(tmp_path / "w")


def scrambled_network():
    torch.manual_seed(0)
    network = GDRUNet(SMALL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


def test_a_file_of_the_format_before_still_loads(tmp_path):
    network, scaler = scrambled_network(), LatentScaler.fit(torch.randn(50, 6), "per_dim")
    state = {f"unet.{name}": value.half().contiguous() for name, value in network.state_dict().items()}
    state.update({f"scaler.{name}": value for name, value in scaler.state_dict().items()})
    save_file(state, tmp_path / "old", metadata={"config": "{}", "latent_norm": "per_dim"})
    back = load_model(tmp_path / "old")
    assert back.metadata == {"config": "{}", "latent_norm": "per_dim"}
    assert torch.equal(back.scaler.gain, scaler.gain)
    assert torch.equal(back.scaler.mean, scaler.mean)
    assert all(torch.equal(back.state[name], value.half().float()) for name, value in network.state_dict().items())
    network.load_state_dict(back.state)


def test_a_stored_network_predicts_nearly_the_same_at_a_quarter_of_the_size(tmp_path):
    config = UNetConfig(32, (64, 64), (2, 2), (1, 1), (1, 1), 4, 16, 48, 64, 8, 3)
    torch.manual_seed(1)
    network, scaler = GDRUNet(config).eval(), LatentScaler(32)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    inputs = torch.randn(4, 32, 8), torch.full((4,), 300), torch.randn(4, 5, 48), torch.ones(4, 5, dtype=torch.bool)
    sizes = {}
    for precision, closeness in (("float32", 0.0), ("int8", 0.02)):
        file = tmp_path / precision
        save_model(file, network, scaler, {}, precision=precision)
        sizes[precision] = file.stat().st_size
        back = GDRUNet(config).eval()
        back.load_state_dict(load_model(file).state)
        with torch.no_grad():
            before, after = network(*inputs), back(*inputs)
        assert float((after - before).norm() / before.norm()) <= closeness
    assert 3.0 < sizes["float32"] / sizes["int8"] < 4.0


def test_a_file_without_a_network_is_refused(tmp_path):
    save_weights(tmp_path / "w", {"coefficients": torch.ones(2, 2)}, {})
    with pytest.raises(UserError, match="no network with a latent scale"):
        load_model(tmp_path / "w")


def test_the_layout_of_a_convolution_does_not_matter():
    weight = torch.randn(4, 6, 1, 3)
    there = weight.to(memory_format=torch.channels_last)
    assert torch.equal(quantise(there)[0], quantise(weight)[0])
    np.testing.assert_array_equal(quantise(there)[1], quantise(weight)[1])
