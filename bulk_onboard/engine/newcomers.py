"""Newcomers get their Leaf users; then their rows are as if the file had told the ids from the start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.ascending import ascending, both, lines_of, without
from bulk_onboard.compare import Keys, compare
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.ports import UserCalls, UserJournal
from bulk_onboard.engine.scan import Scan
from bulk_onboard.engine.survey import Memory, Survey, by_scope, entries_of, open_intents, stored_before
from bulk_onboard.engine.user_row import UserCreation
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.facts import PhaseStarted
from bulk_onboard.growers import Growers
from bulk_onboard.listing import words
from bulk_onboard.model import IfExists, Intent, Recorded
from bulk_onboard.plan import print_words
from bulk_onboard.threads import in_thread
from bulk_onboard.validation.columns import PROVIDER

# Newcomers who wait hold no slot, but a little memory.
IN_HAND = 10_000
_COMPARED = ["status", "code", "message", "health", "credentialId", "app"]


@dataclass(frozen=True, slots=True)
class Reception:
    """What newcomers are met with.

    ``register`` None: a dry run. ``open_keys``: of those for whom an earlier run may have created a user.
    ``scope``: of the rows of a file that tells no provider, ``scopes``: of all providers by name.
    """

    directory: UserCalls
    register: UserJournal | None
    open_keys: Collection[bytes]
    scope: int
    scopes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Meeting:
    """One go at some newcomers, and what all of it works with."""

    reception: Reception
    run_no: int
    memory: Memory
    context: RowContext
    starts: int

    async def enrolled(self, scan: Scan, found: Survey, rows: np.ndarray) -> Survey:
        """The survey when the newcomers of these rows have been met: their rows have ids, or outcomes."""
        wanted = both(found.unnamed, rows)
        if not len(wanted):
            return found
        self.context.observer(PhaseStarted("users", len(wanted)))
        work = self._work()
        newcomers = scan.newcomers(wanted, found.wanted, self.reception.open_keys)
        await work_through(newcomers, work.resolve, self.context.stop, starts=self.starts, in_hand=IN_HAND)
        if self.reception.register:
            await self.reception.register.flush()
        await self.context.journal.flush()
        left = replace(found, to_create=found.to_create + work.would_create)
        learned = {row: leaf_user_id for its, leaf_user_id in work.known.items() for row in its}
        ended = [row for its in work.ended for row in its]
        return await in_thread(partial(self._renewed, scan, left, learned, ended))

    def _work(self) -> UserCreation:
        return UserCreation(self.context, self.reception.directory, self.reception.register, {}, {})

    def _renewed(
        self, scan: Scan, found: Survey, learned: Mapping[int, str], ended: Collection[int]
    ) -> Survey:
        """The survey, as it would have been if the file had told what was learnt."""
        unnamed = without(found.unnamed, ascending([*learned, *ended]))
        found = replace(found, unnamed=unnamed, wanted=without(found.wanted, ascending(ended)))
        if not learned:
            return found
        found = self._compared(found, scan.learn(learned))
        return self._held_against_each_other(scan, found)

    def _held_against_each_other(self, scan: Scan, found: Survey) -> Survey:
        """Two names may turn out to be one grower's, and a name that of somebody named by an id."""
        findings = scan.findings()
        findings = findings[findings["row"].isin(found.wanted)]
        self.memory.write(self.run_no, self.reception.scope, [], entries_of(findings))
        rows = findings["row"].to_numpy(np.int64)
        return replace(found, wanted=without(found.wanted, rows))

    def _compared(self, found: Survey, learned: Mapping[int, str]) -> Survey:
        """Fill in the ids in what is kept of the input, and compare these rows with the ledger."""
        rows, done = np.array(sorted(learned), np.int64), [np.empty(0, np.int64)]
        growers = {name: self.memory.growers(scope) for name, scope in self.reception.scopes.items()}
        intents, stored = dict(found.intents), dict(found.stored)
        for first_row, last_row, data in self.memory.blocks(self.run_no):
            mine = rows[np.searchsorted(rows, first_row) : np.searchsorted(rows, last_row, "right")]
            if not len(mine):
                continue
            table = manifest.unpack(data)
            numbers = table["row"].to_numpy(np.int64)
            at = lines_of(numbers, mine)
            ids = [learned[row] for row in table["row"].iloc[at].tolist()]
            table = _put(table, "leafUserId", at, ids)
            at = at[lines_of(numbers[at], found.wanted)]
            table, open_lines = self._with_comparison(table, at, growers)
            self.memory.replace_block(self.run_no, first_row, manifest.pack(table))
            intents.update(self._intents(table.iloc[open_lines]))
            fresh = table.iloc[at]
            done.append(fresh.loc[fresh["status"] != "", "row"].to_numpy(np.int64))
            stored.update(self._stored(fresh[fresh["status"] == ""]))
        left = without(found.wanted, np.concatenate(done))
        return replace(found, wanted=left, intents=intents, stored=stored)

    def _with_comparison(
        self, table: pd.DataFrame, at: np.ndarray, growers: Mapping[str, Growers]
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """The table with what the ledger says of these lines, and which of them have an open intent."""
        open_lines = [np.empty(0, np.int64)]
        for name, lines in _by_provider(table, at, next(iter(growers))):
            part = table.iloc[lines].reset_index(drop=True)
            ids, prints = words(part["leafUserId"].tolist()), print_words(part["fingerprint"].tolist())
            keys = Keys(ids, prints, part["app"].to_numpy(np.int64).view(np.uint64))
            compared = compare(part, keys, growers[name], self.context.policy.if_exists)
            for column in _COMPARED:
                table = _put(table, column, lines, compared.table[column].tolist())
            open_lines.append(lines[compared.open_lines])
        return table, np.concatenate(open_lines)

    def _intents(self, lines: pd.DataFrame) -> dict[int, Intent]:
        found: dict[int, Intent] = {}
        for scope, each in by_scope(lines, self.reception.scope, self.reception.scopes):
            found.update(open_intents(self.memory, scope, each))
        return found

    def _stored(self, lines: pd.DataFrame) -> dict[int, Recorded]:
        found: dict[int, Recorded] = {}
        if self.context.policy.if_exists is IfExists.REPLACE:
            for scope, each in by_scope(lines, self.reception.scope, self.reception.scopes):
                found.update(stored_before(self.memory, scope, each))
        return found


def _put(table: pd.DataFrame, column: str, at: np.ndarray, texts: list[str]) -> pd.DataFrame:
    cells = table[column].tolist()
    for line, text in zip(at.tolist(), texts, strict=True):
        cells[line] = text
    return table.assign(**{column: pd.Series(cells, dtype="str")})


def _by_provider(table: pd.DataFrame, at: np.ndarray, only: str) -> list[tuple[str, np.ndarray]]:
    if PROVIDER not in table:
        return [(only, at)]
    names = table[PROVIDER].to_numpy(object)[at]
    return [(name, at[names == name]) for name in dict.fromkeys(names)]
