"""Which encoding a text file is read with: detected, guessed or stated."""

import codecs
from pathlib import Path

import pytest

from bulk_onboard.domain.input_description import InputDescription, ReadOptions
from bulk_onboard.errors import InputError
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.settings import parse

TEXT = "leafUserId;username\n1;Grün\n2;Šárka\n"


def read(path: Path, encoding: str | None = None) -> tuple[InputDescription, list[str]]:
    with open_source(path, ReadOptions(encoding=encoding)) as source:
        names = [name for chunk in source.chunks([1]) for name in chunk.cells[0]]
        return source.description, names


@pytest.mark.parametrize(
    ("content", "title", "guessed"),
    [
        (TEXT.encode(), "UTF-8", False),
        (TEXT.encode("utf-8-sig"), "UTF-8 with BOM", False),
        (TEXT.encode("utf-16"), "UTF-16", False),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "UTF-16", False),
        (TEXT.encode("utf-16-le"), "UTF-16", False),
        (TEXT.encode("cp1252", "replace"), "Windows-1252", True),
        (TEXT.encode("cp850", "replace"), "Windows-1252", True),
        (b"a;b\n1;2\n", "UTF-8", False),
    ],
)
def test_the_encoding_is_detected_and_guesses_are_marked(
    tmp_path: Path, content: bytes, title: str, guessed: bool
) -> None:
    path = tmp_path / "growers.csv"
    path.write_bytes(content)
    found, _ = read(path)
    assert (found.encoding, found.encoding_guessed, found.delimiter) == (title, guessed, "semicolon")


@pytest.mark.parametrize("encoding", ["cp1250", "cp852", "utf-16-le", "utf-32", "iso8859-2", "utf-8"])
def test_a_stated_encoding_is_not_a_guess(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "growers.csv"
    path.write_bytes(TEXT.encode(encoding))
    found, names = read(path, encoding)
    assert (names, found.encoding_guessed) == (["Grün", "Šárka"], False)


def test_a_byte_order_mark_is_not_part_of_the_first_header(tmp_path: Path) -> None:
    path = tmp_path / "growers.csv"
    for encoding, mark in {"utf-8": codecs.BOM_UTF8, "utf-16-be": codecs.BOM_UTF16_BE}.items():
        path.write_bytes(mark + TEXT.encode(encoding))
        with open_source(path, ReadOptions(encoding=encoding)) as source:
            assert source.header == ("leafUserId", "username")


@pytest.mark.parametrize(
    ("content", "stated", "said"),
    [
        (TEXT.encode("cp1250"), "utf-8", "growers.csv, line 2: not UTF-8, as --encoding states"),
        (b"a;b\n1;\x9d\n", "cp1252", "growers.csv, line 2: not Windows-1252, as --encoding states"),
        (
            TEXT.encode("utf-8-sig"),
            "cp1251",
            "begins with the byte order mark of UTF-8, so its encoding is not cp1251",
        ),
        (
            TEXT.encode("utf-16"),
            "utf-8",
            "begins with the byte order mark of UTF-16, so its encoding is not UTF-8",
        ),
        (b"a;\x9d\n1;2\n", None, "state its encoding with --encoding NAME"),
    ],
)
def test_bytes_outside_the_encoding_are_refused(
    tmp_path: Path, content: bytes, stated: str | None, said: str
) -> None:
    path = tmp_path / "growers.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read(path, stated)


def test_names_of_encodings() -> None:
    assert [parse.encoding(name) for name in ("CP1251", "utf8", "latin1", "utf-16")] == [
        "cp1251", "utf-8", "iso8859-1", "utf-16"
    ]  # fmt: skip
    for name in ("klingon", "base64", "rot13", "unicode_escape", "idna", "", "a\0b"):
        with pytest.raises(ValueError, match="not a text encoding"):
            parse.encoding(name)
