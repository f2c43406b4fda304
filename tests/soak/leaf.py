"""The Leaf of a round as a process that outlives every run, and what it says of itself."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.soak.colleague import Act
from tests.soak.plan import Fate, Plan
from tests.soak.truth import Paused

ROOT = Path(__file__).parent.parent.parent
_RAVEN = "/services/usermanagement/api/users/{}/raven-credentials"


class Leaf:
    """Asked over its desk, which is never at fault."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process, self.url = process, url
        self._before: dict[str, str | None] = {}
        self._prints: frozenset[str] = frozenset()

    def begin(self, plan: Plan) -> None:
        """Some growers are connected already; then the faults begin."""
        for line in plan.lines:
            if line.fate is Fate.HELD:
                self._store(line.leaf_user_id)
        held = self.held()
        self._before = {leaf_user_id: id_ for leaf_user_id, id_ in held.ids.items() if id_}
        self._prints = frozenset(seen["fingerprint"] for seen in held.posts)
        time.sleep(plan.unknowns.credential_lag)  # a GET shows what was there before
        self._process.send_signal(signal.SIGUSR1)

    def calm(self) -> None:
        """No more faults."""
        self._process.send_signal(signal.SIGUSR2)

    def posts(self) -> int:
        """How many POSTs were seen."""
        return sum(grower["posts"] for grower in self._get("/sandbox/state")["growers"])

    def held(self) -> Paused:
        """All that was seen and is held."""
        state = self._get("/sandbox/state")
        ids = {grower["leafUserId"]: grower["credentialId"] for grower in state["growers"]}
        acts = [Act(**act) for act in self._get("/sandbox/colleague")]
        return Paused(self._get("/sandbox/requests"), ids, self._before, self._prints, acts)

    def _store(self, leaf_user_id: str) -> None:
        body = {"clientId": "other", "clientSecret": "other", "refreshToken": f"other-{leaf_user_id}"}
        request = urllib.request.Request(
            self.url + _RAVEN.format(leaf_user_id),
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": "Bearer practice-soak"},
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            reply.read()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply)


@contextmanager
def leaf(plan: Plan) -> Iterator[Leaf]:
    """A Leaf of its own for a round."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # aiohttp complains when a client has left
    )
    try:
        assert process.stdin
        assert process.stdout
        pickle.dump(plan, process.stdin)
        process.stdin.flush()
        yield Leaf(process, process.stdout.readline().decode().strip())
    finally:
        process.communicate(timeout=20)
