"""Whatever bytes a file holds, it is read or refused in one line: no other exception, no hang, no crash."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.engine.checked_file import CheckedFile, Reading
from bulk_onboard.errors import InputError
from bulk_onboard.readers.inputs import open_source
from tests.readers.bad_input.case import IDS
from tests.readers.bad_input.workbooks import zipped
from tests.support.properties import scaled
from tests.support.tables import as_csv, as_ods, as_parquet, as_xls, as_xlsx

BEGINNINGS = [b"", b"sep=", b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]
BEGINNINGS += [b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00"]
BEGINNINGS += [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0"]
EXAMPLES = int(os.environ.get("FUZZ", "40"))
TOKENS = [f"planted-4f1c9a77d0e2-{n}" for n in range(20)]
ROWS = [("leafUserId", "refreshToken", "Größe"), *zip(IDS, TOKENS, ["ü\n"] * 20, strict=False)]

WHOLE: dict[str, Callable[[], bytes]] = {
    "csv": lambda: as_csv(ROWS),
    "csv, quoted": lambda: as_csv(ROWS, quoting=csv.QUOTE_ALL, end="\r\n"),
    "csv, utf-16": lambda: as_csv(ROWS, encoding="utf-16", delimiter="\t"),
    "csv, cp1252": lambda: as_csv(ROWS, encoding="cp1252", delimiter=";"),
    "gzip": lambda: gzip.compress(as_csv(ROWS)),
    "bzip2": lambda: bz2.compress(as_csv(ROWS)),
    "xz": lambda: lzma.compress(as_csv(ROWS)),
    "parquet": lambda: as_parquet(ROWS),
    "xlsx": lambda: as_xlsx(ROWS),
    "xls": lambda: as_xls(ROWS),
    "ods": lambda: as_ods(ROWS),
}
MADE = {name: make() for name, make in WHOLE.items()}


def first_pass(content: bytes) -> int:
    """Everything that is done with a file before anything is sent; the number of its rows."""
    with open_source("-", stdin=io.BytesIO(content)) as source:
        assert source.description
        keep = tuple(name for name in source.header if name.startswith("Gr"))[:1]
        found = CheckedFile(source, Reading([PROVIDERS["raven"]], {}, {}, keep=keep, chunk_rows=7), b"key")
        return sum(len(checked.frame) for checked in found.chunks())


def survives(content: bytes) -> None:
    """Read or refused; one short line, and no secret in it."""
    try:
        first_pass(content)
    except InputError as error:
        message = str(error)
        assert 10 < len(message) < 1000
        assert "\n" not in message
        assert not [token for token in TOKENS if token in message]


@st.composite
def damage(draw: st.DrawFn, content: bytes) -> bytes:
    """A few bytes changed, taken out, doubled or put in; or the end cut off."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        length = draw(st.integers(1, 20))
        match draw(st.sampled_from(["set", "flip", "drop", "insert", "double", "cut"])):
            case "set":
                found[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "flip" if found:
                found[at] ^= 1 << draw(st.integers(0, 7))
            case "drop":
                del found[at : at + length]
            case "insert":
                found[at:at] = draw(
                    st.sampled_from([b"\0", b'"', b"\n", b"\r", b",", b"\xff", b"<", b"PK\x03\x04"])
                )
            case "double":
                found[at:at] = found[at : at + length * 10]
            case "cut":
                del found[at:]
    return bytes(found)


@pytest.mark.parametrize("kind", MADE)
def test_a_whole_file_is_read(kind: str) -> None:
    assert first_pass(MADE[kind]) == 20


@pytest.mark.parametrize("kind", MADE)
@given(data=st.data())
@settings(max_examples=scaled(EXAMPLES))
def test_a_damaged_file_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    survives(data.draw(damage(MADE[kind])))


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
@given(data=st.data())
@settings(max_examples=scaled(EXAMPLES))
def test_a_workbook_with_damage_inside_of_its_archive_is_read_or_refused(
    kind: str, data: st.DataObject
) -> None:
    with zipfile.ZipFile(io.BytesIO(MADE[kind])) as archive:
        parts: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(sorted(parts)))
        part = parts[name]
        assert isinstance(part, bytes)
        parts[name] = data.draw(damage(part))
    if data.draw(st.booleans()):
        del parts[data.draw(st.sampled_from(sorted(parts)))]
    survives(zipped(parts, zipfile.ZIP_STORED))


@given(beginning=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=300))
@settings(max_examples=scaled(EXAMPLES * 2))
def test_bytes_with_a_known_signature_are_read_or_refused(beginning: bytes, rest: bytes) -> None:
    survives(beginning + rest)


@given(st.text(st.sampled_from('leafUserId,refreshToken;\t|"\r\n \0=sepü'), max_size=80))
@settings(max_examples=scaled(EXAMPLES * 2))
def test_malformed_tables_are_read_or_refused(text: str) -> None:
    survives(text.encode())


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "found").iterdir()), ids=lambda path: path.name
)
def test_files_that_once_crashed_are_read_or_refused(path: Path) -> None:
    """Chains of sectors that run in a circle; a sheet that claims to be huge; negative numbers of rows."""
    survives(path.read_bytes())
