"""Live updates: counters at once, then only the topics that changed; nobody gets them without a log in."""

from __future__ import annotations

import json

from middleware.store import touch
from server.lab.live import events


def parsed(event):
    """(event name, data) of one server-sent event."""
    fields = dict(line.split(": ", 1) for line in event.strip().splitlines())
    return fields["event"], json.loads(fields["data"])


async def test_only_what_changed_is_said(lab):
    with lab.write() as conn:
        touch(conn, "results", "orders")
    stream = events(lab, every=0, lasts=3)
    assert parsed(await anext(stream)) == ("counters", {"results": 1, "orders": 1})
    with lab.write() as conn:
        touch(conn, "results")
    assert parsed(await anext(stream)) == ("change", {"results": 2})
    assert [event async for event in stream] == []


async def test_a_quiet_line_is_kept_open_with_comments(lab):
    assert [e async for e in events(lab, every=0, lasts=31)][1:] == [": still here\n\n"] * 2


def test_needs_a_log_in(client_as):
    assert client_as(None).client.get("/live").headers["location"] == "/login"


def test_it_ends_with_the_process(client_as, app):
    """An open page would otherwise hold the process until it is cut off, with a traceback in the log."""
    app.state.ending.set()
    told = client_as("technician").client.get("/live").text  # returns: the stream has an end
    assert told.startswith("retry: 2000\nevent: counters\n") and told.count("event:") == 1
