"""Which column holds which field: by name, whatever its case, spaces, ``_`` and ``-``, or by --map."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.errors import InputError, UsageError
from bulk_onboard.newcomers import FIELDS, By

LEAF_USER_ID = "leafUserId"
PROVIDER = "provider"
_IGNORED = re.compile(
    r"[\s_\-\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2060\ufeff\"'`\u2018\u2019\u201c\u201d]+"
)
_CONTROL = r"[\x00-\x1f\x7f-\x9f]+"
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the fields stand.

    ``fields``: field name -> position; ``names``: field name -> header as the file spells it; ``keep``:
    header and position of the columns that are carried into the results; ``provider``: position of the
    column that says which provider a row goes to, None if there is none. ``users`` and ``user_names``: the
    same as ``fields`` and ``names`` of what a Leaf user is looked up by or created with, where that is
    wanted.
    """

    fields: Mapping[str, int]
    names: Mapping[str, str]
    keep: tuple[tuple[str, int], ...]
    provider: int | None = None
    users: Mapping[str, int] = dataclasses.field(default_factory=dict)
    user_names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def of(self, provider: Provider) -> Columns:
        """Those that matter to the rows of one provider."""
        names = {LEAF_USER_ID, *(each.name for each in provider.fields)}
        return replace(self, fields={name: at for name, at in self.fields.items() if name in names})


def normal(header: str) -> str:
    """A header without what does not matter in it."""
    return _IGNORED.sub("", header).casefold()


def provider_column(header: Sequence[str], mapping: Mapping[str, str], name: str = "the file") -> int | None:
    """Where the column stands that says which provider a row goes to. Raises InputError if there are two."""
    asked = next((column for field, column in mapping.items() if normal(field) == PROVIDER), None)
    found = _positions(header, asked or PROVIDER, exact=asked is not None)
    if len(found) > 1:
        raise InputError(f"{name}: {_ambiguous(PROVIDER, header, found)}")
    if asked and not found:
        raise InputError(f"{name}: --map {PROVIDER}={asked}: there is no such column")
    return found[0] if found else None


def id_column(header: Sequence[str], mapping: Mapping[str, str]) -> int | None:
    """Where the column of the growers' ids is, None if there is none, or several."""
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
    users: bool = False,
) -> Columns:
    """Find the fields in a header. ``mapping``: field -> column; ``name``: the file's, for messages.

    ``providers``: those that the rows go to. A column is needed if one of them needs it. ``users``: rows may
    name their grower by an externalId or an email, so there need not be a leafUserId.

    Raises InputError that tells all that is wrong with the file's header at once, UsageError for an option
    that cannot be meant.
    """
    own = list({field.name: field for provider in providers for field in provider.fields})
    asked, by_provider = _asked(providers, own, mapping), provider_column(header, mapping, name)
    problems: list[str] = []
    fields: dict[str, int] = {}
    persons = _users(header, asked, problems) if users else {}
    for field in (LEAF_USER_ID, *own):
        found = _positions(header, asked.get(field, field), exact=field in asked)
        if len(found) > 1:
            problems.append(_ambiguous(field, header, found))
        elif found:
            fields[field] = found[0]
        elif field in asked:
            problems.append(f"--map {field}={asked[field]}: there is no such column")
        elif field == LEAF_USER_ID and any(by in persons for by in By):
            continue
        elif by := _needed_by(field, providers):
            problems.append(_missing(field, header, by if len(providers) > 1 else (), users=users))
    problems += _doubled(header, fields | ({} if by_provider is None else {PROVIDER: by_provider}))
    kept = _keep(header, [f for provider in providers for f in provider.fields], fields, keep, problems)
    if problems and not fields and holds_data(header):
        needed = dict.fromkeys(f.name for provider in providers for f in provider.grower_fields)
        raise InputError(no_header(name, [LEAF_USER_ID, *needed]))
    if problems:
        raise InputError(f"{name}: {'; '.join(problems)}. The columns are: {_listed(header)}")
    names, user_names = ({field: header[i] for field, i in each.items()} for each in (fields, persons))
    return Columns(fields, names, kept, by_provider, persons, user_names)


def _users(header: Sequence[str], asked: Mapping[str, str], problems: list[str]) -> dict[str, int]:
    """Where the columns stand that tell of a user."""
    found: dict[str, int] = {}
    for name in FIELDS:
        at = _positions(header, asked.get(name, name), exact=name in asked)
        if len(at) > 1:
            problems.append(_ambiguous(name, header, at))
        elif at:
            found[name] = at[0]
        elif name in asked:
            problems.append(f"--map {name}={asked[name]}: there is no such column")
    return found


