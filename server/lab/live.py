"""Turns raised change counters into server-sent events, so that open pages know when to look again.

Law: carries topics and counters, never data; ends by itself after some minutes, so that the browser comes back through
the log-in check, and with the process, which would otherwise wait for every open page and then cut it off.
Source: HTML standard, server-sent events.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
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


async def events(
    lab: Lab, every: float = EVERY, lasts: int = LASTS, ending: threading.Event | None = None
) -> AsyncIterator[str]:
    """One event with all counters at once, then one for each look that found a change (only the topics changed).

    `every` is in seconds, `lasts` the number of looks; `ending` is set when the process is told to stop.
    """
    seen = await run_in_threadpool(_look, lab)
    yield f"retry: 2000\nevent: counters\ndata: {json.dumps(seen)}\n\n"
    quiet = 0
    for _ in range(lasts):
        await asyncio.sleep(every)
        if ending is not None and ending.is_set():
            return
        now = await run_in_threadpool(_look, lab)
        news = {topic: n for topic, n in now.items() if seen.get(topic) != n}
        seen, quiet = now, 0 if news else quiet + 1
        if news:
            yield f"event: change\ndata: {json.dumps(news)}\n\n"
        elif quiet % QUIET == QUIET - 1:
            yield ": still here\n\n"


@router.get("/live")
async def live(request: Request, lab: LabDep, _user: SignedIn) -> StreamingResponse:
    """The stream; it ends when the client goes or the process stops."""
    stream = events(lab, ending=request.app.state.ending)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
