"""Memory goes back to the system, seen from outside."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_CODE = """
import numpy as np
from bulk_onboard.engine import heap

def resident():
    told = open("/proc/self/statm").read().split()
    return int(told[1]) * 4096

if "large" in sys.argv[1]:
    heap.keep_little()
    np.ones(20_000_000, np.uint8)[:1].copy()   # such a hint makes glibc keep what is as large
    before = resident()
    held = [np.ones(5_000_000, np.uint8) for _ in range(8)]
    wall = np.ones(100_000, np.uint8)
    del held
else:
    before = resident()
    held = [np.ones(60_000, np.uint8) for _ in range(1_000)]
    wall = np.ones(60_000, np.uint8)
    del held
    heap.give_back()
print(resident() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another libc")
@pytest.mark.parametrize("what", ["large", "small"])
def test_what_was_let_go_of_is_not_kept(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys" + _CODE, what], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 10_000_000
