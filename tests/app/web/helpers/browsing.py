"""A real browser on a real ``videopath app``: what the browser tests and docs/screenshots.py drive."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    InvalidElementStateException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from serving import serving

PATIENCE = 60.0  # seconds for what takes one when the machine does nothing else
_LOOK = 0.1  # seconds between two looks
_UNFOLDING = 5.0  # seconds
_CALM = 20  # looks after which a page that never rests is taken as it is
_NAMES = (("chromium", "chromium-browser", "google-chrome"), ("chromedriver", "chromium.chromedriver"))
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # continuous integration runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",  # a second window is looked at as much as the first
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--hide-scrollbars",
)
_PASSING = (
    ElementClickInterceptedException,
    InvalidElementStateException,
    NoSuchElementException,
    StaleElementReferenceException,
)
Found = TypeVar("Found")


def installed() -> tuple[str, str] | None:
    """Where the browser and its driver are; none when one of them is not installed."""
    browser, driver = (next(filter(None, map(shutil.which, names)), None) for names in _NAMES)
    return (browser, driver) if browser and driver else None


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The address of ``videopath app`` in a process of its own, with its own home folder."""
    with serving(home) as (_, port):
        yield f"http://127.0.0.1:{port}"


def until(look: Callable[[], Found], told: Callable[[], str], patience: float = PATIENCE) -> Found:
    """What ``look`` gives once it is true; elements that are being drawn anew are looked for again."""
    end = time.monotonic() + patience
    while True:
        try:
            if found := look():
                return found
        except _PASSING:
            pass
        if time.monotonic() > end:
            raise AssertionError(f"After {patience:.0f} s: {told()}")
        time.sleep(_LOOK)


