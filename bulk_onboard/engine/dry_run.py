"""A dry run: the phases of a run that only ask Leaf, and record no knowledge about growers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import (
    Absent,
    Answer,
    Credential,
    Event,
    Exists,
    IfExists,
    Refused,
    Requests,
    Row,
    Status,
    Verdict,
)
from bulk_onboard.domain.run_events import Estimate
from bulk_onboard.engine.checked_file import CheckedFile
from bulk_onboard.engine.first_pass import FirstPass, rows_to_do
from bulk_onboard.engine.onboard_row import Onboarding, OnboardRow
from bulk_onboard.engine.phases import Phases
from bulk_onboard.engine.ports import Journal, Sent, Users
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.user_list import ListedUsers
from bulk_onboard.errors import InternalError
from bulk_onboard.policy import user_list
from bulk_onboard.policy.dry_run import asking, asks, before_change, forecast
from bulk_onboard.policy.progress import Finish, Progress, Step
from bulk_onboard.threads import in_thread


async def dry_run(phases: Phases, file: CheckedFile, first_pass: FirstPass) -> Estimate | None:
    """Find out what would happen to each row to do. None: the run was stopped before all were asked about."""
    assert phases.users is not None  # noqa: S101  (narrows the type)
    mode, journal = phases.context.policy.if_exists, DryRunJournal(phases.context.journal)
    context = replace(phases.context, journal=journal)
    first_pass = await replace(phases, context=context).with_users(file, first_pass, first_pass.wanted)
    looked_up, new_users = phases.users.requests.get, journal.counts[Status.WOULD_CREATE]
    context = replace(context, policy=asking(context.policy))
    asking_phases = await replace(phases, context=context).with_user_list(first_pass)
    work = DryRun(
        context=context,
        leaf=phases.leaf,
        keeper=journal,
        brake=ReplacementBrake(context.stop),
        users=phases.users,
        listed=asking_phases.listed,
        mode=mode,
    )
    wanted = len(first_pass.wanted)
    await asking_phases.work(
        rows_to_do(file, first_pass.known, first_pass.wanted), work.onboard, "dry_run", wanted
    )
    if context.stop.draining:
        return None
    sent, other = phases.users.requests.get - looked_up, work.other_requests
    unchecked = await in_thread(lambda: sum(1 for _ in phases.connected(every=False)))
    return forecast(
        journal.counts,
        sent + other["of a run"] - other["extra"],
        mode=mode,
        for_users=Requests(get=looked_up + (new_users if asks(mode) else 0), post=first_pass.to_create),
        listed=asking_phases.listed is not None,
        unchecked=unchecked,
        events=phases.settings.events.check,
        rate=phases.settings.pace.rate,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun(Onboarding):
    """Takes rows up to their first change, where they end with a description of that change.

    ``mode``: what the run would do with existing credentials. ``other_requests`` counts the "extra" ones that
    a run would not need, and those "of a run" alone.
    """

    users: Users
    listed: ListedUsers | None
    mode: IfExists
    other_requests: Counter[str] = field(default_factory=Counter)

    def begin(self, row: Row, start: Progress) -> Step:
        """Return the row's first step; its end, if that is known already."""
        hint = self.listed.hint_of(row) if self.listed else None
        if isinstance(hint, Exists) and self.mode is IfExists.OVERWRITE:
            hint = None  # the list does not show when the credentials were created, which a plan has to name
        if isinstance(hint, Absent) and row.open_intent is None:
            # A run asks about the row itself: by the time of its POST a page is too old.
            self.other_requests["of a run"] += 1
            return Finish(Status.WOULD_CREATE)
        return before_change(row, user_list.begin(row, start, hint, self.context.policy), self.mode)

    def review(self, row: Row, _before: Progress, step: Step) -> Step:
        """Return the step if it changes nothing, else the row's end."""
        return before_change(row, step, self.mode)

    def life(self, row: Row, progress: Progress, under_way: Sent) -> OnboardRow:
        """Return the row with its state."""
        return _DryRunRow(self, row, progress, under_way)

    async def with_user(self, row: Row, answer: Answer[Verdict]) -> Answer[Verdict]:
        """Return the answer, or that the user does not exist, which credentials do not show."""
        if self.listed and self.listed.lists(row.leaf_user_id):
            return answer
        self.other_requests["extra"] += 1
        user = await self.users.user(row.leaf_user_id)
        match user.verdict:
            case Absent():
                refused = Refused("no-such-user", "Leaf knows no user with this id under our login")
                return Answer(refused, user.http_status, user.seconds)
            case Exists() | Refused():
                return answer
            case _:
                return user


class _DryRunRow(OnboardRow):
    """One row of a dry run."""

    def __init__(self, shared: DryRun, row: Row, progress: Progress, under_way: Sent) -> None:
        super().__init__(shared, row, progress, under_way)
        self._dry_run = shared

    async def ask(self) -> Answer[Verdict]:
        """Ask what Leaf holds for the grower; if nothing, whether there is such a user."""
        answer = await super().ask()
        if isinstance(answer.verdict, Absent | Refused):
            return await self._dry_run.with_user(self.row, answer)
        return answer

    def intent(self) -> Entry:
        """Raise InternalError: an intent is the beginning of a change."""
        raise InternalError("a dry run was about to change something")


class DryRunJournal:
    """A journal of entries without a grower, so later runs ignore them. ``counts``: rows by status."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.counts: Counter[Status] = Counter()

    async def intend(self, _intent: Entry) -> None:
        """Raise InternalError: an intent is the beginning of a change."""
        raise InternalError("a dry run was about to change something")

    def settle(self, outcome: Entry) -> None:
        """Record the expected outcome of a row."""
        self.counts[Status(outcome.status or Status.UNRESOLVED)] += 1
        self._journal.settle(outcome._replace(leaf_user_id="", fingerprint="", intended_at=""))

    async def keep(self, _provider: str, _id: str, _credential: Credential, _events: Sequence[Event]) -> None:
        """Save no events: nothing is deleted."""

    async def flush(self) -> None:
        """Return when all that was handed in is on disk."""
        await self._journal.flush()
