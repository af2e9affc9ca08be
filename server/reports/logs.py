"""Keeps links, secrets and numbers out of the logs.

Turns an access-log record into one without the token of its path. Law: no token, no query, no phone number in any log.
"""

from __future__ import annotations

import logging
import traceback

_OPEN_PATHS = ("/api/", "/healthz", "/robots.txt", "/style.css")


def masked_path(path: str) -> str:
    """The path as a log may keep it: `/…`, `/…/pdf`, `/verify/…`, `/sms/dlr/…`; never a query."""
    plain = path.split("?", 1)[0]
    if plain == "/" or plain.startswith(_OPEN_PATHS):
        return plain
    for prefix in ("/verify/", "/sms/dlr/"):
        if plain.startswith(prefix):
            return f"{prefix}…"
    _, _, rest = plain[1:].partition("/")
    return "/…/" + rest if rest in ("pdf", "not-mine", "stop-sms") else "/…"


class MaskTokens(logging.Filter):
    """Rewrites uvicorn's access records: (client, method, path, version, status)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the path; every record is kept."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, masked_path(str(path)), version, status)
        return True


class HideValues(logging.Filter):
    """Rewrites records of our own failures: where and of which kind, without the exception's words."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep file, line and kind; an exception's text may repeat what a patient's report says."""
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)
            record.exc_text = f"{type(error).__name__} at " + " > ".join(
                f"{f.filename}:{f.lineno}" for f in frames[-6:]
            )
            record.exc_info = None
        return True


def mask_logs() -> None:
    """Once per process: mask the access log; silence the HTTP client, whose lines name the gateway's whole address."""
    for name, mask in (("uvicorn.access", MaskTokens), ("uvicorn.error", HideValues)):
        logger = logging.getLogger(name)
        if not any(isinstance(f, mask) for f in logger.filters):
            logger.addFilter(mask())
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
