"""What the ledger knows against what the file says: which rows are done, which are to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.model import IfExists, Status


class Known(Protocol):
    """What the newest entry of a grower says."""

    @property
    def status(self) -> str | None: ...
    @property
    def code(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def credential_id(self) -> str: ...
    @property
    def health(self) -> str: ...


def compare(frame: pd.DataFrame, known: Mapping[str, Known], if_exists: IfExists) -> pd.DataFrame:
    """The manifest's frame for one checked chunk.

    ``frame`` has a line per row with ``row, leafUserId, fingerprint, code, message`` and kept columns.
    Rows with a code are invalid; rows whose grower is done get ``existing``; rows to do an empty status.
    """
    table = frame[["row", "leafUserId", "fingerprint", "code", "message"]].copy()
    table["status"] = (frame["code"] != "").map({True: Status.INVALID.value, False: ""}).astype("str")
    table["health"] = ""
    table["credentialId"] = ""
    done = {k: found for k, found in known.items() if _is_done(found)}
    if done:
        _mark_done(table, done, if_exists)
    kept = [name for name in frame.columns if name.startswith(manifest.KEPT_PREFIX)]
    return pd.concat([table[list(manifest.COLUMNS)], frame[kept]], axis=1)


def _is_done(found: Known) -> bool:
    return found.status in {Status.CREATED.value, Status.EXISTING.value}


def _mark_done(table: pd.DataFrame, done: Mapping[str, Known], if_exists: IfExists) -> None:
    ids = table["leafUserId"]
    stored = ids.map({k: found.fingerprint for k, found in done.items()})
    strange = ids.map({k: found.code == "token-changed" for k, found in done.items()})
    mine = stored.notna() & (table["status"] == "")
    changed = mine & ((stored != table["fingerprint"]) | (strange == True))  # noqa: E712  (it may be missing)
    if if_exists is IfExists.OVERWRITE:
        mine &= ~changed
        changed &= False
    table.loc[mine, "status"] = Status.EXISTING.value
    table.loc[mine, "code"] = "already-onboarded"
    table.loc[changed, "code"] = "token-changed"
    table.loc[mine, "health"] = ids[mine].map({k: found.health for k, found in done.items()})
    table.loc[mine, "credentialId"] = ids[mine].map({k: found.credential_id for k, found in done.items()})
