"""Which column holds which field: by name, whatever its case, spaces, ``_`` and ``-``, or by --map."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.domain.users import USER_FIELDS, UserKey
from bulk_onboard.errors import HeaderError, InputError, UsageError
from bulk_onboard.validation.likely_columns import (
    MOST,
    UUID,
    Rows,
    is_plain_name,
    likely_columns,
    may_be_value,
    resembles_field,
)

LEAF_USER_ID = "leafUserId"
PROVIDER = "provider"
# Control characters, soft hyphens, zero-width characters and direction marks.
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_INVISIBLE = re.compile(f"[{_UNSEEN}]+")
_IGNORED = re.compile(rf"[\s_\-{_UNSEEN}\"'`\u00b4\u2018-\u201f\u00ab\u00bb]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the fields are in a header.

    ``fields``: field name -> position; ``names``: field name -> header as the file spells it; ``keep``:
    header and position of the columns that are carried into the results; ``provider``: position of the
    column with the provider of each row, None if there is none. ``users`` and ``user_names``: the same as
    ``fields`` and ``names`` for what a Leaf user is looked up by or created with, if that is wanted.
    """

    fields: Mapping[str, int]
    names: Mapping[str, str]
    keep: tuple[tuple[str, int], ...]
    provider: int | None = None
    users: Mapping[str, int] = dataclasses.field(default_factory=dict)
    user_names: Mapping[str, str] = dataclasses.field(default_factory=dict)


def normal(header: str) -> str:
    """A header without spaces, case, punctuation and invisible characters, for comparison."""
    return _IGNORED.sub("", header).casefold()


def provider_column(header: Sequence[str], mapping: Mapping[str, str], name: str = "the file") -> int | None:
    """The position of the column with the provider of each row. Raises InputError if there are two."""
    asked = next((column for field, column in mapping.items() if normal(field) == PROVIDER), None)
    found = _positions(header, asked or PROVIDER, exact=asked is not None)
    if len(found) > 1:
        raise InputError(f"{name}: {_ambiguous(PROVIDER, header, found)}")
    if asked and not found:
        raise InputError(f"{name}: --map {PROVIDER}={asked}: the file has no such column")
    return found[0] if found else None


def id_column(header: Sequence[str], mapping: Mapping[str, str]) -> int | None:
    """The position of the column with the growers' ids; None if there is none, or several."""
    mapped = next(
        (column for field, column in mapping.items() if normal(field) == normal(LEAF_USER_ID)), None
    )
    found = _positions(header, mapped or LEAF_USER_ID, exact=mapped is not None)
    return found[0] if len(found) == 1 else None


def match_header(
    header: Sequence[str],
    providers: Sequence[Provider],
    *,
    mapping: Mapping[str, str],
    keep: Sequence[str],
    name: str = "the file",
    place: str = "",
    users: bool = False,
    sample: Callable[[], Rows] = tuple,
) -> Columns:
    """Find the fields in a header.

    ``providers``: those that the rows go to; a column is needed if one of them needs it. ``mapping``: field
    -> column. ``name``: the file's, ``place``: the header's, such as ``row 2 of sheet 'Growers'``; both for
    messages. ``users``: rows may identify their grower by an externalId or an email instead of a leafUserId.
    ``sample``: called for some rows when a column is missing, to see what their cells look like.

    Raises InputError with all that is wrong with the header, UsageError for an option that cannot be meant.
    """
    own = list({field.name: field for provider in providers for field in provider.fields})
    asked, by_provider = _asked(providers, own, mapping), provider_column(header, mapping, name)
    search = _Search(header, asked)
    persons = search.find(USER_FIELDS) if users else {}
    fields = search.find([LEAF_USER_ID, *own])
    needed = {field: by for field in [LEAF_USER_ID, *own] if (by := _needed_by(field, providers))}
    if any(by in persons for by in UserKey):
        del needed[LEAF_USER_ID]
    missing = [field for field in needed if field not in fields and field not in search.doubled]
    problems = [
        _missing(field, header, needed[field] if len(providers) > 1 else (), users=users)
        for field in missing
        if field not in asked
    ]
    problems += search.problems
    problems += _doubled(header, fields | ({} if by_provider is None else {PROVIDER: by_provider}))
    kept = _keep(header, [f for provider in providers for f in provider.fields], fields, keep, problems)
    if problems and not fields and (holds_data(header) or _is_nameless(header[:MOST])):
        grower_fields = dict.fromkeys(f.name for provider in providers for f in provider.grower_fields)
        raise InputError(no_header(name, [LEAF_USER_ID, *grower_fields]))
    if problems:
        taken = [*fields.values(), *persons.values(), *([] if by_provider is None else [by_provider])]
        likely = likely_columns(missing, header, taken, sample() if missing else (), LEAF_USER_ID)
        raise _header_error(name, place, header, problems=problems, missing=missing, likely=likely)
    names, user_names = ({field: header[i] for field, i in each.items()} for each in (fields, persons))
    return Columns(fields, names, kept, by_provider, persons, user_names)


