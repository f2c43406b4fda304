"""A dry run: the phases of a run, on a Leaf that is only looked at and a ledger that learns of no grower."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bulk_onboard.domain.turns import StillValid, always
from bulk_onboard.engine.phases import Phases
from bulk_onboard.engine.ports import Connection, Journal, Leaf, Sent, Users, unheard
from bulk_onboard.engine.scan import Scan
from bulk_onboard.engine.survey import Survey
from bulk_onboard.engine.user_list import ListedUsers
from bulk_onboard.entry import Entry
from bulk_onboard.errors import InternalError
from bulk_onboard.facts import Forecast
from bulk_onboard.model import (
    Absent,
    Answer,
    Credential,
    Event,
    EventsVerdict,
    Exists,
    IfExists,
    Log,
    LogVerdict,
    Payload,
    Refused,
    Requests,
    Row,
    Status,
    Verdict,
)
from bulk_onboard.policy import user_list
from bulk_onboard.policy.dry_run import asking, asks, forecast, foreseen
from bulk_onboard.policy.progress import Finish, Progress, Step
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import in_thread


async def foresee(phases: Phases, scan: Scan, found: Survey) -> Forecast | None:
    """Find out what would happen to each row to do. None: the run was stopped before all were looked at."""
    assert phases.users is not None  # noqa: S101  (narrows the type)
    context, mode = phases.context, phases.context.policy.if_exists
    journal = Traceless(context.journal)
    context = replace(context, journal=journal)
    found = await replace(phases, context=context).with_users(scan, found, found.wanted)
    looked_up, newcomers = phases.users.requests.get, journal.counts[Status.WOULD_CREATE]
    known = await replace(phases, context=replace(context, policy=asking(context.policy))).informed(found)
    looking = Looking(known.leaf, phases.users, known.listed, mode)
    dry = replace(known, leaf=looking, keeper=Traceless, guided=lambda _listed: looking)
    await dry.post(scan, found, found.wanted, "foresee")
    if context.stop.draining:
        return None
    unchecked = await in_thread(lambda: sum(1 for _ in phases.connected(every=False)))
    return forecast(
        journal.counts,
        phases.users.requests.get - looking.more - looked_up,
        mode=mode,
        for_users=Requests(get=looked_up + (newcomers if asks(mode) else 0), post=found.to_create),
        listed=known.listed is not None,
        unchecked=unchecked,
        events=phases.settings.events.check,
        rate=phases.settings.pace.rate,
    )


class Looking:
    """A connection that asks and never changes anything; it also guides the rows, to the brink of a change.

    ``more``: how many requests a real run would not need, less those that only a real run sends.
    """

    def __init__(self, leaf: Connection, users: Users, listed: ListedUsers | None, mode: IfExists) -> None:
        self._leaf, self._users, self._listed, self._mode = leaf, users, listed, mode
        self.more = 0

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 if there is no ceiling."""
        return self._leaf.rate

    def begin(self, row: Row, policy: Policy) -> Step:
        """Where the row starts; its end, if that is known already."""
        hint = self._listed.hint(row.provider, row.leaf_user_id, row.payload) if self._listed else None
        if isinstance(hint, Exists) and self._mode is IfExists.OVERWRITE:
            hint = None  # the list does not show when the credentials were created, which a plan has to name
        if isinstance(hint, Absent) and row.open_intent is None:
            self.more -= 1  # a run asks about the row itself: by the time of its POST a page is too old
            return Finish(Status.WOULD_CREATE)
        return foreseen(row, user_list.begin(row, hint, policy), self._mode)

    def review(self, row: Row, _progress: Progress, _verdict: Verdict | Log, step: Step) -> Step:
        """The step, if it changes nothing; else the row's end."""
        return foreseen(row, step, self._mode)

    def of(self, provider: str) -> Leaf:
        """The calls for the provider of this name, as far as they are harmless."""
        return _Calls(self, self._leaf.of(provider))

    async def known(self, leaf_user_id: str, answer: Answer[Verdict]) -> Answer[Verdict]:
        """The answer, or that there is no such user at all, which one about credentials does not tell."""
        if self._listed and self._listed.lists(leaf_user_id):
            return answer
        self.more += 1
        user = await self._users.user(leaf_user_id)
        match user.verdict:
            case Absent():
                told = Refused("no-such-user", "Leaf knows no user with this id under our login")
                return Answer(told, user.http_status, user.seconds)
            case Exists() | Refused():
                return answer
            case _:
                return user


class _Calls:
    """A provider's calls that change nothing."""

    def __init__(self, looking: Looking, leaf: Leaf) -> None:
        self._looking, self._leaf = looking, leaf

    async def ask(
        self, leaf_user_id: str, ours: Payload, sent: Sent = unheard, *, urgent: bool = False
    ) -> Answer[Verdict]:
        answer = await self._leaf.ask(leaf_user_id, ours, sent, urgent=urgent)
        if isinstance(answer.verdict, Absent | Refused):
            return await self._looking.known(leaf_user_id, answer)
        return answer

    async def post(
        self, _id: str, _payload: Payload, _sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        del still_valid
        raise InternalError("a dry run was about to send credentials")

    async def delete(
        self, _id: str, _sent: Sent = unheard, *, still_valid: StillValid = always
    ) -> Answer[Verdict]:
        del still_valid
        raise InternalError("a dry run was about to delete credentials")

    async def history(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[LogVerdict]:
        return await self._leaf.history(leaf_user_id, sent)

    async def events(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[EventsVerdict]:
        return await self._leaf.events(leaf_user_id, sent)


class Traceless:
    """A journal whose entries belong to rows of this run, but to no grower: later runs learn nothing of them.

    ``counts``: rows by status.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.counts: Counter[Status] = Counter()

    async def intend(self, _intent: Entry) -> None:
        """Never: an intent is the beginning of a change."""
        raise InternalError("a dry run was about to change something")

    def settle(self, outcome: Entry) -> None:
        """Hand in what would become of a row."""
        self.counts[Status(outcome.status or Status.UNRESOLVED)] += 1
        self._journal.settle(outcome._replace(leaf_user_id="", fingerprint="", intended_at=""))

    @staticmethod
    async def keep(_provider: str, _id: str, _credential: Credential, _events: Sequence[Event]) -> None:
        """Nothing is deleted, so no events have to be saved."""

    async def flush(self) -> None:
        """Return when all that was handed in is on disk."""
        await self._journal.flush()
