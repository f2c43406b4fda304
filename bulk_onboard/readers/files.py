"""The files of an input, in name order: one file, the files of a folder, or those that a pattern matches.

Hidden files and files that begin with ``_`` are left out, because programs use such names for notes.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from os.path import commonprefix
from pathlib import Path, PurePath
from urllib.parse import unquote

from bulk_onboard.domain.input_description import (
    display_name,
    is_pattern,
    path_parts,
    pattern_name,
    url_scheme,
)
from bulk_onboard.errors import InputError
from bulk_onboard.readers import remote
from bulk_onboard.readers.decode import SUFFIXES as PACKED
from bulk_onboard.readers.detect import expected_formats, has_known_suffix, is_system_file
from bulk_onboard.validation.columns import normalize

_WEB = {"http", "https"}
# A path, and whether it is a folder.
_Entries = Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Files:
    """``name``: for people; ``paths``: absolute, or addresses; ``is_one``: neither a folder nor a pattern."""

    name: str
    paths: tuple[str, ...]
    is_one: bool = False


def files_at(where: str) -> Files:
    """Return the files to be read. Raises InputError if there are none, UsageError."""
    kind = url_scheme(where)
    if kind in _WEB:
        return Files(display_name(where), (where,), is_one=True)
    if kind is None and _is_one_file(where):
        require_no_table(where, [])
        return Files(display_name(where), (_absolute(where),), is_one=True)
    matched = is_pattern(where) and not (kind is None and Path(where).is_dir())
    entries = [entry for entry in _entries(where, matched=matched) if not _is_note(entry[0], where)]
    entries.sort(key=lambda entry: path_parts(entry[0]))
    paths = [path for path, is_folder in entries if not is_folder]
    require_no_table(where, paths)
    if kind is not None and paths == [where]:
        return Files(display_name(where), (where,), is_one=True)
    return _matched(where, entries) if matched else _in_folder(where, entries)


def _is_one_file(where: str) -> bool:
    """Return whether a path is neither a folder nor a pattern."""
    with suppress(OSError, ValueError):  # a name that no file can have
        path = Path(where)
        return not path.is_dir() and (path.exists() or not is_pattern(where))
    return True


def _entries(where: str, *, matched: bool) -> _Entries:
    if url_scheme(where) is not None:
        return remote.listed(where, is_pattern=matched)
    try:
        paths = map(Path, glob.glob(where, recursive=True)) if matched else Path(where).iterdir()  # noqa: PTH207
        return [(str(path), path.is_dir()) for path in paths]
    except OSError as error:
        raise InputError(f"{Path(where).name} cannot be read: {error.strerror}") from None


def _is_note(path: str, where: str) -> bool:
    """Return whether a part of the path belongs to the system or a program, and the user has not named it."""
    named, first_letter = path_parts(where), where.rpartition("/")[2][:1]
    own = [step for step in path_parts(path) if step not in named]
    return any(is_system_file(step) and not (is_pattern(where) and step[0] == first_letter) for step in own)


def _matched(where: str, entries: _Entries) -> Files:
    """Return the files of a pattern. Folders are refused, unless the pattern reaches into folders."""
    name = pattern_name(where)
    folders = [path_parts(path)[-1] for path, is_folder in entries if is_folder]
    if folders and "**" not in where:
        raise InputError(f"{name} matches the folder {folders[0]}; for the files in such folders, add /*")
    files = tuple(path for path, is_folder in entries if not is_folder)
    if not files:
        raise InputError(f"{name}: no file matches this pattern")
    return Files(name, tuple(map(_absolute, files)))


def _in_folder(where: str, entries: _Entries) -> Files:
    """Return the files in a folder. An unreadable file is refused, because growers may be in it."""
    name = display_name(where)
    unknown = [path_parts(path)[-1] for path, is_folder in entries if is_folder or not has_known_suffix(path)]
    if unknown:
        suggested = _suggestion(where, entries)
        what = f"give a pattern, such as '{suggested}'" if suggested else f"expected {expected_formats()}"
        listed = f"{', '.join(unknown[:3])}{', …' if unknown[3:] else ''}"
        raise InputError(f"{name} contains {listed}, which cannot be read; {what}")
    if not entries:
        raise InputError(f"{name} is an empty folder; expected files in it")
    return Files(name, tuple(_absolute(path) for path, _ in entries))


# The largest number of files that are searched in a folder to make a suggestion.
_MOST_SEARCHED = 10_000


def _suggestion(where: str, entries: _Entries) -> str:
    """Return a pattern that matches the most files in a folder that could be read, "" if there are none."""
    files = (path for path, is_folder in entries if not is_folder)
    if url_scheme(where) is None:
        files = (str(path) for path in islice(Path(where).rglob("*"), _MOST_SEARCHED) if path.is_file())
    base = path_parts(where)
    by_suffix: dict[str, list[tuple[str, ...]]] = {}
    for path in files:
        own = path_parts(path)[len(base) :]
        suffixes = "".join(PurePath(path).suffixes[-2 if PurePath(path).suffix in PACKED else -1 :])
        if not any(map(is_system_file, own)) and (has_known_suffix(path) or not suffixes):
            by_suffix.setdefault(suffixes, []).append(own)
    if not by_suffix:
        return ""
    suffixes, paths = max(by_suffix.items(), key=lambda item: len(item[1]))
    begin = re.sub(r"[0-9]+$", "", commonprefix([own[-1] for own in paths]))  # noqa: RUF071  (no paths)
    depths = {len(own) for own in paths}
    between = ["*"] * (depths.pop() - 1) if len(depths) == 1 else ["**"]
    return "/".join([where.rstrip("/"), *between, f"*{suffixes}" if suffixes else f"{begin}*"])


# --- tables of several files --------------------------------------------------------------------------


# An entry of a folder -> the kind of table that the folder is. Its files also contain deleted rows.
_TABLES = {
    "_delta_log": "a Delta table",
    ".hoodie": "a Hudi table",
    "metadata/version-hint.text": "an Iceberg table",
    "metadata/*.metadata.json": "an Iceberg table",
}


def require_no_table(where: str, paths: Sequence[str]) -> None:
    """Raise InputError if ``where`` or one of its files belongs to a Delta, Iceberg or Hudi table."""
    starts = dict.fromkeys([*([] if is_pattern(where) else [where, _above(where)]), *map(_above, paths)])
    for folder in dict.fromkeys(root for start in starts for root in _possible_roots(start)):
        for sign, what in _TABLES.items():
            if _exists(folder, sign):
                raise InputError(
                    f"{display_name(folder)} is {what}: its files also contain rows that were changed or"
                    " deleted; export its current rows as one CSV or Parquet file"
                )


def _possible_roots(folder: str) -> Iterator[str]:
    """Yield the folder and those above it, up to one that is neither ``data`` nor a partition of a table."""
    while True:
        yield folder
        above, name = _above(folder), display_name(folder)
        if above == folder or not (name == "data" or _PARTITION.fullmatch(name)):
            return
        folder = above


def _above(path: str) -> str:
    """Return the folder that a file or folder is in."""
    if url_scheme(path) is None:
        return str(Path(path).absolute().parent)
    return path.rstrip("/").rpartition("/")[0] if len(path_parts(path)) > 3 else path


def _exists(folder: str, sign: str) -> bool:
    if url_scheme(folder) is None:
        with suppress(OSError, ValueError):  # a name that no file can have
            return next(Path(folder).glob(sign), None) is not None
        return False
    return remote.exists(f"{folder.rstrip('/')}/{sign}")


# --- columns in the path ------------------------------------------------------------------------------


_PARTITION = re.compile(r"([^=]+)=(.*)")
# What Hive, Spark and others write for a missing value.
_MISSING = "__HIVE_DEFAULT_PARTITION__"


def path_columns(path: str) -> dict[str, str]:
    """Return the columns that folders named ``name=value`` add. Raises InputError if two contradict."""
    columns: dict[str, str] = {}
    if url_scheme(path) in _WEB:
        return columns
    for step in path_parts(path)[:-1]:
        if partition := _PARTITION.fullmatch(step):
            name, value = unquote(partition[1]), "" if partition[2] == _MISSING else unquote(partition[2])
            same = next((known for known in columns if normalize(known) == normalize(name)), name)
            if columns.setdefault(same, value) != value:
                raise InputError(
                    f"{display_name(path)}: two folders of its path give different values for {name}"
                )
    return columns


def _absolute(path: str) -> str:
    """Return the same path from any folder: it may be read after a change of the working folder."""
    return path if url_scheme(path) is not None else str(Path(path).absolute())
