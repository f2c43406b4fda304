"""Checks before anything is sent: whether the file is as expected, and whether it contains anything new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from bulk_onboard.engine.first_pass import OF_OTHER_GROWER, FirstPass
from bulk_onboard.errors import StoppedForSafety
from bulk_onboard.ledger import Ledger, history
from bulk_onboard.policy.stop_rules import too_few, too_many_new
from bulk_onboard.settings import Safety
from bulk_onboard.workspace import Workspace

MOST_ROWS = 10  # that a note lists
_UNMET = "--max-new is ignored: the ledger has no growers of this Leaf and provider yet"


def check_input(
    ledger: Ledger,
    run_no: int,
    scopes: Mapping[str, int],
    *,
    name: str,
    first_pass: FirstPass,
    content: str,
    safety: Safety,
) -> list[str]:
    """Notes about the file to show before anything is sent. ``content``: the digest of what the file says.

    ``scopes``: of the file's providers, by name.
    Raises StoppedForSafety if the file has too few rows or too many new growers.
    """
    notes = [_same(ledger, run_no, name, content), *_of_other_owners(ledger, scopes, first_pass.workspace)]
    if reason := too_few(name, first_pass.rows, safety):
        raise StoppedForSafety(reason)
    if safety.max_new is not None:
        if any(history.has_met(ledger, scope, run_no) for scope in scopes.values()):
            if reason := too_many_new(name, first_pass.workspace.new_growers(), first_pass.rows, safety):
                raise StoppedForSafety(reason)
        else:
            notes.append(_UNMET)
    return [note for note in notes if note]


def _same(ledger: Ledger, run_no: int, name: str, content: str) -> str:
    last = history.last(ledger, run_no)
    if last is None or last.content != content:
        return ""
    return f"{name} has the same rows as the input of the previous run ({last.info.run_id})"


def _of_other_owners(ledger: Ledger, scopes: Mapping[str, int], workspace: Workspace) -> Iterator[str]:
    """A line for each other API owner that growers to do were onboarded as: a common mistake of logins."""
    counts: Counter[str] = Counter()
    others = {name: history.other_owners(ledger, scope) for name, scope in scopes.items()}
    if any(others.values()):
        for provider, owners in others.items():
            for owner, scope in owners:
                with ledger.current(scope) as growers:
                    counts[owner] += workspace.to_do_among(provider, growers)
    for owner, count in counts.items():
        if count:
            yield (
                f"{count:,} of these growers were onboarded as API owner {owner} before;"
                " check that this run logs in as the right one"
            )


def tokens_of_others(first_pass: FirstPass) -> str:
    """Return a note on rows with a token that was onboarded for another grower, "" if there are none."""
    rows = first_pass.tokens_of_others.tolist()
    if not rows:
        return ""
    listed = ", ".join(map(str, rows[:MOST_ROWS])) + (", …" if len(rows) > MOST_ROWS else "")
    return (
        f"{OF_OTHER_GROWER}: row{'s' * (len(rows) > 1)} {listed}: an earlier run onboarded the same token for"
        " another grower; compare with the source (--allow-shared-tokens if growers share tokens)"
    )
