"""The page of a run in a real browser: choosing a method, playing tracks, narrow screens, dark mode, no errors.

With BENCH_SCREENSHOTS=FOLDER the pictures are kept there, of BENCH_RUN_PAGE=PAGE where that is given:
`BENCH_SCREENSHOTS=docs/img BENCH_RUN_PAGE=PATH/report.html pytest -m browser -k pictures`.
"""

from __future__ import annotations

import math
import os
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browsing
import pytest
from browsing import SIZES, resize

from bench.report.build import build_report

pytestmark = browsing.MARKS


def _tone(file: Path) -> None:
    """Three seconds of a quiet tone."""
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"".join(struct.pack("<h", int(3000 * math.sin(i / 3))) for i in range(24000)))


@pytest.fixture
def shown(driver: Any, toy: Any, make_run: Callable[..., Path], tmp_path: Path) -> Iterator[Any]:
    """The page of the toy's run, open, with two tracks that can be played; no message in the console when done."""
    rendered = toy.render(tmp_path / "audio", {"t00": "audio/t00.wav", "t01": "audio/t01.wav"})
    for name in ("t00", "t01"):
        _tone(rendered / "audio" / f"{name}.wav")
    page = build_report(make_run(), out=tmp_path / "pages", form="html", audio=rendered)
    driver.get_log("browser")
    resize(driver, 1280)
    driver.get(page.as_uri())
    yield driver
    assert driver.get_log("browser") == []


def _lists(driver: Any) -> list[list[str]]:
    """Tracks of the first prompt's lists that are to be seen."""
    found = driver.find_elements("css selector", "details.prompt[open] ol.found")
    return [[row.text for row in one.find_elements("css selector", ".track > span:first-child")] for one in found[:2]]


def test_the_chosen_method_decides_what_is_shown(shown: Any, toy: Any) -> None:
    from selenium.webdriver.support.select import Select

    methods = Select(shown.find_element("css selector", "select[id^=method]"))
    assert len(methods.options) >= 2
    said = set()
    for place in range(len(methods.options)):
        methods.select_by_index(place)
        before, after = _lists(shown)
        assert before == toy.BEFORE["c0|no-rock"]
        assert after
        said.add(shown.find_element("css selector", "[role=status]").text)
    assert len(said) == len(methods.options)


def test_buttons_open_and_close_every_prompt(shown: Any) -> None:
    opening, closing = shown.find_elements("css selector", ".controls button")
    prompts = shown.find_elements("css selector", "details.prompt")
    opening.click()
    assert all(prompt.get_attribute("open") for prompt in prompts)
    closing.click()
    assert not any(prompt.get_attribute("open") for prompt in prompts)
    prompts[1].find_element("css selector", "summary").click()
    assert prompts[1].get_attribute("open")


def test_a_track_is_played(shown: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    player = shown.find_element("css selector", "details.prompt[open] audio")
    assert player.is_displayed()
    shown.execute_script("arguments[0].scrollIntoView({block: 'center'})", player)
    box = player.rect
    # The button of the player lies at its left; without a gesture of the user a browser plays nothing.
    ActionChains(shown).move_to_element_with_offset(player, 24 - box["width"] / 2, 0).click().perform()
    heard = "return arguments[0].currentTime > 0.2 && arguments[0].error === null"
    WebDriverWait(shown, 20).until(lambda driver: driver.execute_script(heard, player))
    assert shown.execute_script("return arguments[0].duration", player) == pytest.approx(3, abs=0.1)


def test_a_print_shows_every_prompt_open_and_closes_them_again(shown: Any) -> None:
    prompts = shown.find_elements("css selector", "details.prompt")
    opened = [bool(prompt.get_attribute("open")) for prompt in prompts]
    assert not all(opened)
    shown.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(prompt.get_attribute("open") for prompt in prompts)
    assert all(prompt.find_elements("css selector", "ol.found") for prompt in prompts)
    shown.execute_script("dispatchEvent(new Event('afterprint'))")
    assert [bool(prompt.get_attribute("open")) for prompt in prompts] == opened


def test_a_narrow_page_does_not_scroll_sideways(shown: Any) -> None:
    resize(shown, 390)
    shown.refresh()
    wide, seen = shown.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen == 390


def test_hostile_texts_run_nothing(
    driver: Any, toy: Any, make_run: Callable[..., Path], load_toy: Any, tmp_path: Path
) -> None:
    attack = "</script><img src=x onerror=\"document.title='lost'\"><script>document.title='lost'</script>"
    load_toy(toy.dataset([f"{attack} 🎵 'quoted\" مرحبا", "word " * 2000]))
    page = build_report(make_run(), out=tmp_path / "pages", form="html")
    driver.get_log("browser")
    resize(driver, 390)
    driver.get(page.as_uri())
    driver.find_elements("css selector", "details.prompt summary")[1].click()  # the text of 10,000 characters
    assert driver.title != "lost"
    assert "🎵" in driver.find_element("css selector", "body").text
    assert not driver.find_elements("css selector", "details img")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", sorted(SIZES))
def test_pictures_in_light_and_dark(shown: Any, tmp_path: Path, width: int, dark: bool) -> None:
    resize(shown, width, dark)
    if os.environ.get("BENCH_RUN_PAGE"):
        shown.get(Path(os.environ["BENCH_RUN_PAGE"]).resolve().as_uri())
    else:
        shown.refresh()
    shown.execute_script("document.getElementById('prompts').scrollIntoView()")
    browsing.photograph(shown, "run", tmp_path, width, dark)
