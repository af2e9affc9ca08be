"""An analyzer speaks in a test: its bytes, decoded by its driver, and what a codec that nobody here wrote reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drivers.driver import Decoded, Driver, Message, WorkOrder, load_driver
from drivers.wire import blocks

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TUBE = "107632600408"


def decode(driver: Driver | str, body: str | bytes, incomplete: bool = False) -> Decoded:
    """What a driver makes of one message; text is sent in Latin-1."""
    form = load_driver(driver) if isinstance(driver, str) else driver
    sent = body.encode("latin-1") if isinstance(body, str) else body
    return form.decode(Message("m1", "a1", NOW, sent, incomplete))


def work(*codes: str, **more: Any) -> WorkOrder:
    """What is ordered on TUBE, of a woman."""
    return WorkOrder(TUBE, codes, patient_id="P77", name="Asha Devi", sex="F", **more)


def as_sent(field: Any) -> str:
    """A field that astm-2025 has read, as text again: it gives repeats as lists of lists, components as lists."""
    if not isinstance(field, list):
        return field or ""
    if field and isinstance(field[0], list):
        return "\\".join(as_sent(repeat) for repeat in field)
    return "^".join(part or "" for part in field)


def dimension(*fields: str) -> bytes:
    """One block of a Dimension: its fields, each ended by FS, and their sum."""
    text = "".join(f"{field}\x1c" for field in fields).encode()
    return b"\x02" + text + blocks.sum_hex(text) + b"\x03"
