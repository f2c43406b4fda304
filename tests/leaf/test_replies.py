"""What each answer of Leaf means."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import ANY

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Created,
    Credential,
    Echo,
    Event,
    Events,
    Exists,
    Payload,
    Refused,
    Secret,
    Throttled,
    Transient,
    Unauthorised,
    Verdict,
)
from bulk_onboard.leaf.comparison import Fields
from bulk_onboard.leaf.contact import Misdirected, after_login
from bulk_onboard.leaf.replies import (
    Reply,
    TooLarge,
    Unreadable,
    after_delete,
    after_events,
    after_get,
    after_post,
    parsed,
    retry_after,
    unanswered,
    unsent,
)
from tests.support.properties import scaled

AT = datetime(2026, 11, 23, 15, 45, tzinfo=UTC)
TOKEN, APP = "planted-token/1+2", 'planted-"app" secret'
SENT = Payload({"clientId": "my-app", "clientSecret": APP, "refreshToken": TOKEN})
FIELDS = Fields(("refreshToken",), (), ("clientId", "clientSecret", "clientEnvironment"))
GOOD = {"id": "c-1", "status": "OK", "createdTime": "2026-11-23T15:44:59.5Z", "refreshToken": TOKEN}
WHEN = AT - timedelta(seconds=0.5)
OK = Credential("c-1", "OK", WHEN, Echo.SAME, "2026-11-23T15:44:59.500000Z")


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, content, AT)


def post(status: int, body: Any = b"", **headers: str) -> Verdict:
    return after_post(reply(status, body, **headers), SENT, FIELDS)


def get(status: int, body: Any = b"", **headers: str) -> Verdict:
    return after_get(reply(status, body, **headers), SENT, FIELDS)


UNREADABLE = [
    b"",
    b"<html>Welcome</html>",
    b'{"id": "c-1", "sta',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe\x00",
    b'{"id": ' + b"9" * 5000 + b"}",
    b"[]",
    b"true",
    b'"c-1"',
    b"{}",
    b'{"id": null}',
    b'{"id": ""}',
    b'{"id": true}',
    b'{"id": ["c-1"]}',
    b'{"status": "OK"}',
]


@pytest.mark.parametrize("status", [200, 201, 299])
def test_a_2xx_to_a_post_that_shows_our_credentials_is_created(status: int) -> None:
    assert post(status, GOOD) == Created(OK)


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_2xx_to_a_post_that_cannot_be_read_is_ambiguous(body: bytes) -> None:
    verdict = post(201, body)
    assert isinstance(verdict, Ambiguous)
    assert verdict.code == "unreadable-reply"


def test_a_202_to_a_post_is_not_done() -> None:
    assert isinstance(post(202, GOOD), Ambiguous)


def test_a_2xx_with_another_token_is_left_to_the_policy() -> None:
    assert post(200, GOOD | {"refreshToken": "another-token"}) == Created(replace(OK, echo=Echo.DIFFERENT))


@pytest.mark.parametrize(
    ("shown", "app", "environment"),
    [
        ({}, Echo.UNKNOWN, ""),
        ({"clientId": "my-app"}, Echo.SAME, ""),
        ({"clientId": "my-app", "clientSecret": "***"}, Echo.SAME, ""),
        ({"clientId": "my-app", "clientSecret": "[REDACTED]"}, Echo.SAME, ""),
        ({"clientId": "***", "clientSecret": None}, Echo.UNKNOWN, ""),
        ({"clientId": "my-app", "clientSecret": "planted-other"}, Echo.DIFFERENT, ""),
        ({"clientId": "other-app", "clientSecret": APP}, Echo.DIFFERENT, ""),
        ({"clientEnvironment": "production"}, Echo.SAME, ""),
        ({"clientId": "my-app", "clientEnvironment": "STAGE"}, Echo.DIFFERENT, "STAGE"),
    ],
)
def test_application_fields_are_compared(shown: dict[str, object], app: Echo, environment: str) -> None:
    sent = Payload({**SENT, "clientEnvironment": "PRODUCTION"})
    verdict = after_get(reply(200, GOOD | shown), sent, FIELDS)
    assert verdict == Exists(replace(OK, app=app, environment=environment))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused("refused-by-leaf", "HTTP 400")),
        (402, Refused("refused-by-leaf", "HTTP 402")),
        (403, Refused("login-forbidden", "HTTP 403")),
        (405, Refused("refused-by-leaf", "HTTP 405")),
        (413, Refused("refused-by-leaf", "HTTP 413")),
        (401, Unauthorised()),
        (425, Transient("leaf-unavailable", "HTTP 425")),
        (429, Throttled()),
        (408, Ambiguous("server-error", "HTTP 408")),
        (504, Ambiguous("server-error", "HTTP 504")),
        (500, Ambiguous("server-error", "HTTP 500")),
        (502, Ambiguous("server-error", "HTTP 502")),
        (503, Ambiguous("server-error", "HTTP 503")),
        (599, Ambiguous("server-error", "HTTP 599")),
        (301, Ambiguous("redirected", "HTTP 301; redirects are not followed")),
        (307, Ambiguous("redirected", "HTTP 307; redirects are not followed")),
        (199, Ambiguous("unreadable-reply", "HTTP 199")),
    ],
)
def test_statuses_mean_the_same_for_each_method(status: int, expected: Verdict) -> None:
    assert (
        post(status) == get(status) == after_delete(reply(status)) == after_events(reply(status)) == expected
    )


def test_a_post_for_a_missing_user_is_refused() -> None:
    assert post(404) == Refused("no-such-user", "HTTP 404")


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (409, {}),
        (409, {"title": "Conflict"}),
        (400, {"errorKey": "credentialsalreadyexist"}),
        (400, {"title": "Bad Request", "message": "Credentials already exist"}),
        (422, {"detail": "duplicate credentials"}),
        (412, {"message": "a credential exists"}),
    ],
)
def test_refusals_because_credentials_exist(status: int, problem: dict[str, str]) -> None:
    verdict = post(status, problem)
    assert isinstance(verdict, Exists)
    assert verdict.credential is None


@pytest.mark.parametrize(
    "message",
    [
        "user does not exist",
        "user doesn't exist",
        "no such user exists",
        "the user was not found",
        "bad token",
        "Refresh token was already used",
        "The refresh token has already been used",
        "invalid_grant: refresh token already redeemed",
        "tokenAlreadyUsed",
    ],
)
def test_refusals_because_something_is_missing(message: str) -> None:
    assert isinstance(post(400, {"message": message}), Refused)
    assert isinstance(post(422, {"errorKey": message}), Refused)


def test_a_problem_document_gives_key_and_message() -> None:
    problem = {
        "type": "x",
        "title": "Bad Request",
        "status": 400,
        "message": "error.v",
        "errorKey": "idinvalid",
    }
    assert post(400, problem) == Refused("leaf:idinvalid", "HTTP 400 · Bad Request · error.v")


@pytest.mark.parametrize("field", ["title", "message", "errorKey"])
@pytest.mark.parametrize(
    "form", [TOKEN, APP, json.dumps(APP)[1:-1], "planted-token%2F1%2B2", "planted-token%2f1%2b2"]
)
def test_a_secret_in_a_problem_is_masked(field: str, form: str) -> None:
    assert "planted" not in repr(post(400, {field: f"value {form} is bad"}))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, GOOD, Exists(OK)),
        (404, b"", Absent(bare=True, plain=True)),
        (410, b"404: Not Found", Absent(bare=True, plain=True)),
        (404, b"<html>404 Not Found</html>", Ambiguous("server-error", ANY)),
        (404, b"default backend - 404", Ambiguous("server-error", ANY)),
        (404, {"title": "Not Found"}, Absent()),
        (204, b"", Absent(bare=True)),
        (200, b"", Absent(bare=True)),
        (200, b" \n", Absent(bare=True)),
        (200, b"null", Absent(bare=True)),
        (200, b" [] ", Absent(bare=True)),
        (200, b"{}", Absent(bare=True)),
    ],
)
def test_a_get_shows_the_credentials(status: int, body: Any, expected: Verdict) -> None:
    assert get(status, body) == expected


@pytest.mark.parametrize(
    "body", [b for b in UNREADABLE if b not in {b"", b"{}", b"[]"}], ids=range(len(UNREADABLE) - 3)
)
def test_an_unreadable_get_proves_nothing(body: bytes) -> None:
    assert isinstance(get(200, body), Ambiguous)


@pytest.mark.parametrize("status", [201, 202, 206])
def test_a_get_with_an_unexpected_2xx_proves_nothing(status: int) -> None:
    assert isinstance(get(status, GOOD), Ambiguous)


@pytest.mark.parametrize(
    ("shown", "echo"),
    [
        (TOKEN, Echo.SAME),
        ("another", Echo.DIFFERENT),
        (None, Echo.UNKNOWN),
        ("", Echo.UNKNOWN),
        (5, Echo.UNKNOWN),
        ("***", Echo.UNKNOWN),
        ("******", Echo.UNKNOWN),
        ("••••••", Echo.UNKNOWN),
        ("XXXX-XXXX".replace("-", " "), Echo.UNKNOWN),
        ("…", Echo.UNKNOWN),
        ("plan****", Echo.UNKNOWN),
        ("**n/1+2", Echo.UNKNOWN),
        ("••••/1+2", Echo.UNKNOWN),
        ("plan…", Echo.UNKNOWN),
        ("plan...1+2", Echo.UNKNOWN),
        ("xxxxxxxx/1+2", Echo.UNKNOWN),
    ],
)
def test_a_masked_or_missing_echo_says_neither_same_nor_different(shown: object, echo: Echo) -> None:
    verdict = get(200, GOOD | {"refreshToken": shown})
    assert isinstance(verdict, Exists)
    assert verdict.credential is not None
    assert verdict.credential.echo is echo


@pytest.mark.parametrize(
    ("shown", "echo"),
    [
        ({}, Echo.SAME),
        ({"username": "ANN "}, Echo.SAME),
        ({"username": "bob"}, Echo.DIFFERENT),
        ({"username": "bob", "password": "***"}, Echo.DIFFERENT),
        ({"username": "***", "password": "***"}, Echo.UNKNOWN),
        ({"username": 5, "password": None}, Echo.UNKNOWN),
        ({"password": "planted-other"}, Echo.DIFFERENT),
    ],
)
def test_one_password_of_another_user_name_is_another_credential(
    shown: dict[str, object], echo: Echo
) -> None:
    ours = Payload({"username": "Ann", "password": "planted-password"})
    told = reply(200, {"id": "c-1", "username": "Ann", "password": "planted-password"} | shown)
    verdict = after_get(told, ours, Fields(("password",), ("username",), ()))
    assert isinstance(verdict, Exists)
    assert verdict.credential is not None
    assert verdict.credential.echo is echo
    assert verdict.credential.other_account is (shown.get("username") == "bob")


@pytest.mark.parametrize(
    ("text", "created"),
    [
        ("2026-11-23T15:44:59.500000Z", WHEN),
        ("2026-11-23T15:44:59.5", WHEN),
        ("2026-11-23T16:44:59.5+01:00", WHEN),
        ("2026-11-23T15:44:59.500000000Z", WHEN),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1763912699, None),
        ({"at": 1}, None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_odd_times_of_creation_are_none(text: object, created: datetime | None) -> None:
    verdict = get(200, GOOD | {"createdTime": text})
    assert isinstance(verdict, Exists)
    assert verdict.credential is not None
    if created or verdict.credential.created:
        # A Python that reads nanoseconds reads them right.
        assert verdict.credential.created == (created or WHEN)


@pytest.mark.parametrize("seconds", [-7200, -3, 3, 7200])
def test_the_time_of_creation_is_converted_to_our_clock(seconds: int) -> None:
    theirs = AT + timedelta(seconds=seconds)
    date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")
    shown = WHEN + timedelta(seconds=seconds)
    verdict = get(200, GOOD | {"createdTime": shown.isoformat()}, Date=date)
    as_shown = shown.strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # which identifies them, whatever our clock says
    assert verdict == Exists(replace(OK, created_time=as_shown))


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("date", ["Mon, 23 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 2026 20:00:00 GMT"])
def test_a_placeholder_year_is_ignored(year: str, date: str) -> None:
    assert isinstance(get(200, GOOD | {"createdTime": year}, Date=date), Exists)


def test_a_status_that_is_not_text_is_ignored() -> None:
    verdict = get(200, GOOD | {"status": {"refreshToken": "someone-else-s"}})
    assert isinstance(verdict, Exists)
    assert verdict.credential is not None
    assert verdict.credential.status == ""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("99999999999999999999", None),
        ("Mon, 23 Nov 2026 15:46:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 16:46:00 +0100", 60.0),
        ("Mon, 23 Nov 2026 15:44:00 GMT", 0.0),
        ("Mon, 99 Nov 2026 15:44:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, AT) == seconds


def test_retry_after_by_date_goes_by_leaf_s_clock() -> None:
    verdict = post(429, Date="Mon, 23 Nov 2026 12:00:00 GMT", Retry_After="Mon, 23 Nov 2026 12:00:30 GMT")
    assert verdict == Throttled(30.0)


@pytest.mark.parametrize(
    ("status", "body", "usual"),
    [
        (200, b'{"id": 1}', True),
        (204, b"", True),
        (404, b'{"title": "no"}', False),
        (410, b'{"a": 1}', False),
    ],
)
def test_a_delete_that_leaves_nothing_is_absent(status: int, body: bytes, usual: bool) -> None:
    assert after_delete(reply(status, body)) == Absent(usual=usual)


@pytest.mark.parametrize(("status", "body"), [(200, b""), (200, b"null"), (202, b""), (202, b'{"id": 1}')])
def test_an_accepted_delete_is_verified(status: int, body: bytes) -> None:
    verdict = after_delete(reply(status, body))
    assert isinstance(verdict, Ambiguous)
    assert (verdict.accepted, verdict.code) == (True, "not-confirmed")
    assert f"HTTP {status}" in verdict.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (404, b" \n<html>"),
        (410, b"<html>"),
        (404, b""),
        (404, b"404 page not found"),
        (410, b"gone"),
    ],
)
def test_a_delete_reply_of_a_gateway_proves_nothing(status: int, body: bytes) -> None:
    verdict = after_delete(reply(status, body))
    assert isinstance(verdict, Ambiguous)
    assert (verdict.accepted, verdict.code) == (False, "unreadable-reply")
    assert f"HTTP {status}" in verdict.message


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Events(None)),
        (b"null", Events(None)),
        ([], Events(None)),
        ([{"statusCode": 200}], Events(Event(200, None))),
        ([{"statusCode": "401"}], Events(Event(401, None))),
        ([{"statusCode": 200}, {"statusCode": 500}], Events(Event(500, None))),
        (
            [
                {"statusCode": 500, "createdDate": "2026-11-23T12:00:00Z"},
                {"statusCode": 200, "createdDate": "2026-11-22T12:00:00Z"},
                {"statusCode": 201, "createdDate": None},
            ],
            Events(Event(500, at("2026-11-23T12:00:00+00:00"))),
        ),
        # An event without a readable code is never healthy.
        ([{"statusCode": "abc"}], Events(Event(0, None))),
        ([{"other": 1}, {"statusCode": 200}], Events(Event(0, None))),
        ({"content": [{"statusCode": 401}], "totalElements": 1}, Events(Event(401, None))),
        # Dated after Leaf's own clock: not proved to be the newest.
        (
            [
                {"statusCode": 200, "createdDate": "2999-01-01T00:00:00Z"},
                {"statusCode": 401, "createdDate": 1e9},
            ],
            Events(Event(401, at("2001-09-09T01:46:40+00:00"))),
        ),
    ],
)
def test_the_deciding_event_of_a_log(body: Any, expected: Events) -> None:
    assert after_events(reply(200, body)) == expected


@pytest.mark.parametrize("body", [b"<html>", {"a": 1}, [1], b"[" * 100_000, "x"])
def test_events_that_cannot_be_read_are_ambiguous(body: Any) -> None:
    assert isinstance(after_events(reply(200, body)), Ambiguous)


@pytest.mark.parametrize(("status", "expected"), [(204, Events(None)), (404, Absent()), (410, Absent())])
def test_no_events_and_no_credentials_are_distinguished(status: int, expected: object) -> None:
    assert after_events(reply(status)) == expected


@pytest.mark.parametrize(
    ("body", "token"),
    [
        ({"id_token": "abc.def"}, "abc.def"),
        ({"id_token": ""}, None),
        ({"id_token": 5}, None),
        ({"id_token": "abc\r\nX-Evil: 1"}, None),
        ({}, None),
        ([], None),
        (b"<html>", None),
    ],
)
def test_a_login_token_must_be_a_valid_header(body: Any, token: str | None) -> None:
    verdict = after_login(reply(200, body))
    assert verdict == Secret(token) if token else isinstance(verdict, Misdirected)


KEY = ConnectionKey("leaf.example", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), "dns-failure", "leaf.example is not"),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "bad")), "tls-failure", "SSLError"),
        (aiohttp.ClientConnectorCertificateError(KEY, ValueError()), "tls-failure", "unknown authority"),
        (TimeoutError(), "connect-timeout", "in time"),
        (
            aiohttp.ClientHttpProxyError(aiohttp.RequestInfo(URL("x"), "CONNECT", {}), (), status=407),  # type: ignore[arg-type]
            "connection-refused",
            "the proxy answered HTTP 407",
        ),
        (aiohttp.ClientProxyConnectionError(KEY, OSError(111, "no")), "connection-refused", "HTTPS_PROXY"),
        (aiohttp.ClientConnectorError(KEY, OSError(111, "refused it")), "connection-refused", "refused it"),
        (aiohttp.ServerDisconnectedError(), "connection-refused", "no connection"),
    ],
)
def test_requests_that_never_went_out_are_transient(error: Exception, code: str, words: str) -> None:
    verdict = unsent(error)
    assert isinstance(verdict, Transient)
    assert verdict.code == code
    assert words in verdict.message


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        aiohttp.ServerTimeoutError(),
        aiohttp.SocketTimeoutError(),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientConnectorError(KEY, OSError(111, "Connection refused")),
        aiohttp.ClientConnectorSSLError(KEY, OSError(1, "bad")),
        aiohttp.ClientOSError(104, "Connection reset by peer"),
        aiohttp.ClientPayloadError(),
        aiohttp.ClientConnectionResetError(),
        ConnectionResetError(),
        OSError(),
        TooLarge(),
        Unreadable(),
        Exception(),
    ],
)
def test_requests_that_may_have_gone_out_are_ambiguous(error: Exception) -> None:
    verdict = unanswered(error)
    assert isinstance(verdict, Ambiguous)
    codes = {TooLarge: "response-too-large", TimeoutError: "no-answer", Unreadable: "unreadable-reply"}
    kinds = [code for kind, code in codes.items() if isinstance(error, kind)]
    assert verdict.code == (kinds[0] if kinds else "connection-lost")
    assert verdict.message


def test_error_keys_never_repeat_secrets() -> None:
    shown = get(200, GOOD | {"id": TOKEN, "status": TOKEN})
    assert isinstance(shown, Exists)
    assert "planted" not in repr(shown)


@pytest.mark.parametrize("text", ["2026-11-23T14:00:00", "2026-11-23T16:00:00+02:00", "2026-11-23T14:00:00Z"])
def test_a_time_without_a_zone_is_utc_and_any_other_is_converted(text: str) -> None:
    shown = get(200, GOOD | {"createdTime": text})
    assert isinstance(shown, Exists)
    assert shown.credential
    assert shown.credential.created == datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_used_token_is_not_existing_credentials() -> None:
    assert isinstance(post(409, {"message": "Refresh token was already used"}), Refused)
    assert post(503, b"", Retry_After="3") == Ambiguous("server-error", "HTTP 503", 3.0)


# --- anything at all --------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([TOKEN, APP, f"a {TOKEN} b", "\ud800", "OK", "0001-01-01T00:00:00Z"])
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [*GOOD, "title", "message", "errorKey", "detail", "statusCode", "createdDate", "x"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda v: json.dumps(v).encode()),
    st.dictionaries(st.sampled_from([*GOOD, "title", "message", "errorKey", "detail"]), json_values).map(
        lambda v: json.dumps({"id": "c-1"} | v).encode()
    ),
)
times = st.sampled_from(
    ["Mon, 23 Nov 2026 10:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -1400", "0", "1 1 1 1 1 1", "x"]
)
headers = st.dictionaries(st.sampled_from(["Date", "Retry-After"]), st.text(max_size=40) | times)


@settings(max_examples=scaled(200))
@given(st.integers(100, 599), headers, bodies)
def test_no_reply_raises_or_reveals_a_secret(status: int, head: dict[str, str], body: bytes) -> None:
    answer = Reply(status, head, body, AT)
    assert "planted" not in repr(answer)
    verdicts = [
        after_post(answer, SENT, FIELDS),
        after_get(answer, SENT, FIELDS),
        after_delete(answer),
        after_events(answer),
    ]
    for verdict in verdicts[:2]:
        assert "planted" not in repr(verdict)
    for verdict in verdicts:
        str(verdict).encode("utf-8", errors="strict")
        after = getattr(verdict, "after", None)
        assert after is None or after >= 0
    assert "planted" not in repr(after_login(answer))


@settings(max_examples=scaled(150))
@given(st.text(max_size=60) | times)
def test_no_retry_after_raises(value: str) -> None:
    seconds = retry_after(value, AT)
    assert seconds is None or seconds >= 0


encodings = st.sampled_from(
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)


@given(st.dictionaries(st.text(), st.text() | st.none()), encodings, st.sampled_from([None, 2]))
def test_json_is_read_in_any_unicode_encoding(data: dict[str, Any], encoding: str, indent: int) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    assert parsed(reply(200, text.encode(encoding, "surrogatepass"))) == data
