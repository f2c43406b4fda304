"""Check a chunk of text cells: valid rows, problems and warnings.

No message contains the value of a field, except of leafUserId if it is a number or similar to a UUID.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.domain.chunk import Chunk, constant_column, text_column
from bulk_onboard.domain.providers import (
    PROVIDERS,
    Field,
    FieldKind,
    Provider,
    Providers,
    Scope,
    did_you_mean,
    normal_name,
)
from bulk_onboard.domain.users import UserKey
from bulk_onboard.validation.cells import (
    Column,
    check_cells,
    find_continued,
    read_column,
    take_cells,
    to_arrow,
    uuid_words,
)
from bulk_onboard.validation.columns import LEAF_USER_ID, PROVIDER, Columns
from bulk_onboard.validation.findings import CLEANED, ChunkFindings, no_findings
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.rules import Finding, find_problem, looks_like_a_name, words_of
from bulk_onboard.validation.spelling import UUID_LENGTH, UUID_PATTERN, clean, showable
from bulk_onboard.validation.user_columns import UserRows, check_users, read_users

_MISSING_ID = Finding(f"missing-{LEAF_USER_ID}", "is empty")
# Of the kept columns in a checked frame.
KEPT_PREFIX = "keep."
_RAGGED = Finding("ragged-row", "the row has more cells than the header has columns")
_SAME_AS_ID = Finding("id-as-token", f"is the {LEAF_USER_ID} of the row")
_SWAPPED = Finding("id-as-token", f"is a UUID and the {LEAF_USER_ID} is not: the two may be swapped")
_HEX_DIGITS = 32  # of a UUID without hyphens
# How many tokens of a chunk are examined to recognise a column of names.
_SAMPLE = 200

# By column of tokens: how many of some tokens look like names (True) or do not (False).
NameCounts = Counter[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Checked:
    """One chunk after checking; all frames have a line per row and the same index.

    ``frame``: row, provider ("" if the row does not name one), leafUserId (canonical, or what may be shown of
    it), code ("" if valid), column, message, and the kept columns with their prefix. ``payload``: the
    provider fields that the file has, as they are sent, "" for those that the row's provider does not have.
    ``ids``, ``prints`` and ``digests`` (rows x 2): of the valid rows the grower, the fingerprint, and one
    over all of the payload, to recognise exact repeats.
    ``warnings``: row, code, column, message. ``problems``: the same of all that is wrong, cell by cell, where
    ``frame`` has the first problem of each row. ``uuid_tokens``: row -> the UUID that a valid row has as a
    token. ``users``: how rows identify their Leaf users, if they may do so without a leafUserId; ``ids`` has
    stand-ins for the unresolved ones, and ``frame`` no leafUserId.
    """

    frame: pd.DataFrame
    payload: pd.DataFrame
    ids: np.ndarray
    prints: np.ndarray
    digests: np.ndarray
    warnings: pd.DataFrame
    problems: pd.DataFrame
    names: NameCounts = field(default_factory=Counter)
    uuid_tokens: Mapping[int, bytes] = field(default_factory=dict)
    users: UserRows | None = None

    @property
    def valid(self) -> np.ndarray:
        """A mask of the rows without a problem."""
        return (self.frame["code"] == "").to_numpy(bool)

    def fingerprints(self) -> list[str]:
        """Return the fingerprint of each row as 32 hex digits, "" if the row is invalid."""
        digits = iter(self.prints.tobytes().hex(" ", 16).split())
        return [next(digits) if is_valid else "" for is_valid in self.valid.tolist()]


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What the cells of a file depend on besides its columns and providers.

    ``set_fields``: by provider, app fields that the settings have, so that a cell may be blank; ``assumed``:
    by provider, those that an offline check assumes to be set. ``guessed_encoding``: the file's encoding if
    it was guessed, else "". ``default_provider``: the provider of a row with a blank provider cell, "" for
    none. ``known_providers``: all names there are, to suggest one for a mistyped cell. ``known_users``: see
    `known_keys`; the user cells of these users are not used, so they are not checked.
    """

    set_fields: Mapping[str, Collection[str]] = field(default_factory=dict)
    assumed: Mapping[str, Collection[str]] = field(default_factory=dict)
    guessed_encoding: str = ""
    default_provider: str = ""
    known_providers: Collection[str] = field(default_factory=lambda: PROVIDERS)
    known_users: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))


