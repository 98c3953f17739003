"""Settings of a command and where each comes from: the command line, else the environment, else a default.

The suite and the profile come after these: they decide what a run is, the settings only where and how it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError

__all__ = ["Settings", "limited_threads", "physical_cores", "read_settings", "resolve_device"]

DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_THREADS = 1024
"""More than a machine has; libraries make room for each thread, or refuse in words of their own."""


@dataclass(frozen=True)
class Settings:
    """Where and how a command runs."""

    out: Path
    """Folder of results."""
    cache_dir: Path
    data_dir: Path | None
    """Folder of datasets that do not come with the harness."""
    threads: int
    requested_device: str
    """As it was asked for, `auto` included."""
    offline: bool

    @property
    def device(self) -> str:
        """The torch device to use (see `resolve_device`)."""
        return resolve_device(self.requested_device)


def physical_cores() -> int:
    """Cores without hyper-threads, at most what this process may use; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return allowed
    cores = set()
    for block in text.split("\n\n"):
        fields = dict(line.split(":", 1) for line in block.splitlines() if ":" in line)
        found = {key.strip(): value.strip() for key, value in fields.items()}
        if "core id" in found:
            cores.add((found.get("physical id"), found["core id"]))
    return max(1, min(allowed, len(cores) or allowed))


def read_settings(
    *,
    out: str | Path | None = None,
    threads: int | None = None,
    device: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from flags, then BENCH_OUT, BENCH_CACHE_DIR, BENCH_DATA_DIR, BENCH_THREADS, BENCH_OFFLINE.

    Args:
        out, threads, device: what the command line gave, None where it gave nothing.
        environment: variables; the process's own by default.

    Raises:
        UserError: a value that cannot be; the message names the flag or variable.
    """
    env = os.environ if environment is None else environment
    chosen = device or "auto"
    if chosen.split(":")[0] not in DEVICES:
        raise UserError(f"--device {chosen}: choose one of {', '.join(DEVICES)}")
    return Settings(
        out=Path(out or env.get("BENCH_OUT") or "results"),
        cache_dir=_cache_dir(env),
        data_dir=Path(env["BENCH_DATA_DIR"]) if env.get("BENCH_DATA_DIR") else None,
        threads=_threads(threads, env),
        requested_device=chosen,
        offline=env.get("BENCH_OFFLINE", "").lower() in ("1", "true", "yes", "on"),
    )


def _cache_dir(env: Mapping[str, str]) -> Path:
    if env.get("BENCH_CACHE_DIR"):
        return Path(env["BENCH_CACHE_DIR"])
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("gdr-bench", appauthor=False))


def _threads(given: int | None, env: Mapping[str, str]) -> int:
    if given is not None:
        if not 1 <= given <= MOST_THREADS:
            bound = "at least 1" if given < 1 else f"at most {MOST_THREADS}"
            raise UserError(f"--threads {given}: must be {bound}")
        return given
    text = env.get("BENCH_THREADS")
    if not text:
        return physical_cores()
    # Not isdigit: it takes "²", which is no number. And a number of thousands of digits is none for int().
    count = int(text) if text.isdecimal() and len(text) < 10 else 0
    if not 1 <= count <= MOST_THREADS:
        raise UserError(f"BENCH_THREADS={text}: must be a whole number of at least 1, and at most {MOST_THREADS}")
    return count


def resolve_device(device: str) -> str:
    """The device that `auto` means here: a GPU where there is one, else cpu.

    Raises:
        UserError: a device was named that this machine does not have.
    """
    if device == "cpu" or (device == "auto" and not _gpu_likely()):
        return "cpu"
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name, there in present.items() if there), "cpu")
    if not present.get(device.split(":")[0], False):
        raise UserError(f"--device {device}: this machine, or this build of torch, has none; use --device cpu")
    return device


def _gpu_likely() -> bool:
    """Whether it is worth importing torch to ask."""
    return sys.platform != "linux" or any(Path(name).exists() for name in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Thread count of BLAS and OpenMP here and in libraries loaded later (torch reads the variables)."""
    from threadpoolctl import threadpool_limits

    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(count)))
    try:
        with threadpool_limits(count):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
