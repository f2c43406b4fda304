"""Rows without a leafUserId: resolved, compared with each other, given ids; against a few lines of Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.workspace import Workspace

USER = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"


class Row(NamedTuple):
    """Its leafUserId, 0 for none; its externalId and email, "" for none; whether it passes the check."""

    leaf_user_id: int
    external: str
    email: str
    valid: bool = True

    @property
    def key(self) -> str:
        return self.external or self.email


# Few values, so that they meet often.
external_ids, emails = st.sampled_from(["", "G1", "G2"]), st.sampled_from(["", "a@", "b@"])
table_rows = st.builds(Row, st.integers(0, 2), external_ids, emails, st.booleans())
tables = st.lists(table_rows.filter(lambda row: bool(row.leaf_user_id or row.key)), max_size=12)


def key_bytes(text: str) -> bytes | None:
    return text.encode().ljust(16, b".") if text else None


def stand_in(row: Row) -> UUID:
    return UUID(bytes=key_bytes(row.key))


def load(workspace: Workspace, table: Sequence[Row]) -> None:
    numbers = pa.array(range(2, len(table) + 2), pa.int64())
    ids = [UUID(int=row.leaf_user_id) if row.leaf_user_id else stand_in(row) for row in table]
    fingerprints = [b"%16d" % n if row.valid else None for n, row in enumerate(table)]
    rows = {
        "row": numbers,
        "provider": pa.array(["raven"] * len(table), pa.string()),
        "id": pa.array(map(str, ids), pa.string()),
        "unresolved": pa.array([not row.leaf_user_id for row in table], pa.bool_()),
        "fingerprint": pa.array(fingerprints, pa.binary()),
        "status": pa.array(["" if row.valid else "invalid" for row in table], pa.string()),
    }  # fmt: skip
    keys = {
        "row": numbers,
        "external": pa.array([key_bytes(row.external) for row in table], pa.binary()),
        "email": pa.array([key_bytes(row.email) for row in table], pa.binary()),
    }
    workspace.load_rows(pa.table(rows))
    workspace.load("user_keys", pa.table(keys))


def users(known: dict[str, UUID]) -> pa.Table:
    keys, ids = pa.array(map(key_bytes, known), pa.binary()), pa.array(map(str, known.values()), pa.string())
    return pa.table({"key": keys, "id": ids})


def expected_conflicts(table: Sequence[Row]) -> set[int]:
    """The valid unresolved rows that contradict others: by externalId, then by email."""
    by_external, by_email = defaultdict(list), defaultdict(list)
    for number, row in enumerate(table, 2):
        if row.leaf_user_id or row.valid:
            by_external[row.external].append((number, row, row.email))
            by_email[row.email].append((number, row, row.external))
    found: set[int] = set()
    for groups, may_be_blank in ((by_external, True), (by_email, False)):
        for key, group in groups.items():
            others = {other for _, _, other in group if other or not may_be_blank}
            if key and (any(row.leaf_user_id for _, row, _ in group) or len(others) > 1):
                found |= {number for number, row, _ in group if not row.leaf_user_id}
    return found


@given(tables)
def test_contradicting_rows_are_invalid(table: list[Row]) -> None:
    with Workspace() as workspace:
        load(workspace, table)
        workspace.mark_user_conflicts()
        found = workspace.query("SELECT row, status FROM rows WHERE code = 'conflicting-users'")
        assert dict(found) == dict.fromkeys(expected_conflicts(table), "invalid")


@given(tables, st.sets(st.sampled_from(["G1", "G2", "a@", "b@"])))
def test_rows_are_resolved_by_their_external_id_and_by_email_only_without_one(
    table: list[Row], names: set[str]
) -> None:
    known = {name: UUID(bytes=key_bytes(name)[::-1]) for name in names}
    expected = []
    for row in table:
        given_id = UUID(int=row.leaf_user_id) if row.leaf_user_id else known.get(row.key)
        expected.append((given_id or stand_in(row), given_id is None))
    with Workspace() as workspace:
        load(workspace, table)
        workspace.resolve_users(users(known))
        assert workspace.query("SELECT id, unresolved FROM rows ORDER BY row") == expected


@given(tables)
def test_of_the_rows_without_a_conflict_each_stand_in_has_one_name_of_a_kind(table: list[Row]) -> None:
    with Workspace() as workspace:
        load(workspace, table)
        workspace.mark_user_conflicts()
        growers = workspace.unresolved_growers(workspace.to_do())
    conflicts = expected_conflicts(table)
    left = [n for n, row in enumerate(table, 2) if row.valid and not row.leaf_user_id and n not in conflicts]
    assert sorted(row for rows in growers.values() for row in rows) == left
    for at in (1, 2):
        names = [{table[row - 2][at] for row in rows} - {""} for rows in growers.values()]
        assert all(len(each) <= 1 for each in names)
        assert sum(map(len, names)) == len(set().union(*names))


def messages(*table: Row, known: dict[str, UUID] | None = None) -> dict[int, str]:
    with Workspace() as workspace:
        load(workspace, table)
        workspace.resolve_users(users(known or {}))
        workspace.mark_user_conflicts()
        return dict(workspace.query("SELECT row, message FROM rows WHERE code != ''"))


def test_messages_of_conflicts_name_the_other_rows() -> None:
    assert messages(Row(0, "G1", "a@"), Row(0, "G1", "b@"), Row(0, "G2", "")) == {
        2: "the same externalId has another email in row 3",
        3: "the same externalId has another email in row 2",
    }
    found = messages(*[Row(0, f"G{n}", "a@") for n in range(9)])
    assert found[2] == "the same email has another externalId in rows 3, 4, 5, 6, 7 and 3 more"
    assert found[10] == "the same email has another externalId in rows 2, 3, 4, 5, 6 and 3 more"
    found = messages(*[Row(1, "G1", "")] * 7, Row(0, "G1", ""))
    assert found == {9: "the same externalId comes with a leafUserId in rows 2, 3, 4, 5, 6 and 2 more"}
    found = messages(Row(0, "G1", "a@"), Row(0, "G2", "a@"), known={"G1": UUID(USER)})
    assert found == {3: "the same email comes with a leafUserId in row 2"}


def test_an_id_that_leaf_names_is_the_id_of_all_rows_of_the_grower() -> None:
    table = [Row(0, "G1", "a@"), Row(0, "", "b@"), Row(0, "G1", ""), Row(0, "G1", "a@", valid=False)]
    with Workspace() as workspace:
        load(workspace, table)
        assert workspace.unresolved_growers(np.array([4])) == {stand_in(table[0]): (2, 4)}
        assert workspace.unresolved_growers(workspace.to_do()).keys() == set(map(stand_in, table[:2]))
        workspace.set_user_ids({stand_in(table[0]): USER})
        assert workspace.unresolved_growers(workspace.to_do()) == {stand_in(table[1]): (3,)}
        ids = workspace.query("SELECT row, id::VARCHAR FROM rows WHERE NOT unresolved ORDER BY row")
        assert ids == [(2, USER), (4, USER)]


def test_names_that_resolve_to_one_grower_are_compared_again() -> None:
    """Rows that have a status by then keep it, but the others are compared with them too."""
    with Workspace() as workspace:
        load(workspace, [Row(0, "G1", ""), Row(0, "", "a@"), Row(0, "G2", "")])
        workspace.mark([2], ("existing", "already-onboarded", ""))
        stand_ins = [*workspace.unresolved_growers(workspace.to_do()), stand_in(Row(0, "G1", ""))]
        workspace.set_user_ids(dict.fromkeys(stand_ins, USER))
        workspace.mark_repeats(allow_shared_tokens=True)
        found = workspace.query("SELECT row, code, message FROM rows ORDER BY row")
    message = "the same grower has different credentials in rows"
    assert found == [
        (2, "already-onboarded", ""),
        (3, "conflicting-rows", f"{message} 2, 4"),
        (4, "conflicting-rows", f"{message} 2, 3"),
    ]
