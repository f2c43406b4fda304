"""What the ledger knows against what the file says: which rows are done, and with which code."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import IfExists
from bulk_onboard.workspace import Workspace

APP, OTHER_APP, OTHER_ENVIRONMENT = 5 << 32 | 7, 6 << 32 | 7, 6 << 32 | 8
OWN, OTHER = bytes([1]) * 16, bytes([2]) * 16
ALL = frozenset(IfExists)
KEEPING = frozenset({IfExists.SKIP, IfExists.FAIL})
SKIP = frozenset({IfExists.SKIP})
NONE: frozenset[IfExists] = frozenset()

# Status, code, fingerprint and application of a grower; the modes in which its row is done, and its code.
CASES = [
    ("created", "", OWN, APP, ALL, "already-onboarded"),
    ("existing", "", OWN, APP, ALL, "already-onboarded"),
    ("created", "", OWN, 0, ALL, "already-onboarded"),
    ("existing", "already-connected", None, APP, KEEPING, "already-connected"),
    ("created", "", OTHER, APP, SKIP, "token-changed"),
    ("existing", "token-changed", OWN, APP, SKIP, "token-changed"),
    ("existing", "token-changed", None, APP, SKIP, "token-changed"),
    ("created", "credentials-gone", OWN, APP, KEEPING, "already-onboarded"),
    ("created", "", OWN, OTHER_APP, SKIP, "app-changed"),
    ("created", "", OTHER, OTHER_APP, SKIP, "app-changed"),
    ("created", "", OWN, OTHER_ENVIRONMENT, SKIP, "environment-changed"),
    # Leaf showed another application, and which one is not known: it is asked again.
    ("existing", "app-changed", OWN, 0, NONE, ""),
    ("existing", "environment-changed", OWN, 0, NONE, ""),
    (None, "", OWN, APP, NONE, ""),
    ("unresolved", "", OWN, APP, NONE, ""),
    ("failed", "", OWN, APP, NONE, ""),
    ("rejected", "", OWN, APP, NONE, ""),
    ("not_attempted", "", OWN, APP, NONE, ""),
]


def load(workspace: Workspace, growers: list[int], known: list[dict[str, Any]]) -> None:
    """A row of raven with our token for each of the growers, and what the ledger knows of growers."""
    rows = range(2, 2 + len(growers))
    workspace.load_rows(
        pa.table({
            "row": pa.array(rows, pa.int64()),
            "provider": pa.repeat("raven", len(growers)),
            "id": pa.array([str(UUID(int=number)) for number in growers], pa.string()),
            "fingerprint": pa.array([OWN] * len(growers), pa.binary()),
            "app": pa.array([APP] * len(growers), pa.int64()),
        }),
    )  # fmt: skip
    columns = ("status", "code", "fingerprint", "app", "health", "health_checked_at", "credential_id")
    types = {"fingerprint": pa.binary(16), "app": pa.int64()}
    table = {name: pa.array([each[name] for each in known], types.get(name, pa.string())) for name in columns}
    table["id"] = pa.array([UUID(int=each["grower"]).bytes for each in known], pa.binary(16))
    for name in ("id", "fingerprint"):
        table[name] = pa.ExtensionArray.from_storage(pa.uuid(), table[name])
    workspace.load_known("raven", pa.table(table))


def line(number: int, status: str | None, code: str, fingerprint: bytes | None, app: int) -> dict[str, Any]:
    return {
        "grower": number,
        "status": status,
        "code": code,
        "fingerprint": fingerprint,
        "app": app,
        "health": "healthy",
        "health_checked_at": "2026-11-24T02:03:04.123Z",
        "credential_id": "c-1",
    }


@pytest.mark.parametrize("if_exists", IfExists)
@pytest.mark.parametrize("case", CASES)
def test_a_row_is_done_as_the_mode_says_and_shows_what_the_ledger_knows(
    case: tuple[Any, ...], if_exists: IfExists
) -> None:
    *known, done, expected = case
    with Workspace() as workspace:
        load(workspace, [1], [line(1, *known)])
        workspace.compare(if_exists)
        ((found, *shown),) = workspace.query("SELECT status, code, health, credential_id, app FROM rows")
        assert (found == "existing") is (if_exists in done)
        if if_exists in done:
            of_other = expected in {"app-changed", "environment-changed"}
            assert shown == [expected, *(("", "", APP) if of_other else ("healthy", "c-1", known[3]))]
        else:
            assert shown == ["", "", "", APP]


def test_a_grower_of_another_provider_is_another_grower() -> None:
    with Workspace() as workspace:
        load(workspace, [1], [line(1, "created", "", OWN, APP)])
        workspace.execute("UPDATE known SET provider = 'stara'")
        workspace.compare(IfExists.SKIP)
        assert workspace.to_do().tolist() == [2]
        assert workspace.new_growers() == 1


known_growers = st.dictionaries(st.integers(1, 6), st.sampled_from(CASES))


@given(
    st.lists(st.integers(1, 8), max_size=8, unique=True),
    known_growers,
    st.sampled_from(IfExists),
)
def test_many_rows_are_compared_as_one_is(
    growers: list[int], known: dict[int, tuple[Any, ...]], if_exists: IfExists
) -> None:
    with Workspace() as workspace:
        load(workspace, growers, [line(number, *case[:4]) for number, case in known.items()])
        workspace.compare(if_exists)
        assert workspace.new_growers() == len(set(growers) - known.keys())
        to_do = [number for number in growers if number not in known or if_exists not in known[number][4]]
        assert [growers[row - 2] for row in workspace.to_do()] == to_do
        assert workspace.count("SELECT count(*) FROM rows") == len(growers)


def test_rows_with_the_token_of_another_grower_are_found() -> None:
    with Workspace() as workspace:
        load(workspace, [1, 2], [line(2, "created", "", OWN, APP), line(3, "created", "", OTHER, APP)])
        workspace.compare(IfExists.SKIP)
        assert workspace.tokens_of_others().tolist() == [2]


def test_the_rows_come_back_from_the_blocks_that_the_ledger_stores() -> None:
    with Workspace(["name"]) as workspace, Workspace(["name"]) as again:
        load(workspace, [1, 2, 3], [line(2, "created", "", OWN, APP)])
        workspace.compare(IfExists.SKIP)
        blocks = list(workspace.blocks())
        assert [(first, last) for first, last, _ in blocks] == [(2, 4)]
        again.load_blocks(data for _, _, data in blocks)
        query = "SELECT * FROM rows ORDER BY row"
        assert again.query(query) == workspace.query(query)


def test_more_known_growers_than_the_memory_holds_are_compared_all_the_same() -> None:
    """A row with the health and the credentials of its grower is longer than one without."""
    rows = 200_000
    texts = pa.array([str(UUID(int=number)) for number in range(rows)], pa.string())
    ours = {
        "id": texts,
        "fingerprint": pa.ExtensionArray.from_storage(
            pa.uuid(), pa.repeat(pa.scalar(OWN, pa.binary(16)), rows)
        ),
        "app": pa.repeat(pa.scalar(APP, pa.int64()), rows),
    }
    known = {name: pa.repeat(text, rows) for name, text in (("status", "created"), ("code", ""))}
    times = pa.array(
        [f"2026-11-24T02:{at // 60 % 60:02}:{at % 60:02}.123Z" for at in range(rows)], pa.string()
    )
    known |= {"health": pa.repeat("healthy", rows), "health_checked_at": times, "credential_id": texts}
    with Workspace(memory_limit=48 << 20) as workspace:
        numbers = pa.array(range(2, rows + 2), pa.int64())
        workspace.load_rows(pa.table({"row": numbers, "provider": pa.repeat("raven", rows), **ours}))
        workspace.load_known("raven", pa.table({**ours, **known}))
        workspace.compare(IfExists.SKIP)
        found = workspace.query(
            "SELECT count(*) FROM rows WHERE status = 'existing' AND health = 'healthy'"
            " AND credential = id AND second(health_checked_at) = (row - 2) % 60"
        )
    assert found == [(rows,)]


def test_conflicts_that_take_more_than_the_memory_are_found_all_the_same() -> None:
    rows = 150_000
    ids = pa.array([str(UUID(int=number // 2)) for number in range(rows)], pa.string())
    tokens = pa.array([number.to_bytes(16, "big") for number in range(rows)], pa.binary())
    with Workspace(memory_limit=16 << 20) as workspace:
        numbers = pa.array(range(2, rows + 2), pa.int64())
        columns = {"row": numbers, "provider": pa.repeat("raven", rows), "id": ids, "fingerprint": tokens}
        workspace.load_rows(pa.table(columns))
        workspace.mark_repeats(allow_shared_tokens=False)
        assert workspace.query("SELECT code, count(*) FROM rows GROUP BY code") == [
            ("conflicting-rows", rows)
        ]
