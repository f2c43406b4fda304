"""Files whose rows go to several providers: split, worked on as if each were a file, and put together. Pure.

A file without a column of providers never comes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from bulk_onboard.compare import Compared, Keys, compare
from bulk_onboard.domain.chunk import Chunk
from bulk_onboard.domain.providers import PROVIDERS, Providers, near, plain
from bulk_onboard.growers import Growers, nobody
from bulk_onboard.manifest import KEPT_PREFIX
from bulk_onboard.model import IfExists
from bulk_onboard.repeats import InMemory, NewColumn, Repeats, Sightings
from bulk_onboard.validation.check import Checked, Surroundings, check, merge_names
from bulk_onboard.validation.cleaning import clean
from bulk_onboard.validation.columns import LEAF_USER_ID, PROVIDER, Columns
from bulk_onboard.validation.fingerprints import Fingerprints
from bulk_onboard.validation.ids import shown


class Part(NamedTuple):
    """The rows of a chunk that go to one provider, "" for those that go nowhere, and their lines in it."""

    provider: str
    lines: np.ndarray
    checked: Checked


@dataclass(frozen=True, slots=True)
class Going:
    """Where rows go. ``providers``: where they may; ``otherwise``: the one for a blank cell, "" for none.

    ``known``: all there are, to tell which one was perhaps meant.
    """

    providers: Providers
    otherwise: str = ""
    known: Providers = field(default_factory=lambda: PROVIDERS)

    def names(self, cells: pd.Series) -> np.ndarray:
        """The provider's name for each cell, "" for a cell that names none."""
        known = {plain(name): name for name in self.providers}
        at, spelled = pd.factorize(cells)
        texts = (clean(text)[0] for text in spelled)
        found = [known.get(plain(text), "") if text else self.otherwise for text in texts]
        return np.array(found, object)[at]

    def wrong(self, cell: str) -> tuple[str, str]:
        """The code and the message for a cell that names no provider."""
        text = clean(cell)[0]
        if not text:
            return "missing-provider", "the row does not say which provider it is for"
        return "unknown-provider", f"the row does not name a provider{near(text.lower(), self.known)}"


def check_each(
    chunk: Chunk,
    columns: Columns,
    going: Going,
    around: Mapping[str, Surroundings],
    fingerprints: Fingerprints,
) -> Checked:
    """`check` the rows of a chunk, each by its provider's rules.

    The chunk's cells are the columns' fields, the kept columns and then the column of providers. What comes
    out has a column ``provider`` too. ``around``: by provider.
    """
    told = chunk.cells[len(columns.fields) + len(columns.keep)]
    names = going.names(told)
    parts = []
    for name in dict.fromkeys(names):
        lines = np.flatnonzero(names == name)
        if not name:
            wrong = [going.wrong(cell) for cell in told.iloc[lines]]
            parts.append(Part(name, lines, _nowhere(chunk.taken(lines), columns, wrong)))
            continue
        provider = going.providers[name]
        own = columns.of(provider)
        piece = chunk.taken(lines, _positions(columns, own))
        parts.append(Part(name, lines, check(piece, own, provider, around[name], fingerprints)))
    return _put_together(parts)


def split(checked: Checked) -> Iterator[Part]:
    """What `check_each` put together, by provider."""
    valid = (checked.frame["code"] == "").to_numpy(bool)
    names = checked.frame[PROVIDER].to_numpy(object)
    for name in dict.fromkeys(names):
        mine = names == name
        its, digests = mine[valid], checked.digests
        rows = set(checked.frame["row"][mine].tolist()) if checked.uuid_tokens else set()
        prints = checked.prints[its]
        part = Checked(
            checked.frame[mine].reset_index(drop=True),
            checked.payload[mine].reset_index(drop=True),
            checked.ids[its],
            prints,
            prints if digests is checked.prints else digests[its],
            checked.warnings,
            checked.problems,
            uuid_tokens={row: checked.uuid_tokens[row] for row in rows & checked.uuid_tokens.keys()},
        )
        yield Part(name, np.flatnonzero(mine), part)


def compare_each(
    checked: Checked, apps: np.ndarray, known: Mapping[str, Growers], if_exists: IfExists
) -> Compared:
    """`compare` the rows of a checked chunk, each with what is known of its provider's growers."""
    parts = list(split(checked))
    found = [
        compare(it.frame, Keys(it.ids, it.prints, apps[part.lines]), growers, if_exists)
        for part in parts
        for it, growers in [(part.checked, known.get(part.provider) or nobody())]
    ]
    lines = np.concatenate([part.lines for part in parts])
    both = list(zip(parts, found, strict=True))
    tables = [each.table.assign(**{PROVIDER: part.provider}) for part, each in both]
    open_lines = [part.lines[each.open_lines] for part, each in both]
    new_tokens = {part.provider: each.new_tokens[""] for part, each in both}
    return Compared(_ordered(tables, lines), np.sort(np.concatenate(open_lines)), new_tokens)