class _Search:
    """Looks for fields in a header. ``problems``: what is wrong; ``doubled``: fields with several columns."""

    def __init__(self, header: Sequence[str], asked: Mapping[str, str]) -> None:
        self._header, self._asked = header, asked
        self.problems: list[str] = []
        self.doubled: set[str] = set()

    def find(self, names: Sequence[str]) -> dict[str, int]:
        """Field -> position."""
        found: dict[str, int] = {}
        for field in names:
            positions = _positions(self._header, self._asked.get(field, field), exact=field in self._asked)
            if len(positions) == 1:
                found[field] = positions[0]
            elif positions:
                self.doubled.add(field)
                self.problems.append(_ambiguous(field, self._header, positions))
            elif field in self._asked:
                self.problems.append(f"--map {field}={self._asked[field]}: the file has no such column")
        return found


def _header_error(
    name: str,
    place: str,
    header: Sequence[str],
    *,
    problems: Sequence[str],
    missing: Sequence[str],
    likely: Mapping[str, int],
) -> HeaderError:
    """What is wrong with a header, which columns it has, and which of them the missing fields may be in."""
    suggested = {field: visible(header[at]) for field, at in likely.items() if _is_mappable(header, at)}
    guesses = ", ".join(f"{column!r} may be {field}" for field, column in suggested.items())
    columns = (
        f"{place[:1].upper()}{place[1:]} was taken as the header; its columns are"
        if place
        else "The columns are"
    )
    known = bool(likely) or any(map(resembles_field, header[:MOST]))
    text = ". ".join(
        ["; ".join(problems), f"{columns}: {_listed(header, known=known)}", *filter(None, [guesses])]
    )
    solved = len(suggested) == len(missing) == len(problems)
    return HeaderError(f"{name}: {text}", suggested if solved else {})


def _is_mappable(header: Sequence[str], at: int) -> bool:
    """Whether --map can name the column."""
    return _positions(header, visible(header[at]), exact=True) == [at]


def holds_data(header: Sequence[str]) -> bool:
    """Whether a row contains a UUID, so that it is a row of growers rather than of names."""
    return any(UUID.search(cell) for cell in header)


def _is_nameless(header: Sequence[str]) -> bool:
    """Whether a cell is a value, such as an email address, and none is surely a name."""
    return any(map(may_be_value, header)) and not any(
        resembles_field(cell) or is_plain_name(cell) for cell in header if cell
    )


def no_header(name: str, fields: Sequence[str] = (LEAF_USER_ID,)) -> str:
    """The message for a file that begins with a grower."""
    listed = ", ".join(fields)
    return f"{name} has no header: its first row holds data. Add a row with column names above it: {listed}"


