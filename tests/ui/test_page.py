"""The whole way in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

pytest.importorskip("selenium", reason="pip install 'bulk-onboard[integration]'")
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from bulk_onboard.ui.server import Server
from tests.reports.browser import Browser, browsing
from tests.ui.support import SAMPLES, served

WAIT = 25


class Page:
    """The page in the browser, as a person uses it."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.browser, self.driver, self.server = browser, browser.driver, server

    def open(self, width: int = 1280, scheme: str = "light") -> None:
        self.browser.open(self.server.address, width=width, scheme=scheme)
        self.until(lambda: self.has("choose"))

    def until(self, test: Callable[[], object]) -> None:
        end = time.monotonic() + WAIT
        while True:
            try:
                if test():
                    return
            except WebDriverException:
                pass
            assert time.monotonic() < end, self.text()[-1500:]
            time.sleep(0.03)

    def has(self, name: str) -> bool:
        return bool(self.browser.ask("return document.getElementById(arguments[0]) !== null", name))

    def text(self) -> str:
        return str(self.browser.ask("return document.body.innerText"))

    def shows(self, *texts: str) -> None:
        self.until(lambda: all(text in self.text() for text in texts))

    def click(self, name: str) -> None:
        def clicked() -> bool:
            element = self.driver.find_element("id", name)
            if not element.is_enabled():
                return False
            element.click()
            return True

        self.until(clicked)

    def upload(self, path: Path) -> None:
        self.until(lambda: self.has("file"))
        self.driver.find_element("id", "file").send_keys(str(path))
        self.until(lambda: self.server.state()["file"] and not self.server.session.busy)
        self.until(lambda: path.name in self.text())

    def cell(self, at: int, column: int) -> str:
        script = "return document.getElementById(arguments[0])?.textContent"
        return str(self.browser.ask(script, f"cells-{at}-{column}"))

    def keys(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.chdir(tmp_path)
    with served() as server:
        opened = Page(browser, server)
        browser.complaints(), browser.requests()
        opened.open()
        yield opened
        browser.driver.get("about:blank")


def growers(path: Path, count: int, token: str = "rt-k2j8s9fkq02mfn") -> Path:
    ids = (UUID(int=number, version=4) for number in range(1, count + 1))
    rows = "".join(f"{grower},{token}{n}x7,Farm {n}\n" for n, grower in enumerate(ids))
    path.write_text(f"leafUserId,refreshToken,name\n{rows}", encoding="utf-8")
    return path


def test_from_the_messy_workbook_to_the_report(page: Page) -> None:
    page.upload(SAMPLES / "messy.xlsx")
    page.shows("Row 3 was recognised", "Growers to connect, spring 2027", "old (hidden)")
    page.click("next")
    page.shows("Which column is which?", "Has the field's own name.")
    page.click("next")
    page.shows("12 rows cannot be sent", "conflicting rows")
    page.click("group-missing-refreshToken")
    page.until(lambda: "Greta Abel" in page.text() and "Anna Huber" not in page.text())
    page.click("cells-0-1")
    page.shows("Row 10, Refresh-Token", "is empty")
    page.keys(Keys.ENTER, "rt-typed-in-the-page-77aa", Keys.ENTER)
    page.shows("11 rows cannot be sent")
    page.click("repair")
    page.until(lambda: not page.has("repair"))
    page.click("next")
    page.shows("Practise in the sandbox")
    page.click("next")
    page.click("dry")
    page.shows("would create", "Plan")
    page.click("next")
    page.click("prepare")
    page.shows("Is this right?", "practice", "Growers")
    page.click("confirm")
    page.shows("The report", "created", "healthy")
    assert page.browser.complaints() == []
    assert {url.partition("//")[2].partition("/")[0] for url in page.browser.requests() if "://" in url} == {
        page.server.origin.removeprefix("http://")
    }
    stored = page.browser.ask("return [localStorage.length, sessionStorage.length, document.cookie]")
    assert stored == [0, 0, ""]
    assert "token=" not in page.driver.current_url
    everything = str(page.browser.ask("return document.documentElement.outerHTML"))
    for secret in ("demo-rt-", "rt-typed-in", page.server.token):
        assert secret not in everything


def test_a_secret_is_shown_when_asked_for_and_hidden_again(page: Page) -> None:
    page.upload(SAMPLES / "messy.xlsx")
    for _ in range(2):
        page.click("next")
    page.click("cells-0-1")
    assert "demo-rt-" not in str(page.browser.ask("return document.documentElement.outerHTML"))
    page.click("show")
    page.until(lambda: page.cell(0, 1).startswith("demo-rt-85yrh2"))
    page.click("cells-1-0")
    page.until(lambda: "demo-rt-" not in str(page.browser.ask("return document.documentElement.outerHTML")))
