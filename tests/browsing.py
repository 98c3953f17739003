"""A real headless browser for tests of pages (marker `browser`); what every such test needs."""

from __future__ import annotations

import base64
import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
#: Width of a window -> its height: a desktop and a phone.
SIZES = {1280: 1000, 390: 844}

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="no chromium or no chromedriver; apt-get install chromium chromium-driver"
    ),
]


def start() -> Any:
    """A headless Chromium; the caller quits it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed; pip install -e '.[test]'")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--mute-audio"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))


def resize(driver: Any, width: int, dark: bool = False) -> None:
    """Window and colour scheme; widths below 500 are a phone's."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": SIZES[width], "deviceScaleFactor": 1, "mobile": width < 500},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def photograph(driver: Any, name: str, folder: Path, width: int, dark: bool) -> None:
    """Take a picture of the window, into BENCH_SCREENSHOTS if that is set, and see that something can be read on it."""
    from PIL import Image

    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    file = Path(os.environ.get("BENCH_SCREENSHOTS", folder)) / f"{name}-{width}{'-dark' if dark else ''}.png"
    file.write_bytes(base64.b64decode(taken["data"]))
    picture = Image.open(io.BytesIO(file.read_bytes())).convert("L")
    assert picture.size == (width, SIZES[width])
    counts = picture.histogram()
    paper = max(range(256), key=counts.__getitem__)
    assert (paper < 60) if dark else (paper > 240)
    # What is written stands out from the paper.
    assert sum(counts[150:] if dark else counts[:100]) > 1000
