"""The calls to Leaf: each takes its turn, is sent once, and comes back as an answer."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Self, TypeVar

from yarl import URL

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.domain.turns import Turns, Urgency
from bulk_onboard.domain.user_list import PageVerdict, Prints
from bulk_onboard.domain.users import CreateUserVerdict, LookUpVerdict, UserKey
from bulk_onboard.errors import LoginRefused, StoppedForSafety
from bulk_onboard.leaf import contact_replies, user_pages, user_replies
from bulk_onboard.leaf.auth import Auth, Bearer, Refusal
from bulk_onboard.leaf.availability import Availability
from bulk_onboard.leaf.calls import Calls
from bulk_onboard.leaf.contact_replies import Misdirected
from bulk_onboard.leaf.http import LARGEST_PAGE, Http, NotValidError, Request, Sent, ignore_sent
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.model import (
    Absent,
    Ambiguous,
    Answer,
    Exists,
    Refused,
    Requests,
    Secret,
    Throttled,
    Transient,
    Unauthorised,
    Verdict,
)
from bulk_onboard.policy.outage import is_failure
from bulk_onboard.settings import LeafSettings

API = "/services/usermanagement/api"
LOGIN_ATTEMPTS = 6
# Seconds for which a login waits while Leaf asks to come back later.
LOGIN_PATIENCE = 600.0
# Seconds for which the first contact is tried while there is no connection at all. What prevents it then
# (a wrong address, an unknown name or certificate) does not mend itself, and people wait for the message.
CONTACT_PATIENCE = 3.0
CONTACT_ATTEMPTS = 3
# Seconds without an answer to the first request, before that is said.
SILENCE = 5.0
# For one request. A token that others are served with may still be refused for one grower, for ever.
RENEWALS = 3
# So many empty replies can be broken ones, before it is known how this Leaf says "none".
RARE = 5
# Users that a look-up asks for at a time, Leaf's most.
PAGE = 100
# The documented order of a list; without one, pages may overlap.
SORT = {"sort": "name,asc"}

V = TypeVar("V")
ContactVerdict = Misdirected | Throttled | Ambiguous | Transient | Unauthorised | None


class _OutdatedError(Exception):
    """While a request waited for its turn, its token was refused for others; it has not been sent."""


class LeafClient:
    """Our connection to Leaf: one login, one pace, and the calls `of` each provider. Use as ``async with``.

    ``turns`` gives every single request its turn, logins included. ``connections``: the most requests that
    may be under way at a time. ``on_trouble`` gets a message when a login has to be tried again, or Leaf is
    unavailable.
    """

    def __init__(
        self,
        settings: LeafSettings,
        providers: Iterable[Provider],
        turns: Turns,
        *,
        connections: int = 100,
        on_trouble: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self._settings = settings
        self._base = URL(settings.base_url)
        self._prefix = self._base.raw_path.rstrip("/")
        self._turns = turns
        self._availability = Availability(on_trouble)
        self._on_trouble = on_trouble
        self._http = Http(settings, connections)
        # Taken before the turn: a request that had its turn would go out during a pause that came meanwhile.
        self._connections = asyncio.Semaphore(connections)
        self._providers = tuple(providers)
        self._calls = {provider.name: Calls(self, provider) for provider in self._providers}
        self._auth = Auth(settings.login, self._authenticate, self._serves)
        self._sent: Counter[str] = Counter()
        self._sorts = True
        self._looks: Counter[str] = Counter()
        self._absent: defaultdict[str, set[str]] = defaultdict(set)

    async def __aenter__(self) -> Self:
        await self._http.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.close()

    @property
    def requests(self) -> Requests:
        """How many requests have been sent so far."""
        sent = self._sent
        return Requests(sent["GET"], sent["POST"], sent["DELETE"], sent["throttled"])

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 if there is no ceiling."""
        return self._turns.rate

    async def contact(self) -> None:
        """Log in and send one small request, so that a wrong address or login is noticed before any row.

        Raises LoginRefused or StoppedForSafety.
        """
        saying = asyncio.get_running_loop().call_later(SILENCE, self._on_trouble, self._silent())
        try:
            await self._auth.bearer()
            await self._first_request()
        finally:
            saying.cancel()

    async def _first_request(self) -> None:
        began, failures = perf_counter(), 0
        while True:
            verdict = (await self.call(self._small_request())).verdict
            if isinstance(verdict, Misdirected):
                raise self._misdirected(verdict)
            if isinstance(verdict, Throttled | Ambiguous) and (verdict.after or 0.0) > LOGIN_PATIENCE:
                raise StoppedForSafety(
                    f"Leaf asks to wait for {verdict.after:.0f} s; run the same command again then"
                )
            if verdict is None or isinstance(verdict, Throttled | Refused | Unauthorised):
                return  # it is Leaf; a refused login has been raised already
            failures += 1
            self._on_trouble(f"{self._silent()}: {verdict.message or verdict.code}")
            if isinstance(verdict, Ambiguous) and failures >= CONTACT_ATTEMPTS:
                return  # there is something: whether it serves rows, they will find out
            pause = min(0.25 * 2.0**failures, 4.0)
            if isinstance(verdict, Transient) and perf_counter() + pause - began > CONTACT_PATIENCE:
                raise StoppedForSafety(
                    f"{self._silent()}: {verdict.message or verdict.code}; check LEAF_BASE_URL,"
                    " the network and any proxy"
                )
            await asyncio.sleep(pause)

    def _small_request(self) -> Request[ContactVerdict]:
        target = self._asked({"page": "0", "size": "1"})
        return Request("GET", target, contact_replies.after_contact, urgency=Urgency.COMPLETE)

    async def _serves(self, token: Secret) -> bool | None:
        """Whether Leaf serves a small request with this token; None if it does not say."""
        verdict = (await self._send(self._small_request(), token)).verdict
        if isinstance(verdict, Unauthorised):
            return False
        return True if verdict is None or isinstance(verdict, Throttled) else None

    def _silent(self) -> str:
        return f"Leaf does not answer at {self._settings.base_url}"

    def _misdirected(self, verdict: Misdirected) -> StoppedForSafety:
        return StoppedForSafety(
            f"{self._settings.base_url} does not answer like Leaf ({verdict.message}):"
            " check LEAF_BASE_URL, and any proxy or login page in between"
        )

    def of(self, provider: str) -> Calls:
        """The calls for the provider of this name. Raises KeyError for one that was not named before."""
        return self._calls[provider]

    @property
    def listed_fields(self) -> dict[str, tuple[Field, ...]]:
        """A grower's fields by provider name, in the order in which a page shows them."""
        return {provider.name: provider.fields for provider in self._providers}

    async def users(self, page: int, size: int, prints: Prints) -> Answer[PageVerdict]:
        """GET a page of Leaf users, from page 0, with what it shows of our providers. Raises LoginRefused."""
        verdict = partial(user_pages.after_page, providers=self._providers, prints=prints)
        return await self._list({"page": str(page), "size": str(size)}, verdict)

    async def user(self, leaf_user_id: str, sent: Sent = ignore_sent) -> Answer[Verdict]:
        """GET one Leaf user: Exists(None) or Absent. Raises LoginRefused."""
        return await self.call(
            Request("GET", self.users_path(f"/{leaf_user_id}"), user_pages.after_user, sent)
        )

    async def look_up(
        self, by: UserKey, value: str, page: int, sent: Sent = ignore_sent
    ) -> Answer[LookUpVerdict]:
        """GET the users with this externalId or email, a page of them. Raises LoginRefused."""
        query = {by.value: value, "page": str(page), "size": str(PAGE)}
        return await self._list(query, user_replies.after_look_up, sent)

    async def create_user(
        self, fields: Mapping[str, str], sent: Sent = ignore_sent
    ) -> Answer[CreateUserVerdict]:
        """POST a new Leaf user, once. Raises LoginRefused."""
        verdict = partial(user_replies.after_create_user, fields=fields)
        return await self.call(Request("POST", self.users_path(""), verdict, sent, dict(fields)))

    async def _list(
        self, query: Mapping[str, str], verdict: Callable[[Reply], V], sent: Sent = ignore_sent
    ) -> Answer[V | Transient | Ambiguous | Refused]:
        """GET a page of the list of users, in a stable order unless Leaf refuses to sort."""
        sort = SORT if self._sorts else {}
        request = Request("GET", self._asked({**query, **sort}), verdict, sent, largest=LARGEST_PAGE)
        answer = await self.call(request)
        if sort and isinstance(answer.verdict, Refused):
            self._sorts = False
            return await self._list(query, verdict, sent)
        return answer

    def users_path(self, more: str) -> str:
        """``more`` is after ``/users``; UUIDs and our own words, so nothing in it needs quoting."""
        return f"{self._prefix}{API}/users{more}"

    def _asked(self, query: Mapping[str, str]) -> str:
        return self._base.with_path(self.users_path(""), encoded=True).with_query(query).raw_path_qs

    async def call(self, request: Request[V]) -> Answer[V | Transient | Ambiguous | Refused]:
        """One request, when Leaf is available. A GET that fails because it is not is sent again later.

        Raises LoginRefused, LeafUnavailable, and NotValidError if it was not sent.
        """
        while True:
            tries = await self._availability.wait()
            try:
                answer = await self._call(request)
                self._availability.heard(request.target.removesuffix("/events"), answer.verdict)
            finally:
                if tries:
                    self._availability.end_try()
            failed = is_failure(answer.verdict) and self._availability.is_out
            if not failed or request.method != "GET":
                return answer

    async def _call(self, request: Request[V]) -> Answer[V | Transient | Ambiguous | Refused]:
        """One request, and one more for each time the login had to be renewed.

        A 401 while Leaf serves other requests with the same token is the row's refusal. Raises
        LoginRefused, and NotValidError if it was not sent.
        """
        for _ in range(RENEWALS + 1):
            bearer, answer = await self._send_with_login(request)
            if not isinstance(answer.verdict, Unauthorised):
                if answer.http_status is not None:
                    self._auth.accept(bearer)
                return answer
            match await self._auth.after_refusal(bearer):
                case Refusal.OF_THE_ROW:
                    message = "HTTP 401, though Leaf serves other requests with the same login"
                    refused = Refused("login-forbidden", message)
                    return Answer(refused, answer.http_status, answer.seconds)
                case Refusal.UNCLEAR:
                    unclear = Transient("leaf-unavailable", "HTTP 401")
                    return Answer(unclear, answer.http_status, answer.seconds)
        raise LoginRefused(f"Leaf refuses a request (HTTP 401), also after {RENEWALS} new logins")

    async def _send_with_login(
        self, request: Request[V]
    ) -> tuple[Bearer, Answer[V | Transient | Ambiguous | Refused]]:
        while True:
            bearer = await self._auth.bearer()
            with suppress(_OutdatedError):
                return bearer, await self._send(request, bearer.token, bearer)
            await asyncio.sleep(0)  # so that the one who asks about the token comes to it

    async def _send(
        self, request: Request[V], token: Secret | None, bearer: Bearer | None = None
    ) -> Answer[V | Transient | Ambiguous | Refused]:
        """Send it when its turn has come.

        Raises _OutdatedError if ``bearer`` is in doubt by then, NotValidError if the request is not valid.
        """

        def still_valid() -> bool:
            return request.still_valid() and (bearer is None or self._auth.is_current(bearer))

        async with self._connections:
            turn = await self._turns.turn(urgency=request.urgency, still_valid=still_valid)
            if turn is None:
                raise _OutdatedError if request.still_valid() else NotValidError
            request.sent()
            self._sent[request.method] += 1
            answer = await self._http.exchange(request, token.reveal() if token else "")
        if not isinstance(answer.verdict, Reply):
            return Answer(answer.verdict, None, answer.seconds)
        verdict = request.verdict(answer.verdict)
        self._obey(turn, verdict)
        return Answer(verdict, answer.http_status, answer.seconds)

    def _obey(self, turn: float, verdict: object) -> None:
        """A Retry-After is meant for all of us, not for one row."""
        if isinstance(verdict, Throttled):
            self._sent["throttled"] += 1
            self._turns.throttled(turn, verdict.after)
            return
        self._turns.passed(turn)
        if isinstance(verdict, Ambiguous) and verdict.after:
            self._turns.hold(verdict.after)

    def weigh_absence(self, leaf_user_id: str, answer: Answer[Verdict]) -> Answer[Verdict]:
        """A reply with nothing in it is this Leaf's usual "none" only if most of its replies are like it.

        And only if it has said so of several growers: looking again and again at one proves nothing.
        """
        match answer.verdict:
            case Absent(bare) as absent:
                self._looks[absent.form] += 1
                seen, growers = self._looks[absent.form], self._absent[absent.form]
                if len(growers) <= RARE:
                    growers.add(leaf_user_id)
                usual = not bare or (len(growers) > RARE and 2 * seen > self._looks.total())
                return Answer(replace(absent, usual=usual), answer.http_status, answer.seconds)
            case Exists():
                self._looks["exists"] += 1
        return answer

    async def _authenticate(self) -> Secret:
        """A new token by user name and password. A login may be repeated safely, so it is."""
        login = self._settings.login
        if not (login.username and login.password):
            raise LoginRefused("no login is configured: set LEAF_TOKEN, or LEAF_USERNAME and LEAF_PASSWORD")
        body = {"username": login.username, "password": login.password.reveal(), "rememberMe": "true"}
        request = Request(
            "POST",
            f"{self._prefix}/api/authenticate",
            contact_replies.after_login,
            body=body,
            urgency=Urgency.COMPLETE,
        )
        began, failures, throttles = perf_counter(), 0, 0
        while True:
            verdict = (await self._send(request, None)).verdict
            match verdict:
                case Secret():
                    return verdict
                case Misdirected():
                    raise self._misdirected(verdict)
                case Refused():
                    raise LoginRefused(
                        f"Leaf refused the login of {login.username} ({verdict.message}):"
                        " check LEAF_USERNAME and LEAF_PASSWORD"
                    )
                case Throttled(after):
                    throttles += 1
                    why = "Leaf asks to log in later (HTTP 429)"
                    pause = 0.0 if after else min(0.5 * 2.0**throttles, 30.0)
                    given_up = perf_counter() + (after or pause) - began > LOGIN_PATIENCE
                case _:
                    failures += 1
                    why = f"Leaf does not answer the login: {verdict.message or verdict.code}"
                    pause, given_up = min(0.5 * 2.0**failures, 8.0), failures >= LOGIN_ATTEMPTS
                    if isinstance(verdict, Ambiguous) and verdict.after:
                        given_up = given_up or verdict.after > LOGIN_PATIENCE
            self._on_trouble(why)
            if given_up:
                raise StoppedForSafety(f"{why} (at {self._settings.base_url})")
            await asyncio.sleep(pause)  # a Retry-After is obeyed by the pace
