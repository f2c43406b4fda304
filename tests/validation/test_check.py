"""What makes a row invalid, a duplicate or valid, whatever the size of the chunks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.chunk import CellKind, Chunk, make_chunk
from bulk_onboard.domain.codes import lookup
from bulk_onboard.domain.providers import PROVIDERS, Field, FieldKind, Provider, Scope
from bulk_onboard.engine.first_pass import mark_ids_as_tokens
from bulk_onboard.validation.check import CheckContext, Checked, check, columns_of_names
from bulk_onboard.validation.columns import match_header
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.rules import check_cell
from bulk_onboard.workspace import Workspace
from bulk_onboard.workspace.input_rows import rows_table
from tests.support.properties import scaled

RAVEN, VALLEY = PROVIDERS["raven"], PROVIDERS["valley"]
MIXED_KINDS = Provider(
    "kinds",
    "Kinds",
    "kinds-credentials",
    "kindsCredentials",
    (
        Field("refreshToken", Scope.GROWER),
        Field("clientEnvironment", Scope.GROWER, secret=False, allowed=("STAGE", "PRODUCTION")),
        Field("note", Scope.GROWER, secret=False, required=False, kind=FieldKind.TEXT),
        Field("clientId", Scope.APP, secret=False),
        Field("farmId", Scope.GROWER, required=False, secret=False, kind=FieldKind.ID),
    ),
)
IDS = [str(uuid.UUID(int=n + 10**30)) for n in range(200)]
HEADER = ("leafUserId", "refreshToken")
LOGIN = ("leafUserId", "username", "password")


@dataclass
class Found:
    """What was found: row -> code, message; ``warnings``: row -> codes."""

    codes: dict[int, str] = field(default_factory=dict)
    messages: dict[int, str] = field(default_factory=dict)
    warnings: dict[int, list[str]] = field(default_factory=dict)
    payloads: list[dict[str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    file_warnings: list[str] = field(default_factory=list)


def pieces(
    rows: Sequence[Sequence[str]], size: int, kinds: Sequence[tuple[int, int, CellKind]]
) -> Iterator[Chunk]:
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        columns = [list(column) for column in zip(*part, strict=True)]
        piece = make_chunk(range(start + 2, start + 2 + len(part)), columns)
        for row, column, kind in kinds:
            if start <= row - 2 < start + len(part):
                piece.kinds[row - 2 - start, column] = kind
        yield Chunk(piece.numbers, piece.cells, piece.kinds, piece.ragged)


def judge(
    *rows: Sequence[str],
    header: Sequence[str] = HEADER,
    provider: Provider = RAVEN,
    size: int = 50,
    context: CheckContext | None = None,
    kinds: Sequence[tuple[int, int, CellKind]] = (),
    allow_shared_tokens: bool = False,
) -> Found:
    """Check these rows as the first reading of a file does."""
    columns = match_header(header, [provider], mapping={}, keep=())
    order = list(columns.fields.values())
    found, prints, tokens = Found(), Fingerprints(b"key"), dict[int, bytes]()
    with Workspace(providers=[provider.name]) as workspace:
        for piece in pieces([[row[i] for i in order] for row in rows], size, kinds):
            checked = check(piece, columns, {provider.name: provider}, context or CheckContext(), prints)
            workspace.load_rows(rows_table(checked, np.zeros(len(checked.frame), np.uint64)))
            tokens.update(checked.uuid_tokens)
            _take(found, checked)
        mark_ids_as_tokens(workspace, tokens)
        workspace.mark_repeats(allow_shared_tokens=allow_shared_tokens)
        table = workspace.findings()
    for row, status, code, message in table.itertuples(index=False):
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
    found.file_warnings += columns_of_names(checked.names, 1)["code"].tolist()
    for row, code in zip(checked.warnings["row"], checked.warnings["code"], strict=True):
        found.warnings.setdefault(row, []).append(code)
    used = {*frame["code"], *checked.problems["code"], *checked.warnings["code"]} - {""}
    assert [code for code in used if lookup(code) is None] == []


# --- one row ----------------------------------------------------------------------------------------


def test_a_valid_row_has_no_code_and_a_lower_case_id() -> None:
    found = judge((f' "{IDS[0].upper()}"', "planted-a"))
    assert (found.codes, found.ids) == ({2: ""}, [IDS[0]])
    assert found.warnings == {2: ["spaces-removed", "quotes-removed"]}


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", '""', "\u200b", " ' ' "])
def test_an_empty_cell_is_missing(blank: str) -> None:
    found = judge((blank, "planted-a"), (IDS[0], blank))
    assert found.codes == {2: "missing-leafUserId", 3: "missing-refreshToken"}


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        (CellKind.VALUE, "4711", "numeric-cell"),
        (CellKind.ERROR, "#N/A", "formula-error"),
        (CellKind.FORMULA, "", "formula-without-value"),
    ],
)
def test_a_cell_that_is_not_text_is_invalid(kind: CellKind, text: str, code: str) -> None:
    tokens = judge((text, "a"), (IDS[0], text), (IDS[1], "b"), kinds=[(2, 0, kind), (3, 1, kind)])
    assert tokens.codes == {2: code, 3: code, 4: ""}
    texts = judge((IDS[0], "ann", text), header=LOGIN, provider=VALLEY, kinds=[(2, 2, kind)])
    assert texts.codes == {2: code}


def test_an_empty_cell_of_a_numeric_column_is_missing() -> None:
    found = judge((IDS[0], ""), kinds=[(2, 1, CellKind.VALUE)])
    assert found.codes == {2: "missing-refreshToken"}


def test_a_row_longer_than_the_header_is_ragged() -> None:
    columns = match_header(HEADER, [RAVEN], mapping={}, keep=())
    piece = make_chunk([2, 3], [[IDS[0], IDS[1]], ["a", ""]])
    piece.ragged[:] = [True, True]
    found = check(piece, columns, {"raven": RAVEN}, CheckContext(), Fingerprints(b"key"))
    assert found.frame["code"].tolist() == ["ragged-row", "ragged-row"]


def test_a_token_that_goes_on_in_the_next_line_is_not_sent() -> None:
    """As where a token was copied with a line break, and the file was written without quotes."""
    found = judge((IDS[0], "rt-4f1c9a"), ("7be2", ""), (IDS[1], "rt-0d55e1"))
    assert found.codes == {2: "control-character", 3: "bad-leaf-user-id", 4: ""}
    assert found.messages[2] == "refreshToken seems to continue in the next line: a line break has split it"
    for line in [(IDS[2], ""), ("two words", ""), ("7be2", "rt-77ab01"), ("NULL", "")]:
        assert judge((IDS[0], "rt-4f1c9a"), line).codes[2] == ""


def test_only_allowed_values_are_an_environment() -> None:
    header = (*HEADER, "clientEnvironment", "clientId")
    values = ["STAGE", "PRODUCTION", "stage", "w", ""]
    rows = [(IDS[n], f"t{n}", value, "id") for n, value in enumerate(values)]
    found = judge(*rows, header=header, provider=MIXED_KINDS)
    bad = "bad-environment"
    assert list(found.codes.values()) == ["", "", bad, bad, "missing-clientEnvironment"]
    assert found.messages[4] == "clientEnvironment is not STAGE or PRODUCTION"


def test_an_id_is_recognised_as_a_token_without_hyphens_and_in_rows_that_are_invalid_themselves() -> None:
    rows = [
        (IDS[0], IDS[0].replace("-", "").upper()),
        (IDS[1], "NULL"),
        (IDS[2], IDS[1]),
        ("rt-4f1c", IDS[3]),
    ]
    found = judge(*rows)
    assert list(found.codes.values()) == [
        "id-as-token",
        "placeholder-value",
        "id-as-token",
        "bad-leaf-user-id",
    ]


def test_a_blank_app_field_is_missing_unless_the_settings_have_it() -> None:
    header, row = (*HEADER, "clientId"), (IDS[0], "t-1", "")
    assert judge(row, header=header).codes == {2: "missing-clientId"}
    assert judge(row, header=header, context=CheckContext({"raven": ["clientId"]})).codes == {2: ""}
    assumed = judge(
        row, header=header, context=CheckContext({"raven": ["clientId"]}, {"raven": ["clientId"]})
    )
    assert (assumed.codes, assumed.warnings) == ({2: ""}, {2: ["blank-setting"]})


def test_a_field_of_the_kind_id_holds_a_uuid() -> None:
    header = (*HEADER, "clientEnvironment", "farmId")
    rows = [(IDS[n], f"t{n}", "STAGE", farm) for n, farm in enumerate([IDS[9], "F-1", f"{{{IDS[9]}}}", ""])]
    found = judge(*rows, header=header, provider=MIXED_KINDS)
    assert found.codes == {2: "", 3: "bad-leaf-user-id", 4: "bad-leaf-user-id", 5: ""}
    assert found.messages[3] == "farmId is not a UUID"


def test_a_field_that_is_not_required_may_be_blank() -> None:
    header = (*HEADER, "clientEnvironment", "note")
    assert judge((IDS[0], "t", "STAGE", ""), header=header, provider=MIXED_KINDS).codes == {2: ""}


def test_an_id_of_the_file_is_not_a_token_and_another_uuid_may_be() -> None:
    rows = [(IDS[0], IDS[0].upper()), (IDS[1], IDS[9]), (IDS[2], IDS[3].upper()), (IDS[3], "t-1")]
    for size in (1, 50):
        assert judge(*rows, size=size).codes == {2: "id-as-token", 3: "", 4: "id-as-token", 5: ""}


def test_a_secret_that_depends_on_a_guessed_encoding_is_invalid() -> None:
    rows = [(IDS[0], "änn", "secret-1"), (IDS[1], "bob", "pässword-1")]
    guessed = judge(
        *rows, header=LOGIN, provider=VALLEY, context=CheckContext(guessed_encoding="Windows-1252")
    )
    assert guessed.codes == {2: "", 3: "guessed-encoding"}
    assert guessed.warnings == {2: ["guessed-encoding"]}
    assert "Windows-1252" in guessed.messages[3]
    stated = judge(*rows, header=LOGIN, provider=VALLEY)
    assert (stated.codes, stated.warnings) == ({2: "", 3: ""}, {})


def test_a_token_in_the_place_of_an_id_is_shown_nowhere() -> None:
    found = judge(("planted-4f1c9a77d0e2-secret", "planted-b"), ("changeme", "planted-b"), ("1.23E+17", "t"))
    assert found.ids == ["", "", "1.23e+17"]
    assert "planted-" not in "".join(found.messages.values())
    assert "changeme" not in "".join(found.messages.values())


def test_a_token_column_of_plain_words_is_one_warning() -> None:
    names = ["Ann Example", "Bob Miller", "Hill Farm", "rt-4f1c", "cy@example.com"]
    assert judge(*zip(IDS, names, strict=False)).file_warnings == ["looks-like-a-name"]
    tokens = [f"rt-4f1c-{n}" for n in range(5)]
    assert judge(*zip(IDS, [*tokens, "Hill Farm"], strict=False)).file_warnings == []


# --- the whole file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 1000])
def test_repeats_conflicts_and_shared_tokens_are_found_across_chunks(size: int) -> None:
    rows = [(leaf_user_id, f"planted-{n}") for n, leaf_user_id in enumerate(IDS)]
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
    assert found.messages[7] == "the same grower has different credentials in row 162"
    assert found.messages[172] == "another grower has the same token in row 9"


def test_of_many_conflicts_a_few_are_named() -> None:
    found = judge(*((IDS[0], f"planted-{n}") for n in range(9)))
    assert found.messages[2] == "the same grower has different credentials in rows 3, 4, 5, 6, 7 and 3 more"
    assert set(found.codes.values()) == {"conflicting-rows"}


def test_shared_tokens_can_be_allowed_and_placeholders_are_not_shared_tokens() -> None:
    assert judge((IDS[0], "a"), (IDS[1], "a"), allow_shared_tokens=True).codes == {2: "", 3: ""}
    assert set(judge((IDS[0], "NA"), (IDS[1], "NA")).codes.values()) == {"placeholder-value"}


def test_an_invalid_row_is_neither_repeat_nor_conflict() -> None:
    found = judge((IDS[0], "a"), (IDS[0], ""), ("x", "a"), (IDS[0], "TODO"))
    assert found.codes[2] == ""


def test_the_same_grower_with_another_app_contradicts() -> None:
    found = judge((IDS[0], "a", "p"), (IDS[0], "a", "q"), header=(*HEADER, "clientId"))
    assert set(found.codes.values()) == {"conflicting-rows"}


def _expected(rows: Sequence[tuple[str, str]]) -> dict[int, str]:
    """The same by definition, one row at a time."""
    codes = {}
    tidy = {n: (one.strip().lower(), token.strip()) for n, (one, token) in enumerate(rows, 2)}
    for n, (leaf_user_id, token) in tidy.items():
        codes[n] = "bad-leaf-user-id" if leaf_user_id not in IDS else "" if token else "missing-refreshToken"
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
some_rows = st.lists(st.tuples(some_ids, some_tokens), min_size=1, max_size=25)


@given(some_rows, st.integers(1, 26))
@settings(max_examples=scaled(20))
def test_chunk_size_does_not_matter(rows: list[tuple[str, str]], size: int) -> None:
    assert judge(*rows, size=size).codes == _expected(rows)


@given(some_rows, st.randoms())
@settings(max_examples=scaled(20))
def test_row_order_decides_only_which_row_is_the_duplicate(
    rows: list[tuple[str, str]], chance: object
) -> None:
    other = list(rows)
    chance.shuffle(other)  # type: ignore[attr-defined]
    assert sorted(judge(*rows).codes.values()) == sorted(judge(*other).codes.values())


# --- the fast way must not overlook anything --------------------------------------------------------

SAMPLES = [
    *[
        "your-token",
        "Your_x",
        "TODO",
        "xxxx-0000",
        "NULL",
        "change-me",
        "placeholder",
        "refresh-token",
        "....",
    ],
    *[
        "----",
        "????",
        "<x>",
        "#REF!",
        "Err:502",
        "…",
        "a'",
        "'a",
        "a\u200bb",
        "a\x01b",
        "\u00a0",
        "a\nb",
        '"',
    ],
    *["30-Nov-26", "Nov-2026", "1.5", "0", "1,23E+17", "1E+05", "System.Int32", "java.lang.String", "12 %"],
    *["refresh_token=abc", "abc=", "abc==", "a=b=c", "eyJhbG.eyJz", "eyJhbG.eyJz.", "eyJhbG.eyJz.c2ln"],
    *["eyJhbGciOi", "__a1__", "*a1*", "~~a1~~", "-a1", "=a1", "1//0gAbCd_-ef", "2026-11-30", "12:30", "wahr"],
    *["www.x1.com/a", "none-7", "007", "b'a1'", "%2F", "&amp;", "a1,", "4f1c/+==", "x1x1", "X-Y-X", "x-x-x"],
]
near = st.one_of(
    st.sampled_from([*SAMPLES, "a" * 255, "a1" * 127 + "b", "b7" * 16_383 + "c", "rt 4f", "rt-4f1c\u2069"]),
    st.text("xX-.yYtTnN/+=_~aZ09eE", max_size=60),
    st.text(max_size=30),
)


@settings(max_examples=scaled(60))
@example(SAMPLES)
@given(st.lists(near, min_size=1, max_size=6))
def test_tokens_in_a_column_follow_the_rules_of_a_single_token(tokens: list[str]) -> None:
    found = judge(*zip(IDS, tokens, strict=False), allow_shared_tokens=True)
    for row, token in enumerate(tokens, 2):
        cell = check_cell(token, "token")
        expected = cell.problem.code if cell.problem else "" if cell.value else "missing-refreshToken"
        assert found.codes[row] == expected
        assert found.payloads[row - 2] == {"refreshToken": cell.value}
        assert found.warnings.get(row, []) == list(dict.fromkeys(w.code for w in cell.warnings))


@settings(max_examples=scaled(60))
@example(SAMPLES)
@given(st.lists(near, min_size=1, max_size=6))
def test_texts_in_a_column_follow_the_rules_and_are_unchanged(texts: list[str]) -> None:
    rows = [(IDS[n], f"user{n}", text) for n, text in enumerate(texts)]
    found = judge(*rows, header=LOGIN, provider=VALLEY, allow_shared_tokens=True)
    for row, text in enumerate(texts, 2):
        cell = check_cell(text, "text")
        assert found.codes[row] == ("" if cell.value else "missing-password")
        assert found.payloads[row - 2]["password"] in {text, ""}
        assert found.warnings.get(row, []) == [w.code for w in cell.warnings]


# --- what is kept of a row --------------------------------------------------------------------------


def test_an_invalid_row_has_no_fingerprint_and_a_valid_one_has() -> None:
    columns = match_header(HEADER, [RAVEN], mapping={}, keep=())
    piece = make_chunk([2, 3], [[IDS[0], "x"], ["a", "b"]])
    found = check(piece, columns, {"raven": RAVEN}, CheckContext(), Fingerprints(b"key"))
    assert [len(text) for text in found.fingerprints()] == [32, 0]
    assert len(found.digests) == 1
