"""One HTTP connection of an analyzer that posts its results: read, journal, answer, hand on.

Turns POST requests into stored messages; a body is what a file of this analyzer would hold. Law: journal first: 200
leaves after the commit, 503 when there was none, and the analyzer keeps its data. What is stored is answered 200 also
when nobody can read it: it is shown, and sending it again would not help. Headers and bodies are bounded, every byte of
both directions is journaled.
Source: RFC 9110 and 9112, by h11; the line's URL is `http-listen://HOST:PORT/path?from=ADDRESS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import h11

from drivers.driver import Driver
from middleware.connection import Hooks
from middleware.folder_take import take
from middleware.http_place import place
from middleware.journal import Journal, JournalError
from middleware.recorder import Recorder
from middleware.transports import Wire

MOST_HEADER, MOST_BODY = 16_384, 1_048_576  # bytes
IDLE = 60.0  # seconds that a connection may rest between two requests, or a request between two pieces
WHOLE = 120.0  # seconds that one request may take
RETRY = "10"  # seconds until an analyzer that understands Retry-After tries again


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A request that is not taken: the status and why."""

    status: int
    why: str


class HttpConnection:
    """A connection that an analyzer opened; it may post several times."""

    def __init__(self, wire: Wire, journal: Journal, analyzer: str, hooks: Hooks, driver: Driver, url: str) -> None:
        """`driver` says what a body holds; `url` is the line's. ValueError when it makes no sense."""
        self._wire, self._hooks, self._driver, self._analyzer = wire, hooks, driver, analyzer
        self._place, self._now = place(url), journal.now
        self._record = Recorder(journal, wire, analyzer, "HTTP")
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEADER)
        self._raw = b""  # of the present request, not yet journaled

    async def run(self) -> None:
        """Until one of the two hangs up."""
        try:
            while await self._exchange():
                self._http.start_next_cycle()
        finally:
            if self._raw:
                self._record.refused(self._raw, "cut")
            self._record.close("closed")

    async def _exchange(self) -> bool:
        """One request and its answer. May there be another?"""
        try:
            async with asyncio.timeout(WHOLE):
                asked = await self._request()
        except h11.RemoteProtocolError as wrong:
            asked = NotTaken(wrong.error_status_hint, str(wrong))
        except TimeoutError:
            asked = NotTaken(408, "the request took too long")
        if asked is None:
            return False
        if isinstance(asked, NotTaken):
            self._refuse(asked)
        else:
            await self._store(asked)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    # ---- reading

    async def _request(self) -> bytes | NotTaken | None:
        """The body of a request, why it is not taken, or None when there is no request any more."""
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if not await self._more():
                    return None
            elif isinstance(event, h11.Request):
                self._record.begin()
                if refused := self._unfit(event):
                    return refused
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MOST_BODY:
                    return NotTaken(413, f"over {MOST_BODY} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body) if body.strip() else NotTaken(400, "nothing in it")
            else:
                return None

    async def _more(self) -> bool:
        """Feed what comes next; False after a long silence. A connection that ends is for h11 to judge."""
        if self._http.they_are_waiting_for_100_continue:
            self._say(h11.InformationalResponse(status_code=100, headers=[], reason="Continue"))
        data = await self._wire.read(IDLE)
        if data is None:
            return False
        self._raw += data
        self._http.receive_data(data)
        return True

    def _unfit(self, request: h11.Request) -> NotTaken | None:
        """Why this request is not taken, before its body has come."""
        headers = dict(request.headers)
        if self._place.sender and self._wire.peer.rpartition(":")[0].strip("[]") != self._place.sender:
            return NotTaken(403, "not from this address")
        if request.target.decode("latin-1").partition("?")[0] != self._place.path:
            return NotTaken(404, "not this path")
        if request.method != b"POST":
            return NotTaken(405, "only POST")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return NotTaken(415, "a packed body")
        length = headers.get(b"content-length", b"0")  # digits: h11 has seen to that
        return NotTaken(413, f"over {MOST_BODY} bytes") if int(length) > MOST_BODY else None

    # ---- storing and answering

    async def _store(self, body: bytes) -> None:
        found = await asyncio.to_thread(take, self._driver, self._analyzer, "", body, self._now())
        messages = [self._record.message(one.body, one.incomplete) for one in found.messages]
        if not messages:  # for a person to look at
            messages = [self._record.message(body)]
        raw, self._raw = self._raw, b""
        try:
            await self._record.append(raw, "POST", messages)
        except JournalError:
            self._hooks.refused("not stored")
            self._answer(503, "not stored: send it again", [("Retry-After", RETRY)])
            return
        self._answer(200, "stored")
        self._record.later(b"", "answered", ends="answered")
        self._hooks.handshake()
        for message in messages:
            self._hooks.message(message)

    def _refuse(self, refused: NotTaken) -> None:
        raw, self._raw = self._raw, b""
        self._record.refused(raw, refused.why)
        self._hooks.refused(refused.why)
        self._answer(refused.status, refused.why, [("Allow", "POST")] if refused.status == 405 else [])
        self._record.later(b"", "answered", ends="refused")

    def _answer(self, status: int, text: str, more: Sequence[tuple[str, str]] = ()) -> None:
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return  # the connection is past answering
        body = f"{text}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *more]
        if self._http.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        self._say(h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase))
        self._say(h11.Data(data=body))
        self._say(h11.EndOfMessage())

    def _say(self, event: h11.Event) -> None:
        self._record.say(self._http.send(event) or b"")
