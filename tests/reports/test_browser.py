"""The page in a real browser: opened from its file, read, searched, sorted, copied and printed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from bulk_onboard.domain.entry import Entry
from bulk_onboard.reports.counts import count_rows
from bulk_onboard.reports.page import render, write_page
from bulk_onboard.reports.page_rows import page_rows
from bulk_onboard.reports.writers import write_results
from tests.reports.browser import Browser, browsing
from tests.reports.pages import workspace_of
from tests.reports.runs import page_of, rows_of_page, usual
from tests.reports.test_page import HOSTILE

WIDTHS = (375, 768, 1280)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 rows, of which 25 need attention."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page_of(300, 12, region="Nord & West"), encoding="utf-8")
    return path


def column(browser: Browser, at: int) -> list[str]:
    """The texts of a column, of the rows that are shown, in their order."""
    script = """return [...document.querySelectorAll("#attention tbody tr")].filter((row) => row.offsetParent)
        .map((row) => row.cells[arguments[0]].textContent.trim())"""
    found: list[str] = browser.ask(script, at)
    return found


def test_the_report_opens_without_errors_or_requests(browser: Browser, page: Path) -> None:
    browser.complaints(), browser.requests()
    browser.open(page)
    browser.ask("document.getElementById('search').focus()")
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    assert len(column(browser, 0)) == 25


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_serious_fault(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.open(page, width=width, scheme=scheme)
    assert browser.faults() == []
    assert browser.ask("return document.documentElement.scrollWidth <= window.innerWidth")


def test_colours_follow_the_preferred_scheme(browser: Browser, page: Path) -> None:
    seen = set()
    for scheme in ("light", "dark"):
        browser.open(page, scheme=scheme)
        seen.add(browser.ask("return getComputedStyle(document.body).backgroundColor"))
    assert len(seen) == 2


def test_each_part_of_the_bar_has_a_colour(browser: Browser, page: Path) -> None:
    browser.open(page)
    script = """
    const bar = document.querySelector('.whole');
    return ['good', 'bad', 'wait', 'planned', 'calm'].map((tone) => {
        bar.innerHTML = `<rect class="${tone}"/>`;
        return getComputedStyle(bar.firstChild).fill;
    });"""
    assert "rgb(0, 0, 0)" not in browser.ask(script)


def test_a_search_shows_the_rows_that_have_all_of_its_words(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.driver.find_element("id", "search").send_keys("SERVER failed")
    assert set(column(browser, 3)) == {"server-error"}
    assert browser.driver.find_element("id", "found").text == "7 of 25 rows"
    browser.driver.find_element("id", "search").send_keys(" nowhere")
    assert column(browser, 0) == []


def test_a_cause_shows_its_rows(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.driver.find_element("css selector", "[aria-label='Show the rows with no-answer']").click()
    assert set(column(browser, 3)) == {"no-answer"}


def test_headers_sort_by_click_and_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    first, _, status = browser.driver.find_elements("css selector", "#attention th button")[:3]
    first.click()
    first.click()
    numbers = [int(each) for each in column(browser, 0)]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 25
    status.send_keys(Keys.ENTER)
    assert column(browser, 2) == sorted(column(browser, 2))
    assert browser.ask("return document.querySelectorAll('[aria-sort]').length") == 1


def test_visible_rows_are_copied_as_escaped_csv(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.told("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.driver.find_element("id", "search").send_keys("server-error")
    browser.driver.find_element("id", "copy").click()
    text = browser.driver.execute_async_script(
        "const done = arguments[0]; navigator.clipboard.readText().then(done, (e) => done(String(e)))"
    )
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["row", "leafUserId", "status", "code", "message", "region"]
    assert {tuple(row[2:]) for row in rows} == {("failed", "server-error", "'=HTTP(503)", "Nord & West")}
    assert browser.driver.find_element("id", "found").text == "7 rows copied"


def test_without_clipboard_the_csv_is_shown(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.ask("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.driver.find_element("id", "copy").click()
    area = browser.driver.find_element("id", "csv")
    assert area.is_displayed()
    assert len((area.get_attribute("value") or "").splitlines()) == 26
    assert '"The token is not valid, ""they"" say"' in (area.get_attribute("value") or "")


def test_everything_can_be_reached_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    reached = []
    for _ in range(40):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(
            browser.ask("const e = document.activeElement; return e.id || e.className || e.tagName")
        )
    assert {"search", "copy", "scroll", "BUTTON"} <= set(reached)


def test_without_javascript_tables_are_complete(browser: Browser, page: Path) -> None:
    browser.told("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert len(browser.driver.find_elements("css selector", "#attention tbody tr")) == 25
        assert not browser.driver.find_element("id", "tools").is_displayed()
        assert "275 of 300 growers" in browser.driver.find_element("tag name", "h1").text
    finally:
        browser.told("Emulation.setScriptExecutionDisabled", value=False)


def test_a_small_run_prints_to_two_pages_and_all_rows_that_need_attention_are_printed(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    assert browser.printed() <= 2
    browser.told("Emulation.setEmulatedMedia", media="print")
    try:
        assert len(column(browser, 0)) == 25
    finally:
        browser.told("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("width", WIDTHS)
def test_row_numbers_do_not_wrap(browser: Browser, tmp_path: Path, width: int) -> None:
    path = tmp_path / "report.html"
    kept = {f"column {number}": "a long text of the input" for number in range(8)}
    path.write_text(page_of(3000, 12, **kept), encoding="utf-8")
    browser.open(path, width=width)
    heights = browser.ask("""return [...document.querySelectorAll("#attention td:first-child")]
        .filter((cell) => { const range = document.createRange(); range.selectNodeContents(cell);
            return range.getClientRects().length > 1; }).length""")
    assert heights == 0


CELLS = [
    "=1+1",
    " \t=cmd|' /C calc'!A0",
    "\u200b+49 30 1",
    "\u201c@SUM(1)",
    "\uff1d1+1",
    "\u00a0-1",
    "\ufeff=1",
    "'=1",
    "a=1",
    'a "quoted" text, with a comma',
    "-",
    "  plain  ",
    "\u2212 5",
]


def test_cells_are_escaped_as_in_results_csv(browser: Browser, tmp_path: Path) -> None:
    entries = [Entry(at, "rejected", message=text) for at, text in enumerate(CELLS, 2)]
    with workspace_of([""] * len(CELLS), entries, {"note": CELLS}) as workspace:
        write_results(workspace.db, tmp_path, ["csv"], workspace.kept)
        found = count_rows(workspace.db), page_rows(workspace.db, workspace.kept)
    path = write_page(tmp_path / "report.html", usual(len(CELLS)), *found, ["results.csv"])
    browser.open(path)
    browser.ask("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.driver.find_element("id", "copy").click()
    copied = csv.DictReader(io.StringIO(browser.ask("return document.getElementById('csv').value")))
    written = csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text(encoding="utf-8")))
    both = [[(row["message"], row["note"]) for row in rows] for rows in (copied, written)]
    assert both[0] == both[1]
    assert len(both[0]) == len(CELLS)


def test_hostile_texts_never_run(browser: Browser, tmp_path: Path) -> None:
    entries = [Entry(at, "rejected", code=text, message=text) for at, text in enumerate(HOSTILE, 2)]
    path = tmp_path / "report.html"
    text = render(usual(len(HOSTILE)), *rows_of_page(*entries, **{HOSTILE[0]: HOSTILE[1]}))
    path.write_text(text, encoding="utf-8")
    browser.complaints()
    browser.open(path)
    assert browser.complaints() == []
    assert column(browser, 4)[0] == HOSTILE[0]
    # Even what got in would not run: the policy names the one script that may.
    browser.ask("""const script = document.createElement("script");
        script.textContent = "window.foreign = true"; document.body.append(script)""")
    assert browser.ask("return window.foreign") is None
    assert any("Content Security Policy" in each for each in browser.complaints())
