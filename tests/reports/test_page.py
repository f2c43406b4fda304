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


def test_what_happened_why_and_what_to_do_come_before_anything_else() -> None:
    text = page_of(300, 12)
    places = [
        text.index(part)
        for part in ("275 of 300 growers are connected, 25 rows need attention.", "What to do next", ">Why<")
    ]
    assert places == sorted(places)
    assert max(places) < text.index("How the run went")


def test_every_cause_has_its_count_its_meaning_its_hint_and_its_first_rows() -> None:
    found = Read(page_of(300, 12)).text
    for part in (
        "7 rows",
        "leaf:invalidToken",
        "Read the message, correct the row",
        "Rows 48, 96, 144, 192, 240, …",
    ):
        assert part in found


def test_a_run_without_trouble_has_no_table_of_trouble() -> None:
    text = page_of(300, 0)
    assert "All 300 growers are connected." in text
    assert "Nothing is left to do." in text
    assert rows_of(text) == 0
    assert "Rows that need attention" not in text


def test_rows_that_had_no_turn_are_counted_but_not_listed() -> None:
    counts, rows = rows_of_page(
        Entry(2, "created"), Entry(3, "rejected"), Entry(4, "not_attempted"), Entry(5, "not_attempted")
    )
    text = render(usual(4, stop_reason="Leaf is down", exit_code=5), counts, rows)
    assert "Stopped: Leaf is down." in text
    assert "Not attempted yet" in text
    assert rows_of(text) == counts.concern == 1


def test_without_a_series_of_requests_there_is_no_chart_and_no_claim_of_one() -> None:
    text = page_of(30, 0, info=usual(30, traffic=Traffic(), requests=Requests(), finished_at=None))
    assert "Requests per second" not in text
    assert "the run was cut off" in text


def test_without_a_ceiling_none_is_drawn() -> None:
    assert 'class="ceiling"' in page_of(30, 0)
    assert 'class="ceiling"' not in page_of(30, 0, info=usual(30, ceiling=0.0))


def test_practice_says_that_it_was_practice() -> None:
    assert "This was practice" in page_of(30, 0, info=usual(30, leaf="sandbox:1"))
    assert "This was practice" not in page_of(30, 0)


def test_a_dry_run_says_what_would_be_and_calls_none_of_it_connected_or_bad() -> None:
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


def test_growers_without_an_event_are_listed_apart() -> None:
    counts, rows = rows_of_page(
        Entry(2, "created", health="pending"), Entry(3, "created", health="healthy"), Entry(4, "rejected")
    )
    text = render(usual(3), counts, rows)
    _, _, waiting = text.partition('<table id="waiting"')
    assert waiting.partition("</table>")[0].count("<tr><td>") == 1
    assert grower(2) in waiting
    assert rows_of(text) == 1


# --- how large it gets ------------------------------------------------------------------------------


def test_twenty_thousand_rows_of_which_five_thousand_need_attention_are_less_than_a_megabyte() -> None:
    text = page_of(20_000, 4, region="Nord & West")
    assert rows_of(text) == MOST
    assert "Nord &amp; West" in text
    assert len(text.encode()) < MEGABYTE


def test_more_rows_than_that_are_the_first_of_them_and_it_says_so() -> None:
    text = page_of(6000, 1)
    assert rows_of(text) == MOST
    assert "The first 5,000 rows of 6,000; all of them are in the results." in text


@pytest.mark.parametrize("name", ["x" * 2000, "&" * 300])
def test_the_longest_texts_in_most_columns_do_not_make_it_larger(name: str) -> None:
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
def test_what_strangers_wrote_stays_text_wherever_it_stands(text: str) -> None:
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


def test_only_its_own_style_and_script_are_allowed_and_nothing_is_loaded() -> None:
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


def test_written_again_it_is_the_same_to_the_byte(tmp_path: Path) -> None:
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
