"""Texts into values."""

import math
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.settings import SETTINGS, Local, Remote, RowLimit, Setting, parse

_UNITS = {"": 1, "/s": 1, "/min": 60, " / m": 60, "/h": 3600, "/hour": 3600}


@given(st.floats(0, 1e6, allow_nan=False), st.sampled_from(sorted(_UNITS)))
def test_a_rate_is_its_number_divided_by_the_seconds_of_its_unit(number: float, unit: str) -> None:
    assert math.isclose(parse.rate(f"{number:.6f}{unit}"), float(f"{number:.6f}") / _UNITS[unit])


@given(st.one_of(st.integers(0, 10**6), st.floats(0.001, 1e6)))
def test_a_rate_that_is_a_number_already_stays(number: float) -> None:
    assert math.isclose(parse.rate(number), number)


@given(st.text())
def test_any_text_is_a_finite_rate_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert 0 <= parse.rate(text) < math.inf


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "10/furlong", "ten", "", "10/", "1e3", "5/0"])
def test_an_invalid_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="600/min"):
        parse.rate(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [("30", 30), ("30s", 30), ("2m", 120), ("500ms", 0.5), ("1.5 h", 5400), (0, 0), (7, 7)],
)
def test_seconds_may_have_a_unit(text: str | float, length: float) -> None:
    assert parse.seconds(text) == length


def test_a_timeout_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="no time to answer"):
        parse.timeout("0")


def test_a_limit_of_rows_is_a_number_or_a_share() -> None:
    assert parse.row_limit("20") == RowLimit(count=20)
    assert parse.row_limit("2.5 %") == RowLimit(share=0.025)


@pytest.mark.parametrize("text", ["101%", "-1", "a few", "1.5", "%", ""])
def test_other_texts_are_not_a_limit_of_rows(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number of rows"):
        parse.row_limit(text)


def test_names_are_split_at_commas_outside_quotes() -> None:
    assert parse.names('name, region ,"a, b",name,') == ("name", "region", "a, b")
    assert parse.names(["a, b"]) == ("a, b",)


def test_an_unknown_format_is_reported_with_the_known_ones() -> None:
    assert parse.formats("CSV,jsonl,csv") == ("csv", "jsonl")
    with pytest.raises(ValueError, match="'xml' is not a format; choose from csv, html, parquet, jsonl"):
        parse.formats("csv,xml")


def test_one_field_cannot_be_mapped_to_two_columns() -> None:
    assert parse.mapping(["refreshToken=a=b"]) == {"refreshToken": "a=b"}
    with pytest.raises(ValueError, match="two columns"):
        parse.mapping(["refreshToken=a", "refreshToken=b"])


@pytest.mark.parametrize("text", ["refreshToken", "=a", "refreshToken="])
def test_a_mapping_has_two_sides(text: str) -> None:
    with pytest.raises(ValueError, match="FIELD=COLUMN"):
        parse.mapping([text])


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/l.db", "a/l.db"),
        ("sqlite:///a/l.db", "a/l.db"),
        ("sqlite:////a/l.db", "/a/l.db"),
        ("/a/l.db", "/a/l.db"),
    ],
)
def test_a_ledger_is_a_path_or_a_url_of_sqlite(text: str, path: str) -> None:
    assert parse.ledger(text) == Path(path)


@pytest.mark.parametrize("scheme", ["mysql+pymysql", "postgresql+asyncpg", "oracle"])
def test_an_unsupported_ledger_is_refused_without_showing_its_password(scheme: str) -> None:
    with pytest.raises(
        ValueError, match=r"cannot be at .*; it is a file .* or a database on Post"
    ) as refused:
        parse.ledger(f"{scheme}://me:hunter2@db/ledger")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("text", ["sqlite://", "sqlite:///:memory:", ":memory:", ""])
def test_a_ledger_in_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not name a file"):
        parse.ledger(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.withleaf.io/", "https://api.withleaf.io"),
        (" HTTPS://API.WithLeaf.io:443 ", "https://api.withleaf.io"),
        ("https://proxy.example/leaf/", "https://proxy.example/leaf"),
        ("https://api.withleaf.io:8443", "https://api.withleaf.io:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_spellings_of_one_leaf_are_equal(text: str, url: str) -> None:
    assert parse.base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://api.withleaf.io",
        "http://127.0.0.1.evil.example",
        "http://localhost.example",
        "http://10.0.0.1",
    ],
)
def test_plain_http_is_refused_except_to_this_machine(text: str) -> None:
    with pytest.raises(ValueError, match="use https"):
        parse.base_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "api.withleaf.io",
        "ftp://api.withleaf.io",
        "https://",
        "https://me:pw@api.withleaf.io",
        "https://me@api.withleaf.io",
        "https://api.withleaf.io/?a=b",
        "https://api.withleaf.io/#a",
        "https://api.withleaf.io:99999",
        "https://api.with leaf.io",
        "https://[::1",
        "http://localhost\\@evil.example",
        "https://api..withleaf.io",
        "https://.",
        f"https://{'a' * 64}.io",
    ],
)
def test_an_address_with_extra_parts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it (is not a URL|contains)") as refused:
        parse.base_url(text)
    assert "pw@" not in str(refused.value)


def test_a_mistyped_provider_gets_a_suggestion() -> None:
    assert parse.provider("Raven_Slingshot", PROVIDERS) == "raven-slingshot"
    with pytest.raises(ValueError, match="did you mean raven-slingshot"):
        parse.provider("raven-slingshoot", PROVIDERS)


def test_a_cluster_is_local_or_the_address_of_a_scheduler() -> None:
    assert parse.cluster("local:3") == Local(3)
    for address in ("tcp://scheduler:8786", "tls://10.0.0.7:8786"):
        assert parse.cluster(address) == parse.cluster(parse.cluster(address)) == Remote(address)


@pytest.mark.parametrize(
    "text",
    ["", "local", "local:", "local:0", "local:-1", "local:many", "tcp://", "http://x", "tcp://me:pw@x"],
)
def test_an_invalid_cluster_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected local:N, tcp://HOST:PORT or tls://HOST:PORT"):
        parse.cluster(text)


_EXAMPLES = {
    "provider": "raven", "sheets": "Growers", "header_row": "3", "encoding": "utf-8", "mapping": ["a=b"],
    "keep": "name,region", "limit": "5", "rate": "600/min", "max_in_flight": "8",
    "base_url": "https://leaf.example", "token": "abc", "username": "me", "password": "swordfish",
    "timeout": "30s", "cluster": "local:2", "plan": __file__, "canary": "5", "max_failures": "2%",
    "min_rows": "10", "max_new": "50", "wait": "1m", "recheck": "7d", "folder": "reports",
    "ledger": "postgresql://me@db.example/growers", "formats": "csv", "notify": "json://a.example"
    " json://b.example",
    "ping": "https://hc-ping.com/check", "metrics": "growers.prom", "faults": "rainy",
}  # fmt: skip


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.parse], ids=lambda one: one.path[-1])
def test_a_parser_takes_its_own_results(setting: Setting) -> None:
    assert setting.parse
    parsed = setting.parse(True if setting.is_flag else _EXAMPLES[setting.path[-1]])
    assert setting.parse(parsed) == parsed


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.parse], ids=lambda one: one.path[-1])
def test_a_value_of_another_type_is_refused_or_understood(setting: Setting) -> None:
    assert setting.parse
    for value in (object(), 3.5, -1, [object()], {1: "a"}, b"x", float("nan"), (None,), "\ud800", None):
        with suppress(ValueError):  # anything else would be a traceback for the user
            setting.parse(value)
