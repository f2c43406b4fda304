"""Check a chunk of text cells: valid rows, problems and warnings.

No message contains the value of a field, except of leafUserId if it is a number or similar to a UUID.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.chunk import Chunk
from bulk_onboard.domain.providers import PROVIDERS, Field, Kind, Provider, Providers, Scope, near, plain
from bulk_onboard.domain.users import UserKey
from bulk_onboard.manifest import KEPT_PREFIX
from bulk_onboard.texts import has_capitals, repeated, uuid_words
from bulk_onboard.validation.chunk_findings import NO_FINDINGS, SAID, ChunkFindings
from bulk_onboard.validation.cleaning import clean
from bulk_onboard.validation.columns import LEAF_USER_ID, PROVIDER, Columns, normal
from bulk_onboard.validation.fingerprints import Fingerprints, hex_of_valid
from bulk_onboard.validation.ids import UUID_LENGTH, check_id, is_uuid, same_as_id, shown, swapped, uuids_of
from bulk_onboard.validation.rules import (
    Cell,
    Finding,
    check_text,
    check_token,
    looks_like_a_name,
)
from bulk_onboard.validation.stand_ins import stand_in
from bulk_onboard.validation.suspects import not_ascii, suspicious_texts, suspicious_tokens
from bulk_onboard.validation.user_columns import UserRows, check_users, read_users
from bulk_onboard.validation.words import EXAMPLE_IDS

_RAGGED = Finding("ragged-row", "the row has more cells than the header has columns")
_SWAPPED = Finding("id-as-token", f"is a UUID and the {LEAF_USER_ID} is not: the two may be swapped")
# How many tokens of a chunk are examined to recognise a column of names.
_SAMPLE = 200
_EXAMPLES = uuid_words(pa.array(map(str, EXAMPLE_IDS), pa.large_string()))


@dataclass(frozen=True, slots=True)
class Checked:
    """One chunk after checking; all frames have a line per row and the same index.

    ``frame``: row, provider ("" if the row does not name one), leafUserId (canonical, or what may be shown of
    it), fingerprint (32 hex; "" if invalid), code ("" if valid), column, message, and the kept columns with
    their prefix. ``payload``: the provider fields that the file has, as they are sent, "" for those that the
    row's provider does not have. ``ids``, ``prints`` and ``digests`` (rows x 2): of the valid rows the
    grower, the fingerprint, and one over all of the payload, to recognise exact repeats.
    ``warnings``: row, code, column, message. ``problems``: the same of all that is wrong, cell by cell, where
    ``frame`` has the first problem of each row. ``names``: column -> how many of some tokens look like
    names, and how many were examined. ``uuid_tokens``: row -> the UUID that a valid row has as a token.
    ``users``: how rows identify their Leaf users, if they may do so without a leafUserId; ``ids`` has
    stand-ins for the unresolved ones, and ``frame`` no leafUserId.
    """

    frame: pd.DataFrame
    payload: pd.DataFrame
    ids: np.ndarray
    prints: np.ndarray
    digests: np.ndarray
    warnings: pd.DataFrame
    problems: pd.DataFrame
    names: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    uuid_tokens: Mapping[int, bytes] = field(default_factory=dict)
    users: UserRows | None = None

    @property
    def valid(self) -> np.ndarray:
        """A mask of the rows without a problem."""
        return (self.frame["code"] == "").to_numpy(bool)

    def by_provider(self) -> Iterator[tuple[str, np.ndarray, Checked]]:
        """Yield the rows of each provider: its name, their lines, and what was found in them."""
        names, valid = self.frame[PROVIDER].to_numpy(object), self.valid
        for name in dict.fromkeys(names):
            own = names == name
            if own.all():
                yield name, np.arange(len(own)), self
                return
            rows, prints = set(self.frame["row"][own].tolist()), self.prints[own[valid]]
            yield name, np.flatnonzero(own), Checked(
                self.frame[own].reset_index(drop=True),
                self.payload[own].reset_index(drop=True),
                self.ids[own[valid]],
                prints,
                prints if self.digests is self.prints else self.digests[own[valid]],
                self.warnings,
                self.problems,
                uuid_tokens={row: self.uuid_tokens[row] for row in rows & self.uuid_tokens.keys()},
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What the cells of a file depend on besides its columns and providers.

    ``set_fields``: by provider, app fields that the settings have, so that a cell may be blank; ``assumed``:
    by provider, those that an offline check assumes to be set. ``guessed_encoding``: the file's encoding if
    it was guessed, else "". ``default_provider``: the provider of a row whose cell for it is blank, "" for
    none. ``known_providers``: all names there are, to suggest one for a mistyped cell.
    """

    set_fields: Mapping[str, Collection[str]] = field(default_factory=dict)
    assumed: Mapping[str, Collection[str]] = field(default_factory=dict)
    guessed_encoding: str = ""
    default_provider: str = ""
    known_providers: Collection[str] = field(default_factory=lambda: PROVIDERS)


