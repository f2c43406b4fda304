"""Which column holds which field; and what is said of a header that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import HeaderError, InputError, UsageError
from bulk_onboard.validation.columns import Columns, match_header, normalize

RAVEN = PROVIDERS["raven"]
GOOD = ("leafUserId", "refreshToken")


def match(*header: str, keep: tuple[str, ...] = (), provider: str = "raven", **mapping: str) -> Columns:
    """The columns of a header."""
    return match_header(header, [PROVIDERS[provider]], mapping=mapping, keep=keep, name="growers.csv")


def refusal(*header: str, keep: tuple[str, ...] = (), **mapping: str) -> str:
    """Why the header is refused."""
    with pytest.raises(InputError) as caught:
        match(*header, keep=keep, **mapping)
    told = str(caught.value)
    assert "\n" not in told
    assert told.startswith("growers.csv")
    return told


@pytest.mark.parametrize(
    "spelling",
    [
        "leafUserId", "Leaf User ID", "leaf_user_id", "LEAF-USER-ID", " leafuserid ", "Leaf  User\u00a0Id",
        '"leafUserId"', "\ufeffleafUserId", "leaf\u200bUserId", "leaf\nUser\nId", "leaf\0UserId",
        "‘Leaf User ID’",
    ],
)  # fmt: skip
def test_case_spaces_and_dashes_of_a_header_do_not_matter(spelling: str) -> None:
    found = match("Token", spelling, "Refresh Token")
    assert found.fields == {"leafUserId": 1, "refreshToken": 2}
    assert found.names["leafUserId"] == spelling


@given(
    st.lists(st.sampled_from(["", " ", "_", "-", "  ", "\u200b"]), min_size=12, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_any_spacing_and_case_is_matched(gaps: list[str], upper: list[bool]) -> None:
    letters = [
        letter.upper() if up else letter.lower() for letter, up in zip("refreshToken", upper, strict=True)
    ]
    name = "".join(part for pair in zip(gaps, letters, strict=True) for part in pair)
    assert match("leafUserId", name).fields["refreshToken"] == 1


@given(st.text())
def test_normalizing_is_idempotent(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize("other", ["leafUserIds", "userId", "Leaf User", "refresh.token", "Refresh Token 2"])
def test_another_word_is_another_column(other: str) -> None:
    assert match(*GOOD, other).fields == {"leafUserId": 0, "refreshToken": 1}


def test_app_fields_are_found_and_none_is_needed() -> None:
    assert match(*GOOD).fields.keys() == {*GOOD}
    found = match(*GOOD, "client id", "CLIENT_SECRET")
    assert found.fields == {"leafUserId": 0, "refreshToken": 1, "clientId": 2, "clientSecret": 3}


def test_each_provider_has_its_own_fields() -> None:
    found = match("Access Key", "leafUserId", "refreshToken", provider="raven-slingshot")
    assert found.fields == {"leafUserId": 1, "accessKey": 0}


# --- refused ----------------------------------------------------------------------------------------


def test_all_problems_are_reported_at_once() -> None:
    told = refusal("Name", "Acres", keep=("Region",), clientId="App")
    for part in ("leafUserId is missing", "refreshToken is missing", "--keep Region", "--map clientId=App"):
        assert part in told
    assert told.endswith("The columns are: Name, Acres")


def suggested(
    *header: str, rows: Sequence[Sequence[str]] = (), provider: str = "raven", **mapping: str
) -> Any:
    """What --map should say, according to the refusal of a header."""
    with pytest.raises(HeaderError) as caught:
        match_header(header, [PROVIDERS[provider]], mapping=mapping, keep=(), sample=lambda: rows)
    return caught.value.suggested


ID = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a10"


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        (("Leaf Usr ID", "refresh-tokens"), (), {0, 1}),
        (("leafUserId", "Token"), (), {1}),
        (("leafUserId", "Farm", "Raven Token"), (), {2}),
        (("Grower", "Leaf-Benutzer-ID", "Aktualisierungstoken"), (), {1, 2}),
        (("Identifiant Leaf", "Jeton d'actualisation", "Jeton d'accès"), (), {0, 1}),
        (("用户ID", "刷新令牌"), (), {0, 1}),
        (("Идентификатор пользователя", "токен"), (), {0, 1}),
        (("Kunde", "Token", "Nummer"), ("Ann", "rt-1", ID), {2, 1}),  # told from the data
        (("Kunde", "Nummer", "Wert"), ("Ann", ID, "rt-4f1c-9a"), set()),  # two columns may be the token
        (("Nummer", "Wert"), (ID, "rt-4f1c-9a"), {0, 1}),  # the only one left
        (("Nummer", "Region"), (ID, "North"), set()),  # not what a token looks like
        (("leafUserId", "Access Token"), (ID, "at-4f1c-9a-8b7c6d5e"), set()),  # another kind of token
        (("leafUserId", "Token", "Tokens"), (), set()),
        (("A", "B", "Refresh Token"), (ID, ID, "rt-1"), set()),
        (("A", "User ID", "Refresh Token"), (ID, ID, "rt-1"), {1}),
    ],
)
def test_likely_columns_are_suggested(
    header: tuple[str, ...], row: tuple[str, ...], expected: set[int]
) -> None:
    found = suggested(*header, rows=[row] if row else [])
    missing = [field for field in GOOD if normalize(field) not in map(normalize, header)]
    assert set(found) == (set(missing) if expected else set())
    assert set(found.values()) == {header[i] for i in expected}


def test_fields_of_other_providers_are_suggested_too() -> None:
    header = ("Leaf User", "Benutzername", "Kennwort")
    expected = {"leafUserId": "Leaf User", "username": "Benutzername", "password": "Kennwort"}
    assert suggested(*header, provider="valley") == expected


def test_the_message_names_the_header_row_and_all_columns() -> None:
    long = "Refresh token of the grower as shown by the console of the provider in 2026"
    with pytest.raises(HeaderError) as caught:
        match_header(
            ("leafUserId", long, "raven_grower_number_2026"),
            [RAVEN],
            mapping={},
            keep=(),
            place="row 3 of sheet 'G'",
        )
    assert (
        "Row 3 of sheet 'G' was taken as the header (--header-row N takes another);"
        f" its columns are: leafUserId, {long}, raven_grower" in str(caught.value)
    )
    assert caught.value.suggested == {"refreshToken": long}


def test_two_columns_of_one_field_are_refused_with_their_places() -> None:
    told = refusal("leafUserId", "Leaf User ID", "refreshToken")
    assert "'leafUserId' (column 1) and 'Leaf User ID' (column 2) are both leafUserId" in told


def test_a_mapping_decides_between_two_columns() -> None:
    found = match("Leaf User ID", "leafUserId", "refreshToken", leafUserId="leafUserId")
    assert found.fields["leafUserId"] == 1


def test_empty_header_cells_are_ignored() -> None:
    assert match("", *GOOD, "").fields == {"leafUserId": 1, "refreshToken": 2}


@pytest.mark.parametrize(
    "cell",
    ["planted-0123456789abcdef", "rt0123456789abcdefghij", "planted-" + "x" * 80, "secret" * 20],
)
def test_data_in_place_of_a_header_is_not_shown(cell: str) -> None:
    assert cell not in refusal("Name", cell)
    assert cell[:8] not in refusal("Name", cell)


@pytest.mark.parametrize("first", ["d3b81ebe-3584-4127-9689-e655b8731c15", "ann@example.com"])
def test_a_file_that_begins_with_a_grower_has_no_header(first: str) -> None:
    told = refusal(first, "planted-token-1")
    assert told == (
        "growers.csv has no header: its first row holds data."
        " Add a row with column names above it: leafUserId, refreshToken; or use --header-row 0, which calls"
        " the columns 'column A', 'column B' and so on"
    )


def test_only_the_first_of_many_columns_are_listed() -> None:
    told = refusal(*(f"column {n}" for n in range(1000)))
    assert told.endswith("column 199, … and 800 more")


@given(st.lists(st.text(max_size=200), max_size=30))
def test_a_header_is_matched_or_refused_in_one_short_line(header: list[str]) -> None:
    try:
        match(*header)
    except InputError as error:
        told = str(error)
        assert len(told) < 10_000
        assert not any(ord(letter) < 32 for letter in told)


# --- --map ------------------------------------------------------------------------------------------


def test_a_field_may_be_mapped_to_any_column() -> None:
    found = match("Kunde", "Raven token", leafUserId="Kunde", refreshToken="Raven token")
    assert found.fields == {"leafUserId": 0, "refreshToken": 1}
    assert found.names == {"leafUserId": "Kunde", "refreshToken": "Raven token"}


def test_a_mapped_column_and_a_mapped_field_are_matched_like_headers() -> None:
    found = match("Kunde Nr", "Raven_Token", leaf_user_id="kunde-nr", REFRESHTOKEN="raven token")
    assert found.fields == {"leafUserId": 0, "refreshToken": 1}


def test_the_exact_spelling_of_a_mapped_column_wins() -> None:
    found = match("Token", "token", "leafUserId", refreshToken="token")
    assert found.fields["refreshToken"] == 1


def test_a_mapped_column_must_exist() -> None:
    assert "--map refreshToken=Token: the file has no such column" in refusal(*GOOD, refreshToken="Token")


def test_a_mapping_of_an_unknown_field_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="raven has no such field; its fields are leafUserId, clientId"):
        match(*GOOD, accessKey="refreshToken")


def test_one_column_cannot_be_two_fields() -> None:
    told = refusal("leafUserId", "Token", refreshToken="leafUserId")
    assert "--map assigns the column 'leafUserId' to both leafUserId and refreshToken" in told


# --- --keep -----------------------------------------------------------------------------------------


def test_kept_columns_are_in_the_given_order() -> None:
    found = match(*GOOD, "Region", "Acres", keep=("acres", "Region", "ACRES", "leafUserId"))
    assert found.keep == (("Acres", 3), ("Region", 2), ("leafUserId", 0))


def test_an_ambiguous_kept_column_is_refused() -> None:
    told = refusal(*GOOD, "Region", "region", "Region", keep=("Region",))
    assert "--keep Region: columns 3 and 4 and 5 have this name" in told


@pytest.mark.parametrize("name", ["refreshToken", "Refresh Token", "client_secret"])
def test_a_secret_cannot_be_kept(name: str) -> None:
    with pytest.raises(UsageError, match="secret and must not be in a report"):
        match(*GOOD, "clientSecret", keep=(name,))


def test_a_secret_under_another_name_cannot_be_kept_either() -> None:
    with pytest.raises(UsageError, match="refreshToken is secret"):
        match("leafUserId", "Token", keep=("token",), refreshToken="Token")
