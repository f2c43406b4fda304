"""Match columns to fields: by name, ignoring case, spaces, ``_`` and ``-``, or by --map."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.domain.users import USER_FIELDS, UserKey
from bulk_onboard.errors import HeaderError, InputError, UsageError
from bulk_onboard.validation.likely_columns import (
    MOST,
    UUID,
    Rows,
    column_of,
    is_plain_name,
    likely_columns,
    may_be_value,
    resembles_field,
    why_likely,
)

LEAF_USER_ID = "leafUserId"
PROVIDER = "provider"
# Control characters, soft hyphens, zero-width characters and direction marks.
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_INVISIBLE = re.compile(f"[{_UNSEEN}]+")
_IGNORED = re.compile(rf"[\s_\-{_UNSEEN}\"'`\u00b4\u2018-\u201f\u00ab\u00bb]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The positions of the fields in a header.

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


def normalize(header: str) -> str:
    """Return a header without spaces, case, punctuation and invisible characters, for comparison."""
    return _IGNORED.sub("", header).casefold()


def provider_column(header: Sequence[str], mapping: Mapping[str, str], name: str = "the file") -> int | None:
    """Return the position of the column with the provider of each row. Raises InputError if there are two."""
    mapped = _mapped(PROVIDER, mapping)
    places = _places(header, PROVIDER, mapped)
    if len(places) > 1:
        raise InputError(f"{name}: {_ambiguous(PROVIDER, header, places)}")
    if mapped and not places:
        raise InputError(f"{name}: --map {PROVIDER}={mapped[PROVIDER]}: the file has no such column")
    return places[0] if places else None


def id_column(header: Sequence[str], mapping: Mapping[str, str]) -> int | None:
    """Return the position of the column with the growers' ids; None if there is none, or several."""
    places = _places(header, LEAF_USER_ID, _mapped(LEAF_USER_ID, mapping))
    return places[0] if len(places) == 1 else None


