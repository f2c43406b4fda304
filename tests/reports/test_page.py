"""The page as text: what it says, how large it gets, and that nothing in it can run."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Requests, Traffic
from bulk_onboard.domain.run_events import RunKind
from bulk_onboard.reports.page import render, write_page
from bulk_onboard.reports.page_rows import MOST
from tests.reports.pages import grower, run_of
from tests.reports.runs import entry, page_of, rows_of_page, usual
from tests.support.properties import scaled

MEGABYTE = 1_000_000


class Read(HTMLParser):
    """The page as a browser would take it: its elements with their attributes, and the text of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        self.texts.setdefault(tag, []).append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(part for tag in self.texts for part in self.texts[tag]).split())

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.elements)


def rows_of(text: str) -> int:
    """The rows in the table of those that need attention."""
    _, _, table = text.partition('<table id="attention"')
    return table.partition("</table>")[0].count("<tr><td>")


# --- what it says -----------------------------------------------------------------------------------


def test_headline_causes_and_next_steps_come_first() -> None:
    text = page_of(300, 12)
    places = [
        text.index(part)
        for part in ("275 of 300 growers are connected, 25 rows need attention.", "What to do next", ">Why<")
    ]
    assert places == sorted(places)
    assert max(places) < text.index("How the run went")


def test_each_cause_has_count_meaning_hint_and_rows() -> None:
    found = Read(page_of(300, 12)).text
    for part in (
        "7 rows",
        "leaf:invalidToken",
        "Read the message, correct the row",
        "Rows 48, 96, 144, 192, 240, …",
    ):
        assert part in found


def test_a_clean_run_has_no_table_of_rows() -> None:
    text = page_of(300, 0)
    assert "All 300 growers are connected." in text
    assert "Nothing is left to do." in text
    assert rows_of(text) == 0
    assert "Rows that need attention" not in text


def test_rows_not_attempted_are_counted_but_not_listed() -> None:
    counts, rows = rows_of_page(
        Entry(2, "created"), Entry(3, "rejected"), Entry(4, "not_attempted"), Entry(5, "not_attempted")
    )
    text = render(usual(4, stop_reason="Leaf is down", exit_code=5), counts, rows)
    assert "Stopped: Leaf is down." in text
    assert "Not attempted yet" in text
    assert rows_of(text) == counts.concern == 1


def test_without_traffic_there_is_no_chart() -> None:
    text = page_of(30, 0, info=usual(30, traffic=Traffic(), requests=Requests(), finished_at=None))
    assert "Requests per second" not in text
    assert "the run was killed" in text


def test_what_does_not_apply_is_not_on_the_page() -> None:
    text = page_of(30, 0)
    assert 'class="ceiling"' in text
    assert "This was practice" not in text
    assert 'class="ceiling"' not in page_of(30, 0, info=usual(30, ceiling=0.0))
    assert "This was practice" in page_of(30, 0, info=usual(30, leaf="sandbox:1"))


def test_the_page_of_a_dry_run() -> None:
    counts, rows = rows_of_page(
        Entry(2, "would_create"),
        Entry(3, "would_replace"),
        Entry(4, "existing", health="healthy"),
        Entry(5, "invalid"),
    )
    text = render(usual(4, kind=RunKind.DRY_RUN), counts, rows)
    found = Read(text)
    assert "Connected already" in text
    assert "1 connected, 2 would get credentials, 1 need attention" in found.text
    assert rows_of(text) == 1


def test_growers_without_an_event_have_their_own_table() -> None:
    counts, rows = rows_of_page(
        Entry(2, "created", health="pending"), Entry(3, "created", health="healthy"), Entry(4, "rejected")
    )
    text = render(usual(3), counts, rows)
    _, _, waiting = text.partition('<table id="waiting"')
    assert waiting.partition("</table>")[0].count("<tr><td>") == 1
    assert grower(2) in waiting
    assert rows_of(text) == 1


# --- how large it gets ------------------------------------------------------------------------------


def test_the_page_shows_the_first_rows_and_is_less_than_a_megabyte() -> None:
    text = page_of(6_000, 1, region="Nord & West")
    assert rows_of(text) == MOST
    assert "The first 5,000 rows of 6,000; all of them are in the results." in text
    assert "Nord &amp; West" in text
    assert len(text.encode()) < MEGABYTE


@pytest.mark.parametrize("name", ["x" * 2000, "&" * 300])
def test_long_texts_do_not_exceed_the_size_limit(name: str) -> None:
    kept = {f"column {number}": name for number in range(8)}
    text = page_of(5000, 1, **kept)
    assert len(text.encode()) < MEGABYTE
    assert 50 < rows_of(text) < MOST
    assert "of 5,000; all of them are in the results" in Read(text).text


# --- what cannot happen -----------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table></script><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "a\u202eb\x1b[31m\x00",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text(text: str) -> None:
    counts, rows = rows_of_page(
        Entry(2, "rejected", code=text, message=text), Entry(3, "failed", code="no-answer"), **{text: text}
    )
    info = usual(2, input=text, owner=text, leaf=text, stop_reason=text, exit_code=5)
    page = render(info, counts, rows)
    found, plain = Read(page), Read(page_of(2, 1))
    assert found.count("script") == plain.count("script") == 1
    assert found.count("img") == 0
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert "49" not in found.texts["h1"][0]
    assert not set("\u202e\x1b\x00") & set(page)


def test_the_policy_allows_only_the_inline_style_and_script() -> None:
    text = page_of()
    found = Read(text)
    policy = next(
        a["content"] for tag, a in found.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    named = {name for _, attributes in found.elements for name in attributes}
    assert not named & {"src", "style", "action", "srcset", "data"}
    links = [attributes["href"] for _, attributes in found.elements if "href" in attributes]
    assert links == ["results.csv"]  # a file beside the page


def test_a_rewritten_page_is_identical(tmp_path: Path) -> None:
    entries = [entry(row, 12) for row in range(2, 302)]
    path = write_page(tmp_path / "a" / "report.html", usual(300), *rows_of_page(*entries))
    before = path.read_bytes()
    assert write_page(path, usual(300), *rows_of_page(*reversed(entries))).read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


texts = st.text(max_size=40)


@settings(max_examples=scaled(15))
@given(
    st.lists(st.tuples(st.sampled_from(["created", "rejected", "invalid", None]), texts, texts), max_size=8),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 50), st.floats(0, 1)), max_size=20),
    st.floats(0, 5000),
    st.booleans(),
)
def test_there_is_a_page_for_any_run(
    rows: list[tuple[str | None, str, str]],
    series: list[tuple[int, int, float]],
    ceiling: float,
    ended: bool,
) -> None:
    entries = [Entry(at, status, code=code, message=text) for at, (status, code, text) in enumerate(rows, 2)]
    counts, found = rows_of_page(*entries, region="x")
    sent, throttled, held = zip(*series, strict=True) if series else ((), (), ())
    info = run_of(len(rows), traffic=Traffic(1, sent, throttled, held), ceiling=ceiling)
    info = info if ended else replace(info, finished_at=None)
    page = render(info, counts, found)
    page.encode(errors="strict") if page.isascii() else page.encode(errors="replace")
    assert page.endswith("</html>")