class Browser:
    """One browser with its windows. Widgets are found by the keys that the pages give them."""

    def __init__(self, address: str, profile: Path, *, size: tuple[int, int] = (1280, 900)) -> None:
        places = installed()
        assert places, "no browser is installed"
        options = ChromeOptions()
        options.binary_location = places[0]
        width, height = size
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        self.driver = Chrome(options=options, service=Service(executable_path=places[1]))
        self.driver.set_page_load_timeout(PATIENCE)
        self.address = address
        self.actions = 0
        """What a person did so far: pages opened, clicks, and fields filled in."""

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()

    def go(self, path: str = "") -> None:
        """Open a page by its address and wait until it is drawn."""
        self.actions += 1
        self.driver.get(f"{self.address}/{path}")
        self.drawn()

    def window(self) -> str:
        """A further window, which is looked at from now on; returns how to come back to it."""
        self.driver.switch_to.new_window("window")
        handle: str = self.driver.current_window_handle
        return handle

    def look_at(self, window: str) -> None:
        """Go to another window."""
        self.driver.switch_to.window(window)

    def screen(self, width: int, height: int, *, dark: bool = False, sharpness: float = 1.0) -> None:
        """Look at the pages on a screen of this size (CSS pixels) and theme; pages opened after it show it."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": sharpness, "mobile": False},
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})

    def tab(self) -> None:
        """Press the Tab key."""
        self.driver.switch_to.active_element.send_keys(Keys.TAB)

    def away(self) -> None:
        """Take the mouse off whatever it points at."""
        moved = {"type": "mouseMoved", "x": 0, "y": 0}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", moved)

    def until(self, look: Callable[[], Found], what: str, patience: float = PATIENCE) -> Found:
        """Wait for a condition; a failure tells ``what`` was waited for and what the page shows instead."""
        return until(look, lambda: f"{what}; the page shows:\n{self.text()}", patience)

    def drawn(self) -> None:
        """Wait until the page's script has run to its end."""
        at_rest = '[data-testid="stApp"][data-test-script-state="notRunning"]'
        self.until(lambda: self.all(at_rest) and self.all("h1"), "the page is drawn")

    def all(self, css: str) -> list[WebElement]:
        """Every element of a CSS selector, now."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def find(self, key: str, css: str = "") -> WebElement:
        """The first visible element within what carries a key, once it is there."""
        chosen = f".st-key-{key} {css}"
        seen = self.until(lambda: [e for e in self.all(chosen) if e.is_displayed()], f"{chosen} is there")
        return seen[0]

    def has(self, key: str) -> bool:
        """Whether something of this key is on the page now."""
        return bool(self.all(f".st-key-{key}"))

    def keys(self, beginning: str) -> list[str]:
        """The keys on the page that begin like this, from top to bottom."""
        classes = " ".join(e.get_attribute("class") or "" for e in self.all(f'[class*="st-key-{beginning}"]'))
        return [name for name in re.findall(r"st-key-(\S+)", classes) if name.startswith(beginning)]

    def text(self, key: str = "") -> str:
        """What the page, or the part of a key, says; empty where there is none."""
        found = self.all(f".st-key-{key}" if key else "body")
        return str(found[0].text) if found else ""

    def says(self, words: str, key: str = "", patience: float = PATIENCE) -> None:
        """Wait until these words stand on the page, or in the part of a key."""
        self.until(lambda: words in self.text(key), f"{words!r} stands {key and f'in {key}'}", patience)

    def row(self, case_id: str) -> str:
        """What the worklist says of a case, searched by its id; empty if it is not there. The table is drawn as a picture."""
        self.go(f"worklist?search={case_id}")
        self.settle()
        cells = """return [...document.querySelectorAll('[data-testid="stDataFrame"] [role=row]')]
            .map(row => [...row.querySelectorAll('[role=gridcell]')].map(cell => cell.textContent))"""
        rows = [row for row in self.run(cells) if row]
        return " | ".join(text for text in rows[0] if not text.startswith("data:")) if rows else ""

    def tick(self, case_id: str) -> None:
        """Search a case in the worklist, and tick its row."""
        self.until(lambda: self.row(case_id), f"{case_id} is in the worklist")
        table = self.all('[data-testid="stDataFrame"]')[0]
        x, y = 16 - table.size["width"] / 2, 59 - table.size["height"] / 2
        ActionChains(self.driver).move_to_element_with_offset(table, x, y).click().perform()

    def click(self, key: str, css: str = "button") -> None:
        """Click a button that can be clicked."""

        def clicked() -> bool:
            button = self.find(key, css)
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
            if not button.is_enabled():
                return False
            button.click()
            self.actions += 1
            return True

        self.until(clicked, f"{key} can be clicked")

    def unfold(self, key: str) -> None:
        """Open what is folded; a click that met a page being drawn anew is done again."""

        def is_open() -> bool:
            return bool(self.all(f".st-key-{key} details[open]"))

        def unfolded() -> bool:
            if not is_open():
                self.click(key, "summary")
                with suppress(AssertionError):
                    until(is_open, lambda: "still folded", _UNFOLDING)
            return is_open()

        self.until(unfolded, f"{key} is open")

    def open_tab(self, name: str) -> None:
        """Open a tab by its name."""

        def opened() -> bool:
            (tab,) = [one for one in self.all('[role="tab"]') if one.text == name]
            if tab.get_attribute("aria-selected") != "true":
                self.run("arguments[0].scrollIntoView({block: 'center'})", tab)
                tab.click()
                self.actions += 1
            return tab.get_attribute("aria-selected") == "true"

        self.until(opened, f"the tab {name} is open")

    def write(self, key: str, text: str) -> None:
        """Put a text in place of what stands in a field, and leave the field, as by the keyboard."""

        def written() -> bool:
            field = self.find(key, f"input, .st-key-{key} textarea")
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys(Keys.DELETE)
            field.send_keys(text)
            done = field.get_attribute("value") == text
            field.send_keys(Keys.TAB)
            return done

        self.until(written, f"{key} takes {text!r}")
        self.actions += 1

    def choose(self, key: str, option: str) -> None:
        """Choose an option of a list, by typing it."""

        def chosen() -> bool:
            field = self.find(key, "input")
            field.click()
            field.send_keys(option)
            until(lambda: self.all('[role="option"]'), lambda: "options", 5)
            field.send_keys(Keys.ENTER)
            return option in self.find(key).text or self.find(key, "input").get_attribute("value") == option

        self.until(chosen, f"{key} takes {option!r}")
        self.actions += 1

    def upload(self, key: str, file: Path) -> None:
        """Give a file to an upload field."""
        self.all(f".st-key-{key} input[type=file]")[0].send_keys(str(file))
        self.actions += 1

    def settle(self) -> None:
        """Wait until the page is drawn, its pictures are there, and none of it moves for a moment."""
        self.drawn()
        loaded = "return [...document.images].every(i => i.complete) && document.body.innerText"
        before = ""
        for _ in range(_CALM):
            before = self.until(lambda: self.run(loaded), "the pictures are there")
            time.sleep(_LOOK * 5)
            if self.run(loaded) == before and not self.all('[data-testid="stSkeleton"]'):
                return

    def picture(self) -> bytes:
        """The screen as it is seen now, as a PNG."""
        return bytes(self.driver.get_screenshot_as_png())

    def run(self, script: str, *values: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self.driver.execute_script(script, *values)
