"""Before anything is sent: whether the file is what was expected of it, and whether it says anything new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from bulk_onboard import guard, manifest
from bulk_onboard.engine.survey import Memory
from bulk_onboard.errors import StoppedForSafety
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.settings import Safety
from bulk_onboard.validation.columns import PROVIDER

_UNMET = "--max-new is left out: the ledger has met no grower at this Leaf and provider yet"


def surprises(
    ledger: Ledger,
    run_no: int,
    scopes: Collection[int],
    *,
    name: str,
    rows: int,
    new: Callable[[], int],
    content: str,
    safety: Safety,
) -> list[str]:
    """What deserves a line before the run goes on. ``content``: the digest of what the file says.

    ``scopes``: of the providers of the file; ``new``: counts the growers that the ledger has never met.

    Raises StoppedForSafety if the file has too few rows or too many new growers.
    """
    notes = [_same(ledger, run_no, name, content)]
    if reason := guard.too_few(name, rows, safety):
        raise StoppedForSafety(reason)
    if safety.max_new is not None:
        if any(history.has_met(ledger, scope, run_no) for scope in scopes):
            if reason := guard.too_many_new(name, new(), rows, safety):
                raise StoppedForSafety(reason)
        else:
            notes.append(_UNMET)
    return [note for note in notes if note]


def _same(ledger: Ledger, run_no: int, name: str, content: str) -> str:
    last = history.last(ledger, run_no)
    if last is None or last.content != content:
        return ""
    return f"{name} says the same of every grower as the last file did (run {last.info.run_id})"


def new_growers(memory: Memory, run_no: int, scopes: Mapping[str, int], wanted: np.ndarray) -> int:
    """How many growers to do the ledger has never met: neither connected nor tried in vain."""
    only = next(iter(scopes.values()))
    new = 0
    for provider, growers in _to_do(memory, run_no, wanted):
        known = memory.known(scopes.get(provider, only), sorted(growers))
        new += len(growers - known.keys())
    return new


def _to_do(memory: Memory, run_no: int, wanted: np.ndarray) -> Iterator[tuple[str, set[str]]]:
    """The growers to do by provider ("": the file names none), a set for each chunk that has any."""
    for first_row, last_row, data in memory.blocks(run_no):
        rows = wanted[np.searchsorted(wanted, first_row) : np.searchsorted(wanted, last_row, "right")]
        if len(rows):
            table = manifest.unpack(data)
            lines = table[table["row"].isin(rows)]
            parts = lines.groupby(PROVIDER) if PROVIDER in lines else [("", lines)]
            yield from ((str(provider), set(part["leafUserId"])) for provider, part in parts)
