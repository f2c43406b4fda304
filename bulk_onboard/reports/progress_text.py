"""The events of a run as text for a terminal or a page, and the progress of a phase. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from bulk_onboard.domain.formatting import duration, labelled, n_growers, n_rows, number, with_code, words_of
from bulk_onboard.domain.input_description import describe
from bulk_onboard.domain.model import Health, RollbackStatus, Status
from bulk_onboard.domain.run_events import (
    LEFT_WITHOUT_HINT,
    About,
    Fact,
    FileChecked,
    InputDescribed,
    LeftWithout,
    LookupChosen,
    Note,
    Paused,
    Phase,
    PhaseStarted,
    RowChecked,
    RowFinished,
    RowsRead,
    RunStarted,
    Slowed,
    Stopping,
    Trouble,
    UserKnown,
    UsersRead,
)

PHASES: Mapping[str, str] = {
    "users": "looking up users",
    "onboard": "onboarding",
    "events": "checking events",
    "dry_run": "asking",
    "rollback": "rolling back",
}
# Events that advance a row.
Row = RowFinished | RowChecked | UserKnown


def rate(per_second: float) -> str:
    """Return a ceiling in words."""
    return f"at most {number(per_second)} requests per second" if per_second else "without a rate ceiling"


def scanned(fact: FileChecked) -> str:
    """Return the line about the rows of the file."""
    counts = [f"{count:,} {status.value}" for status, count in fact.statuses.items() if count]
    counts += [f"{n_rows(count)} with {code}" for code, count in fact.warnings.items() if count]
    listed = "".join(f", {text}" for text in counts)
    return f"{fact.source}: {n_rows(fact.rows)}{listed}; {fact.to_do:,} to do"


def environments(counts: Mapping[str, int]) -> str:
    """Return ``PRODUCTION``, or the number of rows for each environment."""
    if len(counts) == 1:
        return next(iter(counts))
    return " and ".join(f"{name} ({n_rows(count)})" for name, count in sorted(counts.items()))


def about(fact: About) -> str:
    """Return the line about what the run is about to change."""
    if fact.rolled_back:
        do = (
            "Dry run, nothing is deleted: about to check"
            if fact.dry_run
            else "About to delete credentials of"
        )
        what = f"{do} {n_rows(fact.to_do)} of run {fact.rolled_back}"
        return f"{what} at {fact.leaf} as {fact.owner}, {rate(fact.rate)} (run {fact.run_id})"
    if fact.dry_run:
        what = f"Dry run, nothing is changed: about to check {n_rows(fact.to_do)}"
        return f"{what} at {fact.leaf} as {fact.owner}, {rate(fact.rate)} (run {fact.run_id})"
    what = f"About to store credentials of {n_rows(fact.to_do)}" if fact.to_do else "Nothing to store"
    several = "s" if "," in fact.provider else ""
    where = f"{what} at {fact.leaf} as {fact.owner}, provider{several} {fact.provider.replace(',', ', ')}"
    if fact.environments:
        where += f", {environments(fact.environments)}"
    return f"{where}, {rate(fact.rate)} (run {fact.run_id})"


def announcement(fact: Fact) -> str | None:
    """Return the line for an event; None for events that only advance the progress."""
    match fact:
        case FileChecked():
            return scanned(fact)
        case InputDescribed(description):
            return labelled(describe(description))
        case About():
            return about(fact)
        case LeftWithout(count, run_ids):
            more = f" and {len(run_ids) - 1:,} others" if len(run_ids) > 1 else ""
            said = f"{n_growers(count)} may have been left without credentials by run {run_ids[0]}{more}"
            return f"{said}; {LEFT_WITHOUT_HINT}"
        case LookupChosen(_, why):
            return why
        case Paused(seconds):
            return f"Leaf asks to wait {duration(seconds)}"
        case Slowed(rate_now):
            return f"Leaf asks to slow down; now at {number(rate_now)} requests per second"
        case Trouble(message) | Note(message):
            return message
        case Stopping():
            return stopping(fact)
        case (
            RunStarted()
            | RowsRead()
            | UsersRead()
            | PhaseStarted()
            | RowFinished()
            | RowChecked()
            | UserKnown()
        ):
            return None
        case _:
            assert_never(fact)


def stopping(fact: Stopping) -> str:
    """Return what a stopping run is still waiting for."""
    begin = f"Stopping: {fact.reason}."
    if not fact.in_flight:
        return f"{begin} Rows in flight finish; interrupt again to stop at once."
    wait = f", up to {duration(fact.grace)}" if fact.grace else ""
    return f"{begin} Waiting for {n_rows(fact.in_flight)} in flight{wait}; interrupt again to stop at once."


def note(fact: Paused | Slowed) -> str:
    """Return the short form, for the end of a progress bar."""
    return (
        f"Leaf asks to wait {duration(fact.seconds)}"
        if isinstance(fact, Paused)
        else "Leaf asks to slow down"
    )


def concern(fact: Row) -> str | None:
    """Return the line of a row that needs attention, for ``--verbose``."""
    match fact:
        case RowFinished(row, status, code):
            return f"row {row}: {with_code(status.value, code)}" if status.needs_attention else None
        case RowChecked(row, health):
            return f"row {row}: {Health.UNHEALTHY.value}" if health is Health.UNHEALTHY else None
        case UserKnown():
            return None
        case _:
            assert_never(fact)


@dataclass(slots=True)
class Tally:
    """The progress of the current phase."""

    phase: Phase
    total: int
    begun: float
    done: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    stopping: bool = False

    def add(self, fact: Row) -> None:
        """Count one row. An events check during onboarding does not count as an onboarded row."""
        match fact:
            case RowFinished(_, status, _):
                self._count("onboard" if self.phase == "events" else self.phase, _column(status))
            case RowChecked(_, health):
                self._count("events", health.value if health else "not checked")
            case UserKnown(_, created):
                self._count("users", "created" if created else "found")
            case _:
                assert_never(fact)

    def _count(self, phase: str, column: str) -> None:
        if phase == self.phase:
            self.done += 1
            self.counts[column] = self.counts.get(column, 0) + 1

    def shown(self) -> str:
        """Return the counts, such as ``100 attention, 44,000 created, 900 existing``."""
        known = [column for column in _ORDER if column in self.counts]
        others = sorted(self.counts.keys() - set(_ORDER))
        return ", ".join(f"{self.counts[column]:,} {column}" for column in known + others)

    def line(self, now: float) -> str:
        """Return the progress in one line."""
        begin = f"{PHASES[self.phase]}: {self.done:,} of {n_rows(self.total)}"
        return ", ".join(filter(None, (begin, self._speed(now), self.shown(), self._left(now))))

    def _speed(self, now: float) -> str:
        return f"{number(self.done / (now - self.begun))} rows/s" if self.done and now > self.begun else ""

    def _left(self, now: float) -> str:
        if not self.done or self.done >= self.total or self.stopping or now <= self.begun:
            return ""
        return f"about {duration((now - self.begun) * (self.total - self.done) / self.done)} left"


# Counts that need a person come first, because a narrow terminal cuts off the end.
_ORDER = ("attention", "unhealthy", "created", "existing", "healthy", "pending", "deleted")


def _column(status: Status | RollbackStatus) -> str:
    return "attention" if status.needs_attention else words_of(status.value)
