from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from gdr.guidance import Branch, GuidedDenoiser, TimeTable
from gdr.sample import sample_ddim
from gdr.schedule import NoiseSchedule
from gdr.unet import GDRUNet, UNetConfig

SCHEDULE = NoiseSchedule()


@dataclass(frozen=True)
class Words:
    """Texts that are one number each."""

    values: torch.Tensor
    samples: int = 1

    @property
    def rows(self) -> int:
        return len(self.values)

    def expand(self, rows: int) -> Words:
        return replace(self, values=self.values.expand(rows))

    def join(self, *others: Words) -> Words:
        return replace(self, values=torch.cat([self.values, *(other.values for other in others)]))

    def repeated(self, samples: int) -> Words:
        return replace(self, samples=samples)


class Linear:
    """G(x, t, word) = x / 2 + t / 1000 + word, and a count of its calls."""

    def __init__(self, prediction: str = "x0") -> None:
        self.prediction = prediction
        self.batches: list[int] = []
        self.levels: list[int] = []

    def embed_time(self, t: torch.Tensor) -> torch.Tensor:
        self.levels.append(int(t))
        return t / 1000

    def predict(self, x: torch.Tensor, time: torch.Tensor, context: Words) -> torch.Tensor:
        self.batches.append(len(x))
        return x / 2 + time + context.values.repeat_interleave(context.samples)[:, None, None]


def words(*values: float) -> Words:
    return Words(torch.tensor(values, dtype=torch.float64))


X = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
POSITIVE, NEGATIVE, NULL = words(2.0, 3.0), words(-1.0, 7.0), words(0.5)


def expected(first: float, second: float) -> torch.Tensor:
    """The answer when the two prompts' words combine to these."""
    return X / 2 + 0.3 + torch.tensor([first, first, second, second])[:, None, None]


def test_plain_guidance_by_hand():
    network = Linear()
    denoiser = GuidedDenoiser.plain(network, SCHEDULE, POSITIVE, NULL, scale=3.0, samples=2)
    torch.testing.assert_close(denoiser(X, 300), expected(0.5 + 3 * 1.5, 0.5 + 3 * 2.5))
    assert network.batches == [8]


def test_equation_two_by_hand():
    network = Linear()
    denoiser = GuidedDenoiser.negative(network, SCHEDULE, POSITIVE, NEGATIVE, w=2.0, samples=2)
    torch.testing.assert_close(denoiser(X, 300), expected(3 * 2.0 - 2 * -1.0, 3 * 3.0 - 2 * 7.0))
    assert network.batches == [8]


def test_three_branches_by_hand():
    network = Linear()
    denoiser = GuidedDenoiser.three_branch(network, SCHEDULE, POSITIVE, NEGATIVE, NULL, toward=3.0, away=0.5, samples=2)
    by_hand = [0.5 + 3 * (p - 0.5) - 0.5 * (n - 0.5) for p, n in ((2.0, -1.0), (3.0, 7.0))]
    torch.testing.assert_close(denoiser(X, 300), expected(*by_hand))
    assert network.batches == [12]


@pytest.mark.parametrize("make", ["plain", "negative", "three"])
def test_branches_without_weight_are_not_evaluated(make):
    network = Linear()
    denoiser = {
        "plain": lambda: GuidedDenoiser.plain(network, SCHEDULE, POSITIVE, NULL, scale=1.0, samples=2),
        "negative": lambda: GuidedDenoiser.negative(network, SCHEDULE, POSITIVE, NEGATIVE, w=0.0, samples=2),
        "three": lambda: GuidedDenoiser.three_branch(
            network, SCHEDULE, POSITIVE, NEGATIVE, NULL, toward=1.0, away=0.0, samples=2
        ),
    }[make]()
    torch.testing.assert_close(denoiser(X, 300), expected(2.0, 3.0))
    assert network.batches == [4]


def test_scale_zero_is_the_null_text_for_every_prompt():
    denoiser = GuidedDenoiser.plain(Linear(), SCHEDULE, POSITIVE, NULL, scale=0.0, samples=2)
    torch.testing.assert_close(denoiser(X, 300), expected(0.5, 0.5))


