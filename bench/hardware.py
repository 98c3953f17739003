"""What a machine is, without its name: system, processor, cores, memory, and the GPU where one is used."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.settings import physical_cores

__all__ = ["host", "processor"]


def host(device: str = "cpu") -> dict[str, Any]:
    """The machine, as provenance.json and latency.json describe it (`bench.report.schemas.Host`).

    Args:
        device: torch device of the work; the name of a GPU is asked for only if it is on one.
    """
    return {
        "platform": platform.platform(), "python": platform.python_version(), "machine": platform.machine(),
        "processor": processor(), "cores": physical_cores(), "memory_bytes": _memory(), "gpu": _gpu(device),
    }  # fmt: skip


def processor() -> str:
    """Model of the processor; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _memory() -> int | None:
    """Bytes of the machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _gpu(device: str) -> str | None:
    torch = sys.modules.get("torch")  # whoever uses a GPU has loaded it; nobody waits for it to tell a name
    if torch is not None and device.startswith("cuda"):
        with suppress(Exception):  # a GPU that was lost has no name either
            return str(torch.cuda.get_device_name(device))
    return None
