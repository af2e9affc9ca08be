"""Keeps every line alive, each by itself.

Turns settings into running lines: `run_lines` until `stop`. Law: one analyzer's trouble never touches another's; a
line that fails is begun again with growing pauses; it is logged once when a line goes down and once when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import partial

from drivers.driver import DecodeError, Driver, Message, WireError, load_driver
from middleware import transports
from middleware.answers import Answer, asks
from middleware.block_connection import BlockConnection
from middleware.connection import AstmConnection, Dialect, Hooks
from middleware.connection_hl7 import Hl7Connection
from middleware.downloads import Basket
from middleware.folder_place import SCHEME
from middleware.folder_wire import Folder
from middleware.garbage import Garbage
from middleware.http_place import SCHEME as HTTP
from middleware.http_wire import HttpConnection
from middleware.journal import Journal
from middleware.settings import AnalyzerSettings, Settings

log = logging.getLogger("labmitra.line")
TICK = 1.0  # seconds between two reports of the small changes of a line's state


@dataclass(frozen=True, slots=True)
class LineState:
    """One line as it is now. `since`: when `connected` last changed; `handshake_at`: the last ENQ or block;
    `refused`: NAK, AE and AR of today (the lab's); `messages`: since start; `address`: where we listen; `trouble`: one
    sentence, "" when all is well; `garbage`: the same while it is that bytes make no sense, until a message does."""

    analyzer: str
    connected: bool = False
    handshake_at: datetime | None = None
    message_at: datetime | None = None
    refused: int = 0
    trouble: str = ""
    since: datetime | None = None
    messages: int = 0
    address: str = ""
    garbage: str = ""


OnMessage = Callable[[Message], None]
OnState = Callable[[LineState], None]
Answers = Callable[[AnalyzerSettings, Driver], Answer]


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def run_lines(
    settings: Settings,
    journal: Journal,
    on_message: OnMessage,
    on_state: OnState,
    stop: asyncio.Event,
    now: Callable[[], datetime] = _utc_now,
    answers: Answers | None = None,
    baskets: Mapping[str, Basket] | None = None,
) -> None:
    """Run the line of every enabled analyzer until `stop` is set; then hang up and return.

    `on_message` and `on_state` are called on the event loop and must be quick; a message is committed by then.
    `answers` makes the function that answers the questions of a line's analyzer; without it nothing is known.
    `baskets`: by analyzer, the orders that it is sent unasked.
    """
    zone = settings.lab.timezone
    enabled = [analyzer for analyzer in settings.analyzers if analyzer.enabled]
    told = answers or nothing_known
    given = baskets or {}
    lines = [
        _Line(analyzer, zone, journal, on_message, on_state, now, told, given.get(analyzer.name))
        for analyzer in enabled
    ]
    tasks = [asyncio.create_task(line.run(), name=line.name) for line in lines]
    tasks += [asyncio.create_task(line.tick()) for line in lines]
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Line:
    """One analyzer's line, with as many connections as the analyzer opens."""

    def __init__(
        self,
        analyzer: AnalyzerSettings,
        zone: tzinfo,
        journal: Journal,
        on_message: OnMessage,
        on_state: OnState,
        now: Callable[[], datetime],
        answers: Answers,
        basket: Basket | None,
    ) -> None:
        self.name, self._answers, self._basket = analyzer.name, answers, basket
        self._analyzer, self._zone, self._journal, self._now = analyzer, zone, journal, now
        self._on_message, self._on_state = on_message, on_state
        self._state = LineState(analyzer.name, since=now())
        self._published: LineState | None = None
        self._wires = 0
        self._garbage = Garbage("")
        self._day = now().astimezone(zone).date()

    async def run(self) -> None:
        """For ever: what goes wrong is shown, then the line begins again."""
        pauses = transports.Backoff()
        self._publish()
        while True:
            try:
                await self._begin(_driver(self._analyzer))
            except Exception as wrong:  # noqa: BLE001 - loop edge: shown and logged, the line begins again
                self._tell("down", _sentence(wrong))
            await asyncio.sleep(pauses.next())

    async def tick(self) -> None:
        """Reports the small changes."""
        while True:
            await asyncio.sleep(TICK)
            self._new_day()
            self._publish()

    async def _begin(self, driver: Driver) -> None:
        url = self._analyzer.line
        if not self._state.garbage:  # what was said stands until a message comes
            self._garbage = Garbage(driver.speaks)
        if url.startswith(SCHEME):
            hooks = Hooks(self._message, self._handshake, self._refused)
            folder = Folder(url, self._journal, self.name, driver, hooks, self._now, self._zone)
            await folder.run(self._count, self._tell)
        elif url.startswith(HTTP):
            await self._posts(driver)
        else:
            await transports.line(url).run(partial(self._serve, driver=driver), self._tell)

    async def _posts(self, driver: Driver) -> None:
        """An analyzer that posts is away between its posts: its line is up while we listen."""
        up = 0

        def tell(what: str, text: str) -> None:
            nonlocal up
            if what == "listening":
                up = 1
                self._count(up)
            self._tell(what, text)

        try:
            await transports.line(self._analyzer.line).run(partial(self._serve, driver=driver), tell)
        finally:
            self._count(-up)

    async def _serve(self, wire: transports.Wire, driver: Driver) -> None:
        self._count(+1)
        answer = self._answers(self._analyzer, driver)
        hooks = Hooks(
            self._message, self._handshake, self._refused, answer, _edge, self._noise, self._basket,
            self._analyzer.orders != "none",
        )  # fmt: skip
        try:
            if self._analyzer.line.startswith(HTTP):
                await HttpConnection(wire, self._journal, self.name, hooks, driver, self._analyzer.line).run()
            elif driver.framing is not None:
                await BlockConnection(wire, self._journal, self.name, hooks, driver.framing).run()
            elif driver.speaks == "HL7":
                await Hl7Connection(wire, self._journal, self.name, hooks, self._zone).run()
            else:
                dialect = Dialect(
                    driver.free_numbering, driver.frame_size, driver.one_record_a_frame, driver.bare_frames
                )
                await AstmConnection(wire, self._journal, self.name, hooks, dialect).run()
        except Exception as wrong:  # noqa: BLE001 - loop edge: this connection ends, the line goes on
            log.error("%s: a connection failed: %s", self.name, _where(wrong))
            self._change(trouble=_sentence(wrong))
        finally:
            self._count(-1)

    def _tell(self, what: str, text: str) -> None:
        if what == "listening":
            self._change(address=text)
            self._recovered()
        elif self._state.trouble == self._state.garbage:  # "" or what its bytes are: not known to be down
            log.warning("%s: line is down: %s", self.name, text)
            self._change(trouble=text)
        elif self._state.trouble != text:
            self._change(trouble=text)
        self._publish()

    def _recovered(self) -> None:
        if self._state.trouble != self._state.garbage:
            log.info("%s: line is back", self.name)
            self._change(trouble=self._state.garbage)

    def _noise(self, noise: bytes) -> None:
        if self._garbage.heard(noise):
            log.warning("%s: %s", self.name, self._garbage.why)
            self._change(garbage=self._garbage.why, trouble=self._state.trouble or self._garbage.why)
            self._publish()

    def _count(self, change: int) -> None:
        self._wires += change
        if (self._wires > 0) != self._state.connected:
            self._change(connected=self._wires > 0, since=self._now())
        if change > 0:
            self._recovered()
            if self._basket is not None:
                self._basket.wake()
        self._publish()

    def _message(self, message: Message) -> None:
        if not message.incomplete and self._garbage.good():
            log.info("%s: bytes make sense again", self.name)
            ended = self._state.garbage
            self._change(garbage="", trouble="" if self._state.trouble == ended else self._state.trouble)
        self._change(message_at=message.received_at, messages=self._state.messages + 1)
        self._on_message(message)

    def _handshake(self) -> None:
        self._change(handshake_at=self._now())
        if self._basket is not None:
            self._basket.wake()

    def _refused(self, _why: str) -> None:
        self._new_day()
        self._change(refused=self._state.refused + 1)

    def _new_day(self) -> None:
        today = self._now().astimezone(self._zone).date()
        if today != self._day:
            self._day = today
            self._change(refused=0)

    def _change(self, **values: object) -> None:
        self._state = replace(self._state, **values)  # type: ignore[arg-type]

    def _publish(self) -> None:
        if self._state != self._published:
            self._published = self._state
            self._on_state(self._state)


def _edge(call: Callable[..., None], failed: Callable[[Exception], None]) -> Callable[..., None]:
    """`call`, from which nothing goes up into the event loop."""

    def contained(*values: object) -> None:
        try:
            call(*values)
        except Exception as wrong:  # noqa: BLE001 - loop edge: told to the connection, whose run() raises it
            failed(wrong)

    return contained


def _driver(analyzer: AnalyzerSettings) -> Driver:
    return load_driver(analyzer.driver).at_site(analyzer.charset, analyzer.framing, analyzer.layout, analyzer.units)


def nothing_known(_analyzer: AnalyzerSettings, driver: Driver) -> Answer:
    """What this driver sends back to a query where no laboratory stands behind the lines."""

    def answer(message: Message) -> list[bytes] | None:
        try:
            decoded = driver.decode(message)
        except (DecodeError, WireError):  # kept and shown by the pipeline
            return None
        return driver.answer(decoded, ()) if asks(decoded) else None

    return answer


def _sentence(wrong: BaseException) -> str:
    if isinstance(wrong, OSError):
        return wrong.strerror or str(wrong)
    return f"{type(wrong).__name__}: {wrong}" if isinstance(wrong, ValueError | KeyError) else type(wrong).__name__


def _where(wrong: BaseException) -> str:
    """The kind of error and its place, without its text: that might hold a patient's data."""
    frames = traceback.extract_tb(wrong.__traceback__)
    place = f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(wrong).__name__}{place}"
