"""The leaderboard's page in a real browser: sorting, filters, keyboard, links, narrow screens, dark mode, no errors.

With BENCH_SCREENSHOTS=FOLDER the pictures are kept there, of BENCH_BOARD=PAGE where that is given:
`BENCH_SCREENSHOTS=docs/img BENCH_BOARD=reports/leaderboard/index.html pytest -m browser -k pictures`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browsing
import pytest
from browsing import SIZES, resize

from bench.leaderboard import build_leaderboard

pytestmark = browsing.MARKS


@pytest.fixture
def shown(driver: Any, results: Path, tmp_path: Path) -> Iterator[Any]:
    """The page of the shared results, open; no message in the console when a test is done."""
    driver.get_log("browser")
    resize(driver, 1280)
    driver.get(build_leaderboard(results, tmp_path / "board").as_uri())
    yield driver
    assert driver.get_log("browser") == []


def _head(driver: Any, name: str) -> Any:
    found = driver.find_elements("css selector", "thead button")
    return next(button for button in found if button.text.strip() == name)


def _names(driver: Any, set_of_queries: str) -> list[str]:
    """Retrievers of a set that are to be seen, from above."""
    for body in driver.find_elements("css selector", "#board tbody"):
        if body.is_displayed() and body.find_element("css selector", ".set strong").text == set_of_queries:
            rows = body.find_elements("css selector", "tr[data-row]")
            return [row.find_element("css selector", "th").text for row in rows if row.is_displayed()]
    return []


def _sorted_by(driver: Any) -> dict[str, str]:
    heads = driver.find_elements("css selector", "th[aria-sort]")
    return {head.text.strip(): head.get_attribute("aria-sort") for head in heads}


def test_a_head_sorts_best_first_then_the_other_way(shown: Any) -> None:
    assert _sorted_by(shown) == {"rank": "ascending"}
    _head(shown, "retriever").click()
    assert _names(shown, "sd (1 of 2)") == ["clap", "gdr-clap", "muscall", "ridge-clap"]
    assert _names(shown, "pc") == ["clap", "gdr-clap", "tuned-clap"]
    _head(shown, "R@10").click()
    assert _sorted_by(shown) == {"R@10": "descending"}
    assert _names(shown, "sd (1 of 2)")[0] == "muscall"
    _head(shown, "R@10").click()
    assert _sorted_by(shown) == {"R@10": "ascending"}
    assert _names(shown, "sd (1 of 2)")[0] == "clap"
    _head(shown, "MedR").click()
    assert _sorted_by(shown) == {"MedR": "ascending"}
    assert _names(shown, "sd (1 of 2)")[0] == "muscall"


def test_rows_without_a_number_come_last_either_way(shown: Any) -> None:
    _head(shown, "latency").click()
    assert _names(shown, "sd (1 of 2)") == ["muscall", "clap", "gdr-clap", "ridge-clap"]
    _head(shown, "latency").click()
    assert _sorted_by(shown) == {"latency": "descending"}
    assert _names(shown, "sd (1 of 2)") == ["gdr-clap", "muscall", "clap", "ridge-clap"]


def test_filters_hide_rows_sets_and_plots(shown: Any) -> None:
    from selenium.webdriver.support.select import Select

    def count() -> str:
        return shown.find_element("id", "count").text

    def plots() -> list[str]:
        found = shown.find_elements("css selector", "figure")
        return [figure.find_element("css selector", "bdi").text for figure in found if figure.is_displayed()]

    assert count() == "9 of 9 rows"
    Select(shown.find_element("id", "filter-dataset")).select_by_visible_text("sd")
    assert (count(), plots()) == ("6 of 9 rows", ["sd (1 of 2)", "sd (2 of 2)"])
    assert _names(shown, "pc") == []
    Select(shown.find_element("id", "filter-paradigm")).select_by_visible_text("contrastive")
    assert _names(shown, "sd (1 of 2)") == ["muscall", "clap"]
    Select(shown.find_element("id", "filter-space")).select_by_visible_text("mini-clap")
    assert (count(), _names(shown, "sd (1 of 2)")) == ("1 of 9 rows", ["clap"])
    shown.find_element("id", "filter-best").click()
    assert count() == "0 of 9 rows: none fits all of these choices"
    assert not shown.find_element("id", "board").is_displayed()
    shown.find_element("id", "clear").click()
    assert count() == "9 of 9 rows"
    assert len(plots()) == 3


def test_the_keyboard_is_enough_and_shows_where_it_is(shown: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    stops = []
    for _ in range(60):
        ActionChains(shown).send_keys(Keys.TAB).perform()
        element = shown.switch_to.active_element
        stops.append(element.get_attribute("id") or element.text.strip() or element.get_attribute("role"))
        if element.tag_name == "button" and element.text.strip() == "MRR":
            break
        outline = element.value_of_css_property("outline-style")
        assert outline == "solid", stops[-1]
    assert stops[:5] == ["filter-dataset", "filter-space", "filter-paradigm", "filter-best", "clear"]
    assert stops[-1] == "MRR"
    ActionChains(shown).send_keys(Keys.ENTER).perform()
    assert _sorted_by(shown) == {"MRR": "descending"}
    ActionChains(shown).send_keys(Keys.SPACE).perform()
    assert _sorted_by(shown) == {"MRR": "ascending"}
    assert shown.switch_to.active_element.text.strip() == "MRR"


def test_a_row_leads_to_the_page_of_its_run(shown: Any) -> None:
    link = shown.find_element("css selector", "td.run a, td.words a")
    shown.execute_script("arguments[0].scrollIntoView({inline: 'center', block: 'center'})", link)
    link.click()
    assert shown.find_element("css selector", "h1").text == "the run"
    assert shown.title == "the run"


def test_without_the_script_a_head_does_not_look_like_a_button(shown: Any) -> None:
    arrow = "return getComputedStyle(document.querySelector('thead button'), '::after').content"
    assert shown.execute_script(arrow) == '"↕"'
    shown.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        shown.refresh()
        assert shown.execute_script(arrow) == "none"
        assert not shown.find_element("id", "filters").is_displayed()
        assert _names(shown, "pc")
    finally:
        shown.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("width", sorted(SIZES))
def test_heads_stay_in_view(shown: Any, width: int) -> None:
    resize(shown, width)
    shown.refresh()
    box = shown.find_element("css selector", ".scroll")
    shown.execute_script("arguments[0].style.maxHeight = '200px'; arguments[0].scrollTop = 150", box)
    above = "const [h, b] = arguments; return h.getBoundingClientRect().top - b.getBoundingClientRect().top"
    assert shown.execute_script(above, _head(shown, "R@1"), box) == pytest.approx(1, abs=2)


def test_a_print_holds_every_column(shown: Any) -> None:
    """Chromium shrinks a page to its paper only so far; what is wider then is cut off."""
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        # A4 landscape less margins is 1047 CSS pixels; Chromium shrinks at most to two thirds.
        shown.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1047, "height": 720, "deviceScaleFactor": 1, "mobile": False},
        )
        wide = shown.execute_script("return document.getElementById('board').getBoundingClientRect().width")
        assert wide <= 1047
    finally:
        shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_narrow_page_scrolls_its_table_and_not_itself(shown: Any) -> None:
    resize(shown, 390)
    shown.refresh()
    wide, seen = shown.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen == 390
    box = shown.find_element("css selector", ".scroll")
    first = box.find_element("css selector", "tbody th[scope=row]")
    before = first.rect["x"]
    shown.execute_script("arguments[0].scrollLeft = 600", box)
    assert shown.execute_script("return arguments[0].scrollLeft", box) == 600
    assert shown.execute_script("return arguments[0].getBoundingClientRect().x", first) == pytest.approx(
        before, abs=1.5
    )
    small = [b for b in shown.find_elements("css selector", "select, button") if b.rect["height"] < 30]
    assert small == []


def test_hostile_names_run_nothing(
    driver: Any, tmp_path: Path, make_cell: Callable[..., dict[str, Any]], make_run: Callable[..., Path]
) -> None:
    attack = "</script><img src=x onerror=\"document.title='lost'\"><script>document.title='lost'</script>"
    cells = [make_cell(name, space=attack) for name in (attack, "مرحبا", "🎵", "long" * 2500)]
    make_run(tmp_path / "results", cells)
    driver.get_log("browser")
    resize(driver, 390)
    driver.get(build_leaderboard(tmp_path / "results", tmp_path / "board").as_uri())
    _head(driver, "retriever").click()
    assert driver.title == "Leaderboard"
    assert driver.find_elements("css selector", "img") == []
    assert len(_names(driver, "sd")) == 4
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
    tallest = max(row.rect["height"] for row in driver.find_elements("css selector", "tr[data-row]"))
    assert tallest < 200
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", sorted(SIZES))
def test_pictures_in_light_and_dark(shown: Any, tmp_path: Path, width: int, dark: bool) -> None:
    resize(shown, width, dark)
    if os.environ.get("BENCH_BOARD"):
        shown.get(Path(os.environ["BENCH_BOARD"]).resolve().as_uri())
    else:
        shown.refresh()
    browsing.photograph(shown, "leaderboard", tmp_path, width, dark)
