"""Duplicates, conflicting rows and shared tokens, against a few lines of plain Python."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.workspace import Workspace

# Provider, grower, token, and the other fields of a row; few values, so that they meet often.
Row = tuple[str, int, int, int]
tables = st.lists(st.tuples(st.sampled_from(["raven", "stara"]), *[st.integers(0, 3)] * 3), max_size=12)


def loaded(workspace: Workspace, table: list[Row]) -> None:
    workspace.load_rows(
        pa.table({
            "row": pa.array(range(2, len(table) + 2), pa.int64()),
            "provider": pa.array([provider for provider, *_ in table], pa.string()),
            "id": pa.array([str(UUID(int=grower)) for _, grower, _, _ in table], pa.string()),
            "fingerprint": pa.array([bytes([token]) * 16 for _, _, token, _ in table], pa.binary()),
            "content": pa.array([bytes([token, rest]) * 8 for _, _, token, rest in table], pa.binary()),
        }),
    )  # fmt: skip


def expected(table: list[Row], *, allow_shared_tokens: bool) -> dict[int, str]:
    """The code of each row that repeats or contradicts others."""
    growers, tokens = defaultdict(list), defaultdict(list)
    for row, (provider, grower, token, _) in enumerate(table, 2):
        growers[provider, grower].append(row)
        tokens[provider, token].append(row)
    codes: dict[int, str] = {}
    for rows in growers.values():
        if len({table[row - 2] for row in rows}) == 1:
            codes |= dict.fromkeys(rows[1:], "duplicate")
    for rows in tokens.values():
        if len({table[row - 2][1] for row in rows}) > 1 and not allow_shared_tokens:
            codes |= dict.fromkeys(rows, "shared-token")
    for rows in growers.values():
        if len({table[row - 2] for row in rows}) > 1:
            codes |= dict.fromkeys(rows, "conflicting-rows")
    return codes


@given(tables, st.booleans())
def test_repeats_and_conflicts_are_found_in_any_order(table: list[Row], allowed: bool) -> None:
    with Workspace() as workspace:
        loaded(workspace, table)
        workspace.mark_repeats(allow_shared_tokens=allowed)
        found = dict(workspace.query("SELECT row, code FROM rows WHERE code != ''"))
        assert found == expected(table, allow_shared_tokens=allowed)
        to_do = [row for row in range(2, len(table) + 2) if row not in found]
        assert workspace.to_do().tolist() == to_do


def test_messages_name_the_first_other_rows() -> None:
    table: list[Row] = [("raven", 1, 1, 0), *[("raven", 2, 2, n) for n in range(8)], ("raven", 1, 1, 0)]
    table += [("raven", 3, 9, 0), ("raven", 4, 9, 0)]
    with Workspace() as workspace:
        loaded(workspace, table)
        workspace.mark_repeats(allow_shared_tokens=False)
        messages = dict(workspace.query("SELECT row, message FROM rows WHERE code != ''"))
    conflict = "the same grower has different credentials in rows"
    assert messages[3] == f"{conflict} 4, 5, 6, 7, 8 and 2 more"
    assert messages[10] == f"{conflict} 3, 4, 5, 6, 7 and 2 more"
    assert messages[11] == "repeats row 2"
    assert messages[12] == "another grower has the same token in row 13"
