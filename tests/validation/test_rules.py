"""What can be a token, what a text may hold, and which spellings of an id are recognised."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.validation.rules import check_cell, looks_like_a_name, words_of
from bulk_onboard.validation.spelling import clean, other_spelling, showable

ID = "0b9cd62b-4f4d-4c0a-9f0e-1f8f8d0f5a10"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
TOKENS = tomllib.loads((Path(__file__).parent / "tokens.toml").read_text("utf-8"))
TOKENS["valid"] += [JWT, "a" * 5000, "x1" * 127, ID[:-1], "deadbeef" * 6, "~" + "aA0._-" * 9]


def code_of(text: str) -> str:
    """The code of a token's problem, "" if it is valid; no finding may hold a token in its words."""
    cell = check_cell(text, "token")
    assert "4f1c" not in (cell.problem.text if cell.problem else "")
    return cell.problem.code if cell.problem else ""


@pytest.mark.parametrize(("code", "texts"), TOKENS.items(), ids=TOKENS)
def test_values_that_are_not_tokens_are_refused(code: str, texts: list[str]) -> None:
    expected = "" if code == "valid" else code
    assert {text: found for text in texts if (found := code_of(text)) != expected} == {}


def test_placeholder_words_are_refused_in_any_decoration() -> None:
    for word in set(words_of("missing", "later", "logical", "stand_in")):
        for text in (word, word.upper(), f"({word})", f"<{word}>", f"--{word}--", f"{word}."):
            assert code_of(text), text
        assert not re.fullmatch("[a-z]+", word) or code_of(f"{word}-4f9a") == "", word


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rt-\u20114f", "U+2011 NON-BREAKING HYPHEN at position 4"),
        ("NA", '"NA", a word for a missing value'),
        ("Bearer 4f1c", 'the word "Bearer"'),
        ("a\tb", "a tab inside, at position 2"),
        ("https://x.y/z", "is a URL"),
    ],
)
def test_a_message_names_what_was_found(text: str, said: str) -> None:
    problem = check_cell(text, "token").problem
    assert problem is not None
    assert said in problem.text


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("1%2F%2F0gAb", ["looks-encoded"]),
        ("a4&amp;b", ["looks-encoded"]),
        ("a4\\/b", ["looks-encoded"]),
        ("abc4=3D=3D", ["looks-encoded"]),
        ("tYq3O1GMZR MP6f/IQfapaw9w=", ["looks-encoded"]),
        ("rt-4f 1c-a", ["space-inside"]),
        ("a1" * 127 + "b", ["looks-cut"]),
        ("c3" * 16_383 + "c", ["looks-cut"]),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIx", ["looks-cut"]),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIx.", ["looks-cut"]),
        ("a1" * 127, []),
        (JWT, []),
        ("eyJhbGciOiJSUzI1NiJ9", ["looks-cut"]),
        ("eyJpdiI6IjRmMWMifQ4", []),
    ],
)
def test_signs_of_damage_are_warnings_and_nothing_is_changed(text: str, codes: list[str]) -> None:
    assert check_cell(text, "token")[:2] == (text, None)
    assert [warning.code for warning in check_cell(text, "token").warnings] == codes


def test_a_token_in_the_format_of_another_provider_is_a_warning() -> None:
    for formats, text, codes in (
        ("jwt", JWT, []), ("jwt", "4f1c", ["other-token-format"]), ("opaque", JWT, ["other-token-format"]),
        ("opaque", "4f1c", []), ("", JWT, []),
    ):  # fmt: skip
        assert [warning.code for warning in check_cell(text, "token", formats).warnings] == codes


# --- cleaning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "codes"),
    [
        (" a4 ", "a4", ["spaces-removed"]),
        ("\u00a0a4\u3000\r\n", "a4", ["spaces-removed"]),
        ('"a4"', "a4", ["quotes-removed"]),
        ("„a4“", "a4", ["quotes-removed"]),
        ('=" a4"', "a4", ["quotes-removed", "spaces-removed"]),
        ("a\u200b4", "a4", ["zero-width-removed"]),
        ("\u202aa4\u202c", "a4", ["zero-width-removed"]),
        (' "a4" ', "a4", ["spaces-removed", "quotes-removed"]),
        ("a4 b'c", "a4 b'c", []),
        ("'a4", "'a4", []),
        ('"a4","b5"', '"a4","b5"', []),
    ],
)
def test_surrounding_characters_are_removed_and_reported(text: str, value: str, codes: list[str]) -> None:
    assert clean(text) == (value, tuple(codes))


@given(st.text())
def test_a_clean_value_stays_as_it_is_and_every_removal_is_reported(text: str) -> None:
    value, codes = clean(text)
    assert clean(value) == (value, ())
    assert bool(codes) == (value != text)


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1).map(lambda text: f"4{text}f")
)
def test_cleaning_never_changes_printable_ascii_without_surroundings(text: str) -> None:
    assert clean(text) == (text, ())
    cell = check_cell(text, "token")
    assert cell.value == text