# Of one provider's rows, by field: the cells as they are sent.
_Cells = Mapping[str, Column]


def check(
    chunk: Chunk, columns: Columns, providers: Providers, context: CheckContext, fingerprints: Fingerprints
) -> Checked:
    """Check the rows of one chunk, each by the rules of its provider.

    The chunk's cells are the columns' fields, the kept columns, the column of providers if the file has one,
    and the user columns. Without a column of providers, all rows are of the only provider.
    """
    findings = ChunkFindings(chunk.numbers)
    names, lines_of = _check_providers(findings, chunk, columns, providers, context)
    findings.add(np.flatnonzero(chunk.ragged), _RAGGED, "")
    users = read_users(chunk, columns, fingerprints) if columns.users else None
    ids, words = _check_ids(findings, chunk, columns, users)
    if users:
        check_users(findings, chunk, columns, users.unknown(context.known_users))
    parts = {}
    for name, lines in lines_of.items():
        parts[name] = _check_fields(findings, chunk, columns, providers[name], lines, context)
        for token in _tokens(providers[name].fields, parts[name]):
            _compare_with_ids(findings, token, take_cells(ids, lines), swappable=words is None)
    secrets = [c for name, cells in parts.items() for c in _secrets(providers[name], cells)]
    if len(lines := np.flatnonzero(~findings.valid)):
        find_continued(findings, chunk, secrets, lines[~_are_uuids(ids.iloc[lines])])
    valid = findings.valid
    prints, digests = _fingerprints(parts, providers, valid, fingerprints)
    frame = {"row": pd.Series(chunk.numbers), PROVIDER: names, LEAF_USER_ID: _shown_ids(ids, valid, users)}
    frame |= findings.first_problems()
    for i, (header, _) in enumerate(columns.keep, start=len(columns.fields)):
        frame[KEPT_PREFIX + header] = chunk.cells[i]
    words = uuid_words(to_arrow(ids[valid])) if words is None else words[valid]
    assert words is not None  # noqa: S101  (the ids of valid rows are UUIDs)
    tokens = [t for name, cells in parts.items() for t in _tokens(providers[name].grower_fields, cells)]
    return Checked(
        pd.DataFrame(frame),
        _payload(columns, parts.values(), len(valid)),
        words,
        prints,
        digests,
        findings.warnings(),
        findings.problems(),
        _name_counts(tokens),
        _uuid_tokens(tokens, chunk.numbers, valid),
        users,
    )


# --- one column ---------------------------------------------------------------------------------------


def provider_names(cells: pd.Series, providers: Collection[str], default: str = "") -> np.ndarray:
    """Return the provider's name for each cell, however it is spelled; "" for a cell that names none.

    ``default``: the provider of a blank cell.
    """
    known = {normal_name(name): name for name in providers}
    at, spelled = pd.factorize(cells)
    texts = (clean(text)[0] for text in spelled)
    names = [known.get(normal_name(text), "") if text else default for text in texts]
    return np.array(names, object)[at]


def _check_providers(
    findings: ChunkFindings, chunk: Chunk, columns: Columns, providers: Providers, context: CheckContext
) -> tuple[pd.Series, dict[str, np.ndarray]]:
    """The provider of each row, and the lines of each provider."""
    if columns.provider is None:
        (name,) = providers
        size = len(chunk.numbers)
        return constant_column(name, size), {name: np.arange(size)}
    cells = chunk.cells[len(columns.fields) + len(columns.keep)]
    names = provider_names(cells, providers, context.default_provider)
    for cell, lines in cells[names == ""].groupby(cells, sort=False).groups.items():
        text = clean(str(cell))[0]
        unknown = f"is not the name of a provider{did_you_mean(text.lower(), context.known_providers)}"
        finding = Finding("unknown-provider", unknown) if text else Finding("missing-provider", "is empty")
        findings.add(lines, finding, PROVIDER)
    lines_of = {name: np.flatnonzero(names == name) for name in dict.fromkeys(names) if name}
    return text_column(names), lines_of


