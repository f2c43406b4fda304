"""Where a round's ledger is, a file or a schema on a server, and what is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from tests.support.postgres import Server


class Store(Protocol):
    """A ledger, read without the program that writes it."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells the command of it."""

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What else has to be said where results go into another folder."""

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query returns, in the SQL that all databases have."""

    def tables(self) -> list[str]:
        """The names of its tables."""


@dataclass(frozen=True)
class InFile:
    """A file, which lies where the command puts it."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ("--ledger", "reports/ledger.sqlite3")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def tables(self) -> list[str]:
        return [name for (name,) in self.ask("SELECT name FROM sqlite_master WHERE type = 'table'")]


@dataclass(frozen=True)
class OnServer:
    """A schema of its own, which only the environment tells of."""

    server: Server
    schema: str
    elsewhere: tuple[str, ...] = ()

    @property
    def environment(self) -> Mapping[str, str]:
        return {"BULK_ONBOARD_LEDGER": self.server.url(self.schema)}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.server.sql(sql, schema=self.schema)

    def tables(self) -> list[str]:
        query = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{self.schema}'"
        return [name for (name,) in self.server.sql(query)]


def contents(store: Store) -> Iterator[bytes]:
    """Every line of every table, and what is packed inside."""
    for table in store.tables():
        for line in store.ask(f'SELECT * FROM "{table}"'):
            yield "\n".join(map(str, line)).encode()
            yield from (bytes(value) for value in line if isinstance(value, bytes | memoryview))
    if "block" in store.tables():
        for (data,) in store.ask("SELECT data FROM block"):
            yield from _unpacked(bytes(data))


def _unpacked(block: bytes) -> Iterator[bytes]:
    """The tables of a block, which are streams of Arrow one after the other."""
    source = pa.BufferReader(block)
    while source.tell() < len(block):
        with pa.ipc.open_stream(source) as stream:
            yield stream.read_all().to_pandas().to_csv().encode()
