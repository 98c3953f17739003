"""Where settings come from: flag, then environment, then default."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench._requires import unmet
from bench.errors import UserError
from bench.settings import physical_cores, read_settings


def test_flag_beats_environment_beats_default() -> None:
    env = {
        "BENCH_OUT": "from-env",
        "BENCH_THREADS": "3",
        "BENCH_CACHE_DIR": "cache",
        "BENCH_DATA_DIR": "data",
        "BENCH_OFFLINE": "1",
    }
    flags = read_settings(out="from-flag", threads=5, environment=env)
    assert (flags.out, flags.threads) == (Path("from-flag"), 5)
    read = read_settings(environment=env)
    assert (read.out, read.threads, read.cache_dir, read.data_dir) == (Path("from-env"), 3, Path("cache"), Path("data"))
    assert read.offline
    default = read_settings(environment={})
    assert (default.out, default.data_dir, default.offline) == (Path("results"), None, False)
    assert default.threads == physical_cores() >= 1
    assert default.cache_dir.name == "gdr-bench"


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "²", "1025", "999999999999", "9" * 5000])
def test_threads_in_the_environment_must_be_a_number(text: str) -> None:
    with pytest.raises(UserError, match=f"BENCH_THREADS={text[:20]}"):
        read_settings(environment={"BENCH_THREADS": text})


def test_an_unknown_device_is_refused_and_cpu_is_itself() -> None:
    with pytest.raises(UserError, match="--device tpu"):
        read_settings(device="tpu", environment={})
    assert read_settings(device="cpu", environment={}).device == "cpu"


def test_unmet_needs_say_what_to_do(tmp_path: Path) -> None:
    settings = read_settings(environment={"BENCH_DATA_DIR": str(tmp_path)})
    missing = unmet(["gpu", "extra:nothing-like-it", "dataset:sdd", "extra:test"], settings, "cpu")
    assert len(missing) == 3
    assert "pip install" in missing[1]
    assert str(tmp_path / "sdd") in missing[2]
    (tmp_path / "sdd").mkdir()
    assert unmet(["gpu", "dataset:sdd"], settings, "cuda") == []
