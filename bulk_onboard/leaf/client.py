"""The calls to Leaf: each waits for its turn, is sent once, and returns an answer."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Self, TypeVar
from urllib.parse import urlencode

from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Answer,
    Created,
    Echo,
    EventsVerdict,
    Exists,
    LogVerdict,
    NotSent,
    Payload,
    Refused,
    Requests,
    Secret,
    Throttled,
    Transient,
    Unauthorised,
    Verdict,
)
from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.domain.turns import StillValid, Turns, Urgency, always
from bulk_onboard.domain.users import CreateUserVerdict, LookUpVerdict, PageVerdict, Prints, UserKey
from bulk_onboard.errors import LoginRefused
from bulk_onboard.leaf import replies, user_replies
from bulk_onboard.leaf.auth import Auth, Bearer
from bulk_onboard.leaf.availability import Availability, is_failure
from bulk_onboard.leaf.comparison import RecentSecrets, fields_of
from bulk_onboard.leaf.contact import Contact
from bulk_onboard.leaf.http import API, LARGEST_PAGE, Http, NotValidError, Request, Sent, ignore_sent
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.settings import LeafSettings
from bulk_onboard.threads import Slots

# Seconds without an answer to the first request until a message says so.
SILENCE = 5.0
# For one request. A token with which others are served may be refused for one grower for ever.
RENEWALS = 3
# Seconds until a lock that is in doubt is looked at again.
DOUBT = 0.5
# How many growers' empty replies may be faults, before it is known how this Leaf says "none".
RARE = 5
# Users that a look-up asks for at a time, Leaf's most.
PAGE = 100
# The documented order of a list; without one, pages may overlap.
SORT = {"sort": "name,asc"}

_OF_ANOTHER_GROWER = Ambiguous("stray-reply", "the reply shows the credentials of another grower")

V = TypeVar("V")


class LeafClient:
    """Our connection to Leaf: one login, one pace, and the calls `of` each provider. Use as ``async with``.

    ``turns`` gives every single request its turn, logins included. ``is_sure`` is asked last: whether the
    ledger is known to be ours; it raises an error if it is lost. An intent may be on disk long before its
    request has its turn, and a process may sleep in between. ``connections``: the most requests that may be
    under way at a time. ``on_trouble`` gets a message when a login has to be tried again, or Leaf is
    unavailable.
    """

    def __init__(
        self,
        settings: LeafSettings,
        providers: Iterable[Provider],
        turns: Turns,
        *,
        is_sure: Callable[[], bool] = lambda: True,
        connections: int = 100,
        on_trouble: Callable[[str], None] = lambda _words: None,
    ) -> None:
        self._turns, self._is_sure = turns, is_sure
        self._availability = Availability(on_trouble)
        self._on_trouble = on_trouble
        self._http = Http(settings, connections)
        # Taken before the turn: a request that had its turn would go out during a pause that came meanwhile.
        self._connections = Slots(connections)
        self._providers = tuple(providers)
        self._calls = {provider.name: ProviderCalls(self, provider) for provider in self._providers}
        self._contact = Contact(settings, self._send, on_trouble)
        self._auth = Auth(settings.login, self._contact.log_in, self._contact.serves)
        self._sent: Counter[str] = Counter()
        self.recent = RecentSecrets()
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
        """Requests per second that may go out now, 0 for no ceiling."""
        return self._turns.rate

    async def contact(self) -> None:
        """Log in and send one small request, so that a wrong address or login is noticed before any row.

        Raises LoginRefused or StoppedForSafety.
        """
        message = asyncio.get_running_loop().call_later(SILENCE, self._on_trouble, self._contact.silence)
        try:
            await self._auth.bearer()
            await self._contact.first_request(self.call)
        finally:
            message.cancel()

    def of(self, provider: str) -> ProviderCalls:
        """The calls for the provider of this name. Raises KeyError for one that was not named before."""
        return self._calls[provider]

    @property
    def listed_fields(self) -> dict[str, tuple[Field, ...]]:
        """A grower's fields by provider name, in the order in which a page shows them."""
        return {provider.name: provider.fields for provider in self._providers}

    async def users(self, page: int, size: int, prints: Prints) -> Answer[PageVerdict]:
        """GET a page of Leaf users, from page 0, with what it shows of our providers. Raises LoginRefused."""
        verdict = partial(user_replies.after_page, providers=self._providers, prints=prints)
        return await self._list({"page": str(page), "size": str(size)}, verdict)

    async def user(self, leaf_user_id: str, sent: Sent = ignore_sent) -> Answer[Verdict]:
        """GET one Leaf user: Exists(None) or Absent. Raises LoginRefused."""
        return await self.call(Request("GET", f"{API}/users/{leaf_user_id}", user_replies.after_user, sent))

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
        return await self.call(Request("POST", f"{API}/users", verdict, sent, dict(fields)))

    async def _list(
        self, query: Mapping[str, str], verdict: Callable[[Reply], V], sent: Sent = ignore_sent
    ) -> Answer[V | Transient | Ambiguous | Refused]:
        """GET a page of the list of users, in a stable order unless Leaf refuses to sort."""
        sort = SORT if self._sorts else {}
        target = f"{API}/users?{urlencode({**query, **sort}, safe=',@')}"
        request = Request("GET", target, verdict, sent, largest=LARGEST_PAGE)
        answer = await self.call(request)
        if sort and isinstance(answer.verdict, Refused):
            self._sorts = False
            return await self._list(query, verdict, sent)
        return answer

    async def call(self, request: Request[V]) -> Answer[V | Transient | Ambiguous | Refused]:
        """Send a request when Leaf is available, and again each time the login had to be renewed.

        A GET that fails because Leaf is not available is sent again later. Raises LoginRefused,
        LeafUnavailable, and NotValidError if it was not sent.
        """
        renewals = 0
        while renewals <= RENEWALS:
            tries = self._availability.is_out and await self._availability.wait()
            try:
                bearer = self._auth.current or await self._auth.bearer()
                try:
                    answer = await self._send(request, bearer.token, bearer)
                except NotValidError:
                    if not request.still_valid():
                        raise
                    await asyncio.sleep(0)  # the token is in doubt: lets the task that checks it run
                    continue
                if isinstance(answer.verdict, Unauthorised):
                    refusal = await self._auth.after_refusal(bearer)
                    if refusal is None:
                        renewals += 1
                        continue
                    answer = Answer(refusal, answer.http_status, answer.seconds)
                elif answer.http_status is not None:
                    self._auth.accept(bearer)
                self._availability.heard(request.target.removesuffix("/events"), answer.verdict)
            finally:
                if tries:
                    self._availability.end_try()
            if request.method != "GET" or not (self._availability.is_out and is_failure(answer.verdict)):
                return answer
        raise LoginRefused(f"Leaf refuses a request (HTTP 401), even after {RENEWALS} new logins")

    async def _send(
        self, request: Request[V], token: Secret | None, bearer: Bearer | None = None
    ) -> Answer[V | Transient | Ambiguous | Refused]:
        """Send it when its turn has come.

        Raises NotValidError if the request is not valid by then, or ``bearer`` is in doubt.
        """

        def still_valid() -> bool:
            return request.still_valid() and (bearer is None or self._auth.is_current(bearer))

        if not self._connections.take():
            await self._connections.acquire()
        try:
            while True:
                turn = await self._turns.turn(urgency=request.urgency, still_valid=still_valid)
                if turn is None:
                    raise NotValidError
                if self._is_sure():
                    break
                await asyncio.sleep(DOUBT)  # and wait for a turn again: all at once would be too many
            request.sent()
            self._sent[request.method] += 1
            answer = await self._http.exchange(request, token.reveal() if token else "")
        finally:
            self._connections.release()
        if not isinstance(answer.verdict, Reply):
            return Answer(answer.verdict, None, answer.seconds)
        verdict = request.verdict(answer.verdict)
        self._obey(turn, verdict)
        return Answer(verdict, answer.http_status, answer.seconds)

    def _obey(self, turn: float, verdict: object) -> None:
        """Apply a Retry-After to all requests, not only to those of one row."""
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


