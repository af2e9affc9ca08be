"""A web process that is told to stop while a page is open: in order, at once and without a word."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
import uvicorn

from server import serving

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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stream_is_told_before_it_is_waited_for(how: signal.Signals, port: int) -> None:
    """Without a limit of time: a server that only waited would never end here."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(port)], stderr=subprocess.PIPE, text=True)
    try:
        transport = httpx2.HTTPTransport(retries=8)  # until it listens
        address = f"http://127.0.0.1:{port}/live"
        with httpx2.Client(transport=transport) as client, client.stream("GET", address) as open_page:
            assert next(open_page.iter_lines()) == ": still here"
            process.send_signal(how)
            _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (0, "")
    finally:
        process.kill()


def test_a_second_process_on_the_port_has_begun_nothing_when_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    async def app(scope: dict[str, str], _receive: object, _send: object) -> None:
        asked.append(scope["type"])

    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        assert serving.serve(uvicorn.Config(app, port=port)) == serving.NOT_STARTED
    assert asked == [], "not even its life was begun"
    assert caplog.messages == [
        f"port {port} of 127.0.0.1 cannot be had: address already in use. Does this service run already? Else end the "
        "other program, or set another port in lab.toml."
    ]
    caplog.clear()
    assert serving.serve(uvicorn.Config(app, host="no-such-name.invalid", port=port)) == serving.NOT_STARTED
    assert caplog.messages[0].startswith(f"port {port} of no-such-name.invalid cannot be had: ")


HANGS = """
import sys, threading
from pathlib import Path
from middleware import handover
from middleware.migrate import upgrade
from middleware.settings import load
from server.lab import main

def hangs(_lab, _client):
    print("asked", flush=True)
    threading.Event().wait()

handover.run_due, main.TICK, main.GRACE = hangs, 0.05, 0.1
settings = load(Path("config"), {"LABMITRA_STORE__VAR": sys.argv[1], "LABMITRA_WEB__PORT": sys.argv[2]})
upgrade(settings.database_url)
raise SystemExit(main.serve(settings))
"""


def test_a_report_service_that_hangs_does_not_keep_the_pages_from_ending(port: int, tmp_path: Path) -> None:
    """Without a limit of time, too."""
    script = [sys.executable, "-c", HANGS, str(tmp_path), str(port)]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "asked\n"
        transport = httpx2.HTTPTransport(retries=8)
        with httpx2.Client(transport=transport) as client:
            assert client.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out) == (0, "") and "Traceback" not in err
