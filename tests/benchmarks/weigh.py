"""A command, weighed: ``python -m tests.benchmarks.weigh REPORT CORES COMMAND …`` (CORES 0: all there are).

A process of its own, and a small one: Linux counts the memory of whoever starts a process as that one's peak.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Run it, and write to REPORT: wall and CPU seconds, peak resident memory in MiB, and the exit code."""
    report, cores, *command = sys.argv[1:]
    if int(cores):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, spent = os.wait4(process.pid, 0)  # its own resources, not those of all children
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    found = {
        "seconds": seconds,
        "cpu": spent.ru_utime + spent.ru_stime,
        "peak": spent.ru_maxrss / 1024,
        "exit_code": process.returncode,
    }
    Path(report).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
