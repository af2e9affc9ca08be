"""A web process that is told to stop while a page is open: in order, at once and without a word."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx2

SCRIPT = """
import asyncio, sys, threading, uvicorn
from fastapi import FastAPI
from starlette.responses import StreamingResponse
from server import serving

app, ending = FastAPI(), threading.Event()

async def events():
    while not ending.is_set():
        yield ": still here\\n\\n"
        await asyncio.sleep(0.05)

@app.get("/live")
async def live() -> StreamingResponse:
    return StreamingResponse(events())

raise SystemExit(serving.serve(uvicorn.Config(app, port=int(sys.argv[1]), log_level="warning"), ending.set))
"""


def test_a_stream_is_told_before_it_is_waited_for(port: int) -> None:
    """Without a limit of time: a server that only waited would never end here."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(port)], stderr=subprocess.PIPE, text=True)
    try:
        transport = httpx2.HTTPTransport(retries=8)  # until it listens
        address = f"http://127.0.0.1:{port}/live"
        with httpx2.Client(transport=transport) as client, client.stream("GET", address) as open_page:
            assert next(open_page.iter_lines()) == ": still here"
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (0, "")
    finally:
        process.kill()
