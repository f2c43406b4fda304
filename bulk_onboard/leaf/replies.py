"""The meaning of Leaf's answers: a reply, or the exception in its place, becomes a verdict. Pure.

Bodies echo every secret, so they are parsed here and discarded; only verdicts are passed on.
Sources: Leaf's public API documentation (docs.withleaf.io, 2026); errors are JHipster problem objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple

import aiohttp

from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Created,
    Credential,
    Events,
    EventsVerdict,
    Exists,
    Log,
    LogVerdict,
    Payload,
    Refused,
    Throttled,
    Transient,
    Unauthorised,
    Verdict,
)
from bulk_onboard.leaf import event_log
from bulk_onboard.leaf.comparison import Fields, compare_app, compare_secrets, is_other_account
from bulk_onboard.leaf.scrub import scrub, word
from bulk_onboard.policy.health import deciding_event

# The headers that mean something to us.
HEADERS = ("Date", "Retry-After", "X-Total-Count")


class Reply(NamedTuple):
    """An HTTP reply as it came, of its headers only `HEADERS`.

    ``body`` is complete; ``at`` is our UTC time when it was read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    def __repr__(self) -> str:
        return f"Reply(status={self.status}, body=***)"


class TooLarge(Exception):  # noqa: N818
    """The body was larger than anything Leaf would answer; it was not read to its end."""


class Unreadable(Exception):  # noqa: N818
    """The body is packed in a way that cannot be unpacked."""


def after_post(reply: Reply, sent: Payload, fields: Fields) -> Verdict:
    """The verdict on a POST of credentials."""
    if 200 <= reply.status < 300:
        credential = None if reply.status == 202 else _credential(reply, sent, fields)
        if credential is None:
            return Ambiguous("unreadable-reply", f"HTTP {reply.status} without readable credentials")
        return Created(credential)
    if reply.status == 404:
        return OF_A_GATEWAY if is_page(reply) else Refused("no-such-user", _message(reply, sent))
    if may_exist(reply):
        return Exists(None, *refusal(reply, sent))
    return common(reply, sent)


def after_get(reply: Reply, ours: Payload, fields: Fields) -> Verdict:
    """The verdict on a GET of credentials."""
    if reply.status in {404, 410}:
        if is_page(reply):
            return OF_A_GATEWAY
        # A problem in JSON is Leaf's own word; nothing, or plain words, may be of something in front of it.
        plain = not _problem(reply)
        return Absent(bare=plain, plain=plain, form=f"{reply.status} {'plain' if plain else 'problem'}")
    if reply.status == 204:
        return Absent(bare=True, form="204")
    if reply.status == 200:
        if _is_bare(reply):
            return Absent(bare=True, form=f"200 {reply.body.strip().decode()}")
        credential = _credential(reply, ours, fields)
        return Exists(credential) if credential else Ambiguous("unreadable-reply", "not credentials")
    return common(reply, ours)


def after_delete(reply: Reply) -> Verdict:
    """The verdict on a DELETE of credentials: Absent when they are gone."""
    if is_page(reply) and (reply.status < 300 or reply.status in {404, 410}):
        return Ambiguous("unreadable-reply", f"HTTP {reply.status} with a page that is not Leaf's")
    if reply.status == 204 or (reply.status == 200 and not _is_bare(reply)):
        return Absent()
    if 200 <= reply.status < 300:
        return Ambiguous("not-confirmed", f"HTTP {reply.status} does not confirm success", accepted=True)
    if reply.status in {404, 410}:
        # Only what Leaf has just shown is deleted: that it does not find it takes another look.
        unreadable = Ambiguous("unreadable-reply", f"HTTP {reply.status}")
        return Absent(usual=False) if _problem(reply) else unreadable
    return common(reply, Payload({}))


def after_log(reply: Reply) -> LogVerdict:
    """The verdict on a GET of a credential's events: all of them, without headers and bodies.

    Of a log that is too long to be read to its end: those that were read.
    """
    if reply.status == 200:
        listed = _listed_events(reply)
        if listed is None:
            return _NO_EVENTS_LIST
        events = tuple(event_log.event_of(event) for event in listed if event != event_log.CUT_OFF)
        return Log(events, deciding_event(events, _their_now(reply)))
    if reply.status in {404, 410} and not _problem(reply):
        return Ambiguous("unreadable-reply", f"HTTP {reply.status}, not in Leaf's format")
    verdict = after_events(reply)
    return Log(()) if isinstance(verdict, Events) else verdict