def check(
    chunk: Chunk, columns: Columns, providers: Providers, context: CheckContext, fingerprints: Fingerprints
) -> Checked:
    """Check the rows of one chunk, each by the rules of its provider.

    The chunk's cells are the columns' fields, the kept columns, the column of providers if the file has one,
    and the user columns. Without a column of providers, all rows are of the only provider.
    """
    findings, size = ChunkFindings(chunk), len(chunk.numbers)
    names, lines_of = _check_providers(findings, columns, providers, context)
    findings.add(np.flatnonzero(chunk.ragged), _RAGGED, "")
    users = read_users(chunk, columns, fingerprints) if columns.users else None
    id_cells = users.ids if users else chunk.cells[list(columns.fields).index(LEAF_USER_ID)]
    words = id_words(id_cells)
    ids = _check_ids(findings, columns, id_cells, words)
    blank = pd.Series(pd.array(repeated("", size), dtype="str"))
    payload = {name: blank for name in columns.fields if name != LEAF_USER_ID}
    if users:
        check_users(findings, columns, np.flatnonzero(users.unresolved))
    prints = digests = np.zeros((size, 2), np.uint64)
    samples: list[dict[str, tuple[int, int]]] = []
    uuid_tokens: dict[int, bytes] = {}
    for name, lines in lines_of.items():
        cells = _check_fields(findings, columns, providers[name], context, lines)
        tokens = [f.name for f in providers[name].fields if f.kind is Kind.TOKEN and f.name in cells]
        for token in tokens:
            _compare_with_ids(
                findings, cells[token], _at(ids, lines), lines, columns.names[token], swappable=words is None
            )
        valid = findings.fine[lines]
        for token in tokens:
            if token in {f.name for f in providers[name].grower_fields}:
                samples.append({columns.names[token]: _sample_names(cells[token])})
                few = np.flatnonzero((cells[token].str.len() == UUID_LENGTH).to_numpy(bool) & valid)
                uuid_tokens |= uuids_of(chunk.numbers[lines[few]].tolist(), cells[token].iloc[few].tolist())
        for each, values in cells.items():
            payload[each] = _put(payload[each], values, lines)
        own_prints, own_digests = _fingerprints(cells, valid, providers[name], fingerprints)
        if own_digests is not own_prints and digests is prints:
            digests = prints.copy()
        prints[lines[valid]] = own_prints
        digests[lines[valid]] = own_digests
    valid = findings.fine
    shown_ids = _shown_ids(ids, valid)
    if users:
        shown_ids = shown_ids.mask(users.unresolved, "")
    frame = {"row": pd.Series(chunk.numbers), PROVIDER: names, LEAF_USER_ID: shown_ids}
    frame |= {"fingerprint": hex_of_valid(prints, valid)} | findings.texts()
    for i, (kept, _) in enumerate(columns.keep, start=len(columns.fields)):
        frame[KEPT_PREFIX + kept] = chunk.cells[i]
    words = id_words(ids[valid]) if words is None else words[valid]
    assert words is not None  # noqa: S101  (the ids of valid rows are UUIDs)
    valid_prints = prints[valid]
    return Checked(
        pd.DataFrame(frame),
        pd.DataFrame(payload, index=range(size)),
        words,
        valid_prints,
        valid_prints if digests is prints else digests[valid],
        findings.warnings(),
        findings.problems(),
        merge_names(samples),
        uuid_tokens,
        users,
    )


# --- the provider of each row ------------------------------------------------------------------------


def provider_names(cells: pd.Series, providers: Collection[str], default: str = "") -> np.ndarray:
    """Return the provider's name for each cell, however it is spelled; "" for a cell that names none.

    ``default``: the provider of a blank cell.
    """
    known = {plain(name): name for name in providers}
    at, spelled = pd.factorize(cells)
    texts = (clean(text)[0] for text in spelled)
    names = [known.get(plain(text), "") if text else default for text in texts]
    return np.array(names, object)[at]


