"""`python -m tests.soak [--seed N] [--rounds N] [--rows N] [--minutes M] [--postgres]`: kill and count."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from random import SystemRandom

from tests.soak.plan import clustered, plan
from tests.soak.rounds import Story, tell
from tests.support.postgres import Server, served


def main() -> int:
    """Go through the rounds; 1 if any went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first round; each round has the next")
    parser.add_argument("--rounds", type=int, help="how many; 10 if no time is given")
    parser.add_argument("--rows", type=int, default=300, help="of each round's file")
    parser.add_argument("--minutes", type=float, help="begin no new round after so long")
    parser.add_argument(
        "--workers", type=int, default=0, help="on a cluster of so many, which are killed too"
    )
    parser.add_argument("--postgres", action="store_true", help="with the ledger on a server of its own")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at a time")
    asked = parser.parse_args()
    seed = SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    rounds = asked.rounds or (10 if asked.minutes is None else sys.maxsize)
    ends = time.monotonic() + 60 * asked.minutes if asked.minutes else float("inf")
    seeds = _seeds(seed, rounds, ends)
    print(f"seed {seed}, {asked.rows} rows a round, {asked.jobs} rounds at a time", flush=True)
    again = f" --workers {asked.workers}" * bool(asked.workers) + " --postgres" * asked.postgres
    with served() if asked.postgres else nullcontext() as server:
        tell_of = partial(round_of, rows=asked.rows, workers=asked.workers, postgres=server)
        stories = [_told(story, again) for story in _stories(seeds, asked.jobs, tell_of)]
    print("\n" + summed_up(stories))
    return int(any(story.wrong for story in stories))


def _seeds(first: int, rounds: int, ends: float) -> Iterator[int]:
    for number in count():
        if number >= rounds or time.monotonic() > ends:
            return
        yield first + number


def _stories(seeds: Iterator[int], jobs: int, tell_of: Callable[[int], Story]) -> Iterator[Story]:
    """Rounds wait for processes most of the time, so threads will do."""
    with ThreadPoolExecutor(jobs) as pool:
        under_way: set[Future[Story]] = set()
        more = True
        while more or under_way:
            while more and len(under_way) < jobs:
                seed = next(seeds, None)
                more = seed is not None
                if seed is not None:
                    under_way.add(pool.submit(tell_of, seed))
            if not under_way:
                return
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def round_of(seed: int, rows: int, workers: int = 0, postgres: Server | None = None) -> Story:
    """A round in a folder of its own, which is kept only if something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
    drawn = plan(seed, rows)
    story = tell(clustered(drawn, workers) if workers else drawn, folder, postgres)
    if not story.wrong:
        shutil.rmtree(folder)
    return story


def _told(story: Story, again: str) -> Story:
    faults = sum(story.faults.values())
    print(
        f"{'WRONG' if story.wrong else 'good '} seed {story.seed}: {story.runs} runs, {story.kills} kills,"
        f" {story.worker_kills} of workers,"
        f" {story.interrupts} interrupts, {faults} faults in {story.requests} requests,"
        f" {story.stored} stored, {story.visits} acts of a colleague, {story.seconds:.0f} s",
        flush=True,
    )
    if story.wrong:
        print("\n".join(f"      {text}" for text in story.wrong[:20]))
        print(f"      kept: {story.folder}")
        print(f"      again: python -m tests.soak --seed {story.seed} --rounds 1 --rows {story.rows}{again}")
    return story


def summed_up(stories: list[Story]) -> str:
    """The figures of all rounds."""
    faults: Counter[str] = sum((story.faults for story in stories), Counter())
    return "\n".join(
        (
            f"rounds     {len(stories)}, {sum(bool(story.wrong) for story in stories)} of them wrong",
            f"runs       {sum(story.runs for story in stories)}",
            f"kills      {sum(story.kills for story in stories)} by SIGKILL,"
            f" {sum(story.worker_kills for story in stories)} of workers,"
            f" {sum(story.interrupts for story in stories)} SIGINT and SIGTERM",
            f"requests   {sum(story.requests for story in stories)},"
            f" {sum(story.posts for story in stories)} of them POSTs",
            f"faults     {faults.total()} ({', '.join(f'{kind} {n}' for kind, n in faults.most_common())})",
            f"rows       {sum(story.rows for story in stories)},"
            f" {sum(story.stored for story in stories)} stored",
            f"lost       {sum(story.lost for story in stories)}",
            f"twice      {sum(story.twice for story in stories)}",
            f"touched    {sum(story.touched for story in stories)},"
            f" with {sum(story.visits for story in stories)} acts of colleagues",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