def _mapped(field: str, mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the mapping for one field."""
    return next(
        ({field: column} for name, column in mapping.items() if normalize(name) == normalize(field)), {}
    )


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

    Raises InputError with all problems of the header, and UsageError for an option that does not fit it.
    """
    own = list({field.name: field for provider in providers for field in provider.fields})
    mapped, by_provider = _mapped_fields(providers, own, mapping), provider_column(header, mapping, name)
    places = {field: _places(header, field, mapped) for field in [LEAF_USER_ID, *own]}
    user_places = {field: _places(header, field, mapped) for field in USER_FIELDS} if users else {}
    fields, user_fields = (
        {field: at[0] for field, at in positions.items() if len(at) == 1}
        for positions in (places, user_places)
    )
    needed = {field: by for field in [LEAF_USER_ID, *own] if (by := _needed_by(field, providers))}
    if any(key in user_fields for key in UserKey):
        del needed[LEAF_USER_ID]
    missing = [field for field in needed if not places[field]]
    problems = [
        _missing(field, header, needed[field] if len(providers) > 1 else (), users=users)
        for field in missing
        if field not in mapped
    ]
    for field, at in [*user_places.items(), *places.items()]:
        if len(at) > 1:
            problems.append(_ambiguous(field, header, at))
        elif not at and field in mapped:
            problems.append(f"--map {field}={mapped[field]}: the file has no such column")
    provider_field = {} if by_provider is None else {PROVIDER: by_provider}
    problems += _mapped_twice(header, fields | provider_field)
    extra = _keep(header, [f for provider in providers for f in provider.fields], fields, keep, problems)
    if problems and not fields and (holds_data(header) or _is_nameless(header[:MOST])):
        grower_fields = dict.fromkeys(f.name for provider in providers for f in provider.grower_fields)
        raise InputError(no_header(name, [LEAF_USER_ID, *grower_fields]))
    if problems:
        taken = [*fields.values(), *user_fields.values(), *provider_field.values()]
        rows = sample() if missing else ()
        likely = likely_columns(missing, header, taken, rows, LEAF_USER_ID)
        raise _header_error(name, place, header, problems=problems, missing=missing, likely=likely, rows=rows)
    names, user_names = ({field: header[at] for field, at in f.items()} for f in (fields, user_fields))
    return Columns(fields, names, extra, by_provider, user_fields, user_names)


def _header_error(
    name: str,
    place: str,
    header: Sequence[str],
    *,
    problems: Sequence[str],
    missing: Sequence[str],
    likely: Mapping[str, int],
    rows: Rows,
) -> HeaderError:
    """Return the message about a header: its problems, its columns, and likely columns for missing fields."""
    suggested = {f: visible(header[at]) for f, at in likely.items()}
    # A name that --map could not match is not suggested.
    suggested = {f: column for f, column in suggested.items() if _exact(header, column) == [likely[f]]}
    columns = "The columns are"
    if place:
        other = " (--header-row N takes another)" if missing else ""
        columns = f"{place[:1].upper()}{place[1:]} was taken as the header{other}; its columns are"
    known = bool(likely) or any(map(resembles_field, header[:MOST]))
    sentences = ["; ".join(problems), f"{columns}: {_listed(header, known=known)}"]
    if suggested:
        why = {f: why_likely(f, header[at], column_of(rows, at), LEAF_USER_ID) for f, at in likely.items()}
        sentences.append(", ".join(f"{column!r} may be {f} ({why[f]})" for f, column in suggested.items()))
    solved = len(suggested) == len(missing) == len(problems)
    return HeaderError(f"{name}: {'. '.join(sentences)}", suggested if solved else {})


def holds_data(header: Sequence[str]) -> bool:
    """Return whether a row contains a UUID, so that it is a row of growers rather than of names."""
    return any(UUID.search(cell) for cell in header)


def _is_nameless(header: Sequence[str]) -> bool:
    """Return whether a cell is a value, such as an email address, and no cell is certainly a name."""
    return any(map(may_be_value, header)) and not any(
        resembles_field(cell) or is_plain_name(cell) for cell in header if cell
    )


def no_header(name: str, fields: Sequence[str] = (LEAF_USER_ID,)) -> str:
    """Return the message for a file that begins with a grower."""
    listed = ", ".join(fields)
    return (
        f"{name} has no header: its first row holds data. Add a row with column names above it: {listed};"
        " or use --header-row 0, which calls the columns 'column A', 'column B' and so on"
    )


def _mapped_fields(
    providers: Sequence[Provider], fields: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, str]:
    names = {normalize(name): name for name in (*USER_FIELDS, LEAF_USER_ID, *fields, PROVIDER)}
    unknown = [field for field in mapping if normalize(field) not in names]
    if unknown:
        listed = ", ".join((LEAF_USER_ID, *fields, PROVIDER))
        named = ", ".join(provider.name for provider in providers)
        have, their = ("have", "their") if len(providers) > 1 else ("has", "its")
        raise UsageError(f"--map {unknown[0]}=…: {named} {have} no such field; {their} fields are {listed}")
    return {names[normalize(field)]: column for field, column in mapping.items()}


def _places(header: Sequence[str], field: str, mapped: Mapping[str, str]) -> list[int]:
    """The columns of a field: of the name that --map gives for it, or else of its own."""
    return _exact(header, mapped[field]) if field in mapped else _of_name(header, field)


def _of_name(header: Sequence[str], wanted: str) -> list[int]:
    return [i for i, name in enumerate(header) if name and normalize(name) == normalize(wanted)]


def columns_by_name(header: Sequence[str], fields: Iterable[str]) -> dict[str, int]:
    """Return, by field, the position of the only column that has its name."""
    return {field: places[0] for field in fields if len(places := _of_name(header, field)) == 1}


def _exact(header: Sequence[str], wanted: str) -> list[int]:
    """The columns of a name that a user wrote; the exact spelling wins."""
    return [list(header).index(wanted)] if header.count(wanted) == 1 else _of_name(header, wanted)


def _needed_by(field: str, providers: Sequence[Provider]) -> list[str]:
    """Return the names of the providers with rows that need a field."""
    if field == LEAF_USER_ID:
        return ["every row"]
    return [p.name for p in providers if any(f.name == field and f.required for f in p.grower_fields)]


def _missing(field: str, header: Sequence[str], by: Sequence[str], *, users: bool) -> str:
    """``by``: names of the providers that need it, if there are others that do not."""
    need = "needs" if len(by) == 1 else "need"
    text = f"the column {field} is missing" + (f", which {' and '.join(by)} {need}" if by else "")
    if field != LEAF_USER_ID:
        return text
    names = {normalize(name) for name in header if name}
    ways = [by.value for by in UserKey if normalize(by) in names]
    if users:
        return f"{text}, and so are {' and '.join(UserKey)}, which --create-users looks growers up by"
    return f"{text}; to have growers looked up by {' or '.join(ways)}, add --create-users" if ways else text


def _ambiguous(field: str, header: Sequence[str], positions: Sequence[int]) -> str:
    names = " and ".join(f"{header[i]!r} (column {i + 1})" for i in positions)
    if len({header[i] for i in positions}) < len(positions):  # --map could not distinguish them
        return f"{names} are both {field}; remove or rename one"
    return f"{names} are both {field}; remove one, or choose one with --map {field}=COLUMN"


def _mapped_twice(header: Sequence[str], fields: Mapping[str, int]) -> list[str]:
    """Return the columns that --map assigns twice: an id must not be sent as a secret by mistake."""
    by_place: dict[int, list[str]] = {}
    for field, place in fields.items():
        by_place.setdefault(place, []).append(field)
    return [
        f"--map assigns the column {visible(header[place])!r} to both {' and '.join(several)}"
        for place, several in by_place.items()
        if len(several) > 1
    ]


def _keep(
    header: Sequence[str],
    known: Sequence[Field],
    fields: Mapping[str, int],
    keep: Sequence[str],
    problems: list[str],
) -> tuple[tuple[str, int], ...]:
    secret = {fields[f.name]: f.name for f in known if f.secret and f.name in fields}
    result: dict[int, str] = {}
    for name in keep:
        positions = _exact(header, name)
        if not positions:
            problems.append(f"--keep {name}: the file has no such column")
        elif len(positions) > 1:
            places = " and ".join(str(i + 1) for i in positions)
            problems.append(f"--keep {name}: columns {places} have this name")
        elif positions[0] in secret:
            raise UsageError(f"--keep {name}: {secret[positions[0]]} is secret and must not be in a report")
        else:
            result[positions[0]] = header[positions[0]]
    return tuple((name, i) for i, name in result.items())


def _listed(header: Sequence[str], *, known: bool) -> str:
    """The names of the columns, which --map needs. ``known``: it is a header, so that words are names."""
    shown = [_shown(name, i, known=known) for i, name in enumerate(header[:MOST], 1)]
    more = [f"… and {len(header) - MOST:,} more"] if len(header) > MOST else []
    return ", ".join(shown + more) or "none"


def _shown(name: str, number: int, *, known: bool) -> str:
    """Return a column's name for messages: without a header it is data, which may be a secret."""
    if may_be_value(name) if known else not is_plain_name(name):
        return f"(column {number}: looks like a value, not shown)"
    return visible(name) or "(empty)"


def visible(name: str) -> str:
    """Return a name without control and invisible characters, on one line."""
    return " ".join("".join(" " if c < " " else _INVISIBLE.sub("", c) for c in name).split())