def _check_providers(
    findings: ChunkFindings, columns: Columns, providers: Providers, context: CheckContext
) -> tuple[pd.Series, dict[str, np.ndarray]]:
    """The provider of each row, and the lines of each provider."""
    chunk = findings.chunk
    if columns.provider is None:
        (name,) = providers
        lines = np.arange(len(chunk.numbers))
        return pd.Series(pd.array(repeated(name, len(lines)), dtype="str")), {name: lines}
    cells = chunk.cells[len(columns.fields) + len(columns.keep)]
    names = provider_names(cells, providers, context.default_provider)
    lost = np.flatnonzero(names == "")
    findings.add_each(lost, [_wrong_provider(cell, context) for cell in cells.iloc[lost]], PROVIDER)
    lines_of = {name: np.flatnonzero(names == name) for name in dict.fromkeys(names) if name}
    return pd.Series(names, dtype="str"), lines_of


def _wrong_provider(cell: str, context: CheckContext) -> Finding:
    text = clean(cell)[0]
    if not text:
        return Finding("missing-provider", "is empty")
    suggestion = near(text.lower(), context.known_providers)
    return Finding("unknown-provider", f"is not the name of a provider{suggestion}")


# --- one column -------------------------------------------------------------------------------------


def _check_ids(
    findings: ChunkFindings, columns: Columns, cells: pd.Series, words: np.ndarray | None
) -> pd.Series:
    """``words``: the ids as numbers if all of them are UUIDs in the usual spelling."""
    everything = np.arange(len(cells))
    if LEAF_USER_ID in columns.fields:
        column = columns.names[LEAF_USER_ID]
        findings.add_kinds(list(columns.fields).index(LEAF_USER_ID), everything, column)
    else:
        column = next(columns.user_names[by] for by in UserKey if by in columns.users)
    if words is not None:
        assert _EXAMPLES is not None  # noqa: S101  (a list of UUIDs)
        few = np.flatnonzero(np.isin(words[:, 0], _EXAMPLES[:, 0]))
        return findings.check_cells(cells, everything, few, check_id, column)
    suspects = np.flatnonzero(~is_uuid(cells) | cells.str.lower().isin(map(str, EXAMPLE_IDS)).to_numpy(bool))
    values = findings.check_cells(cells, everything, suspects, partial(_check_id, column=column), column)
    missing = Finding(f"missing-{LEAF_USER_ID}", "is empty")
    findings.add(np.flatnonzero(values == ""), missing, column)
    return values


def _check_id(text: str, column: str) -> Cell:
    cell = check_id(text)
    if cell.problem and normal(cell.value) == normal(column):
        said = "is not a UUID (this looks like a repeated header row)"
        return Cell(cell.value, Finding("bad-leaf-user-id", said))
    return cell


def _check_fields(
    findings: ChunkFindings, columns: Columns, provider: Provider, context: CheckContext, lines: np.ndarray
) -> dict[str, pd.Series]:
    """Check the provider's fields in its rows; return the cells as they are sent."""
    cells: dict[str, pd.Series] = {}
    own = {f.name: f for f in provider.fields}
    for i, name in enumerate(columns.fields):
        if name in own:
            cells[name] = _check_field(findings, i, columns.names[name], own[name], provider, context, lines)
    return cells


def _check_field(  # noqa: PLR0917
    findings: ChunkFindings,
    i: int,
    column: str,
    each: Field,
    provider: Provider,
    context: CheckContext,
    lines: np.ndarray,
) -> pd.Series:
    cells = _at(findings.chunk.cells[i], lines)
    findings.add_kinds(i, lines, column)
    if each.kind is Kind.TEXT:
        values = findings.check_cells(cells, lines, suspicious_texts(cells), check_text, column)
        _check_encoding(findings, cells, lines, each, column, context.guessed_encoding)
    else:
        secret = each.secret and each.scope is Scope.GROWER
        rule = partial(check_token, formats=each.format, secret=secret)
        values = findings.check_cells(cells, lines, suspicious_tokens(cells, each.format), rule, column)
    blank = lines[(values == "").to_numpy(bool)]
    if len(blank):
        is_set = each.scope is Scope.APP and each.name in context.set_fields.get(provider.name, ())
        if each.required and not is_set:
            findings.add(blank, Finding(f"missing-{each.name}", "is empty"), column)
        if each.name in context.assumed.get(provider.name, ()):
            said = f"is blank, and {provider.setting(each)} is not set"
            findings.warn(blank, [Finding("blank-setting", said)], column)
    if each.allowed:
        wrong = lines[~values.isin(["", *each.allowed]).to_numpy(bool)]
        findings.add(wrong, Finding("bad-environment", f"is not {' or '.join(each.allowed)}"), column)
    return values


