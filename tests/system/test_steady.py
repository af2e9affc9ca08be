"""The clock of these tests: what the machine slept does not count, what was waited for does."""

from __future__ import annotations

import asyncio
import time


async def test_a_stretch_in_which_the_whole_process_stood_still_moves_no_timer() -> None:
    """Two timers, the shorter one set after the stretch: else both are due by then, the longer one first."""
    loop, order = asyncio.get_running_loop(), list[str]()
    both = asyncio.Event()
    loop.call_later(0.1, order.append, "longer")
    time.sleep(0.2)  # the machine sleeps; nobody waits for it
    loop.call_later(0.02, order.append, "shorter")
    loop.call_later(0.2, both.set)
    await both.wait()
    assert order == ["shorter", "longer"]


async def test_what_is_waited_for_passes_in_a_loop_that_is_never_idle() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(0.05)
    assert loop.time() - began >= 0.05
    async with asyncio.timeout(20):
        while loop.time() - began < 0.06:
            await asyncio.sleep(0)