def after_events(reply: Reply) -> EventsVerdict:
    """The verdict on a GET of a credential's events: the one that decides about the health."""
    if reply.status in {204, 404, 410}:
        if reply.status == 204:
            return Events(None)
        return OF_A_GATEWAY if is_page(reply) else Absent()
    if reply.status == 200:
        listed = _listed_events(reply)
        if listed is None:
            return _NO_EVENTS_LIST
        if event_log.CUT_OFF in listed:
            return Ambiguous("response-too-large", "the event log was too long to be read to its end")
        return Events(deciding_event([event_log.event_of(event) for event in listed], _their_now(reply)))
    verdict = common(reply, Payload({}))
    assert not isinstance(verdict, Created | Exists)  # noqa: S101  (narrows the type)
    return verdict


def unsent(error: BaseException) -> Transient:
    """Return the verdict if no connection could be opened: the request was certainly not sent."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Transient("dns-failure", f"the name {error.host} is not known")
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or "unknown authority"
            return Transient("tls-failure", f"the certificate is not trusted: {why} (see SSL_CERT_FILE)")
        case aiohttp.ClientSSLError():
            return Transient("tls-failure", type(error).__name__)
        case TimeoutError():
            return Transient("connect-timeout", "no connection in time")
        case aiohttp.ClientHttpProxyError():
            return Transient(
                "connection-refused", f"the proxy answered HTTP {error.status} (see HTTPS_PROXY)"
            )
        case aiohttp.ClientProxyConnectionError():
            return Transient("connection-refused", "no connection to the proxy (see HTTPS_PROXY)")
        case aiohttp.ClientConnectorError():
            return Transient("connection-refused", error.strerror or "no connection")
        case _:
            return Transient("connection-refused", "no connection")


def unanswered(error: BaseException) -> Ambiguous:
    """The verdict when no reply came on a connection, whatever the reason: the request may have arrived."""
    match error:
        case TooLarge():
            return Ambiguous("response-too-large", "the reply was far larger than any of Leaf's")
        case TimeoutError():
            return Ambiguous("no-answer", "no answer in time")
        case aiohttp.ClientResponseError() | Unreadable():
            return Ambiguous("unreadable-reply", "not HTTP")
        case _:
            return Ambiguous("connection-lost", "the connection broke before the answer was complete")


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header: a number of them, or an HTTP date (RFC 9110 §10.2.3)."""
    if not value:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value.strip()):
        return float(value.strip())
    date = _http_date(value)
    return max(0.0, (date - now).total_seconds()) if date else None


# --- pieces -----------------------------------------------------------------------------------------

_MAY_EXIST = frozenset({400, 409, 412, 422})
_EXISTS = re.compile(r"already|exists?\b|duplicate", re.IGNORECASE)
_DENIES = re.compile(
    r"\b(not|no|doesn.?t|cannot|can.?t|isn.?t)\b[^.]*\bexist|no such|not found", re.IGNORECASE
)


# "Refresh token was already used" is about the token; what exists already are credentials.
_USED_UP = re.compile(
    r"\balready[\s_-]*(been[\s_-]*)?(used|consumed|exchanged|redeemed|spent|revoked|expired|invalidated|rotated)"
    r"|(token|code|grant)\w*[^.]{0,40}\b(used|reused|re-used|consumed|expired|revoked)\b|invalid[\s_-]?grant|(re-?)used[\s_-]*token",
    re.IGNORECASE,
)


def may_exist(reply: Reply) -> bool:
    """Whether a POST was refused because there is something already."""
    return reply.status in _MAY_EXIST and (
        _says_exists(reply) or (reply.status == 409 and not _is_used_up(reply))
    )


def refusal(reply: Reply, sent: Payload) -> tuple[str, str]:
    """The code and the message of a reply that refuses what was sent."""
    return _code(reply, sent), _message(reply, sent)


def common(reply: Reply, sent: Payload) -> Refused | Throttled | Ambiguous | Unauthorised | Transient:
    """Statuses that mean the same whatever was asked."""
    after = retry_after(reply.headers.get("Retry-After"), _their_now(reply))
    match reply.status:
        case 401:
            return Unauthorised()
        case 403:
            return Refused("login-forbidden", _message(reply, sent))
        case 429:
            return Throttled(after)
        case 425:
            return Transient("leaf-unavailable", "HTTP 425")
        case status if status >= 500 or status == 408:
            return Ambiguous("server-error", f"HTTP {status}", after)
        case status if 300 <= status < 400:
            return Ambiguous("redirected", f"HTTP {status}; redirects are not followed")
        case status if status >= 400:
            return Refused(_code(reply, sent), _message(reply, sent))
        case status:
            return Ambiguous("unreadable-reply", f"HTTP {status}")