def test_one_negative_serves_all_prompts():
    denoiser = GuidedDenoiser.negative(Linear(), SCHEDULE, POSITIVE, words(1.0), w=1.0, samples=2)
    torch.testing.assert_close(denoiser(X, 300), expected(3.0, 5.0))


def test_a_negative_equal_to_the_prompt_changes_nothing():
    denoiser = GuidedDenoiser.negative(Linear(), SCHEDULE, POSITIVE, POSITIVE, w=5.0, samples=2)
    torch.testing.assert_close(denoiser(X, 300), expected(2.0, 3.0))


def test_noise_predictions_are_combined_as_clean_ones():
    denoiser = GuidedDenoiser.negative(Linear("epsilon"), SCHEDULE, POSITIVE, NEGATIVE, w=2.0, samples=2)
    by_hand = SCHEDULE.x0_from_epsilon(X, expected(8.0, -5.0), 300)
    torch.testing.assert_close(denoiser(X, 300), by_hand)


def test_weights_that_do_not_sum_to_one_are_kept():
    denoiser = GuidedDenoiser(Linear(), SCHEDULE, [Branch(0.5, POSITIVE)], samples=2)
    torch.testing.assert_close(denoiser(X, 300), 0.5 * expected(2.0, 3.0))


def test_levels_are_embedded_once_for_all_denoisers_of_a_table():
    network = Linear()
    times = TimeTable(network)
    for _ in range(2):
        sample_ddim(GuidedDenoiser.plain(network, SCHEDULE, POSITIVE, samples=2, times=times), X, SCHEDULE, 4)
    assert network.levels == SCHEDULE.ddim_timesteps(4)
    assert len(network.batches) == 8


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="needs the null text"):
        GuidedDenoiser.plain(Linear(), SCHEDULE, POSITIVE, scale=3.0)
    with pytest.raises(ValueError, match="2 and 3 texts"):
        GuidedDenoiser.negative(Linear(), SCHEDULE, POSITIVE, words(1.0, 2.0, 3.0), w=1.0)
    with pytest.raises(ValueError, match="weight other than 0"):
        GuidedDenoiser(Linear(), SCHEDULE, [Branch(0.0, POSITIVE)])
    with pytest.raises(ValueError, match="2 items, got a batch of 4"):
        GuidedDenoiser.plain(Linear(), SCHEDULE, POSITIVE)(X, 300)


def test_on_the_network_one_pass_equals_one_per_branch():
    config = UNetConfig(6, (8, 12), (2, 2), (1, 1), (1, 1), 2, 4, 5, 16, 2, 3)
    torch.manual_seed(0)
    network = GDRUNet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        tokens, mask = torch.randn(4, 7, 5), torch.arange(7)[None] < torch.tensor([7, 4, 2, 5])[:, None]
        x = torch.randn(6, 6, 8)
        t = torch.full((6,), 250)

        def each(pick: slice) -> torch.Tensor:
            return network(x, t, tokens[pick].repeat_interleave(3, 0), mask[pick].repeat_interleave(3, 0))

        positive, negative = (network.encode_context(tokens[s], mask[s]) for s in (slice(0, 2), slice(2, 4)))
        null = network.encode_context(*network.null_context(1))
        denoisers = [
            GuidedDenoiser.plain(network, SCHEDULE, positive, null, scale=3.0, samples=3),
            GuidedDenoiser.negative(network, SCHEDULE, positive, negative, w=2.0, samples=3),
        ]
        empty = network(x, t, *network.null_context(6))
        by_hand = [
            empty + 3.0 * (each(slice(0, 2)) - empty),
            3.0 * each(slice(0, 2)) - 2.0 * each(slice(2, 4)),
        ]
        for denoiser, answer in zip(denoisers, by_hand, strict=True):
            torch.testing.assert_close(denoiser(x, 250), answer, atol=1e-4, rtol=1e-4)
