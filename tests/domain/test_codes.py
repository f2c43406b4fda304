import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bulk_onboard
from bulk_onboard.domain.codes import CODES, Code, hint, lookup, suggest
from bulk_onboard.domain.model import Health, Status

SOURCES = Path(bulk_onboard.__file__).parent


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.name)
def test_a_code_has_one_plain_sentence_and_an_action(code: Code) -> None:
    for text in (code.meaning, code.hint):
        assert text[0].isupper()
        assert text.endswith(".")
        assert "\n" not in text


@pytest.mark.parametrize("word", [*Status, *Health])
def test_every_status_and_health_is_explained(word: str) -> None:
    assert lookup(word) is not None


def test_every_code_that_a_verdict_or_a_diagnosis_uses_is_explained() -> None:
    deciding = ["policy/*.py", "leaf/*replies.py", "validation/user_columns.py", "workspace/*.sql"]
    texts = [path.read_text() for pattern in deciding for path in SOURCES.glob(pattern)]
    used = {code for text in texts for code in re.findall(r"""["']([a-z]+(?:-[a-z]+)+)["']""", text)}
    assert {"conflicting-rows", "bad-email", "several-users", "no-such-user"} <= used
    assert len(used) > 10
    assert not [code for code in used if lookup(code) is None]


def test_a_missing_field_is_named() -> None:
    found = lookup("missing-refreshToken")
    assert found is not None
    assert "refreshToken" in found.meaning
    assert "refreshToken" in found.hint


def test_an_error_key_of_leaf_is_named() -> None:
    found = lookup("leaf:idexists")
    assert found is not None
    assert "idexists" in found.meaning


@pytest.mark.parametrize("code", ["", "nonsense", "missing-", "leaf:", "missing", "missing-a b"])
def test_unknown_words_have_no_meaning(code: str) -> None:
    assert lookup(code) is None


@pytest.mark.parametrize("code", ["", "already-onboarded", "settled-by-asking", "duplicate", "created"])
def test_what_needs_no_action_has_no_hint(code: str) -> None:
    assert hint(code) == ""


@given(st.text())
def test_any_code_in_a_result_gets_a_hint_without_an_error(code: str) -> None:
    assert isinstance(hint(code), str)


def test_a_code_of_a_later_version_gets_a_general_hint() -> None:
    assert hint("something-new")


@pytest.mark.parametrize(
    ("given_code", "meant"),
    [
        ("token-change", "token-changed"),
        ("Shared_Token", "shared-token"),
        ("not-atempted", "not-attempted"),
        ("missing-token", "missing-refreshToken"),
    ],
)
def test_a_near_miss_is_suggested(given_code: str, meant: str) -> None:
    assert meant in suggest(given_code)


def test_nothing_is_suggested_for_unrelated_words() -> None:
    assert suggest("qqqqqq") == []
