"""What a line asks of the laboratory behind it: the answer to an analyzer's question.

Turns a stored message into the messages to send back. Law: a question is answered from what the laboratory knows or not
at all; when it cannot be asked now, an analyzer that can be told so is told so, for "no orders" would be a lie.
Source: LIS02-A2 4.1 and 11 (a Q may stand beside results: both are of level 1); HL7 v2.5.1 2.9 (AE).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.driver import Decoded, Message, MessageType

Answer = Callable[[Message], "list[bytes] | None"]
"""The messages to send back to a query, without frames, or None. Called in a thread. May raise NotNow."""

_ALONE = frozenset({MessageType.QUERY, MessageType.POLL})
_BESIDE = frozenset({MessageType.RESULT, MessageType.QC, MessageType.CALIBRATION, MessageType.OTHER})


class NotNow(Exception):
    """The laboratory cannot be asked at the moment; the text says so in words for the analyzer."""


def asks(decoded: Decoded) -> bool:
    """Is there a question in this message, alone or beside results? One that was taken back is none."""
    return decoded.type in _ALONE or (decoded.type in _BESIDE and bool(decoded.query_raw))


async def answers_to(answer: Answer, message: Message) -> list[bytes]:
    """For languages that have no word for "not now": then, too, nothing is said, and the analyzer asks again."""
    try:
        return await asyncio.to_thread(answer, message) or []
    except NotNow:
        return []