def _check_encoding(  # noqa: PLR0917
    findings: ChunkFindings, cells: pd.Series, lines: np.ndarray, each: Field, column: str, guessed: str
) -> None:
    """Whether a text depends on an encoding that was only guessed."""
    if not guessed:
        return
    odd = lines[not_ascii(cells)]
    said = f"has letters that depend on the encoding, and {guessed} was only guessed"
    if each.secret:
        findings.add(odd, Finding("guessed-encoding", said), column)
    else:
        findings.warn(odd, [Finding("guessed-encoding", said)], column)


def _compare_with_ids(
    findings: ChunkFindings,
    tokens: pd.Series,
    ids: pd.Series,
    lines: np.ndarray,
    column: str,
    *,
    swappable: bool,
) -> None:
    """Find tokens that are the id of their row, or in its place. ``swappable``: some id is not a UUID."""
    same = lines[same_as_id(tokens, ids)]
    findings.add(same, Finding("id-as-token", f"is the {LEAF_USER_ID} of the row"), column)
    if swappable:
        findings.add(lines[swapped(tokens, ids)], _SWAPPED, column)


def _sample_names(cells: pd.Series) -> tuple[int, int]:
    sample = [text for text in cells.iloc[:_SAMPLE].tolist() if text and not stand_in(text)]
    return sum(map(looks_like_a_name, sample)), len(sample)


def merge_names(parts: Iterable[Mapping[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    """The counts of `Checked.names`, added up."""
    found: dict[str, tuple[int, int]] = {}
    for part in parts:
        for column, (like, examined) in part.items():
            before = found.get(column, (0, 0))
            found[column] = (before[0] + like, before[1] + examined)
    return found


def columns_of_names(names: Mapping[str, tuple[int, int]], row: int) -> pd.DataFrame:
    """A warning, as in `Checked`, for each column with mostly names instead of tokens; ``row``: its place."""
    said = "holds mostly names or plain words, not tokens; check that it is the right column"
    found = [
        (row, "looks-like-a-name", column, f"{column} {said}")
        for column, (like, examined) in names.items()
        if examined > 2 and like > examined / 2
    ]
    return pd.DataFrame(found, columns=["row", *SAID]) if found else NO_FINDINGS.copy(deep=False)


def id_words(ids: pd.Series) -> np.ndarray | None:
    """The ids as two numbers each, None if some are not UUIDs in the usual spelling."""
    return uuid_words(pa.array(ids, pa.large_string()))


# --- what is kept of a row --------------------------------------------------------------------------


def _at(column: pd.Series, lines: np.ndarray) -> pd.Series:
    """The values at these lines."""
    return column if len(lines) == len(column) else column.iloc[lines].reset_index(drop=True)


def _put(column: pd.Series, values: pd.Series, lines: np.ndarray) -> pd.Series:
    """A column with these values at these lines."""
    if len(lines) == len(column):
        return values
    cells = column.to_numpy(object, copy=True)
    cells[lines] = values
    return pd.Series(cells, dtype="str")


def _fingerprints(
    cells: Mapping[str, pd.Series], valid: np.ndarray, provider: Provider, fingerprints: Fingerprints
) -> tuple[np.ndarray, np.ndarray]:
    """Of the grower's fields, which the ledger knows a row by; and of all that the file says about it."""
    columns = {name: pa.array(values[valid], pa.large_string()) for name, values in cells.items()}
    names = [f.name for f in provider.grower_fields]
    # An optional field without a column is the same as one that is left empty.
    blank = pa.repeat(pa.scalar("", pa.large_string()), int(valid.sum()))
    prints = fingerprints.of_columns([columns.get(name, blank) for name in names])
    if not columns.keys() - set(names):
        return prints, prints
    return prints, fingerprints.of_columns(list(columns.values()))


def _shown_ids(ids: pd.Series, valid: np.ndarray) -> pd.Series:
    """In lower case, and of what is not a UUID only what may be shown."""
    lower = ids.str.lower() if has_capitals(pa.array(ids, pa.large_string())) else ids
    wrong = np.flatnonzero(~valid)
    if not len(wrong):
        return lower
    texts = lower.tolist()
    for i in wrong:
        texts[i] = shown(texts[i])
    return pd.Series(texts, dtype="str")
