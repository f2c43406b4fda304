"""The file, checked: once from end to end before anything is sent, then again for the rows that are sent.

Secrets are not kept between the two, in memory or on disk; the second reading proves itself by keyed digests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, Source
from bulk_onboard.domain.input_description import InputDescription, SkippedLine
from bulk_onboard.domain.model import Payload, Row, Secret
from bulk_onboard.domain.providers import ENVIRONMENT, PROVIDERS, Provider, Providers, Scope
from bulk_onboard.errors import InputError, InternalError, NoRows
from bulk_onboard.settings import Settings
from bulk_onboard.validation.check import (
    CheckContext,
    Checked,
    NameCounts,
    check,
    columns_of_names,
    provider_names,
)
from bulk_onboard.validation.columns import (
    LEAF_USER_ID,
    PROVIDER,
    Columns,
    id_column,
    match_header,
    provider_column,
)
from bulk_onboard.validation.fingerprints import ENVIRONMENT_HALF, Fingerprints
from bulk_onboard.validation.likely_columns import MOST
from bulk_onboard.validation.skipped_lines import LineFilter
from bulk_onboard.validation.user_columns import UserCells, known_keys, user_cells
from bulk_onboard.workspace.input_rows import rows_table

__all__ = ["Checked", "CheckedFile", "Reading", "Source", "reading_of"]

# How many rows are sampled to see which column may hold a field.
_SAMPLED = 200
_NO_IDS: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read.

    ``providers``: those that its rows go to; without a column that says so, the one.
    ``app``: by provider, app fields from the settings; ``mapping``: field -> column header; ``otherwise``:
    the provider of rows with a blank provider cell, "" for none; ``known``: all providers there are.
    ``create_users``: rows may name their grower by an externalId or an email. ``assumed``: by provider, app
    fields that an offline check assumes to be in the settings. ``once``: no row is read again.
    """

    providers: Sequence[Provider]
    app: Mapping[str, Mapping[str, Secret]]
    mapping: Mapping[str, str]
    keep: tuple[str, ...] = ()
    limit: int | None = None
    allow_shared_tokens: bool = False
    chunk_rows: int = CHUNK_ROWS
    otherwise: str = ""
    known: Providers = field(default_factory=lambda: PROVIDERS)
    create_users: bool = False
    assumed: Mapping[str, Collection[str]] = field(default_factory=dict)
    once: bool = False


def reading_of(source: Source, settings: Settings) -> Reading:
    """How the settings say to read a file, and which providers its rows go to: one column is read for that.

    Raises InputError if there are two such columns.
    """
    return reading_for(settings, _providers_in(source, settings))


def reading_for(settings: Settings, providers: Sequence[Provider]) -> Reading:
    """Return how to read a file with rows for these providers, by the settings."""
    options = settings.input
    return Reading(
        providers=providers,
        app=settings.app,
        mapping=options.mapping,
        keep=options.keep,
        limit=options.limit,
        allow_shared_tokens=options.allow_shared_tokens,
        otherwise=_otherwise(settings),
        known=settings.providers,
        create_users=options.create_users,
    )


def _otherwise(settings: Settings) -> str:
    return settings.provider if settings.provider_given else ""


def _providers_in(source: Source, settings: Settings) -> tuple[Provider, ...]:
    """The providers that a file's rows go to, in the table's order."""
    position = provider_column(source.header, settings.input.mapping, source.name)
    if position is None:
        return (settings.chosen,)
    names: set[str] = set()
    lines = LineFilter(source.header, id_column(source.header, settings.input.mapping), [position])
    for piece in _pieces(source, lines, CHUNK_ROWS, settings.input.limit):
        names.update(provider_names(piece.cells[0], settings.providers, _otherwise(settings)))
    return tuple(provider for name, provider in settings.providers.items() if name in names)


def columns_of(source: Source, reading: Reading) -> Columns:
    """Return the columns of a source's fields. Raises InputError if its header does not fit, UsageError."""
    return match_header(
        source.header,
        reading.providers,
        mapping=reading.mapping,
        keep=reading.keep,
        name=source.name,
        place=source.description.header_place,
        users=reading.create_users,
        sample=lambda: _sample(source),
    )


def _sample(source: Source) -> list[list[str]]:
    """Return some rows with their first columns, none if they cannot be read."""
    with suppress(InputError):
        for piece in source.chunks(range(min(len(source.header), MOST)), _SAMPLED):
            return [list(cells) for cells in piece.cells.itertuples(index=False, name=None)]
    return []


def with_columns(description: InputDescription, header: Sequence[str], columns: Columns) -> InputDescription:
    """Return the description with the column of each field."""
    provider = {} if columns.provider is None else {PROVIDER: header[columns.provider]}
    return replace(description, columns={**columns.names, **columns.user_names, **provider})