@given(st.text())
def test_texts_are_never_changed_and_never_invalid(text: str) -> None:
    cell = check_cell(text, "text")
    assert cell.problem is None
    assert cell.value == text or not text.strip()


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("correct horse battery", []), ("p4ss#word!", []), ("tom", []), ("it's\"", []), ("wässer", []),
        (" two  ", ["kept-as-typed"]), ("'x'", ["kept-as-typed"]), ("-----", ["placeholder-value"]),
        ("???", ["placeholder-value"]), ("<sun>", ["placeholder-value"]), ("changeme", ["placeholder-value"]),
        ("#REF!", ["formula-error"]), ("a\tb", ["control-character"]), ("pÃ¤ss", ["looks-encoded"]),
    ],
)  # fmt: skip
def test_an_unusual_password_is_a_warning(text: str, codes: list[str]) -> None:
    assert [warning.code for warning in check_cell(text, "text").warnings] == codes


def test_a_name_may_be_a_word_for_nothing_in_another_language() -> None:
    assert check_cell("Tom", "user").problem is None
    assert check_cell(" Ærø ", "user").value == "Ærø"
    assert check_cell("null", "user").problem is not None


def test_names_and_words_are_recognised_and_tokens_are_not() -> None:
    names = ["Ann Example", "Müller & Söhne", "Hill Farm", "ann@example.com", "O'Neil", "GARCÍA", "north"]
    tokens = [
        "rt-4f1c",
        "rt-same",
        "correct-horse-battery",
        "xKqPzWvTyU",
        JWT,
        "4711",
        "a",
        "gho_4f1c9a",
        "aB cD",
    ]
    assert [text for text in names if not looks_like_a_name(text)] == []
    assert [text for text in tokens if looks_like_a_name(text)] == []


def test_values_that_are_not_secret_may_be_numbers() -> None:
    assert check_cell("12345678", "token").problem is not None
    assert check_cell("12345678", "token", secret=False).problem is None
    assert check_cell("1,23E+17", "token", secret=False).problem is not None


# --- ids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"{{{ID}}}", f"({ID})", f"<{ID}>", f"[{ID}]", f"urn:uuid:{ID}", f"uuid: {ID}", f"{ID}/",
        f"UUID('{ID}')",
        f"{{guid {{{ID.upper()}}}}}", f"0x{ID.replace('-', '')}", f"{ID},", "\uff10" + ID[1:],
        *(ID.replace("-", sign) for sign in ("", "_", " ", "\u2013", "\u2212")),
    ],
)  # fmt: skip
def test_another_spelling_of_a_uuid_is_refused_with_the_reason_and_can_be_rewritten(text: str) -> None:
    cell, other = check_cell(text, "id"), other_spelling(text)
    assert cell.problem is not None
    assert cell.problem.code == "bad-leaf-user-id"
    assert "another spelling" in cell.problem.text
    assert other is not None
    assert other.usual == ID


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (ID[:-1], "bad-leaf-user-id", "31 hexadecimal digits instead of 32"),
        (ID.replace("0", "O", 1), "bad-leaf-user-id", "LATIN CAPITAL LETTER O at position 1"),
        (f"see {ID}", "bad-leaf-user-id", "other text around a UUID"),
        (f"{ID} {ID[:-1]}1", "bad-leaf-user-id", "several UUIDs"),
        ("1.23E+17", "bad-leaf-user-id", "1.23E+17"),
        ("hunter2", "bad-leaf-user-id", "is not a UUID"),
        ("#N/A", "formula-error", "error"),
        ("n/a", "placeholder-value", "missing value"),
        (f"{UUID(int=0)}", "placeholder-value", "example"),
        ("123e4567-e89b-12d3-a456-426614174000", "placeholder-value", "example"),
        ("7D1F3C2A-5B8E-4E6D-9A41-2C8B6F0E9D17", "placeholder-value", "example"),
    ],
)
def test_a_wrong_id_is_refused_with_the_reason_and_not_rewritten(text: str, code: str, said: str) -> None:
    problem = check_cell(text, "id").problem
    assert problem is not None
    assert problem.code == code
    assert said in problem.text
    assert code != "bad-leaf-user-id" or other_spelling(text) is None


@given(st.uuids(), st.sampled_from(["{}", "{{{}}}", " {} ", "urn:uuid:{}", "\ufeff{}"]))
def test_a_spelling_is_rewritten_to_the_uuid_that_it_spells(value: UUID, form: str) -> None:
    other = other_spelling(form.format(value))
    assert other is not None
    assert other.usual == str(value)


@given(st.text())
def test_only_numbers_and_what_is_like_a_uuid_is_shown(text: str) -> None:
    assert set(showable(text)) <= set("0123456789abcdefABCDEF.,+-eE \u2010\u2011\u2012\u2013\u2014\u2015")
    problem = check_cell(f"secret{text}4711", "id").problem
    assert problem is not None
    assert "secret" not in problem.text