def parsed(reply: Reply) -> Any:
    """The body's JSON, None if it is none. Deep nesting is a reply that cannot be read, not a crash."""
    body = reply.body
    try:
        # Nearly all bodies begin like this, and json takes as long to guess their encoding as to read them.
        if body[:2] in _UTF8_OBJECTS:
            return json.loads(body.decode("utf-8", "surrogatepass"))
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _problem(reply: Reply) -> dict[str, Any]:
    data = parsed(reply)
    return data if isinstance(data, dict) else {}


def _code(reply: Reply, sent: Payload) -> str:
    key = word(_problem(reply).get("errorKey") or "", sent.values())
    return f"leaf:{key}" if key else "refused-by-leaf"


def _message(reply: Reply, sent: Payload) -> str:
    problem = _problem(reply)
    parts = [str(problem[k]) for k in ("title", "message") if isinstance(problem.get(k), str)]
    return scrub(" · ".join([f"HTTP {reply.status}", *dict.fromkeys(parts)]), sent.values())


def _said(reply: Reply) -> str:
    problem = _problem(reply)
    text = " ".join(str(problem.get(k) or "") for k in ("errorKey", "title", "message", "detail"))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)  # keys are written in camel case


def _is_used_up(reply: Reply) -> bool:
    return bool(_USED_UP.search(_said(reply)))


def _says_exists(reply: Reply) -> bool:
    text = _said(reply)
    return bool(_EXISTS.search(text)) and not _DENIES.search(text) and not _USED_UP.search(text)


# How an object in UTF-8 begins; in any other encoding there is a zero beside the brace.
_UTF8_OBJECTS = frozenset({b'{"', b"{}", b"{ ", b"{\n", b"{\r", b"{\t"})
OF_A_GATEWAY = Ambiguous("server-error", "HTTP 404 with a page that is not Leaf's")


def is_page(reply: Reply) -> bool:
    """Whether a "not found" is of a gateway that does not find Leaf (such as nginx, or Kubernetes' own)."""
    body = reply.body[:1000].lstrip().lower()
    return body.startswith(b"<") or b"default backend" in body


def _is_bare(reply: Reply) -> bool:
    return reply.body.strip() in {b"", b"null", b"{}", b"[]"}


def credential_id(data: Mapping[str, Any]) -> str | int | None:
    """Return the id of the credentials that a reply shows, None if it shows none."""
    name = data.get("id")
    return name if isinstance(name, str | int) and not isinstance(name, bool) and name != "" else None


def _credential(reply: Reply, ours: Payload, fields: Fields) -> Credential | None:
    data = parsed(reply)
    if not isinstance(data, dict) or (name := credential_id(data)) is None:
        return None
    status, shown = data.get("status"), data.get("createdTime")
    created = _timestamp(shown)
    app, environment = compare_app(data, ours, fields)
    return Credential(
        id=word(name, ours.values()),
        status=word(status, ours.values()) if isinstance(status, str) else "",
        created=_on_our_clock(created, reply),
        echo=compare_secrets(data, ours, fields),
        created_time=_text(created, shown),
        app=app,
        environment=environment,
        other_account=is_other_account(data, ours, fields),
    )


_NO_EVENTS_LIST = Ambiguous("unreadable-reply", "not a list of events")


def _listed_events(reply: Reply) -> list[dict[str, Any]] | None:
    return [] if reply.body.strip() in {b"", b"null"} else event_log.listed(parsed(reply))


# What comes after the microseconds, in a time that is longer than with these and "Z".
_NANOSECONDS, _MICROSECONDS = re.compile(r"(?<=\.[0-9]{6})[0-9]+"), len("2026-01-15T12:00:00.123456Z")


# As Leaf writes it, and as it is recorded.
_USUAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def _text(created: datetime | None, shown: object) -> str:
    if created is None:
        return ""
    if isinstance(shown, str) and _USUAL_TIME.fullmatch(shown):
        return shown  # in a sixth of the time
    return created.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def _timestamp(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_NANOSECONDS.sub("", value) if len(value) > _MICROSECONDS else value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _on_our_clock(theirs: datetime | None, reply: Reply) -> datetime | None:
    their_now = _their_now(reply)
    if theirs is None or their_now is reply.at:
        return theirs
    try:
        return theirs + (reply.at - their_now)
    except OverflowError:  # the year 1, or 9999: a placeholder
        return None


def _their_now(reply: Reply) -> datetime:
    """Leaf's time when it answered. Its Date header is cut to the second, so small differences are none."""
    date = _http_date(reply.headers.get("Date") or "")
    if date is None or abs(date - reply.at) < timedelta(seconds=2):
        return reply.at
    return date


@lru_cache(maxsize=64)  # a date is the same for all replies of its second
def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None
