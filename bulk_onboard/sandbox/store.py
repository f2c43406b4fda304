"""The world on disk, so that a second run finds what the first one stored. No secret is written.

Commits come before answers and survive the death of the process; they need not survive a power cut.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import assert_never

from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox.world import (
    Change,
    Counted,
    Dropped,
    Fate,
    Joined,
    Key,
    Left,
    Put,
    Snapshot,
    Stored,
    Tally,
    User,
)

_VERSION = 1
_SCHEMA = f"""
BEGIN;
CREATE TABLE identity (name TEXT NOT NULL, key BLOB NOT NULL);
CREATE TABLE users (id TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE credentials (
    leaf_user_id TEXT, provider TEXT, id TEXT NOT NULL, created REAL NOT NULL, fingerprint TEXT NOT NULL,
    fate TEXT NOT NULL, PRIMARY KEY (leaf_user_id, provider)
) WITHOUT ROWID;
CREATE TABLE posts (
    leaf_user_id TEXT, provider TEXT, fingerprint TEXT, seen INTEGER NOT NULL, stored INTEGER NOT NULL,
    PRIMARY KEY (leaf_user_id, provider, fingerprint)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_TABLES = ("identity", "users", "credentials", "posts")
_SIDE_FILES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which sandbox this is, whatever its port, and the key of its fingerprints."""

    name: str
    key: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Identity:
        """One that there never was."""
        return cls(f"sandbox:{uuid.uuid4()}", os.urandom(32))

    def fingerprint(self, posted: object) -> str:
        """Tells the same secrets from others, here and nowhere else."""
        text = json.dumps(posted, sort_keys=True)
        return blake2b(text.encode(), key=self.key, digest_size=16).hexdigest()


def delete(path: Path) -> None:
    """Remove a store and what SQLite keeps beside it."""
    for suffix in _SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


class Store:
    """Follows the changes of a world. Without a path it remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._db = _open(path) if path else None
        self.identity = self._identity()

    def _identity(self) -> Identity:
        found = self._db.execute("SELECT name, key FROM identity").fetchone() if self._db else None
        return Identity(*found) if found else self._new_identity()

    def _new_identity(self) -> Identity:
        identity = Identity.new()
        if self._db:
            self._db.execute("INSERT INTO identity VALUES (?, ?)", (identity.name, identity.key))
        return identity

    def load(self) -> Snapshot:
        """What was remembered."""
        if self._db is None:
            return Snapshot()
        return Snapshot(_users(self._db), _credentials(self._db), _posts(self._db))

    def save(self, changes: Sequence[Change]) -> None:
        """Commit the changes of one request."""
        if self._db is None or not changes:
            return
        with self._db:
            self._db.execute("BEGIN")
            for change in changes:
                _write(self._db, change)

    def clear(self) -> None:
        """Forget everything and become another sandbox."""
        if self._db:
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)
        self.identity = self._new_identity()

    def close(self) -> None:
        """Let go of the file."""
        if self._db:
            self._db.close()


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"the sandbox cannot keep its state in {path}: {error}") from None
    try:
        _prepare(db)
    except sqlite3.Error as error:
        db.close()
        raise UsageError(_unusable(path, error)) from None
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # Two sandboxes over one file would each serve a world of their own: the second one is refused.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError("it was written by another version")
    if version == 0:
        db.executescript(_SCHEMA)


def _unusable(path: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"another sandbox is using {path}; end it first"
    return f"the sandbox cannot read its state in {path}: {error}. Reset the sandbox to start again"


def _write(db: sqlite3.Connection, change: Change) -> None:
    match change:
        case Put(key, it):
            put = (*key, it.id, it.created, it.fingerprint, it.fate)
            db.execute("REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?)", put)
        case Dropped(key):
            db.execute("DELETE FROM credentials WHERE leaf_user_id = ? AND provider = ?", key)
        case Joined(user):
            db.execute("REPLACE INTO users VALUES (?, ?)", (user.id, json.dumps(asdict(user))))
        case Left(user_id):
            db.execute("DELETE FROM users WHERE id = ?", (user_id,))
        case Counted(key, fingerprint, tally):
            counted = (*key, fingerprint, tally.seen, tally.stored)
            db.execute("REPLACE INTO posts VALUES (?, ?, ?, ?, ?)", counted)
        case _:
            assert_never(change)


def _users(db: sqlite3.Connection) -> dict[str, User]:
    with closing(db.execute("SELECT id, data FROM users ORDER BY rowid")) as rows:
        return {user_id: User(**json.loads(data)) for user_id, data in rows}


def _credentials(db: sqlite3.Connection) -> dict[Key, Stored]:
    with closing(db.execute("SELECT * FROM credentials")) as rows:
        return {
            (user, provider): Stored(id_, created, fingerprint, Fate(fate))
            for user, provider, id_, created, fingerprint, fate in rows
        }


def _posts(db: sqlite3.Connection) -> dict[Key, dict[str, Tally]]:
    found: dict[Key, dict[str, Tally]] = {}
    with closing(db.execute("SELECT * FROM posts")) as rows:
        for user, provider, fingerprint, seen, stored in rows:
            found.setdefault((user, provider), {})[fingerprint] = Tally(seen, stored)
    return found
