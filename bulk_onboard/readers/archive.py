"""A ZIP archive with one table in it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath

from bulk_onboard.errors import InputError
from bulk_onboard.readers.detect import (
    UNPACK,
    ZIP_MAGIC,
    damaged,
    has_known_suffix,
    is_system_file,
    members_of_others,
    with_slashes,
)
from bulk_onboard.readers.input_file import InputFile

_LARGEST_MEMBER = 2 << 30


def unpacked(file: InputFile) -> InputFile:
    """Return the table in a ZIP archive that has exactly one, in memory; any other file as it is.

    Raises InputError for an archive with another number of tables, or a password.
    """
    if not file.head(4).startswith(ZIP_MAGIC):
        return file
    try:
        return _unpacked(file)
    except BaseException:
        file.close()
        raise


def _unpacked(file: InputFile) -> InputFile:
    try:
        with file.reader() as reader, zipfile.ZipFile(reader) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if _is_office_file({with_slashes(each.filename) for each in members}):
                return file
            member = _only_table(file.name, members)
            content = archive.read(member)
    except Exception as error:  # zipfile raises whatever the bytes lead to
        raise damaged(file, error) from None
    return file.unpacked(content, PurePosixPath(member.filename).name)


def _is_office_file(names: set[str]) -> bool:
    known = {"[Content_Types].xml", "mimetype", "content.xml"}
    return bool(names & known) or any(
        (*members_of_others(names), *(name for name in names if name.startswith("xl/")))
    )


def _only_table(name: str, members: Sequence[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    shown = [each for each in members if not _is_hidden(each.filename)]
    tables = [each for each in shown if has_known_suffix(each.filename) and not _is_note(each.filename)]
    if any(each.flag_bits & 1 for each in shown):
        raise InputError(f"{name} is a ZIP archive with a password; {UNPACK} and name the file in it")
    if len(tables) != 1:
        listed = ", ".join(each.filename for each in (tables or shown)[:5]) or "nothing"
        what = f"{len(tables)} tables" if tables else "no table"
        raise InputError(
            f"{name} is a ZIP archive with {what} ({listed}); {UNPACK} and name one file, a folder or a"
            " pattern"
        )
    if tables[0].file_size > _LARGEST_MEMBER:
        raise InputError(f"{name} would unpack to {tables[0].file_size >> 20:,} MiB in memory; {UNPACK}")
    return tables[0]


def _is_note(path: str) -> bool:
    """Return whether it is a text about the table beside it, not a table."""
    name = PurePosixPath(with_slashes(path).casefold())
    return name.suffix == ".txt" and name.stem.startswith(
        ("readme", "read me", "license", "liesmich", "lisezmoi")
    )


def _is_hidden(path: str) -> bool:
    return any(map(is_system_file, PurePosixPath(with_slashes(path)).parts))
