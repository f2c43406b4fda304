"""Rows without a leafUserId: their keys, their stand-ins, and what is wrong with their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.chunk import CellKind, Chunk, make_chunk
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.users import UserKey
from bulk_onboard.errors import InputError
from bulk_onboard.validation.check import CheckContext, Checked, check
from bulk_onboard.validation.columns import Columns, match_header
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.user_columns import UserRows, known_keys

RAVEN = PROVIDERS["raven"]
ID = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
HEADER = ("leafUserId", "External ID", "e-mail", "Name", "refreshToken")
CONTEXT = CheckContext(set_fields={"raven": ("clientId", "clientSecret")})
Row = tuple[str, str, str, str, str]


def match(header: Sequence[str] = HEADER) -> Columns:
    return match_header(header, [RAVEN], mapping={}, keep=(), users=True)


def make(rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> Chunk:
    """Rows as a reader hands them over: the provider's fields, then the user columns."""
    columns = match(header)
    places = [*columns.fields.values(), *columns.users.values()]
    return make_chunk(range(2, 2 + len(rows)), [[row[at] for row in rows] for at in places])


def checked(
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = HEADER,
    chunk: Chunk | None = None,
    context: CheckContext = CONTEXT,
) -> Checked:
    return check(chunk or make(rows, header), match(header), {"raven": RAVEN}, context, Fingerprints(b"key"))


def row(external: str = "", email: str = "", leaf_user_id: str = "") -> Row:
    return leaf_user_id, external, email, "Ada", f"planted-{abs(hash((external, email, leaf_user_id)))}"


def users(found: Checked) -> UserRows:
    assert found.users is not None
    return found.users


def codes(found: Checked) -> list[str]:
    return list(found.frame["code"])


def test_an_unresolved_row_is_valid_and_its_stand_in_is_not_shown() -> None:
    found = checked([row("G-1", "a@b.c"), row(leaf_user_id=ID.upper()), row("G-1"), row("", "A@B.C")])
    assert codes(found) == [""] * 4
    assert users(found).unresolved.tolist() == [True, False, True, True]
    assert list(found.frame["leafUserId"]) == ["", ID, "", ""]
    # By the externalId, else by the email.
    stand_ins = [ids.tobytes() for ids in found.ids]
    assert stand_ins[0] == stand_ins[2] != stand_ins[3]
    table = users(found).table()
    assert table["row"].to_pylist() == [2, 4, 5]
    assert table["external"].to_pylist() == [stand_ins[0], stand_ins[0], None]
    assert table["email"].to_pylist() == [stand_ins[3], None, stand_ins[3]]


def test_a_row_with_a_leaf_user_id_keeps_it_and_its_keys_are_those_of_the_user() -> None:
    found = users(checked([row("G-1", "a@b.c", ID), row("G-1", "a@b.c")]))
    assert found.ids.iloc[0] == ID
    for by in UserKey:
        assert found.keys[by][0].tolist() == found.keys[by][1].tolist()


def test_a_file_without_a_leaf_user_id_column() -> None:
    found = checked([row("G-1")[1:], row("", "a@b.c")[1:], row()[1:]], HEADER[1:])
    assert codes(found) == ["", "", "missing-leafUserId"]
    assert found.frame["message"][2] == "External ID is empty"
    assert users(found).unresolved.tolist() == [True, True, False]
    with pytest.raises(InputError, match="so are externalId and email"):
        match(("Name", "refreshToken"))


def test_a_row_without_any_key_is_invalid_and_so_is_one_with_a_wrong_id() -> None:
    found = checked([row(), row("G-1", leaf_user_id="no id")])
    assert codes(found) == ["missing-leafUserId", "bad-leaf-user-id"]
    assert not users(found).unresolved.any()


def test_what_surrounds_a_value_does_not_count() -> None:
    found = users(checked([row(" G-1\u200b", leaf_user_id=" \u200b "), row("G-1")]))
    assert found.unresolved.tolist() == [True, True]
    assert found.ids[0] == found.ids[1]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (("TODO", ""), "placeholder-value"),
        (("#N/A", ""), "formula-error"),
        (("a\tb", ""), "control-character"),
        (("G-1", "nobody"), "bad-email"),
    ],
)
def test_an_unresolved_row_whose_user_cells_are_wrong_is_invalid(cells: tuple[str, str], code: str) -> None:
    found = checked([row(*cells), row("G-9"), row(*cells, leaf_user_id=ID)])
    assert codes(found) == [code, "", ""], "the user cells of a row with a leafUserId are not used"
    assert len(found.ids) == len(found.prints) == 2
    assert found.fingerprints()[0] == ""
    assert found.problems["code"].tolist() == [code]


def test_the_user_cells_of_known_users_are_not_checked() -> None:
    rows = [row("G-1", "nobody"), row("G-2", "nobody"), row("", "nobody")]
    keys = users(checked(rows)).table()["external"]
    context = replace(CONTEXT, known_users=known_keys(keys.slice(0, 1)))
    assert codes(checked(rows, context=context)) == ["", "bad-email", "bad-email"]


def test_a_key_that_is_not_text_is_invalid() -> None:
    chunk = make([row("7", "a@b.c"), row("7"), row("7", leaf_user_id=ID)])
    kinds = chunk.kinds.copy()
    kinds[[0, 2], 2] = CellKind.VALUE
    found = checked([], chunk=replace(chunk, kinds=kinds))
    assert codes(found) == ["numeric-cell", "", ""]
    table = users(found).table()
    # A user that a row names by leafUserId is recognised all the same, so that a conflict is noticed.
    assert table["row"].to_pylist() == [3, 4]
    assert table["external"][0] == table["external"][1]


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=8))
def test_keys_are_equal_exactly_for_equal_values_and_of_one_column(table: list[tuple[str, str]]) -> None:
    found = users(checked([row(*cells) for cells in table]))
    external, email = (found.keys[by].tolist() for by in UserKey)
    for n, (one, mail) in enumerate(table):
        assert any(external[n]) or not one.isalnum()
        for m, (other, other_mail) in enumerate(table):
            if one.isalnum() and other.isalnum():
                assert (external[n] == external[m]) == (one == other)
            if mail.isalnum() and other_mail.isalnum() and (mail + other_mail).isascii():
                assert (email[n] == email[m]) == (mail.lower() == other_mail.lower())
            if one.isalnum() and other_mail.isalnum():
                assert external[n] != email[m]
    assert found.table().schema.field("external").type == pa.binary()
