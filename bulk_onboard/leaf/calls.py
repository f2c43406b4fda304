"""The calls for the credentials of one provider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_onboard.domain.providers import Provider
from bulk_onboard.domain.turns import StillValid, Urgency, always
from bulk_onboard.leaf import replies
from bulk_onboard.leaf.comparison import fields_of
from bulk_onboard.leaf.http import NotValidError, Request, Sent, ignore_sent
from bulk_onboard.model import Answer, EventsVerdict, LogVerdict, NotSent, Payload, Verdict

if TYPE_CHECKING:
    from bulk_onboard.leaf.client import LeafClient


class Calls:
    """The calls for one provider's credentials, over a connection that all providers share."""

    def __init__(self, client: LeafClient, provider: Provider) -> None:
        self._client = client
        self._path = provider.path
        self._fields = fields_of(provider)

    async def ask(
        self, leaf_user_id: str, ours: Payload, sent: Sent = ignore_sent, *, urgent: bool = False
    ) -> Answer[Verdict]:
        """GET the grower's credentials and compare them with ours. Raises LoginRefused."""
        verdict = partial(replies.after_get, ours=ours, fields=self._fields)
        urgency = Urgency.CONTINUE if urgent else Urgency.BEGIN
        request = Request("GET", self._path_of(leaf_user_id), verdict, sent, urgency=urgency)
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
        verdict = partial(replies.after_post, sent=payload, fields=self._fields)
        target, body = self._path_of(leaf_user_id), payload.reveal()
        return await self._change(
            Request(
                "POST", target, verdict, sent, body, fields=self._fields,
                urgency=Urgency.COMPLETE, still_valid=still_valid,
            )
        )  # fmt: skip

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
        return self._client.users_path(f"/{leaf_user_id}/{self._path}{more}")
