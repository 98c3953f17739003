"""Vendi score of a whole set, beside the package of its authors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vendi_score.vendi import score_X

from bench.metrics.diversity import vendi_score

N, D = 5500, 512


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vendi_of_a_whole_set(contest: Any) -> None:
    work = f"Vendi score, n={N}, d={D}"
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)) @ (rng.normal(size=(D, D)) * np.geomspace(1.0, 0.1, D)) + 0.5
    peer: list[float] = []
    # score_X normalises its rows, as ours does, and then takes the n × n side; once is enough, at seconds a call.
    contest.race(
        work,
        lambda: vendi_score(x),
        {"vendi_score.score_X": contest.faster(20, lambda: peer.append(float(score_X(x))))},
        rounds=1,
        warmup=False,
    )
    relative = abs(vendi_score(x) / peer[0] - 1)
    contest.check(work, "equal to score_X within 1e-6", f"{relative:.1e}", relative <= 1e-6)
