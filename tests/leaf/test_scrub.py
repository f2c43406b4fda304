"""What Leaf says, made fit to be shown."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.leaf.scrub import LONGEST, MASK, scrub, word

visible = st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_characters="\x7f", categories=None)
# Of at least four characters, as shorter ones are part of ordinary words, and not of stars alone.
secrets = st.text(visible.filter(str.isprintable), min_size=4, max_size=40).filter(lambda s: s.strip("*"))


@given(st.text(), secrets, st.text())
def test_a_secret_never_shows_plain(before: str, secret: str, after: str) -> None:
    assert secret not in scrub(before + secret + after, [secret])
    assert secret not in word(before + secret + after, [secret])


@given(secrets.filter(lambda s: not s.isalnum()))
def test_a_secret_never_shows_escaped(secret: str) -> None:
    escaped = json.dumps(secret)[1:-1]
    for form in (
        escaped,
        quote(secret, safe=""),
        quote_plus(secret, safe=""),
        quote(secret, safe="").lower(),
    ):
        assert scrub(f"bad value <{form}>", [secret]) == f"bad value <{MASK}>"


@given(st.text())
def test_shown_texts_are_one_short_harmless_line(text: str) -> None:
    for shown in (scrub(text), word(text)):
        assert len(shown) <= LONGEST
        assert len(shown.splitlines()) <= 1
        assert not set(shown) & {"\x1b", "\x9b", "\x07", "\u202e", "\ufeff", "\u200b", "\x00", "\r", "\n"}
        shown.encode()  # half a surrogate pair would break whoever writes it


def test_escape_sequences_are_removed() -> None:
    assert scrub("\x1b[2J\x1b]0;title\x07bad\r\nnews") == "[2J ]0;title bad news"


@pytest.mark.parametrize(
    "token", ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2ln", "a1" * 12, "rt-4f1c9a7b7e5f4c3b2a10"]
)
def test_values_that_look_like_tokens_are_masked(token: str) -> None:
    assert scrub(f"token {token} is used") == f"token {MASK} is used"


@pytest.mark.parametrize(
    "words",
    ["Internal Server Error", "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60", "error.credentials-already-exist"],
)
def test_words_and_ids_are_kept(words: str) -> None:
    assert scrub(words, ["planted-x"]) == words


def test_short_secrets_do_not_mask_ordinary_words() -> None:
    assert scrub("the name is bad", ["me", "a"]) == "the name is bad"


def test_a_secret_whose_parts_are_pushed_together_is_masked_too() -> None:
    assert word("plan:ted", ["planted"]) == MASK


def test_secrets_with_a_common_prefix_are_masked() -> None:
    assert scrub("abcdefgh", ["abcd", "abcdefgh"]) == MASK
