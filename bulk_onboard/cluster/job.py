"""What goes to a worker and what comes back: plain values without a secret, for dask shows them to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulk_onboard.domain.input_description import SkippedLine
from bulk_onboard.errors import ExitCode
from bulk_onboard.readers.parts import Part
from bulk_onboard.repeats import Findings, Sightings

# The blocks of a part are numbered from its own number times this.
SEQS = 1_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """One run, for whoever works on it.

    ``given``: the options of the command line; what else a worker needs to know it finds where the leader
    found it. ``marks``: of each setting by which two Leafs or two applications are told apart, a keyed
    digest: a worker that is set up otherwise must not work. ``base_url``, ``identity`` and ``owner`` are the
    place's, ``providers`` those that rows go to, ``epoch`` is the run's on the ledger; ``ledger``: its
    file, None for a database whose address workers know.
    """

    run_id: str
    run_no: int
    epoch: str
    ledger: str | None
    given: Mapping[str, Any]
    config: str | None
    base_url: str
    identity: str
    owner: str
    providers: tuple[str, ...]
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Errand:
    """One part of the input. ``number``: its place among them; ``limit``: only so many of its rows."""

    number: int
    part: Part
    limit: int | None = None

    @property
    def seqs(self) -> tuple[int, int]:
        """The first and last number that its blocks may have."""
        return self.number * SEQS, (self.number + 1) * SEQS - 1


@dataclass(frozen=True, slots=True)
class Looked:
    """A part was read and compared with the ledger. ``seen``, ``skipped``, ``sightings``: see `Scan`."""

    number: int
    rows: int
    kept: tuple[str, ...]
    warnings: Mapping[str, int]
    environments: Mapping[str, int]
    seen: tuple[bytes, ...]
    skipped: tuple[SkippedLine, ...]
    sightings: Mapping[str, Sightings] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows that repeat or contradict others: ``findings`` by row."""

    findings: Sequence[Findings] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Counted:
    """A part, when all is known that can be before anything is sent.

    ``to_do``: rows to onboard; ``to_check``: rows to look at that were onboarded before; ``new``: growers
    that the ledger has never met; ``first``: the numbers of the first rows to do.
    """

    number: int
    rows: int
    to_do: int
    to_check: int
    new: int
    statuses: Mapping[str, int]
    first: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What there was to do is done, or left undone because the run stops. ``to_check``: rows to look at.

    ``told``: how many facts the ``worker`` had for the leader by then, since it began.
    """

    number: int
    worker: str
    told: int
    to_check: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be done. ``message`` is one line for people, free of secrets."""

    message: str
    exit_code: ExitCode


def errands(parts: Sequence[Part], limit: int | None) -> Iterator[Errand]:
    """One for each part, with no more than ``limit`` rows in all: of the first parts."""
    left = limit
    for number, part in enumerate(parts):
        yield Errand(number, part, left)
        if left is not None and part.rows is not None:
            left -= part.rows
            if left <= 0:
                return
