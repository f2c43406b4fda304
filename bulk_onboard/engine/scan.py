"""The file, checked: once from end to end before anything is sent, then again for the rows that are sent.

Secrets are not kept between the two, in memory or on disk; the second reading proves itself by keyed digests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import pandas as pd

from bulk_onboard.ascending import both, lines_of
from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, Source
from bulk_onboard.domain.input_description import InputDescription, SkippedLine
from bulk_onboard.domain.providers import ENVIRONMENT, PROVIDERS, Provider, Providers, Scope
from bulk_onboard.domain.users import UnresolvedGrower, UserKey
from bulk_onboard.engine import heap
from bulk_onboard.engine.input_columns import columns_of, with_columns
from bulk_onboard.engine.spool import Spooled
from bulk_onboard.errors import InputError, NoRows
from bulk_onboard.listing import words
from bulk_onboard.model import Payload, Row, Secret
from bulk_onboard.naming import KnownUsers, Named, known_users, named
from bulk_onboard.repeats import Repeats, Sightings
from bulk_onboard.settings import Settings
from bulk_onboard.strangers import Strangers
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
    provider_column,
)
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.skipped_lines import LineFilter

__all__ = ["Checked", "Reading", "Scan", "Source", "reading_of"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read.

    ``providers``: those that its rows go to; without a column that says so, the one.
    ``app``: by provider, app fields from the settings; ``mapping``: field -> column header; ``otherwise``:
    the provider of rows whose cell for it is blank, "" for none; ``known``: all providers there are.
    ``create_users``: rows may name their grower by an externalId or an email. ``assumed``: by provider, app
    fields that an offline check assumes to be in the settings.
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


def reading_of(source: Source, settings: Settings) -> Reading:
    """How the settings say to read a file, and which providers its rows go to: one column is read for that.

    Raises InputError if there are two such columns.
    """
    return reading_for(settings, _providers_in(source, settings))


def reading_for(settings: Settings, providers: Sequence[Provider]) -> Reading:
    """How the settings say to read a file whose rows go to these providers."""
    told = settings.input
    return Reading(
        providers=providers,
        app=settings.app,
        mapping=told.mapping,
        keep=told.keep,
        limit=told.limit,
        allow_shared_tokens=told.allow_shared_tokens,
        otherwise=_otherwise(settings),
        known=settings.providers,
        create_users=told.create_users,
    )


def _otherwise(settings: Settings) -> str:
    return settings.provider if settings.provider_given else ""


def _providers_in(source: Source, settings: Settings) -> tuple[Provider, ...]:
    """The providers that a file's rows go to, in the table's order."""
    position = provider_column(source.header, settings.input.mapping, source.name)
    if position is None:
        return (settings.chosen,)
    found: set[str] = set()
    lines = LineFilter(source.header, id_column(source.header, settings.input.mapping), [position])
    for piece in _pieces(source, lines, CHUNK_ROWS, settings.input.limit):
        found.update(provider_names(piece.cells[0], settings.providers, _otherwise(settings)))
    return tuple(provider for name, provider in settings.providers.items() if name in found)


class Scan:
    """A source and what was found in it. ``key`` is that of the fingerprints.

    ``known``: gives the users that are known by externalId or email.
    """

    def __init__(
        self,
        source: Source,
        reading: Reading,
        key: bytes,
        seen: Sequence[bytes] = (),
        *,
        known: Callable[[], KnownUsers] = lambda: known_users(()),
    ) -> None:
        """UsersPage the header. ``seen``: what another process saw at the first reading, which is done then.

        Raises UsageError; InputError if a field has no column, or one without text.
        """
        self._source, self._reading = source, reading
        self._key, self._fingerprints = key, Fingerprints(key)
        self._seen = list(seen)
        self.columns = columns_of(source, reading)
        self._strangers = (
            Strangers(self.columns, self._fingerprints, known)
            if any(by in self.columns.users for by in UserKey)
            else None
        )
        self.environments: Counter[str] = Counter()
        self.skipped: Sequence[SkippedLine] = ()
        self._names: NameCounts = Counter()
        self._repeats: dict[str, Repeats] = {}
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

    def chunks(self) -> Iterator[Checked]:
        """The first reading: every row, in order. Raises InputError if there is none."""
        rows, lines = 0, self._lines()
        self.skipped = lines.skipped
        for piece in self._pieces(lines):
            self._seen.append(self._digest(piece))
            checked, names = self._named_and_checked(piece)
            rows += len(checked.frame)
            for name, _, own in checked.by_provider():
                self._repeats.setdefault(name, Repeats(Spooled)).add(own)
            self._names.update(checked.names)
            if self._strangers and names:
                self._strangers.add(checked, names)
            self.environments.update(self._environments(checked))
            yield checked
            del piece, checked, names  # not to be held with the next ones
        if not rows:
            many = len(self.skipped)
            others = (
                f", only {many:,} {'line that is not a row' if many == 1 else 'lines that are not rows'}"
                if many
                else ""
            )
            raise NoRows(f"{self._source.name} has a header but no rows{others}")

    def findings(self) -> pd.DataFrame:
        """After the first reading: row, status, code, message of duplicates, conflicts and shared tokens.

        Once, unless some growers have no id yet: what was taken in of the rows for this is let go of.
        """
        heap.give_back()  # what reading took, before this takes as much
        allow = self._reading.allow_shared_tokens
        parts = [each.findings(allow_shared_tokens=allow) for each in self._repeats.values()]
        found = pd.concat([Repeats().findings(allow_shared_tokens=True), *parts]).sort_values(
            "row", ignore_index=True
        )
        if self._strangers:
            return self._strangers.with_findings(found)
        self._repeats = {}
        return found

    def file_warnings(self) -> pd.DataFrame:
        """After the first reading: warnings about whole columns, as in `Checked`."""
        return columns_of_names(self._names, self._source.description.header_row or 1)

    @property
    def unnamed(self) -> np.ndarray:
        """After the first reading: the valid rows whose grower has no id yet, ascending."""
        return self._strangers.unnamed if self._strangers else np.empty(0, np.int64)

    def newcomers(
        self, wanted: np.ndarray, among: np.ndarray, open_keys: Collection[bytes]
    ) -> Iterator[UnresolvedGrower]:
        """Another reading: the growers of those of these rows (ascending) that have no id yet, each once.

        ``among``: all rows that are to be done, so that a newcomer comes with all of its own. ``open_keys``:
        of whom an earlier run may have created a user. Raises InputError as `rows` does.
        """
        assert self._strangers is not None  # noqa: S101  (else nobody is without an id)
        wanted = both(wanted, self.unnamed)
        for piece, _ in self._again(wanted):
            checked, names = self._named_and_checked(piece)
            if names:
                yield from self._strangers.newcomers(checked, names, wanted, among, open_keys)

    def learn(self, learned: Mapping[int, str]) -> dict[int, str]:
        """These rows have these ids by now; all rows that have one by that."""
        assert self._strangers is not None  # noqa: S101  (else nobody had none)
        found = self._strangers.learn(learned)
        rows = np.array(sorted(found), np.int64)
        for each in self._repeats.values():
            each.rename(rows, words([found[row] for row in rows.tolist()]))
        return found

    def sightings(self) -> dict[str, Sightings]:
        """After the first reading: the valid rows by provider, to find repeats in."""
        return {name: each.sightings() for name, each in self._repeats.items()}

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

    def rows(self, wanted: np.ndarray) -> Iterator[Row]:
        """The second reading: the rows with these numbers (ascending), ready to be sent.

        Raises InputError if the file is not what it was at the first reading.
        """
        for piece, picked in self._again(wanted):
            if not len(picked):
                continue
            if self._strangers:  # who they are is told by chunk
                yield from self._rows(self._named_and_checked(piece)[0], picked)
            else:
                few = self._check(piece.taken(picked), self.columns)
                yield from self._rows(few, np.arange(len(picked)))

    def _again(self, wanted: np.ndarray) -> Iterator[tuple[Chunk, np.ndarray]]:
        """The chunks once more, as far as these rows go, and their lines in each. Raises InputError."""
        left = len(wanted)
        for piece, seen in zip(self._pieces(self._lines()), self._seen, strict=False):
            if not left:
                return
            if self._digest(piece) != seen:
                break
            picked = lines_of(piece.numbers, wanted)
            yield piece, picked
            left -= len(picked)
        if left:
            raise InputError(
                f"{self._source.name} was changed while it was being read; nothing of the changed part was"
                " sent. Run the same command again"
            )

    def _rows(self, checked: Checked, picked: np.ndarray) -> Iterator[Row]:
        frame, payload = checked.frame.iloc[picked], checked.payload.iloc[picked]
        apps = self.apps(checked)[picked].view(np.int64).tolist()
        names = [str(name) for name in payload]
        columns = [payload[name].tolist() for name in names]
        named = zip(
            frame[PROVIDER], frame["row"], frame["leafUserId"], frame["fingerprint"], apps, strict=False
        )
        settings = {name: self._reading.app.get(name, {}) for name in self._providers}
        app = {name: {f: s.reveal() for f, s in fields.items()} for name, fields in settings.items()}
        for (provider, number, leaf_user_id, fingerprint, mark), *values in zip(named, *columns, strict=True):
            told = {name: value for name, value in zip(names, values, strict=True) if value}
            payload_ = self._payload(self._providers[provider], app.get(provider, {}), told)
            grower = leaf_user_id or (self._strangers.id_of(number) if self._strangers else "")
            yield Row(int(number), provider, grower, payload_, fingerprint, app=mark)

    def apps(self, checked: Checked) -> np.ndarray:
        """The mark of each row's application (uint64); the file's app fields win over the settings'."""
        marks = np.zeros(len(checked.frame), np.uint64)
        for provider in self._providers.values():
            mine = np.flatnonzero(checked.frame[PROVIDER] == provider.name)
            names = [field.name for field in provider.app_fields]
            told = self._reading.app.get(provider.name, {})
            usual = {name: told[name].reveal() for name in names if name in told}
            cells = checked.payload.reindex(columns=[name for name in names if name in checked.payload])
            marks[mine] = self._fingerprints.of_apps(cells.iloc[mine], usual, ENVIRONMENT)
        return marks

    def _payload(self, provider: Provider, app: Mapping[str, str], told: Mapping[str, str]) -> Payload:
        """The provider's fields in the table's order; what the file says wins over the settings."""
        fields = {}
        for each in provider.fields:
            value = told.get(each.name) or (app.get(each.name) if each.scope is Scope.APP else None)
            if value:
                fields[each.name] = value
        return Payload(fields)

    def _environments(self, checked: Checked) -> Counter[str]:
        """How many valid rows go to which of their provider's environments."""
        found: Counter[str] = Counter()
        for provider in self._providers.values():
            if provider.environment:
                found.update(self._environments_of(provider, checked))
        del found[""]  # where nothing is sent, no setting need say which
        return found

    def _environments_of(self, provider: Provider, checked: Checked) -> Mapping[str, int]:
        frame, secret = checked.frame, self._reading.app.get(provider.name, {}).get(ENVIRONMENT)
        mine = checked.valid & (frame[PROVIDER] == provider.name).to_numpy(bool)
        usual = secret.reveal() if secret else ""
        if ENVIRONMENT not in checked.payload:
            return {usual: int(mine.sum())}
        cells = checked.payload.loc[mine, ENVIRONMENT]
        return Counter(cells.where(cells != "", usual).tolist())

    def _lines(self) -> LineFilter:
        """What skips the lines that are not rows, the same ones in each reading."""
        columns = self.columns
        positions = [*columns.fields.values(), *(i for _, i in columns.keep)]
        if columns.provider is not None:
            positions.append(columns.provider)
        if self._strangers:
            positions += columns.users.values()
        return LineFilter(self._source.header, columns.fields.get(LEAF_USER_ID), positions)

    def _pieces(self, lines: LineFilter) -> Iterator[Chunk]:
        yield from _pieces(self._source, lines, self._reading.chunk_rows, self._reading.limit)

    def _digest(self, piece: Chunk) -> bytes:
        """Of all that a row, its grower and its secrets are told by; not of the kept columns."""
        fields, kept = len(self.columns.fields), len(self.columns.keep)
        told = [at for at in range(piece.cells.shape[1]) if not fields <= at < fields + kept]
        return piece.digest(self._key, told)

    def _named_and_checked(self, piece: Chunk) -> tuple[Checked, Named | None]:
        if self._strangers is None:
            return self._check(piece, self.columns), None
        names = self._strangers.naming.name(piece)
        return named(self._check(names.chunk, self._strangers.naming.checked), names), names

    def _check(self, piece: Chunk, columns: Columns) -> Checked:
        return check(piece, columns, self._providers, self._context, self._fingerprints)


def content_of(seen: Iterable[bytes]) -> str:
    """A digest of all that was seen of a file."""
    return blake2b(b"".join(seen), digest_size=16).hexdigest()


def _pieces(source: Source, lines: LineFilter, size: int, limit: int | None) -> Iterator[Chunk]:
    """The rows of a source, no more than ``limit``."""
    left = limit
    for piece in map(lines.rows, source.chunks(lines.positions, size)):
        if left is not None:
            piece = piece.taken(slice(left))  # noqa: PLW2901
            left -= len(piece.numbers)
        if len(piece.numbers):
            yield piece
        if left == 0:
            return
        del piece  # not to be held with the next one
