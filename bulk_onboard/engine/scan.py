"""The file, checked: once from end to end before anything is sent, then again for the rows that are sent.

Secrets are not kept between the two, in memory or on disk; the second reading proves itself by fingerprints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import pandas as pd

from bulk_onboard.check import Checked, check
from bulk_onboard.chunk import CHUNK_ROWS, Chunk, Source
from bulk_onboard.errors import InputError
from bulk_onboard.fingerprint import Fingerprints, Method
from bulk_onboard.header import match_header
from bulk_onboard.model import Payload, Row, Secret
from bulk_onboard.providers import Provider, Scope
from bulk_onboard.repeats import Repeats

__all__ = ["Checked", "Reading", "Scan", "Source"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read. ``app``: app fields from the settings; ``mapping``: field -> column header."""

    provider: Provider
    app: Mapping[str, Secret]
    mapping: Mapping[str, str]
    keep: tuple[str, ...] = ()
    limit: int | None = None
    allow_shared_tokens: bool = False
    chunk_rows: int = CHUNK_ROWS


class Scan:
    """A source and what was found in it. ``key`` and ``method`` are the fingerprints'."""

    def __init__(self, source: Source, reading: Reading, key: bytes, method: Method = Method.SIPHASH) -> None:
        """Match the header. Raises UsageError; InputError if a field has no column, or one without text."""
        self._source, self._reading = source, reading
        self._fingerprints = Fingerprints(key, method)
        self._repeats = Repeats()
        self._seen: list[bytes] = []
        self.columns = match_header(
            source.header,
            reading.provider,
            mapping=reading.mapping,
            keep=reading.keep,
            name=source.name,
        )
        # Kept columns may hold anything; what is sent or names a grower must have been text all along.
        source.require_text(list(self.columns.fields.values()))

    def chunks(self) -> Iterator[Checked]:
        """The first reading: every row, in order. Raises InputError if there is none."""
        rows = 0
        for checked in self._checked():
            rows += len(checked.frame)
            self._repeats.add(checked)
            self._seen.append(_digest(checked))
            yield checked
        if not rows:
            raise InputError(f"{self._source.name} has a header but no rows")

    def findings(self) -> pd.DataFrame:
        """After the first reading: row, status, code, message of duplicates, conflicts and shared tokens."""
        return self._repeats.findings(allow_shared_tokens=self._reading.allow_shared_tokens)

    def rows(self, wanted: np.ndarray) -> Iterator[Row]:
        """The second reading: the rows with these numbers (ascending), ready to be sent.

        Raises InputError if the file is not what it was at the first reading.
        """
        left = len(wanted)
        for checked, seen in zip(self._checked(), self._seen, strict=False):
            if not left:
                return
            if _digest(checked) != seen:
                break
            picked = np.flatnonzero(np.isin(checked.frame["row"].to_numpy(), wanted, assume_unique=True))
            yield from self._rows(checked, picked)
            left -= len(picked)
        if left:
            raise InputError(
                f"{self._source.name} was changed while it was being read; nothing of the changed part was"
                " sent. Run the same command again"
            )

    def _rows(self, checked: Checked, picked: np.ndarray) -> Iterator[Row]:
        frame, payload = checked.frame.iloc[picked], checked.payload.iloc[picked]
        app = {name: secret.reveal() for name, secret in self._reading.app.items()}
        names = [str(name) for name in payload]
        columns = [payload[name].tolist() for name in names]
        named = zip(frame["row"], frame["leafUserId"], frame["fingerprint"], strict=True)
        provider = self._reading.provider.name
        for (number, leaf_user_id, fingerprint), *values in zip(named, *columns, strict=True):
            told = {name: value for name, value in zip(names, values, strict=True) if value}
            yield Row(int(number), provider, leaf_user_id, self._payload(app, told), fingerprint)

    def _payload(self, app: Mapping[str, str], told: Mapping[str, str]) -> Payload:
        """The provider's fields in the table's order; what the file says wins over the settings."""
        fields = {}
        for field in self._reading.provider.fields:
            value = told.get(field.name) or (app.get(field.name) if field.scope is Scope.APP else None)
            if value:
                fields[field.name] = value
        return Payload(fields)

    def _checked(self) -> Iterator[Checked]:
        reading, columns = self._reading, self.columns
        positions = [*columns.fields.values(), *(i for _, i in columns.keep)]
        left = reading.limit
        for chunk in self._source.chunks(positions, reading.chunk_rows):
            piece = chunk if left is None else _first(chunk, left)
            if len(piece.numbers):
                yield check(piece, columns, reading.provider, frozenset(reading.app), self._fingerprints)
            if left is not None and (left := left - len(piece.numbers)) <= 0:
                return


def _first(chunk: Chunk, rows: int) -> Chunk:
    return replace(
        chunk,
        numbers=chunk.numbers[:rows],
        cells=chunk.cells.iloc[:rows].reset_index(drop=True),
        not_text=chunk.not_text[:rows],
        ragged=chunk.ragged[:rows],
    )


def _digest(checked: Checked) -> bytes:
    """Sixteen bytes that change when any row, grower or secret of a chunk does. Fingerprints are keyed."""
    digest = blake2b(digest_size=16)
    for column in (checked.frame["row"].to_numpy(), checked.ids, checked.prints, checked.digests):
        digest.update(np.ascontiguousarray(column).data)
    digest.update((checked.frame["code"] == "").to_numpy(bool).data)
    return digest.digest()
