from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.errors import UserError
from gdr.unet import MINI, PAPER, GDRUNet, UNetConfig

SMALL = UNetConfig(
    in_channels=12,
    channels=(16, 24, 32),
    factors=(1, 2, 2),
    items=(1, 2, 1),
    attention=(0, 1, 1),
    heads=2,
    head_dim=8,
    context_dim=10,
    modulation=20,
    groups=4,
    null_length=5,
)


def randomised(config: UNetConfig, seed: int = 0) -> GDRUNet:
    """A network whose zero-initialised layers matter as well."""
    torch.manual_seed(seed)
    network = GDRUNet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return network


def inputs(config: UNetConfig, batch: int, frames: int, lengths: list[int], seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, config.in_channels, frames, generator=generator)
    t = torch.randint(0, 1000, (batch,), generator=generator)
    tokens = torch.randn(batch, max(lengths), config.context_dim, generator=generator)
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return x, t, tokens, mask


@pytest.fixture(scope="module")
def network() -> GDRUNet:
    return randomised(SMALL)


@pytest.mark.parametrize(
    ("changes", "millions"),
    [
        ({}, 40.2),
        ({"context_dim": 512}, 39.2),
        ({"in_channels": 1728}, 48.8),
        ({"factors": (1, 2, 2, 2), "attention": (0, 1, 1, 1), "groups": 8}, 43.6),
    ],
)
def test_parameters_are_the_papers_forty_millions(changes, millions):
    with torch.device("meta"):
        network = GDRUNet(replace(PAPER, **changes))
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


def test_mini_is_small():
    assert 1e6 < sum(parameter.numel() for parameter in GDRUNet(MINI).parameters()) < 3.2e6


@pytest.mark.parametrize("frames", [1, 3, 16, 61])
def test_any_length_keeps_its_shape(network, frames):
    x, t, tokens, mask = inputs(SMALL, 2, frames, [4, 6])
    with torch.no_grad():
        out = network(x, t, tokens, mask)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("frames", [64, 61])
def test_the_paper_size_runs(frames):
    x, t, tokens, mask = inputs(PAPER, 1, frames, [3])
    with torch.no_grad():
        assert GDRUNet(PAPER)(x, t, tokens, mask).shape == x.shape


