"""Finds what a restored lab database lacks: messages that the journal calls done and the database has never seen.

Turns the newest messages of the journal into those to be processed again. Law: a backup lacks the newest only, so it is
walked back from the newest until a whole stretch is known; what is known is never touched, so nothing stands twice.
"""

from __future__ import annotations

import logging

from middleware.backlog import Backlog
from middleware.lab import Lab
from middleware.store.message_rows import known

log = logging.getLogger("labmitra.pipeline")
STRETCH = 500  # messages: about a day of a busy laboratory


def catch_up(lab: Lab, journal: Backlog) -> int:
    """Mark as not done what the lab database lacks; how many. Raises what the database or the journal raises."""
    below: int | None = None
    missed: list[str] = []
    while stretch := journal.done_before(below, STRETCH):
        with lab.read() as conn:
            here = known(conn, [message_id for _, message_id in stretch])
        lacking = [message_id for _, message_id in stretch if message_id not in here]
        if lacking:
            journal.mark_undone(*lacking)
            missed += lacking
        if not lacking or len(stretch) < STRETCH:
            break
        below = stretch[-1][0]
    if missed:
        log.warning("the lab database lacks %d messages of the journal; they are processed again", len(missed))
    return len(missed)
