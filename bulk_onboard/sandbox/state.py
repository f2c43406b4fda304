"""What the sandbox knows: one SQLite database, in memory or in a file.

The file never holds a secret: posted bodies and logins, and the requests seen, are in temporary tables,
which SQLite keeps in memory. A commit comes before the reply and survives the death of the process; it need
not survive a power cut.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from bulk_onboard.errors import UsageError

Key = tuple[str, str]
"""leafUserId and provider."""

_VERSION = 2
# Creation time of users that exist from the start: they are not kept in the file.
_KNOWN = -1.0
_TABLES = f"""
BEGIN;
CREATE TABLE identity (name TEXT NOT NULL, key BLOB NOT NULL);
CREATE TABLE users (
    id TEXT NOT NULL UNIQUE, name TEXT NOT NULL DEFAULT '', email TEXT NOT NULL DEFAULT '',
    phone TEXT NOT NULL DEFAULT '', address TEXT NOT NULL DEFAULT '', external_id TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL DEFAULT 0
);
CREATE INDEX users_by_name ON users (name);
CREATE INDEX users_by_external_id ON users (external_id COLLATE NOCASE);
CREATE INDEX users_by_email ON users (email COLLATE NOCASE);
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
_IN_MEMORY = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE bodies (
    leaf_user_id TEXT, provider TEXT, body TEXT NOT NULL, PRIMARY KEY (leaf_user_id, provider)
) WITHOUT ROWID;
CREATE TEMP TABLE logins (token TEXT PRIMARY KEY, expires REAL NOT NULL);
CREATE TEMP TABLE requests (
    "index" INTEGER PRIMARY KEY, at REAL, monotonic REAL, method TEXT, path TEXT, "leafUserId" TEXT,
    provider TEXT, fingerprint TEXT, status INTEGER, fault TEXT, stored INTEGER
);
"""
_CREDENTIALS = """
SELECT provider, id, created, fingerprint, fate, body
FROM credentials LEFT JOIN bodies USING (leaf_user_id, provider) WHERE leaf_user_id = ?
"""
_PUT_USER = "INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?, ?, ?, ?)"


class User(NamedTuple):
    """A Leaf user. ``created``: when it was posted, seconds since 1970; 0 or less if it was never posted."""

    id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    address: str = ""
    external_id: str = ""
    created: float = 0.0


class Fate(StrEnum):
    """What the provider will say about credentials; selected by the beginning of a grower's secret."""

    GOOD = "good"
    EXPIRED = "expired"
    SILENT = "silent"


class Credentials(NamedTuple):
    """Stored credentials. ``posted`` None: a restart lost the secrets, only their fingerprint is known."""

    id: str
    created: float
    fingerprint: str
    fate: Fate
    posted: Mapping[str, str] | None = None


class State:
    """The database. ``execute`` runs one statement of a handler; the methods are what several handlers need.

    ``known``: users that exist from the start, not kept in the file. Raises UsageError if another sandbox
    uses the file, or if it cannot be read.
    """

    def __init__(self, path: Path | None = None, known: Sequence[User] = ()) -> None:
        self._db = _open(path)
        self._known = known
        self.execute = self._db.execute
        self.close = self._db.close
        with self.transaction():
            self.execute("DELETE FROM users WHERE created = ?", (_KNOWN,))
            self._fill()

    def _fill(self) -> None:
        self._db.executemany(_PUT_USER, (user._replace(created=_KNOWN) for user in self._known))
        row = self.execute("SELECT name, key FROM identity").fetchone()
        if row is None:
            row = (f"sandbox:{uuid.uuid4()}", os.urandom(32))
            self.execute("INSERT INTO identity VALUES (?, ?)", row)
        self.identity: str = row[0]
        self._key: bytes = row[1]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does, all or nothing. The block must not wait: other requests would join."""
        self.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows of a query, by the names of its columns."""
        cursor = self.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def reset(self) -> None:
        """Forget everything but the logins, and take another identity."""
        with self.transaction():
            for table in ("identity", "users", "credentials", "posts", "bodies", "requests"):
                self.execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)
            self._fill()

    def fingerprint(self, posted: object) -> str:
        """Return a keyed hash of a posted body; the same body has another one in another sandbox."""
        text = json.dumps(posted, sort_keys=True)
        return blake2b(text.encode(), key=self._key, digest_size=16).hexdigest()

    def user(self, user_id: str) -> User | None:
        """Return the user of that id."""
        row = self.execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone()
        return User(*row) if row else None

    def put_user(self, user: User) -> None:
        """Store a user, unless there is one with that id."""
        self.execute(_PUT_USER, user)

    def delete_user(self, user_id: str) -> bool:
        """Delete a user and its credentials; return False if there is no such user."""
        for table in ("credentials", "bodies"):
            self.execute(f"DELETE FROM {table} WHERE leaf_user_id = ?", (user_id,))  # noqa: S608
        return self.execute("DELETE FROM users WHERE id = ?", (user_id,)).rowcount > 0

    def credentials(self, key: Key) -> Credentials | None:
        """Return the credentials of a grower at a provider."""
        return self.credentials_of(key[0]).get(key[1])

    def credentials_of(self, user_id: str) -> dict[str, Credentials]:
        """Return all credentials of a user, by provider."""
        return {
            provider: Credentials(id_, created, fingerprint, Fate(fate), json.loads(body) if body else None)
            for provider, id_, created, fingerprint, fate, body in self.execute(_CREDENTIALS, (user_id,))
        }

    def put_credentials(self, key: Key, new: Credentials) -> None:
        """Store credentials, in place of older ones; the user is created if it does not exist."""
        self.put_user(User(key[0]))
        self.execute("REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?)", (*key, *new[:4]))
        self.execute("REPLACE INTO bodies VALUES (?, ?, ?)", (*key, json.dumps(new.posted)))

    def delete_credentials(self, key: Key) -> bool:
        """Delete credentials; return False if there are none."""
        self.execute("DELETE FROM bodies WHERE leaf_user_id = ? AND provider = ?", key)
        deleted = self.execute("DELETE FROM credentials WHERE leaf_user_id = ? AND provider = ?", key)
        return deleted.rowcount > 0


def delete_file(path: Path) -> None:
    """Delete a sandbox's file and what SQLite keeps beside it. No sandbox may be using it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path | None) -> sqlite3.Connection:
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        db = sqlite3.connect(path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db)
        except sqlite3.Error:
            db.close()
            raise
    except (OSError, sqlite3.Error) as error:
        cure = "End the other sandbox that is using it" if "locked" in str(error) else "Reset the sandbox"
        raise UsageError(f"the sandbox cannot keep its state in {path}: {error}. {cure}") from None
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # One sandbox per file: a second one would not see the bodies and logins in the memory of the first.
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")
    db.create_function("casefold", 1, str.casefold, deterministic=True)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError("it was written by another version")
    if version == 0:
        db.executescript(_TABLES)
    db.executescript(_IN_MEMORY)
