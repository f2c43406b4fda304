"""The step that gives rows their Leaf users: what is to do afterwards, and what may be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import IfExists, Secret
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.run_events import RunInfo, ignore
from bulk_onboard.domain.users import LeafUser
from bulk_onboard.engine.checked_file import CheckedFile, Reading
from bulk_onboard.engine.create_users import UserSources, create_users
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.first_pass import Comparison, FirstPass, read_and_compare, rows_to_do
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import InternalError
from bulk_onboard.ledger import Ledger
from bulk_onboard.policy.retry import Policy
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.threads import Slots
from bulk_onboard.workspace import Workspace
from tests.engine.support import hurry
from tests.engine.test_user_row import FakeUserCalls, FakeUserJournal
from tests.support.fakes import FakeJournal
from tests.support.virtual_time import BEGINNING, now, warp

RAVEN = PROVIDERS["raven"]
APP = {field.name: Secret(f"planted-{field.name}") for field in RAVEN.app_fields if not field.allowed}
NO_USERS = pa.table({"key": pa.array([], pa.binary()), "id": pa.array([], pa.string())})
ADA, BEN = (str(UUID(int=(4 << 76) + (8 << 60) + number)) for number in (1, 2))
USERS = [LeafUser(ADA, "G-1", "ada@example.com"), LeafUser(BEN, "G-2", "ben@example.com")]


class Run:
    """A run over a file without leafUserIds: externalId, email, name and token by row."""

    def __init__(self, ledger: Ledger, workspace: Workspace, rows: list[tuple[str, str, str, str]]) -> None:
        frame = pd.DataFrame(rows, columns=["externalId", "email", "name", "refreshToken"])
        reading = Reading([RAVEN], {"raven": APP}, {}, create_users=True)
        self.checked_file = CheckedFile(open_source(frame), reading, ledger.key)
        scope = ledger.scope("https://leaf.example", "me", "raven")
        comparison = Comparison(ledger, {"raven": scope}, IfExists.SKIP, allow_shared_tokens=True)
        self.first_pass = read_and_compare(
            self.checked_file,
            workspace,
            comparison,
            known_users=lambda: NO_USERS,
            observer=ignore,
            stopped=lambda: False,
        )
        self.workspace, self.journal = workspace, FakeJournal()
        self.calls = FakeUserCalls(users=[(user, 0.0) for user in USERS])
        self.sources = UserSources(self.calls, FakeUserJournal({}), (), comparison)

    def create(self, *rows: int) -> FirstPass:
        """Resolve the growers of these rows, of all rows to do if there are none."""

        async def step() -> FirstPass:
            slots = Slots(2)
            context = RowContext(self.journal, Policy(), StopSignal(), ignore, slots, lambda: 0.5, now)
            wanted = np.array(rows or self.first_pass.wanted, np.int64)
            return await create_users(self.sources, context, self.checked_file, self.first_pass, wanted)

        self.first_pass = warp(step())
        return self.first_pass

    def sent(self) -> dict[int, str]:
        """The rows to do and the leafUserIds that they would be sent for."""
        rows = rows_to_do(self.checked_file, self.first_pass.known, self.first_pass.wanted)
        return {row.number: row.leaf_user_id for row in rows}

    def codes(self) -> dict[int, str]:
        return dict(self.workspace.query("SELECT row, code FROM rows WHERE code != ''"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        hurry(ledger)
        yield ledger


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as workspace:
        yield workspace


def test_rows_get_the_ids_of_their_users(ledger: Ledger, workspace: Workspace) -> None:
    run = Run(
        ledger,
        workspace,
        [
            ("G-1", "", "", "planted-1"),
            ("G-3", "cyd@example.com", "Cyd", "planted-2"),
            ("G-4", "", "", "planted-3"),
            ("G-1", "ada@example.com", "", "planted-1"),
        ],
    )
    with pytest.raises(InternalError, match="row 2"):
        run.sent()
    run.create()
    created = run.calls.users[-1][0].leaf_user_id
    assert run.sent() == {2: ADA, 3: created}
    (outcome,) = run.journal.outcomes
    assert (outcome.row, outcome.code, outcome.leaf_user_id) == (4, "missing-name", "")
    assert run.codes() == {5: "duplicate"}


def test_a_grower_known_by_its_id_is_done(ledger: Ledger, workspace: Workspace) -> None:
    info = RunInfo("r-1", "raven", "growers.csv", "https://leaf.example", "me", BEGINNING)
    scope = ledger.scope("https://leaf.example", "me", "raven")
    run_no = ledger.begin(info, scope, "process 1")
    ledger.write(run_no, scope, [], [Entry(2, "created", ADA, "00" * 16), Entry(3, None, BEN, "00" * 16)])
    run = Run(ledger, workspace, [("G-1", "", "", "planted-1"), ("G-2", "", "", "planted-2")])
    first_pass = run.create()
    assert run.codes() == {2: "token-changed"}
    assert run.sent() == {3: BEN}
    assert list(first_pass.known.intents) == [3], "the POST of an earlier run may have been stored"


def test_rows_after_the_canary_are_compared_with_it(ledger: Ledger, workspace: Workspace) -> None:
    run = Run(
        ledger,
        workspace,
        [
            ("G-1", "", "", "planted-1"),
            ("G-2", "", "", "planted-2"),
            ("", "ada@example.com", "", "planted-3"),
            ("", "ben@example.com", "", "planted-2"),
        ],
    )
    canary = run.create(2)
    assert set(workspace.user_ids()) == {2}
    run.first_pass = replace(canary, wanted=np.array([3, 4, 5]))
    run.create()
    assert run.codes() == {4: "conflicting-rows", 5: "duplicate"}
    assert run.sent() == {3: BEN}
