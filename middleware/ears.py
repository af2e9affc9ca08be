"""What each line was last heard to say: when a message was read, when one could not be, when a result was filed.

Turns the outcome of each message into the newest moments of its analyzer, for the lamps and the clock alarm. Law: kept
in memory, called by the pipeline's worker for every message, cheap, safe between threads; the database has the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from drivers.driver import Decoded, Message
from middleware.clock_drift import LAST, Reading, reading


@dataclass(frozen=True, slots=True)
class Ear:
    """One analyzer, since this process began; moments are ours. `unfiled_at`: rows came and none could be filed."""

    parsed_at: datetime | None = None
    failed_at: datetime | None = None
    result_at: datetime | None = None
    unfiled_at: datetime | None = None
    readings: tuple[Reading, ...] = ()


class Ears:
    """The ears of all lines."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone`: the laboratory's, for analyzers' times, which name none."""
        self._zone = zone
        self._ears: dict[str, Ear] = {}
        self._lock = threading.Lock()

    def read(self, message: Message, decoded: Decoded, filed: bool, now: datetime) -> None:
        """A message was read; `filed`: at least one of its rows became a patient's result or a control."""
        ear = self.of(message.analyzer)
        values: dict[str, object] = {"parsed_at": now}
        if filed:
            values["result_at"] = now
        elif decoded.observations:
            values["unfiled_at"] = now
        said = reading(decoded, message.received_at, self._zone)
        if said is not None:
            values["readings"] = (*ear.readings, said)[-LAST:]
        self._set(message.analyzer, values)

    def failed(self, message: Message, now: datetime) -> None:
        """A message could not be read."""
        self._set(message.analyzer, {"failed_at": now})

    def of(self, analyzer: str) -> Ear:
        """What is known of one analyzer."""
        with self._lock:
            return self._ears.get(analyzer, Ear())

    def all(self) -> Mapping[str, Ear]:
        """What is known of each."""
        with self._lock:
            return dict(self._ears)

    def put(self, ears: Mapping[str, Ear]) -> None:
        """What the ears of another process heard."""
        with self._lock:
            self._ears.update(ears)

    def _set(self, analyzer: str, values: Mapping[str, object]) -> None:
        with self._lock:
            ear = self._ears.get(analyzer, Ear())
            self._ears[analyzer] = replace(ear, **values)  # type: ignore[arg-type]