class RepeatsOfEach:
    """`Repeats` by provider: a grower or a token at two of them is neither a conflict nor a repetition."""

    def __init__(self, column: NewColumn = InMemory) -> None:
        """``column``: see `Repeats`."""
        self._column, self._repeats = column, dict[str, Repeats]()

    def add(self, checked: Checked) -> None:
        """Take in the valid rows of a chunk."""
        for part in split(checked):
            self._repeats.setdefault(part.provider, Repeats(self._column)).add(part.checked)

    def rename(self, rows: np.ndarray, ids: np.ndarray) -> None:
        """As `Repeats.rename`."""
        for each in self._repeats.values():
            each.rename(rows, ids)

    def findings(self, *, allow_shared_tokens: bool) -> pd.DataFrame:
        """Rows that repeat or contradict others, as `Repeats` tells them."""
        found = [each.findings(allow_shared_tokens=allow_shared_tokens) for each in self._repeats.values()]
        return pd.concat([Repeats().findings(allow_shared_tokens=True), *found]).sort_values(
            "row", ignore_index=True
        )

    def sightings(self) -> dict[str, Sightings]:
        """What was taken in, by provider."""
        return {name: each.sightings() for name, each in self._repeats.items()}


# --- taking apart and putting together --------------------------------------------------------------


def _positions(columns: Columns, own: Columns) -> list[int]:
    """Where a provider's fields and the kept columns stand among the cells of all."""
    fields = list(columns.fields)
    kept = range(len(fields), len(fields) + len(columns.keep))
    return [*(fields.index(name) for name in own.fields), *kept]


def _nowhere(chunk: Chunk, columns: Columns, wrong: Sequence[tuple[str, str]]) -> Checked:
    """Rows of no provider: nothing is known of their fields, so nothing but this is said of them."""
    ids = (clean(text)[0] for text in chunk.cells[list(columns.fields).index(LEAF_USER_ID)])
    texts = {
        "leafUserId": [shown(text).lower() for text in ids],
        "fingerprint": [""] * len(wrong),
        "code": [code for code, _ in wrong],
        "column": [PROVIDER] * len(wrong),
        "message": [message for _, message in wrong],
    }
    frame = pd.DataFrame({name: pd.Series(column, dtype="str") for name, column in texts.items()})
    frame.insert(0, "row", chunk.numbers)
    for i, (name, _) in enumerate(columns.keep, start=len(columns.fields)):
        frame[KEPT_PREFIX + name] = chunk.cells[i]
    none = np.empty((0, 2), np.uint64)
    told = ["row", "code", "column", "message"]
    payload, warnings = pd.DataFrame(index=frame.index), pd.DataFrame(columns=told)
    return Checked(frame, payload, none, none, none, warnings, frame[told])


def _put_together(parts: Sequence[Part]) -> Checked:
    """The parts of a chunk as one, in the order of its rows."""
    lines = np.concatenate([part.lines for part in parts])
    valid = [part.lines[(part.checked.frame["code"] == "").to_numpy(bool)] for part in parts]
    order = np.argsort(np.concatenate(valid))
    prints, digests = (
        np.concatenate([getattr(part.checked, name) for part in parts])[order]
        for name in ("prints", "digests")
    )
    frames = [part.checked.frame.assign(**{PROVIDER: part.provider}) for part in parts]
    return Checked(
        _ordered(frames, lines),
        _ordered([part.checked.payload for part in parts], lines).fillna(""),
        np.concatenate([part.checked.ids for part in parts])[order],
        prints,
        prints if all(part.checked.digests is part.checked.prints for part in parts) else digests,
        _by_row([part.checked.warnings for part in parts]),
        _by_row([part.checked.problems for part in parts]),
        merge_names(part.checked.names for part in parts),
        {row: uuid for part in parts for row, uuid in part.checked.uuid_tokens.items()},
    )


def _by_row(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled or [tables[0]]).sort_values("row", kind="stable", ignore_index=True)


def _ordered(tables: Iterable[pd.DataFrame], lines: np.ndarray) -> pd.DataFrame:
    """The lines of all tables, each where it stands in the chunk."""
    return pd.concat(list(tables), ignore_index=True).iloc[np.argsort(lines)].reset_index(drop=True)
