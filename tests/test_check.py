"""What makes a row invalid, a duplicate or fine; whatever the size of the chunks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.check import Checked, check, clean, shown
from bulk_onboard.chunk import Chunk, chunk
from bulk_onboard.domain.codes import lookup
from bulk_onboard.domain.providers import PROVIDERS, Field, Provider, Scope
from bulk_onboard.repeats import Repeats
from bulk_onboard.validation.columns import match_header
from bulk_onboard.validation.fingerprints import Fingerprints

RAVEN = PROVIDERS["raven"]
KINDS = Provider(
    "kinds",
    "Kinds",
    "kinds-credentials",
    "kindsCredentials",
    (
        Field("refreshToken", Scope.GROWER),
        Field("clientEnvironment", Scope.GROWER, secret=False, allowed=("STAGE", "PRODUCTION")),
        Field("note", Scope.GROWER, secret=False, required=False),
        Field("clientId", Scope.APP, secret=False),
    ),
)
IDS = [str(uuid.UUID(int=n + 10**30)) for n in range(200)]
HEADER = ("leafUserId", "refreshToken")


@dataclass
class Found:
    """All that was found: row -> code, message; ``cleaned``: row -> codes of warnings."""

    codes: dict[int, str] = field(default_factory=dict)
    messages: dict[int, str] = field(default_factory=dict)
    cleaned: dict[int, list[str]] = field(default_factory=dict)
    payloads: list[dict[str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


def pieces(rows: Sequence[Sequence[str]], size: int, not_text: Sequence[tuple[int, int]]) -> Iterator[Chunk]:
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        one = chunk(
            range(start + 2, start + 2 + len(part)), [list(column) for column in zip(*part, strict=True)]
        )
        for row, column in not_text:
            if start <= row - 2 < start + len(part):
                one.not_text[row - 2 - start, column] = True
        yield one


def judge(
    *rows: Sequence[str],
    header: Sequence[str] = HEADER,
    provider: Provider = RAVEN,
    size: int = 50,
    app: Sequence[str] = (),
    not_text: Sequence[tuple[int, int]] = (),
    allow_shared_tokens: bool = False,
) -> Found:
    """Check these rows as the first reading of a file does."""
    columns = match_header(header, [provider], mapping={}, keep=())
    order = list(columns.fields.values())
    repeats, found, prints = Repeats(), Found(), Fingerprints(b"key")
    for piece in pieces([[row[i] for i in order] for row in rows], size, not_text):
        checked = check(piece, columns, provider, app, prints)
        repeats.add(checked)
        _take(found, checked)
    for row, status, code, message in repeats.findings(allow_shared_tokens=allow_shared_tokens).itertuples(
        index=False
    ):
        assert found.codes[row] == ""
        assert status == ("duplicate" if code == "duplicate" else "invalid")
        found.codes[row], found.messages[row] = code, message
    return found


def _take(found: Found, checked: Checked) -> None:
    frame = checked.frame
    found.codes.update(zip(frame["row"], frame["code"], strict=True))
    found.messages.update(zip(frame["row"], frame["message"], strict=True))
    found.ids += frame["leafUserId"].tolist()
    found.payloads += checked.payload.to_dict("records")  # type: ignore[arg-type]
    for row, code in zip(checked.warnings["row"], checked.warnings["code"], strict=True):
        found.cleaned.setdefault(row, []).append(code)


def code_of(leaf_user_id: str = IDS[0], token: str = "planted-a", **more: object) -> str:
    """The code of a single row."""
    found = judge((leaf_user_id, token), **more)  # type: ignore[arg-type]
    assert set(found.codes) == {2}
    assert "planted-" not in found.messages[2]
    return found.codes[2]


# --- one cell ---------------------------------------------------------------------------------------


def test_a_good_row_has_no_code() -> None:
    assert code_of() == ""


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", '""', "\u200b", " ' ' "])
def test_an_empty_cell_is_missing_by_the_name_of_its_field(blank: str) -> None:
    assert code_of(leaf_user_id=blank) == "missing-leafUserId"
    assert code_of(token=blank) == "missing-refreshToken"


@pytest.mark.parametrize(
    "wrong",
    ["x", "12345", "1.23E+17", IDS[0][:-1], IDS[0] + "0", IDS[0].replace("-", ""), f"{{{IDS[0]}}}",
     IDS[0].replace("0", "g"), f"urn:uuid:{IDS[0]}", IDS[0].replace("-", "_"), IDS[0] + " " + IDS[1]],
)  # fmt: skip
def test_an_id_that_is_no_uuid_is_bad(wrong: str) -> None:
    assert code_of(leaf_user_id=wrong) == "bad-leaf-user-id"


@pytest.mark.parametrize("good", [IDS[0].upper(), f" {IDS[0]}\t", f'"{IDS[0]}"', f"\ufeff{IDS[0]}"])
def test_an_id_is_cleaned_and_told_in_small_letters(good: str) -> None:
    found = judge((good, "planted-a"))
    assert found.codes == {2: ""}
    assert found.ids == [IDS[0]]


@pytest.mark.parametrize("column", [0, 1])
def test_what_was_a_number_or_a_date_is_told_even_if_it_looks_well(column: int) -> None:
    found = judge((IDS[0], "123"), (IDS[1], "124"), not_text=[(3, column)])
    assert found.codes == {2: "", 3: "numeric-cell"}
    assert HEADER[column] in found.messages[3]


def test_an_empty_cell_is_no_number() -> None:
    assert judge((IDS[0], ""), not_text=[(2, 1)]).codes == {2: "missing-refreshToken"}


@pytest.mark.parametrize(
    "error",
    [
        "#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#n/a",
        "#BEZUG!", "#WERT!", "Err:502", " #N/A ",
    ],
)  # fmt: skip
def test_the_error_of_a_formula_is_told(error: str) -> None:
    assert code_of(token=error) == code_of(leaf_user_id=error) == "formula-error"


@pytest.mark.parametrize(
    "word",
    [
        "your-refresh-token", "YOUR_TOKEN", "your token", "TODO", "to-do", "xxx", "XXXX", "null",
        "NULL", "<token>", "changeme", "change-me", "placeholder", "...", "…", "-", "---", "?", "???",
    ],
)  # fmt: skip
def test_a_placeholder_is_told(word: str) -> None:
    assert code_of(token=word) == "placeholder-value"


@pytest.mark.parametrize(
    "token",
    [
        "yourtoken", "xx", "xxxa", "nullable", "a-b", "todo1", "na", "N/A", "0", "#1", "=a", "REF!",
        "a" * 5000, "ü", "漢", "a b", "a'b",
    ],
)  # fmt: skip
def test_what_only_resembles_a_placeholder_is_a_token(token: str) -> None:
    found = judge((IDS[0], token))
    assert (found.codes, found.payloads, found.cleaned) == ({2: ""}, [{"refreshToken": token}], {})


@pytest.mark.parametrize("character", [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0))])
def test_a_control_character_within_a_value_is_told(character: str) -> None:
    assert code_of(token=f"a{character}b") == "control-character"


def test_a_row_longer_than_the_header_is_ragged() -> None:
    columns = match_header(HEADER, [RAVEN], mapping={}, keep=())
    one = chunk([2, 3], [[IDS[0], IDS[1]], ["a", ""]])
    one.ragged[:] = [True, True]
    found = check(one, columns, RAVEN, (), Fingerprints(b"key"))
    assert found.frame["code"].tolist() == ["ragged-row", "ragged-row"]


def test_a_value_out_of_the_allowed_ones_is_a_bad_environment() -> None:
    header = (*HEADER, "clientEnvironment", "clientId")
    rows = [
        (IDS[n], f"t{n}", value, "id") for n, value in enumerate(["STAGE", "PRODUCTION", "stage", "x", ""])
    ]
    found = judge(*rows, header=header, provider=KINDS)
    assert list(found.codes.values()) == [
        "",
        "",
        "bad-environment",
        "bad-environment",
        "missing-clientEnvironment",
    ]
    assert found.messages[4] == "clientEnvironment is not STAGE or PRODUCTION"


def test_a_blank_app_field_is_missing_unless_the_settings_have_it() -> None:
    header = (*HEADER, "clientId")
    assert judge((IDS[0], "t", ""), header=header).codes == {2: "missing-clientId"}
    assert judge((IDS[0], "t", ""), header=header, app=["clientId"]).codes == {2: ""}


def test_a_field_that_is_not_required_may_be_blank() -> None:
    header = (*HEADER, "clientEnvironment", "note")
    assert judge((IDS[0], "t", "STAGE", ""), header=header, provider=KINDS).codes == {2: ""}


def test_every_code_that_can_be_given_is_explained() -> None:
    codes = ["missing-leafUserId", "missing-refreshToken", "missing-clientId", "bad-leaf-user-id"]
    codes += ["numeric-cell", "formula-error", "placeholder-value", "control-character", "ragged-row"]
    codes += ["conflicting-rows", "shared-token", "duplicate", "bad-environment"]
    codes += ["spaces-removed", "quotes-removed", "zero-width-removed"]
    assert [code for code in codes if lookup(code) is None] == []


# --- cleaning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "codes"),
    [
        (" a ", "a", ["spaces-removed"]),
        ("\u00a0a\u3000", "a", ["spaces-removed"]),
        ("\ta\r\n", "a", ["spaces-removed"]),
        ('"a"', "a", ["quotes-removed"]),
        ("“a”", "a", ["quotes-removed"]),
        ("a\u200bb", "ab", ["zero-width-removed"]),
        ("\ufeffa", "a", ["zero-width-removed"]),
        (' "a" ', "a", ["spaces-removed", "quotes-removed"]),
        ("a b'c", "a b'c", []),
    ],
)
def test_what_is_around_a_value_is_taken_off_and_told(text: str, value: str, codes: list[str]) -> None:
    found = judge((IDS[0], text))
    assert found.payloads == [{"refreshToken": value}]
    assert found.cleaned.get(2, []) == codes
    assert found.codes == {2: ""}


@given(st.text())
def test_what_is_clean_stays_so_and_nothing_is_added(text: str) -> None:
    value, codes = clean(text)
    assert clean(value) == (value, ())
    assert value in text or "zero-width-removed" in codes
    assert bool(codes) == (value != text)


@given(st.text(st.sampled_from(" a\"'\u200b\u00a0\t“\ufeff\n"), max_size=8))
def test_a_cell_that_needs_no_cleaning_is_left_alone_and_any_other_is_not(text: str) -> None:
    assert judge((IDS[0], text)).payloads == [{"refreshToken": clean(text)[0]}]


@given(st.text())
def test_no_long_word_in_the_place_of_an_id_is_shown(text: str) -> None:
    told = shown(text)
    assert len(told) <= 40
    assert not any(ord(letter) < 32 for letter in told)


def test_a_token_in_the_place_of_an_id_is_not_shown() -> None:
    found = judge(("planted-4f1c9a77d0e2-secret", IDS[0]))
    assert found.codes == {2: "bad-leaf-user-id"}
    assert "planted-" not in found.messages[2] + found.ids[0]


# --- the whole file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 50, 1000])
def test_repeats_conflicts_and_shared_tokens_are_found_across_chunks(size: int) -> None:
    rows = [(one, f"planted-{n}") for n, one in enumerate(IDS)]
    rows[150] = rows[3]
    rows[160] = (IDS[5].upper(), "planted-other")
    rows[170] = (IDS[170], "planted-7")
    rows[180] = (f" {IDS[3]} ", '"planted-3"')
    found = judge(*rows, size=size)
    assert {row: code for row, code in found.codes.items() if code} == {
        152: "duplicate", 182: "duplicate", 7: "conflicting-rows", 162: "conflicting-rows",
        9: "shared-token", 172: "shared-token",
    }  # fmt: skip
    assert found.messages[182] == "repeats row 5"
    assert found.messages[7] == "the same grower has other credentials in row 162"
    assert found.messages[172] == "another grower has the same token in row 9"


def test_of_many_that_contradict_each_other_a_few_are_named() -> None:
    found = judge(*((IDS[0], f"planted-{n}") for n in range(9)))
    assert found.messages[2] == "the same grower has other credentials in rows 3, 4, 5, 6, 7 and 3 more"
    assert set(found.codes.values()) == {"conflicting-rows"}


def test_shared_tokens_can_be_allowed() -> None:
    found = judge((IDS[0], "a"), (IDS[1], "a"), allow_shared_tokens=True)
    assert found.codes == {2: "", 3: ""}


def test_an_invalid_row_neither_repeats_nor_contradicts() -> None:
    found = judge((IDS[0], "a"), (IDS[0], ""), ("x", "a"), (IDS[0], "TODO"))
    assert found.codes[2] == ""


def test_the_same_grower_with_another_app_contradicts() -> None:
    header = (*HEADER, "clientId")
    assert set(judge((IDS[0], "a", "p"), (IDS[0], "a", "q"), header=header).codes.values()) == {
        "conflicting-rows"
    }


def _expected(rows: Sequence[tuple[str, str]]) -> dict[int, str]:
    """The same by the book, one row at a time."""
    codes = {}
    tidy = {
        n: (leaf_user_id.strip().lower(), token.strip()) for n, (leaf_user_id, token) in enumerate(rows, 2)
    }
    for n, (leaf_user_id, token) in tidy.items():
        codes[n] = "missing-refreshToken" if not token else "" if leaf_user_id in IDS else "bad-leaf-user-id"
    good = {n: row for n, row in tidy.items() if not codes[n]}
    for n, (leaf_user_id, token) in good.items():
        of_grower = [m for m in good if good[m][0] == leaf_user_id]
        if {good[m][1] for m in of_grower} != {token}:
            codes[n] = "conflicting-rows"
        elif {row[0] for row in good.values() if row[1] == token} != {leaf_user_id}:
            codes[n] = "shared-token"
        elif n != of_grower[0]:
            codes[n] = "duplicate"
    return codes


some_ids = st.sampled_from([*IDS[:4], IDS[0].upper(), f" {IDS[1]}", "x"])
some_tokens = st.sampled_from(["a", "b", "c", "d", " a", ""])


@given(st.lists(st.tuples(some_ids, some_tokens), min_size=1, max_size=25), st.integers(1, 26))
@settings(max_examples=20)
def test_each_row_gets_one_verdict_and_the_size_of_chunks_does_not_matter(
    rows: list[tuple[str, str]], size: int
) -> None:
    found = judge(*rows, size=size)
    assert found.codes == _expected(rows)


@given(st.lists(st.tuples(some_ids, some_tokens), min_size=1, max_size=12), st.randoms())
def test_the_order_of_rows_decides_only_which_of_equals_is_the_duplicate(
    rows: list[tuple[str, str]], chance: object
) -> None:
    other = list(rows)
    chance.shuffle(other)  # type: ignore[attr-defined]
    assert sorted(judge(*rows).codes.values()) == sorted(judge(*other).codes.values())


# --- what is kept of a row --------------------------------------------------------------------------


def test_an_invalid_row_has_no_fingerprint_and_a_valid_one_has() -> None:
    columns = match_header(HEADER, [RAVEN], mapping={}, keep=())
    found = check(chunk([2, 3], [[IDS[0], "x"], ["a", "b"]]), columns, RAVEN, (), Fingerprints(b"key"))
    assert found.frame["fingerprint"].str.len().tolist() == [32, 0]
    assert len(found.digests) == 1


def test_nothing_is_found_in_nothing() -> None:
    assert Repeats().findings(allow_shared_tokens=False).empty


# Near what is looked for, and made of what tokens are made of: what is fast must not overlook any of it.
near = st.one_of(
    st.sampled_from(
        ["your-token", "Your_x" * 9, "TODO", "to-do", "xxxx" * 9, "NULL", "change-me", "placeholder"]
    ),
    st.sampled_from(["grower-refresh-token", "." * 50, "-" * 50, "?" * 9, "<x>", "#REF!", "Err:502", "…"]),
    st.sampled_from(["", " a", "a ", "'a", "a\u200bb", "a\x01b", "\u00a0", "a\nb", '"']),
    st.text("xX-.yYtTnN/+=_~aZ09", max_size=60),
    st.text(max_size=30),
)


@settings(max_examples=20)
@given(st.lists(near, min_size=1, max_size=6))
def test_a_row_is_judged_alike_alone_and_among_others(tokens: list[str]) -> None:
    rows = [(IDS[i], token) for i, token in enumerate(tokens)]
    together = judge(*rows, allow_shared_tokens=True)
    for i, row in enumerate(rows):
        # A neighbour with a line break makes the whole column be looked at closely.
        alone = judge(row, allow_shared_tokens=True)
        closely = judge(row, (IDS[-1], "a\nb"), allow_shared_tokens=True)
        assert together.codes[i + 2] == alone.codes[2] == closely.codes[2]
        assert together.cleaned.get(i + 2) == alone.cleaned.get(2) == closely.cleaned.get(2)