def _check_ids(
    findings: ChunkFindings, chunk: Chunk, columns: Columns, users: UserRows | None
) -> tuple[pd.Series, np.ndarray | None]:
    """The ids, cleaned; and as numbers if all of them are UUIDs in the usual spelling."""
    lines = np.arange(len(chunk.numbers))
    if LEAF_USER_ID in columns.fields:
        place, header = list(columns.fields).index(LEAF_USER_ID), columns.names[LEAF_USER_ID]
        column = read_column(findings, chunk, place, lines, header)
    else:
        header = next(columns.user_names[by] for by in UserKey if by in columns.users)
    cells = users.ids if users else column.cells
    words = uuid_words(to_arrow(cells))
    if words is not None and not np.isin(words[:, 0], _example_words()).any():
        return cells, words
    cells = check_cells(findings, Column(cells, lines, header), "id")
    findings.add(np.flatnonzero(cells == ""), _MISSING_ID, header)
    return cells, words


def _check_fields(  # noqa: PLR0917
    findings: ChunkFindings,
    chunk: Chunk,
    columns: Columns,
    provider: Provider,
    lines: np.ndarray,
    context: CheckContext,
) -> _Cells:
    """Check the fields of one provider, in its rows."""
    cells, own = {}, {f.name: f for f in provider.fields}
    for place, name in enumerate(columns.fields):
        if name in own:
            column = read_column(findings, chunk, place, lines, columns.names[name])
            cells[name] = column._replace(cells=_check_field(findings, column, own[name], provider, context))
    return cells


def _check_field(
    findings: ChunkFindings, column: Column, field_: Field, provider: Provider, context: CheckContext
) -> pd.Series:
    is_app, name = field_.scope is Scope.APP, field_.name
    secret = field_.secret and not is_app
    cells = check_cells(findings, column, field_.kind.value, field_.format, secret=secret)
    if field_.kind is FieldKind.TEXT:
        _check_encoding(findings, column, field_, context.guessed_encoding)
    blank = column.lines[(cells == "").to_numpy(bool)]
    if field_.required and not (is_app and name in context.set_fields.get(provider.name, ())):
        findings.add(blank, Finding(f"missing-{name}", "is empty"), column.header)
    if name in context.assumed.get(provider.name, ()):
        message = f"is blank, and {provider.setting(field_)} is not set"
        findings.warn(blank, Finding("blank-setting", message), column.header)
    if field_.allowed:
        wrong = column.lines[~cells.isin(["", *field_.allowed]).to_numpy(bool)]
        message = f"is not {' or '.join(field_.allowed)}"
        findings.add(wrong, Finding("bad-environment", message), column.header)
    return cells


def _check_encoding(findings: ChunkFindings, column: Column, field_: Field, guessed: str) -> None:
    """Find texts that depend on an encoding that was only guessed."""
    if guessed:
        odd = column.lines[~pc.string_is_ascii(to_arrow(column.cells)).to_numpy(zero_copy_only=False)]
        message = f"has letters that depend on the encoding, and {guessed} was only guessed"
        record = findings.add if field_.secret else findings.warn
        record(odd, Finding("guessed-encoding", message), column.header)


# --- tokens -------------------------------------------------------------------------------------------


def _tokens(fields: Iterable[Field], cells: _Cells) -> list[Column]:
    """The columns of tokens among some fields."""
    return [cells[f.name] for f in fields if f.kind is FieldKind.TOKEN and f.name in cells]


def _secrets(provider: Provider, cells: _Cells) -> list[Column]:
    """The columns of the grower's secrets."""
    return [cells[f.name] for f in provider.grower_fields if f.secret and f.name in cells]


def _compare_with_ids(findings: ChunkFindings, token: Column, ids: pd.Series, *, swappable: bool) -> None:
    """Find tokens that are the id of their row, or swapped with it. ``swappable``: some id is not a UUID."""
    lengths, id_lengths = (np.asarray(pc.binary_length(to_arrow(cells))) for cells in (token.cells, ids))
    similar = (lengths == id_lengths) | ((lengths == _HEX_DIGITS) & (id_lengths == UUID_LENGTH))
    few = np.flatnonzero(similar & (lengths > 0))
    plain_texts = (cells.iloc[few].str.lower().str.replace("-", "") for cells in (token.cells, ids))
    same = np.equal(*(texts.to_numpy(object) for texts in plain_texts)).astype(bool)
    findings.add(token.lines[few[same]], _SAME_AS_ID, token.header)
    if swappable:
        swapped = _are_uuids(token.cells) & ~_are_uuids(ids) & (id_lengths > 0)
        findings.add(token.lines[swapped], _SWAPPED, token.header)