def _asked(
    providers: Sequence[Provider], fields: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, str]:
    names = {normal(name): name for name in (*USER_FIELDS, LEAF_USER_ID, *fields, PROVIDER)}
    unknown = [field for field in mapping if normal(field) not in names]
    if unknown:
        listed = ", ".join((LEAF_USER_ID, *fields, PROVIDER))
        named = ", ".join(provider.name for provider in providers)
        have, their = ("have", "their") if len(providers) > 1 else ("has", "its")
        raise UsageError(f"--map {unknown[0]}=…: {named} {have} no such field; {their} fields are {listed}")
    return {names[normal(field)]: column for field, column in mapping.items()}


def _positions(header: Sequence[str], wanted: str, *, exact: bool) -> list[int]:
    """Columns of this name; of a mapped one, the exact spelling wins."""
    if exact and header.count(wanted) == 1:
        return [list(header).index(wanted)]
    return [i for i, name in enumerate(header) if name and normal(name) == normal(wanted)]


def _needed_by(field: str, providers: Sequence[Provider]) -> list[str]:
    """The names of the providers whose rows need a field."""
    if field == LEAF_USER_ID:
        return ["every row"]
    return [p.name for p in providers if any(f.name == field and f.required for f in p.grower_fields)]


def _missing(field: str, header: Sequence[str], by: Sequence[str], *, users: bool) -> str:
    """``by``: names of the providers that need it, if there are others that do not."""
    need = "needs" if len(by) == 1 else "need"
    text = f"the column {field} is missing" + (f", which {' and '.join(by)} {need}" if by else "")
    if field != LEAF_USER_ID:
        return text
    names = {normal(name) for name in header if name}
    ways = [by.value for by in UserKey if normal(by) in names]
    if users:
        return f"{text}, and so are {' and '.join(UserKey)}, which --create-users looks growers up by"
    return f"{text}; to have growers looked up by {' or '.join(ways)}, add --create-users" if ways else text


def _ambiguous(field: str, header: Sequence[str], found: Sequence[int]) -> str:
    names = " and ".join(f"{header[i]!r} (column {i + 1})" for i in found)
    return f"{names} are both {field}; remove one, or choose one with --map {field}=COLUMN"


def _doubled(header: Sequence[str], fields: Mapping[str, int]) -> list[str]:
    """A grower's id must not be sent as the grower's secret because of a slip in --map."""
    users: dict[int, list[str]] = {}
    for field, position in fields.items():
        users.setdefault(position, []).append(field)
    return [
        f"--map assigns the column {visible(header[position])!r} to both {' and '.join(both)}"
        for position, both in users.items()
        if len(both) > 1
    ]


def _keep(
    header: Sequence[str],
    known: Sequence[Field],
    fields: Mapping[str, int],
    keep: Sequence[str],
    problems: list[str],
) -> tuple[tuple[str, int], ...]:
    secret = {fields[f.name]: f.name for f in known if f.secret and f.name in fields}
    kept: dict[int, str] = {}
    for name in keep:
        found = _positions(header, name, exact=True)
        if not found:
            problems.append(f"--keep {name}: the file has no such column")
        elif len(found) > 1:
            problems.append(
                f"--keep {name}: columns {' and '.join(str(i + 1) for i in found)} have this name"
            )
        elif found[0] in secret:
            raise UsageError(f"--keep {name}: {secret[found[0]]} is secret and must not be in a report")
        else:
            kept[found[0]] = header[found[0]]
    return tuple((name, i) for i, name in kept.items())


def _listed(header: Sequence[str], *, known: bool) -> str:
    """The names of the columns, which --map needs. ``known``: it is a header, so that words are names."""
    shown = [_shown(name, i, known=known) for i, name in enumerate(header[:MOST], 1)]
    more = [f"… and {len(header) - MOST:,} more"] if len(header) > MOST else []
    return ", ".join(shown + more) or "none"


def _shown(name: str, number: int, *, known: bool) -> str:
    """A file without a header has data in place of names, which may be a secret."""
    if may_be_value(name) if known else not is_plain_name(name):
        return f"(column {number}: looks like a value, not shown)"
    return visible(name) or "(empty)"


def visible(name: str) -> str:
    """A name without control and invisible characters, on one line."""
    return " ".join("".join(" " if c < " " else _INVISIBLE.sub("", c) for c in name).split())