def holds_data(header: Sequence[str]) -> bool:
    """Whether it is a row of growers rather than of names."""
    return any(_UUID.search(cell) for cell in header)


def no_header(name: str, fields: Sequence[str] = (LEAF_USER_ID,)) -> str:
    """What to say of a file that begins with a grower."""
    return f"{name} has no header: its first row holds data; put column names above it: {', '.join(fields)}"


def _asked(
    providers: Sequence[Provider], fields: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, str]:
    names = {normal(name): name for name in (*FIELDS, LEAF_USER_ID, *fields, PROVIDER)}
    unknown = [field for field in mapping if normal(field) not in names]
    if unknown:
        listed, who = (
            ", ".join((LEAF_USER_ID, *fields, PROVIDER)),
            ", ".join(provider.name for provider in providers),
        )
        verb, whose = ("have", "their") if len(providers) > 1 else ("has", "its")
        raise UsageError(f"--map {unknown[0]}=…: {who} {verb} no such field; {whose} fields are {listed}")
    return {names[normal(field)]: column for field, column in mapping.items()}


def _positions(header: Sequence[str], wanted: str, *, exact: bool) -> list[int]:
    """Columns of this name; of a mapped one, the exact spelling wins."""
    if exact and header.count(wanted) == 1:
        return [list(header).index(wanted)]
    return [i for i, name in enumerate(header) if name and normal(name) == normal(wanted)]


def _needed_by(field: str, providers: Sequence[Provider]) -> list[str]:
    """Whose rows cannot do without a field: names of providers."""
    if field == LEAF_USER_ID:
        return ["every row"]
    return [p.name for p in providers if any(f.name == field and f.required for f in p.grower_fields)]


def _missing(field: str, header: Sequence[str], by: Sequence[str], *, users: bool) -> str:
    """``by``: names of the providers that need it, if there are others that do not."""
    need = "needs" if len(by) == 1 else "need"
    said = f"the column {field} is missing" + (f", which {' and '.join(by)} {need}" if by else "")
    spelled = {normal(name): name for name in header if name}
    near = get_close_matches(normal(field), spelled, n=1, cutoff=0.7)
    if not near and field == LEAF_USER_ID:
        return said + _or_looked_up(spelled, users=users)
    if not near:
        return said
    name = re.sub(_CONTROL, " ", spelled[near[0]])
    option = f'"{field}={name}"' if " " in name else f"{field}={name}"
    return f"{said}; if {name!r} is it, add --map {option}"


def _or_looked_up(spelled: Mapping[str, str], *, users: bool) -> str:
    """What to do instead of naming growers by their ids, where the file can do that."""
    ways = [by.value for by in By if normal(by) in spelled]
    if users:
        return f", and so are {' and '.join(By)}, which --create-users looks growers up by"
    return f"; to have growers looked up by {' or '.join(ways)}, add --create-users" if ways else ""


def _ambiguous(field: str, header: Sequence[str], found: Sequence[int]) -> str:
    names = " and ".join(f"{header[i]!r} (column {i + 1})" for i in found)
    return f"{names} are both {field}; remove one, or say which with --map {field}=COLUMN"


def _doubled(header: Sequence[str], fields: Mapping[str, int]) -> list[str]:
    """A grower's name must not be sent as the grower's secret because of a slip in --map."""
    users: dict[int, list[str]] = {}
    for field, position in fields.items():
        users.setdefault(position, []).append(field)
    return [
        f"--map makes one column, {_short(header[position])}, both {' and '.join(both)}"
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
            problems.append(f"--keep {name}: there is no such column")
        elif len(found) > 1:
            problems.append(
                f"--keep {name}: columns {' and '.join(str(i + 1) for i in found)} have this name"
            )
        elif found[0] in secret:
            raise UsageError(f"--keep {name}: {secret[found[0]]} is secret, and no report may hold it")
        else:
            kept[found[0]] = header[found[0]]
    return tuple((name, i) for i, name in kept.items())


def _listed(header: Sequence[str]) -> str:
    shown = [_short(name) for name in header[:SHOWN]]
    more = [f"… and {len(header) - SHOWN} more"] if len(header) > SHOWN else []
    return ", ".join(shown + more) or "none"


def _short(name: str) -> str:
    """A file without a header has data here, which may be a secret: long words are cut."""
    clean = re.sub(_CONTROL, " ", name)
    if not clean:
        return "(empty)"
    return clean if len(clean) <= 30 and not _looks_secret(clean) else clean[:4] + "…"


def _looks_secret(text: str) -> bool:
    return len(text) >= 16 and " " not in text and any(c.isdigit() for c in text)
