"""Turns raised change counters into server-sent events, so that open pages know when to look again.

Law: carries topics and counters, never data; ends by itself after some minutes, so that the browser comes back through
the log-in check. Source: HTML standard, server-sent events.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from middleware.lab import Lab
from middleware.store import changes
from server.lab.web import LabDep, SignedIn

router = APIRouter()

EVERY = 1.0  # seconds between looks
LASTS = 240  # looks before the browser has to come again
QUIET = 15  # looks without news before a comment keeps the connection open


def _look(lab: Lab) -> dict[str, int]:
    with lab.read() as conn:
        return changes(conn)


async def events(lab: Lab, every: float = EVERY, lasts: int = LASTS) -> AsyncIterator[str]:
    """One event with all counters at once, then one for each look that found a change (only the topics changed)."""
    seen = await run_in_threadpool(_look, lab)
    yield f"retry: 2000\nevent: counters\ndata: {json.dumps(seen)}\n\n"
    quiet = 0
    for _ in range(lasts):
        await asyncio.sleep(every)
        now = await run_in_threadpool(_look, lab)
        news = {topic: n for topic, n in now.items() if seen.get(topic) != n}
        seen, quiet = now, 0 if news else quiet + 1
        if news:
            yield f"event: change\ndata: {json.dumps(news)}\n\n"
        elif quiet % QUIET == QUIET - 1:
            yield ": still here\n\n"


@router.get("/live")
async def live(lab: LabDep, _user: SignedIn) -> StreamingResponse:
    """The stream; it ends when the client goes."""
    return StreamingResponse(events(lab), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
