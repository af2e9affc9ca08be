"""Turns a gateway's name into a Gateway: one file per way of sending, all with the same two calls.

Law: `send` returns Accepted or raises GatewayError, never anything else; its kind alone decides what happens next.
Source: domain 4.7; the closed list of statuses stands in `server.reports.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What a failed send means for the outbox."""

    TRANSPORT = "transport"  # surely not taken (no connection, 5xx): tried again
    THROTTLED = "throttled"  # too fast: tried again, later
    REJECTED = "rejected"  # template, number or account: a person must look; never tried again
    UNKNOWN = "unknown"  # it may have gone out: never sent again blindly


class GatewayError(Exception):
    """The gateway did not take the message. The text holds no number and no text of the message."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One SMS ready to go. `to` is +91 and ten digits."""

    message_id: str
    to: str
    text: str
    template_id: str  # DLT id
    language: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The gateway took the message; receipts will name it by this id."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery receipt: `status` is delivered, failed, expired, accepted or unknown."""

    provider_id: str
    status: str
    code: str


class Gateway(Protocol):
    """A way of sending SMS."""

    def send(self, message: Outgoing) -> Accepted:
        """Hand one SMS over. Raises GatewayError."""
        ...

    def receipts(self, body: object, /) -> list[Told]:
        """What a delivery-receipt call says (decoded JSON or form fields); rows nobody understands are left out."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def masked(number: str) -> str:
    """A phone number as logs and pages may show it: 98xxxxxx12."""
    digits = number.removeprefix("+91")
    return f"{digits[:2]}xxxxxx{digits[-2:]}" if len(digits) >= 6 else ""


def number(text: str | None) -> str | None:
    """+91 and ten digits of an Indian mobile number; None when it cannot be one (fillers like 9999999999 too)."""
    digits = "".join(c for c in text or "" if c.isdigit() and c.isascii()).removeprefix("00").removeprefix("0")
    if len(digits) == 12:
        digits = digits.removeprefix("91")
    fits = len(digits) == 10 and digits[0] in "6789" and len(set(digits)) > 1
    return f"+91{digits}" if fits else None


def open_gateway(name: str, table: Mapping[str, object], header: str, callback: str = "") -> Gateway:
    """The gateway named in lab.toml; `callback` is where its receipts go. ValueError names what is wrong."""
    from server.reports.sms import console, http  # here: each of them imports this module

    if name == "http":
        return http.HttpGateway(http.shape(table), header, callback)
    if name == "console":
        return console.ConsoleGateway()
    raise ValueError(f"sms.gateway {name!r} is not known; write console or http")
