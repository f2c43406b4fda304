"""A colleague who works on the same Leaf while runs are under way: stores, replaces and deletes credentials.

The colleague stores only for growers that have none, and changes only what the colleague has stored.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bulk_onboard.sandbox.state import Credentials, Fate, State
from tests.soak.plan import APP, MARK, Plan
from tests.soak.plan import Fate as Wanted

PROVIDER = "raven"
OTHER_APP = {"clientId": "of-a-colleague", "clientSecret": f"colleague-{MARK}"}
# The share of POSTs just before which the colleague stores for the same grower.
FORESTALLED = 0.04


@dataclass(frozen=True, slots=True)
class Act:
    """One act: ``id`` of the credentials that the grower has now, None after a deletion.

    ``index``: of the first request that Leaf settled later; ``monotonic``: seconds, by the clock of requests.
    """

    leaf_user_id: str
    id: str | None
    same_app: bool
    index: int
    monotonic: float


class Colleague:
    """Acts on the state of Leaf directly, so nothing goes wrong. ``settled``: how many requests were seen."""

    def __init__(self, of: Plan, state: State, settled: Callable[[], int]) -> None:
        self.acts: list[Act] = []
        self._state, self._settled = state, settled
        self._draw = Random(f"{of.seed}/colleague")
        self._skew = of.unknowns.clock_skew
        self._left = of.visits
        self._growers = [
            line.leaf_user_id
            for line in of.lines
            if line.fate in {Wanted.STORED, Wanted.UNHEALTHY, Wanted.REJECTED}
        ]
        self._own: dict[str, Credentials] = {}

    def pause(self) -> float:
        """Seconds until the next act."""
        return self._draw.uniform(0.0, 0.5)

    def act(self) -> bool:
        """Do one thing, and return whether any are left."""
        own = [grower for grower in self._growers if self._has_own(grower)]
        if own and self._draw.random() < 0.5:
            self._change(self._draw.choice(own))
        else:
            self._store_if_none(self._draw.choice(self._growers))
        return self._left > 0

    def forestall(self, leaf_user_id: str) -> None:
        """Now and then store for a grower whose POST has just arrived."""
        if self._draw.random() < FORESTALLED and leaf_user_id in self._growers:
            self._store_if_none(leaf_user_id)

    def _has_own(self, leaf_user_id: str) -> bool:
        own = self._own.get(leaf_user_id)
        now = self._state.credentials((leaf_user_id, PROVIDER))
        return own is not None and now is not None and now.id == own.id

    def _change(self, leaf_user_id: str) -> None:
        if self._draw.random() < 0.5:
            self._put(leaf_user_id)
            return
        self._state.delete_credentials((leaf_user_id, PROVIDER))
        del self._own[leaf_user_id]
        self._note(leaf_user_id, None, same_app=False)

    def _store_if_none(self, leaf_user_id: str) -> None:
        if self._left > 0 and self._state.credentials((leaf_user_id, PROVIDER)) is None:
            self._put(leaf_user_id)

    def _put(self, leaf_user_id: str) -> None:
        same_app = self._draw.random() < 0.5
        token = f"{MARK}colleague-{self._draw.getrandbits(64):016x}"
        posted = (APP if same_app else OTHER_APP) | {"refreshToken": token}
        id_ = str(uuid.UUID(int=self._draw.getrandbits(128), version=4))
        own = Credentials(id_, time.time() + self._skew, "colleague", Fate.GOOD, posted)
        self._state.put_credentials((leaf_user_id, PROVIDER), own)
        self._own[leaf_user_id] = own
        self._note(leaf_user_id, id_, same_app=same_app)

    def _note(self, leaf_user_id: str, id_: str | None, *, same_app: bool) -> None:
        self._left -= 1
        self.acts.append(Act(leaf_user_id, id_, same_app, self._settled(), time.monotonic()))