def _are_uuids(cells: pd.Series) -> np.ndarray:
    has_length: np.ndarray = np.asarray(pc.binary_length(to_arrow(cells))) == UUID_LENGTH
    if has_length.any():
        has_length[has_length] = cells[has_length].str.contains(UUID_PATTERN, regex=True)
    return has_length


def _uuid_tokens(tokens: Iterable[Column], numbers: np.ndarray, valid: np.ndarray) -> dict[int, bytes]:
    result: dict[int, bytes] = {}
    for token in tokens:
        few = np.flatnonzero(_are_uuids(token.cells) & valid[token.lines])
        rows = zip(numbers[token.lines[few]].tolist(), token.cells.iloc[few].tolist(), strict=True)
        result |= {row: UUID(text).bytes for row, text in rows}
    return result


def _name_counts(tokens: Iterable[Column]) -> NameCounts:
    counts: NameCounts = Counter()
    for token in tokens:
        for text in token.cells.iloc[:_SAMPLE].tolist():
            is_name = looks_like_a_name(text)
            if text and not (is_name and find_problem(text, "setting")):
                counts[token.header, is_name] += 1
    return counts


def columns_of_names(counts: NameCounts, row: int) -> pd.DataFrame:
    """Return a warning, as in `Checked`, for each column with mostly names instead of tokens.

    ``row``: the place of the warning.
    """
    message = "holds mostly names or plain words, not tokens; check that it is the right column"
    columns = [
        (row, "looks-like-a-name", column, f"{column} {message}")
        for column in dict.fromkeys(column for column, _ in counts)
        if counts[column, True] > max(counts[column, False], 1)
    ]
    return pd.DataFrame(columns, columns=list(CLEANED)) if columns else no_findings()


# --- what is kept of a row ----------------------------------------------------------------------------


@cache
def _example_words() -> np.ndarray:
    """The first numbers of the UUIDs of examples."""
    words = uuid_words(pa.array(words_of("example_ids"), pa.large_string()))
    assert words is not None  # noqa: S101  (a list of UUIDs)
    first: np.ndarray = words[:, 0]
    return first


def _payload(columns: Columns, parts: Collection[_Cells], size: int) -> pd.DataFrame:
    """The cells of all providers' rows, each in its line."""
    payload = {}
    for name in (name for name in columns.fields if name != LEAF_USER_ID):
        pieces = [part[name] for part in parts if name in part]
        if len(pieces) == 1 and len(pieces[0].lines) == size:
            payload[name] = pieces[0].cells
        else:
            cells = np.full(size, "", object)
            for piece in pieces:
                cells[piece.lines] = piece.cells
            payload[name] = text_column(cells)
    return pd.DataFrame(payload, index=range(size))


def _fingerprints(
    parts: Mapping[str, _Cells], providers: Providers, valid: np.ndarray, fingerprints: Fingerprints
) -> tuple[np.ndarray, np.ndarray]:
    """Of the grower's fields, which the ledger knows a row by; and of all that the file says about it.

    Both are of the valid rows, and the same array if the file says nothing else.
    """
    prints = np.zeros((len(valid), 2), np.uint64)
    digests = prints
    for provider, cells in parts.items():
        lines = next(iter(cells.values())).lines
        own = valid[lines]
        at = np.flatnonzero(own)
        texts = {name: to_arrow(take_cells(column.cells, at)) for name, column in cells.items()}
        names = [f.name for f in providers[provider].grower_fields]
        # An optional field without a column is the same as one that is left empty.
        of_grower = [
            texts[name] if name in texts else to_arrow(constant_column("", len(at))) for name in names
        ]
        prints[lines[own]] = fingerprints.of_columns(of_grower)
        if texts.keys() - set(names):
            digests = prints.copy() if digests is prints else digests
            digests[lines[own]] = fingerprints.of_columns(list(texts.values()))
        elif digests is not prints:
            digests[lines[own]] = prints[lines[own]]
    valid_prints = prints[valid]
    return valid_prints, valid_prints if digests is prints else digests[valid]


def _shown_ids(ids: pd.Series, valid: np.ndarray, users: UserRows | None) -> pd.Series:
    """The ids in lower case, and of what is not a UUID only what may be shown; no stand-ins."""
    lower = text_column(pc.ascii_lower(to_arrow(ids)))
    if users:
        lower = lower.mask(users.unresolved, "")
    if valid.all():
        return lower
    texts = lower.to_numpy(object, copy=True)
    texts[~valid] = [showable(text) for text in texts[~valid]]
    return text_column(texts)
