"""Lines: so many at a time and not more, in the order of asking, and none is lost with who gives up."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from warp import warp

from bulk_onboard.leaf.lines import Lines


def test_so_many_have_one_at_a_time_in_the_order_of_asking() -> None:
    seen: list[int] = []
    most = 0

    async def one(number: int, lines: Lines, held: set[int]) -> None:
        nonlocal most
        async with lines:
            seen.append(number)
            held.add(number)
            most = max(most, len(held))
            await asyncio.sleep(1)
            held.remove(number)

    async def main() -> float:
        began, lines, held = asyncio.get_running_loop().time(), Lines(3), set[int]()
        await asyncio.gather(*(one(number, lines, held) for number in range(10)))
        return asyncio.get_running_loop().time() - began

    assert round(warp(main())) == 4
    assert (seen, most) == (list(range(10)), 3)


@settings(max_examples=60)
@given(st.integers(1, 4), st.integers(0, 2**32))
def test_who_gives_up_takes_no_line_along(free: int, seed: int) -> None:
    """Whether he gives up while waiting, in the moment of getting one, or while he has it."""

    async def main() -> None:
        draw, lines, held = Random(seed), Lines(free), set[int]()

        async def one(number: int) -> None:
            async with lines:
                held.add(number)
                assert len(held) <= free
                try:
                    await asyncio.sleep(draw.choice((0, 1, 2)))
                finally:
                    held.remove(number)

        tasks = [asyncio.create_task(one(number)) for number in range(12)]
        for task in draw.sample(tasks, 8):
            await asyncio.sleep(draw.choice((0, 0, 1)))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # All are free again: so many can be had without waiting.
        async with asyncio.timeout(0.5):
            for _ in range(free):
                await lines.__aenter__()

    warp(main())


def test_a_line_that_was_handed_over_goes_on_when_its_taker_is_cancelled_at_that_moment() -> None:
    async def main() -> bool:
        lines = Lines(1)
        await lines.__aenter__()
        waiting = asyncio.create_task(lines.__aenter__())
        await asyncio.sleep(0)
        await lines.__aexit__(None, None, None)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1), lines:
            return True

    assert warp(main())
