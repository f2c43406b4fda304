"""The word for an input: a path on any system stays a path, and an address shows no signature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.input_description import display_name, url_scheme


@pytest.mark.parametrize(
    "path",
    ["-", "growers.csv", "/exports/growers.csv", r"C:\exports\growers.csv", "C:/growers.csv", "c://growers.csv",
     r"\\server\share\growers.csv", "a:b.csv", "./s3:/growers.csv", "~/growers.csv"],
)  # fmt: skip
def test_paths_are_not_addresses(path: str) -> None:
    assert url_scheme(path) is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://bucket/folder/growers.parquet", "growers.parquet"),
        ("https://host/growers.csv?X-Amz-Signature=planted-1#planted-2", "growers.csv"),
        ("https://user:planted-3@host/my%20growers.csv", "my growers.csv"),
        ("https://planted-4.example/", "https address"),
        ("HTTPS://[bad/planted-5", "https address"),
    ],
)
def test_an_address_is_shown_by_the_name_of_its_file_alone(address: str, name: str) -> None:
    assert display_name(address) == name


@given(st.text())
def test_every_word_has_a_name_or_is_empty(word: str) -> None:
    assert display_name(word) or not word.strip("/\\ .")


def test_a_name_is_shown_with_escapes_for_what_no_terminal_should_see() -> None:
    assert display_name("folder/caf\udce9.csv") == "caf\\xe9.csv"
    assert display_name("a\x1b[31m.csv") == "a\\x1b[31m.csv"
    assert display_name("größe 1.csv") == "größe 1.csv"