class CheckedFile:
    """A source and what was found in it. ``key`` is that of the fingerprints."""

    def __init__(
        self,
        source: Source,
        reading: Reading,
        key: bytes,
        seen: Sequence[bytes] = (),
    ) -> None:
        """Match the header. ``seen``: what another process saw at the first reading, which is done then.

        Raises UsageError; InputError if a field has no column, or one without text.
        """
        self._source, self._reading = source, reading
        self._key, self._fingerprints = key, Fingerprints(key)
        self._seen = list(seen)
        self.columns = columns_of(source, reading)
        self.environments: Counter[str] = Counter()
        self.skipped: Sequence[SkippedLine] = ()
        self._names: NameCounts = Counter()
        self.uuid_tokens: dict[int, bytes] = {}  # row -> the UUID that a valid row has as a token
        self._providers = {provider.name: provider for provider in reading.providers}
        described = source.description
        self._context = CheckContext(
            set_fields=reading.app,
            assumed=reading.assumed,
            guessed_encoding=described.encoding if described.encoding_guessed else "",
            default_provider=reading.otherwise,
            known_providers=reading.known,
        )
        # Kept columns may hold anything; what is sent or names a grower must have been text all along.
        source.require_text(list(self.columns.fields.values()))

    @property
    def description(self) -> InputDescription:
        """How the source is read, with the column of each field; complete after the first reading."""
        found = with_columns(self._source.description, self._source.header, self.columns)
        return found.with_skipped(self.skipped)

    def chunks(self, known_users: pa.ChunkedArray | None = None) -> Iterator[Checked]:
        """The first reading: every row, in order. Raises InputError if there is none.

        ``known_users``: the keys by which users are known.
        """
        if known_users is not None:
            self._context = replace(self._context, known_users=known_keys(known_users))
        rows, lines = 0, self._lines()
        self.skipped = lines.skipped
        for piece in self._pieces(lines):
            if not self._reading.once:
                self._seen.append(self._digest(piece))
            checked = self._check(piece)
            rows += len(checked.frame)
            self._names.update(checked.names)
            self.uuid_tokens.update(checked.uuid_tokens)
            self.environments.update(self._environments(checked))
            yield checked
            del piece, checked  # not to be held with the next ones
        if not rows:
            many = len(self.skipped)
            others = (
                f", only {many:,} {'line that is not a row' if many == 1 else 'lines that are not rows'}"
                if many
                else ""
            )
            raise NoRows(f"{self._source.name} has a header but no rows{others}")

    def file_warnings(self) -> pd.DataFrame:
        """After the first reading: warnings about whole columns, as in `Checked`."""
        return columns_of_names(self._names, self._source.description.header_row or 1)

    def table(self, checked: Checked, *, kept: bool = True) -> pa.Table:
        """Return the rows of a checked chunk as lines of the workspace's table ``rows``.

        ``kept``: with the columns of the input that the results keep.
        """
        names = [name for name, _ in self.columns.keep] if kept else []
        return rows_table(checked, self.apps(checked), names)

    def user_cells(self, wanted: np.ndarray) -> Iterator[UserCells]:
        """Another reading: how the rows with these numbers (ascending) identify their Leaf users.

        Raises InputError as `rows` does.
        """
        for piece, picked in self._again(wanted):
            yield from user_cells(piece.taken(picked), self.columns, self._fingerprints)

    @property
    def allows_shared_tokens(self) -> bool:
        """Whether growers may have one token."""
        return self._reading.allow_shared_tokens

    @property
    def limit(self) -> int | None:
        """How many rows of the source are read; None: all of them."""
        return self._reading.limit

    @property
    def seen(self) -> tuple[bytes, ...]:
        """After the first reading: a digest of each chunk, for the second one."""
        return tuple(self._seen)

    def content(self) -> str:
        """After the first reading: a digest that changes when any row, grower or secret does."""
        return content_of(self._seen)

    def rows(self, wanted: np.ndarray, ids: Mapping[int, str] = _NO_IDS) -> Iterator[Row]:
        """The second reading: the rows with these numbers (ascending), ready to be sent.

        ``ids``: the leafUserIds of rows that have none in the file.
        Raises InputError if the file is not what it was at the first reading.
        """
        for piece, picked in self._again(wanted):
            if len(picked):
                yield from self._rows(self._check(piece.taken(picked)), ids)

    def _again(self, wanted: np.ndarray) -> Iterator[tuple[Chunk, np.ndarray]]:
        """Read the chunks with these rows again; yield each with the lines of the rows. Raises InputError."""
        remaining = len(wanted)
        for piece, seen in zip(self._pieces(self._lines()), self._seen, strict=False):
            if not remaining:
                return
            if self._digest(piece) != seen:
                break
            picked = np.flatnonzero(np.isin(piece.numbers, _between(wanted, piece.numbers)))
            yield piece, picked
            remaining -= len(picked)
        if remaining:
            raise InputError(
                f"{self._source.name} was changed while it was being read; nothing of the changed part was"
                " sent. Run the same command again"
            )

    def _rows(self, checked: Checked, ids: Mapping[int, str]) -> Iterator[Row]:
        frame, payload = checked.frame, checked.payload
        names = [str(name) for name in payload]
        settings = {name: self._reading.app.get(name, {}) for name in self._providers}
        app = {name: {f: s.reveal() for f, s in fields.items()} for name, fields in settings.items()}
        columns = [frame[name].tolist() for name in (PROVIDER, "row", LEAF_USER_ID)]
        columns.append(checked.fingerprints())
        columns.append(self.apps(checked).view(np.int64).tolist())
        cells = zip(*(payload[name].tolist() for name in names), strict=True)
        for line, values in zip(zip(*columns, strict=True), cells, strict=True):
            provider, number, leaf_user_id, fingerprint, mark = line
            filled = {name: value for name, value in zip(names, values, strict=True) if value}
            grower = leaf_user_id or ids.get(number)
            if not grower:
                raise InternalError(f"row {number} was about to be sent for a grower without an id")
            sent = self._payload(self._providers[provider], app.get(provider, {}), filled)
            yield Row(number, provider, grower, sent, fingerprint, app=mark)

    def apps(self, checked: Checked) -> np.ndarray:
        """The mark of each row's application (uint64); the file's app fields win over the settings'."""
        marks = np.zeros(len(checked.frame), np.uint64)
        for provider in self._providers.values():
            mine = np.flatnonzero(checked.frame[PROVIDER] == provider.name)
            names = [field.name for field in provider.app_fields]
            configured = self._reading.app.get(provider.name, {})
            usual = {name: configured[name].reveal() for name in names if name in configured}
            cells = checked.payload.reindex(columns=[name for name in names if name in checked.payload])
            marks[mine] = self._fingerprints.of_apps(cells.iloc[mine], usual, ENVIRONMENT)
        return marks

    def _payload(self, provider: Provider, app: Mapping[str, str], filled: Mapping[str, str]) -> Payload:
        """The provider's fields in the table's order; what the file says wins over the settings."""
        values = {}
        for item in provider.fields:
            value = filled.get(item.name) or (app.get(item.name) if item.scope is Scope.APP else None)
            if value:
                values[item.name] = value
        return Payload(values)

    def _environments(self, checked: Checked) -> Counter[str]:
        """How many valid rows go to which of their provider's environments."""
        counts: Counter[str] = Counter()
        for provider in self._providers.values():
            if provider.environment:
                counts.update(self._environments_of(provider, checked))
        del counts[""]  # where nothing is sent, no setting need say which
        return counts

    def _environments_of(self, provider: Provider, checked: Checked) -> Mapping[str, int]:
        frame, secret = checked.frame, self._reading.app.get(provider.name, {}).get(ENVIRONMENT)
        mine = checked.valid & (frame[PROVIDER] == provider.name).to_numpy(bool)
        usual = secret.reveal() if secret else ""
        if ENVIRONMENT not in checked.payload:
            return {usual: int(mine.sum())}
        cells = checked.payload.loc[mine, ENVIRONMENT]
        return Counter(cells.where(cells != "", usual).tolist())

    def environment_marks(self) -> dict[str, int]:
        """After the first reading: the environments of its valid rows, and the low half of their marks."""
        marks = {
            name: self._fingerprints.of_app({ENVIRONMENT: name}, ENVIRONMENT) for name in self.environments
        }
        return {name: mark & ENVIRONMENT_HALF for name, mark in marks.items()}

    def _lines(self) -> LineFilter:
        """What skips the lines that are not rows, the same ones in each reading."""
        columns = self.columns
        positions = [*columns.fields.values(), *(i for _, i in columns.keep)]
        if columns.provider is not None:
            positions.append(columns.provider)
        positions += columns.users.values()
        return LineFilter(self._source.header, columns.fields.get(LEAF_USER_ID), positions)

    def _pieces(self, lines: LineFilter) -> Iterator[Chunk]:
        yield from _pieces(self._source, lines, self._reading.chunk_rows, self._reading.limit)

    def _digest(self, piece: Chunk) -> bytes:
        """Return the digest of the columns that identify a row, its grower and its secrets."""
        fields, keep = len(self.columns.fields), len(self.columns.keep)
        columns = [at for at in range(piece.cells.shape[1]) if not fields <= at < fields + keep]
        return piece.digest(self._key, columns)

    def _check(self, piece: Chunk) -> Checked:
        return check(piece, self.columns, self._providers, self._context, self._fingerprints)


def _between(wanted: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Those of the wanted rows (ascending) that may be in a chunk with these numbers."""
    first, after = np.searchsorted(wanted, numbers[0]), np.searchsorted(wanted, numbers[-1], "right")
    return wanted[first:after]


def content_of(seen: Iterable[bytes]) -> str:
    """A digest of all that was seen of a file."""
    return blake2b(b"".join(seen), digest_size=16).hexdigest()


def _pieces(source: Source, lines: LineFilter, size: int, limit: int | None) -> Iterator[Chunk]:
    """The rows of a source, no more than ``limit``."""
    remaining = limit
    for piece in map(lines.rows, source.chunks(lines.positions, size)):
        if remaining is not None:
            piece = piece.taken(slice(remaining))  # noqa: PLW2901
            remaining -= len(piece.numbers)
        if len(piece.numbers):
            yield piece
        if remaining == 0:
            return
        del piece  # not to be held with the next one
