"""The step before rows are sent: growers without a leafUserId get their Leaf users."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import numpy as np

from bulk_onboard.domain.model import Status
from bulk_onboard.domain.run_events import PhaseStarted
from bulk_onboard.domain.users import UnresolvedGrower
from bulk_onboard.engine.checked_file import CheckedFile
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.first_pass import Comparison, FirstPass, KnownRows
from bulk_onboard.engine.ports import UserCalls, UserJournal
from bulk_onboard.engine.row_choice import both, without
from bulk_onboard.engine.user_row import UserCreation
from bulk_onboard.threads import in_thread


@dataclass(frozen=True, slots=True)
class UserSources:
    """Where users are looked up and created.

    ``journal`` None: a dry run, which only looks. ``open_keys``: of users that a POST of an earlier run may
    have created. ``comparison``: what rows are compared with as soon as their users are known.
    """

    calls: UserCalls
    journal: UserJournal | None
    open_keys: Collection[bytes]
    comparison: Comparison


async def create_users(
    sources: UserSources,
    context: RowContext,
    file: CheckedFile,
    first_pass: FirstPass,
    rows: np.ndarray,
) -> FirstPass:
    """Find or create the Leaf users of these rows' growers; return what is to do now that they are known.

    A row ends here if its user cannot be had. Raises LoginRefused, LeafUnavailable, LedgerError, InputError.
    """
    workspace = first_pass.workspace
    await in_thread(partial(_set_aside, first_pass))
    growers = await in_thread(partial(workspace.unresolved_growers, rows))
    if not growers:
        return first_pass
    context.observer(PhaseStarted("users", sum(map(len, growers.values()))))
    work = UserCreation(context, sources.calls, sources.journal, {}, {})
    unresolved = _read_again(file, growers.values(), sources.open_keys)
    await context.work_through(unresolved, work.resolve)
    if sources.journal:
        await sources.journal.flush()
    ended = [row for own in work.ended for row in own]
    to_create = first_pass.to_create + work.would_create
    first_pass = replace(first_pass, wanted=without(first_pass.wanted, ended), to_create=to_create)
    ids = {stand_in: work.known[own] for stand_in, own in growers.items() if own in work.known}
    return await in_thread(partial(_with_ids, sources.comparison, first_pass, ids))


def _set_aside(first_pass: FirstPass) -> None:
    """Take the rows that this run has sent, or does not send, out of the rows to do in the workspace."""
    workspace = first_pass.workspace
    workspace.mark(without(workspace.to_do(), first_pass.wanted), (Status.NOT_ATTEMPTED.value, "", ""))


def _read_again(
    file: CheckedFile, growers: Iterable[tuple[int, ...]], open_keys: Collection[bytes]
) -> Iterator[UnresolvedGrower]:
    """Read the first row of each grower again: its user cells were not kept."""
    rows_of = {rows[0]: rows for rows in growers}
    for row, keys, cells in file.user_cells(np.array(sorted(rows_of), np.int64)):
        yield UnresolvedGrower(rows_of[row], keys, cells, any(key in open_keys for key in keys))


def _with_ids(comparison: Comparison, first_pass: FirstPass, ids: Mapping[UUID, str]) -> FirstPass:
    """Return what is to do, as if the file had these ids.

    Two rows may turn out to be of one grower, and a grower may be one that the ledger knows.
    """
    if not ids:
        return first_pass
    workspace = first_pass.workspace
    workspace.set_user_ids(ids)
    workspace.mark_repeats(allow_shared_tokens=comparison.allow_shared_tokens)
    known = comparison.decide(workspace)
    return replace(
        first_pass,
        wanted=both(first_pass.wanted, workspace.to_do()),
        known=KnownRows(
            {**first_pass.known.intents, **known.intents},
            {**first_pass.known.stored, **known.stored},
            {**first_pass.known.user_ids, **known.user_ids},
            {**first_pass.known.earlier, **known.earlier},
        ),
    )
