"""The files that an input is made of: one, those of a folder, or those that a pattern of names matches.

In name order. What is hidden or begins with ``_`` is left out: that is how programs leave notes of their own.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.read.kind import KNOWN, is_known_name
from bulk_onboard.where import scheme, shown

_PATTERN = re.compile(r"[*?[]")
_QUERY = re.compile(r"[?&#][\w.~%-]+=")
_WEB = {"http", "https"}
# ~$ is what Excel puts beside an open workbook.
_NOTES = (".", "_", "~$")


@dataclass(frozen=True, slots=True)
class Files:
    """``paths``: absolute, or addresses; ``name``: of all; ``passed_over``: what else is in the folder."""

    name: str
    paths: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


def is_one_file(where: str) -> bool:
    """Whether it is neither a folder nor a pattern; of an address, as far as the word itself tells."""
    if (kind := scheme(where)) is not None:
        return kind in _WEB or not (_PATTERN.search(where) or where.endswith("/"))
    with suppress(OSError, ValueError):
        path = Path(where)
        return not path.is_dir() and (path.exists() or not _PATTERN.search(where))
    return True


def files_at(where: str) -> Files:
    """The files to be read. Raises InputError if there are none; UsageError, or OSError of a folder."""
    kind = scheme(where)
    if kind is None and is_one_file(where):
        return Files(shown(where), (str(Path(where).absolute()),))
    if kind in _WEB:
        return Files(shown(where), (where,))
    is_pattern = bool(_PATTERN.search(where)) and not (kind is None and Path(where).is_dir())
    if kind is None:
        found = _matching(where) if is_pattern else _inside(Path(where))
    else:
        from bulk_onboard.read.ranged import listed  # noqa: PLC0415  (loaded when used)

        found = listed(where, is_pattern=is_pattern)
        if [path for path, is_folder in found if not is_folder] == [where]:
            return Files(shown(where), (where,))
    rest = sorted((each for each in found if not _is_note(each[0], where)), key=lambda each: _steps(each[0]))
    return _matched(where, rest) if is_pattern else _in_folder(where, rest)


def require_no_secret(where: str) -> None:
    """Who sees the pages of a cluster sees addresses. Raises UsageError."""
    try:
        told, is_web = urlsplit(where), scheme(where) in _WEB
        secret = told.password is not None or (is_web and bool(told.query or told.fragment or told.username))
    except ValueError:
        secret = True
    if scheme(where) is not None and (secret or _QUERY.search(where)):
        raise UsageError(
            f"{shown(where)}: its address may carry a secret, which the pages of a cluster would show;"
            " use s3://, gs:// or az://, which take the store's own credentials"
        )


Found = Iterable[tuple[str, bool]]


def _inside(folder: Path) -> Found:
    try:
        return [(str(each.absolute()), each.is_dir()) for each in folder.iterdir()]
    except OSError as error:
        raise InputError(f"{folder.name} cannot be read: {error.strerror}") from None


def _matching(pattern: str) -> Found:
    matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207  (it may begin anywhere)
    return [(str(each.absolute()), each.is_dir()) for each in matches]


def _matched(where: str, found: Sequence[tuple[str, bool]]) -> Files:
    """A pattern is taken at its word: what it matches has to be a file that can be read."""
    files = tuple(path for path, is_folder in found if not is_folder)
    if files:
        return Files(shown(where), files, tuple(_steps(path)[-1] for path, is_folder in found if is_folder))
    if found:
        raise InputError(f"{shown(where)} matches folders only; for the files in them, add /*")
    raise InputError(f"{shown(where)}: no file has a name like this")


def _in_folder(where: str, found: Sequence[tuple[str, bool]]) -> Files:
    files = [path for path, is_folder in found if not is_folder and is_known_name(_steps(path)[-1])]
    if not files:
        raise InputError(
            f"{shown(where)} is a folder without a file that can be read; expected some of {KNOWN};"
            " files of folders in it have to be named by a pattern, such as FOLDER/*/*.csv"
        )
    taken = set(files)
    return Files(
        shown(where), tuple(files), tuple(_steps(path)[-1] for path, _ in found if path not in taken)
    )


def _is_note(path: str, where: str) -> bool:
    """Whether a step of it, other than those the user has named, begins like a note of a program."""
    named = _steps(where)
    asked = named[-1][:1]
    return any(
        step.startswith(_NOTES) and not step.startswith(asked) for step in _steps(path) if step not in named
    )


def _steps(path: str) -> tuple[str, ...]:
    return PurePath(path).parts if scheme(path) is None else tuple(path.rstrip("/").split("/"))