def test_a_new_network_predicts_zero_and_can_learn():
    torch.manual_seed(0)
    network = GDRUNet(SMALL)
    x, t, tokens, mask = inputs(SMALL, 4, 8, [4, 6, 2, 1])
    assert torch.equal(network(x, t, tokens, mask), torch.zeros_like(x))
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    target = torch.randn_like(x)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (network(x, t, tokens, mask) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    untrained = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert untrained == ["null_text"]


def test_time_text_and_other_frames_matter(network):
    x, t, tokens, mask = inputs(SMALL, 2, 8, [4, 6])
    with torch.no_grad():
        out = network(x, t, tokens, mask)
        assert (network(x, t + 100, tokens, mask) - out).abs().max() > 1e-2
        assert (network(x, t, tokens.flip(0), mask) - out).abs().max() > 1e-2
        moved = x.clone()
        moved[..., 0] += 1.0
        assert (network(moved, t, tokens, mask) - out)[..., -1].abs().max() > 1e-3


def test_padding_changes_nothing(network):
    x, t, tokens, mask = inputs(SMALL, 3, 8, [4, 6, 2])
    wider = torch.cat([tokens, torch.full((3, 5, SMALL.context_dim), 9.0)], 1)
    wider_mask = torch.cat([mask, torch.zeros(3, 5, dtype=torch.bool)], 1)
    other = torch.where(mask[..., None], tokens, torch.full_like(tokens, -7.0))
    with torch.no_grad():
        out = network(x, t, tokens, mask)
        torch.testing.assert_close(network(x, t, wider, wider_mask), out, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(network(x, t, other, mask), out, atol=1e-5, rtol=1e-5)


def test_batch_composition_changes_nothing(network):
    x, t, tokens, mask = inputs(SMALL, 3, 8, [4, 6, 2])
    with torch.no_grad():
        together = network(x, t, tokens, mask)
        alone = torch.cat([network(x[i : i + 1], t[i : i + 1], tokens[i : i + 1], mask[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-4)


def test_prepared_features_equal_the_direct_path(network):
    x, _, tokens, mask = inputs(SMALL, 6, 8, [4, 6, 2, 5, 3, 1])
    order = torch.tensor([2, 0, 2, 1, 5, 5])
    with torch.no_grad():
        direct = network(x, torch.full((6,), 321), tokens[order], mask[order])
        context = network.encode_context(tokens, mask).index_select(order)
        time = network.embed_time(torch.tensor([321]))
        torch.testing.assert_close(network.predict(x, time, context), direct, atol=1e-5, rtol=1e-4)


def test_samples_of_a_prompt_share_its_keys(network):
    x, t, tokens, mask = inputs(SMALL, 6, 8, [4, 6, 2, 5, 3, 1])
    with torch.no_grad():
        direct = network(x, t, tokens[:2].repeat_interleave(3, 0), mask[:2].repeat_interleave(3, 0))
        context = network.encode_context(tokens[:2], mask[:2]).repeated(3)
        torch.testing.assert_close(network.predict(x, network.embed_time(t), context), direct, atol=1e-5, rtol=1e-4)


def test_joined_contexts_pad_the_shorter_text(network):
    x, t, tokens, mask = inputs(SMALL, 4, 8, [4, 6, 2, 3])
    with torch.no_grad():
        null = network.encode_context(*network.null_context(1))
        context = network.encode_context(tokens[:2], mask[:2]).join(null.expand(2))
        joint = network.predict(x, network.embed_time(t), context)
        first = network(x[:2], t[:2], tokens[:2], mask[:2])
        second = network(x[2:], t[2:], *network.null_context(2))
    torch.testing.assert_close(joint, torch.cat([first, second]), atol=1e-5, rtol=1e-4)


def test_dropped_texts_become_the_null_text(network):
    x, t, tokens, mask = inputs(SMALL, 3, 8, [4, 3, 2])
    drop = torch.tensor([False, True, False])
    with torch.no_grad():
        mixed = network(x, t, *network.drop_text(tokens, mask, drop))
        kept = network(x, t, tokens, mask)
        null = network(x, t, *network.null_context(3))
    torch.testing.assert_close(mixed, torch.where(drop[:, None, None], null, kept), atol=1e-5, rtol=1e-4)


def test_half_precision_stays_close(network):
    x, t, tokens, mask = inputs(SMALL, 2, 8, [4, 6])
    half = randomised(SMALL).bfloat16()
    with torch.no_grad():
        out = half(x.bfloat16(), t, tokens.bfloat16(), mask)
        reference = network(x, t, tokens, mask)
    assert out.dtype == torch.bfloat16
    assert (out.float() - reference).norm() < 0.1 * reference.norm()


def test_a_text_without_tokens_and_a_wrong_batch_are_refused(network):
    x, t, tokens, mask = inputs(SMALL, 2, 8, [4, 6])
    mask = mask.clone()
    mask[0] = False
    with pytest.raises(ValueError, match="needs a token"):
        network(x, t, tokens, mask)
    with pytest.raises(ValueError, match="batch has 2"):
        network.predict(x, network.embed_time(t), network.encode_context(tokens[1:], mask[1:]))


def test_weights_survive_a_state_dict(network):
    x, t, tokens, mask = inputs(SMALL, 2, 8, [4, 6])
    other = GDRUNet(UNetConfig.from_dict(SMALL.to_dict())).eval()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(other(x, t, tokens, mask), network(x, t, tokens, mask))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head": 4}, "did you mean heads"),
        ({"groups": 7}, "groups: 7 does not divide"),
        ({"factors": [2, 2]}, "factors: 2 levels, but channels has 4"),
        ({"attention": [0, 0, 1, 2]}, "attention"),
        ({"prediction": "v"}, "prediction: unknown value 'v'"),
        ({"heads": 0}, "heads"),
        ({"channels": [512, 512, 512, "1k"]}, "channels: must be whole numbers"),
    ],
)
def test_a_wrong_config_names_its_key(values, message):
    with pytest.raises(UserError, match=message):
        UNetConfig.from_dict(values)


def test_config_round_trip():
    assert UNetConfig.from_dict(MINI.to_dict()) == MINI
