"""The files that an input is made of: one, those of a folder, or those that a pattern of names matches.

In name order. What is hidden or begins with ``_`` is left out: that is how programs leave notes of their own.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.read.kind import is_known_name
from bulk_onboard.where import is_pattern, pattern_name, scheme, shown, steps

_QUERY = re.compile(r"[?&#][\w.~%-]+=")
_WEB = {"http", "https"}
# ~$ is what Excel puts beside an open workbook.
_NOTES = (".", "_", "~$")


@dataclass(frozen=True, slots=True)
class Files:
    """``name``: of all of them, for people; ``paths``: absolute, or addresses."""

    name: str
    paths: tuple[str, ...]


def is_one_file(where: str) -> bool:
    """Whether it is neither a folder nor a pattern; of an address, as far as the word itself tells."""
    if (kind := scheme(where)) is not None:
        return kind in _WEB or not (is_pattern(where) or where.endswith("/"))
    with suppress(OSError, ValueError):
        path = Path(where)
        return not path.is_dir() and (path.exists() or not is_pattern(where))
    return True


def files_at(where: str) -> Files:
    """The files to be read. Raises InputError if there are none, UsageError for an address of no use."""
    kind = scheme(where)
    if kind is None and is_one_file(where):
        return Files(shown(where), (_absolute(where),))
    if kind in _WEB:
        return Files(shown(where), (where,))
    matched = is_pattern(where) and not (kind is None and Path(where).is_dir())
    if kind is None:
        found = _matching(where) if matched else _inside(Path(where))
    else:
        from bulk_onboard.read.ranged import listed  # noqa: PLC0415  (loaded when used)

        found = listed(where, is_pattern=matched)
        if [path for path, is_folder in found if not is_folder] == [where]:
            return Files(shown(where), (where,))
    rest = sorted((each for each in found if not _is_note(each[0], where)), key=lambda each: steps(each[0]))
    return _matched(where, rest) if matched else _in_folder(where, rest)


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
        return [(str(each), each.is_dir()) for each in folder.iterdir()]
    except OSError as error:
        raise InputError(f"{folder.name} cannot be read: {error.strerror}") from None


def _matching(pattern: str) -> Found:
    matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207  (it may begin anywhere)
    return [(str(each), each.is_dir()) for each in matches]


def _matched(where: str, found: Sequence[tuple[str, bool]]) -> Files:
    """The files of a pattern. A folder among them is refused, unless the pattern reaches into folders."""
    name = pattern_name(where)
    folders = [steps(path)[-1] for path, is_folder in found if is_folder]
    if folders and "**" not in where:
        raise InputError(f"{name} matches the folder {folders[0]}; for the files in such folders, add /*")
    files = tuple(path for path, is_folder in found if not is_folder)
    if not files:
        raise InputError(f"{name}: no file has a name like this")
    return Files(name, tuple(map(_absolute, files)))


def _in_folder(where: str, found: Sequence[tuple[str, bool]]) -> Files:
    """The files in a folder. What cannot be read is refused: growers may be in it."""
    name = shown(where)
    strange = [steps(path)[-1] for path, is_folder in found if is_folder or not is_known_name(path)]
    pattern = f"{name}/*/*.csv" if any(is_folder for _, is_folder in found) else f"{name}/*.csv"
    if strange:
        raise InputError(
            f"{name} has {', '.join(strange[:3])}{', …' if strange[3:] else ''} in it, which cannot be read;"
            f" say which files are meant, such as '{pattern}'"
        )
    if not found:
        raise InputError(f"{name} is an empty folder; expected files in it")
    return Files(name, tuple(_absolute(path) for path, _ in found))


def _is_note(path: str, where: str) -> bool:
    """Whether a step of it begins like a note of a program, and the user has not named it."""
    named, asked = steps(where), where.rpartition("/")[2][:1]
    own = [step for step in steps(path) if step not in named]
    return any(step.startswith(_NOTES) and not (is_pattern(where) and step[0] == asked) for step in own)


def _absolute(path: str) -> str:
    """The same from any folder, for it may be read by a process in another."""
    return path if scheme(path) is not None else str(Path(path).absolute())
