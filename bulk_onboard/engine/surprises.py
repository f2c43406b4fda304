"""Before anything is sent: whether the file is what was expected of it, and whether it says anything new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from bulk_onboard import guard, manifest
from bulk_onboard.engine.survey import OF_OTHER_GROWER, Memory, Survey
from bulk_onboard.errors import StoppedForSafety
from bulk_onboard.growers import State
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.listing import words
from bulk_onboard.settings import Safety
from bulk_onboard.validation.columns import PROVIDER

MOST_ROWS = 10  # that a note lists
_UNMET = "--max-new is ignored: the ledger has no growers of this Leaf and provider yet"


def surprises(
    ledger: Ledger,
    run_no: int,
    scopes: Mapping[str, int],
    *,
    name: str,
    rows: int,
    new: Callable[[], int],
    content: str,
    safety: Safety,
) -> list[str]:
    """Notes about the file to show before anything is sent. ``content``: the digest of what the file says.

    ``scopes``: of the file's providers, by name; ``new``: counts the growers that are not in the ledger.

    Raises StoppedForSafety if the file has too few rows or too many new growers.
    """
    notes = [_same(ledger, run_no, name, content), *_of_other_owners(ledger, run_no, scopes)]
    if reason := guard.too_few(name, rows, safety):
        raise StoppedForSafety(reason)
    if safety.max_new is not None:
        if any(history.has_met(ledger, scope, run_no) for scope in scopes.values()):
            if reason := guard.too_many_new(name, new(), rows, safety):
                raise StoppedForSafety(reason)
        else:
            notes.append(_UNMET)
    return [note for note in notes if note]


def _same(ledger: Ledger, run_no: int, name: str, content: str) -> str:
    last = history.last(ledger, run_no)
    if last is None or last.content != content:
        return ""
    return f"{name} has the same rows as the input of the previous run ({last.info.run_id})"


def _of_other_owners(ledger: Ledger, run_no: int, scopes: Mapping[str, int]) -> Iterator[str]:
    """A line for each other API owner that growers to do were onboarded as: a common mistake of logins."""
    others = {name: history.other_owners(ledger, scope) for name, scope in scopes.items()}
    known = {scope: ledger.growers(scope) for found in others.values() for _, scope in found}
    counts: Counter[str] = Counter()
    for _, _, data in ledger.blocks(run_no) if known else ():
        for provider, table in by_provider(manifest.unpack(data), next(iter(scopes))):
            to_do = table.loc[table["status"] == "", "leafUserId"]
            ids = words(to_do[to_do != ""].tolist())
            for owner, scope in others[provider]:
                at = known[scope].find(ids)
                counts[owner] += int((known[scope].states[at[at >= 0]] == State.DONE).sum())
    for owner, count in counts.items():
        if count:
            yield (
                f"{count:,} of these growers were onboarded as API owner {owner} before;"
                " check that this run logs in as the right one"
            )


def tokens_of_others(found: Survey) -> str:
    """Return a note on rows with a token that was onboarded for another grower, "" if there are none."""
    rows = found.tokens_of_others.tolist()
    if not rows:
        return ""
    listed = ", ".join(map(str, rows[:MOST_ROWS])) + (", …" if len(rows) > MOST_ROWS else "")
    return (
        f"{OF_OTHER_GROWER}: row{'s' * (len(rows) > 1)} {listed}: an earlier run onboarded the same token for"
        " another grower; compare with the source (--allow-shared-tokens if growers share tokens)"
    )


def new_growers(memory: Memory, run_no: int, scopes: Mapping[str, int], wanted: np.ndarray) -> int:
    """How many growers to do are not in the ledger: neither connected nor tried in vain."""
    new = 0
    for provider, growers in _to_do(memory, run_no, wanted, next(iter(scopes))):
        known = memory.known(scopes[provider], sorted(growers))
        new += len(growers - known.keys())
    return new


def _to_do(memory: Memory, run_no: int, wanted: np.ndarray, provider: str) -> Iterator[tuple[str, set[str]]]:
    """The growers to do by provider, a set for each chunk that has any."""
    for first_row, last_row, data in memory.blocks(run_no):
        rows = wanted[np.searchsorted(wanted, first_row) : np.searchsorted(wanted, last_row, "right")]
        if len(rows):
            table = manifest.unpack(data)
            lines = table[table["row"].isin(rows)]
            yield from ((name, set(part["leafUserId"])) for name, part in by_provider(lines, provider))


def by_provider(table: pd.DataFrame, provider: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The lines of each provider; ``provider`` is that of a file whose rows name none."""
    if PROVIDER not in table:
        yield provider, table
        return
    for name, lines in table.groupby(PROVIDER, sort=False):
        if name:  # a row that names no provider is invalid
            yield str(name), lines