class ProviderCalls:
    """The calls for one provider's credentials, over a connection that all providers share."""

    def __init__(self, client: LeafClient, provider: Provider) -> None:
        self._client = client
        self._path = provider.path
        self._fields = fields_of(provider)

    async def ask(
        self, leaf_user_id: str, ours: Payload, sent: Sent = ignore_sent, *, urgent: bool = False
    ) -> Answer[Verdict]:
        """GET the grower's credentials and compare them with ours. Raises LoginRefused."""
        target = self._path_of(leaf_user_id)
        self._client.recent.add(target, self._fields, ours.reveal())

        verdict = partial(replies.after_get, ours=ours, fields=self._fields)
        urgency = Urgency.CONTINUE if urgent else Urgency.BEGIN
        request = Request("GET", target, verdict, sent, urgency=urgency)
        answer = await self._client.call(request)
        return self._client.weigh_absence(leaf_user_id, answer)

    async def post(
        self,
        leaf_user_id: str,
        payload: Payload,
        sent: Sent = ignore_sent,
        *,
        still_valid: StillValid = always,
    ) -> Answer[Verdict]:
        """POST the grower's credentials, once, if it is valid when its turn has come. Raises LoginRefused."""
        target, body = self._path_of(leaf_user_id), payload.reveal()
        self._client.recent.add(target, self._fields, body)

        def verdict(reply: Reply) -> Verdict:
            shown = replies.after_post(reply, payload, self._fields)
            # Nearly all replies show the row's own token, and so belong to this request.
            if not isinstance(shown, Created) or shown.credential.echo is Echo.SAME:
                return shown
            data = replies.parsed(reply)
            is_stray = self._client.recent.is_stray(target, self._fields, body, data, reply.at)
            return _OF_ANOTHER_GROWER if is_stray else shown

        complete = Urgency.COMPLETE
        request = Request("POST", target, verdict, sent, body, urgency=complete, still_valid=still_valid)
        return await self._change(request)

    async def delete(
        self, leaf_user_id: str, sent: Sent = ignore_sent, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        """DELETE the grower's credentials, once, if it is valid when its turn has come. Raises LoginRefused.

        Their events go with them.
        """
        target, meaning = self._path_of(leaf_user_id), replies.after_delete
        request = Request("DELETE", target, meaning, sent, urgency=Urgency.CONTINUE, still_valid=still_valid)
        return await self._change(request)

    async def _change(self, request: Request[Verdict]) -> Answer[Verdict]:
        try:
            return await self._client.call(request)
        except NotValidError:
            return Answer(NotSent())

    async def events(self, leaf_user_id: str, sent: Sent = ignore_sent) -> Answer[EventsVerdict]:
        """GET the event that decides about the health of the grower's credentials. Raises LoginRefused."""
        target = self._path_of(leaf_user_id, "/events")
        return await self._client.call(Request("GET", target, replies.after_events, sent, event_log=True))

    async def history(self, leaf_user_id: str, sent: Sent = ignore_sent) -> Answer[LogVerdict]:
        """GET all events of the grower's credentials. Raises LoginRefused."""
        target = self._path_of(leaf_user_id, "/events")
        request = Request("GET", target, replies.after_log, sent, event_log=True, urgency=Urgency.CONTINUE)
        return await self._client.call(request)

    def _path_of(self, leaf_user_id: str, more: str = "") -> str:
        return f"{API}/users/{leaf_user_id}/{self._path}{more}"
