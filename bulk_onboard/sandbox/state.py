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
from typing import NamedTuple

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
CREATE TEMP TABLE replies (
    path TEXT, idempotency_key TEXT, status INTEGER NOT NULL, content_type TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (path, idempotency_key)
);
CREATE TEMP TABLE requests (
    "index" INTEGER PRIMARY KEY, at REAL, monotonic REAL, method TEXT, path TEXT, "leafUserId" TEXT,
    provider TEXT, fingerprint TEXT, status INTEGER, fault TEXT, stored INTEGER
);
"""
_GROWERS = """
SELECT leaf_user_id, provider, c.id, c.fingerprint, coalesce(sum(p.seen), 0), coalesce(sum(p.stored), 0),
    json_group_object(p.fingerprint, p.seen) FILTER (WHERE p.fingerprint IS NOT NULL),
    json_group_object(p.fingerprint, p.stored) FILTER (WHERE p.fingerprint IS NOT NULL)
FROM (SELECT leaf_user_id, provider FROM credentials UNION SELECT leaf_user_id, provider FROM posts)
LEFT JOIN credentials AS c USING (leaf_user_id, provider)
LEFT JOIN posts AS p USING (leaf_user_id, provider)
GROUP BY leaf_user_id, provider
"""
_CREDENTIALS = """
SELECT id, created, fingerprint, fate, body, provider
FROM credentials LEFT JOIN bodies USING (leaf_user_id, provider) WHERE leaf_user_id = ?
"""
_FILTERS = {
    "exact": "{0} = ? COLLATE NOCASE AND {0} = ?",  # the index ignores case
    "caseless": "casefold({0}) = casefold(?)",
    "part": "instr(casefold({0}), casefold(?)) > 0",
}


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


class SeenRequest(NamedTuple):
    """One request, without secrets. ``status`` None: no reply went out. Times are seconds."""

    at: float
    monotonic: float
    method: str
    path: str
    leaf_user_id: str
    provider: str
    fingerprint: str
    status: int | None
    fault: str | None
    stored: bool


class State:
    """Reads and writes the database. ``known``: users that exist from the start, not kept in the file.

    Raises UsageError if another sandbox uses the file, or if it cannot be read.
    """

    def __init__(self, path: Path | None = None, known: Sequence[User] = (), record_size: int = 1_000_000):
        self._db = _open(path)
        self._known, self._record_size = known, record_size
        self._listings: dict[str, list[int]] = {}
        with self.transaction():
            self._execute("DELETE FROM users WHERE created = ?", (_KNOWN,))
            self._add_known()
            found = self._execute("SELECT name, key FROM identity").fetchone()
            identity: tuple[str, bytes] = found or self._new_identity()
        self.identity, self._key = identity

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self._db.execute(statement, values)

    def _add_known(self) -> None:
        rows = (user._replace(created=_KNOWN) for user in self._known)
        self._db.executemany("INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def _new_identity(self) -> tuple[str, bytes]:
        new = (f"sandbox:{uuid.uuid4()}", os.urandom(32))
        self._execute("INSERT INTO identity VALUES (?, ?)", new)
        return new

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does, all or nothing. The block must not wait: other requests would join."""
        self._execute("BEGIN")
        try:
            yield
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def reset(self) -> None:
        """Forget everything but the logins, and take another identity."""
        with self.transaction():
            for table in ("identity", "users", "credentials", "posts", "bodies", "replies", "requests"):
                self._execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)
            self._listings.clear()
            self._add_known()
            self.identity, self._key = self._new_identity()

    def fingerprint(self, posted: object) -> str:
        """Return a keyed hash of a posted body; the same body has another one in another sandbox."""
        text = json.dumps(posted, sort_keys=True)
        return blake2b(text.encode(), key=self._key, digest_size=16).hexdigest()

    # --- users -----------------------------------------------------------------------------------------

    def user(self, user_id: str) -> User | None:
        """Return the user of that id."""
        row = self._execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone()
        return User(*row) if row else None

    def same_user(self, external_id: str, email: str) -> User | None:
        """Return the first user with that externalId or email."""
        row = self._execute(
            "SELECT * FROM users WHERE (external_id = ? COLLATE NOCASE AND external_id = ?"
            " AND external_id != '') OR (email = ? COLLATE NOCASE AND email != '') ORDER BY rowid LIMIT 1",
            (external_id, external_id, email),
        ).fetchone()
        return User(*row) if row else None

    def add_user(self, user: User) -> None:
        """Store a new user."""
        self._execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", user)
        self._listings.clear()

    def delete_user(self, user_id: str) -> bool:
        """Delete a user and its credentials; False if there is no such user."""
        for table in ("credentials", "bodies"):
            self._execute(f"DELETE FROM {table} WHERE leaf_user_id = ?", (user_id,))  # noqa: S608
        self._listings.clear()
        return self._execute("DELETE FROM users WHERE id = ?", (user_id,)).rowcount > 0

    def list_users(
        self, filters: Mapping[str, str], match: str, order: str, created_before: float | None
    ) -> list[int]:
        """Return the row numbers of users, in the order of a column (``name DESC``), then of their creation.

        ``filters``: column -> text; ``match``: exact, caseless or part. A whole list is kept until a user is
        added or deleted: a page must not cost a walk through a million users.
        """
        if not filters and created_before is None and order in self._listings:
            return self._listings[order]
        conditions = [_FILTERS[match].format(column) for column in filters]
        values: list[object] = [text for text in filters.values() for _ in range(1 + (match == "exact"))]
        if created_before is not None:
            conditions.append("created <= ?")
            values.append(created_before)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._execute(f"SELECT rowid FROM users {where} ORDER BY {order}, rowid", values)  # noqa: S608
        listing = [number for (number,) in rows]
        if not conditions:
            self._listings[order] = listing
        return listing

    def user_at(self, row_number: int) -> User:
        """Return the user of a row number that `list_users` returned."""
        row = self._execute("SELECT * FROM users WHERE rowid = ?", (row_number,)).fetchone()
        return User(*row)

    def named_users(self) -> Iterator[User]:
        """Yield the users that have an externalId or an email."""
        for row in self._execute("SELECT * FROM users WHERE external_id != '' OR email != '' ORDER BY rowid"):
            yield User(*row)

    # --- credentials -----------------------------------------------------------------------------------

    def credentials(self, key: Key) -> Credentials | None:
        """Return the credentials of a grower at a provider."""
        row = self._execute(f"{_CREDENTIALS} AND provider = ?", key).fetchone()
        return _credentials(*row[:5]) if row else None

    def credentials_of(self, user_id: str) -> dict[str, Credentials]:
        """Return all credentials of a user, by provider."""
        return {row[5]: _credentials(*row[:5]) for row in self._execute(_CREDENTIALS, (user_id,))}

    def put_credentials(self, key: Key, new: Credentials) -> None:
        """Store credentials, in place of older ones; the user is created if it does not exist."""
        if self._execute("INSERT OR IGNORE INTO users (id) VALUES (?)", key[:1]).rowcount:
            self._listings.clear()
        self._execute("REPLACE INTO credentials VALUES (?, ?, ?, ?, ?, ?)", (*key, *new[:4]))
        self._execute("REPLACE INTO bodies VALUES (?, ?, ?)", (*key, json.dumps(new.posted)))

    def delete_credentials(self, key: Key) -> bool:
        """Delete credentials; False if there are none."""
        self._execute("DELETE FROM bodies WHERE leaf_user_id = ? AND provider = ?", key)
        return (
            self._execute("DELETE FROM credentials WHERE leaf_user_id = ? AND provider = ?", key).rowcount > 0
        )

    def count_post(self, key: Key, fingerprint: str, stored: bool) -> None:
        """Count a POST of credentials and whether it stored them."""
        self._execute(
            "INSERT INTO posts VALUES (?, ?, ?, 1, ?)"
            " ON CONFLICT DO UPDATE SET seen = seen + 1, stored = stored + excluded.stored",
            (*key, fingerprint, stored),
        )

    def was_stored(self, key: Key, fingerprint: str) -> bool:
        """Whether an earlier POST of the same body stored it."""
        row = self._execute(
            "SELECT stored FROM posts WHERE leaf_user_id = ? AND provider = ? AND fingerprint = ?",
            (*key, fingerprint),
        ).fetchone()
        return row is not None and row[0] > 0

    def growers(self) -> list[dict[str, object]]:
        """Return every grower and provider with credentials or POSTs."""
        names = ("leafUserId", "provider", "credentialId", "fingerprint", "posts", "postsStored")
        return [
            dict(zip(names, row[:6], strict=True))
            | {"postsByFingerprint": json.loads(row[6]), "storedByFingerprint": json.loads(row[7])}
            for row in self._execute(_GROWERS)
        ]

    # --- kept in memory only ---------------------------------------------------------------------------

    def add_login(self, token: str, expires: float) -> None:
        """Keep a login; ``expires``: seconds since 1970, 0 to revoke the token."""
        self._execute("REPLACE INTO logins VALUES (?, ?)", (token, expires))

    def login_expiry(self, token: str) -> float | None:
        """Return when a token expires; None if it is not known."""
        row = self._execute("SELECT expires FROM logins WHERE token = ?", (token,)).fetchone()
        return float(row[0]) if row else None

    def add_reply(self, path: str, idempotency_key: str, reply: tuple[int, str, bytes]) -> None:
        """Keep the status, content type and body of the first reply to an idempotency key."""
        self._execute("INSERT INTO replies VALUES (?, ?, ?, ?, ?)", (path, idempotency_key, *reply))

    def reply(self, path: str, idempotency_key: str) -> tuple[int, str, bytes] | None:
        """Return the reply kept for an idempotency key."""
        found: tuple[int, str, bytes] | None = self._execute(
            "SELECT status, content_type, body FROM replies WHERE path = ? AND idempotency_key = ?",
            (path, idempotency_key),
        ).fetchone()
        return found

    def add_request(self, request: SeenRequest) -> None:
        """Record a request; the oldest is dropped if there are too many."""
        # The first index is 0; without a row, SQLite would begin with 1.
        row = self._execute(
            'INSERT INTO requests SELECT coalesce(max("index"), -1) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?'
            " FROM requests",
            request,
        )
        index = row.lastrowid or 0
        if index >= self._record_size:
            self._execute('DELETE FROM requests WHERE "index" <= ?', (index - self._record_size,))

    def requests(self, since: int = 0) -> Iterator[dict[str, object]]:
        """Yield the requests from that index on, in the order in which they were answered."""
        rows = self._execute('SELECT * FROM requests WHERE "index" >= ? ORDER BY "index"', (since,))
        names = [column[0] for column in rows.description]
        for row in rows:
            yield dict(zip(names, row, strict=True)) | {"stored": bool(row[-1])}


def _credentials(id_: str, created: float, fingerprint: str, fate: str, body: str | None) -> Credentials:
    return Credentials(id_, created, fingerprint, Fate(fate), json.loads(body) if body else None)


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
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"the sandbox cannot keep its state in {path}: {error}") from None
    try:
        _prepare(db)
    except sqlite3.Error as error:
        db.close()
        if "locked" in str(error):
            raise UsageError(f"another sandbox is using {path}; end it first") from None
        raise UsageError(
            f"the sandbox cannot read its state in {path}: {error}. Reset the sandbox to start again"
        ) from None
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
