"""Turns an SMS into lines on the console: for a first look without any gateway.

Law: what the gateway would have got is shown whole, the number masked; accepted at once, no receipts.
"""

from __future__ import annotations

import sys
from typing import TextIO

from server.reports.sms import Accepted, Outgoing, Told, masked


class ConsoleGateway:
    """Prints every SMS; for a lab that only tries things out."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def send(self, message: Outgoing) -> Accepted:
        """Print the SMS."""
        out = self._out or sys.stdout
        out.write(f"SMS to {masked(message.to)}: {message.text}\n")
        out.flush()
        return Accepted(f"console-{message.message_id}")

    def receipts(self, _body: object) -> list[Told]:
        """The console sends no receipts."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""
