"""Rows without a leafUserId: who they are, in one chunk and in the whole file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.chunk import Chunk, make_chunk
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.users import UnresolvedGrower, UserKey
from bulk_onboard.errors import InputError, InternalError
from bulk_onboard.naming import KnownUsers, Named, Naming, known_users, named
from bulk_onboard.strangers import Strangers
from bulk_onboard.validation.check import CheckContext, Checked, check
from bulk_onboard.validation.columns import Columns, match_header
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.whose import CODE

RAVEN = PROVIDERS["raven"]
PRINTS = Fingerprints(b"key")
ID = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
OTHER = "7e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
HEADER = ("leafUserId", "External ID", "e-mail", "Name", "refreshToken")
APP = CheckContext({"raven": ("clientId", "clientSecret")})


def columns(header: Sequence[str] = HEADER) -> Columns:
    return match_header(header, [RAVEN], mapping={}, keep=(), users=True)


def piece(rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER, first: int = 2) -> Chunk:
    """Rows as the scan hands them over: the provider's fields, then the users' columns."""
    found = columns(header)
    places = [*found.fields.values(), *found.users.values()]
    cells = [[row[at] for row in rows] for at in places]
    return make_chunk(range(first, first + len(rows)), cells)


def both(
    rows: Sequence[Sequence[str]], known: KnownUsers | None = None, header: Sequence[str] = HEADER
) -> tuple[Checked, Named, Strangers]:
    """The rows, named and checked."""
    strangers = Strangers(columns(header), PRINTS, lambda: known or known_users(()))
    names = strangers.naming.name(piece(rows, header))
    checked = named(check(names.chunk, strangers.naming.checked, {"raven": RAVEN}, APP, PRINTS), names)
    strangers.add(checked, names)
    return checked, names, strangers


def row(external: str = "", email: str = "", leaf_user_id: str = "", token: str = "t") -> tuple[str, ...]:
    return (
        leaf_user_id,
        external,
        email,
        "Ada",
        f"planted-{token}-{abs(hash((external, email, leaf_user_id)))}",
    )


def known(external: str = "", email: str = "", leaf_user_id: str = ID) -> KnownUsers:
    """A ledger that knows one."""
    _, _, strangers = both([row(external, email)])
    (newcomer,) = newcomers(strangers, [row(external, email)])
    return known_users([(newcomer.keys, [leaf_user_id] * len(newcomer.keys))])


def newcomers(
    strangers: Strangers, rows: Sequence[Sequence[str]], wanted: Sequence[int] | None = None
) -> list[UnresolvedGrower]:
    names = strangers.naming.name(piece(rows))
    checked = named(check(names.chunk, strangers.naming.checked, {"raven": RAVEN}, APP, PRINTS), names)
    every = np.arange(2, 2 + len(rows))
    return list(strangers.newcomers(checked, names, every if wanted is None else np.array(wanted), every, ()))


def ids(checked: Checked) -> list[str]:
    return list(checked.frame["leafUserId"])


def codes(checked: Checked) -> list[str]:
    return list(checked.frame["code"])


def test_who_is_known_gets_the_id_and_who_is_not_gets_none_that_anybody_sees() -> None:
    rows = [row("G-1"), row("G-2"), row(leaf_user_id=OTHER)]
    checked, names, _ = both(rows, known("G-1"))
    assert ids(checked) == [ID, "", OTHER]
    assert codes(checked) == ["", "", ""]
    assert names.unnamed.lines.tolist() == [1]
    assert len(checked.ids) == 3


def test_an_id_in_the_row_counts_whatever_stands_beside_it() -> None:
    assert ids(both([row("G-1", leaf_user_id=OTHER)], known("G-1"))[0]) == [OTHER]


def test_an_external_id_that_is_not_known_is_not_replaced_by_an_email_that_is() -> None:
    assert ids(both([row("G-2", "a@b.c")], known(email="a@b.c"))[0]) == [""]
    assert ids(both([row("", "A@B.C")], known(email="a@b.c"))[0]) == [ID]


def test_a_file_without_any_ids_has_a_column_for_them_by_then() -> None:
    header = HEADER[1:]
    checked, *_ = both([row("G-1")[1:], row("G-2")[1:]], known("G-1"), header)
    assert ids(checked) == [ID, ""]
    with pytest.raises(InputError, match="so are externalId and email"):
        columns(("Name", "refreshToken"))


def test_a_row_that_tells_nothing_of_its_grower_is_invalid_and_so_is_one_with_a_wrong_id() -> None:
    checked, *_ = both([row(), row("G-1", leaf_user_id="no id")])
    assert codes(checked) == ["missing-leafUserId", "bad-leaf-user-id"]


def test_blanks_in_the_place_of_an_id_are_none() -> None:
    assert ids(both([row("G-1", leaf_user_id=" \u200b ")], known(" G-1\u200b"))[0]) == [ID]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (("TODO", ""), "placeholder-value"),
        (("#N/A", ""), "formula-error"),
        (("a\tb", ""), "control-character"),
        (("G-1", "nobody"), "bad-email"),
    ],
)
def test_a_grower_who_cannot_be_read_is_invalid(cells: tuple[str, str], code: str) -> None:
    checked, _, strangers = both([row(*cells), row("G-9")])
    assert codes(checked) == [code, ""]
    assert len(checked.ids) == len(checked.prints) == 1
    assert strangers.unnamed.tolist() == [3]
    assert checked.frame["fingerprint"][0] == ""
    assert checked.problems["code"].tolist() == [code]


def test_a_number_is_nobody_s_external_id_even_if_somebody_has_it() -> None:
    rows = piece([row("7")])
    rows.kinds[:, list(columns().fields.values()).index(0) + 2] = True
    strangers = Strangers(columns(), PRINTS, lambda: known("7"))
    names = strangers.naming.name(rows)
    assert names.unnamed.lines.tolist() == [0]
    assert names.problems["code"].tolist() == ["numeric-cell"]


def findings(*rows: tuple[str, ...], known: KnownUsers | None = None) -> dict[int, str]:
    _, _, strangers = both(rows, known)
    found = strangers.with_findings(pd.DataFrame(columns=["row", "status", "code", "message"]))
    assert set(found["code"]) <= {CODE}
    return dict(zip(found["row"].tolist(), found["message"].tolist(), strict=True))


def test_rows_that_agree_about_a_grower_are_fine() -> None:
    assert not findings(row("G-1", "a@b.c"), row("G-1", "A@b.c"), row("G-1"), row("G-2", "x@y.z"))


def test_one_external_id_with_two_emails_is_a_contradiction() -> None:
    assert findings(row("G-1", "a@b.c"), row("G-1", "x@y.z"), row("G-2")) == {
        2: "the same externalId has another email in row 3",
        3: "the same externalId has another email in row 2",
    }


@pytest.mark.parametrize("other", ["G-2", ""])
def test_one_email_with_two_external_ids_or_without_one_is_a_contradiction(other: str) -> None:
    assert findings(row("G-1", "a@b.c"), row(other, "a@b.c")).keys() == {2, 3}


def test_what_stands_beside_an_id_elsewhere_is_not_a_newcomer() -> None:
    found = findings(row("G-1", leaf_user_id=ID), row("G-1"), row("G-2"))
    assert found == {3: "the same externalId comes with a leafUserId in row 2"}
    found = findings(row("G-1", "a@b.c"), row("G-2", "a@b.c"), known=known("G-1"))
    assert found == {3: "the same email comes with a leafUserId in row 2"}


def test_a_newcomer_comes_once_with_all_of_the_rows() -> None:
    rows = [row("G-1", "a@b.c"), row("G-2"), row("G-1"), row("", "x@y.z")]
    _, _, strangers = both(rows)
    found = newcomers(strangers, rows)
    assert [each.rows for each in found] == [(2, 4), (3,), (5,)]
    assert found[0].cells == {"externalId": "G-1", "email": "a@b.c", "name": "Ada"}
    assert [len(each.keys) for each in found] == [2, 1, 1]
    assert [each.rows for each in newcomers(strangers, rows, wanted=[4])] == [(2, 4)]
    assert "G-1" not in repr(found)
    assert "a@b.c" not in repr(found)


def test_what_is_learnt_is_learnt_for_all_rows_of_the_grower_and_nobody_else_may_be_sent() -> None:
    _, _, strangers = both([row("G-1"), row("G-2"), row("G-1")])
    assert strangers.learn({2: ID}) == {2: ID, 4: ID}
    assert strangers.unnamed.tolist() == [3]
    assert strangers.id_of(4) == ID
    with pytest.raises(InternalError, match="row 3"):
        strangers.id_of(3)


@given(st.lists(st.tuples(st.sampled_from(["", "G-1", "G-2", "G-3"]), st.sampled_from(["", "a@b", "c@d"]))))
def test_growers_that_are_not_contradicted_are_told_apart_by_one_name_each(
    who: list[tuple[str, str]],
) -> None:
    """Of the rows that are left, no two newcomers share a name, and no newcomer has two of a kind."""
    rows = [row(*each, token=str(n)) for n, each in enumerate(who)]
    if not rows:
        return
    _, _, strangers = both(rows)
    wrong = set(findings(*rows))
    left = [each for each in newcomers(strangers, rows) if not wrong.intersection(each.rows)]
    for by in UserKey:
        names = [{who[number - 2][by is UserKey.EMAIL] for number in each.rows} - {""} for each in left]
        assert all(len(each) <= 1 for each in names)
        flat = [name for each in names for name in each]
        assert len(flat) == len(set(flat))


def test_naming_asks_for_the_known_only_when_somebody_has_no_id() -> None:
    def never() -> KnownUsers:
        raise AssertionError("nobody was to be looked for")

    naming = Naming(columns(), PRINTS, never)
    naming.name(piece([row("G-1", leaf_user_id=ID)]))
