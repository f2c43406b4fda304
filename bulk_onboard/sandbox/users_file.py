"""Which Leaf users there are, from a file: a table with a ``leafUserId`` column, or one UUID a line."""

from __future__ import annotations

import csv
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox.world import User


def read_users(path: Path) -> tuple[User, ...]:
    """The users of a file, each once. Raises UsageError that names the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"the users in {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the users in {path} cannot be read: it is not a text in UTF-8") from None
    users = {user.id: user for user in _users(path, lines)}
    if not users:
        raise UsageError(f"{path} holds no users")
    return tuple(users.values())


def _users(path: Path, lines: list[str]) -> Iterator[User]:
    delimiter = next((mark for mark in ";\t|" if mark in lines[0]), ",") if lines else ","
    header = [_plain(cell) for cell in lines[0].split(delimiter)] if lines else []
    has_header = "leafuserid" in header
    rows = csv.DictReader(
        lines[1:] if has_header else lines, header if has_header else ["leafuserid"], delimiter=delimiter
    )
    for row in rows:
        number = rows.line_num + has_header
        if row["leafuserid"] and row["leafuserid"].strip():
            yield _user(path, number, row)


def _user(path: Path, number: int, row: Mapping[str, str | None]) -> User:
    try:
        user_id = str(uuid.UUID((row["leafuserid"] or "").strip()))
    except ValueError:
        raise UsageError(f"{path}, line {number}: the leafUserId is not a UUID") from None
    return User(
        user_id,
        name=row.get("name") or "",
        email=row.get("email") or "",
        external_id=row.get("externalid") or "",
    )


def _plain(cell: str) -> str:
    return re.sub(r"[\s_\-\"']", "", cell).lower()
